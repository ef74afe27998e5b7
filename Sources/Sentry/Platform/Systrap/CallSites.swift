import CPlatform
import Host
import LinuxABI
import Synchronization

/// The call sites of one address space. A `syscall` instruction that has proved hot is replaced by a jump to a trampoline, which gives the turn without a
/// signal, or has the stub answer by itself.
///
/// Two forms are replaced, both by `jmp *entry` (ff 24 /25 disp32, seven bytes), where the trampoline's address stands in a table below 2 GiB:
/// - `mov $number,%eax; syscall`: the table lies where an entry's address ends in the bytes 0f 05, so that the `syscall` stays in its place: for threads that stand
///   between the two, and for restarted calls.
/// - `syscall` and the five bytes or more behind it, which move into the trampoline (`MovedCode`). Threads come back behind the call, stand at any instruction there, or jump
///   to one. So each byte of the jump from there on begins an instruction that faults and does nothing else: of the jump's four encodings the one whose third byte is
///   `in $imm8,%eax`, and an entry whose address consists of such bytes (`Jump`). The fault sends the thread to what has moved.
///
/// The guest sees nothing of it: where a thread stands in a trampoline is told as the place in the original (`comeOut`).
final class CallSites: Sendable {
    /// A patched site.
    private struct Site {
        var original: [UInt8]
        var jump: [UInt8]
        var trampoline: UInt64
        /// Where in the trampoline begins what has moved, and that. Before it a thread has not made its call.
        var tail: Int
        var places: [MovedCode.Place] = []
        /// How often threads came to the middle of the jump.
        var hits: UInt32 = 0
        /// The original stands there again, for good.
        var isWithdrawn = false

        /// Where a thread goes on that would be at `address` of the original.
        func moved(_ address: UInt64) -> UInt64? {
            places.first { $0.isStart && $0.original == address }.map { trampoline + UInt64(tail + $0.offset) }
        }
    }
    private struct State {
        var counts = CallCounts()
        /// Of each trampoline, in order: its site.
        var trampolines: [UInt64] = []
        /// Entries used of the table of the second form.
        var jumps = 0
        /// Trampolines that answer by themselves, and where in them the call begins that asks the Sentry.
        var answering: [(place: UInt64, call: UInt8)] = []
        /// What is mapped: the trampolines, and the table of the second form.
        var isMapped = false, hasJumpTable = false
        var isOff = false, cannotJump = false, isRestored = false
        var sites: [UInt64: Site] = [:]
        /// The bytes inside the second form's jumps, and their sites.
        var inside: [UInt64: UInt64] = [:]
    }
    private struct Owner { weak var code: (any GuestCode)? }
    /// What becomes of a thread that faulted.
    enum Mending {
        /// The fault is its own.
        case none
        /// It goes on.
        case done
        /// What it ran into is gone meanwhile: it tries again, once.
        case again
    }
    /// So many calls by signal cost more than a patch and the further mapping that every fork then has to copy. A power of two.
    private static let threshold: UInt32 = 128
    /// So many threads at the wrong place are no accident: a loop begins there.
    private static let tolerance: UInt32 = 64
    private static let table = UInt64(TRAMPOLINE_TABLE)
    private static let trampolineCode = UInt64(TRAMPOLINE_CODE)
    private static let size = UInt64(TRAMPOLINE_SIZE)
    private static let count = Int(TRAMPOLINE_COUNT) - Int(TRAMPOLINE_FIRST)
    private static let trampolines = table..<trampolineCode + UInt64(TRAMPOLINE_COUNT) * size
    private static let jumps = UInt64(JUMP_TABLE)..<UInt64(JUMP_TABLE) + UInt64(JUMP_TABLE_SIZE)
    /// Both of them, with what lies between.
    static let area = trampolines.lowerBound..<jumps.upperBound

    private let state = Lock(State())
    private let owner = Lock(Owner())
    /// One patch at a time. Taken before the code's own lock, which is before `state`.
    private let patching = Lock(())
    private let hasTails = Atomic<Bool>(false)

    func attach(_ code: any GuestCode) { owner.withLock { $0.code = code } }
    private var code: (any GuestCode)? { owner.withLock { $0.code } }

    /// A child of fork(2) has its parent's memory, patches included.
    func inherit(_ parent: CallSites) {
        var copied = parent.state.withLock { $0 }
        // Its calls are its own.
        copied.counts = CallCounts()
        let hasSites = !copied.inside.isEmpty
        state.withLock { [copied] in $0 = copied }
        hasTails.store(hasSites, ordering: .relaxed)
    }

    // MARK: threads in patched code

    /// Where a thread that is to run at `address` goes on: in a trampoline, if the original has moved there.
    func continuation(of address: UInt64) -> UInt64 {
        if !hasTails.load(ordering: .relaxed) { return address }
        guard let (start, site) = site(around: address), let moved = site.moved(address), !site.isWithdrawn, stands(site.jump, at: start)
        else {
            return address
        }
        return moved
    }

    /// A thread faulted at `address`. If that was in the middle of a jump, it goes on where `continuation` says.
    func mend(_ address: UInt64) -> Mending {
        if !hasTails.load(ordering: .relaxed) { return .none }
        guard let (start, site) = site(around: address) else { return .none }
        if site.isWithdrawn || !stands(site.jump, at: start) { return .again }
        let hits = state.withLock { state in
            state.sites[start]?.hits &+= 1
            return state.sites[start]?.hits ?? 0
        }
        let isKnown = site.moved(address) != nil
        if isKnown, hits < Self.tolerance { return .done }
        return withdraw(start) || isKnown ? .done : .none
    }

    /// The registers of a thread that stands in a trampoline, as they would be in the original. One that has not made its call stands before it.
    func comeOut(_ registers: inout Registers) {
        let start = Self.trampolineCode
        guard registers.rip >= start, registers.rip < Self.trampolines.upperBound else { return }
        let index = Int((registers.rip - start) / Self.size) - Int(TRAMPOLINE_FIRST)
        let offset = Int((registers.rip - start) % Self.size)
        let found: (address: UInt64, site: Site)? = state.withLock { state in
            guard index >= 0, index < state.trampolines.count, let site = state.sites[state.trampolines[index]] else { return nil }
            return (state.trampolines[index], site)
        }
        guard let (address, site) = found, site.trampoline == registers.rip - UInt64(offset) else { return }
        if offset < site.tail {
            registers.rip = address
        } else if let place = site.places.first(where: { $0.offset == offset - site.tail }) {
            registers.rip = place.original
            if place.hasPushed { registers.rsp &+= 8 }
        }
    }

    /// A thread in the stub that came from the trampoline whose tail R11 holds, and has not made its call, of `number`: it stands before it.
    func comeOutOfStub(_ registers: inout Registers, number: UInt64) {
        let tail = registers.r11
        guard tail >= Self.trampolineCode, tail < Self.trampolines.upperBound else { return }
        registers.rip = tail - (tail - Self.trampolineCode) % Self.size
        comeOut(&registers)
        registers.rax = number
    }

    private func site(around address: UInt64) -> (start: UInt64, site: Site)? {
        state.withLock { state in
            guard let start = state.inside[address], let site = state.sites[start] else { return nil }
            return (start, site)
        }
    }

    private func stands(_ bytes: [UInt8], at address: UInt64) -> Bool { code?.currentCode(at: address, count: bytes.count) == bytes }

    // MARK: taking back

    /// The guest uses GS itself: trampolines lead to a trap from now on, and no more are made.
    func turnOff() {
        let answering: [(place: UInt64, call: UInt8)]? = state.withLock { state in
            if state.isOff { return nil }
            state.isOff = true
            return state.isMapped ? state.answering : nil
        }
        guard let answering, let code else { return }
        for index in 0..<Int(TRAMPOLINE_FIRST) {
            let trap = index == Int(TRAMPOLINE_ANY_CALL) ? cplatform_stub_trap_any_address() : cplatform_stub_trap_address()
            try? code.writeTrampolines(at: Self.entry(index), MovedCode.little(trap))
        }
        // jmp call
        for (place, call) in answering { try? code.writeTrampolines(at: place, [0xeb, call - 2]) }
    }

    /// Puts the original code back. Threads that stand in a trampoline come out of it as ever.
    func restore() {
        let starts: [UInt64] = state.withLock { state in
            if state.isRestored { return [] }
            state.isOff = true
            state.isRestored = true
            return Array(state.sites.keys)
        }
        for start in starts { _ = withdraw(start) }
    }

    /// Puts the original of one site back, for good; whether it stands there now. What has moved stays for those that are in it.
    private func withdraw(_ start: UInt64) -> Bool {
        patching.withLock { _ in
            guard let site = state.withLock({ $0.sites[start] }), !site.isWithdrawn else { return true }
            // The guest may have mapped something else there since.
            if stands(site.jump, at: start) {
                do { try code?.replaceCode(at: start, with: site.original) } catch { return false }
            }
            state.withLock { $0.sites[start]?.isWithdrawn = true }
            return true
        }
    }

    // MARK: patching

    /// A call by signal ended before `address`.
    func count(_ address: UInt64, number: UInt64) {
        // rt_sigreturn(2): unwinders know the place by its bytes, and the call needs the frame of a signal anyway.
        if number == 15 { return }
        let isHot = state.withLock { state in
            if state.isOff { return false }
            let count = state.counts.count(address)
            return count >= Self.threshold && count.nonzeroBitCount == 1 && state.trampolines.count < Self.count
        }
        if isHot, let code { patching.withLock { _ in patch(address, number, code) } }
    }

    /// What comes in place of a site.
    private struct Replacement {
        var start: UInt64
        var site: Site
        var trampoline: [UInt8]
        /// The address in the jump.
        var entry: UInt64
        /// In the trampoline: where the call to the Sentry begins, if not at once.
        var call: Int?
    }

    /// A site that cannot be patched is looked at ever more rarely: there may be other code by then.
    private func patch(_ address: UInt64, _ number: UInt64, _ code: any GuestCode) {
        let (index, jumps) = state.withLock { ($0.trampolines.count, $0.jumps) }
        let place = Self.trampolineCode + UInt64(index + Int(TRAMPOLINE_FIRST)) * Self.size
        guard address >= 16,
            let new = Self.replaceLoad(address, number, code, place, Self.entry(index + Int(TRAMPOLINE_FIRST)))
                ?? Self.replaceCall(address, code, place, Jump.entry(jumps)),
            // Within one page, and so within one replacement.
            new.start & 4095 <= 4096 - 8, !isPatched(around: new.start), new.trampoline.count <= Int(Self.size), reserve(new, code)
        else { return }
        do {
            try code.writeTrampolines(at: place, new.trampoline)
            try code.writeTrampolines(at: new.entry, MovedCode.little(place))
            // Before the code changes: a child that another thread forks meanwhile must know what stood there.
            state.withLock { state in
                state.sites[new.start] = new.site
                if let call = new.call { state.answering.append((place, UInt8(call))) }
                if Jump.table.contains(new.entry) { for byte in new.start + 2..<new.start + 7 { state.inside[byte] = new.start } }
            }
            if Jump.table.contains(new.entry) { hasTails.store(true, ordering: .sequentiallyConsistent) }
            try code.replaceCode(at: new.start, with: new.site.jump)
        } catch {
            // The trampoline stays unused.
            forget(new.start)
        }
    }

    private func forget(_ start: UInt64) {
        state.withLock { state in
            state.sites[start] = nil
            for byte in start + 2..<start + 7 where state.inside[byte] == start { state.inside[byte] = nil }
        }
    }

    /// Whether a jump stands there that a new one would overlap, or the original for good. Threads that were between the two instructions of a site still count when it
    /// has been patched, and its `syscall` looks like another site.
    private func isPatched(around start: UInt64) -> Bool {
        let others = state.withLock { state in (start - 6...start + 6).compactMap { place in state.sites[place].map { (place, $0) } } }
        for (place, site) in others {
            if site.isWithdrawn || stands(site.jump, at: place) { return true }
            // Something else has been mapped there since.
            forget(place)
        }
        return false
    }

    private static func entry(_ index: Int) -> UInt64 { table + UInt64(index) * 8 }
    private static func jumpIntoStub(_ entry: Int32) -> [UInt8] { [0xff, 0x24, 0x25] + MovedCode.little(Self.entry(Int(entry))).prefix(4) }

    /// `mov $number,%eax; syscall`
    private static func replaceLoad(_ address: UInt64, _ number: UInt64, _ code: any GuestCode, _ place: UInt64, _ entry: UInt64)
        -> Replacement?
    {
        guard let bytes = code.constantCode(at: address - 8, count: 8), bytes[6] == 0x0f, bytes[7] == 0x05,
            // b8 preceded by a REX prefix loads another register.
            bytes[1] == 0xb8, bytes[0] & 0xf0 != 0x40, UInt64(word32(bytes, 2)) == number
        else { return nil }
        let load = Array(bytes[1..<6])
        var call = load
        call += [0x48, 0xb9] + MovedCode.little(address)  // movabs $behind,%rcx
        call += [0x49, 0x89, 0xcb]  // mov %rcx,%r11
        call += jumpIntoStub(TRAMPOLINE_CALL)
        let jump = [0xff, 0x24, 0x25] + MovedCode.little(entry).prefix(4)
        let site = Site(original: Array(bytes[1..<8]), jump: jump, trampoline: place, tail: Int(size))
        var replacement = Replacement(start: address - 7, site: site, trampoline: call, entry: entry)
        guard let answer = answers[number] else { return replacement }
        var own: [UInt8]
        if answer == ANSWER_YIELD {
            own = [0x49, 0xbb] + MovedCode.little(address)  // movabs $behind,%r11
            own += [0x4c, 0x89, 0xd9]  // mov %r11,%rcx, for the trap
            own += load + jumpIntoStub(TRAMPOLINE_YIELD)
        } else {
            own = [0x48, 0x8d, 0x41, 0xff]  // lea -1(%rcx),%rax
            own += [0xff, 0x25, 0, 0, 0, 0] + MovedCode.little(address)  // jmp *(%rip)
        }
        // mov %gs:answer,%rcx; jrcxz call
        let look = [0x65, 0x48, 0x8b, 0x0c, 0x25] + MovedCode.little(UInt64(SLOT_ANSWERS + answer)).prefix(4) + [0xe3, UInt8(own.count)]
        replacement.trampoline = look + own + call
        replacement.call = look.count + own.count
        return replacement
    }

    /// System calls that the stub may answer: which answer it is.
    private static let answers: [UInt64: Int32] = [
        24: ANSWER_YIELD, 39: ANSWER_PROCESS, 102: ANSWER_USER, 104: ANSWER_GROUP, 107: ANSWER_EFFECTIVE_USER, 108: ANSWER_EFFECTIVE_GROUP,
        186: ANSWER_THREAD,
    ]

    /// `syscall` and what follows.
    private static func replaceCall(_ address: UInt64, _ code: any GuestCode, _ place: UInt64, _ entry: UInt64?) -> Replacement? {
        // The code may end soon.
        guard let entry, let bytes = code.constantCode(at: address - 2, count: 34) ?? code.constantCode(at: address - 2, count: 18),
            bytes[0] == 0x0f, bytes[1] == 0x05
        else { return nil }
        var trampoline: [UInt8] = [0x4c, 0x8d, 0x1d, 17, 0, 0, 0]  // lea tail(%rip),%r11
        trampoline += jumpIntoStub(TRAMPOLINE_ANY_CALL) + [0xcc, 0xcc]
        trampoline += MovedCode.little(address)  // for the stub: what RCX shall be
        guard let moved = MovedCode(bytes[2...], at: address, covering: 5, to: place + UInt64(trampoline.count)) else { return nil }
        let site = Site(
            original: Array(bytes[0..<7]), jump: [0xff, 0x24, 0xe5] + MovedCode.little(entry).prefix(4), trampoline: place,
            tail: trampoline.count, places: moved.places)
        return Replacement(start: address - 2, site: site, trampoline: trampoline + moved.bytes, entry: entry)
    }

    /// The table of the second form. The four bytes of an entry's address, lowest first: `ins`, `in` or `hlt`; `in`; `in`, which a guest may not do; and what
    /// was once `push %es`, which nobody can.
    private enum Jump {
        private static let privileged: [UInt64] = [0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef]
        /// So that entries do not overlap, and none crosses a cache line.
        private static let lowest: [UInt64] = [0x6c, 0xe4, 0xec, 0xf4]
        static let table = CallSites.jumps

        static func entry(_ index: Int) -> UInt64? {
            guard index < Int(JUMP_TABLE_COUNT) else { return nil }
            return table.lowerBound & 0xff00_0000 | privileged[index >> 5] << 16 | privileged[index >> 2 & 7] << 8 | lowest[index & 3]
        }
    }

    /// Takes the next trampoline, and the entry; false when that cannot be.
    private func reserve(_ new: Replacement, _ code: any GuestCode) -> Bool {
        let now = state.withLock { ($0.isMapped, $0.hasJumpTable, $0.isOff, $0.cannotJump) }
        let isJump = Jump.table.contains(new.entry)
        if now.2 || isJump && now.3 { return false }
        if !now.0 {
            do {
                try code.mapTrampolines(at: Self.table, length: UInt64(Self.trampolines.count))
                let entries = [cplatform_stub_entry_address(), cplatform_stub_entry_any_address(), cplatform_stub_yield_address()]
                try code.writeTrampolines(at: Self.table, entries.flatMap(MovedCode.little))
            } catch {
                // Something is in the way.
                state.withLock { $0.isOff = true }
                return false
            }
            state.withLock { $0.isMapped = true }
        }
        if isJump, !now.1 {
            do { try code.mapTrampolines(at: Jump.table.lowerBound, length: UInt64(Jump.table.count)) } catch {
                state.withLock { $0.cannotJump = true }
                return false
            }
            state.withLock { $0.hasJumpTable = true }
        }
        return state.withLock { state in
            if state.isOff { return false }
            state.trampolines.append(new.start)
            if isJump { state.jumps += 1 }
            return true
        }
    }

    private static func word32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32($1 * 8) }
    }
}

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
/// - `syscall` and the instructions behind it, which move into the trampoline: of the jump's four encodings the one whose third byte, where threads come
///   back to, is `in $imm8,%eax`: a fault, upon which the thread is sent to the moved code. They are one instruction, or one
///   that ends a piece of code and padding: nobody stands or jumps between them.
final class CallSites: Sendable {
    private struct Candidate {
        var address: UInt64 = 0
        var count: UInt32 = 0
    }
    private struct State {
        var candidates = [Candidate](repeating: Candidate(), count: 64)
        /// Trampolines written; their entries in the table follow those that lead into the stub.
        var trampolines = 0
        /// Trampolines that answer by themselves, and where in them the call begins that asks the Sentry.
        var answering: [(place: UInt64, call: UInt8)] = []
        var isMapped = false
        var isOff = false
        /// For the second form: where threads that come back behind the call go on.
        var tails: [UInt64: UInt64] = [:]
        /// What stood at the patched places.
        var originals: [UInt64: [UInt8]] = [:]
        weak var code: (any GuestCode)?
    }
    /// So many calls by signal cost more than a patch and the further mapping that every fork then has to copy.
    private static let threshold: UInt32 = 128
    private static let table = UInt64(TRAMPOLINE_TABLE)
    private static let trampolineCode = UInt64(TRAMPOLINE_CODE)
    private static let size = UInt64(TRAMPOLINE_SIZE)
    static let area = table..<trampolineCode + UInt64(TRAMPOLINE_COUNT) * size

    private let state = Lock(State())
    /// One patch at a time. Taken before the code's own lock, which is before `state`.
    private let patching = Lock(())
    private let hasTails = Atomic<Bool>(false)
    private let hasOwnGS = Atomic<Bool>(false)

    func attach(_ code: any GuestCode) { state.withLock { $0.code = code } }

    /// A child of fork(2) has its parent's memory, patches included.
    func inherit(_ parent: CallSites) {
        let copied = parent.state.withLock { ($0.trampolines, $0.answering, $0.isMapped, $0.isOff, $0.tails, $0.originals) }
        state.withLock { state in
            (state.trampolines, state.answering, state.isMapped, state.isOff, state.tails, state.originals) = copied
        }
        hasTails.store(!copied.4.isEmpty, ordering: .relaxed)
        hasOwnGS.store(parent.hasOwnGS.load(ordering: .relaxed), ordering: .relaxed)
    }

    /// Where a thread that faulted at `address` goes on, if that is the place behind a patched call.
    func tail(behind address: UInt64) -> UInt64? {
        if !hasTails.load(ordering: .relaxed) { return nil }
        return state.withLock { $0.tails[address] }
    }

    /// The guest uses GS itself: trampolines lead to a trap from now on, and no more are made.
    func turnOff() {
        let (code, answering): ((any GuestCode)?, [(place: UInt64, call: UInt8)]) = state.withLock { state in
            if state.isOff { return (nil, []) }
            state.isOff = true
            return (state.isMapped ? state.code : nil, state.answering)
        }
        guard let code else { return }
        for index in 0..<Int(TRAMPOLINE_FIRST) {
            try? code.writeTrampolines(at: Self.entry(index), MovedCode.little(cplatform_stub_trap_address()))
        }
        // jmp call
        for (place, call) in answering { try? code.writeTrampolines(at: place, [0xeb, call - 2]) }
    }

    /// Puts the original code back. Threads that stand in a trampoline come out of it as ever.
    func restore() {
        patching.withLock { _ in
            let (originals, code): ([UInt64: [UInt8]], (any GuestCode)?) = state.withLock { state in
                defer { state.originals = [:] }
                state.isOff = true
                return (state.originals, state.code)
            }
            // A place that the guest has mapped anew since is not code of that file any more, and is refused or right already.
            for (site, bytes) in originals where code?.constantCode(at: site, count: 3).map({ $0[0] == 0xff && $0[1] == 0x24 }) == true {
                try? code?.replaceCode(at: site, with: bytes)
            }
        }
    }

    /// A call by signal ended before `address`.
    func count(_ address: UInt64, number: UInt64) {
        // rt_sigreturn(2): unwinders know the place by its bytes, and the call needs the frame of a signal anyway.
        if number == 15 { return }
        let code: (any GuestCode)? = state.withLock { state in
            if state.isOff { return nil }
            let index = Int(truncatingIfNeeded: (address ^ address >> 6 ^ address >> 12) & 63)
            if state.candidates[index].address != address {
                // The one that is there goes when the newcomer has outlasted it.
                if state.candidates[index].count > 1 {
                    state.candidates[index].count -= 1
                    return nil
                }
                state.candidates[index] = Candidate(address: address, count: 0)
            }
            state.candidates[index].count += 1
            guard state.candidates[index].count == Self.threshold, state.trampolines < Int(TRAMPOLINE_COUNT) - Int(TRAMPOLINE_FIRST) else {
                return nil
            }
            return state.code
        }
        if let code { patching.withLock { _ in patch(address, number, code) } }
    }

    /// What comes in place of a site.
    private struct Replacement {
        var site: UInt64
        var original: [UInt8]
        var jump: [UInt8]
        var trampoline: [UInt8]
        /// In the trampoline: where threads go on that come back behind the call; where the call to the Sentry begins, if not at once.
        var tail: Int?
        var call: Int?
    }

    /// A site that cannot be patched keeps its count above the threshold, and so is not looked at again.
    private func patch(_ address: UInt64, _ number: UInt64, _ code: any GuestCode) {
        guard address >= 16, let replacement = Self.replaceLoad(address, number, code) ?? Self.replaceCall(address, code),
            // Within one page, and so within one replacement.
            replacement.site & 4095 <= 4096 - 8, !isPatched(around: replacement.site), replacement.trampoline.count <= Int(Self.size),
            let index = reserve(code)
        else { return }
        let place = Self.trampolineCode + UInt64(index) * Self.size
        do {
            try code.writeTrampolines(at: place, replacement.trampoline)
            try code.writeTrampolines(at: Self.entry(index), MovedCode.little(place))
            // Before the code changes: a child that another thread forks meanwhile must know what stood there.
            state.withLock { state in
                state.originals[replacement.site] = replacement.original
                if let tail = replacement.tail { state.tails[address] = place + UInt64(tail) }
                if let call = replacement.call { state.answering.append((place, UInt8(call))) }
            }
            if replacement.tail != nil { hasTails.store(true, ordering: .relaxed) }
            try code.replaceCode(at: replacement.site, with: replacement.jump + MovedCode.little(Self.entry(index)).prefix(4))
        } catch {
            // The trampoline stays unused.
        }
    }

    /// Whether a jump stands there that a new one would overlap. Threads that were between the two instructions of a site still count when it has been patched, and
    /// its `syscall` looks like another site.
    private func isPatched(around site: UInt64) -> Bool {
        state.withLock { state in (site - 6...site + 6).contains { state.originals[$0] != nil } }
    }

    private static func entry(_ index: Int) -> UInt64 { table + UInt64(index) * 8 }
    private static func jumpIntoStub(_ entry: Int32) -> [UInt8] { [0xff, 0x24, 0x25] + MovedCode.little(Self.entry(Int(entry))).prefix(4) }

    /// `mov $number,%eax; syscall`
    private static func replaceLoad(_ address: UInt64, _ number: UInt64, _ code: any GuestCode) -> Replacement? {
        guard let bytes = code.constantCode(at: address - 8, count: 8), bytes[6] == 0x0f, bytes[7] == 0x05,
            // b8 preceded by a REX prefix loads another register.
            bytes[1] == 0xb8, bytes[0] & 0xf0 != 0x40, UInt64(word32(bytes, 2)) == number
        else { return nil }
        let load = Array(bytes[1..<6])
        var call = load
        call += [0x48, 0xb9] + MovedCode.little(address)  // movabs $behind,%rcx
        call += [0x49, 0x89, 0xcb]  // mov %rcx,%r11
        call += jumpIntoStub(TRAMPOLINE_CALL)
        var replacement = Replacement(
            site: address - 7, original: Array(bytes[1..<8]), jump: [0xff, 0x24, 0x25], trampoline: call)
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
    private static func replaceCall(_ address: UInt64, _ code: any GuestCode) -> Replacement? {
        // The code may end soon.
        guard let bytes = code.constantCode(at: address - 2, count: 34) ?? code.constantCode(at: address - 2, count: 18), bytes[0] == 0x0f,
            bytes[1] == 0x05,
            let moved = MovedCode(bytes[2...], at: address, covering: 5)
        else { return nil }
        // A thread may stand there, or its saved frame, and somebody may jump there.
        if moved.boundaries.contains(where: { $0 < 5 }) { return nil }
        var trampoline = [0x48, 0xb9] + MovedCode.little(address)  // movabs $behind,%rcx
        trampoline += [0x4c, 0x8d, 0x1d, 7, 0, 0, 0]  // lea tail(%rip),%r11
        trampoline += jumpIntoStub(moved.startsWithComparison ? TRAMPOLINE_ANY_CALL : TRAMPOLINE_CALL)
        return Replacement(
            site: address - 2, original: Array(bytes[0..<7]), jump: [0xff, 0x24, 0xe5], trampoline: trampoline + moved.bytes,
            tail: trampoline.count)
    }

    /// The number of a new trampoline; nil when there can be none.
    private func reserve(_ code: any GuestCode) -> Int? {
        let (isMapped, isOff) = state.withLock { ($0.isMapped, $0.isOff) }
        if isOff { return nil }
        if !isMapped {
            do {
                try code.mapTrampolines(at: Self.table, length: UInt64(Self.area.count))
                let entries = [cplatform_stub_entry_address(), cplatform_stub_entry_any_address(), cplatform_stub_yield_address()]
                try code.writeTrampolines(at: Self.table, entries.flatMap(MovedCode.little))
            } catch {
                // Something is in the way.
                state.withLock { $0.isOff = true }
                return nil
            }
            state.withLock { $0.isMapped = true }
        }
        return state.withLock { state in
            guard state.trampolines < Int(TRAMPOLINE_COUNT) - Int(TRAMPOLINE_FIRST) else { return nil }
            defer { state.trampolines += 1 }
            return state.trampolines + Int(TRAMPOLINE_FIRST)
        }
    }

    private static func word32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32($1 * 8) }
    }
}

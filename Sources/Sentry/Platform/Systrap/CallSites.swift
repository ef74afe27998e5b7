import CPlatform
import Host
import LinuxABI
import Synchronization

/// The call sites of one address space. A `syscall` instruction that has proved hot is replaced by a jump to a trampoline, which gives the turn without a
/// signal.
///
/// Two forms are replaced, both by `jmp *entry` (ff 24 /25 disp32, seven bytes), where the trampoline's address stands in a table below 2 GiB:
/// - `mov $number,%eax; syscall`: the table lies where an entry's address ends in the bytes 0f 05, so that the `syscall` stays in its place: for threads that stand
///   between the two, and for restarted calls.
/// - `syscall; cmp $imm32,%rax`: of the jump's four encodings the one whose third byte, where threads come back to, is `in $imm8,%eax`: a fault, upon which
///   the thread is sent to the comparison in the trampoline.
final class CallSites: Sendable {
    private struct Candidate {
        var address: UInt64 = 0
        var count: UInt32 = 0
    }
    private struct State {
        var candidates = [Candidate](repeating: Candidate(), count: 64)
        /// Number of trampolines written; the table's first entry leads to the stub.
        var trampolines = 0
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

    func attach(_ code: any GuestCode) { state.withLock { $0.code = code } }

    /// A child of fork(2) has its parent's memory, patches included.
    func inherit(_ parent: CallSites) {
        let copied = parent.state.withLock { ($0.trampolines, $0.isMapped, $0.isOff, $0.tails, $0.originals) }
        state.withLock { state in (state.trampolines, state.isMapped, state.isOff, state.tails, state.originals) = copied }
        hasTails.store(!copied.3.isEmpty, ordering: .relaxed)
    }

    /// Where a thread that faulted at `address` goes on, if that is the place behind a patched call.
    func tail(behind address: UInt64) -> UInt64? {
        if !hasTails.load(ordering: .relaxed) { return nil }
        return state.withLock { $0.tails[address] }
    }

    /// The guest uses GS itself: trampolines lead to a trap from now on, and no more are made.
    func turnOff() {
        let code: (any GuestCode)? = state.withLock { state in
            if state.isOff { return nil }
            state.isOff = true
            return state.isMapped ? state.code : nil
        }
        try? code?.writeTrampolines(at: Self.table, little(cplatform_stub_trap_address()))
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
            guard state.candidates[index].count == Self.threshold, state.trampolines + 1 < Int(TRAMPOLINE_COUNT) else { return nil }
            return state.code
        }
        if let code { patching.withLock { _ in patch(address, number, code) } }
    }

    /// A site that cannot be patched keeps its count above the threshold, and so is not looked at again.
    private func patch(_ address: UInt64, _ number: UInt64, _ code: any GuestCode) {
        guard address >= 16, let bytes = code.constantCode(at: address - 8, count: 16), bytes[6] == 0x0f, bytes[7] == 0x05 else { return }
        // b8 preceded by a REX prefix loads another register.
        let isMove = bytes[1] == 0xb8 && bytes[0] & 0xf0 != 0x40 && UInt64(word32(bytes, 2)) == number
        let isCompare = bytes[8] == 0x48 && bytes[9] == 0x3d
        guard isMove || isCompare else { return }
        let site = isMove ? address - 7 : address - 2
        // Within one page, and so within one replacement.
        guard site & 4095 <= 4096 - 8, let index = reserve(code) else { return }
        let entry = Self.table + UInt64(index) * 8, place = Self.trampolineCode + UInt64(index) * Self.size
        var trampoline: [UInt8] = []
        var jump: [UInt8]
        var tail: UInt64?
        if isMove {
            trampoline += [0xb8] + bytes[2..<6]  // mov $number,%eax
            trampoline += [0x48, 0xb9] + little(address)  // movabs $behind,%rcx
            trampoline += [0x49, 0x89, 0xcb]  // mov %rcx,%r11
            trampoline += [0xff, 0x24, 0x25] + little(Self.table).prefix(4)  // jmp *stub
            jump = [0xff, 0x24, 0x25] + little(entry).prefix(4)
        } else {
            trampoline += [0x48, 0xb9] + little(address)  // movabs $behind,%rcx
            trampoline += [0x4c, 0x8d, 0x1d, 7, 0, 0, 0]  // lea tail(%rip),%r11
            trampoline += [0xff, 0x24, 0x25] + little(Self.table).prefix(4)  // jmp *stub
            tail = place + UInt64(trampoline.count)
            trampoline += bytes[8..<14]  // cmp $imm32,%rax
            trampoline += [0xff, 0x25, 0, 0, 0, 0] + little(address + 6)  // jmp *(%rip)
            jump = [0xff, 0x24, 0xe5] + little(entry).prefix(4)
        }
        do {
            try code.writeTrampolines(at: place, trampoline)
            try code.writeTrampolines(at: entry, little(place))
            if let tail {
                state.withLock { $0.tails[address] = tail }
                hasTails.store(true, ordering: .relaxed)
            }
            // Before the code changes: a child that another thread forks meanwhile must know what stood there.
            let original = Array(bytes[(isMove ? 1 : 6)..<(isMove ? 8 : 13)])
            state.withLock { $0.originals[site] = original }
            try code.replaceCode(at: site, with: jump)
        } catch {
            // The trampoline stays unused.
        }
    }

    /// The number of a new trampoline; nil when there can be none.
    private func reserve(_ code: any GuestCode) -> Int? {
        let (isMapped, isOff) = state.withLock { ($0.isMapped, $0.isOff) }
        if isOff { return nil }
        if !isMapped {
            do {
                try code.mapTrampolines(at: Self.table, length: UInt64(Self.area.count))
                try code.writeTrampolines(at: Self.table, little(cplatform_stub_entry_address()))
            } catch {
                // Something is in the way.
                state.withLock { $0.isOff = true }
                return nil
            }
            state.withLock { $0.isMapped = true }
        }
        return state.withLock { state in
            guard state.trampolines + 1 < Int(TRAMPOLINE_COUNT) else { return nil }
            state.trampolines += 1
            return state.trampolines
        }
    }

    private func little(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) } }

    private func word32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32($1 * 8) }
    }
}

import Host
import LinuxABI
@_spi(Testing) import SentryPlatform
import Testing

/// A small generator with a seed (splitmix64), so that a failure can be repeated.
private struct Dice {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    mutating func next(below bound: UInt64) -> UInt64 { next() % bound }
    mutating func pick<T>(_ choices: [T]) -> T { choices[Int(next(below: UInt64(choices.count)))] }
}

/// poll(2) for one descriptor, milliseconds.
private func isReadable(_ descriptor: Int32, within milliseconds: Int) -> Bool {
    var words: [UInt32] = [UInt32(bitPattern: descriptor), 1]
    return unsafe words.withUnsafeMutableBufferPointer { p in HostCall.raw(.poll, Int(bitPattern: p.baseAddress), 1, milliseconds) } > 0
}

/// Interrupts the contexts that it watches again and again: ends whatever loop or sleep a guest has got itself into. One that has made itself deaf to
/// interrupts is killed in the end, as the platform itself would do after a longer while.
private final class Nagger: Sendable {
    private struct Watched {
        var contexts: [any ExecutionContext] = []
        var space: (any PlatformAddressSpace)?
        var rounds = 0
    }
    private let watched = Lock(Watched())
    private let signal: SharedDescriptor
    private let end: SharedDescriptor
    private let patience: Int

    /// `patience`: how many milliseconds a guest has before it is killed.
    init(patience: Int = 300) throws {
        self.patience = patience
        let pair = try HostCall.socketPair()
        signal = SharedDescriptor(pair.first)
        end = SharedDescriptor(pair.second)
        try startThread { [weak self, end] in
            while !isReadable(end.rawValue, within: 1) { self?.nag() }
        }
    }

    deinit { _ = try? HostCall.write(signal.rawValue, [1].span) }

    private func nag() {
        watched.withLock { watched in
            for context in watched.contexts { context.interrupt() }
            watched.rounds += 1
            if watched.rounds == patience { watched.space?.destroy() }
        }
    }

    /// Nags while `body` runs.
    func watch(_ contexts: [any ExecutionContext], _ space: any PlatformAddressSpace, _ body: () throws -> Void) throws {
        watched.withLock { $0 = Watched(contexts: contexts, space: space) }
        defer {
            watched.withLock { $0 = Watched() }
            for context in contexts { context.clearInterrupt() }
        }
        try body()
    }
}

/// Guests of systrap that attack what their stub shares with the Sentry. Whatever they do, the guest dies or goes on; the Sentry and other guests do not
/// notice. (Whole sandboxes, and a million cases: `Attacks` of the integration tests.)
@Suite(.serialized) struct HostileGuests {
    /// Of each kind. NESTBOX_LONG=1: a few minutes' worth.
    private static let cases = HostEnvironmentForTests.isLong ? 40_000 : 400

    /// One attack: what the guest did is of no interest, only that control comes back.
    private static func attack(_ guest: Guest, _ registers: inout Registers, _ nagger: Nagger) throws {
        try nagger.watch([guest.context], guest.space) {
            var attempts = 0
            while attempts < 3, let event = try? guest.context.run(&registers, in: guest.space) {
                // The first interrupts may come before the guest has run at all.
                attempts += event == .interrupted ? 1 : 2
            }
        }
    }

    private static func random(_ dice: inout Dice) -> UInt64 {
        let slots = SystrapPlatform.slots
        switch dice.next(below: 6) {
        case 0: return dice.next()
        case 1: return dice.next(below: 512)
        case 2: return slots.lowerBound + dice.next(below: SystrapPlatform.slotSize)
        case 3: return slots.lowerBound + dice.next(below: UInt64(slots.count) / 8) * 8
        case 4: return SystrapPlatform.code.lowerBound + dice.next(below: UInt64(SystrapPlatform.code.count))
        default: return Guest.data + dice.next(below: 0x4000)
        }
    }

    private static func randomRegisters(_ dice: inout Dice, _ guest: Guest) -> Registers {
        guest.entry {
            $0.rax = random(&dice)
            $0.rbx = random(&dice)
            $0.rcx = random(&dice)
            $0.rdx = random(&dice)
            $0.rsi = random(&dice)
            $0.rdi = random(&dice)
            $0.rbp = random(&dice)
            $0.rsp = random(&dice)
            $0.r8 = random(&dice)
            $0.r9 = random(&dice)
            $0.r10 = random(&dice)
            $0.r11 = random(&dice)
            $0.r12 = random(&dice)
            $0.r13 = random(&dice)
            $0.r14 = random(&dice)
            $0.r15 = random(&dice)
        }
    }

    private static func expectHealthy() throws {
        let guest = try Guest(.systrap, [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05])
        let (event, registers) = try guest.once()
        #expect(event == .systemCall)
        #expect(registers.orig_rax == 39)
    }

    @Test func jumpsIntoEveryInstructionOfTheStub() throws {
        try onThread {
            var dice = Dice(state: 1)
            let nagger = try Nagger()
            let code = SystrapPlatform.code
            var guest = try Guest(.systrap, [0x0f, 0x05])
            for number in 0..<Self.cases {
                if guest.space.deathReason != nil || number % 50 == 0 {
                    guest.context.release()
                    guest.space.destroy()
                    guest = try Guest(.systrap, [0x0f, 0x05])
                }
                var registers = Self.randomRegisters(&dice, guest)
                registers.rip = code.lowerBound + 0x200 + dice.next(below: UInt64(code.count) - 0x200)
                try Self.attack(guest, &registers, nagger)
            }
            guest.context.release()
            guest.space.destroy()
            try Self.expectHealthy()
        }
    }

    @Test func scribblesOverItsSlots() throws {
        try onThread {
            // mov %rax,(%rdi); mov %rdx,(%rsi); syscall; jmp back
            let code: [UInt8] = [0x48, 0x89, 0x07, 0x48, 0x89, 0x16, 0x0f, 0x05, 0xeb, 0xf6]
            var dice = Dice(state: 2)
            let nagger = try Nagger()
            var guest = try Guest(.systrap, code)
            for number in 0..<Self.cases {
                if guest.space.deathReason != nil || number % 50 == 0 {
                    guest.context.release()
                    guest.space.destroy()
                    guest = try Guest(.systrap, code)
                }
                var registers = Self.randomRegisters(&dice, guest)
                registers.rdi = SystrapPlatform.slots.lowerBound + dice.next(below: 80)
                registers.rsi = SystrapPlatform.slots.lowerBound + dice.next(below: SystrapPlatform.slotSize - 8)
                registers.rax = dice.pick([
                    0, 1, 2, 0x101, 0x102, 3, dice.next(), SystrapPlatform.slots.lowerBound + dice.next(below: 0x8000),
                ])
                registers.rsp = Guest.data + 0x3ff0
                try Self.attack(guest, &registers, nagger)
            }
            guest.context.release()
            guest.space.destroy()
            try Self.expectHealthy()
        }
    }

    @Test func aSiblingScribblesOverAWaitingThread() throws {
        try onThread {
            // mov %rax,(%rdi); add $8,%rdi; cmp %rsi,%rdi; cmovae %rdx,%rdi; jmp back
            let code: [UInt8] = [0x48, 0x89, 0x07, 0x48, 0x83, 0xc7, 0x08, 0x48, 0x39, 0xf7, 0x48, 0x0f, 0x43, 0xfa, 0xeb, 0xf0]
            // 1: mov $39,%eax; syscall; jmp 1b
            let calls: [UInt8] = [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]
            let nagger = try Nagger()
            for value in [0, 1, 2, 0x101, 0x7fff_ffff_f000, 0xffff_ffff_ffff_ffff] as [UInt64] {
                let guest = try Guest(.systrap, calls + [UInt8](repeating: 0x90, count: 23 - calls.count + 9) + code)
                let platform = try TestPlatform.systrap.shared
                var registers = guest.entry()
                guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
                let other = try platform.makeContext()
                let scribbler = try Worker {
                    var registers = guest.entry {
                        $0.rip = Guest.code + 32
                        $0.rax = value
                        $0.rdi = SystrapPlatform.slots.lowerBound
                        $0.rdx = SystrapPlatform.slots.lowerBound
                        $0.rsi = SystrapPlatform.slots.lowerBound + SystrapPlatform.slotSize
                    }
                    while (try? other.run(&registers, in: guest.space)) == .interrupted {}
                    other.release()
                }
                // It dies of it, or its calls get through; both are fine.
                try nagger.watch([guest.context, other], guest.space) {
                    for _ in 0..<2000 where guest.space.deathReason == nil {
                        guard let event = try? guest.context.run(&registers, in: guest.space) else { break }
                        if case .fault = event { registers = guest.entry() }
                        registers.cs = Registers.userCodeSegment
                        registers.ss = Registers.userStackSegment
                        registers.fs_base = 0
                        registers.gs_base = 0
                    }
                    guest.space.destroy()
                    try scribbler.wait()
                }
                guest.context.release()
                try Self.expectHealthy()
            }
        }
    }

    /// What a guest writes over its slot, from the word that tells the signal on: a signal and a frame of its own making.
    private static func forgedWords(signal: UInt32, rip: UInt64) -> [UInt8] {
        let slot = SystrapPlatform.slots.lowerBound, frame = slot + 0x800
        var words = [UInt64](repeating: 0, count: 0x800 / 8 + 38)
        func put(_ offset: UInt64, _ value: UInt64) { words[Int(offset / 8)] = value }
        put(8, UInt64(signal) << 32)
        put(16, frame)
        put(24, slot + 0x600)  // siginfo
        put(40, slot)  // GS
        // struct ucontext: flags, the signal stack; struct sigcontext from 40 on.
        put(0x800, 6)
        put(0x810, slot + 1024)
        put(0x820, SystrapPlatform.slotSize - 1024)
        put(0x800 + 40 + 8 * 4, frame)  // r12
        put(0x800 + 40 + 8 * 11, slot)  // rbx
        put(0x800 + 40 + 8 * 15, slot + 0x3000)  // rsp
        put(0x800 + 40 + 8 * 16, rip)
        put(0x800 + 40 + 8 * 17, 0x202)
        put(0x800 + 184, 0x002b_0000_0000_0033)
        put(0x800 + 296, ~0)  // the signals that it does not want to hear
        return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }.suffix(words.count * 8 - 12)
    }

    /// Runs a guest that forges its slot and gives its turn, and is interrupted all the time.
    private static func runForger(_ words: [UInt8], patience: Int) throws -> PlatformError? {
        // rep movsb; jmp *%rax
        let guest = try Guest(.systrap, [0xf3, 0xa4, 0xff, 0xe0, 0xeb, 0xfe])
        _ = try HostCall.write(guest.memory.rawValue, at: 0x10000, words.span)
        let slot = SystrapPlatform.slots.lowerBound
        var registers = guest.entry {
            $0.rsi = Guest.data
            $0.rdi = slot + 12
            $0.rcx = UInt64(words.count)
            $0.rax = SystrapPlatform.give
            $0.rbx = slot
            $0.r12 = slot + 0x800
            $0.rsp = slot + 0x3000
        }
        var failure: PlatformError?
        try Nagger(patience: patience).watch([guest.context], guest.space) {
            do throws(PlatformError) {
                // The first interrupts may come before it has run.
                while try guest.context.run(&registers, in: guest.space) == .interrupted {}
            } catch { failure = error }
        }
        guest.context.release()
        guest.space.destroy()
        return failure
    }

    /// It comes back to the Sentry at once, each time, with a signal that there is not, and hears no interrupt.
    @Test func aGuestThatNeverTellsAnEventIsEnded() throws {
        let failure = try onThread { try Self.runForger(Self.forgedWords(signal: 99, rip: SystrapPlatform.give), patience: 5000) }
        guard case .stubDied(.misbehaved) = failure else { throw Errno.ETIMEDOUT }
    }

    /// It spins, and hears no interrupt, however many there are.
    @Test(.enabled(if: HostEnvironmentForTests.isLong)) func aGuestThatIsDeafToTimersIsEnded() throws {
        let failure = try onThread { try Self.runForger(Self.forgedWords(signal: 99, rip: Guest.code + 4), patience: 30_000) }
        guard case .stubDied(.misbehaved) = failure else { throw Errno.ETIMEDOUT }
    }

    /// One thread keeps another from its first turn: others can change the memory meanwhile, and the process can end.
    @Test func aThreadThatCannotBeginHoldsNobodyUp() throws {
        try onThread {
            // 1: movl $0x101,(%rdi); jmp 1b
            let guest = try Guest(.systrap, [0xc7, 0x07, 0x01, 0x01, 0, 0, 0xeb, 0xf8, 0xeb, 0xfe])
            let other = try TestPlatform.systrap.shared.makeContext()
            var registers = guest.entry { $0.rdi = SystrapPlatform.slots.lowerBound + SystrapPlatform.slotSize }
            // Its first interrupt tells that it has begun.
            guest.context.interrupt()
            while try guest.context.run(&registers, in: guest.space) != .interrupted {}
            let scribbles = try Worker { [registers] in
                var registers = registers
                while (try? guest.context.run(&registers, in: guest.space)) != nil {}
                guest.context.release()
            }
            let begins = try Worker {
                var registers = guest.entry { $0.rip = Guest.code + 8 }
                while (try? other.run(&registers, in: guest.space)) != nil {}
                other.release()
            }
            let maps = try Worker {
                for _ in 0..<200 {
                    try guest.space.apply([.protect(address: Guest.constant, length: 0x1000, protection: [.read])])
                }
            }
            let isDone = try maps.isDone(within: 3000)
            #expect(isDone, "a change of the memory waits for another thread's beginning")
            guest.space.destroy()
            try scribbles.wait()
            try begins.wait()
        }
    }

    /// Signals are unblocked when the filter of guest threads is in force: it permits that, and nothing else there.
    @Test func newThreadsHearSignalsBehindTheirFilter() throws {
        try onThread {
            let unblocking = SystrapPlatform.unblocking
            for (set, number) in [(unblocking.set, UInt64.max), (Guest.data, 14), (0, 14)] {
                let guest = try Guest(.systrap, [0x0f, 0x05])
                let (event, registers) = try guest.once {
                    $0.rip = unblocking.instruction
                    $0.rax = 14
                    $0.rdi = 2
                    $0.rsi = set
                    $0.r10 = 8
                }
                #expect(event == .systemCall)
                // What follows the permitted one is the call that makes the first frame.
                #expect(registers.orig_rax == (number == .max ? 0xffff_ffff : number))
            }
        }
    }

    /// The registers of a process that has ended are not there for the next.
    @Test func slotsTellNothingOfEarlierProcesses() throws {
        try onThread {
            let secret: UInt64 = 0x5ec7_e75e_c7e7_5ec7
            // Stubs are made one ahead: whoever comes third has what the first had.
            for _ in 0..<4 {
                let guest = try Guest(.systrap, [0x0f, 0x05])
                var registers = guest.entry { $0.r13 = secret }
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                guest.context.release()
                let pair = try HostCall.socketPair()
                let signal = SharedDescriptor(pair.second)
                guest.space.destroy { _ = try? HostCall.write(signal.rawValue, [1].span) }
                #expect(isReadable(pair.first.rawValue, within: 5000))
                // not %rax; 1: cmp %rax,(%rdi); je 2f; add $8,%rdi; cmp %rsi,%rdi; jb 1b; 2: syscall
                let reader = try Guest(
                    .systrap,
                    [0x48, 0xf7, 0xd0, 0x48, 0x39, 0x07, 0x74, 0x09, 0x48, 0x83, 0xc7, 0x08, 0x48, 0x39, 0xf7, 0x72, 0xf2, 0x0f, 0x05])
                let (event, found) = try reader.once {
                    // Its own registers stand in its slot.
                    $0.rax = ~secret
                    $0.rdi = SystrapPlatform.slots.lowerBound + 1024
                    $0.rsi = SystrapPlatform.slots.upperBound
                }
                #expect(event == .systemCall)
                #expect(found.rdi == SystrapPlatform.slots.upperBound, "found at \(found.rdi &- SystrapPlatform.slots.lowerBound)")
            }
        }
    }

    @Test func aThreadThatEndsItselfEndsItsProcess() throws {
        try onThread {
            // The exit behind `thread_failed` is what a guest thread may reach: found by trying every permitted instruction with exit's number.
            var deaths = 0
            for instruction in PtracePlatform.serviceInstructions {
                let guest = try Guest(.systrap, [0x0f, 0x05])
                var registers = guest.entry {
                    $0.rip = instruction
                    $0.rax = 60
                    $0.rdi = 0
                }
                do {
                    _ = try guest.context.run(&registers, in: guest.space)
                } catch PlatformError.stubDied(.misbehaved) {
                    deaths += 1
                }
                guest.context.release()
                guest.space.destroy()
            }
            #expect(deaths == 1)
        }
    }
}

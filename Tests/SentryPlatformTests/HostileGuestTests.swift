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

/// Guests of systrap that attack what their stub shares with the Sentry. Whatever they do, the guest dies or goes on; the Sentry and other guests do not
/// notice.
@Suite(.serialized) struct HostileGuests {
    /// NESTBOX_LONG=1: a million cases.
    private static let cases = HostEnvironmentForTests.isLong ? 1_000_000 : 400

    /// Interrupts the contexts again and again while `body` runs: ends whatever loop or sleep a guest has got itself into. One that has made itself deaf to
    /// interrupts is killed in the end, as the platform itself would do after a longer while.
    private static func nagging(_ contexts: [any ExecutionContext], _ space: any PlatformAddressSpace, _ body: () throws -> Void) throws {
        let pair = try HostCall.socketPair()
        let stop = SharedDescriptor(pair.second)
        let nagger = try Worker {
            var rounds = 0
            repeat {
                for context in contexts { context.interrupt() }
                rounds += 1
                if rounds == 300 { space.destroy() }
            } while !isReadable(stop.rawValue, within: 1)
        }
        defer { for context in contexts { context.clearInterrupt() } }
        try body()
        _ = try HostCall.write(pair.first.rawValue, [1].span)
        try nagger.wait()
    }

    /// One attack: what the guest did is of no interest, only that control comes back.
    private static func attack(_ guest: Guest, _ registers: inout Registers) throws {
        try nagging([guest.context], guest.space) {
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
                try Self.attack(guest, &registers)
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
                try Self.attack(guest, &registers)
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
                try Self.nagging([guest.context, other], guest.space) {
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

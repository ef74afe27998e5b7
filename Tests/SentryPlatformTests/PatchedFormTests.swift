import Host
import LinuxABI
import Testing

@_spi(Testing) @testable import SentryPlatform

/// Code behind a `syscall`, of which as much as the jump covers moves: whatever comes of it is what would have come without.
@Suite(.serialized) struct PatchedFormTests {
    /// A program that calls with R15 as number again and again: mov %r15,%rax; syscall; the items; jmp start. At `jump`: jmp *%r14. At `routine`: lea 1(%rdi),%rdi; ret.
    private struct Program {
        static let site = 3
        static let jump = 0x200, routine = 0x300
        private(set) var code: [UInt8] = [0x4c, 0x89, 0xf8, 0x0f, 0x05]
        /// Where instructions begin behind the `syscall`.
        private(set) var starts: [Int] = []

        init(_ items: [[[UInt8]]]) {
            for item in items {
                for instruction in item {
                    starts.append(code.count)
                    code += instruction
                    // call: the place is filled in here.
                    if instruction == [0xe8] { code += Self.distance(from: code.count + 4, to: Self.routine) }
                }
            }
            starts.append(code.count)
            code += [0xe9] + Self.distance(from: code.count + 5, to: 0)
            code += [UInt8](repeating: 0xcc, count: Self.jump - code.count) + [0x41, 0xff, 0xe6]
            code += [UInt8](repeating: 0xcc, count: Self.routine - code.count) + [0x48, 0x8d, 0x7f, 0x01, 0xc3]
            // What is read relative to RIP.
            code += (code.count..<0x500).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        }

        private static func distance(from: Int, to: Int) -> [UInt8] {
            let word = UInt32(bitPattern: Int32(to - from))
            return (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
        }
    }

    /// What compilers put there, each by its instructions; branches bring along what they jump over.
    private static let items: [[[UInt8]]] = [
        [[0x48, 0x89, 0xc7], [0xe8]],  // mov %rax,%rdi; call
        [[0xe8]],
        [[0x53], [0x59]],  // push %rbx; pop %rcx
        [[0x41, 0x54], [0x41, 0x5c]],  // push %r12; pop %r12
        [[0x48, 0x98]], [[0x99]], [[0x48, 0x63, 0xd0]], [[0x90]], [[0x0f, 0x1f, 0x40, 0]],
        [[0x89, 0xc2]], [[0x85, 0xc0]], [[0xf7, 0xd8]], [[0x31, 0xc9]], [[0xff, 0xc3]],
        [[0x48, 0x89, 0xc5]], [[0x48, 0x85, 0xc0]], [[0x48, 0x01, 0xc2]], [[0x0f, 0x94, 0xc1]], [[0x0f, 0xb6, 0xf0]], [[0x3c, 0x05]],
        [[0x48, 0x83, 0xf8, 0xda]], [[0x48, 0x0f, 0x44, 0xd8]], [[0x89, 0x44, 0x24, 0xf8]], [[0x48, 0x11, 0xc6]],
        [[0x48, 0x8b, 0x44, 0x24, 0xf8]], [[0x48, 0x89, 0x44, 0x24, 0xf0]], [[0x3d, 0x00, 0xf0, 0xff, 0xff]], [[0xbe, 1, 2, 3, 4]],
        [[0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff]], [[0x48, 0x8d, 0x15, 0x10, 0x20, 0, 0]], [[0x8b, 0x0d, 0xf0, 0x03, 0, 0]],
        [[0x74, 2], [0x89, 0xc2]], [[0x79, 3], [0x48, 0x89, 0xc3]], [[0x72, 2], [0xeb, 2], [0xf7, 0xdb]],
        [[0x0f, 0x85, 3, 0, 0, 0], [0x48, 0xff, 0xc6]], [[0xeb, 0]], [[0xeb, 2], [0x89, 0xc6]], [[0xe9, 3, 0, 0, 0], [0x48, 0x89, 0xc3]],
        [[0x6a, 7], [0x5a]],  // push $7; pop %rdx
        [[0x66, 0x48, 0x0f, 0x6e, 0xc0], [0x66, 0x48, 0x0f, 0x7e, 0xc3]],  // movq %rax,%xmm0; movq %xmm0,%rbx
        [[0xf3, 0x90]], [[0x64, 0x48, 0x89, 0x04, 0x25, 0x10, 0, 0, 0]],  // pause; mov %rax,%fs:16
        [[0xf0, 0x48, 0x0f, 0xc1, 0x44, 0x24, 0xf8]],  // lock xadd %rax,-8(%rsp)
    ]

    private struct Random {
        var state: UInt64
        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        mutating func next(below limit: Int) -> Int { Int(next() % UInt64(limit)) }
    }

    /// A guest with the program, patched or for good not.
    private static func start(_ program: Program, at base: UInt64 = Guest.code, isPatched: Bool) throws -> Guest {
        let guest = try Guest(.systrap, program.code, at: base)
        if !isPatched { guest.space.restoreCode() }
        var registers = guest.entry {
            $0.r15 = 500
            $0.fs_base = Guest.data
        }
        for _ in 0..<130 {
            guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
        }
        return guest
    }

    private static func end(_ guests: Guest...) {
        for guest in guests {
            guest.context.release()
            guest.space.destroy()
        }
    }

    /// Random registers and flags in, the same out, wherever the code is entered: by the call, by a thread that the Sentry puts somewhere, or by a jump.
    @Test(arguments: 1...40 as ClosedRange<UInt64>) func meanTheSame(_ seed: UInt64) throws {
        try onThread {
            var random = Random(state: seed &* 0x9e37_79b9_7f4a_7c15)
            var chosen: [[[UInt8]]] = []
            for _ in 0..<8 { chosen.append(Self.items[random.next(below: Self.items.count)]) }
            let program = Program(chosen)
            // Near the trampolines, or where libraries are.
            let base = seed % 2 == 0 ? Guest.code : 0x7f12_3456_7000
            let patched = try Self.start(program, at: base, isPatched: true), plain = try Self.start(program, at: base, isPatched: false)
            #expect(try patched.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            #expect(try plain.readCode(0, program.code.count) == program.code)
            for round in 0..<60 {
                var registers = patched.entry {
                    $0.r15 = 500
                    $0.fs_base = Guest.data
                    $0.eflags = 0x202 | (random.next() & 0x8d5)
                }
                for register in [\Registers.rax, \.rbx, \.rcx, \.rdx, \.rsi, \.rdi, \.rbp, \.r8, \.r9, \.r10, \.r11, \.r12, \.r13] {
                    registers[keyPath: register] = random.next() >> UInt64(random.next(below: 64))
                }
                let start = base + UInt64(program.starts[random.next(below: program.starts.count)])
                switch round % 4 {
                case 0: registers.rip = start
                case 1:
                    registers.rip = base + UInt64(Program.jump)
                    registers.r14 = start
                default: registers.rip = base
                }
                var other = registers
                for _ in 0..<3 {
                    #expect(try patched.context.run(&registers, in: patched.space) == .systemCall)
                    #expect(try plain.context.run(&other, in: plain.space) == .systemCall)
                    // What the host keeps of a fault that it mended, and the guest never sees.
                    registers.eflags &= ~0x1_0000
                    registers.r11 &= ~0x1_0000
                    #expect(registers == other, "\(chosen)")
                    registers.rax = random.next() % 4 == 0 ? 0 &- (random.next() & 0xfff) : random.next() & 0xffff
                    other.rax = registers.rax
                }
            }
            #expect(try patched.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            #expect(try patched.readData(0x3f00, 0xf0) == plain.readData(0x3f00, 0xf0))
            Self.end(patched, plain)
        }
    }

    /// Whoever looks at an interrupted thread finds it at an instruction of its own, with what its registers hold there.
    @Test func interruptedThreadsStandInTheirOwnCode() throws {
        try onThread {
            // mov %rax,%rdi; call; inc %rbx; jmp start, and a call that the stub answers
            let program = Program([[[0x48, 0x89, 0xc7], [0xe8], [0x48, 0xff, 0xc3]]])
            for isAnswered in [false, true] {
                let guest = try Self.start(program, isPatched: true)
                #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
                let context = guest.context
                if isAnswered {
                    context.setFacts(TaskFacts(processID: 7, threadID: 8, user: 9, effectiveUser: 10, group: 11, effectiveGroup: 12))
                }
                var registers = guest.entry { $0.r15 = isAnswered ? 39 : 500 }
                let stack = registers.rsp
                let inside = Guest.code..<Guest.code + 0x1000
                for _ in 0..<300 {
                    let other = try Worker { context.interrupt() }
                    while true {
                        let event = try context.run(&registers, in: guest.space)
                        #expect(inside.contains(registers.rip))
                        // Pushed, in the routine alone.
                        #expect(registers.rsp == (registers.rip >= Guest.code + UInt64(Program.routine) ? stack - 8 : stack))
                        if event == .interrupted { break }
                        guard event == .systemCall, registers.orig_rax == registers.r15 else { throw Errno.EINVAL }
                        registers.rax = 7
                    }
                    try other.wait()
                }
                if isAnswered { #expect(registers.rdi == 7 || registers.rdi == 8) }
                Self.end(guest)
            }
        }
    }

    /// A fault of an instruction that has moved is the original's.
    @Test func faultsAreTheOriginals() throws {
        try onThread {
            let cases: [([UInt8], FaultInfo)] = [
                // mov (%rsi),%edx: the memory, and no memory at all
                ([0x8b, 0x16], FaultInfo(signal: 11, code: 1, address: 0x1234, access: .read)),
                ([0x8b, 0x16], FaultInfo(signal: 11, code: 0x80, address: 0, access: nil)),
                // div %esi
                ([0xf7, 0xf6], FaultInfo(signal: 8, code: 1, address: Guest.code + 8, access: nil)),
            ]
            for (instruction, expected) in cases {
                let program = Program([[[0x48, 0x89, 0xc7], instruction, [0x48, 0xff, 0xc3]]])
                let guest = try Guest(.systrap, program.code)
                var registers = guest.entry {
                    $0.r15 = 500
                    $0.rsi = Guest.data
                }
                for _ in 0..<130 {
                    #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                    registers.rdx = 0
                }
                #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
                registers.rax = 77
                registers.rsi = expected.signal == 8 ? 0 : expected.code == 0x80 ? 1 << 63 : 0x1234
                #expect(try guest.context.run(&registers, in: guest.space) == .fault(expected))
                #expect(registers.rip == Guest.code + 8)
                #expect(registers.rdi == 77)
                // The instruction is repeated.
                registers.rsi = Guest.data
                let rbx = registers.rbx
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                #expect(registers.rbx == rbx + 1)
                Self.end(guest)
            }
        }
    }

    /// A loop that begins behind the call would cost a signal each time: the original comes back, and stays.
    @Test func aPlaceThatIsJumpedToOftenIsLeftAlone() throws {
        try onThread {
            // mov %rax,%rdi; 1: dec %rbp; jg 1b; jmp start
            let program = Program([[[0x48, 0x89, 0xc7], [0x48, 0xff, 0xcd], [0x7f, 0xfb]]])
            let guest = try Self.start(program, isPatched: true)
            #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            var registers = guest.entry {
                $0.r15 = 500
                $0.rbp = 40
            }
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.rbp == 0)
            #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            registers.rbp = 1000
            for _ in 0..<300 {
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                #expect(registers.rip == Guest.code + 5)
                #expect(Int64(bitPattern: registers.rbp) <= 0)
            }
            #expect(try guest.readCode(0, program.code.count) == program.code)
            Self.end(guest)
        }
    }

    /// A jump to what is no instruction of those that were moved, such as one behind another's prefix, finds the original.
    @Test func anUnknownPlaceIsLeftAlone() throws {
        try onThread {
            // lock incq -8(%rsp): from the second byte on the same without the lock
            let program = Program([[[0xf0, 0x48, 0xff, 0x44, 0x24, 0xf8], [0x48, 0xff, 0xc3]]])
            let guest = try Self.start(program, isPatched: true)
            #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            var registers = guest.entry {
                $0.r15 = 500
                $0.rip = Guest.code + UInt64(Program.jump)
                $0.r14 = Guest.code + 6
            }
            let before = try guest.readData(0x3fe8, 8)
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.rbx == 1)
            #expect(try guest.readData(0x3fe8, 8)[0] == before[0] &+ 1)
            #expect(try guest.readCode(0, program.code.count) == program.code)
            Self.end(guest)
        }
    }

    /// Threads that run through a site while it is patched, each wherever it happens to be.
    @Test func racingThreadsGoOn() throws {
        try onThread {
            // mov %rax,%rdi; inc %rbx; mov %eax,%edx; cmp $-38,%rax; jmp start
            let program = Program([[[0x48, 0x89, 0xc7], [0x48, 0xff, 0xc3], [0x89, 0xc2], [0x48, 0x83, 0xf8, 0xda]]])
            let platform = try TestPlatform.systrap.shared
            for _ in 0..<20 {
                let guest = try Guest(.systrap, program.code)
                let workers = try (0..<4 as Range<UInt64>).map { _ in
                    try Worker {
                        let context = try platform.makeContext()
                        var registers = guest.entry { $0.r15 = 500 }
                        for call in 0..<200 as Range<UInt64> {
                            guard try context.run(&registers, in: guest.space) == .systemCall, registers.orig_rax == 500,
                                registers.rbx == call,
                                registers.rip == Guest.code + 5
                            else { throw Errno.EINVAL }
                            registers.rax = call
                        }
                        context.release()
                        return registers.rdi
                    }
                }
                for worker in workers { #expect(try worker.wait() == 198) }
                #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
                Self.end(guest)
            }
        }
    }

    /// What is mapped at a patched place later has nothing to do with it: neither its faults nor its calls.
    @Test func whatIsMappedThereLaterIsItsOwn() throws {
        try onThread {
            let guest = try Self.start(Program([[[0x48, 0x89, 0xc7], [0x48, 0xff, 0xc3]]]), isPatched: true)
            #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            // mov %r15,%rax; syscall; hlt
            try guest.exchangeCode([0x4c, 0x89, 0xf8, 0x0f, 0x05, 0xf4])
            var registers = guest.entry { $0.r15 = 500 }
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            for _ in 0..<3 {
                #expect(
                    try guest.context.run(&registers, in: guest.space) == .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil))
                )
                #expect(registers.rip == Guest.code + 5)
            }
            let other = Program([[[0x89, 0xc2], [0x89, 0xd3]]])
            try guest.exchangeCode(other.code)
            registers = guest.entry { $0.r15 = 500 }
            for call in 0..<400 as Range<UInt64> {
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                if call > 0 { #expect(registers.rbx == call - 1) }
                registers.rax = call
            }
            #expect(try guest.readCode(Program.site, 3) == [0xff, 0x24, 0xe5])
            Self.end(guest)
        }
    }

    /// Where in the original a thread is that stands in moved code, with what has been done of the instruction there.
    @Test func placesAreKnown() throws {
        // 0: mov %rax,%rdi; 3: call 0x1000
        let call = try #require(MovedCode([0x48, 0x89, 0xc7, 0xe8, 0xf8, 0x0f, 0, 0], at: 0x7000_0000_0000, covering: 5, to: 0x510_0018))
        #expect(call.places.map(\.offset) == [0, 3, 8, 16])
        #expect(call.places.map(\.original) == [0x7000_0000_0000, 0x7000_0000_0003, 0x7000_0000_0003, 0x7000_0000_1000])
        #expect(call.places.map(\.hasPushed) == [false, false, true, false])
        #expect(call.places.map(\.isStart) == [true, true, false, false])
        // 0: jz 4; 2: neg %eax; 4: inc %eax; 6: (goes on)
        let branch = try #require(MovedCode([0x74, 2, 0xf7, 0xd8, 0xff, 0xc0, 0x90], at: 0x1000, covering: 5, to: 0x510_0018))
        #expect(branch.places.map(\.offset) == [0, 2, 16, 18, 20])
        #expect(branch.places.map(\.original) == [0x1000, 0x1004, 0x1002, 0x1004, 0x1006])
        // The branch leads to what has moved.
        #expect(branch.bytes[8..<16] == MovedCode.little(0x510_0018 + 18)[...])
        // 0: ret; 1: what others jump to, as far as it is known; behind that nothing
        #expect(
            MovedCode([0xc3, 0x89, 0xc2, 0xc3, 0x0f, 0xa2], at: 0x1000, covering: 5, to: 0x510_0018)?.bytes == [0xc3, 0x89, 0xc2, 0xc3])
        #expect(MovedCode([0xc3, 0x89, 0xc2, 0x0f, 0xa2], at: 0x1000, covering: 5, to: 0x510_0018)?.bytes == [0xc3])
        #expect(MovedCode([0x89, 0xc2, 0x0f, 0xa2, 0xc3], at: 0x1000, covering: 5, to: 0x510_0018) == nil)
    }

    /// What is not known stays where it is.
    @Test(arguments: [[0x0f, 0xa2], [0x65, 0x8b, 0x04, 0x25, 0, 0, 0, 0], [0x90, 0x0f, 0x05]] as [[UInt8]])
    func unknownInstructionsAreLeftAlone(_ instruction: [UInt8]) throws {
        try onThread {
            let code: [UInt8] = [0x4c, 0x89, 0xf8, 0x0f, 0x05, 0x89, 0xc2] + instruction + [0xeb, 0xe0]
            let guest = try Guest(.systrap, code)
            for _ in 0..<200 {
                var registers = guest.entry { $0.r15 = 500 }
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            }
            #expect(try guest.readCode(0, code.count) == code)
            Self.end(guest)
        }
    }
}

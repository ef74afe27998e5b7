import Host
import LinuxABI
@_spi(Testing) import SentryPlatform
import Testing

/// Calls that stubs of systrap answer by themselves.
@Suite(.serialized) struct AnswerTests {
    private static let facts = TaskFacts(processID: 7, threadID: 8, user: 9, effectiveUser: 10, group: 11, effectiveGroup: 12)

    /// 1: mov $number,%eax; syscall; mov %rax,%r12; inc %r13; mov $110,%eax; syscall; jmp 1b
    private static func loop(_ number: UInt8) -> [UInt8] {
        [0xb8, number, 0, 0, 0, 0x0f, 0x05, 0x49, 0x89, 0xc4, 0x49, 0xff, 0xc5, 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xea]
    }

    /// The same with `syscall; cmp $-4095,%rax` in place of the first.
    private static func anyLoop(_ number: UInt8) -> [UInt8] {
        [
            0xb8, number, 0, 0, 0, 0x90, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x49, 0x89, 0xc4, 0x49, 0xff, 0xc5, 0xb8, 110, 0,
            0, 0, 0x0f,
            0x05, 0xeb, 0xe3,
        ]
    }

    /// Runs until the loop's first call is answered without an event.
    private static func warm(_ guest: Guest, _ registers: inout Registers, _ number: UInt64) throws {
        for _ in 0..<400 {
            guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
            registers.rax = 0
        }
    }

    struct Question: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var number: UInt8
        var answer: UInt64
        var hasAnyForm = false
    }
    static let questions = [
        Question(testDescription: "sched_yield", number: 24, answer: 0, hasAnyForm: true),
        Question(testDescription: "getpid", number: 39, answer: 7, hasAnyForm: true),
        Question(testDescription: "gettid", number: 186, answer: 8, hasAnyForm: true),
        Question(testDescription: "getuid", number: 102, answer: 9),
        Question(testDescription: "geteuid", number: 107, answer: 10),
        Question(testDescription: "getgid", number: 104, answer: 11),
        Question(testDescription: "getegid", number: 108, answer: 12),
    ]

    @Test(arguments: questions, [false, true]) func areGivenWhileAllowed(_ question: Question, hasOwnGS: Bool) throws {
        try onThread {
            let number = UInt64(question.number)
            for code in question.hasAnyForm ? [Self.loop(question.number), Self.anyLoop(question.number)] : [Self.loop(question.number)] {
                let guest = try Guest(.systrap, code)
                guest.context.setFacts(Self.facts)
                var registers = guest.entry()
                try Self.warm(guest, &registers, number)
                let before = registers.r13
                for round in 1...5 as ClosedRange<UInt64> {
                    registers.r12 = 99
                    #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                    #expect(registers.orig_rax == 110)
                    #expect(registers.r12 == question.answer)
                    #expect(registers.r13 == before + round)
                }
                if hasOwnGS {
                    // A guest with a GS of its own does not take them from there.
                    registers.gs_base = Guest.data
                } else {
                    // Every one is asked for once nothing may be answered, for good.
                    guest.context.withdrawFacts()
                    guest.context.setFacts(Self.facts)
                }
                for _ in 0..<3 {
                    #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                    #expect(registers.orig_rax == number)
                    #expect(registers.gs_base == (hasOwnGS ? Guest.data : 0))
                    registers.rax = 33
                    #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                    #expect(registers.orig_rax == 110)
                    #expect(registers.r12 == 33)
                }
                guest.context.release()
                guest.space.destroy()
            }
        }
    }

    /// A guest that does nothing but such calls can be interrupted wherever it is, and its registers are those of the guest.
    @Test(arguments: questions) func canBeInterrupted(_ question: Question) throws {
        try onThread {
            // 1: mov $number,%eax; [nop;] syscall; [cmp $-4095,%rax;] mov %rax,%r12; jmp 1b
            let first: [UInt8] = [0xb8, question.number, 0, 0, 0, 0x0f, 0x05, 0x49, 0x89, 0xc4, 0xeb, 0xf4]
            let second: [UInt8] = [
                0xb8, question.number, 0, 0, 0, 0x90, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x49, 0x89, 0xc4, 0xeb, 0xed,
            ]
            for code in question.hasAnyForm ? [first, second] : [first] {
                let guest = try Guest(.systrap, code)
                let context = guest.context
                context.setFacts(Self.facts)
                var registers = guest.entry { $0.rbx = 77 }
                var calls = 0
                for _ in 0..<100 {
                    let other = try Worker { context.interrupt() }
                    while true {
                        let event = try context.run(&registers, in: guest.space)
                        #expect(registers.rbx == 77)
                        #expect(registers.rip < SystrapPlatform.code.lowerBound)
                        if event == .interrupted { break }
                        guard event == .systemCall, registers.orig_rax == UInt64(question.number) else { throw Errno.EINVAL }
                        calls += 1
                        registers.rax = question.answer
                    }
                    try other.wait()
                    if calls >= 200 { #expect(registers.r12 == question.answer) }
                }
                context.release()
                guest.space.destroy()
            }
        }
    }
}

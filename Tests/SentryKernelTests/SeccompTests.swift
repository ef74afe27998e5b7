import LinuxABI
import Testing

@testable import SentryKernel

@Suite struct SeccompTests {
    private typealias B = ClassicBPF
    private func filter(_ program: [BPFInstruction]) throws(Errno) -> SeccompFilter { try SeccompFilter(program) }
    private func run(_ filter: SeccompFilter, _ number: UInt32, _ arguments: InlineArray<6, UInt64> = [0, 0, 0, 0, 0, 0]) -> UInt32 {
        filter.run(SeccompData(number: number, instructionPointer: 0x1234_5678_9abc, arguments: arguments)).result
    }
    private let load = BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 0)
    private func ret(_ k: UInt32) -> BPFInstruction { BPFInstruction(B.BPF_RET | B.BPF_K, k) }
    private let retA = BPFInstruction(B.BPF_RET | B.BPF_A)

    @Test(arguments: [
        [],
        [BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 0)],
        [BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 64), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 2), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_JMP | B.BPF_JA, 1), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_JMP | B.BPF_JA, .max), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_JMP | B.BPF_JEQ | B.BPF_K, 0, jumpTrue: 1), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_ALU | B.BPF_DIV | B.BPF_K, 0), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_ALU | B.BPF_LSH | B.BPF_K, 32), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_ST, 16), BPFInstruction(B.BPF_RET | B.BPF_K)],
        [BPFInstruction(B.BPF_LD | B.BPF_MEM, 0), BPFInstruction(B.BPF_RET | B.BPF_A)],
        [BPFInstruction(0xffff), BPFInstruction(B.BPF_RET | B.BPF_K)],
        // MOD is classic BPF, but not for seccomp.
        [BPFInstruction(B.BPF_ALU | 0x90, 1), BPFInstruction(B.BPF_RET | B.BPF_K)],
    ])
    func verifierRefuses(_ program: [BPFInstruction]) {
        #expect(throws: Errno.EINVAL) { _ = try SeccompFilter(program) }
    }

    @Test func tooLong() {
        let program = [BPFInstruction](repeating: ret(0), count: 4097)
        #expect(throws: Errno.EINVAL) { _ = try SeccompFilter(program) }
    }

    @Test func scratchMustBeWrittenOnEveryPath() throws {
        // if nr == 1 skip the store; then load
        let bad = [
            load, BPFInstruction(B.BPF_JMP | B.BPF_JEQ | B.BPF_K, 1, jumpTrue: 1), BPFInstruction(B.BPF_ST, 3),
            BPFInstruction(B.BPF_LD | B.BPF_MEM, 3), retA,
        ]
        #expect(throws: Errno.EINVAL) { _ = try SeccompFilter(bad) }
        let good = [
            load, BPFInstruction(B.BPF_ST, 3), BPFInstruction(B.BPF_LD | B.BPF_IMM, 0), BPFInstruction(B.BPF_LD | B.BPF_MEM, 3), retA,
        ]
        #expect(run(try filter(good), 42) == 42)
    }

    @Test func dataWords() throws {
        func word(_ offset: UInt32) throws -> UInt32 {
            run(try filter([BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, offset), retA]), 7, [0x1_0000_0002, 3, 4, 5, 6, 0x8_0000_0009])
        }
        #expect(try word(0) == 7)
        #expect(try word(4) == 0xc000_003e)
        #expect(try word(8) == 0x5678_9abc)
        #expect(try word(12) == 0x1234)
        #expect(try word(16) == 2)
        #expect(try word(20) == 1)
        #expect(try word(56) == 9)
        #expect(try word(60) == 8)
    }

    @Test func arithmetic() throws {
        func alu(_ operation: UInt16, _ a: UInt32, _ k: UInt32) throws -> UInt32 {
            run(try filter([BPFInstruction(B.BPF_LD | B.BPF_IMM, a), BPFInstruction(B.BPF_ALU | operation | B.BPF_K, k), retA]), 0)
        }
        #expect(try alu(B.BPF_ADD, .max, 2) == 1)
        #expect(try alu(B.BPF_SUB, 0, 1) == .max)
        #expect(try alu(B.BPF_MUL, 0x1_0000, 0x1_0000) == 0)
        #expect(try alu(B.BPF_DIV, 7, 2) == 3)
        #expect(try alu(B.BPF_AND, 0xff, 0x0f) == 0x0f)
        #expect(try alu(B.BPF_OR, 0xf0, 0x0f) == 0xff)
        #expect(try alu(B.BPF_XOR, 0xff, 0x0f) == 0xf0)
        #expect(try alu(B.BPF_LSH, 1, 31) == 0x8000_0000)
        #expect(try alu(B.BPF_RSH, 0x8000_0000, 31) == 1)
        // Division by a zero X ends with 0: SECCOMP_RET_KILL_THREAD.
        #expect(
            run(try filter([BPFInstruction(B.BPF_LD | B.BPF_IMM, 9), BPFInstruction(B.BPF_ALU | B.BPF_DIV | B.BPF_X), ret(1)]), 0) == 0)
    }

    @Test func verdictsThatDependOnTheNumberAreConstant() throws {
        let byNumber = try filter([load, BPFInstruction(B.BPF_JMP | B.BPF_JEQ | B.BPF_K, 5, jumpTrue: 1), ret(1), ret(2)])
        #expect(byNumber.run(SeccompData(number: 5, instructionPointer: 0, arguments: [0, 0, 0, 0, 0, 0])) == (2, true))
        let byArgument = try filter([BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 16), retA])
        #expect(!byArgument.run(SeccompData(number: 5, instructionPointer: 0, arguments: [0, 0, 0, 0, 0, 0])).isConstant)
    }

    @Test func mostRestrictiveWinsAndNewestBreaksTies() throws {
        func constant(_ value: UInt32) throws -> SeccompFilter { try filter([ret(value)]) }
        let data = SeccompData(number: 1, instructionPointer: 0, arguments: [0, 0, 0, 0, 0, 0])
        let errno1 = SeccompAction.SECCOMP_RET_ERRNO | 1, errno2 = SeccompAction.SECCOMP_RET_ERRNO | 2
        #expect(try SeccompChain([constant(errno1), constant(SeccompAction.SECCOMP_RET_ALLOW)]).run(data) == errno1)
        #expect(try SeccompChain([constant(errno1), constant(errno2)]).run(data) == errno2)
        #expect(
            try SeccompChain([constant(0), constant(SeccompAction.SECCOMP_RET_KILL_PROCESS)]).run(data)
                == SeccompAction.SECCOMP_RET_KILL_PROCESS)
        let chain = try SeccompChain([constant(errno1)])
        // The second time it comes from the cache.
        #expect(chain.run(data) == errno1 && chain.run(data) == errno1)
    }

    @Test func profileConditions() throws {
        let allow = SeccompAction.SECCOMP_RET_ALLOW, deny = SeccompAction.SECCOMP_RET_ERRNO | 1
        func check(_ comparison: SeccompProfile.Comparison, _ value: UInt64, _ second: UInt64 = 0, argument: UInt64) throws -> Bool {
            let rule = SeccompProfile.Rule(
                numbers: [.personality], action: allow,
                conditions: [.init(index: 0, comparison: comparison, value: value, second: second)])
            let filter = try SeccompProfile(defaultAction: deny, rules: [rule]).compile()
            return run(filter, UInt32(SystemCallNumber.personality.rawValue), [argument, 0, 0, 0, 0, 0]) == allow
        }
        let big: UInt64 = 0x1_0000_0005
        for argument: UInt64 in [0, 4, 5, 6, 0x1_0000_0004, big, 0x1_0000_0006, 0x2_0000_0000, .max] {
            for value: UInt64 in [5, big] {
                #expect(try check(.equal, value, argument: argument) == (argument == value))
                #expect(try check(.notEqual, value, argument: argument) == (argument != value))
                #expect(try check(.less, value, argument: argument) == (argument < value))
                #expect(try check(.lessOrEqual, value, argument: argument) == (argument <= value))
                #expect(try check(.greater, value, argument: argument) == (argument > value))
                #expect(try check(.greaterOrEqual, value, argument: argument) == (argument >= value))
                #expect(try check(.maskedEqual, value, 4, argument: argument) == (argument & value == 4))
            }
        }
    }

    @Test func profileRules() throws {
        let allow = SeccompAction.SECCOMP_RET_ALLOW, deny = SeccompAction.SECCOMP_RET_ERRNO | 1
        let profile = SeccompProfile(
            defaultAction: deny,
            rules: [
                .init(numbers: [.read, .write], action: allow),
                .init(
                    numbers: [.clone], action: allow,
                    conditions: [.init(index: 0, comparison: .equal, value: 1), .init(index: 1, comparison: .equal, value: 2)]),
                .init(numbers: [.clone3], action: SeccompAction.SECCOMP_RET_ERRNO | 38),
                // Twice the same argument: alternatives.
                .init(
                    numbers: [.personality], action: allow,
                    conditions: [.init(index: 0, comparison: .equal, value: 0), .init(index: 0, comparison: .equal, value: 8)]),
            ])
        let filter = try profile.compile()
        func number(_ number: SystemCallNumber) -> UInt32 { UInt32(number.rawValue) }
        #expect(run(filter, number(.read)) == allow && run(filter, number(.write)) == allow && run(filter, number(.open)) == deny)
        #expect(run(filter, number(.clone3)) == SeccompAction.SECCOMP_RET_ERRNO | 38)
        #expect(run(filter, number(.clone), [1, 2, 0, 0, 0, 0]) == allow)
        #expect(run(filter, number(.clone), [1, 3, 0, 0, 0, 0]) == deny)
        #expect(
            run(filter, number(.personality), [8, 0, 0, 0, 0, 0]) == allow && run(filter, number(.personality), [1, 0, 0, 0, 0, 0]) == deny)
        #expect(filter.run(SeccompData(number: number(.read), instructionPointer: 0, arguments: [0, 0, 0, 0, 0, 0])).isConstant)
    }

    private func number(_ number: SystemCallNumber) -> UInt32 { UInt32(number.rawValue) }

    @Test func aRuleWithoutConditionsHoldsForTheWholeCall() throws {
        let allow = SeccompAction.SECCOMP_RET_ALLOW, deny = SeccompAction.SECCOMP_RET_ERRNO | 1
        let one = SeccompProfile.Condition(index: 0, comparison: .equal, value: 1)
        // Whatever the order; and the first of two plain rules counts.
        let filter = try SeccompProfile(
            defaultAction: allow,
            rules: [
                .init(numbers: [.personality], action: deny, conditions: [one]),
                .init(numbers: [.personality], action: SeccompAction.SECCOMP_RET_ERRNO | 38),
                .init(numbers: [.personality], action: SeccompAction.SECCOMP_RET_ERRNO | 39),
                // What the default does anyway is no rule.
                .init(numbers: [.setns], action: allow),
                .init(numbers: [.setns], action: deny, conditions: [one]),
            ]
        ).compile()
        #expect(run(filter, number(.personality), [1, 0, 0, 0, 0, 0]) == SeccompAction.SECCOMP_RET_ERRNO | 38)
        #expect(run(filter, number(.personality), [2, 0, 0, 0, 0, 0]) == SeccompAction.SECCOMP_RET_ERRNO | 38)
        #expect(run(filter, number(.setns), [1, 0, 0, 0, 0, 0]) == deny && run(filter, number(.setns)) == allow)
    }

    @Test func callsNewerThanTheProfileDoNotExist() throws {
        let allow = SeccompAction.SECCOMP_RET_ALLOW, missing = SeccompAction.SECCOMP_RET_ERRNO | 38
        func profile(_ action: UInt32) throws -> SeccompFilter {
            try SeccompProfile(
                defaultAction: action, rules: [.init(numbers: [.read], action: allow), .init(numbers: [.clone3], action: missing)]
            ).compile()
        }
        let newer = number(.clone3) + 1
        for action in [SeccompAction.SECCOMP_RET_ERRNO | 1, SeccompAction.SECCOMP_RET_KILL_PROCESS, SeccompAction.SECCOMP_RET_TRAP] {
            let filter = try profile(action)
            #expect(run(filter, newer) == missing && run(filter, 0x4000_0000) == missing)
            #expect(run(filter, number(.write)) == action && run(filter, number(.read)) == allow && run(filter, .max) == action)
        }
        for action in [allow, SeccompAction.SECCOMP_RET_LOG, SeccompAction.SECCOMP_RET_TRACE | 3, missing] {
            #expect(run(try profile(action), newer) == action)
        }
    }

    @Test func foreignCallsEndTheThread() throws {
        let allow = SeccompAction.SECCOMP_RET_ALLOW
        var profile = SeccompProfile(defaultAction: allow, rules: [.init(numbers: [.read], action: SeccompAction.SECCOMP_RET_ERRNO | 1)])
        let filter = try profile.compile()
        let i386 = SeccompData(number: 0, instructionPointer: 0, arguments: [0, 0, 0, 0, 0, 0], architecture: 0x4000_0003)
        #expect(filter.run(i386).result == SeccompAction.SECCOMP_RET_KILL_THREAD)
        #expect(run(filter, 0x4000_0000) == SeccompAction.SECCOMP_RET_KILL_THREAD)
        #expect(run(filter, .max) == allow)
        profile.servesX32 = true
        #expect(run(try profile.compile(), 0x4000_0001) == allow)
    }

    @Test func profilesHaveTheBoundsOfLinux() throws {
        let rule = SeccompProfile.Rule(
            numbers: (0..<400).map { SystemCallNumber(rawValue: $0) }, action: SeccompAction.SECCOMP_RET_ALLOW,
            conditions: (0..<6).map { .init(index: $0, comparison: .equal, value: 1) })
        #expect(throws: Errno.EINVAL) { _ = try SeccompProfile(defaultAction: 0, rules: [rule]).compile() }
        let impossible = SeccompProfile.Rule(
            numbers: [.read], action: SeccompAction.SECCOMP_RET_ALLOW, conditions: [.init(index: 6, comparison: .equal, value: 1)])
        #expect(throws: Errno.EINVAL) { _ = try SeccompProfile(defaultAction: 0, rules: [impossible]).compile() }
    }
}

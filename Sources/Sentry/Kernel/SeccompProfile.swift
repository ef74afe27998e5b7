public import LinuxABI

/// linux.seccomp of an OCI configuration, decoded: names are numbers, actions are SECCOMP_RET_* with their data.
public struct SeccompProfile: Sendable {
    public enum Comparison: Sendable, Hashable {
        case notEqual, less, lessOrEqual, equal, greaterOrEqual, greater
        /// The argument masked with `value` equals `second`.
        case maskedEqual
    }
    /// A test of one argument; all tests of a rule must hold.
    public struct Condition: Sendable {
        /// 0 to 5
        public var index: Int
        public var comparison: Comparison
        public var value: UInt64
        public var second: UInt64
        public init(index: Int, comparison: Comparison, value: UInt64, second: UInt64 = 0) {
            self.index = index
            self.comparison = comparison
            self.value = value
            self.second = second
        }
    }
    public struct Rule: Sendable {
        public var numbers: [SystemCallNumber]
        public var action: UInt32
        public var conditions: [Condition]
        public init(numbers: [SystemCallNumber], action: UInt32, conditions: [Condition] = []) {
            self.numbers = numbers
            self.action = action
            self.conditions = conditions
        }
    }
    public var defaultAction: UInt32
    public var rules: [Rule]
    /// Whether calls with the x32 bit are for the default action; otherwise they are of a foreign architecture.
    public var servesX32 = false
    private static let x32Bit: UInt32 = 0x4000_0000
    public init(defaultAction: UInt32, rules: [Rule]) {
        self.defaultAction = defaultAction
        self.rules = rules
    }

    /// The program, which decides as libseccomp's does under runc. A rule that does what the default does says nothing. The first rule of a call
    /// without conditions holds for the whole call, whatever conditions other rules have; without one, the rules are tried in order. Several
    /// conditions on one argument are alternatives, as container engines mean them. Calls newer than every call of the profile do not exist
    /// (ENOSYS) unless the default lets them pass, so that C libraries fall back to what the profile knows. Calls of another architecture end the
    /// thread. EINVAL for an impossible index, and for a program that Linux would not take.
    public func compile() throws(Errno) -> SeccompFilter {
        var byNumber: [UInt64: [(conditions: [Condition], action: UInt32)]] = [:]
        var newest: UInt64 = 0
        for rule in rules {
            for number in rule.numbers { newest = max(newest, number.rawValue) }
            if rule.action == defaultAction { continue }
            for condition in rule.conditions where !(0...5).contains(condition.index) { throw .EINVAL }
            let indices = rule.conditions.map { $0.index }
            let isRepeated = Set(indices).count != indices.count
            for number in rule.numbers {
                if isRepeated {
                    for condition in rule.conditions { byNumber[number.rawValue, default: []].append(([condition], rule.action)) }
                } else {
                    byNumber[number.rawValue, default: []].append((rule.conditions, rule.action))
                }
            }
        }
        typealias B = ClassicBPF
        func jump(_ kind: UInt16, _ k: UInt32, _ isTrue: UInt8, _ isFalse: UInt8) -> BPFInstruction {
            BPFInstruction(B.BPF_JMP | kind | B.BPF_K, k, jumpTrue: isTrue, jumpFalse: isFalse)
        }
        func result(_ action: UInt32) -> BPFInstruction { BPFInstruction(B.BPF_RET | B.BPF_K, action) }
        var program = [
            BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 4), jump(B.BPF_JEQ, SeccompAction.AUDIT_ARCH_X86_64, 1, 0),
            result(SeccompAction.SECCOMP_RET_KILL_THREAD), BPFInstruction(B.BPF_LD | B.BPF_W | B.BPF_ABS, 0),
        ]
        if hidesNewerCalls, newest > 0 {
            // -1, which a tracer leaves for a call that shall not be made, is no call.
            program += [
                jump(B.BPF_JEQ, .max, 2, 0), jump(B.BPF_JGT, UInt32(truncatingIfNeeded: newest), 0, 1),
                result(SeccompAction.SECCOMP_RET_ERRNO | UInt32(Errno.ENOSYS.rawValue)),
            ]
        } else if !servesX32 {
            program += [
                jump(B.BPF_JGE, Self.x32Bit, 0, 2), jump(B.BPF_JEQ, .max, 1, 0), result(SeccompAction.SECCOMP_RET_KILL_THREAD),
            ]
        }
        for (number, rules) in byNumber.sorted(by: { $0.key < $1.key }) {
            var block: [BPFInstruction] = []
            let whole = rules.first { $0.conditions.isEmpty }?.action
            if whole == nil { for rule in rules { block += try Self.block(rule.conditions, rule.action) } }
            block.append(result(whole ?? defaultAction))
            if block.count == 1 {
                program.append(jump(B.BPF_JEQ, UInt32(truncatingIfNeeded: number), 0, 1))
            } else {
                program.append(jump(B.BPF_JEQ, UInt32(truncatingIfNeeded: number), 1, 0))
                program.append(BPFInstruction(B.BPF_JMP | B.BPF_JA, UInt32(block.count)))
            }
            program += block
        }
        program.append(result(defaultAction))
        return try SeccompFilter(program)
    }

    /// Whether the default forbids, with another error than ENOSYS.
    private var hidesNewerCalls: Bool {
        switch defaultAction & SeccompAction.SECCOMP_RET_ACTION_FULL {
        case SeccompAction.SECCOMP_RET_ALLOW, SeccompAction.SECCOMP_RET_LOG, SeccompAction.SECCOMP_RET_TRACE: false
        default: defaultAction != SeccompAction.SECCOMP_RET_ERRNO | UInt32(Errno.ENOSYS.rawValue)
        }
    }

    /// Instructions that return `action` when all conditions hold and run on otherwise.
    private static func block(_ conditions: [Condition], _ action: UInt32) throws(Errno) -> [BPFInstruction] {
        typealias B = ClassicBPF
        enum Target { case pass, fail, next }
        struct Step {
            var code: UInt16
            var k: UInt32
            var isTrue = Target.next
            var isFalse = Target.next
        }
        var steps: [[Step]] = []
        for condition in conditions {
            let low = UInt32(16 + 8 * condition.index), high = low + 4
            func load(_ offset: UInt32) -> Step { Step(code: B.BPF_LD | B.BPF_W | B.BPF_ABS, k: offset) }
            func jump(_ kind: UInt16, _ k: UInt32, _ isTrue: Target, _ isFalse: Target) -> Step {
                Step(code: B.BPF_JMP | kind | B.BPF_K, k: k, isTrue: isTrue, isFalse: isFalse)
            }
            let valueHigh = UInt32(truncatingIfNeeded: condition.value >> 32), valueLow = UInt32(truncatingIfNeeded: condition.value)
            switch condition.comparison {
            case .equal:
                steps.append([
                    load(high), jump(B.BPF_JEQ, valueHigh, .next, .fail), load(low), jump(B.BPF_JEQ, valueLow, .pass, .fail),
                ])
            case .notEqual:
                steps.append([
                    load(high), jump(B.BPF_JEQ, valueHigh, .next, .pass), load(low), jump(B.BPF_JEQ, valueLow, .fail, .pass),
                ])
            case .greater, .lessOrEqual:
                let (yes, no): (Target, Target) = condition.comparison == .greater ? (.pass, .fail) : (.fail, .pass)
                steps.append([
                    load(high), jump(B.BPF_JGT, valueHigh, yes, .next), jump(B.BPF_JEQ, valueHigh, .next, no), load(low),
                    jump(B.BPF_JGT, valueLow, yes, no),
                ])
            case .greaterOrEqual, .less:
                let (yes, no): (Target, Target) = condition.comparison == .greaterOrEqual ? (.pass, .fail) : (.fail, .pass)
                steps.append([
                    load(high), jump(B.BPF_JGT, valueHigh, yes, .next), jump(B.BPF_JEQ, valueHigh, .next, no), load(low),
                    jump(B.BPF_JGE, valueLow, yes, no),
                ])
            case .maskedEqual:
                let secondHigh = UInt32(truncatingIfNeeded: condition.second >> 32),
                    secondLow = UInt32(truncatingIfNeeded: condition.second)
                steps.append([
                    load(high), Step(code: B.BPF_ALU | B.BPF_AND | B.BPF_K, k: valueHigh), jump(B.BPF_JEQ, secondHigh, .next, .fail),
                    load(low),
                    Step(code: B.BPF_ALU | B.BPF_AND | B.BPF_K, k: valueLow), jump(B.BPF_JEQ, secondLow, .pass, .fail),
                ])
            }
        }
        let length = steps.reduce(0) { $0 + $1.count }
        var program: [BPFInstruction] = []
        for group in steps {
            let end = program.count + group.count
            for step in group {
                func distance(_ target: Target) throws(Errno) -> UInt8 {
                    let place: Int
                    switch target {
                    case .next: return 0
                    case .pass: place = end
                    // Beyond the return.
                    case .fail: place = length + 1
                    }
                    guard let distance = UInt8(exactly: place - program.count - 1) else { throw .EINVAL }
                    return distance
                }
                program.append(
                    BPFInstruction(step.code, step.k, jumpTrue: try distance(step.isTrue), jumpFalse: try distance(step.isFalse)))
            }
        }
        program.append(BPFInstruction(B.BPF_RET | B.BPF_K, action))
        return program
    }
}

import Control
import LinuxABI
import SentryKernel

/// Compiles `linux.seccomp` of a container's configuration into the classic BPF program that libseccomp would give the kernel: calls of other
/// architectures are refused, the rules of one call are tried in order, and the first whose conditions all hold decides.
enum SeccompCompiler {
    /// Offsets in struct seccomp_data.
    private enum Field {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4
        static func low(_ argument: UInt8) -> UInt32 { 16 + 8 * UInt32(argument) }
        static func high(_ argument: UInt8) -> UInt32 { low(argument) + 4 }
    }
    private static let auditArchitecture: UInt32 = 0xc000_003e  // AUDIT_ARCH_X86_64
    private static let x32Bit: UInt32 = 0x4000_0000

    /// The program. EINVAL when a rule names an argument beyond the sixth or the program exceeds BPF_MAXINSNS.
    static func compile(_ program: SeccompProgram) throws(Errno) -> [BPFInstruction] {
        var code: [BPFInstruction] = [
            .load(Field.architecture), .jump(.equal, auditArchitecture, 1, 0), .result(0x8000_0000), .load(Field.number),
            .jump(.greaterOrEqual, x32Bit, 0, 1), .result(value(program.defaultAction)),
        ]
        // The rules of each call, in the order of the configuration.
        var rules: [UInt32: [SeccompRule]] = [:]
        for rule in program.rules { for call in rule.calls { rules[call, default: []].append(rule) } }
        for call in rules.keys.sorted() {
            guard let list = rules[call] else { continue }
            let body = try compile(list, otherwise: program.defaultAction)
            if body.count == 1 {
                code += [.jump(.equal, call, 0, 1)] + body
            } else {
                code += [.jump(.equal, call, 1, 0), .always(UInt32(body.count))] + body
            }
        }
        code.append(.result(value(program.defaultAction)))
        guard code.count <= 4096 else { throw .EINVAL }
        return code
    }

    /// The rules of one call; ends with an unconditional result.
    private static func compile(_ rules: [SeccompRule], otherwise: Control.SeccompAction) throws(Errno) -> [BPFInstruction] {
        var code: [BPFInstruction] = []
        for rule in rules where !rule.arguments.isEmpty {
            var block: [BPFInstruction] = []
            // Conditions are compiled last to first, so that each knows how far the end of the block is.
            block.append(.result(value(rule.action)))
            for condition in rule.arguments.reversed() {
                guard condition.index < 6, block.count < 200 else { throw .EINVAL }
                block = check(condition, failure: UInt8(block.count)) + block
            }
            code += block
        }
        let unconditional = rules.first { $0.arguments.isEmpty }?.action ?? otherwise
        return code + [.result(value(unconditional))]
    }

    /// Falls through when the condition holds; otherwise skips the `failure` instructions behind it.
    private static func check(_ condition: SeccompArgument, failure: UInt8) -> [BPFInstruction] {
        let high = UInt32(truncatingIfNeeded: condition.value >> 32), low = UInt32(truncatingIfNeeded: condition.value)
        let loadHigh = BPFInstruction.load(Field.high(condition.index)), loadLow = BPFInstruction.load(Field.low(condition.index))
        switch condition.comparison {
        case .equal:
            return [loadHigh, .jump(.equal, high, 0, failure + 2), loadLow, .jump(.equal, low, 0, failure)]
        case .notEqual:
            return [loadHigh, .jump(.equal, high, 0, 2), loadLow, .jump(.equal, low, failure, 0)]
        case .greaterThan, .greaterOrEqual:
            let last: BPFInstruction.Comparison = condition.comparison == .greaterThan ? .greater : .greaterOrEqual
            return [
                loadHigh, .jump(.greater, high, 3, 0), .jump(.equal, high, 0, failure + 2), loadLow, .jump(last, low, 0, failure),
            ]
        case .lessThan, .lessOrEqual:
            // The opposite of the ones above.
            let last: BPFInstruction.Comparison = condition.comparison == .lessThan ? .greaterOrEqual : .greater
            return [
                loadHigh, .jump(.greater, high, failure + 3, 0), .jump(.equal, high, 0, 2), loadLow, .jump(last, low, failure, 0),
            ]
        case .maskedEqual:
            let wantedHigh = UInt32(truncatingIfNeeded: condition.valueTwo >> 32),
                wantedLow = UInt32(truncatingIfNeeded: condition.valueTwo)
            return [
                loadHigh, .and(high), .jump(.equal, wantedHigh, 0, failure + 3), loadLow, .and(low), .jump(.equal, wantedLow, 0, failure),
            ]
        }
    }

    /// SECCOMP_RET_* with its data.
    private static func value(_ action: Control.SeccompAction) -> UInt32 {
        let data = UInt32(action.value)
        switch action.kind {
        case .killProcess: return 0x8000_0000
        case .killThread: return 0
        case .trap: return 0x0003_0000 | data
        case .errno: return 0x0005_0000 | data
        case .notify: return 0x7fc0_0000
        case .trace: return 0x7ff0_0000 | data
        case .log: return 0x7ffc_0000
        case .allow: return 0x7fff_0000
        }
    }
}

extension BPFInstruction {
    enum Comparison: UInt16 { case equal = 0x15, greater = 0x25, greaterOrEqual = 0x35 }
    /// BPF_LD | BPF_W | BPF_ABS
    static func load(_ offset: UInt32) -> BPFInstruction { BPFInstruction(0x20, offset, jumpTrue: 0, jumpFalse: 0) }
    /// BPF_JMP | comparison | BPF_K
    static func jump(_ comparison: Comparison, _ value: UInt32, _ jt: UInt8, _ jf: UInt8) -> BPFInstruction {
        BPFInstruction(comparison.rawValue, value, jumpTrue: jt, jumpFalse: jf)
    }
    /// BPF_JMP | BPF_JA
    static func always(_ distance: UInt32) -> BPFInstruction { BPFInstruction(0x05, distance, jumpTrue: 0, jumpFalse: 0) }
    /// BPF_ALU | BPF_AND | BPF_K
    static func and(_ mask: UInt32) -> BPFInstruction { BPFInstruction(0x54, mask, jumpTrue: 0, jumpFalse: 0) }
    /// BPF_RET | BPF_K
    static func result(_ value: UInt32) -> BPFInstruction { BPFInstruction(0x06, value, jumpTrue: 0, jumpFalse: 0) }
}

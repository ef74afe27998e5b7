import Control
import LinuxABI
import SentryKernel

/// From the control message's words to those of the kernel, which compiles them.
extension SeccompProfile {
    init(_ program: Control.SeccompProgram) {
        self.init(
            defaultAction: program.defaultAction.verdict,
            rules: program.rules.map { rule in
                Rule(
                    numbers: rule.calls.map { SystemCallNumber(rawValue: UInt64($0)) }, action: rule.action.verdict,
                    conditions: rule.arguments.map { argument in
                        Condition(
                            index: Int(argument.index), comparison: Comparison(argument.comparison), value: argument.value,
                            second: argument.valueTwo)
                    })
            })
        servesX32 = program.architectures.contains(SeccompProgram.x32)
    }
}

extension SeccompProfile.Comparison {
    init(_ comparison: Control.SeccompOperator) {
        self =
            switch comparison {
            case .notEqual: .notEqual
            case .lessThan: .less
            case .lessOrEqual: .lessOrEqual
            case .equal: .equal
            case .greaterOrEqual: .greaterOrEqual
            case .greaterThan: .greater
            case .maskedEqual: .maskedEqual
            }
    }
}

extension Control.SeccompAction {
    /// SECCOMP_RET_* with its data.
    fileprivate var verdict: UInt32 {
        let data = UInt32(value)
        return switch kind {
        case .killProcess: LinuxABI.SeccompAction.SECCOMP_RET_KILL_PROCESS
        case .killThread: LinuxABI.SeccompAction.SECCOMP_RET_KILL_THREAD
        case .trap: LinuxABI.SeccompAction.SECCOMP_RET_TRAP | data
        case .errno: LinuxABI.SeccompAction.SECCOMP_RET_ERRNO | data
        case .notify: LinuxABI.SeccompAction.SECCOMP_RET_USER_NOTIF
        case .trace: LinuxABI.SeccompAction.SECCOMP_RET_TRACE | data
        case .log: LinuxABI.SeccompAction.SECCOMP_RET_LOG
        case .allow: LinuxABI.SeccompAction.SECCOMP_RET_ALLOW
        }
    }
}

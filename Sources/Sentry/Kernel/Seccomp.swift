import LinuxABI

/// A verified filter.
public final class SeccompFilter: Sendable {
    init() {}
}

struct SeccompState: Sendable {
    var filters: [SeccompFilter] = []
    var isActive: Bool { !filters.isEmpty }
    init(filters: [SeccompFilter] = []) { self.filters = filters }
}

enum SeccompDecision { case allow, answer(Int), handled }
extension KernelTask {
    func checkSeccomp(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments) -> SeccompDecision { .allow }
    func updateRestartableSequence() {}
    func traceEntry(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments) {}
    func traceExit(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments, _ result: Int) {}
    func inheritScheduling(_ child: KernelTask) {}
    func deliver(_ signal: PendingSignal, _ action: SignalAction) {}
}
struct AlternateStack: Sendable, Hashable {
    var address: UInt64 = 0
    var size: UInt64 = 0
    var flags: UInt32 = AlternateStackFlag.SS_DISABLE
}

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
    func traceEntry(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments) {}
    func traceExit(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments, _ result: Int) {}
}

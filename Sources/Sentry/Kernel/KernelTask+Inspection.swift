import Host
import LinuxABI
import Synchronization

/// What proc shows of a task beyond what the kernel's other users need. Any thread may ask.
public struct TaskInspection: Sendable {
    /// nice(2): -20 to 19.
    public var nice: Int32
    public var scheduling: SchedulingState
    /// prctl(PR_GET_SECCOMP): 0, 1 or 2.
    public var seccompMode: Int
    public var seccompFilters: Int
}

extension KernelTask {
    public var inspection: TaskInspection {
        TaskInspection(
            nice: niceValue.load(ordering: .relaxed), scheduling: scheduling.withLock { $0 }, seccompMode: seccompMode,
            seccompFilters: seccompFilterCount)
    }
}

import Synchronization
import LinuxABI

/// What the scheduling calls set and tell. The host's scheduler decides; these numbers are kept faithfully but rank nothing.
public struct SchedulingState: Sendable, Hashable {
    /// SCHED_*
    public var policy: Int32 = SchedulingPolicy.SCHED_OTHER
    /// sched_priority: 1 to 99 for SCHED_FIFO and SCHED_RR, else 0.
    public var priority: Int32 = 0
    public var resetOnFork = false
    /// ioprio_set(2)
    public var ioPriority: Int32 = 0
    /// sched_setaffinity(2): bit N is virtual processor N.
    public var affinity: [UInt64]

    init(processorCount: Int) {
        affinity = [UInt64](repeating: 0, count: (processorCount + 63) / 64)
        for processor in 0..<processorCount { affinity[processor / 64] |= 1 << UInt64(processor % 64) }
    }
}


extension KernelTask {
    /// What a child takes over, SCHED_RESET_ON_FORK applied.
    func inheritScheduling(_ child: KernelTask) {
        var state = scheduling.withLock { $0 }
        if state.resetOnFork {
            state.policy = SchedulingPolicy.SCHED_OTHER
            state.priority = 0
            state.resetOnFork = false
            if niceValue.load(ordering: .relaxed) < 0 { child.niceValue.store(0, ordering: .relaxed) }
        }
        child.scheduling.withLock { $0 = state }
    }
}

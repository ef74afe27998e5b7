import Host
import LinuxABI
import Synchronization

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

extension KernelTask {
    /// Any thread.
    public var schedulingState: SchedulingState { scheduling.withLock { $0 } }
    public func changeScheduling(_ body: (inout SchedulingState) -> Void) {
        scheduling.withLock { body(&$0) }
        for number in [processor.load(ordering: .relaxed), shownProcessor.load(ordering: .relaxed)]
        where number >= 0 && !mayRun(on: Int(number)) {
            return post(Interrupt.processor)
        }
    }
    /// nice(2): -20 to 19. Any thread.
    public var nice: Int32 {
        get { niceValue.load(ordering: .relaxed) }
        set { niceValue.store(newValue, ordering: .relaxed) }
    }
    /// The virtual processor that the task counts as running on: one of its affinity mask, spread by thread id.
    public var virtualProcessor: Int {
        // What the guest reads in its own memory and what it is told here must agree.
        let shown = shownProcessor.load(ordering: .relaxed)
        if shown >= 0, mayRun(on: Int(shown)) { return Int(shown) }
        let mask = schedulingState.affinity
        let count = mask.reduce(0) { $0 + $1.nonzeroBitCount }
        guard count > 0 else { return 0 }
        var skip = Int(threadID) % count
        for (index, word) in mask.enumerated() {
            var word = word
            while word != 0 {
                if skip == 0 { return index * 64 + word.trailingZeroBitCount }
                skip -= 1
                word &= word - 1
            }
        }
        return 0
    }
}

public import Host
public import LinuxABI
public import SentryVFS
public import Synchronization

/// A process (Linux: thread group, struct signal_struct).
public final class ThreadGroup: Sendable {
    public let kernel: Kernel
    public let container: Container
    public let namespace: PIDNamespace
    /// The process id (tgid) in `namespace`.
    public let processID: Int32
    /// CLOCK_MONOTONIC of the host at the start, in nanoseconds.
    public let startTime: UInt64

    /// Signal state of the process, and the list of its threads.
    struct SignalState {
        var pending = SignalQueue()
        var actions: SignalActions
        /// Threads that have not finished exiting, oldest first.
        var threads: [KernelTask] = []
        /// How many of them have begun to exit.
        var exiting = 0
        /// The wait(2) status, once the whole process is to end.
        var exitStatus: Int32?
        /// The thread that kills the others to become the only one (execve).
        var executing: KernelTask?
        /// The signal of a stop in progress or complete; 0 when running.
        var stopSignal: Int32 = 0
        /// Counts stops, so that a thread takes part in each of them once.
        var stopNumber: UInt64 = 0
        /// Threads that have yet to stop.
        var toStop = 0
        /// Every thread has stopped.
        var isStopped = false
        /// A stop that waitpid(WUNTRACED) has not told yet.
        var isStopWaitable = false
        /// A continuation that waitpid(WCONTINUED) has not told yet.
        var isContinueWaitable = false
        /// CLD_STOPPED or CLD_CONTINUED, still to be told to the parent by a thread of this process.
        var notice: Int32?
    }
    let signals: Lock<SignalState>

    /// Protected by the tree lock.
    public struct TreeState: Sendable {
        public var parent: ThreadGroup?
        /// The parent's thread that made this process: PR_SET_PDEATHSIG follows it.
        weak var birthThread: KernelTask?
        public var children: [ThreadGroup] = []
        public var processGroup: ProcessGroup
        /// The thread whose id is the process id; nil once reaped.
        public var leader: KernelTask?
        /// The wait(2) status of a zombie: every thread has exited.
        public var exit: Int32?
        /// Sent to the parent at exit; 0 for none.
        var exitSignal: Int32
        /// PR_SET_CHILD_SUBREAPER.
        var isSubreaper = false
        /// An ancestor is a subreaper.
        var hasSubreaper = false
        /// execve(2) was done since fork: the parent can no longer move it to another process group.
        var didExecute = false
        var isReaped = false
    }
    public let tree: TreeProtected<TreeState>

    public let limits: ResourceLimits
    /// Woken when a child exits, stops or continues (events: POLLIN).
    public let childEvents = WaitQueue()
    /// Woken when this process becomes a zombie (events: POLLIN); pidfd.
    public let exitEvents = WaitQueue()
    /// Woken when a signal is queued for the process or a thread (events: POLLIN); signalfd.
    public let signalArrivals = WaitQueue()
    let accounting = Lock(Accounting())
    /// ITIMER_* and POSIX timers.
    let timers = ProcessTimers()
    /// oom_score_adj of proc(5), -1000 to 1000; children inherit it.
    public let oomScoreAdjustment = Atomic<Int32>(0)
    /// Told the exit of a process that the kernel itself started (no parent).
    let onExit: (@Sendable (ExitReport) -> Void)?

    init(
        container: Container, processID: Int32, actions: SignalActions, processGroup: ProcessGroup, parent: ThreadGroup?, exitSignal: Int32,
        limits: ResourceLimits, startTime: UInt64, onExit: (@Sendable (ExitReport) -> Void)? = nil
    ) {
        kernel = container.kernel
        self.container = container
        namespace = container.namespace
        self.processID = processID
        self.startTime = startTime
        self.limits = limits
        self.onExit = onExit
        signals = Lock(SignalState(actions: actions))
        tree = TreeProtected(TreeState(parent: parent, processGroup: processGroup, exitSignal: exitSignal))
    }

    /// Whether this is process 1 of its namespace, which is immune to signals it does not handle.
    public var isNamespaceInit: Bool { processID == 1 }
    /// The threads that live, oldest first.
    public var threads: [KernelTask] { signals.withLock { $0.threads } }
    public var threadCount: Int { signals.withLock { $0.threads.count } }
    public var actions: SignalActions { signals.withLock { $0.actions } }
    /// SigQ's and ShdPnd of /proc/PID/status.
    public var pendingSignals: (set: SignalSet, count: Int) { signals.withLock { ($0.pending.set, $0.pending.count) } }
    /// Whether job control has stopped the process.
    public var isStopped: Bool { signals.withLock { $0.isStopped } }
    /// Whether the process is a zombie or reaped.
    public var isZombie: Bool { kernel.tree.withLock { tree[$0].exit != nil } }
    /// The leading thread; nil once reaped.
    public var leader: KernelTask? { kernel.tree.withLock { tree[$0].leader } }
    /// The parent's process id as getppid(2) tells it: 0 without one.
    public var parentID: Int32 { kernel.tree.withLock { tree[$0].parent?.processID ?? 0 } }
    public func processGroup(_ proof: TreeLocked) -> ProcessGroup { tree[proof].processGroup }
    public var processGroup: ProcessGroup { kernel.tree.withLock { tree[$0].processGroup } }
    public var session: Session { processGroup.session }
}

public import Host
public import LinuxABI
public import SentryMemory
public import SentryPlatform
public import SentryVFS
import Synchronization

/// What a task holds references to and changes only itself; others read copies.
public struct TaskResources: Sendable {
    /// Nil once the task has exited.
    public var memory: ProcessMemory?
    public var credentials: Credentials
    public var files: DescriptorTable
    public var fileSystemContext: FileSystemContext?
    /// comm: at most 15 bytes.
    public var name: [UInt8]

    public init(
        memory: ProcessMemory?, credentials: Credentials, files: DescriptorTable, fileSystemContext: FileSystemContext?, name: [UInt8]
    ) {
        self.memory = memory
        self.credentials = credentials
        self.files = files
        self.fileSystemContext = fileSystemContext
        self.name = name
    }
}

/// What makes a task look up from what it does; bits of `KernelTask.interrupts`.
enum Interrupt {
    /// A signal may be deliverable.
    static let signal: UInt32 = 1
    /// Job control: stop until the bit is taken away.
    static let stop: UInt32 = 2
    /// Exit now (SIGKILL, exit_group, execve of another thread).
    static let exit: UInt32 = 4
    /// The container is paused.
    static let pause: UInt32 = 8
    /// The parent is to be told of a stop or continuation.
    static let notice: UInt32 = 16
    /// The virtual processor was taken away, or somebody waits for it.
    static let processor: UInt32 = 32
    /// A trap stop of ptrace(2) is due.
    static let trap: UInt32 = 64
    /// SIGKILL came, perhaps while the task exits already: no tracer holds it any longer.
    static let kill: UInt32 = 128
    /// What does not end a wait.
    static let quiet = pause | processor
    /// The task runs guest code: whoever sets another bit must interrupt its context.
    static let inGuest: UInt32 = 1 << 31
}

/// What ps(1) shows as the state of a task.
public enum TaskState: UInt8, Sendable {
    case running, sleeping, uninterruptible, stopped, traced, zombie, dead
    /// The letter in /proc/PID/stat.
    public var letter: UInt8 {
        switch self {
        case .running: UInt8(ascii: "R")
        case .sleeping: UInt8(ascii: "S")
        case .uninterruptible: UInt8(ascii: "D")
        case .stopped: UInt8(ascii: "T")
        case .traced: UInt8(ascii: "t")
        case .zombie: UInt8(ascii: "Z")
        case .dead: UInt8(ascii: "X")
        }
    }
}

/// A guest thread (Linux: task_struct), run by one host thread. All stored properties are here; what they do is in KernelTask+*.swift.
///
/// Each property says who may touch it. "Own thread": only the host thread that runs this task, or its creator before it starts.
public final class KernelTask: FileContext, @unchecked Sendable {  // See each property.
    // MARK: fixed

    public let kernel: Kernel
    public let container: Container
    public let threadGroup: ThreadGroup
    let context: any ExecutionContext
    let parker = Parker()
    /// CLOCK_MONOTONIC of the host at the start, in nanoseconds.
    public let startTime: UInt64

    // MARK: atomic

    /// Bits of `Interrupt`.
    let interrupts = Atomic<UInt32>(0)
    /// The thread id (tid); execve of a thread that is not the leader takes over the leader's.
    let threadIDStorage: Atomic<Int32>
    /// The host thread that runs this task; 0: none.
    private let ownerThread = Atomic<UInt>(0)
    let stateStorage = Atomic<UInt8>(TaskState.running.rawValue)
    /// Ticks of real time (`HostClock.ticks`) that guest code was given control. How much of it the processor ran: `usage`. Written by the own thread alone.
    let guestTime = Atomic<UInt64>(0)
    /// User time in nanoseconds, and how much of `guestTime` it stands for. Written with `ProcessMemory.dividing` held.
    let userTime = Atomic<UInt64>(0)
    let dividedGuestTime = Atomic<UInt64>(0)
    /// `HostClock.ticks` when the guest was last entered; 0: it does not run.
    let guestEntry = Atomic<UInt64>(0)
    /// The host thread's CPU clock (clockid_t) and its value when the task started; for system time. 0: not running.
    let hostClock = Atomic<Int32>(0)
    let hostClockBase = Atomic<UInt64>(0)
    /// Nanoseconds that others took for calls of this task.
    let servedTime = Atomic<UInt64>(0)
    let faults = Atomic<UInt64>(0)
    let voluntarySwitches = Atomic<UInt64>(0)
    let involuntarySwitches = Atomic<UInt64>(0)
    /// /proc/PID/io: bytes and calls. Written by the own thread alone.
    let readBytes = Atomic<UInt64>(0)
    let writtenBytes = Atomic<UInt64>(0)
    let readCalls = Atomic<UInt64>(0)
    let writeCalls = Atomic<UInt64>(0)
    /// The system call in which the task last went to sleep (/proc/PID/syscall).
    let sleepingCall = Lock<SleepingCall?>(nil)
    /// nice(2): -20 to 19.
    let niceValue = Atomic<Int32>(0)
    /// The virtual processor of a task that uses restartable sequences, -1 for none now. Written with the lock of `VirtualProcessors` held.
    let processor = Atomic<Int32>(-1)
    /// A waiting task was given its processor and has not entered guest code since.
    let isSeatFresh = Atomic<Bool>(false)
    /// The processor that the guest was last told, -1 for none. Written by the own thread.
    let shownProcessor = Atomic<Int32>(-1)

    /// Bits of `TraceMode`: what a tracer wants. 0: none.
    let tracing = Atomic<UInt32>(0)

    /// Whether `seccomp` holds anything.
    let hasSeccomp: Atomic<Bool>
    /// no_new_privs that came with another thread's filter.
    let forcedNoNewPrivileges = Atomic<Bool>(false)

    // MARK: behind locks

    struct SignalState {
        var pending = SignalQueue()
        /// Blocked signals.
        var mask: SignalSet
        /// Signals that rt_sigtimedwait waits for although they are blocked.
        var waiting: SignalSet = []
    }
    let signals: Lock<SignalState>
    /// Copies of `own` for other threads.
    private let shared: Lock<TaskResources>
    let scheduling: Lock<SchedulingState>
    /// Another thread's filter with TSYNC changes it too.
    let seccomp: Lock<SeccompState>

    /// ptrace(2): tracer and tracees.
    let trace = TreeProtected(TraceLinks())
    /// The ptrace stop that the task stands in. Whoever holds the lock of an open stop may touch `registers` and `savedMask`.
    let traceStop = Lock(TraceStop())

    // MARK: own thread

    let own: Confined<TaskResources>
    /// The guest's integer registers, valid while it does not run.
    private let registerStorage = Confined(Registers())
    public var registers: Registers {
        @inline(__always) _read { yield registerStorage.value }
        @inline(__always) _modify { yield &registerStorage.value }
    }
    /// A system call has put the registers as they must be (execve, rt_sigreturn): its result is not stored.
    public var keepRegisters = false
    /// What the last system call threw to be restarted; resolved before the guest runs again.
    var pendingRestart: Errno?
    /// What restart_syscall(2) does.
    public var restartBlock: ((KernelTask) throws(Errno) -> Int)?
    /// The mask to go back to when no handler runs (sigsuspend, ppoll and their kin).
    var savedMask: SignalSet?
    var alternateStack = AlternateStack()
    /// The floating-point image of the last signal frame, whose place the next one takes. Empty before the first.
    var signalImage: [UInt8] = []
    /// set_tid_address(2): cleared and woken at exit.
    public var clearThreadID: UInt64 = 0
    /// CLONE_CHILD_SETTID: stored by the child before its first instruction.
    var setThreadID: UInt64 = 0
    /// get_robust_list(2).
    let robustList = Atomic<UInt64>(0)
    /// PR_SET_PDEATHSIG.
    let parentDeathSignal = Atomic<Int32>(0)
    /// The vfork parent that waits until this task's memory is its own.
    var vforkCompletion: Completion?
    /// The address of the last memory fault, for the signal frame (cr2).
    var faultAddress: UInt64 = 0
    /// The signal that `forceSignal` raised last: kills even process 1.
    var forcedSignal: Int32 = 0
    /// The exit status, once decided.
    var exitStatus: Int32 = 0
    var isExiting = false
    /// PR_SET_TIMERSLACK, in nanoseconds.
    public var timerSlack: UInt64 = 50_000
    /// personality(2)
    public var personality: UInt32 = 0
    /// Signals blocked futex PI owners etc. hold; see FutexTable.
    let heldPriorityFutexes = Lock<[FutexKey]>([])
    /// rseq(2)
    var sequences = SequenceArea()
    /// Changed by a tracer with the lock of `traceStop` held.
    var debugRegisters = DebugRegisters()
    /// What SEM_UNDO will undo.
    var undoOfSemaphores: SemaphoreUndo?
    /// A group stop that this thread was counted for already.
    var countedStop: UInt64?
    /// A call that waits while the own thread is in the platform's hands.
    var waitingService: WaitingService?
    /// What the platform may answer by itself has changed.
    var areFactsStale = true
    /// Something other than a system call interrupted guest code, or the numbers of the area are not written yet.
    var areSequencesDisturbed = true

    init(
        container: Container, threadGroup: ThreadGroup, threadID: Int32, context: any ExecutionContext, resources: TaskResources,
        registers: Registers, mask: SignalSet, seccomp: SeccompState, startTime: UInt64
    ) {
        kernel = container.kernel
        self.container = container
        self.threadGroup = threadGroup
        self.context = context
        self.startTime = startTime
        threadIDStorage = Atomic(threadID)
        signals = Lock(SignalState(mask: mask))
        shared = Lock(resources)
        scheduling = Lock(SchedulingState(processorCount: container.processorCount))
        own = Confined(resources)
        self.seccomp = Lock(seccomp)
        hasSeccomp = Atomic(seccomp.isActive)
        self.registers = registers
    }

    // MARK: resources

    /// The caller is this task's own thread for a moment, in which that one waits. Returns who that is, for `giveBack`.
    func borrow() -> UInt { ownerThread.exchange(HostThread.current, ordering: .relaxed) }
    func giveBack(_ owner: UInt) { ownerThread.store(owner, ordering: .relaxed) }

    /// Whether the caller is this task's own thread.
    @inline(__always) public var isCurrent: Bool { ownerThread.load(ordering: .relaxed) == HostThread.current }

    /// The caller becomes this task's own thread, or stops being it.
    func setOwner(_ isOwner: Bool) {
        ownerThread.store(isOwner ? HostThread.current : 0, ordering: .relaxed)
        HostThread.setRunsTask(isOwner)
    }

    /// Everything at once. Any thread.
    public var resources: TaskResources { isCurrent ? own.value : shared.withLock { $0 } }
    /// Changes what the task holds. Own thread, or its creator before it starts.
    public func updateResources<R>(_ body: (inout TaskResources) -> R) -> R {
        let result = body(&own.value)
        shared.withLock { $0 = own.value }
        return result
    }

    /// The mm_struct. Any thread; nil once the task has exited.
    public var memory: ProcessMemory? { isCurrent ? own.value.memory : shared.withLock { $0.memory } }
    /// Any thread; nil once the task has exited.
    public var addressSpace: AddressSpace? { isCurrent ? own.value.memory?.space : shared.withLock { $0.memory?.space } }
    public var credentials: Credentials { isCurrent ? own.value.credentials : shared.withLock { $0.credentials } }
    public var files: DescriptorTable { isCurrent ? own.value.files : shared.withLock { $0.files } }
    public var fileSystemContext: FileSystemContext? { isCurrent ? own.value.fileSystemContext : shared.withLock { $0.fileSystemContext } }
    /// comm: at most 15 bytes.
    public var name: [UInt8] { isCurrent ? own.value.name : shared.withLock { $0.name } }

    // MARK: identity

    /// The thread id in the task's namespace.
    public var threadID: Int32 { threadIDStorage.load(ordering: .relaxed) }
    /// The process id (tgid).
    public var processID: Int32 { threadGroup.processID }
    public var isLeader: Bool { threadID == processID }
    public var namespace: PIDNamespace { threadGroup.namespace }
    /// For ps(1).
    public var state: TaskState { TaskState(rawValue: stateStorage.load(ordering: .relaxed)) ?? .running }

    // MARK: FileContext

    public var fileSizeLimit: UInt64 { threadGroup.limits.current(Resource.RLIMIT_FSIZE) }
    public func fileSizeExceeded() { send(.user(Signal.SIGXFSZ, from: self)) }
}

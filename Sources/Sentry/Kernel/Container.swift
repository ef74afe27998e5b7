public import Diagnostics
public import Host
import LinuxABI
public import SentryMemory
public import SentryVFS
public import Synchronization

/// What a container is made from.
public struct ContainerConfiguration: Sendable {
    public var identifier: String
    public var memoryFile: MemoryFile
    public var hostName: [UInt8] = Array("nestbox".utf8)
    public var domainName: [UInt8] = Array("(none)".utf8)
    /// Tasks that may live at once; nil: no limit of the container's.
    public var tasksLimit: Int?
    /// Processors shown to the guest; at least 1.
    public var processorCount = 1
    /// The process ids of another container of the pod, to be shared.
    public var sharedPIDNamespace: PIDNamespace?
    /// linux.seccomp of the OCI configuration, compiled; applied to every process started in the container.
    public var seccomp: [SeccompFilter] = []
    /// linux.uidMappings and gidMappings.
    public var userNamespace = UserNamespace.initial

    public init(identifier: String, memoryFile: MemoryFile) {
        self.identifier = identifier
        self.memoryFile = memoryFile
    }
}

/// How a container or a process started in it ended.
public struct ExitReport: Hashable, Sendable {
    /// The status as wait(2) gives it: code in bits 8 to 15, or signal in bits 0 to 6 and the core flag in bit 7.
    public var status: Int32
    public var reason: DeathReason
    public init(status: Int32, reason: DeathReason) {
        self.status = status
        self.reason = reason
    }
    /// 0 to 255, or 128 + signal: what a shell and a container engine show.
    public var exitCode: Int32 { status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f) }
}

/// One container: tasks with a view of their own on files, names, ids and memory.
public final class Container: Sendable {
    public let kernel: Kernel
    public let identifier: String
    public let memoryFile: MemoryFile
    public let namespace: PIDNamespace
    /// The number in /proc/PID/ns/uts, ipc and so on.
    public let namespaceIdentifier: UInt64
    public let processorCount: Int
    public let seccomp: [SeccompFilter]
    /// System V objects.
    public let ipc: IPCNamespace
    /// /proc/loadavg
    public let load: LoadAverage
    /// Which ids the container has; every process started in it gets it with its credentials.
    public let userNamespace: UserNamespace

    public struct State: Sendable {
        /// uname(2) nodename, at most 64 bytes.
        public var hostName: [UInt8]
        public var domainName: [UInt8]
        public var tasksLimit: Int?
        /// The first process, once started.
        public var initGroup: ThreadGroup?
        public var isPaused = false
        /// The wait(2) status of the first process, once it has ended.
        var initStatus: Int32?
        /// Set when the first process has ended and, with ids of its own, all others too.
        public var exit: ExitReport?
        /// The reason that overrides the exit status' own (out of memory, killed on request).
        public var deathReason: DeathReason?
        /// How many tasks the guest's out-of-memory killer chose.
        public var outOfMemoryKills: UInt64 = 0
        /// Processes that have ended because their stub did.
        var stubDeaths = 0
    }
    public let state: Lock<State>
    /// Tasks alive now.
    let taskCount = Atomic<Int>(0)
    /// Signals queued with information, for RLIMIT_SIGPENDING.
    let queuedSignals = Atomic<Int>(0)
    /// Woken whenever a task has left.
    public let departures = WaitQueue()
    /// Woken when `exit` is set and when a pause is complete.
    public let events = WaitQueue()

    init(kernel: Kernel, configuration: ContainerConfiguration, namespace: PIDNamespace) {
        self.kernel = kernel
        identifier = configuration.identifier
        memoryFile = configuration.memoryFile
        self.namespace = namespace
        namespaceIdentifier = kernel.makeNamespaceIdentifier()
        processorCount = max(1, configuration.processorCount)
        seccomp = configuration.seccomp
        ipc = IPCNamespace(memoryFile: configuration.memoryFile)
        load = LoadAverage(start: HostClock.monotonic)
        userNamespace = configuration.userNamespace
        state = Lock(
            State(hostName: configuration.hostName, domainName: configuration.domainName, tasksLimit: configuration.tasksLimit))
    }

    /// How many tasks live.
    public var liveTasks: Int { taskCount.load(ordering: .relaxed) }

    /// Takes one task's place, or EAGAIN at the limit.
    func chargeTask() throws(Errno) {
        let count = taskCount.add(1, ordering: .relaxed).newValue
        if let limit = state.withLock({ $0.tasksLimit }), count > limit {
            taskCount.subtract(1, ordering: .relaxed)
            throw .EAGAIN
        }
    }
    func unchargeTask() { taskCount.subtract(1, ordering: .relaxed) }
}

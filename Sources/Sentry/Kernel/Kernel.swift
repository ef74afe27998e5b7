public import Diagnostics
public import Host
public import LinuxABI
public import SentryPlatform
import Synchronization

// Lock order of this module, outermost first. A lock may be taken only while holding ones above it.
//
//   FutexTable bucket           two buckets in index order; guest memory is read below it (AddressSpace's own locks)
//   TreeLock                    kernel.tree: ids, parents, children, groups, sessions, exit states
//   ThreadGroup.signals         shared pending signals, list of threads, stop and exit state
//   PosixTimer.state            one timer of a process
//   SignalActions.table         handlers
//   KernelTask.signals          one thread's pending signals and mask
//   TimerQueue.state            the sandbox's timers (callbacks run without it)
//   leaves                      KernelTask.shared, ThreadGroup.limits and usage, Container.state, KernelLog, WaitQueue
//
// Nothing that can block, and no call into files, happens under TreeLock, signals or a futex bucket.

/// The application kernel: what all containers of one sandbox share.
public final class Kernel: Sendable {
    public let platform: any Platform
    public let systemCalls: SystemCallTable
    /// Loads programs for execve(2); the layer above gives it.
    public let programLoader: any ProgramLoader
    /// The process tree's lock.
    public let tree = TreeLock()
    public let timers: TimerQueue
    public let futexes = FutexTable()
    let sectionSearch = SectionSearch()
    /// dmesg.
    public let log = KernelLog()
    let threads = ThreadPool()
    /// CLOCK_MONOTONIC of the host when this kernel started, in nanoseconds: the guest's boot.
    public let bootTime: UInt64

    private struct State {
        var containers: [String: Container] = [:]
        var unsupported: [String: UInt64] = [:]
        var nextNamespace: UInt64 = 0xF000_0000
    }
    private let state = Lock(State())
    private let traceSystemCalls = Atomic<Bool>(false)
    /// More distinct names than this are counted as one: a guest must not grow the table.
    private static let maximumUnsupported = 2048

    public init(platform: any Platform, systemCalls: SystemCallTable, programLoader: any ProgramLoader) {
        self.platform = platform
        self.systemCalls = systemCalls
        self.programLoader = programLoader
        bootTime = HostClock.monotonic
        timers = TimerQueue()
        tellBootStory()
    }

    /// Gives up what is kept ready for the next task: the guests rest.
    public func releaseIdle() {
        threads.releaseIdle()
        platform.releaseMemory()
    }

    // MARK: unsupported features

    private static let unsupportedUses = Metrics.counter(
        "nestbox_unsupported_total", help: "Uses of system calls, flags and operations that are not supported")

    /// Notes the use of something that is not supported: logged the first time, counted always. `what` names the flag or operation, or is empty for
    /// the whole call.
    public func unsupported(_ call: SystemCallNumber, _ what: String) {
        unsupported(what.isEmpty ? "\(call)" : "\(call): \(what)")
    }

    /// The same for features that are not one call's.
    public func unsupported(_ feature: String) {
        Self.unsupportedUses.add()
        let isFirst = state.withLock { state -> Bool in
            if let count = state.unsupported[feature] {
                state.unsupported[feature] = count &+ 1
                return false
            }
            if state.unsupported.count >= Self.maximumUnsupported {
                state.unsupported["(others)", default: 0] &+= 1
                return false
            }
            state.unsupported[feature] = 1
            return true
        }
        if isFirst { Log.info("unsupported: \(feature)") }
    }

    /// What was asked for and is not supported, with how often.
    public var unsupportedFeatures: [(feature: String, count: UInt64)] {
        state.withLock { $0.unsupported.map { (feature: $0.key, count: $0.value) } }.sorted { $0.feature < $1.feature }
    }

    // MARK: tracing

    /// Whether every system call is written to the log (at level info).
    public var isTracing: Bool {
        get { traceSystemCalls.load(ordering: .relaxed) }
        set { traceSystemCalls.store(newValue, ordering: .relaxed) }
    }

    // MARK: containers and namespaces

    /// A new inode number for a namespace file of proc.
    func makeNamespaceIdentifier() -> UInt64 {
        state.withLock { state in
            defer { state.nextNamespace += 1 }
            return state.nextNamespace
        }
    }

    public func makePIDNamespace() -> PIDNamespace { PIDNamespace(identifier: makeNamespaceIdentifier()) }

    /// Adds a container. `alreadyExists` for an id in use.
    public func makeContainer(_ configuration: ContainerConfiguration) throws(SandboxError) -> Container {
        let container = Container(
            kernel: self, configuration: configuration, namespace: configuration.sharedPIDNamespace ?? makePIDNamespace())
        let isNew = state.withLock { state -> Bool in
            if state.containers[configuration.identifier] != nil { return false }
            state.containers[configuration.identifier] = container
            return true
        }
        if !isNew { throw SandboxError(.alreadyExists, "container \(configuration.identifier) exists already") }
        return container
    }

    public func container(_ identifier: String) -> Container? { state.withLock { $0.containers[identifier] } }
    public var containers: [Container] { state.withLock { Array($0.containers.values) } }

    /// Forgets a container whose processes are gone.
    public func removeContainer(_ identifier: String) {
        let container = state.withLock { $0.containers.removeValue(forKey: identifier) }
        // The process and the container hold each other.
        container?.state.withLock { $0.initGroup = nil }
        container?.ipc.clear()
    }
}

extension Kernel {
    /// A memory barrier on every processor that runs guest code now: the host's own membarrier(2) with MEMBARRIER_CMD_GLOBAL, which waits until all
    /// of the host's threads have passed one. EPERM or ENOSYS where the host refuses it.
    public func memoryBarrier() throws(Errno) { _ = try HostCall.check(HostCall.raw(.membarrier, 1, 0, 0)) }
}

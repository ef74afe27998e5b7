public import Diagnostics
import Host
public import LinuxABI
import SentryMemory
import SentryPlatform
public import SentryVFS
import Synchronization

/// A process that the kernel starts on behalf of the Supervisor: a container's first one, or an exec.
public struct ProcessConfiguration: Sendable {
    public var request: ProgramRequest
    public var credentials: Credentials
    public var fileSystemContext: FileSystemContext
    public var files: DescriptorTable
    public var limits: [ResourceLimit] = ResourceLimits.defaults
    /// Becomes the controlling terminal of the new session.
    public var terminal: (any ControllingTerminal)?
    /// Called once, on the last thread of the process, when it has ended.
    public var onExit: (@Sendable (ExitReport) -> Void)?

    public init(request: ProgramRequest, credentials: Credentials, fileSystemContext: FileSystemContext, files: DescriptorTable) {
        self.request = request
        self.credentials = credentials
        self.fileSystemContext = fileSystemContext
        self.files = files
    }
}

extension Container {
    /// Loads a program into a new process (in a session and process group of its own) that does not run yet: `start(_:)` makes it. The first one
    /// becomes the container's init process. Errors of the loader (ENOENT, EACCES, ENOEXEC), ENOMEM, EAGAIN.
    public func prepare(_ configuration: ProcessConfiguration) throws(Errno) -> KernelTask {
        let context = try kernel.platform.makeContext()
        let resources = TaskResources(
            memory: nil, credentials: configuration.credentials, files: configuration.files,
            fileSystemContext: configuration.fileSystemContext, name: [])
        try chargeTask()
        let now = HostClock.monotonic
        let task: KernelTask
        do throws(Errno) {
            task = try kernel.tree.withLock { proof throws(Errno) in
                let identifier = try namespace.allocate(proof)
                let session = Session(identifier: identifier, namespace: namespace)
                let group = ProcessGroup(identifier: identifier, session: session)
                let threadGroup = ThreadGroup(
                    container: self, processID: identifier, actions: SignalActions(), processGroup: group, parent: nil,
                    exitSignal: Signal.SIGCHLD, limits: ResourceLimits(configuration.limits), startTime: now, onExit: configuration.onExit)
                let task = KernelTask(
                    container: self, threadGroup: threadGroup, threadID: identifier, context: context, resources: resources,
                    registers: Registers(), mask: [], seccomp: SeccompState(filters: seccomp), startTime: now)
                session.tree[proof].leader = threadGroup
                if let terminal = configuration.terminal {
                    session.tree[proof].terminal = terminal
                    terminal.sessionStarted(session)
                    session.tree[proof].foreground = group
                }
                group.tree[proof].members = [threadGroup]
                threadGroup.tree[proof].leader = task
                threadGroup.signals.withLock { $0.threads = [task] }
                namespace.tree[proof].sessions[identifier] = session
                namespace.tree[proof].processGroups[identifier] = group
                namespace.tree[proof].threadGroups[identifier] = threadGroup
                namespace.tree[proof].tasks[identifier] = task
                if namespace.tree[proof].initGroup == nil { namespace.tree[proof].initGroup = threadGroup }
                return task
            }
        } catch {
            unchargeTask()
            context.release()
            throw error
        }
        do throws(Errno) {
            let program = try kernel.programLoader.load(configuration.request, for: task)
            task.updateResources { resources in
                resources.memory = program.memory
                resources.credentials = program.execution.credentials
                resources.name = program.name
            }
            task.registers = program.registers
        } catch {
            abandon(task)
            throw error
        }
        state.withLock { if $0.initGroup == nil { $0.initGroup = task.threadGroup } }
        return task
    }

    /// Runs a prepared process.
    public func start(_ task: KernelTask) throws(Errno) {
        if state.withLock({ $0.isPaused }) { task.post(Interrupt.pause) }
        do { try task.start() } catch {
            abandon(task)
            throw error
        }
    }

    /// Takes back a prepared process that will never run.
    public func abandon(_ task: KernelTask) {
        let group = task.threadGroup
        kernel.tree.withLock { proof in
            group.signals.withLock { $0.threads = [] }
            group.tree[proof].exit = Signal.SIGKILL
            group.reap(proof)
            if namespace.tree[proof].initGroup === group { namespace.tree[proof].initGroup = nil }
        }
        if let memory = task.memory {
            task.updateResources { $0.memory = nil }
            memory.leave()
        }
        for file in task.files.leave() { file.releaseDescriptor(task) }
        task.context.release()
        state.withLock { if $0.initGroup === group { $0.initGroup = nil } }
        unchargeTask()
    }

    // MARK: exit

    /// The first reason given stands.
    public func setDeathReason(_ reason: DeathReason) { state.withLock { $0.deathReason = $0.deathReason ?? reason } }

    private static let stubDeaths = Metrics.counter(
        "nestbox_stub_deaths_total", help: "Guest processes that ended because their stub process did")
    /// So many are told in the log: guest code can end its stub as often as it likes.
    private static let maximumToldStubDeaths = 20

    /// `group` ends because its stub does. That is the end of the container when it is the first process.
    public func noteStubDeath(of group: ThreadGroup, _ reason: DeathReason, _ what: @autoclosure () -> String) {
        Self.stubDeaths.add()
        let (isInit, count) = state.withLock { state -> (Bool, Int) in
            state.stubDeaths += 1
            return (state.initGroup === group, state.stubDeaths)
        }
        if isInit {
            Log.error("process \(group.processID) of \(identifier): \(what())")
            setDeathReason(reason)
        } else if count <= Self.maximumToldStubDeaths {
            let last = count == Self.maximumToldStubDeaths ? " (more of these are only counted)" : ""
            Log.warning("process \(group.processID) of \(identifier): \(what())\(last)")
        }
    }

    /// What is told of a process that ended with `status`.
    func report(status: Int32) -> ExitReport {
        let reason = state.withLock { $0.deathReason } ?? (status & 0x7f == 0 ? .exited : .signaled)
        return ExitReport(status: status, reason: status == Signal.SIGKILL || reason == .exited || reason == .signaled ? reason : .signaled)
    }

    /// The first process has ended: everybody else in the container follows (in its own namespace they are killed already).
    func initExited(status: Int32) {
        state.withLock { $0.initStatus = status }
        killAll()
    }

    /// One task less; the last one of a container whose first process has ended completes the exit.
    func taskLeft() {
        let left = taskCount.subtract(1, ordering: .acquiringAndReleasing).newValue
        departures.notify(.POLLIN)
        guard left == 0 else { return }
        let isComplete = state.withLock { state -> Bool in
            guard let status = state.initStatus, state.exit == nil else { return false }
            let reason = state.deathReason ?? (status & 0x7f == 0 ? .exited : .signaled)
            state.exit = ExitReport(status: status, reason: reason)
            return true
        }
        if isComplete { events.notify(.POLLIN) }
    }

    /// Every process of this container that lives.
    public var threadGroups: [ThreadGroup] {
        kernel.tree.withLock { proof in namespace.threadGroups(proof).filter { $0.container === self && $0.tree[proof].exit == nil } }
    }

    /// SIGKILL for every process, process 1 included.
    public func killAll() { for group in threadGroups { group.kill() } }

    /// Sends a signal to every process of the container (`kill --all`).
    public func signalAll(_ signal: Int32) {
        for group in threadGroups { group.send(SignalInfo(signal: signal, code: SignalCode.SI_USER), fromOutside: true) }
    }

    /// Waits on the calling host thread until the container has ended.
    public func waitForExit() -> ExitReport {
        let waiter = ParkingWaiter()
        events.add(waiter)
        defer { events.remove(waiter) }
        while true {
            if let exit = state.withLock({ $0.exit }) { return exit }
            waiter.park()
        }
    }

    // MARK: pause

    /// Stops every task at its next opportunity; what runs in the guest is interrupted. Idempotent.
    public func pause() {
        state.withLock { $0.isPaused = true }
        for group in threadGroups { for thread in group.threads { thread.post(Interrupt.pause) } }
    }

    /// Lets paused tasks go on.
    public func resume() {
        state.withLock { $0.isPaused = false }
        for group in threadGroups {
            for thread in group.threads {
                thread.interrupts.bitwiseAnd(~Interrupt.pause, ordering: .sequentiallyConsistent)
                thread.parker.unpark()
            }
        }
    }

    // MARK: memory

    private static let outOfMemoryKills = Metrics.counter(
        "nestbox_oom_kills_total", help: "Tasks killed at the memory limit of their container")

    /// The container is at its memory limit: kills the process that holds most (Linux: the largest badness).
    public func killForMemory() {
        var victim: (group: ThreadGroup, resident: UInt64)?
        for group in threadGroups {
            guard let space = group.threads.first?.addressSpace, group.signals.withLock({ $0.exitStatus == nil }) else {
                // Somebody is dying already: the memory comes back soon.
                if group.signals.withLock({ $0.exitStatus == Signal.SIGKILL }) { return }
                continue
            }
            let resident = space.statistics().resident
            if resident >= victim?.resident ?? 0 { victim = (group, resident) }
        }
        guard let victim else { return }
        Self.outOfMemoryKills.add()
        state.withLock { $0.outOfMemoryKills += 1 }
        let name = String(decoding: victim.group.leader?.name ?? [], as: UTF8.self)
        Log.warning(
            "container \(identifier) is out of memory: killing \(victim.group.processID) (\(name)), \(victim.resident) bytes resident")
        kernel.log.append(
            "Memory cgroup out of memory: Killed process \(victim.group.processID) (\(name)) anon-rss:\(victim.resident / 1024)kB",
            time: HostClock.monotonic &- kernel.bootTime)
        if state.withLock({ $0.initGroup === victim.group }) { setDeathReason(.guestOutOfMemory) }
        victim.group.kill()
    }
}

/// Lets a host thread that is no task wait on a queue.
final class ParkingWaiter: Waiter, @unchecked Sendable {  // Immutable.
    private let parker = Parker()
    init() { super.init(mask: .POLLIN) }
    override func wake(_ events: PollEvents) -> Parker? { parker.post() ? parker : nil }
    func park() { _ = parker.park() }
}

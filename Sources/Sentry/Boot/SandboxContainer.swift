import Control
import Diagnostics
import FileProtocol
import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryNetwork
import SentryVFS
import Synchronization
import Wire

/// One container of the sandbox with everything that belongs to it: its files, its memory, its processes that the Supervisor started.
final class SandboxContainer: Sendable {
    let id: String
    let container: Container
    let initTask: KernelTask
    private unowned let sandbox: Sandbox
    private let isFirst: Bool
    private let cgroup: CgroupLimits
    private let namespace: MountNamespace
    /// Where terminals of the host get their names.
    private let terminals: DevptsFileSystem
    /// Kept open for the Supervisor, which changes the memory limit through it.
    private let memoryFileSystem: SharedDescriptor?
    /// Where the exit report goes that outlives this process.
    private let exitFile: SharedDescriptor?

    /// A process that the Supervisor started: how it ended once it has, and who waits for that.
    private struct Process {
        var report: Control.ExitReport?
        var waiters: [ControlReply] = []
        /// Its terminal, for resize.
        var terminal: HostTerminal?
        var task: KernelTask?
    }
    private struct State {
        var status = ContainerStatus.created
        /// By process id.
        var processes: [Int32: Process] = [:]
        var report: Control.ExitReport?
    }
    private let state = Lock(State())
    private let exitWatcher = Lock<CallbackWaiter?>(nil)
    private let departureWatcher = Lock<CallbackWaiter?>(nil)

    /// The most memory that any report has seen, in bytes.
    private let memoryPeak = Atomic<UInt64>(0)

    /// Ended execs whose status nobody asked for yet; older ones are forgotten.
    private static let maximumEndedProcesses = 4096

    init(_ specification: ContainerSpecification, in sandbox: Sandbox, isFirst: Bool, _ descriptors: DescriptorSet)
        throws(SandboxError)
    {
        id = specification.id
        self.sandbox = sandbox
        self.isFirst = isFirst
        let kernel = sandbox.kernel
        let memoryFile = try Self.openMemory(descriptors, limit: specification.resources.memoryLimit)
        memoryFileSystem = descriptors.takeShared(.memoryFileSystem)
        exitFile = descriptors.takeShared(.exitReport)
        let gofer = try Self.connect(descriptors)
        Timeline.startup.mark("memory, greeting of the gofer")
        cgroup = CgroupLimits(Self.limits(specification.resources))

        container = try kernel.makeContainer(Self.configuration(specification, memoryFile, sandbox))
        do throws(SandboxError) {
            let files = ContainerFiles(
                specification: specification, kernel: kernel, container: container, memoryFile: memoryFile, facts: sandbox.facts,
                sysctls: Self.makeSysctls(container), cgroup: cgroup,
                tree: { index, isShared, isLowerLayer throws(Errno) in
                    try GoferFileSystem(client: gofer, tree: index, shared: isShared, isLowerLayer: isLowerLayer)
                })
            namespace = try files.build()
            Timeline.startup.mark("mounts")
            terminals =
                namespace.mounts.lazy.compactMap { $0.fileSystem as? DevptsFileSystem }.first
                ?? DevptsFileSystem(kernel: kernel, device: FileSystem.makeDevice())
            let prepared = try Self.prepare(specification.process, in: container, namespace, terminals, descriptors)
            initTask = prepared.task
            Timeline.startup.mark("program loaded")
            state.withLock {
                $0.processes[prepared.task.threadID] = Process(terminal: prepared.terminal, task: prepared.task)
            }
        } catch {
            kernel.removeContainer(specification.id)
            gofer.shutDown()
            throw error
        }
        if let terminal = state.withLock({ $0.processes[initTask.threadID]?.terminal }) { Self.makeConsole(terminal, container, namespace) }
        if isFirst, let device = sandbox.view { HostView.start(device, namespace, container.userNamespace) }
        try Self.watch(gofer, of: container)
        if isFirst, let terminal = state.withLock({ $0.processes[initTask.threadID]?.terminal }) { sandbox.watchWindow(of: terminal) }
        let watcher = CallbackWaiter { [weak self] in self?.containerEvent() }
        exitWatcher.withLock { $0 = watcher }
        container.events.add(watcher)
        let rest = sandbox.rest
        let departureWatcher = CallbackWaiter { rest.tellOfWork() }
        self.departureWatcher.withLock { $0 = departureWatcher }
        container.departures.add(departureWatcher)
        Timeline.startup.mark("created")
    }

    private static func configuration(_ specification: ContainerSpecification, _ memoryFile: MemoryFile, _ sandbox: Sandbox)
        throws(SandboxError) -> ContainerConfiguration
    {
        var configuration = ContainerConfiguration(identifier: specification.id, memoryFile: memoryFile)
        if !specification.hostname.isEmpty { configuration.hostName = specification.hostname }
        if !specification.domainname.isEmpty { configuration.domainName = specification.domainname }
        if specification.resources.pidsLimit > 0 { configuration.tasksLimit = Int(clamping: specification.resources.pidsLimit) }
        let cpus = Int(specification.resources.cpuCount)
        configuration.processorCount = cpus == 0 ? sandbox.processorCount : min(cpus, sandbox.processorCount)
        if let seccomp = specification.process.seccomp {
            do { configuration.seccomp = [try SeccompProfile(seccomp).compile()] } catch {
                throw SandboxError(
                    error, "linux.seccomp cannot be compiled",
                    hint: "the filter has more than \(ClassicBPF.BPF_MAXINSNS) instructions: use fewer rules")
            }
        }
        let users = IdentityMap(specification.uidMappings), groups = IdentityMap(specification.gidMappings)
        if !users.isIdentity || !groups.isIdentity { configuration.userNamespace = UserNamespace(users: users, groups: groups) }
        return configuration
    }

    /// What of the limits only the container's own view of its cgroup shows.
    private static func limits(_ resources: ResourceSpecification) -> CgroupLimits.Values {
        var values = CgroupLimits.Values()
        values.cpuQuota = resources.cpuQuota
        values.cpuPeriod = resources.cpuPeriod
        values.cpuShares = resources.cpuShares
        return values
    }

    /// The settings below /proc/sys, with those that others act on connected to them.
    private static func makeSysctls(_ container: Container) -> Sysctls {
        let sysctls = Sysctls(container)
        sysctls.observe("net.core.somaxconn") { value in
            if let number = Int(value), number >= 0 { UnixNamespace.shared.maximumBacklog.store(number, ordering: .relaxed) }
        }
        sysctls.observe("net.unix.max_dgram_qlen") { value in
            if let number = Int(value), number >= 0 { UnixNamespace.shared.maximumDatagrams.store(number, ordering: .relaxed) }
        }
        return sysctls
    }

    /// /dev/console is the terminal of the first process (OCI runtime specification, "Default Devices").
    private static func makeConsole(_ terminal: HostTerminal, _ container: Container, _ namespace: MountNamespace) {
        DeviceDrivers.setConsole(terminal.terminal, for: container)
        let tools = PathTools(context: KernelFileContext.shared, root: namespace.root)
        let path = Array("/dev/console".utf8)
        guard tools.existing(path) == nil else { return }
        do throws(Errno) {
            try VFS.makeNode(
                path.span, at: tools.root, mode: FileType.character.rawValue | 0o620, device: DeviceNumber.make(major: 5, minor: 1),
                tools.context)
        } catch {
            Log.info("/dev/console is left out: \(error.message)")
        }
    }

    private static func openMemory(_ descriptors: DescriptorSet, limit: UInt64) throws(SandboxError) -> MemoryFile {
        guard let memory = descriptors.take(.memory) else {
            throw SandboxError(.invalidArgument, "create came without the memory file")
        }
        do { return try MemoryFile(memory, limit: limit == 0 ? .max : limit) } catch {
            throw SandboxError(error, "map the container's memory file")
        }
    }

    /// Greets the Gofer on the socket that came with the request.
    private static func connect(_ descriptors: DescriptorSet) throws(SandboxError) -> FileClient {
        guard let socket = descriptors.take(.gofer) else {
            throw SandboxError(.invalidArgument, "create came without the gofer's socket")
        }
        do { return try FileClient(socket) } catch {
            throw SandboxError(.protocolViolation, "the gofer's greeting failed: \(error)")
        }
    }

    /// Kills the container when its Gofer is gone: a thread that sleeps until the socket hangs up.
    private static func watch(_ gofer: FileClient, of container: Container) throws(SandboxError) {
        do {
            try startThread(stackSize: 64 << 10) {
                let violation = gofer.waitForEnd()
                if container.state.withLock({ $0.exit != nil }) { return }
                container.setDeathReason(violation == nil ? .goferDied : .goferViolation)
                Log.error("the gofer of \(container.identifier) is gone\(violation.map { ": \($0)" } ?? ""): killing the container")
                container.killAll()
            }
        } catch { throw SandboxError(error, "start a thread") }
    }

    // MARK: Processes

    private struct Prepared {
        var task: KernelTask
        var terminal: HostTerminal?
    }

    /// Loads a program into a new process that does not run yet.
    private static func prepare(
        _ specification: ProcessSpecification, in container: Container, _ namespace: MountNamespace, _ terminals: DevptsFileSystem,
        _ descriptors: DescriptorSet, onExit: (@Sendable (SentryKernel.ExitReport) -> Void)? = nil
    ) throws(SandboxError) -> Prepared {
        let files = DescriptorTable()
        var terminal: HostTerminal?
        let root = namespace.root
        do throws(Errno) {
            if specification.terminal, let shared = descriptors.takeShared(.console) {
                let made = try terminals.makeHostTerminal(
                    input: shared, output: shared, user: specification.uid, group: specification.gid)
                terminal = made
                let name = Array("console".utf8)
                let place = Path(mount: namespace.rootMount, dentry: Dentry(parent: nil, name: name, inode: terminals.inode(of: made)))
                for number: Int32 in 0..<3 {
                    let file = try VFS.open(place, flags: .O_RDWR, KernelFileContext.shared)
                    _ = try files.replace(number, with: file, closeOnExec: false, limit: .max)
                }
                try made.start()
            }
            try descriptors.takeGuests { number, descriptor throws(Errno) in
                let file = try HostFile.wrap(descriptor, user: specification.uid, group: specification.gid)
                _ = try files.replace(number, with: file, closeOnExec: false, limit: .max)
            }
        } catch {
            throw SandboxError(error, "set up the standard streams")
        }
        let tools = PathTools(context: KernelFileContext.shared, root: root)
        var configuration = try ProcessBuilder(specification: specification, tools: tools, userNamespace: container.userNamespace).build(
            files: files)
        configuration.terminal = terminal?.terminal
        configuration.onExit = onExit
        let name = String(decoding: specification.arguments.first ?? [], as: UTF8.self)
        Timeline.startup.mark("streams, credentials")
        do throws(Errno) {
            let task = try container.prepare(configuration)
            task.threadGroup.oomScoreAdjustment.store(specification.oomScoreAdj, ordering: .relaxed)
            return Prepared(task: task, terminal: terminal)
        } catch {
            throw SandboxError(
                error == .ENOENT ? .notFound : .permissionDenied, "exec \(name): \(error.message)",
                hint: error == .ENOEXEC ? "the program is no 64-bit x86 program and no script" : "")
        }
    }

    /// Runs the first process.
    func start() throws(SandboxError) {
        let wasCreated = state.withLock { state -> Bool in
            guard state.status == .created else { return false }
            state.status = .running
            return true
        }
        guard wasCreated else {
            throw SandboxError(.wrongState, "cannot start a container in the \(status) state")
        }
        do { try container.start(initTask) } catch { throw SandboxError(error, "start the first process of \(id)") }
    }

    /// Starts another process; its id.
    func exec(_ specification: ProcessSpecification, _ assignments: [DescriptorAssignment], _ descriptors: DescriptorSet)
        throws(SandboxError) -> Int32
    {
        let status = self.status
        guard status == .created || status == .running || status == .paused else {
            throw SandboxError(.wrongState, "cannot exec in a \(status) container", hint: "start it first")
        }
        let slot = Lock<Int32>(0)
        let prepared = try Self.prepare(specification, in: container, namespace, terminals, descriptors) {
            [weak self] report in self?.processEnded(slot.withLock { $0 }, report)
        }
        let pid = prepared.task.threadID
        slot.withLock { $0 = pid }
        state.withLock { state in
            if state.processes.count > Self.maximumEndedProcesses {
                for (pid, process) in state.processes where process.report != nil { state.processes[pid] = nil }
            }
            state.processes[pid] = Process(terminal: prepared.terminal, task: prepared.task)
        }
        do { try container.start(prepared.task) } catch {
            state.withLock { $0.processes[pid] = nil }
            throw SandboxError(error, "start a process in \(id)")
        }
        return pid
    }

    // MARK: Ends

    /// How long the end of a process waits for its terminal's other side to take the last output.
    private static let terminalPatience: UInt64 = 500_000_000

    /// Runs `body` once the process's terminal, if it had one, has handed its output on and is gone. Does not block: ends are told where they happen.
    private func afterTerminal(of pid: Int32, _ body: @escaping @Sendable () -> Void) {
        guard let terminal = state.withLock({ $0.processes[pid]?.terminal }) else { return body() }
        let finish: @Sendable () -> Void = { [terminals] in
            terminal.drain(deadline: HostClock.monotonic &+ Self.terminalPatience)
            terminal.close()
            terminals.removeHostTerminal(terminal)
            body()
        }
        do throws(Errno) { try startThread(stackSize: 128 << 10, finish) } catch { body() }
    }

    private func processEnded(_ pid: Int32, _ report: SentryKernel.ExitReport) {
        afterTerminal(of: pid) { self.tellEnd(of: pid, report) }
    }

    private func tellEnd(of pid: Int32, _ report: SentryKernel.ExitReport) {
        let message = makeReport(pid, report)
        let waiters = state.withLock { state -> [ControlReply] in
            let waiters = state.processes[pid]?.waiters ?? []
            state.processes[pid]?.report = message
            state.processes[pid]?.waiters = []
            state.processes[pid]?.terminal = nil
            state.processes[pid]?.task = nil
            return waiters
        }
        for waiter in waiters { waiter.succeed(message) }
        sandbox.publish(.exited, self, pid: pid, exit: message)
    }

    /// Something happened to the container: when its last process is gone, everybody is told.
    private func containerEvent() {
        guard let exit = container.state.withLock({ $0.exit }) else { return }
        let isNews = state.withLock { state -> Bool in
            defer { state.status = .stopped }
            return state.status != .stopped
        }
        guard isNews else { return }
        afterTerminal(of: initTask.threadGroup.processID) { self.tellEndOfContainer(exit) }
    }

    private func tellEndOfContainer(_ exit: SentryKernel.ExitReport) {
        let pid = initTask.threadGroup.processID
        let report = makeReport(pid, exit)
        state.withLock { $0.report = report }
        tellEnd(of: pid, exit)
        if let exitFile, let bytes = try? report.encoded() { _ = try? HostCall.write(exitFile.rawValue, at: 0, bytes.span) }
        Log.info("container \(id) ended", [("status", "\(report.status)"), ("reason", "\(report.reason)")])
        if isFirst { sandbox.finish(Int32(report.status)) }
    }

    private func makeReport(_ pid: Int32, _ exit: SentryKernel.ExitReport) -> Control.ExitReport {
        var report = Control.ExitReport()
        report.container = id
        report.pid = pid
        report.status = UInt32(clamping: exit.exitCode)
        report.signal = UInt32(exit.status & 0x7f)
        report.reason = exit.reason
        report.message = exit.reason.explanation
        return report
    }

    /// Answers `reply` when the process ends; at once when it has.
    func wait(_ pid: Int32, _ reply: ControlReply) throws(SandboxError) {
        let isCarried = pid != 0
        let pid = pid == 0 ? initTask.threadGroup.processID : pid
        let (isKnown, report) = state.withLock { state -> (Bool, Control.ExitReport?) in
            guard let process = state.processes[pid] else { return (false, nil) }
            if process.report == nil { state.processes[pid]?.waiters.append(reply) }
            return (true, process.report)
        }
        guard isKnown else { throw SandboxError(.notFound, "process \(pid) of container \(id) does not exist") }
        if let report { return reply.succeed(report) }
        // Whoever waits for a process by its number carries it: the small process that a detached exec leaves behind, `nestbox exec` itself, or
        // `nestbox do`. When the carrier is killed, what it carries is.
        if isCarried {
            reply.onCancel { [weak self] in self?.killProcess(pid) }
        }
    }

    /// Kills a process that nobody carries any more.
    private func killProcess(_ pid: Int32) {
        guard let group = container.threadGroups.first(where: { $0.processID == pid }) else { return }
        Log.info("process \(pid) of container \(id) is killed: its carrier is gone")
        group.send(SignalInfo(signal: Signal.SIGKILL, code: SignalCode.SI_USER), fromOutside: true)
    }

    func signal(_ request: SignalRequest) throws(SandboxError) {
        guard status != .stopped else { throw SandboxError(.wrongState, "container not running") }
        let signal = Int32(request.signal)
        switch request.target {
        case .all:
            if signal == Signal.SIGKILL { container.setDeathReason(.killRequested) }
            if signal != 0 { container.signalAll(signal) }
        case .process, .foreground:
            let pid = request.pid == 0 ? initTask.threadGroup.processID : request.pid
            guard let group = container.threadGroups.first(where: { $0.processID == pid }) else {
                // A container that was created but not started dies of SIGKILL too.
                if request.pid == 0, signal == Signal.SIGKILL { return container.killAll() }
                throw SandboxError(.notFound, "process \(pid) of container \(id): no such process")
            }
            if signal == 0 { return }
            if signal == Signal.SIGKILL, request.pid == 0 { container.setDeathReason(.killRequested) }
            if request.target == .foreground {
                sandbox.kernel.tree.withLock { proof in
                    let foreground = group.tree[proof].processGroup.session.tree[proof].foreground
                    foreground?.send(SignalInfo(signal: signal, code: SignalCode.SI_USER), proof)
                }
            } else {
                group.send(SignalInfo(signal: signal, code: SignalCode.SI_USER), fromOutside: true)
            }
        }
    }

    func resize(_ request: ResizeRequest) throws(SandboxError) {
        let pid = request.pid == 0 ? initTask.threadGroup.processID : request.pid
        guard let terminal = state.withLock({ $0.processes[pid]?.terminal }) else {
            throw SandboxError(.wrongState, "process \(pid) of container \(id) has no terminal")
        }
        terminal.resize(width: request.width, height: request.height)
    }

    func pause() throws(SandboxError) {
        try move(from: .running, to: .paused)
        container.pause()
        sandbox.publish(.paused, self)
    }

    func resume() throws(SandboxError) {
        try move(from: .paused, to: .running)
        container.resume()
        sandbox.publish(.resumed, self)
    }

    private func move(from old: ContainerStatus, to new: ContainerStatus) throws(SandboxError) {
        let found = state.withLock { state -> ContainerStatus in
            defer { if state.status == old { state.status = new } }
            return state.status
        }
        if found != old { throw SandboxError(.wrongState, "container \(id) is \(found), not \(old)") }
    }

    func update(_ resources: ResourceSpecification) {
        if resources.pidsLimit > 0 {
            container.state.withLock { $0.tasksLimit = resources.pidsLimit == .max ? nil : Int(clamping: resources.pidsLimit) }
        }
        if resources.memoryLimit > 0 { container.memoryFile.setLimit(resources.memoryLimit) }
        cgroup.update(Self.limits(resources))
    }

    /// Gives up a container that has stopped or never ran.
    func destroy() throws(SandboxError) -> Control.ExitReport {
        switch status {
        case .created, .creating: container.abandon(initTask)
        case .stopped: break
        case .running, .paused:
            throw SandboxError(.wrongState, "container \(id) is \(status)", hint: "kill it first")
        }
        if let watcher = exitWatcher.withLock({ $0 }) { container.events.remove(watcher) }
        if let watcher = departureWatcher.withLock({ $0 }) { container.departures.remove(watcher) }
        sandbox.kernel.removeContainer(id)
        DeviceDrivers.setConsole(nil, for: container)
        return state.withLock { $0.report } ?? Control.ExitReport()
    }

    // MARK: Reports

    var status: ContainerStatus { state.withLock { $0.status } }

    var entry: ContainerEntry {
        var entry = ContainerEntry()
        entry.id = id
        entry.status = status
        entry.tasks = UInt32(clamping: container.liveTasks)
        entry.memory = container.memoryFile.usage
        entry.memoryPeak = memoryPeak.max(entry.memory, ordering: .relaxed).newValue
        let usage = container.usage
        entry.cpuTime = usage.userTime &+ usage.systemTime
        entry.outOfMemoryKills = container.state.withLock { $0.outOfMemoryKills }
        if let report = state.withLock({ $0.report }) { entry.exit = report }
        return entry
    }
}

/// Calls a function when its queue is notified. The function must not block.
final class CallbackWaiter: Waiter, @unchecked Sendable {  // Immutable.
    private let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
        super.init(mask: .POLLIN)
    }
    override func wake(_ events: PollEvents) -> Parker? {
        body()
        return nil
    }
}

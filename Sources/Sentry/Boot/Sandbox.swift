import Control
import Diagnostics
import FileProtocol
import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

/// The containers of this Sentry and what the Supervisor may do with them. Its methods are called on the control thread; what happens to a
/// container on other threads (a process ends, the Gofer goes away) comes in through closures that only touch `Lock`ed state and replies.
final class Sandbox: Sendable {
    let kernel: Kernel
    /// Processors shown to guests.
    let processorCount: Int
    /// What guests may know of the machine.
    let facts: HostFacts
    private let containers = Lock<[String: SandboxContainer]>([:])
    private let eventStreams = Lock<[ControlReply]>([])
    /// Makes the control server return: the process ends with the first container's status.
    let finish: @Sendable (Int32) -> Void
    /// Is told of what leaves memory behind: programs loaded, tasks ended.
    let rest: RestSignal

    init(
        kernel: Kernel, processorCount: Int, facts: HostFacts, windowSignals: WindowSignals?, view: SharedDescriptor?,
        server: ControlServer
    ) {
        self.kernel = kernel
        self.processorCount = processorCount
        self.facts = facts
        finish = server.finisher
        rest = server.rest
        self.windowSignals = windowSignals
        self.view = view
    }

    /// The FUSE device of the mount that shows the first container to the host.
    let view: SharedDescriptor?

    /// The container called `id`, or "container ... does not exist".
    func container(_ id: String) throws(SandboxError) -> SandboxContainer {
        guard let container = containers.withLock({ $0[id] }) else {
            throw SandboxError(.notFound, "container \"\(id)\" does not exist in this sandbox")
        }
        return container
    }

    var all: [SandboxContainer] { containers.withLock { $0.values.sorted { $0.id < $1.id } } }

    /// Ends the processes whose stub somebody outside has killed, also those that sleep in a call.
    func watchStubs() throws(SandboxError) {
        do throws(Errno) {
            try StubDeaths.shared.start { [weak self] space in
                for container in self?.all ?? [] {
                    for group in container.container.threadGroups where group.leader?.addressSpace?.platformSpace === space {
                        container.container.noteStubDeath(of: group, .stubDied, "the stub was killed from outside")
                        group.send(SignalInfo(signal: Signal.SIGKILL, code: SignalCode.SI_USER), fromOutside: true)
                    }
                }
            }
        } catch { throw SandboxError(error, "watch the stubs") }
    }

    // MARK: Life cycle

    /// Makes a container and loads its program, which does not run yet.
    func create(_ request: Control.CreateRequest, _ descriptors: DescriptorSet) throws(SandboxError) -> TaskReference {
        Timeline.startup.mark("wait for create")
        let specification = request.container
        if let sandbox = request.sandbox { try apply(sandbox) }
        if containers.withLock({ $0[specification.id] != nil }) {
            throw SandboxError(.alreadyExists, "container with id \"\(specification.id)\" exists already")
        }
        if let shared = specification.sharedNamespaces.first {
            throw SandboxError(
                .unsupported, "container \(specification.id) wants to share the \(shared.kind) namespace of \(shared.container)")
        }
        let isFirst = containers.withLock { $0.isEmpty }
        let container = try SandboxContainer(specification, in: self, isFirst: isFirst, descriptors)
        containers.withLock { $0[specification.id] = container }
        publish(.created, container)
        rest.tellOfWork()
        return TaskReference(container: specification.id, pid: container.initTask.threadID)
    }

    /// Settings of the whole sandbox that come with its first container.
    private func apply(_ configuration: SandboxConfiguration) throws(SandboxError) {
        if !["", "auto", kernel.platform.name].contains(configuration.platform) {
            throw SandboxError(
                .invalidArgument, "the sandbox wants platform \(configuration.platform), this Sentry runs \(kernel.platform.name)")
        }
        if configuration.network != "none" {
            throw SandboxError(.unsupported, "network mode \"\(configuration.network)\" is not there yet", hint: "use --network none")
        }
        if configuration.strace { kernel.isTracing = true }
    }

    func start(_ id: String) throws(SandboxError) -> TaskReference {
        Timeline.startup.mark("wait for start")
        let container = try container(id)
        try container.start()
        publish(.started, container)
        rest.tellOfWork()
        return TaskReference(container: id, pid: container.initTask.threadID)
    }

    func exec(_ request: ExecSpecification, _ descriptors: DescriptorSet) throws(SandboxError) -> TaskReference {
        let container = try container(request.container)
        let pid = try container.exec(request.process, request.descriptors, descriptors)
        return TaskReference(container: request.container, pid: pid)
    }

    /// Forgets a stopped container, or one that never started.
    func destroy(_ id: String) throws(SandboxError) -> Control.ExitReport {
        let container = try container(id)
        let report = try container.destroy()
        containers.withLock { _ = $0.removeValue(forKey: id) }
        publish(.destroyed, container)
        return report
    }

    // MARK: Terminals

    /// SIGWINCH, blocked in every thread; set before the first container is made.
    private let windowSignals: WindowSignals?
    private let isWatchingWindow = Atomic<Bool>(false)

    /// Follows the size of the window of the first container's terminal, as an engine sets it at the master.
    func watchWindow(of terminal: HostTerminal) {
        guard let windowSignals, !isWatchingWindow.exchange(true, ordering: .relaxed) else { return }
        terminal.makeControlling()
        try? startThread(stackSize: 64 << 10) {
            while windowSignals.wait() { terminal.resized() }
        }
    }

    // MARK: Events

    func addEventStream(_ reply: ControlReply) {
        reply.beginStream()
        eventStreams.withLock { streams in
            streams.removeAll { $0.isCancelled }
            streams.append(reply)
        }
    }

    func publish(_ kind: EventRecord.Kind, _ container: SandboxContainer, pid: Int32 = 0, exit: Control.ExitReport? = nil) {
        var record = EventRecord()
        record.time = HostClock.realtime
        record.kind = kind
        record.container = container.id
        record.pid = pid
        record.exit = exit
        let streams = eventStreams.withLock { streams in
            streams.removeAll { $0.isCancelled }
            return streams
        }
        for stream in streams { stream.send(record) }
    }
}

/// The signal that says that the window of the controlling terminal has another size.
final class WindowSignals: Sendable {
    private let signals: SignalDescriptor

    /// Call it before any other thread starts: they inherit that the signal is blocked.
    init() throws(Errno) { signals = try SignalDescriptor([Signal.SIGWINCH]) }

    /// Waits for the next one. False when there will be none.
    func wait() -> Bool { (try? signals.next()) != nil }
}

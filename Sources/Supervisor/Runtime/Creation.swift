internal import Confinement
internal import Control
public import Diagnostics
internal import Host
internal import LinuxABI
public import SupervisorOCI

/// What `create` and `run` are asked for. Paths are absolute.
public struct CreateRequestOptions: Sendable {
    public var identifier: String
    public var bundle: String
    public var consoleSocket: String?
    public var pidFile: String?
    /// How many descriptors from 3 on the program gets.
    public var preserveDescriptors = 0
    /// Tell on standard error where the time of the start-up went.
    public var timing = false

    public init(identifier: String, bundle: String) {
        self.identifier = identifier
        self.bundle = bundle
    }
}

/// A configuration that has been read and checked, and what belongs to it.
struct CreationPlan {
    var spec: RuntimeSpec
    var identifier: String
    var bundle: String
    var rootfs: String
    var translation: Translation
    var terminal = TerminalChoice.none
    var consoleSocket: String?
    var pidFile: String?
    var preserveDescriptors = 0
    /// The container ends with the `nestbox` that made it (`do`).
    var endsWithCreator = false
    /// Tell where the time went.
    var timing = false

    enum TerminalChoice { case none, console, own }
}

extension ContainerRuntime {
    /// Reads `bundle`/config.json and checks everything that can be checked before anything is made.
    func plan(_ request: CreateRequestOptions) throws(SandboxError) -> CreationPlan {
        try ContainerIdentifier.check(request.identifier)
        let path = request.bundle + "/config.json"
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try HostFile.read(path, maximum: ConfigurationLimit.documentBytes)
        } catch {
            if error == .ENOENT {
                throw SandboxError(
                    .notFound, "JSON specification file \(path) not found: no such file or directory",
                    hint: "name the bundle with --bundle; nestbox spec writes an example")
            }
            if error == .EFBIG {
                throw SandboxError(.invalidArgument, "\(path) is larger than \(ConfigurationLimit.documentBytes) bytes")
            }
            throw SandboxError(.hostFailure, "read \(path): \(error.text)")
        }
        let spec: RuntimeSpec
        do throws(ConfigurationError) {
            spec = try RuntimeSpec(parsing: bytes)
        } catch {
            throw SandboxError(.invalidArgument, "\(path): \(error)")
        }
        return try plan(spec, request: request)
    }

    /// The part that `do` shares: the configuration is made by hand.
    func plan(_ spec: RuntimeSpec, request: CreateRequestOptions) throws(SandboxError) -> CreationPlan {
        let given = HostPath.absolute(spec.root.path, from: request.bundle)
        guard let rootfs = HostPath.resolved(given) else {
            throw SandboxError(.notFound, "invalid rootfs: stat \(given): no such file or directory", hint: "root.path of config.json")
        }
        if !HostFile.isDirectory(rootfs) { throw SandboxError(.invalidArgument, "invalid rootfs: \(given) is not a directory") }
        if let type = spec.annotations["io.kubernetes.cri.container-type"] ?? spec.annotations["io.kubernetes.cri-o.ContainerType"],
            type == "container"
        {
            throw SandboxError(
                .unsupported, "further containers of a Kubernetes pod are not served yet",
                hint: "this container belongs to pod sandbox \(spec.annotations["io.kubernetes.cri.sandbox-id"] ?? "?")")
        }
        let translation = try Translation(
            spec, identifier: request.identifier, bundle: request.bundle, rootfs: rootfs, environment: .host())
        var plan = CreationPlan(
            spec: spec, identifier: request.identifier, bundle: request.bundle, rootfs: rootfs, translation: translation)
        plan.consoleSocket = request.consoleSocket
        plan.pidFile = request.pidFile
        plan.preserveDescriptors = request.preserveDescriptors
        plan.timing = request.timing
        if plan.preserveDescriptors < 0 || plan.preserveDescriptors > 128 {
            throw SandboxError(.invalidArgument, "--preserve-fds \(plan.preserveDescriptors): expected 0 to 128")
        }
        return plan
    }

    /// Decides about the terminal. A detached container needs somebody to take its master.
    func chooseTerminal(_ plan: inout CreationPlan, detached: Bool) throws(SandboxError) {
        if !plan.spec.process.terminal {
            if plan.consoleSocket != nil {
                throw SandboxError(
                    .invalidArgument, "cannot use console socket if runc will not detach or allocate tty",
                    hint: "set process.terminal to true, or leave --console-socket out")
            }
            return
        }
        if plan.consoleSocket != nil {
            plan.terminal = .console
        } else if detached {
            throw SandboxError(
                .invalidArgument, "cannot allocate tty if runc will detach without setting console socket",
                hint: "give --console-socket, or set process.terminal to false")
        } else {
            plan.terminal = .own
        }
    }

    /// `create`.
    public func create(_ request: CreateRequestOptions) throws(SandboxError) {
        try requireRoot()
        var plan = try plan(request)
        try chooseTerminal(&plan, detached: true)
        // A Ctrl-C must not leave a half-made container: it waits until the container is whole, and then removes it.
        let foreground = try Foreground()
        let record = try make(plan)
        if foreground.isInterrupted {
            try? delete(record.identifier, force: true)
            throw SandboxError(.unavailable, "interrupted by a signal")
        }
        try timing(plan, starts: false)?.print(settings.logFormat)
    }

    /// What `--timing` asks the components for, if it was given.
    func timing(_ plan: CreationPlan, starts: Bool) throws(SandboxError) -> StartupTiming? {
        plan.timing ? try StartupTiming(directory: store.directory(plan.identifier), starts: starts) : nil
    }

    /// Makes the container. When it throws, nothing of it is left.
    func make(_ plan: CreationPlan) throws(SandboxError) -> ContainerRecord {
        var undo = UndoStack()
        do throws(SandboxError) {
            let record = try make(plan, &undo)
            undo.keep()
            return record
        } catch {
            undo.run()
            throw error
        }
    }

    private func make(_ plan: CreationPlan, _ undo: inout UndoStack) throws(SandboxError) -> ContainerRecord {
        Timeline.startup.mark("configuration")
        let identifier = plan.identifier
        for note in plan.translation.notes { Log.info(note) }

        try store.create(identifier)
        let store = store
        undo.push("state directory") { store.remove(identifier) }
        let lock = try store.lock(identifier)
        defer { _ = lock.rawValue }

        var record = ContainerRecord(
            identifier: identifier, bundle: plan.bundle, rootfs: plan.rootfs, created: Timestamps.now(), annotations: plan.spec.annotations)
        record.creator = HostProcess.identity(HostProcess.own)
        record.resources = plan.spec.linux.resources
        record.startContainer = plan.spec.hooks.startContainer
        record.poststart = plan.spec.hooks.poststart
        record.poststop = plan.spec.hooks.poststop
        record.hasTerminal = plan.spec.process.terminal
        record.process = ContainerRecord.ProcessTemplate(plan.spec.process)
        record.seccomp = plan.spec.seccompDocument
        record.userMappings = plan.spec.linux.userMappings
        record.groupMappings = plan.spec.linux.groupMappings
        Timeline.startup.mark("state directory")

        let cgroup = try makeCgroup(plan, &record, &undo)
        try store.save(record)
        Timeline.startup.mark("cgroup")

        // What the kernel gives out before any process exists: a refusal here costs nothing.
        let network = try Network(plan.spec.linux)
        let directory = store.directory(identifier)
        let controls = try Controls(directory: directory)
        // Open from before the Sentry's first instruction: a Sentry whose creator dies before there is a container sees it close, and ends.
        let lifeline = try ComponentClient(directory: directory, .sentry)
        let files = try hostCall("make a socket pair") { () throws(Errno) in try HostCall.socketPair() }
        let log = try componentLog(directory)
        Timeline.startup.mark("network namespace, sockets")

        var launcher = Launcher(settings: settings, identifier: identifier, log: log.rawValue)
        launcher.oomScoreAdjustment = plan.spec.process.oomScoreAdjustment
        // The Sentry first: it has more to do until it is ready. Neither is waited for until both are on their way.
        let sentry = try launcher.startSentry(
            control: controls.sentry.rawValue, network: network.namespace.rawValue, cgroup: cgroup)
        let sentryIdentity = sentry.identity
        Timeline.startup.mark("start the sentry")
        undo.push("sentry") { Component.abandon(sentryIdentity) }
        record.sentry = sentry.identity
        let gofer = try launcher.startGofer(
            plan.translation.gofer, control: controls.gofer.rawValue, files: files.second.rawValue, cgroup: cgroup)
        let goferIdentity = gofer.identity
        Timeline.startup.mark("start the gofer")
        undo.push("gofer") { Component.abandon(goferIdentity) }
        record.gofer = gofer.identity
        try store.save(record)

        let filesEnd = files.takeFirst()
        // Made while the processes start up.
        let memory = try makeMemory(plan, &record)
        let exitFile = try hostCall("make the exit report") { () throws(Errno) in
            try HostCall.open(
                Array(ExitRecord.path(identifier, store: store).utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_TRUNC,
                mode: 0o600)
        }
        var streams = try GuestStreams(
            plan.terminal == .none ? .inherited : plan.terminal == .console ? .newTerminal : .ownTerminal,
            preserve: plan.preserveDescriptors,
            size: plan.spec.process.consoleSize.map { WindowSize(ws_row: $0.height, ws_col: $0.width) },
            owner: plan.spec.linux.users.host(plan.spec.process.user.userID) ?? plan.spec.process.user.userID)
        streams.add(filesEnd.rawValue, .gofer)
        streams.add(memory.file.rawValue, .memory)
        streams.add(memory.system.root.rawValue, .memoryFileSystem)
        streams.add(exitFile.rawValue, .exitReport)
        Timeline.startup.mark("memory, streams")

        try Launcher.awaitReady(gofer)
        Timeline.startup.mark("gofer ready")
        try Launcher.awaitReady(sentry)
        Timeline.startup.mark("sentry ready")
        // An open call keeps the connection from being let go as idle while hooks take their time.
        let events = try lifeline.client.begin(.get, "/v1/events")
        defer { try? lifeline.client.cancel(events) }
        try runCreationHooks(plan, record, network)

        var request = CreateRequest()
        request.sandbox = sandboxConfiguration(plan)
        request.container = plan.translation.container
        request.container.descriptors = streams.assignments
        let client = try ComponentClient(directory: directory, .sentry)
        do throws(SandboxError) {
            let _: TaskReference = try client.post("/v1/create", request, descriptors: streams.descriptors)
        } catch {
            throw StartErrorText.describe(error, program: plan.spec.process.arguments.first ?? "")
        }
        Timeline.startup.mark("create")

        record.phase = .created
        if !plan.endsWithCreator { record.creator = nil }
        try store.save(record)
        if let master = streams.master, let path = plan.consoleSocket { try ConsoleSocket.send(master.rawValue, to: path) }
        if let path = plan.pidFile { try writePidFile(path, record.sentry.processID) }
        Timeline.startup.mark("records")
        return record
    }

    private func makeCgroup(_ plan: CreationPlan, _ record: inout ContainerRecord, _ undo: inout UndoStack) throws(SandboxError) -> Cgroup?
    {
        let linux = plan.spec.linux
        // Without a path and without limits there is nothing to group for.
        if linux.cgroupsPath.isEmpty, linux.resources == ResourcesSpec() { return nil }
        let layout = Cgroup.hostLayout()
        if layout.kind == .none {
            if linux.resources != ResourcesSpec() {
                Log.warning("no cgroup hierarchy is mounted: the host-side limits of container \(plan.identifier) are left out")
            }
            return nil
        }
        let path = linux.cgroupsPath.isEmpty ? Cgroup.commonParent + "/" + plan.identifier : linux.cgroupsPath
        let cgroup = Cgroup(cgroupsPath: path, layout: layout)
        let made = try cgroup.create()
        undo.push("cgroup") { cgroup.remove(made: made) }
        record.cgroupDirectories = cgroup.directories.map {
            .init(path: $0.path, controllers: $0.controllers, isUnified: $0.isUnified)
        }
        record.cgroupMade = made
        try cgroup.apply(linux.resources)
        return cgroup
    }

    private func makeMemory(_ plan: CreationPlan, _ record: inout ContainerRecord) throws(SandboxError) -> ContainerMemory {
        let limit = plan.translation.container.resources.memoryLimit
        let memory = try ContainerMemory(size: limit > 0 ? limit : RuntimeEnvironment.host().memory)
        if let attributes = try? HostCall.statx(
            at: memory.system.root.rawValue, [], flags: AtFlag.AT_EMPTY_PATH, mask: StatxMask.STATX_BASIC_STATS)
        {
            record.memoryRoot = .init(
                device: UInt64(attributes.stx_dev_major) << 32 | UInt64(attributes.stx_dev_minor), inode: attributes.stx_ino)
        }
        return memory
    }

    private func sandboxConfiguration(_ plan: CreationPlan) -> SandboxConfiguration {
        var sandbox = SandboxConfiguration()
        sandbox.platform = settings.platform
        sandbox.id = plan.identifier
        sandbox.logLevel = settings.logLevel.rawValue
        sandbox.logFormat = settings.logFormat.rawValue
        sandbox.strace = settings.strace
        sandbox.allowFaults = settings.allowFaults
        sandbox.memoryLimit = plan.translation.container.resources.memoryLimit
        sandbox.cpuCount = plan.translation.container.resources.cpuCount
        return sandbox
    }

    private func runCreationHooks(_ plan: CreationPlan, _ record: ContainerRecord, _ network: borrowing Network) throws(SandboxError) {
        let hooks = plan.spec.hooks
        var state = StateDocument(
            identifier: record.identifier, status: .creating, processID: record.sentry.processID, bundle: record.bundle,
            annotations: record.annotations)
        try Hooks.run(hooks.prestart, kind: "prestart", state: state)
        try Hooks.run(hooks.createRuntime, kind: "createRuntime", state: state)
        state.status = .created
        try Hooks.run(
            hooks.createContainer, kind: "createContainer", state: state,
            networkNamespace: network.namespace.rawValue)
        network.noteInterfaces()
    }

    /// Where Sentry and Gofer log: the log file, or standard error when it was asked for, or a file in the state directory.
    private func componentLog(_ directory: String) throws(SandboxError) -> OwnedDescriptor {
        try hostCall("open the log of the sandbox") { () throws(Errno) in
            if settings.logPath != nil || settings.logLevel <= .debug || settings.strace {
                let number = try HostCall.check(HostCall.raw(.fcntl, Int(logDescriptor), 1030 /* F_DUPFD_CLOEXEC */, 3))
                return OwnedDescriptor(adopting: Int32(number))
            }
            return try HostCall.open(
                Array((directory + "/log").utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_APPEND, mode: 0o600)
        }
    }

    func writePidFile(_ path: String, _ processID: Int32) throws(SandboxError) {
        do throws(Errno) {
            try HostFile.replace(path, Array(String(processID).utf8), mode: 0o644)
        } catch {
            throw SandboxError(.hostFailure, "write the pid file \(path): \(error.text)")
        }
    }
}

/// The memory of one container: a tmpfs as large as its limit, mounted nowhere, with one file in it.
struct ContainerMemory: ~Copyable {
    let system: TemporaryFileSystem
    let file: OwnedDescriptor

    init(size: UInt64) throws(SandboxError) {
        let system = try hostCall("make the memory file system") { () throws(Errno) in
            try TemporaryFileSystem(size: size, name: "nestbox-memory")
        }
        let file = try Self.makeFile(system, size)
        self.system = system
        self.file = file
    }

    private static func makeFile(_ system: borrowing TemporaryFileSystem, _ size: UInt64) throws(SandboxError) -> OwnedDescriptor {
        do throws(Errno) { return try system.makeFile(size: size) } catch {
            throw SandboxError(.hostFailure, "make the memory file: \(error.text)")
        }
    }
}

/// The listening control sockets, in the state directory (0700).
struct Controls: ~Copyable {
    let sentry: OwnedDescriptor
    let gofer: OwnedDescriptor

    init(directory: String) throws(SandboxError) {
        let sentry = try hostCall("bind the control socket \(directory)/sentry.sock") { () throws(Errno) in
            try HostCall.listenUnix(Array((directory + "/sentry.sock").utf8))
        }
        let gofer = try hostCall("bind the control socket \(directory)/gofer.sock") { () throws(Errno) in
            try HostCall.listenUnix(Array((directory + "/gofer.sock").utf8))
        }
        self.sentry = sentry
        self.gofer = gofer
    }
}

/// The network namespace of a new sandbox's Sentry: the container's own, joined by path or new; empty where the configuration gives it none. The Gofer
/// makes an empty one for itself.
struct Network: ~Copyable {
    let namespace: OwnedDescriptor
    private let isJoined: Bool

    init(_ linux: LinuxSpec) throws(SandboxError) {
        let own = linux.namespace(.network)
        if own == nil { Log.info("the configuration shares the host's network: the sandbox has no network yet, only Unix sockets") }
        if let path = own?.path {
            namespace = try NetworkNamespace.open(Array(path.utf8))
            isJoined = true
        } else {
            namespace = try NetworkNamespace.makeEmpty()
            isJoined = false
        }
    }

    /// Until there is a network stack, interfaces that an engine has put there are left alone; the log says so.
    borrowing func noteInterfaces() {
        if isJoined { Log.info("the network namespace given is joined; interfaces in it are left alone: the sandbox has no network yet") }
    }
}

/// Words for a program that could not be started: engines look for some of them.
enum StartErrorText {
    static func describe(_ error: SandboxError, program: String) -> SandboxError {
        let text = error.message.lowercased()
        let prefix = "unable to start container process: " + (text.hasPrefix("exec") ? "" : "exec: \"\(program)\": ")
        switch error.code {
        case .notFound where !text.contains("no such file or directory") && !text.contains("executable file not found"):
            return SandboxError(
                error.code,
                prefix + (program.contains("/") ? "stat \(program): no such file or directory" : "executable file not found in $PATH"),
                hint: error.hint)
        case .notFound: return SandboxError(error.code, prefix + error.message, hint: error.hint)
        case .permissionDenied where !text.contains("permission denied"):
            return SandboxError(error.code, prefix + "permission denied: " + error.message, hint: error.hint)
        case .permissionDenied: return SandboxError(error.code, prefix + error.message, hint: error.hint)
        default: return error
        }
    }
}

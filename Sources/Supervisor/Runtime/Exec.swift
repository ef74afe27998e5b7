internal import Control
public import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI
internal import Wire

/// What `exec` is asked for. Paths are absolute; what is nil or empty comes from the container's own process.
public struct ExecRequestOptions: Sendable {
    public var identifier: String
    public var processFile: String?
    public var arguments: [String] = []
    public var terminal = false
    public var workingDirectory: String?
    public var environment: [String] = []
    public var user: (userID: UInt32, groupID: UInt32?)?
    public var additionalGroups: [UInt32] = []
    public var capabilities: [String] = []
    public var noNewPrivileges = false
    public var detach = false
    public var pidFile: String?
    public var consoleSocket: String?
    public var preserveDescriptors = 0

    public init(identifier: String) { self.identifier = identifier }
}

extension ContainerRuntime {
    /// `exec`: the program's status, or 0 at once when it is detached.
    public func exec(_ request: ExecRequestOptions) throws(SandboxError) -> Int32 {
        try requireRoot()
        let observed = try observe(request.identifier)
        try Lifecycle.require(.exec, of: request.identifier, in: observed.status)
        let process = try Self.process(of: request, record: observed.record)
        var identities = LinuxSpec()
        identities.userMappings = observed.record.userMappings
        identities.groupMappings = observed.record.groupMappings
        do throws(ConfigurationError) { try process.user.validate(users: identities.users, groups: identities.groups) } catch {
            throw SandboxError(.invalidArgument, "unable to start container process: unable to setup user: \(error)")
        }
        if process.terminal, request.detach, request.consoleSocket == nil {
            throw SandboxError(
                .invalidArgument, "cannot allocate tty if runc will detach without setting console socket",
                hint: "give --console-socket, or leave --tty out")
        }
        if !process.terminal, request.consoleSocket != nil {
            throw SandboxError(
                .invalidArgument, "cannot use console socket if runc will not detach or allocate tty", hint: "give --tty too")
        }
        var notes: [String] = []
        var seccomp: SeccompSpec?
        if let document = observed.record.seccomp {
            do throws(ConfigurationError) { seccomp = try SeccompSpec(reading: FieldReader(document)) } catch {
                throw SandboxError(.internalError, "the state file of container \"\(request.identifier)\": \(error)")
            }
        }
        var specification = ExecSpecification()
        specification.container = request.identifier
        specification.process = try Translation.process(process, seccomp: seccomp, notes: &notes)
        for note in notes { Log.info(note) }

        let size = process.consoleSize.map { WindowSize(ws_row: $0.height, ws_col: $0.width) }
        let choice: GuestStreams.Choice = !process.terminal ? .inherited : request.consoleSocket != nil ? .newTerminal : .ownTerminal
        let streams = try GuestStreams(
            choice, preserve: request.preserveDescriptors, size: size,
            owner: identities.users.host(process.user.userID) ?? process.user.userID)
        specification.descriptors = streams.assignments
        if request.detach {
            let carrier = try startCarrier(specification, streams.descriptors, identifier: request.identifier)
            if let master = streams.master, let path = request.consoleSocket { try ConsoleSocket.send(master.rawValue, to: path) }
            if let path = request.pidFile { try writePidFile(path, carrier) }
            return 0
        }
        if let path = request.pidFile { try writePidFile(path, HostProcess.own) }
        if let master = streams.master, let path = request.consoleSocket { try ConsoleSocket.send(master.rawValue, to: path) }
        let terminal = streams.terminal
        let console = TerminalGuard(choice == .ownTerminal ? terminal : nil)
        defer { console.restore() }
        return try ExecSession.run(
            specification, descriptors: streams.descriptors, directory: store.directory(request.identifier), terminal: terminal
        ) { console.makeRaw() }
    }

    /// The process to start: from the file, or from the container's own one with what the options change.
    static func process(of request: ExecRequestOptions, record: ContainerRecord) throws(SandboxError) -> ProcessSpec {
        var process = ProcessSpec()
        if let path = request.processFile {
            do throws(ConfigurationError) {
                let bytes: [UInt8]
                do throws(Errno) {
                    bytes = try HostFile.read(path, maximum: ConfigurationLimit.documentBytes)
                } catch {
                    throw ConfigurationError("", "cannot be read: \(error.text)")
                }
                process = try ProcessSpec(reading: FieldReader(JSON(document: bytes)))
            } catch {
                throw SandboxError(.invalidArgument, "--process \(path): \(error)")
            }
            if request.terminal { process.terminal = true }
            return process
        }
        let template = record.process
        process.arguments = request.arguments
        process.environment = template.environment
        process.workingDirectory = request.workingDirectory ?? template.workingDirectory
        process.user = template.user
        process.capabilities = template.capabilities
        process.noNewPrivileges = template.noNewPrivileges || request.noNewPrivileges
        process.terminal = request.terminal
        for entry in request.environment {
            guard let equals = entry.firstIndex(of: "="), equals != entry.startIndex else {
                throw SandboxError(.invalidArgument, "--env \"\(entry)\": expected NAME=VALUE")
            }
            let prefix = String(entry[...equals])
            process.environment.removeAll { $0.hasPrefix(prefix) }
            process.environment.append(entry)
        }
        if let user = request.user {
            process.user.userID = user.userID
            if let group = user.groupID { process.user.groupID = group }
        }
        process.user.additionalGroupIDs += request.additionalGroups
        if !request.capabilities.isEmpty {
            var capabilities = process.capabilities ?? ProcessSpec.Capabilities()
            capabilities.bounding += request.capabilities
            capabilities.effective += request.capabilities
            capabilities.permitted += request.capabilities
            process.capabilities = capabilities
        }
        if request.arguments.isEmpty {
            throw SandboxError(
                .invalidArgument, "process args cannot be empty", hint: "nestbox exec \(request.identifier) PROGRAM ..., or --process FILE")
        }
        do throws(ConfigurationError) { try process.validate(path: "process") } catch {
            throw SandboxError(.invalidArgument, "\(error)")
        }
        return process
    }

    // MARK: - The carrier of a detached exec

    /// Starts the process that stays, and returns its id once the program runs. Descriptor 3 is the report, 4 the specification, the others follow.
    private func startCarrier(_ specification: ExecSpecification, _ descriptors: [Int32], identifier: String) throws(SandboxError) -> Int32
    {
        let bytes: [UInt8]
        do { bytes = try specification.encoded() } catch {
            throw SandboxError(.invalidArgument, "the process cannot be passed on: \(error)")
        }
        let file = try memoryFile("exec", bytes)
        let report = try hostCall("make a socket pair") { () throws(Errno) in try HostCall.socketPair() }
        let null = try hostCall("open /dev/null") { () throws(Errno) in try HostCall.open(Array("/dev/null".utf8), flags: OpenFlag.O_RDWR) }
        let program = try hostCall("open /proc/self/exe") { () throws(Errno) in
            try HostCall.open(Array("/proc/self/exe".utf8), flags: OpenFlag.O_PATH)
        }
        var spawn = SpawnRequest(executable: program.rawValue)
        var arguments = ["nestbox", "--root", store.root]
        if let path = settings.logPath { arguments += ["--log", path, "--log-format", settings.logFormat == .json ? "json" : "text"] }
        spawn.arguments = (arguments + ["exec-carrier", identifier]).map { Array($0.utf8) }
        spawn.environment = [Array("SWIFT_ROOT=/".utf8)]
        spawn.descriptors = [null.rawValue, null.rawValue, null.rawValue, report.second.rawValue, file.rawValue] + descriptors
        var carrier: Int32 = 0
        do throws(SpawnError) {
            let child = try HostSpawn.start(spawn)
            carrier = child.pid
            try child.proceed()
        } catch {
            throw SandboxError(.hostFailure, "start the carrier of the exec: \(error.step): \(error.errno.text)")
        }
        let answer = report.takeFirst()
        let text = (try? HostFile.read(answer.rawValue, maximum: 65536)) ?? []
        if text == Array("started".utf8) { return carrier }
        try? HostCall.kill(carrier, 9)
        _ = try? HostCall.waitForChild(carrier)
        throw Problem.parse(text) ?? SandboxError(.unavailable, "the carrier of the exec ended before the program was started")
    }

    /// `exec-carrier`: what the process that stays does.
    public func carryExec(_ identifier: String) throws(SandboxError) -> Int32 {
        try requireRoot()
        guard let bytes = try? HostFile.read(4, maximum: 8 << 20), let specification = try? ExecSpecification(decoding: bytes),
            specification.container == identifier
        else {
            throw SandboxError(.invalidArgument, "exec-carrier is started by exec --detach only")
        }
        let report = OwnedDescriptor(adopting: 3)
        let count = Int32(specification.descriptors.count)
        var terminal: Int32?
        for (index, assignment) in specification.descriptors.enumerated() where assignment.role == .console { terminal = 5 + Int32(index) }
        if let terminal {
            // What the terminal's keys send comes to this process, which leads a session, and goes on to the guest's foreground group.
            _ = HostCall.raw(.ioctl, Int(terminal), 0x540E /* TIOCSCTTY */, 0)
        }
        do throws(SandboxError) {
            return try ExecSession.run(
                specification, descriptors: Array(5..<(5 + count)), directory: store.directory(identifier), terminal: terminal
            ) {
                let word = Array("started".utf8)
                _ = try? HostCall.writeAll(report.rawValue, word.span)
                _ = HostCall.raw(.shutdown, Int(report.rawValue), 2 /* SHUT_RDWR */)
                // The guest's streams must end when the guest lets them go, not when this process ends. The terminal stays: it brings signals.
                for number in 5..<(5 + count) where number != terminal { _ = OwnedDescriptor(adopting: number) }
                _ = OwnedDescriptor(adopting: 4)
            }
        } catch {
            let problem = ProblemObject.json(error)
            _ = try? HostCall.writeAll(report.rawValue, problem.span)
            throw error
        }
    }
}

/// One `exec` from its start to its end.
enum ExecSession {
    /// Starts the process, calls `started`, passes signals on, and returns its status. When this process dies, its connection closes, and the
    /// Sentry kills the process.
    static func run(
        _ specification: ExecSpecification, descriptors: [Int32], directory: String, terminal: Int32?, started: () -> Void
    ) throws(SandboxError) -> Int32 {
        let foreground = try Foreground()
        let commands = try ComponentClient(directory: directory, .sentry)
        let waiting = try ComponentClient(directory: directory, .sentry).client
        let task: TaskReference
        do throws(SandboxError) {
            task = try commands.post("/v1/exec", specification, descriptors: descriptors)
        } catch {
            throw StartErrorText.describe(
                error, program: specification.process.arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? "")
        }
        // Before anybody may think that killing this process ends what it carries: the Sentry has to know that it waits.
        let call = try waiting.begin("/v1/wait", task)
        started()
        while true {
            if let report = try waiting.takeResponse(call, returning: ExitReport.self) { return Int32(report.status) }
            foreground.wait(for: waiting.descriptor, container: task.container, pid: task.pid, terminal: terminal, directory: directory)
            do throws(SandboxError) {
                try waiting.pump(timeout: 0)
            } catch {
                if let report = try? waiting.takeResponse(call, returning: ExitReport.self) { return Int32(report.status) }
                // The sandbox has gone, and the process with it.
                Log.debug("exec: \(error)")
                return 137
            }
        }
    }
}

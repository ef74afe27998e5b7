internal import Confinement
internal import Control
internal import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI
internal import Wire

/// A Sentry or Gofer that has been started by this process and is this process's child.
struct Component: ~Copyable {
    let name: String
    let program: String
    let identity: ProcessIdentity
    /// The process on its way to its program.
    let child: StartingChild
    /// Says "ready", or why not, or ends.
    let ready: OwnedDescriptor

    /// Kills and reaps it. One that was reaped already is left alone: its number may name another process now.
    static func abandon(_ identity: ProcessIdentity) {
        guard HostProcess.identity(identity.processID) == identity else { return }
        try? HostCall.kill(identity.processID, 9)
        _ = try? HostCall.waitForChild(identity.processID)
    }
}

/// Starts Sentries and Gofers as the start-up contract says (Sources/Common/Control/README.md).
struct Launcher {
    /// Directory of the three executables.
    let programs: String
    let settings: RuntimeSettings
    let identifier: String
    let log: Int32
    /// The host's OOM killer takes processes with a high one first; nil leaves it as it is.
    var oomScoreAdjustment: Int32?

    /// How long a component may take until it is ready. Only a broken host comes near it.
    static let patience: Int32 = 20_000

    init(settings: RuntimeSettings, identifier: String, log: Int32) {
        self.settings = settings
        self.identifier = identifier
        self.log = log
        let program = HostPath.resolved("/proc/self/exe") ?? "/usr/local/bin/nestbox"
        programs = String(program[..<(program.lastIndex(of: "/") ?? program.startIndex)])
    }

    /// Starts a Gofer. `files` is its end of the file-protocol socket.
    func startGofer(
        _ configuration: GoferConfiguration, control: Int32, files: Int32, cgroup: Cgroup?
    ) throws(SandboxError) -> Component {
        let bytes: [UInt8]
        do { bytes = try configuration.encoded() } catch {
            throw SandboxError(.invalidArgument, "the mounts of the configuration cannot be passed on: \(error)")
        }
        let file = try memoryFile("gofer-configuration", bytes)
        return try start(
            .gofer, "gofer", ["--files-fd", "5", "--config-fd", "6"], control: control, more: [files, file.rawValue], network: nil,
            cgroup: cgroup)
    }

    /// Starts a Sentry.
    func startSentry(control: Int32, network: Int32, cgroup: Cgroup?) throws(SandboxError) -> Component {
        var arguments = ["--platform", settings.platform]
        if settings.strace { arguments.append("--strace") }
        // What engines use to copy files into and out of a container and to list its processes. Without it everything else works.
        let view: FuseMount
        do throws(Errno) { view = try FuseMount(name: "nestbox") } catch {
            Log.info("no view into the container from the host (engines' cp and top): /dev/fuse: \(error.text)")
            return try start(.sentry, "sentry", arguments, control: control, more: [], network: network, cgroup: cgroup)
        }
        arguments += ["--view-fd", "5", "--view-mount-fd", "6"]
        return try start(
            .sentry, "sentry", arguments, control: control, more: [view.device.rawValue, view.mount.rawValue], network: network,
            cgroup: cgroup)
    }

    private func start(
        _ role: ProcessSpawner.Role, _ name: String, _ arguments: [String], control: Int32, more: [Int32], network: Int32?, cgroup: Cgroup?
    ) throws(SandboxError) -> Component {
        var level = settings.logLevel
        if settings.strace, level > .info { level = .info }
        var all = [
            "--id", identifier, "--control-fd", "3", "--ready-fd", "4", "--log", level.name, "--log-format",
            settings.logFormat == .json ? "json" : "text",
        ]
        if settings.allowFaults { all.append("--allow-faults") }
        if settings.confinement != .full { all += ["--confinement", settings.confinement.rawValue] }
        let null = try hostCall("open /dev/null") { () throws(Errno) in
            try HostCall.open(Array("/dev/null".utf8), flags: OpenFlag.O_RDWR)
        }
        let pipe = try hostCall("make a socket pair") { () throws(Errno) in try HostCall.socketPair() }
        var spawner = ProcessSpawner(role: role, program: Array("\(programs)/nestbox-\(name)".utf8))
        spawner.arguments = (all + arguments).map { Array($0.utf8) }
        spawner.descriptors = [null.rawValue, null.rawValue, log, control, pipe.second.rawValue] + more
        spawner.networkNamespace = network
        let child = try spawner.spawn()
        let processID = child.pid
        if let cgroup { try cgroup.add(processID) }
        if let adjustment = oomScoreAdjustment {
            do throws(Errno) {
                try HostFile.write("/proc/\(processID)/oom_score_adj", String(adjustment))
            } catch {
                Log.warning("oomScoreAdj \(adjustment) is not applied to the \(name): \(error.text) (lowering it needs CAP_SYS_RESOURCE)")
            }
        }
        let program = "\(programs)/nestbox-\(name)"
        let starting: StartingChild
        do throws(SpawnError) { starting = try child.open() } catch { throw Self.notStarted(program, error) }
        let identity = HostProcess.identity(processID) ?? ProcessIdentity(processID: processID, startTime: 0)
        return Component(name: name, program: program, identity: identity, child: starting, ready: pipe.takeFirst())
    }

    private static func notStarted(_ program: String, _ error: SpawnError) -> SandboxError {
        SandboxError(
            .hostFailure, "start \(program): \(error.step): \(error.errno.text)",
            hint: "nestbox, nestbox-sentry and nestbox-gofer must be in one directory")
    }

    /// Waits until the component has said that it is ready.
    static func awaitReady(_ component: consuming Component) throws(SandboxError) {
        let (name, program, identity) = (component.name, component.program, component.identity)
        let ready = component.ready
        do throws(SpawnError) { try component.child.confirm() } catch { throw notStarted(program, error) }
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !line.contains(0x0A) {
            let answer = (try? HostCall.waitReadable([ready.rawValue], milliseconds: patience)) ?? nil
            if answer == nil {
                throw SandboxError(
                    .unavailable, "the \(name) is not ready after \(patience / 1000) s",
                    hint: "its log says where it stands (--debug)")
            }
            var span = buffer.mutableSpan
            let count = (try? HostCall.read(ready.rawValue, into: &span)) ?? 0
            if count == 0 { break }
            line += buffer.prefix(count)
            if line.count > 65536 { break }
        }
        let text = String(decoding: line.prefix { $0 != 0x0A }, as: UTF8.self)
        if text == "ready" { return }
        if let problem = Problem.parse(Array(text.utf8)) { throw problem }
        let how: String
        if let status = try? HostCall.waitForChild(identity.processID) {
            let reason = ExitRecord.reason(for: status)
            how =
                status.signal == 31
                ? "it made a host call that its filter forbids"
                : status.signal.map { "signal \($0)" } ?? "exit status \(status.exitCode ?? 0)"
            _ = reason
        } else {
            how = "no status"
        }
        throw SandboxError(.unavailable, "the \(name) ended before it was ready: \(how)", hint: "its log may say why (--debug)")
    }
}

/// A file in memory that holds `bytes`, at offset 0.
func memoryFile(_ name: String, _ bytes: [UInt8]) throws(SandboxError) -> OwnedDescriptor {
    try hostCall("make a memory file") { () throws(Errno) in
        let number = try HostCall.withPath(Array(name.utf8)) { name throws(Errno) in
            try HostCall.check(HostCall.raw(.memfd_create, name, 1 /* MFD_CLOEXEC */))
        }
        let file = OwnedDescriptor(adopting: Int32(number))
        try HostCall.writeAll(file.rawValue, bytes.span)
        _ = try HostCall.seek(file.rawValue, to: 0, from: SeekOrigin.SEEK_SET)
        return file
    }
}

/// Runs a host call and says what it was for when it fails.
func hostCall<Value: ~Copyable>(_ what: String, _ body: () throws(Errno) -> Value) throws(SandboxError) -> Value {
    do throws(Errno) { return try body() } catch { throw SandboxError(.hostFailure, "\(what): \(error.text)") }
}

/// Problem objects of Sentry and Gofer.
enum Problem {
    /// Reads `{"code":...,"message":...,"hint":...}`; nil when it is something else.
    static func parse(_ bytes: [UInt8]) -> SandboxError? {
        guard let json = try? JSON(parsing: bytes), case .string(let code) = json["code"] ?? .null,
            case .string(let message) = json["message"] ?? .null
        else { return nil }
        var hint = ""
        if case .string(let text) = json["hint"] ?? .null { hint = text }
        return SandboxError(SandboxError.Code(rawValue: code) ?? .internalError, message, hint: hint)
    }
}

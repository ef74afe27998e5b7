public import ArgumentParser
internal import Control
internal import Diagnostics
internal import Host
internal import SupervisorOCI
internal import SupervisorRuntime

/// The `nestbox` command: options for all verbs, and the verbs.
public struct Nestbox: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "nestbox",
        abstract: "Run Linux programs in a sandbox with a kernel of its own.",
        discussion: """
            Run any command at once, on this machine's files, without changing them:

                nestbox do -- ls -l
                nestbox do --bind $PWD:$PWD --cwd $PWD -- make

            Run a container from an OCI bundle (a directory with config.json and a root file system):

                mkdir -p bundle/rootfs          # put a root file system there
                cd bundle && nestbox spec       # writes config.json
                nestbox run my-container

            The same in the steps that container engines take:

                nestbox create my-container && nestbox start my-container
                nestbox exec my-container ps
                nestbox kill my-container TERM && nestbox delete my-container

            Engines find nestbox as any OCI runtime: podman --runtime nestbox, docker run --runtime nestbox.
            """,
        version: "nestbox version \(ProtocolVersion.release)\nspec: \(RuntimeSpec.implementedVersion)",
        subcommands: [
            CreateCommand.self, StartCommand.self, RunCommand.self, ExecCommand.self, StateCommand.self, KillCommand.self,
            DeleteCommand.self,
            PauseCommand.self, ResumeCommand.self, UpdateCommand.self, ListCommand.self, PsCommand.self, WaitCommand.self, SpecCommand.self,
            DoCommand.self, FeaturesCommand.self, EventsCommand.self, DebugCommand.self, ExecCarrierCommand.self,
        ])

    @Option(help: ArgumentHelp("Directory for the state of containers.", discussion: "Default: /run/nestbox.", valueName: "dir"))
    var root: String?

    @Option(help: ArgumentHelp("File that the log is appended to. Default: standard error.", valueName: "file"))
    var log: String?

    @Option(name: .customLong("log-format"), help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat = "text"

    @Flag(help: "Log in detail.")
    var debug = false

    @Option(
        help: ArgumentHelp("How guest code runs: auto, systrap, ptrace. auto is systrap where the host can have it.", valueName: "platform")
    )
    var platform = "auto"

    @Flag(help: "Log every system call of the guest.")
    var strace = false

    @Option(help: ArgumentHelp("The sandbox's network: none.", valueName: "mode"))
    var network = "none"

    @Flag(name: .customLong("allow-faults"), help: "Let fault plans be armed in this sandbox (for tests).")
    var allowFaults = false

    @Option(
        name: .customLong("fault-plan"),
        help: ArgumentHelp("Faults to make in nestbox itself (for tests; needs --allow-faults).", valueName: "plan"))
    var faultPlan: String?

    @Option(help: ArgumentHelp("How far Sentry and Gofer confine themselves: full, trap, none (for debugging).", valueName: "mode"))
    var confinement = "full"

    @Flag(name: .customLong("systemd-cgroup"), help: .hidden)
    var systemdCgroup = false

    @Option(help: .hidden)
    var rootless: String?

    public init() {}

    public func validate() throws {
        if Log.Format(name: logFormat) == nil { throw ValidationError("--log-format \"\(logFormat)\": expected text or json") }
        if !["auto", "systrap", "ptrace", "kvm"].contains(platform) {
            throw ValidationError("--platform \"\(platform)\": expected auto, systrap, ptrace or kvm")
        }
        if network != "none" {
            throw ValidationError("--network \"\(network)\" is not available yet: only none is, which gives Unix sockets and no interface")
        }
        if ConfinementMode(rawValue: confinement) == nil {
            throw ValidationError("--confinement \"\(confinement)\": expected full, trap or none")
        }
        if systemdCgroup {
            throw ValidationError(
                "--systemd-cgroup is not served: nestbox writes cgroups itself (set the engine's cgroup manager to cgroupfs)")
        }
        if let rootless, rootless != "false", rootless != "auto" {
            throw ValidationError("--rootless \"\(rootless)\" is not served: nestbox needs root for now")
        }
    }

    public func run() throws { throw CleanExit.helpRequest(self) }

    /// What the runtime must know of these options.
    var settings: RuntimeSettings {
        var settings = RuntimeSettings(
            store: StateStore(
                root: root.map { HostEnvironment.absolute($0) }
                    ?? StateStore.defaultRoot(userID: HostEnvironment.userID, environment: HostEnvironment.variables)))
        settings.logPath = log.map { HostEnvironment.absolute($0) }
        settings.logFormat = Log.Format(name: logFormat) ?? .text
        settings.logLevel = debug ? .debug : .warning
        settings.platform = platform
        settings.strace = strace
        settings.allowFaults = allowFaults
        settings.confinement = ConfinementMode(rawValue: confinement) ?? .full
        return settings
    }
}

/// A verb: reaches the options of all verbs and turns errors into what engines read.
protocol Verb: ParsableCommand {
    var nestbox: Nestbox { get }
    /// The exit status when the verb itself fails.
    static var failureStatus: Int32 { get }
    /// Does it; the result is the exit status.
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32
}

extension Verb {
    static var failureStatus: Int32 { 1 }

    func run() throws {
        let settings = nestbox.settings
        let reporter = ErrorReporter(settings)
        let status: Int32
        do throws(SandboxError) {
            let runtime = try ContainerRuntime(settings)
            if let plan = nestbox.faultPlan {
                guard nestbox.allowFaults else {
                    throw SandboxError(.invalidArgument, "--fault-plan needs --allow-faults", hint: "faults are for tests only")
                }
                Faults.arm(try FaultPlan(parsing: plan))
            }
            status = try perform(runtime)
        } catch {
            reporter.report(error)
            status = Self.failureStatus
        }
        throw ExitCode(status)
    }
}

/// Tells people and engines about the error that ends this run: one line on standard error, and the last entry of the log file.
struct ErrorReporter {
    let settings: RuntimeSettings

    init(_ settings: RuntimeSettings) { self.settings = settings }

    func report(_ error: SandboxError) {
        if settings.logPath != nil { Log.error(error.description) }
        let line = "nestbox: \(error.description)\n"
        _ = try? HostCall.writeAll(2, Array(line.utf8).span)
    }
}

extension Nestbox {
    /// Runs the command line of this process and exits.
    public static func runThisProcess() -> Never {
        Timeline.startup.mark("main")
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            var command = try parseAsRoot(arguments)
            Timeline.startup.mark("command line")
            try command.run()
            exit(withError: nil)
        } catch let status as ExitCode {
            // The end of every verb. ArgumentParser would make its help text first, which takes half a millisecond.
            HostEnvironment.exit(status.rawValue)
        } catch {
            // ArgumentParser's status for a wrong command line is 64; engines expect runc's: 1, and 255 of exec.
            let status = exitCode(for: error).rawValue
            if status != EXIT_USAGE { exit(withError: error) }
            let text = fullMessage(for: error)
            _ = try? HostCall.writeAll(2, Array((text + "\n").utf8).span)
            HostEnvironment.exit(arguments.contains("exec") ? 255 : 1)
        }
    }

    private static var EXIT_USAGE: Int32 { 64 }
}

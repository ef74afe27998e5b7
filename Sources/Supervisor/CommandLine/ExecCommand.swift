internal import ArgumentParser
internal import Diagnostics
internal import Host
internal import SupervisorOCI
internal import SupervisorRuntime

struct ExecCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Start another program in a running container.",
        discussion: """
            The exit status is the program's; 255 when it could not be started.

            Examples:
                nestbox exec web ps aux
                nestbox exec -t web sh
                nestbox exec --user 1000:1000 --cwd /srv --env DEBUG=1 web ./check --all
                nestbox exec --process process.json --detach --pid-file check.pid web
            """)
    static var failureStatus: Int32 { 255 }

    @ParentCommand var nestbox: Nestbox

    @Option(name: .shortAndLong, help: ArgumentHelp("File with the process object of an OCI configuration.", valueName: "path"))
    var process: String?
    @Flag(name: .shortAndLong, help: "Give the program a terminal.") var tty = false
    @Option(help: ArgumentHelp("Working directory in the container.", valueName: "dir")) var cwd: String?
    @Option(
        name: .shortAndLong, parsing: .singleValue, help: ArgumentHelp("Set an environment variable (repeat).", valueName: "name=value"))
    var env: [String] = []
    @Option(name: .shortAndLong, help: ArgumentHelp("Numeric user, and group.", valueName: "uid[:gid]")) var user: String?
    @Option(
        name: [.customShort("g"), .customLong("additional-gids")], parsing: .singleValue,
        help: ArgumentHelp("Another group (repeat).", valueName: "gid"))
    var additionalGroups: [UInt32] = []
    @Option(name: .shortAndLong, parsing: .singleValue, help: ArgumentHelp("Add a capability (repeat).", valueName: "name")) var cap:
        [String] = []
    @Flag(name: .customLong("no-new-privs"), help: "The program cannot gain privileges.") var noNewPrivileges = false
    @Flag(name: .shortAndLong, help: "Do not wait; a small process stays that ends with the program's status.") var detach = false
    @Option(name: .customLong("pid-file"), help: ArgumentHelp("File to write the process id to.", valueName: "path")) var pidFile: String?
    @Option(name: .customLong("console-socket"), help: ArgumentHelp("Unix socket that gets the master of the terminal.", valueName: "path"))
    var consoleSocket: String?
    @Option(name: .customLong("preserve-fds"), help: ArgumentHelp("How many descriptors from 3 on the program gets.", valueName: "n"))
    var preserveDescriptors = 0
    @Flag(name: .customLong("ignore-paused"), help: .hidden) var ignorePaused = false
    @Option(name: .customLong("apparmor"), help: .hidden) var apparmor: String?
    @Option(name: .customLong("process-label"), help: .hidden) var processLabel: String?
    @Option(name: .customLong("cgroup"), help: .hidden) var cgroup: String?

    @Argument(help: "The container.") var id: String
    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.") var command: [String] = []

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        var request = ExecRequestOptions(identifier: id)
        request.processFile = process.map { HostEnvironment.absolute($0) }
        request.arguments = command.first == "--" ? Array(command.dropFirst()) : command
        request.terminal = tty
        request.workingDirectory = cwd
        request.environment = env
        request.user = try user.map { text throws(SandboxError) in try UserText.parse(text) }
        request.additionalGroups = additionalGroups
        request.capabilities = cap
        request.noNewPrivileges = noNewPrivileges
        request.detach = detach
        request.pidFile = pidFile.map { HostEnvironment.absolute($0) }
        request.consoleSocket = consoleSocket.map { HostEnvironment.absolute($0) }
        request.preserveDescriptors = preserveDescriptors
        return try runtime.exec(request)
    }
}

/// The small process that a detached exec leaves behind. `exec --detach` starts it; nobody else should.
struct ExecCarrierCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "exec-carrier", abstract: "Carry a detached exec.", shouldDisplay: false)
    static var failureStatus: Int32 { 255 }

    @ParentCommand var nestbox: Nestbox
    @Argument var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 { try runtime.carryExec(id) }
}

/// `uid` or `uid:gid`.
enum UserText {
    static func parse(_ text: String) throws(SandboxError) -> (userID: UInt32, groupID: UInt32?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let userID = UInt32(first) else {
            throw SandboxError(
                .invalidArgument, "--user \"\(text)\": expected a numeric user id", hint: "uid or uid:gid, as id -u prints them")
        }
        if parts.count == 1 { return (userID, nil) }
        guard let groupID = UInt32(parts[1]) else {
            throw SandboxError(.invalidArgument, "--user \"\(text)\": expected a numeric group id after the colon", hint: "uid or uid:gid")
        }
        return (userID, groupID)
    }
}

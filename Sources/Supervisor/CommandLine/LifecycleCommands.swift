internal import ArgumentParser
internal import Diagnostics
internal import Host
internal import SupervisorOCI
internal import SupervisorRuntime

/// Options of `create` and `run`.
struct CreationOptions: ParsableArguments {
    @Option(
        name: [.customShort("b"), .long],
        help: ArgumentHelp("Directory with config.json. Default: the working directory.", valueName: "dir"))
    var bundle: String?

    @Option(
        name: .customLong("console-socket"),
        help: ArgumentHelp("Unix socket that gets the master of the container's terminal.", valueName: "path"))
    var consoleSocket: String?

    @Option(name: .customLong("pid-file"), help: ArgumentHelp("File to write the container's process id to.", valueName: "path"))
    var pidFile: String?

    @Option(name: .customLong("preserve-fds"), help: ArgumentHelp("How many descriptors from 3 on the program gets.", valueName: "n"))
    var preserveDescriptors = 0

    @Flag(help: "Tell on standard error where the time of the start-up went; JSON with --log-format json.")
    var timing = false

    @Flag(name: .customLong("no-pivot"), help: .hidden)
    var noPivot = false

    @Flag(name: .customLong("no-new-keyring"), help: .hidden)
    var noNewKeyring = false

    func request(_ identifier: String) -> CreateRequestOptions {
        var request = CreateRequestOptions(identifier: identifier, bundle: HostEnvironment.absolute(bundle ?? "."))
        request.consoleSocket = consoleSocket.map { HostEnvironment.absolute($0) }
        request.pidFile = pidFile.map { HostEnvironment.absolute($0) }
        request.preserveDescriptors = preserveDescriptors
        request.timing = timing
        return request
    }
}

struct CreateCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a container from a bundle; its program is loaded, and waits for start.",
        discussion: """
            Example:
                nestbox create --bundle /containers/web --pid-file web.pid web
                nestbox start web
            """)

    @ParentCommand var nestbox: Nestbox
    @OptionGroup var options: CreationOptions
    @Argument(help: "Name for the container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.create(options.request(id))
        return 0
    }
}

struct RunCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Create a container, start it, wait for its end, and delete it.",
        discussion: """
            The exit status is the program's; 128 plus the signal's number when a signal ended it.

            Example:
                nestbox run --bundle /containers/job job
            """)

    @ParentCommand var nestbox: Nestbox
    @OptionGroup var options: CreationOptions
    @Flag(name: .shortAndLong, help: "Do not wait.") var detach = false
    @Flag(help: "Keep the container when its program has ended.") var keep = false
    @Argument(help: "Name for the container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.run(options.request(id), detach: detach, keep: keep)
    }
}

struct StartCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "start", abstract: "Let the program of a created container run.")

    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.start(id)
        return 0
    }
}

struct StateCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Print a container's state as JSON.",
        discussion: "A stopped container's annotations say why it stopped: dev.nestbox.exit.reason and dev.nestbox.exit.status.")

    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        HostEnvironment.print(try runtime.state(id).json.text(indented: true))
        return 0
    }
}

struct KillCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Send a signal to a container's first process.",
        discussion: """
            The signal is a number or a name, with or without SIG; TERM when it is left out.

            Examples:
                nestbox kill web
                nestbox kill web SIGHUP
                nestbox kill --all web 9
            """)

    @ParentCommand var nestbox: Nestbox
    @Flag(name: .shortAndLong, help: "Send it to every process of the container.") var all = false
    @Argument(help: "The container.") var id: String
    @Argument(help: "The signal.") var signal = "SIGTERM"

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.kill(id, signal: SignalName.parse(signal), all: all)
        return 0
    }
}

struct DeleteCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove a stopped container and everything made for it.",
        discussion: "With --force a running one is killed first, and one that does not exist is no error.")

    @ParentCommand var nestbox: Nestbox
    @Flag(name: .shortAndLong, help: "Kill the container first if it runs.") var force = false
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.delete(id, force: force)
        return 0
    }
}

struct PauseCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "pause", abstract: "Stop all processes of a container until resume.")

    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.pause(id)
        return 0
    }
}

struct ResumeCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let a paused container go on.")

    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.resume(id)
        return 0
    }
}

struct WaitCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until a container has stopped, and print its exit status.")

    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        HostEnvironment.print(String(try runtime.wait(id)))
        return 0
    }
}

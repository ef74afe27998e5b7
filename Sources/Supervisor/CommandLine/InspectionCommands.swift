internal import ArgumentParser
internal import Diagnostics
internal import SupervisorOCI
internal import SupervisorRuntime

struct ListCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List all containers.")

    @ParentCommand var nestbox: Nestbox
    @Option(name: .shortAndLong, help: "table or json.") var format = "table"
    @Flag(help: "The same as --format json.") var json = false
    @Flag(name: .shortAndLong, help: "Print the names only.") var quiet = false

    func validate() throws {
        if format != "table", format != "json" { throw ValidationError("--format \"\(format)\": expected table or json") }
    }

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        let containers = runtime.list()
        if quiet {
            for container in containers { HostEnvironment.print(container.identifier) }
        } else if json || format == "json" {
            HostEnvironment.print(JSON.array(containers.map(\.json)).text())
        } else {
            var rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED"]]
            for container in containers {
                rows.append([
                    container.identifier, String(container.processID), container.status.rawValue, container.bundle, container.created,
                ])
            }
            HostEnvironment.print(TextTable.render(rows))
        }
        return 0
    }
}

struct PsCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List the processes of a container.",
        discussion: "The table shows them as the container sees them; json lists the host's process ids, as engines expect.")

    @ParentCommand var nestbox: Nestbox
    @Option(name: .shortAndLong, help: "table or json.") var format = "table"
    @Argument(help: "The container.") var id: String
    @Argument(parsing: .captureForPassthrough, help: .hidden) var options: [String] = []

    func validate() throws {
        if format != "table", format != "json" { throw ValidationError("--format \"\(format)\": expected table or json") }
    }

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        if format == "json" {
            HostEnvironment.print(JSON.array(try runtime.hostProcesses(id).map { JSON.integer($0) }).text())
            return 0
        }
        var rows = [["UID", "PID", "PPID", "PGID", "SID", "STAT", "TTY", "TIME", "RSS", "CMD"]]
        for task in try runtime.guestProcesses(id) {
            rows.append([
                String(task.userID), String(task.processID), String(task.parent), String(task.group), String(task.session), task.state,
                task.terminal.isEmpty ? "?" : task.terminal, task.time, String(task.residentKilobytes), task.command,
            ])
        }
        HostEnvironment.print(TextTable.render(rows))
        return 0
    }
}

/// Rows of text in columns.
enum TextTable {
    static func render(_ rows: [[String]]) -> String {
        guard let columns = rows.first?.count else { return "" }
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, text in
                column == columns - 1 ? text : text + String(repeating: " ", count: widths[column] - text.count + 3)
            }.joined()
        }.joined(separator: "\n")
    }
}

struct SpecCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "spec", abstract: "Write an example config.json into a bundle.",
        discussion: """
            Example:
                mkdir -p bundle/rootfs && nestbox spec --bundle bundle
            """)

    @ParentCommand var nestbox: Nestbox
    @Option(name: .shortAndLong, help: ArgumentHelp("The bundle. Default: the working directory.", valueName: "dir")) var bundle = "."
    @Flag(help: .hidden) var rootless = false

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        if rootless { throw SandboxError(.unsupported, "spec --rootless is not served", hint: "nestbox needs root for now") }
        try ContainerRuntime.writeTemplate(bundle: HostEnvironment.absolute(bundle))
        return 0
    }
}

struct FeaturesCommand: Verb {
    static let configuration = CommandConfiguration(commandName: "features", abstract: "Print what this runtime can do, as JSON.")

    @ParentCommand var nestbox: Nestbox

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        HostEnvironment.print(ContainerRuntime.features().text(indented: true))
        return 0
    }
}

struct EventsCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Print a container's events and statistics as JSON, one a line.")

    @ParentCommand var nestbox: Nestbox
    @Flag(help: "Print statistics once, and return.") var stats = false
    @Option(help: .hidden) var interval: String?
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        if stats {
            HostEnvironment.print(try runtime.statistics(id).text())
        } else {
            try runtime.events(id) { HostEnvironment.print($0) }
        }
        return 0
    }
}

struct DebugCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "debug", abstract: "Look into a running sandbox.",
        subcommands: [DebugStacks.self, DebugTasks.self, DebugMetrics.self, DebugLogLevel.self, DebugFaults.self, DebugGofer.self])
}

struct DebugStacks: Verb {
    static let configuration = CommandConfiguration(commandName: "stacks", abstract: "Print where every task of a sandbox waits.")
    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        HostEnvironment.print(try runtime.debugText(id, "/v1/stacks"))
        return 0
    }
}

struct DebugTasks: Verb {
    static let configuration = CommandConfiguration(
        commandName: "tasks", abstract: "Print every task of a sandbox as JSON: numbers, state, CPU time, command.")
    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        HostEnvironment.print(try runtime.debugText(id, "/v1/tasks"))
        return 0
    }
}

struct DebugMetrics: Verb {
    static let configuration = CommandConfiguration(commandName: "metrics", abstract: "Print a sandbox's metrics in Prometheus' format.")
    @ParentCommand var nestbox: Nestbox
    @Flag(help: "The Gofer's in place of the Sentry's.") var gofer = false
    @Argument(help: "The container.") var id: String
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        HostEnvironment.print(try runtime.debugText(id, "/v1/metrics", gofer: gofer))
        return 0
    }
}

struct DebugLogLevel: Verb {
    static let configuration = CommandConfiguration(commandName: "log-level", abstract: "Change how much a sandbox logs.")
    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The container.") var id: String
    @Argument(help: "trace, debug, info, warning, error or none.") var level: String
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        guard Log.Level(name: level) != nil else {
            throw SandboxError(.invalidArgument, "\"\(level)\" is no log level", hint: "trace, debug, info, warning, error or none")
        }
        try runtime.setLogLevel(id, level)
        return 0
    }
}

struct DebugFaults: Verb {
    static let configuration = CommandConfiguration(
        commandName: "faults", abstract: "Show the fault points of a sandbox, or arm a plan of faults in it (for tests).",
        discussion: """
            A plan is rules POINT[@N|@N+|%P]:ACTION, separated by semicolons: at the n-th hit, from it on, with a probability, or always. Actions are
            error=NAME, delay=TIME, drop, duplicate, truncate=BYTES, flip=BITS, close, kill and stop. An empty plan disarms.

            Examples:
                nestbox --allow-faults run --detach web
                nestbox debug faults web
                nestbox debug faults --gofer web 'seed=1; files.receive@9:kill; host.pread64%0.01:error=EIO'
            """)
    @ParentCommand var nestbox: Nestbox
    @Flag(help: "Those of the Gofer in place of the Sentry's.") var gofer = false
    @Argument(help: "The container.") var id: String
    @Argument(help: "The plan; without one, what is armed and which points there are.") var plan: String?
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        if let plan {
            HostEnvironment.print(try runtime.armFaults(id, plan, gofer: gofer))
        } else {
            HostEnvironment.print(try runtime.debugText(id, "/v1/faults", gofer: gofer))
        }
        return 0
    }
}

struct DebugGofer: Verb {
    static let configuration = CommandConfiguration(
        commandName: "gofer", abstract: "Start a Gofer on a directory, and ask it as a Sentry would.",
        discussion: """
            Examples:
                nestbox debug gofer /usr ls /bin
                nestbox debug gofer /etc stat hostname
                nestbox debug gofer /etc cat hostname
            """)
    @ParentCommand var nestbox: Nestbox
    @Argument(help: "The directory to serve.") var directory: String
    @Argument(help: "ls, stat or cat.") var verb: String
    @Argument(help: "Path in the directory.") var path = "/"
    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        try runtime.debugGofer(HostEnvironment.absolute(directory), verb: verb, path: path)
        return 0
    }
}

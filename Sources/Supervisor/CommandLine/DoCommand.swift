internal import ArgumentParser
internal import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI
internal import SupervisorRuntime

struct DoCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "do", abstract: "Run a command in a sandbox at once, on this machine's files, without changing them.",
        discussion: """
            The command sees the files of this machine read-only below a layer in memory: what it writes is gone when it ends. It starts in
            the working directory, with the environment and the user of the caller. /proc, /sys, /dev and /run are the sandbox's own.

            Examples:
                nestbox do -- make test
                nestbox do --bind $PWD:$PWD -- ./configure      # what it writes below the working directory stays
                nestbox do --rootfs debian -- bash
                nestbox do --memory 512M -- python3 untrusted.py
            """)

    @ParentCommand var nestbox: Nestbox
    @Option(help: ArgumentHelp("Use this directory in place of the machine's own root.", valueName: "dir")) var rootfs: String?
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Show a directory or file of the machine, writable unless :ro (repeat).", valueName: "src:dst[:ro]"))
    var bind: [String] = []
    @Flag(help: "Write to the root directory itself, not to memory (only with --rootfs).") var writable = false
    @Option(help: ArgumentHelp("Working directory.", valueName: "dir")) var cwd: String?
    @Option(parsing: .singleValue, help: ArgumentHelp("Set an environment variable (repeat).", valueName: "name=value")) var env: [String] =
        []
    @Option(help: ArgumentHelp("Memory limit: bytes, or with K, M, G.", valueName: "size")) var memory: String?
    @Option(name: .shortAndLong, help: ArgumentHelp("Numeric user, and group.", valueName: "uid[:gid]")) var user: String?
    @Flag(help: "Tell on standard error where the time of the start-up went; JSON with --log-format json.") var timing = false
    @Option(help: .hidden) var hostname = "nestbox"
    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.") var command: [String]

    func validate() throws {
        // Everything from the first word on that is no option of this command belongs to the command that is run. Unless it looks like an option.
        guard let first = command.first, first.hasPrefix("-"), first != "--" else { return }
        if first == "--help" || first == "-h" { throw CleanExit.helpRequest(self) }
        throw ValidationError("unknown option '\(first)' (a command that begins with a dash goes after --)")
    }

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        let command = command.first == "--" ? Array(command.dropFirst()) : command
        guard !command.isEmpty else { throw SandboxError(.invalidArgument, "no command given", hint: "nestbox do -- ls -l") }
        if writable, rootfs == nil {
            throw SandboxError(
                .invalidArgument, "--writable needs --rootfs: the machine's own files stay as they are",
                hint: "--bind SRC:DST makes one directory writable")
        }
        var request = DoRequestOptions(arguments: command, environment: HostEnvironment.entries)
        request.rootfs = rootfs.map { HostEnvironment.absolute($0) }
        request.isWritable = writable
        request.workingDirectory = cwd ?? (rootfs == nil ? HostEnvironment.workingDirectory : "/")
        request.hostname = hostname
        request.timing = timing
        for entry in env {
            guard let equals = entry.firstIndex(of: "="), equals != entry.startIndex else {
                throw SandboxError(.invalidArgument, "--env \"\(entry)\": expected NAME=VALUE")
            }
            let prefix = String(entry[...equals])
            request.environment.removeAll { $0.hasPrefix(prefix) }
            request.environment.append(entry)
        }
        if let memory { request.memoryLimit = try ByteSize.parse(memory) }
        if let user {
            let parsed = try UserText.parse(user)
            request.userID = parsed.userID
            request.groupID = parsed.groupID ?? 0
        }
        for text in bind { request.binds.append(try BindText.parse(text)) }
        do throws(SandboxError) {
            return try runtime.runCommand(request)
        } catch {
            // As a shell has it: a command that is not there, and one that cannot be run.
            guard error.message.contains("unable to start container process") else { throw error }
            ErrorReporter(nestbox.settings).report(error)
            return error.code == .notFound ? 127 : 126
        }
    }
}

/// `SRC:DST[:ro|:rw]`.
enum BindText {
    static func parse(_ text: String) throws(SandboxError) -> DoRequestOptions.Bind {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        var readOnly = false
        if parts.count == 3, parts[2] == "ro" || parts[2] == "rw" {
            readOnly = parts[2] == "ro"
            parts.removeLast()
        }
        if parts.count == 1 { parts.append(parts[0]) }
        guard parts.count == 2, !parts[0].isEmpty, parts[1].hasPrefix("/") else {
            throw SandboxError(.invalidArgument, "--bind \"\(text)\": expected SRC:DST or SRC:DST:ro, with DST absolute")
        }
        return DoRequestOptions.Bind(source: HostEnvironment.absolute(parts[0]), destination: parts[1], isReadOnly: readOnly)
    }
}

/// `512M` and the like.
enum ByteSize {
    static func parse(_ text: String) throws(SandboxError) -> UInt64 {
        let units: [Character: UInt64] = ["k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40]
        var digits = Substring(text.lowercased())
        if digits.hasSuffix("b") { digits.removeLast() }
        if digits.hasSuffix("i") { digits.removeLast() }
        var factor: UInt64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits.removeLast()
        }
        if let number = UInt64(digits), number > 0, case let (product, overflow) = number.multipliedReportingOverflow(by: factor), !overflow
        {
            return product
        }
        throw SandboxError(.invalidArgument, "\"\(text)\" is no size", hint: "bytes, or a number with K, M or G, such as 512M")
    }
}

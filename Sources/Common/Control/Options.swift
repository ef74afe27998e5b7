public import Diagnostics
internal import Host

/// What Sentry and Gofer have in common on their command lines. See README.md for the start-up contract.
public struct CommonOptions: Sendable {
    /// Name in the log; the id of the first container.
    public var id = ""
    /// Listening control socket that the Supervisor bound.
    public var controlDescriptor: Int32?
    /// Path at which to bind the control socket oneself; by hand.
    public var controlPath: String?
    public var readyDescriptor: Int32?
    public var logDescriptor: Int32 = 2
    public var logLevel = Log.Level.warning
    public var logFormat = Log.Format.text
    public var allowFaults = false
    /// A fault plan armed from the start; needs `allowFaults`.
    public var faultPlan: String?
    public var confinement = ConfinementMode.full

    /// Sets up the log of this process.
    public func configureLog(component: String) {
        Log.configure(level: logLevel, format: logFormat, descriptor: logDescriptor, component: component, sandbox: id)
        if confinement != .full { Log.warning("started with --confinement \(confinement.rawValue): not for hostile programs") }
    }

    /// Tells the Supervisor that this process is confined and serves control.
    public func announceReady() {
        guard let readyDescriptor else { return }
        let ready = OwnedDescriptor(adopting: readyDescriptor)
        _ = try? HostCall.writeAll(ready.rawValue, Array("ready\n".utf8).span)
    }

    /// Tells the Supervisor and the log why this process cannot start, and exits with status 1.
    public func fail(_ error: SandboxError) -> Never {
        Log.error("cannot start: \(error)")
        if let readyDescriptor {
            let line = ProblemObject.json(error) + [0x0a]
            _ = try? HostCall.writeAll(readyDescriptor, line.span)
        }
        exitProcess(1)
    }
}

/// The Sentry's command line.
public struct SentryOptions: Sendable {
    public var common = CommonOptions()
    /// "auto", "systrap", "ptrace" or "kvm".
    public var platform = "auto"
    /// Log every guest system call.
    public var strace = false
    /// CPUs to use and show; 0: all.
    public var cpuCount: UInt32 = 0
    /// FUSE device of the mount through which the host's tools look into the container.
    public var viewDescriptor: Int32?
    /// That mount, detached.
    public var viewMountDescriptor: Int32?

    public init() {}

    /// The options of this process. Prints and exits for `--help`, `--version` and mistakes (status 2).
    public static func ofThisProcess() -> SentryOptions { runParser(parser, SentryOptions()) }

    /// The options in `arguments` (without the program's name).
    public static func parse(_ arguments: [String]) throws(OptionError) -> SentryOptions {
        var result = SentryOptions()
        try parser.parse(arguments, into: &result)
        return result
    }

    /// The text of `--help`.
    public static var help: String { parser.help }

    private static var parser: OptionParser<SentryOptions> {
        OptionParser(
            program: "nestbox-sentry", summary: "the user-space kernel of a Nestbox sandbox",
            notes: """
                The Supervisor (nestbox) starts this program; containers arrive over the control socket. To look at one by hand:

                    nestbox-sentry --control /tmp/sentry.sock --log debug --strace --confinement none
                    curl --http2-prior-knowledge --unix-socket /tmp/sentry.sock http://localhost/v1/version
                """,
            options: commonOptions(\.common) + [
                .init(
                    name: "--platform",
                    action: .value(
                        "NAME",
                        { (o, v) throws(OptionError) in
                            guard ["auto", "systrap", "ptrace", "kvm"].contains(v) else {
                                throw OptionError("expected auto, systrap, ptrace or kvm")
                            }
                            o.platform = v
                        }), help: "how guest code runs: auto (default), systrap, ptrace"),
                .init(name: "--strace", action: .flag { $0.strace = true }, help: "log every guest system call"),
                .init(
                    name: "--cpus", action: .value("N", { (o, v) throws(OptionError) in o.cpuCount = UInt32(try number(v, 0...4096)) }),
                    help: "CPUs to use and to show to guests (0: all)"),
                .init(
                    name: "--view-fd",
                    action: .value("N", { (o, v) throws(OptionError) in o.viewDescriptor = Int32(try number(v, 0...65535)) }),
                    help: "FUSE device: shows the container to who joins the mount namespace"),
                .init(
                    name: "--view-mount-fd",
                    action: .value("N", { (o, v) throws(OptionError) in o.viewMountDescriptor = Int32(try number(v, 0...65535)) }),
                    help: "the detached mount of --view-fd"),
            ])
    }
}

/// The Gofer's command line.
public struct GoferOptions: Sendable {
    public var common = CommonOptions()
    /// The file-protocol socket.
    public var filesDescriptor: Int32?
    /// Path at which to bind a socket for one file-protocol connection; by hand.
    public var filesPath: String?
    /// Where `GoferConfiguration` is read from.
    public var configurationDescriptor: Int32?
    /// Trees given by hand.
    public var trees: [TreeSpecification] = []

    public init() {}

    /// The options of this process. Prints and exits for `--help`, `--version` and mistakes (status 2).
    public static func ofThisProcess() -> GoferOptions { runParser(parser, GoferOptions()) }

    /// The options in `arguments` (without the program's name).
    public static func parse(_ arguments: [String]) throws(OptionError) -> GoferOptions {
        var result = GoferOptions()
        try parser.parse(arguments, into: &result)
        return result
    }

    /// The text of `--help`.
    public static var help: String { parser.help }

    private static var parser: OptionParser<GoferOptions> {
        OptionParser(
            program: "nestbox-gofer", summary: "the file server of one Nestbox container",
            notes: """
                The Supervisor (nestbox) starts this program, one for each container. To look at one by hand:

                    nestbox-gofer --control /tmp/gofer.sock --files /tmp/files.sock --tree /usr:ro --log debug --confinement none
                    curl --http2-prior-knowledge --unix-socket /tmp/gofer.sock http://localhost/v1/descriptors
                """,
            options: commonOptions(\.common) + [
                .init(
                    name: "--files-fd",
                    action: .value("N", { (o, v) throws(OptionError) in o.filesDescriptor = Int32(try number(v, 0...65535)) }),
                    help: "connected file-protocol socket"),
                .init(
                    name: "--files", action: .value("PATH", { o, v in o.filesPath = v }), help: "bind a file-protocol socket for one client"
                ),
                .init(
                    name: "--config-fd",
                    action: .value("N", { (o, v) throws(OptionError) in o.configurationDescriptor = Int32(try number(v, 0...65535)) }),
                    help: "GoferConfiguration in the wire codec, read to its end"),
                .init(
                    name: "--tree",
                    action: .value(
                        "PATH[:ro]",
                        { (o, v) throws(OptionError) in
                            var tree = TreeSpecification()
                            var path = v
                            if path.hasSuffix(":ro") {
                                path.removeLast(3)
                                tree.readOnly = true
                            }
                            guard path.hasPrefix("/") else { throw OptionError("expected an absolute path") }
                            tree.source = Array(path.utf8)
                            o.trees.append(tree)
                        }), help: "serve this directory (repeated: tree 0, 1, ...)"),
            ])
    }
}

private func number(_ text: String, _ bounds: ClosedRange<Int>) throws(OptionError) -> Int {
    guard let value = Int(text), bounds.contains(value) else {
        throw OptionError("expected a number from \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return value
}

private func commonOptions<Options>(_ common: WritableKeyPath<Options, CommonOptions>) -> [OptionParser<Options>.Option] {
    [
        .init(name: "--id", action: .value("ID", { o, v in o[keyPath: common].id = v }), help: "name in the log"),
        .init(
            name: "--control-fd",
            action: .value("N", { (o, v) throws(OptionError) in o[keyPath: common].controlDescriptor = Int32(try number(v, 0...65535)) }),
            help: "listening control socket"),
        .init(
            name: "--control", action: .value("PATH", { o, v in o[keyPath: common].controlPath = v }), help: "bind the control socket here"),
        .init(
            name: "--ready-fd",
            action: .value("N", { (o, v) throws(OptionError) in o[keyPath: common].readyDescriptor = Int32(try number(v, 0...65535)) }),
            help: "pipe that takes 'ready' or the reason why not"),
        .init(
            name: "--log-fd",
            action: .value("N", { (o, v) throws(OptionError) in o[keyPath: common].logDescriptor = Int32(try number(v, 0...65535)) }),
            help: "where the log goes (2)"),
        .init(
            name: "--log",
            action: .value(
                "LEVEL",
                { (o, v) throws(OptionError) in
                    guard let level = Log.Level(name: v) else { throw OptionError("expected trace, debug, info, warning, error or none") }
                    o[keyPath: common].logLevel = level
                }), help: "trace, debug, info, warning (default), error, none"),
        .init(
            name: "--log-format",
            action: .value(
                "FORMAT",
                { (o, v) throws(OptionError) in
                    guard let format = Log.Format(name: v) else { throw OptionError("expected text or json") }
                    o[keyPath: common].logFormat = format
                }), help: "text (default) or json"),
        .init(name: "--allow-faults", action: .flag { $0[keyPath: common].allowFaults = true }, help: "fault plans may be armed"),
        .init(
            name: "--fault-plan", action: .value("PLAN", { o, v in o[keyPath: common].faultPlan = v }),
            help: "arm this plan at the start (needs --allow-faults)"),
        .init(
            name: "--confinement",
            action: .value(
                "MODE",
                { (o, v) throws(OptionError) in
                    guard let mode = ConfinementMode(rawValue: v) else { throw OptionError("expected full, trap or none") }
                    o[keyPath: common].confinement = mode
                }), help: "full (default), trap (say which call the filter stops), none"),
    ]
}

private func runParser<Options>(_ parser: OptionParser<Options>, _ initial: Options) -> Options {
    let arguments = CommandLine.arguments.dropFirst()
    if arguments.contains("--help") || arguments.contains("-h") {
        printAndExit(parser.help, to: 1, status: 0)
    }
    if arguments.contains("--version") {
        printAndExit("\(parser.program) \(ProtocolVersion.release)\ncontrol protocol \(ProtocolVersion.control)\n", to: 1, status: 0)
    }
    var result = initial
    do {
        try parser.parse(arguments, into: &result)
    } catch {
        printAndExit("\(parser.program): \(error.message)\nTry '\(parser.program) --help'.\n", to: 2, status: 2)
    }
    return result
}

private func printAndExit(_ text: String, to descriptor: Int32, status: Int32) -> Never {
    _ = try? HostCall.writeAll(descriptor, Array(text.utf8).span)
    exitProcess(status)
}

internal import Confinement
public import Control
internal import Diagnostics
internal import FileProtocol
internal import Host
internal import LinuxABI
internal import Synchronization
internal import Wire

/// The Gofer from its options to its end. See Sources/Common/Control/README.md for the contract.
///
/// Everything of the host is opened first (trees as detached mounts, sockets), then the process confines itself, and only then speaks to
/// anybody. One thread serves files, this one serves control.
public func runGofer(_ options: GoferOptions) -> Never {
    Timeline.startup.mark("main")
    options.common.configureLog(component: "gofer")
    FileProtocolFaults.register()
    limitHeaps(4)
    do {
        exitProcess(try Gofer(options).run())
    } catch {
        options.common.fail(error)
    }
}

/// One Gofer process.
private struct Gofer {
    private let options: GoferOptions
    private let trees: [ServedTree]
    private let control: ControlServer
    private let descriptorLimit: Int
    /// The connected socket, or the listening one of a Gofer started by hand.
    private let files: Int32
    private let isListening: Bool
    private let makeNodes: Bool
    private let identities: Identities

    init(_ options: GoferOptions) throws(SandboxError) {
        self.options = options
        // The Supervisor's descriptors must not get lost among those that are opened now, so they are taken first.
        if let descriptor = options.filesDescriptor {
            files = descriptor
            isListening = false
        } else if let path = options.filesPath {
            do { files = try HostCall.listenUnix(Array(path.utf8)).release() } catch {
                throw SandboxError(error, "cannot bind the file-protocol socket at \(path)")
            }
            isListening = true
        } else {
            throw SandboxError(.invalidArgument, "no file-protocol socket", hint: "give --files-fd or --files")
        }
        let configuration = try Self.configuration(options)
        guard !configuration.trees.isEmpty else {
            throw SandboxError(.invalidArgument, "no tree to serve", hint: "give --config-fd or --tree")
        }
        makeNodes = configuration.allowMakeNode
        identities = Identities(users: IdentityMap(configuration.uidMappings), groups: IdentityMap(configuration.gidMappings))
        Timeline.startup.mark("configuration")
        HostCall.setFileCreationMask(0)
        var trees: [ServedTree] = []
        for specification in configuration.trees { trees.append(try ServedTree.open(specification, identities)) }
        self.trees = trees
        Timeline.startup.mark("trees")
        control = try options.common.makeControlServer(
            component: "gofer", fileProtocol: (FileProtocolVersion.major, FileProtocolVersion.minor))
        // Half of what the process may have, less what it holds: the rest is for descriptors under way and for control.
        let limit = (try? HostCall.raiseResourceLimit(7 /* RLIMIT_NOFILE */)) ?? 1024
        descriptorLimit = max(32, min(Int(clamping: limit) / 2 - trees.count - 32, 8192))
    }

    private static func configuration(_ options: GoferOptions) throws(SandboxError) -> GoferConfiguration {
        guard let descriptor = options.configurationDescriptor else {
            var configuration = GoferConfiguration()
            configuration.trees = options.trees
            return configuration
        }
        let source = OwnedDescriptor(adopting: descriptor)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count: Int
            do {
                var span = chunk.mutableSpan
                count = try HostCall.read(source.rawValue, into: &span)
            } catch { throw SandboxError(error, "cannot read the Gofer's configuration") }
            if count == 0 { break }
            bytes += chunk.prefix(count)
            guard bytes.count <= 16 << 20 else { throw SandboxError(.invalidArgument, "the Gofer's configuration is over 16 MiB") }
        }
        do { return try GoferConfiguration(decoding: bytes) } catch {
            throw SandboxError(.invalidArgument, "the Gofer's configuration is malformed: \(error)")
        }
    }

    /// Serves until the file socket ends or control says so; the exit status.
    func run() throws(SandboxError) -> Int32 {
        let finish = control.finisher
        /// The status that control told, or -1.
        final class Status: Sendable { let value = Atomic<Int32>(-1) }
        let told = Status()
        control.command("/v1/exit", GoferExit.self) { (exit, _, reply) in
            told.value.store(Int32(exit.status), ordering: .relaxed)
            reply.succeed()
            finish(Int32(exit.status))
        }
        control.on(.post, "/v1/stop") { (_, reply) in
            reply.succeed()
            finish(0)
        }
        let trees = trees
        let limit = descriptorLimit
        let identities = identities
        control.report("/v1/descriptors") {
            DescriptorReport(
                trees: UInt32(clamping: trees.count), handles: ServerMetrics.handles.value, descriptors: ServerMetrics.descriptors.value,
                limit: UInt64(limit))
        }

        control.onRest = { HostCall.releaseMemory() }
        let rest = control.rest
        let files = files
        let body: @Sendable () -> Void =
            if isListening {
                { Self.accept(files, trees, identities, limit, rest) }
            } else {
                {
                    let status = Self.serve(OwnedDescriptor(adopting: files), trees, identities, limit, rest)
                    let told = told.value.load(ordering: .relaxed)
                    finish(told >= 0 ? told : status)
                }
            }
        try Confinement.apply(
            .gofer(makeNodes: makeNodes), mode: options.common.confinement, logDescriptor: options.common.logDescriptor)
        Timeline.startup.mark("confinement")
        // Only from here on is there a second thread, and a peer to hear.
        do { try startThread(body) } catch { throw SandboxError(error, "cannot start the file server's thread") }
        Timeline.startup.complete("ready")
        options.common.announceReady()
        Log.info("serving", [("trees", "\(trees.count)"), ("descriptors", "\(limit)")])
        return try control.run()
    }

    /// Serves one client to its end: 0, or 1 when it broke the protocol.
    private static func serve(
        _ socket: consuming OwnedDescriptor, _ trees: [ServedTree], _ identities: Identities, _ limit: Int, _ rest: RestSignal
    ) -> Int32 {
        let connection = FileServerConnection(socket, service: FileServer(trees: trees, identities: identities, descriptorLimit: limit))
        connection.onAnswer = { rest.tellOfWork() }
        do throws(ConnectionError) { try connection.run() } catch {
            Log.error("file connection closed: \(error)", [("served", "\(connection.served)")])
            return 1
        }
        Log.info("file connection ended", [("served", "\(connection.served)")])
        return 0
    }

    /// By hand: any number of clients, each on a thread with handles of its own.
    private static func accept(_ listening: Int32, _ trees: [ServedTree], _ identities: Identities, _ limit: Int, _ rest: RestSignal) {
        while true {
            do throws(Errno) {
                let number = try HostCall.accept(listening).release()
                try startThread { _ = serve(OwnedDescriptor(adopting: number), trees, identities, limit, rest) }
            } catch {
                Log.error("cannot accept on the file socket: \(error)")
                return
            }
        }
    }
}

extension ServedTree {
    /// Opens the tree that the Supervisor described.
    fileprivate static func open(_ specification: TreeSpecification, _ identities: Identities) throws(SandboxError) -> ServedTree {
        var flags: TreeFlags = []
        if specification.readOnly { flags.insert(.readOnly) }
        if specification.allowDevices { flags.insert(.devices) }
        let tree = try open(
            path: specification.source, recursive: specification.recursive, flags: flags, mountPoints: specification.mountPoints,
            identities: identities)
        let shown = String(decoding: specification.source, as: UTF8.self)
        Log.debug("tree", [("source", shown), ("flags", "\(flags.rawValue)")])
        return tree
    }
}

/// `GET /v1/descriptors`: what the Gofer holds.
private struct DescriptorReport: WireStructure {
    var trees: UInt32 = 0
    var handles: UInt64 = 0
    var descriptors: UInt64 = 0
    var limit: UInt64 = 0
    init() {}
    init(trees: UInt32, handles: UInt64, descriptors: UInt64, limit: UInt64) {
        self.trees = trees
        self.handles = handles
        self.descriptors = descriptors
        self.limit = limit
    }
    static var summary: String { "What a Gofer holds open for its clients." }
    mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("trees", &trees, "trees served")
        try v.integer("handles", &handles, "files that clients hold")
        try v.integer("descriptors", &descriptors, "descriptors open for them")
        try v.integer("limit", &limit, "most descriptors for one client")
    }
}

import FileProtocol
import GoferFileServer
import Host
import LinuxABI
import Synchronization

/// A directory under /tmp that goes away with its object.
final class TemporaryDirectory: Sendable {
    let path: String
    let descriptor: SharedDescriptor
    private static let counter = Atomic<Int>(0)

    init() throws {
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        let process = HostCall.raw(.getpid)
        path = "/tmp/nestbox-gofer-test-\(process)-\(number)"
        try HostCall.makeDirectory(Array(path.utf8), mode: 0o755, at: AtFlag.AT_FDCWD)
        descriptor = SharedDescriptor(try HostCall.open(Array(path.utf8), flags: OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY))
    }

    deinit {
        try? Self.empty(descriptor)
        try? HostCall.unlink(Array(path.utf8), at: AtFlag.AT_FDCWD, flags: AtFlag.AT_REMOVEDIR)
    }

    private static func empty(_ directory: SharedDescriptor) throws {
        var left = true
        while left {
            left = false
            _ = try HostCall.seek(directory.rawValue, to: 0, from: SeekOrigin.SEEK_SET)
            for entry in try HostCall.readDirectory(directory.rawValue) where entry.name != [0x2e] && entry.name != [0x2e, 0x2e] {
                left = true
                if entry.type != DirectoryEntryType.DT_DIR {
                    try HostCall.unlink(entry.name, at: directory.rawValue)
                    continue
                }
                let flags = OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY | OpenFlag.O_NOFOLLOW
                try empty(SharedDescriptor(try HostCall.open(entry.name, flags: flags, at: directory.rawValue)))
                try HostCall.unlink(entry.name, at: directory.rawValue, flags: AtFlag.AT_REMOVEDIR)
            }
        }
    }

    func makeFile(_ name: String, _ content: String = "", mode: UInt32 = 0o644) throws {
        let file = try HostCall.open(
            Array(name.utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_TRUNC, mode: mode, at: descriptor.rawValue)
        try HostCall.writeAll(file.rawValue, Array(content.utf8).span)
    }
    func makeDirectory(_ name: String) throws { try HostCall.makeDirectory(Array(name.utf8), mode: 0o755, at: descriptor.rawValue) }
    func makeLink(_ name: String, to target: String) throws {
        try HostCall.makeSymbolicLink(Array(name.utf8), target: Array(target.utf8), at: descriptor.rawValue)
    }
    func content(_ name: String) throws -> String {
        let file = try HostCall.open(Array(name.utf8), flags: OpenFlag.O_RDONLY, at: descriptor.rawValue)
        return try read(file.rawValue)
    }
}

/// The whole content of a small file.
func read(_ descriptor: Int32) throws -> String {
    var bytes = [UInt8](repeating: 0, count: 65536)
    var span = bytes.mutableSpan
    let count = try HostCall.read(descriptor, at: 0, into: &span)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
}

/// A server on its own thread and a client of it, for one directory.
final class Pair: Sendable {
    let directory: TemporaryDirectory
    let client: FileClient
    let root: UInt32
    /// Why the server ended, once it has.
    let ended: Ended

    final class Ended: Sendable {
        private let outcome = Lock<ConnectionError?>(nil)
        private let parker = Parker()
        func set(_ error: ConnectionError?) {
            outcome.withLock { $0 = error }
            parker.unpark()
        }
        func wait() -> ConnectionError? {
            _ = parker.park()
            return outcome.withLock { $0 }
        }
    }

    /// A tree on its way to the server's thread, which must not keep it longer than the server.
    private final class Handed: Sendable {
        private let tree: Lock<ServedTree?>
        init(_ tree: ServedTree) { self.tree = Lock(tree) }
        func take() -> ServedTree? {
            tree.withLock { tree in
                defer { tree = nil }
                return tree
            }
        }
    }

    init(
        flags: TreeFlags = [], descriptorLimit: Int = 64, handleLimit: Int = 4096, root path: String? = nil, identities: Identities = .same
    ) throws {
        directory = try TemporaryDirectory()
        let sockets = try HostCall.socketPair()
        let descriptor = SharedDescriptor(
            try HostCall.open(Array((path ?? directory.path).utf8), flags: OpenFlag.O_PATH | OpenFlag.O_DIRECTORY))
        let tree = try ServedTree.open("test", descriptor: descriptor, flags: flags)
        let number = try sockets.second.duplicate().release()
        let clientEnd = try sockets.first.duplicate()
        let ended = Ended()
        self.ended = ended
        let handed = Handed(tree)
        try startThread {
            // In a function of its own: when it returns, all that the server held is gone.
            func serve() -> ConnectionError? {
                guard let tree = handed.take() else { return .closed }
                let server = FileServer(trees: [tree], identities: identities, handleLimit: handleLimit, descriptorLimit: descriptorLimit)
                let connection = FileServerConnection(OwnedDescriptor(adopting: number), service: server)
                do throws(ConnectionError) { try connection.run() } catch { return error }
                return nil
            }
            ended.set(serve())
        }
        client = try FileClient(clientEnd)
        root = try client.call(AttachRequest(tree: 0)).node.handle
    }

    deinit { client.shutDown() }

    func walk(_ path: String, from directory: UInt32? = nil) throws -> WalkReply {
        try client.call(WalkRequest(directory: directory ?? root, names: path.split(separator: "/").map { Array($0.utf8) }))
    }
    /// The handle at the end of a path that must exist.
    func handle(_ path: String) throws -> UInt32 {
        let reply = try walk(path)
        guard reply.error == 0, let last = reply.nodes.last else { throw Errno(rawValue: reply.error) }
        return last.handle
    }
}

/// How many descriptors this process has open.
func openDescriptorCount() throws -> Int {
    let directory = try HostCall.open(Array("/proc/self/fd".utf8), flags: OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY)
    var count = 0
    while true {
        let entries = try HostCall.readDirectory(directory.rawValue)
        if entries.isEmpty { return count - 3 }
        count += entries.count
    }
}

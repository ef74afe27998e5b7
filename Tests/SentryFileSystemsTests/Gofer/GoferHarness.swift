import FileProtocol
import GoferFileServer
import Host
import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

@testable import SentryFileSystems

/// A directory of the host, a Gofer on a thread of this process, and a mount namespace of the guest whose root it serves.
final class GoferMount: Sendable {
    let path: String
    let directory: SharedDescriptor
    let client: FileClient
    let fileSystem: GoferFileSystem
    let namespace: MountNamespace
    var root: Path { namespace.root }
    var context: any FileContext { KernelFileContext.shared }
    private static let counter = Atomic<Int>(0)

    init(
        shared: Bool = false, flags: TreeFlags = [], identities: Identities = .same, lease: UInt64 = GoferFileSystem.defaultLease,
        prepare: (GoferMount.Preparation) throws -> Void = { _ in }
    ) throws {
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        path = "/tmp/nestbox-gofer-fs-test-\(HostCall.raw(.getpid))-\(number)"
        try HostCall.makeDirectory(Array(path.utf8), mode: 0o755, at: AtFlag.AT_FDCWD)
        directory = SharedDescriptor(try HostCall.open(Array(path.utf8), flags: OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY))
        try prepare(Preparation(directory: directory))
        HostCall.setFileCreationMask(0)
        let tree = try ServedTree.open("test", descriptor: directory, flags: flags)
        let sockets = try HostCall.socketPair()
        let server = try sockets.second.duplicate().release()
        let mine = try sockets.first.duplicate()
        try startThread {
            let service = FileServer(trees: [tree], identities: identities, descriptorLimit: 64)
            try? FileServerConnection(OwnedDescriptor(adopting: server), service: service).run()
        }
        client = try FileClient(mine)
        fileSystem = try GoferFileSystem(client: client, tree: 0, shared: shared, lease: lease, device: 77)
        namespace = try MountNamespace(root: fileSystem, source: Array("root".utf8))
    }

    deinit {
        client.shutDown()
        Self.removeTree(directory)
        try? HostCall.unlink(Array(path.utf8), at: AtFlag.AT_FDCWD, flags: AtFlag.AT_REMOVEDIR)
    }

    /// The directory before it is served.
    struct Preparation {
        let directory: SharedDescriptor
        func file(_ name: String, _ content: String = "") throws {
            let file = try HostCall.open(
                Array(name.utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_TRUNC, mode: 0o644, at: directory.rawValue)
            try HostCall.writeAll(file.rawValue, Array(content.utf8).span)
        }
        func directory(_ name: String) throws { try HostCall.makeDirectory(Array(name.utf8), mode: 0o755, at: directory.rawValue) }
        func link(_ name: String, _ target: String) throws {
            try HostCall.makeSymbolicLink(Array(name.utf8), target: Array(target.utf8), at: directory.rawValue)
        }
    }
    var host: Preparation { Preparation(directory: directory) }

    static func removeTree(_ directory: SharedDescriptor) {
        _ = try? HostCall.seek(directory.rawValue, to: 0, from: SeekOrigin.SEEK_SET)
        while let entries = try? HostCall.readDirectory(directory.rawValue), !entries.isEmpty {
            for entry in entries {
                if entry.name == [0x2e] || entry.name == [0x2e, 0x2e] { continue }
                if entry.type == DirectoryEntryType.DT_DIR {
                    if let inner = try? HostCall.open(
                        entry.name, flags: OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY | OpenFlag.O_NOFOLLOW, at: directory.rawValue)
                    {
                        removeTree(SharedDescriptor(inner))
                    }
                    try? HostCall.unlink(entry.name, at: directory.rawValue, flags: AtFlag.AT_REMOVEDIR)
                } else {
                    try? HostCall.unlink(entry.name, at: directory.rawValue)
                }
            }
        }
    }

    // MARK: The guest's calls

    func open(_ path: String, _ flags: OpenFlags = [], mode: UInt32 = 0o644) throws(Errno) -> FileDescription {
        try VFS.open(Array(path.utf8).span, at: root, flags: flags, mode: mode, context)
    }
    func stat(_ path: String) throws(Errno) -> FileAttributes {
        try VFS.stat(Array(path.utf8).span, at: root, [], context)
    }
    func names(_ path: String) throws(Errno) -> [String] {
        let file = try open(path, [.O_DIRECTORY])
        var names: [String] = []
        try file.readDirectory(context) { entry in
            names.append(String(decoding: entry.name, as: UTF8.self))
            return true
        }
        return names
    }
    /// The first 4096 bytes of an open file.
    func text(_ file: FileDescription) throws(Errno) -> String {
        var buffer = IOBuffer.kernel(capacity: 4096)
        _ = try file.read(at: 0, into: &buffer, context)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }
    @discardableResult func write(_ file: FileDescription, _ text: String) throws(Errno) -> Int {
        var buffer = IOBuffer.kernel(Array(text.utf8))
        return try file.write(from: &buffer, context)
    }
}

internal import Host
public import LinuxABI
import Synchronization

/// A file system without names, for pipes, sockets and the files that system calls make (pipefs, sockfs, anon_inodefs). It is mounted nowhere.
public final class AnonymousFileSystem: FileSystem, @unchecked Sendable {
    public static let pipes = AnonymousFileSystem(typeName: "pipefs", minor: 12, magic: UInt64(FileSystemMagic.PIPEFS_MAGIC))
    public static let sockets = AnonymousFileSystem(typeName: "sockfs", minor: 8, magic: UInt64(FileSystemMagic.SOCKFS_MAGIC))
    public static let inodes = AnonymousFileSystem(typeName: "anon_inodefs", minor: 14, magic: UInt64(FileSystemMagic.ANON_INODE_FS_MAGIC))
    public static let memory = AnonymousFileSystem(typeName: "tmpfs", minor: 1, magic: UInt64(FileSystemMagic.TMPFS_MAGIC))

    private let magic: UInt64
    private let lastInode = Atomic<UInt64>(1000)
    private let internalMount = Lock<Mount?>(nil)

    private init(typeName: String, minor: UInt32, magic: UInt64) {
        self.magic = magic
        super.init(typeName: typeName, device: DeviceNumber.make(major: 0, minor: minor))
    }

    override public func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics { FileSystemStatistics(magic: magic) }

    /// The next inode number.
    public func nextInode() -> UInt64 { lastInode.add(1, ordering: .relaxed).newValue }

    /// The place of a new anonymous file. `name`: what /proc/PID/fd shows, `pipe:[17]` or `anon_inode:[eventfd]`.
    public func place(of inode: Inode, name: [UInt8]) -> Path {
        let mount = internalMount.withLock { cached -> Mount in
            if let cached { return cached }
            let mount = Mount(fileSystem: self, root: Dentry(parent: nil, name: [], inode: nil), source: Array(typeName.utf8), flags: [])
            cached = mount
            return mount
        }
        return Path(mount: mount, dentry: Dentry(parent: nil, name: name, inode: inode))
    }

    /// The place of a file of anon_inodefs: they all share one inode. `kind`: `[eventfd]`, `[eventpoll]`, ...
    public static func place(kind: String) -> Path {
        inodes.place(of: AnonymousInode.shared, name: Array("anon_inode:\(kind)".utf8))
    }
}

/// An inode with attributes and nothing else: behind pipes, sockets and anonymous files.
public final class AnonymousInode: Inode, @unchecked Sendable {
    static let shared = AnonymousInode(AnonymousFileSystem.inodes, mode: 0o600, user: 0, group: 0)

    private let state: Lock<FileAttributes>

    /// `mode`: type bits (none for anon_inodefs) and permission bits.
    public init(_ fileSystem: AnonymousFileSystem, mode: UInt32, user: UInt32, group: UInt32) {
        var attributes = FileAttributes()
        attributes.device = fileSystem.device
        attributes.inode = fileSystem.nextInode()
        attributes.mode = mode
        attributes.user = user
        attributes.group = group
        let now = Timespec(nanoseconds: HostClock.realtime)
        attributes.accessTime = now
        attributes.modificationTime = now
        attributes.changeTime = now
        state = Lock(attributes)
        super.init(fileSystem: fileSystem, type: attributes.type)
    }

    public var number: UInt64 { state.withLock { $0.inode } }
    override public func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes { state.withLock { $0 } }
    override public func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        if change.size != nil { throw .EINVAL }
        state.withLock { $0.apply(change, now: Timespec(nanoseconds: HostClock.realtime)) }
    }
}

extension FileAttributes {
    /// Applies everything but the size, and the change time.
    public mutating func apply(_ change: AttributeChange, now: Timespec) {
        if let permissions = change.permissions { mode = mode & FileMode.S_IFMT | permissions & 0o7777 }
        if let user = change.user { self.user = user }
        if let group = change.group { self.group = group }
        switch change.accessTime {
        case .now: accessTime = now
        case .at(let time): accessTime = time
        case nil: break
        }
        switch change.modificationTime {
        case .now: modificationTime = now
        case .at(let time): modificationTime = time
        case nil: break
        }
        changeTime = now
    }
}

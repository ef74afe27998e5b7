internal import Host
public import LinuxABI
public import SentryVFS
import Synchronization

/// The internal file system of sockets (Linux: sockfs): every socket has an inode, shown as `socket:[NUMBER]`.
public final class SocketFileSystem: FileSystem, @unchecked Sendable {  // The number is atomic.
    public static let shared = SocketFileSystem()
    private let nextInode = Atomic<UInt64>(10_000)
    private let rootDentryOfSockets: Dentry
    private let mountStorage = Mutex<Mount?>(nil)

    private init() {
        rootDentryOfSockets = Dentry(parent: nil, name: Array("socket:".utf8), inode: nil)
        super.init(typeName: "sockfs", device: DeviceNumber.make(major: 0, minor: 8))
    }

    private var mount: Mount {
        mountStorage.withLock { storage in
            if let storage { return storage }
            let mount = Mount(identifier: 0, fileSystem: self, root: rootDentryOfSockets, source: Array("sockfs".utf8), flags: [])
            storage = mount
            return mount
        }
    }

    /// A new socket's inode and its place, owned by the caller.
    func makePlace(_ context: any FileContext) -> (path: Path, inode: UInt64) {
        let number = nextInode.wrappingAdd(1, ordering: .relaxed).oldValue
        let inode = SocketInode(self, number: number, credentials: context.credentials)
        let dentry = Dentry(parent: nil, name: Array("socket:[\(number)]".utf8), inode: inode)
        return (Path(mount: mount, dentry: dentry), number)
    }

    public override func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics {
        FileSystemStatistics(magic: UInt64(bitPattern: FileSystemMagic.SOCKFS_MAGIC))
    }
}

/// The inode of a socket.
final class SocketInode: Inode, @unchecked Sendable {  // The only change is behind a lock.
    private let number: UInt64
    private let time: Timespec
    private let identity: Mutex<(mode: UInt32, user: UInt32, group: UInt32)>

    init(_ fileSystem: SocketFileSystem, number: UInt64, credentials: Credentials) {
        self.number = number
        time = Timespec(nanoseconds: HostClock.realtime)
        identity = Mutex((mode: 0o777, user: credentials.user.fileSystem, group: credentials.group.fileSystem))
        super.init(fileSystem: fileSystem, type: .socket)
    }

    override func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        let identity = identity.withLock { $0 }
        var attributes = FileAttributes(type: .socket, permissions: identity.mode)
        attributes.device = fileSystem.device
        attributes.inode = number
        attributes.user = identity.user
        attributes.group = identity.group
        attributes.accessTime = time
        attributes.modificationTime = time
        attributes.changeTime = time
        return attributes
    }

    override func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        identity.withLock { identity in
            if let mode = change.permissions { identity.mode = mode & 0o7777 }
            if let user = change.user { identity.user = user }
            if let group = change.group { identity.group = group }
        }
    }
}

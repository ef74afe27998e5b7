import Host
public import LinuxABI
import Synchronization

/// A file system instance (superblock).
open class FileSystem: @unchecked Sendable {  // Subclasses keep their state behind locks.
    /// The name in /proc/filesystems and /proc/mounts.
    public let typeName: String
    /// st_dev of its inodes, unless they say otherwise.
    public let device: UInt64
    public init(typeName: String, device: UInt64) {
        self.typeName = typeName
        self.device = device
    }
    /// A device number (major 0) for a new file system without a device.
    public static func makeDevice() -> UInt64 { DeviceNumber.make(major: 0, minor: lastMinor.add(1, ordering: .relaxed).newValue) }
    private static let lastMinor = Atomic<UInt32>(40)

    /// The root directory (or the single file of a file mount).
    open var root: Inode { get throws(Errno) { throw .ENODEV } }
    open func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics { throw .ENOSYS }
    /// sync(2): writes back what is dirty.
    open func sync() throws(Errno) {}
    /// The options of /proc/mounts after rw/ro, without a leading comma.
    open var mountOptions: String { "" }
    /// Called when the last mount is gone.
    open func unmounted() {}

    /// Whether the whole file system is read-only, whatever its mounts say.
    open var isReadOnly: Bool { false }

    /// Whether a look-up of a name that is not there fails even for who would make it: ENOENT, whatever else forbids the making (proc).
    open var refusesNewNames: Bool { false }

    // MARK: What the VFS keeps of it

    /// Taken, before any directory lock, by renames from one directory to another.
    let renameLock = Lock<Void>(())
    /// Counts changes of names: a look-up of several components at once uses it to see that nothing moved meanwhile.
    let nameChanges = Atomic<UInt64>(0)
    private let mounts = Atomic<Int>(0)
    private let cachedRoot = Lock<Dentry?>(nil)

    /// The root's dentry, which every mount of this instance shares.
    public func rootDentry() throws(Errno) -> Dentry {
        if let dentry = cachedRoot.withLock({ $0 }) { return dentry }
        let inode = try root
        return cachedRoot.withLock { cached in
            if let cached { return cached }
            let dentry = Dentry(parent: nil, name: [], inode: inode)
            cached = dentry
            return dentry
        }
    }

    func mountAdded() { mounts.add(1, ordering: .relaxed) }

    func mountRemoved() {
        guard mounts.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        let dentry = cachedRoot.withLock { cached in
            defer { cached = nil }
            return cached
        }
        dentry?.dropTree()
        unmounted()
    }
}

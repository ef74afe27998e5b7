internal import Host
public import LinuxABI
public import SentryVFS
import Synchronization

/// The base of file systems whose files exist only in the Sentry: proc, sysfs, devpts. It numbers inodes, keeps the root, answers statfs.
open class SyntheticFileSystem: FileSystem, @unchecked Sendable {  // State is atomic or written once, before the file system is shared.
    private let magic: UInt64
    private let nextInode = Atomic<UInt64>(2)
    /// When the file system was made; the times of its inodes.
    public let creationTime: Timespec
    private let rootInode = Lock<Inode?>(nil)

    public init(typeName: String, device: UInt64, magic: Int64) {
        self.magic = UInt64(bitPattern: magic)
        creationTime = Timespec(nanoseconds: HostClock.realtime)
        super.init(typeName: typeName, device: device)
    }

    /// A fresh inode number.
    public func makeInodeNumber() -> UInt64 { nextInode.wrappingAdd(1, ordering: .relaxed).oldValue }

    /// Sets the root; once, before the first mount.
    public func setRoot(_ inode: Inode) { rootInode.withLock { $0 = inode } }

    open override var root: Inode {
        get throws(Errno) {
            guard let inode = rootInode.withLock({ $0 }) else { throw .ENODEV }
            return inode
        }
    }

    open override func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics {
        FileSystemStatistics(magic: magic)
    }
}

/// An inode of a synthetic file system: attributes in memory.
open class SyntheticInode: Inode, @unchecked Sendable {  // State is behind a lock.
    /// st_ino.
    public let number: UInt64
    private struct State {
        var permissions: UInt32
        var user: UInt32 = 0
        var group: UInt32 = 0
        var accessTime: Timespec
        var modificationTime: Timespec
    }
    private let state: Lock<State>

    /// `number` nil: a fresh one.
    public init(_ fileSystem: SyntheticFileSystem, type: FileType, permissions: UInt32, number: UInt64? = nil) {
        self.number = number ?? fileSystem.makeInodeNumber()
        let time = fileSystem.creationTime
        state = Lock(State(permissions: permissions, accessTime: time, modificationTime: time))
        super.init(fileSystem: fileSystem, type: type)
    }

    /// Who owns the file now; what chown left, unless a subclass knows better.
    open func owner() -> (user: UInt32, group: UInt32) { state.withLock { ($0.user, $0.group) } }
    /// Hard links: 2 and more for directories.
    open var linkCount: UInt32 { type == .directory ? 2 : 1 }
    /// st_size; 0 as in proc, unless a subclass knows better.
    open var size: Int64 { 0 }
    /// st_rdev of device nodes.
    open var specialDevice: UInt64 { 0 }
    /// Whether chmod, chown and utimensat may change the inode.
    open var allowsAttributeChange: Bool { false }

    /// Sets owner and permission bits, for files made on somebody's behalf.
    public func assign(user: UInt32, group: UInt32, permissions: UInt32? = nil) {
        state.withLock {
            $0.user = user
            $0.group = group
            if let permissions { $0.permissions = permissions & 0o7777 }
        }
    }

    open override func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        let state = state.withLock { $0 }
        let owner = owner()
        var attributes = FileAttributes(type: type, permissions: state.permissions)
        attributes.device = fileSystem.device
        attributes.inode = number
        attributes.links = linkCount
        attributes.user = owner.user
        attributes.group = owner.group
        attributes.size = size
        attributes.specialDevice = specialDevice
        attributes.blockSize = 1024
        attributes.accessTime = state.accessTime
        attributes.modificationTime = state.modificationTime
        attributes.changeTime = state.modificationTime
        return attributes
    }

    open override func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        // open(O_TRUNC) of a file with generated content changes nothing, as in proc and sysfs.
        let onlySize =
            change.permissions == nil && change.user == nil && change.group == nil && change.accessTime == nil
            && change.modificationTime == nil
        if onlySize { return }
        guard allowsAttributeChange else { throw .EPERM }
        let now = Timespec(nanoseconds: HostClock.realtime)
        state.withLock { state in
            if let permissions = change.permissions { state.permissions = permissions & 0o7777 }
            if let user = change.user { state.user = user }
            if let group = change.group { state.group = group }
            if let time = change.accessTime { state.accessTime = Self.resolve(time, now) }
            if let time = change.modificationTime { state.modificationTime = Self.resolve(time, now) }
        }
    }

    private static func resolve(_ time: AttributeChange.Time, _ now: Timespec) -> Timespec {
        switch time {
        case .now: now
        case .at(let time): time
        }
    }
}

/// A symbolic link whose target is computed when it is read.
public final class SyntheticLink: SyntheticInode, @unchecked Sendable {
    private let target: @Sendable (any FileContext) throws(Errno) -> [UInt8]
    /// Where following leads, for magic links; nil: to the text.
    private let place: (@Sendable (any FileContext) throws(Errno) -> LinkTarget)?

    public init(
        _ fileSystem: SyntheticFileSystem, permissions: UInt32 = 0o777, number: UInt64? = nil,
        target: @escaping @Sendable (any FileContext) throws(Errno) -> [UInt8],
        place: (@Sendable (any FileContext) throws(Errno) -> LinkTarget)? = nil
    ) {
        self.target = target
        self.place = place
        super.init(fileSystem, type: .symlink, permissions: permissions, number: number)
    }

    public convenience init(_ fileSystem: SyntheticFileSystem, to text: String) {
        let bytes = Array(text.utf8)
        self.init(fileSystem, target: { _ throws(Errno) in bytes })
    }

    public override func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] { try target(context) }
    public override func followLink(_ context: any FileContext) throws(Errno) -> LinkTarget {
        if let place { return try place(context) }
        return .path(try target(context))
    }
}

public import Host
public import LinuxABI

/// One file of a file system: what a name refers to. Subclasses implement what their file system can do; what they leave out is refused with
/// the errno Linux gives. Permission checks, path walking, mount read-only checks and name validation (not empty, no '/', at most 255 bytes,
/// not "." or "..") are done by the VFS before these are called. Names are bytes. Changes to one directory are serialised by the VFS, which
/// holds `directoryLock` around create, link, unlink, rename and look-ups that miss the dentry cache.
open class Inode: @unchecked Sendable {  // Subclasses keep their state behind locks.
    /// The instance this inode belongs to. File systems outlive their inodes through their mounts.
    public let fileSystem: FileSystem
    /// The file type, which never changes.
    public let type: FileType
    /// Advisory locks (flock, POSIX, OFD); made when first needed.
    public var locks: FileLocks {
        lockStorage.withLock { storage in
            if let storage { return storage }
            let locks = FileLocks()
            storage = locks
            return locks
        }
    }
    /// The locks if there ever were any.
    public var existingLocks: FileLocks? { lockStorage.withLock { $0 } }
    private let lockStorage = Lock<FileLocks?>(nil)
    /// Who watches this inode (inotify(7)); made when first needed.
    public var watchers: FileWatchers {
        watcherStorage.withLock { storage in
            if let storage { return storage }
            let watchers = FileWatchers()
            storage = watchers
            return watchers
        }
    }
    /// The watchers if there ever were any.
    var existingWatchers: FileWatchers? { watcherStorage.withLock { $0 } }
    private let watcherStorage = Lock<FileWatchers?>(nil)
    /// Serialises look-ups and changes of a directory's entries.
    public let directoryLock = Lock<Void>(())

    public init(fileSystem: FileSystem, type: FileType) {
        self.fileSystem = fileSystem
        self.type = type
    }

    // MARK: Attributes

    /// stat(2).
    open func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes { throw .ENOSYS }
    /// Applies a change that the VFS found permitted, ctime included.
    open func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) { throw .EPERM }
    /// Whether the caller may `access` (MAY_READ 4, MAY_WRITE 2, MAY_EXEC 1). The default applies the mode bits and capabilities.
    open func checkAccess(_ access: Access, _ context: any FileContext) throws(Errno) {
        try Permissions.check(attributes(context), access, context.credentials)
    }

    // MARK: Directories

    /// The child called `name`, or ENOENT.
    open func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode { throw .ENOTDIR }
    /// Looks up several components in one go: the inodes of as many as could be followed, stopping after a symlink or before a name that does
    /// not exist (then shorter than `names`). A file system with a remote server overrides it; the default does one component.
    open func walk(_ names: ArraySlice<[UInt8]>, _ context: any FileContext) throws(Errno) -> [Inode] {
        guard let first = names.first else { return [] }
        do { return [try lookup(first, context)] } catch { if error == .ENOENT { return [] } else { throw error } }
    }
    /// How many names `walk` takes at once. More than 1 promises that `walk` stops early only for the reasons it gives.
    open var walkDepth: Int { 1 }
    /// Whether a cached dentry of this directory (positive or negative) may be used without asking. False for shared trees and proc.
    open var cachesNames: Bool { true }
    /// For directories that do not cache: whether `name` still means `child` (nil: still means nothing).
    open func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool { false }

    /// Makes a regular file (mode: permission bits, umask applied, owner from the context), and fails with EEXIST.
    open func create(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode { throw .EACCES }
    open func makeDirectory(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode { throw .EPERM }
    /// mknod(2) of a FIFO, socket or device node.
    open func makeNode(_ name: [UInt8], type: FileType, mode: UInt32, device: UInt64, _ context: any FileContext) throws(Errno) -> Inode {
        throw .EPERM
    }
    open func symlink(_ name: [UInt8], target: [UInt8], _ context: any FileContext) throws(Errno) -> Inode { throw .EPERM }
    /// Adds a hard link `name` to `target`, an inode of the same file system.
    open func link(_ name: [UInt8], to target: Inode, _ context: any FileContext) throws(Errno) { throw .EPERM }
    /// Removes a name that is not a directory.
    open func unlink(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) { throw .EPERM }
    /// Removes an empty directory (ENOTEMPTY).
    open func removeDirectory(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) { throw .EPERM }
    /// Moves `name` (which is `child`) of this directory to `newName` of `newParent`, replacing `replaced` if given. The VFS has checked loops,
    /// types and flags; `exchange` swaps the two names; `whiteout` leaves a whiteout behind.
    open func rename(
        _ name: [UInt8], _ child: Inode, to newParent: Inode, _ newName: [UInt8], replacing replaced: Inode?, exchange: Bool,
        whiteout: Bool,
        _ context: any FileContext
    ) throws(Errno) { throw .EPERM }
    /// An unnamed regular file for O_TMPFILE.
    open func createUnnamed(mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode { throw .EOPNOTSUPP }

    // MARK: Links

    /// readlink(2): the target's bytes.
    open func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] { throw .EINVAL }
    /// Where following this symlink leads. Magic links of proc return a place; ordinary ones their text.
    open func followLink(_ context: any FileContext) throws(Errno) -> LinkTarget { .path(try readLink(context)) }

    // MARK: Opening

    /// Opens the file. `path` is how it was reached. O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW were dealt with; O_TRUNC is the inode's to do.
    /// The default opens device nodes through the `DeviceRegistry` and FIFOs through the pipe implementation; ENXIO for sockets.
    open func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        switch type {
        case .character, .block: try DeviceRegistry.shared.open(path, self, flags: flags, context)
        case .fifo: try DeviceRegistry.shared.openPipe(path, self, flags: flags, context)
        default: throw .ENXIO
        }
    }

    // MARK: Extended attributes (xattr(7)); the VFS has checked name spaces and capabilities.

    open func extendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> [UInt8] { throw .EOPNOTSUPP }
    open func extendedAttributeNames(_ context: any FileContext) throws(Errno) -> [[UInt8]] { throw .EOPNOTSUPP }
    /// `flags`: XATTR_CREATE 1, XATTR_REPLACE 2.
    open func setExtendedAttribute(_ name: [UInt8], _ value: [UInt8], flags: UInt32, _ context: any FileContext) throws(Errno) {
        throw .EOPNOTSUPP
    }
    open func removeExtendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) { throw .EOPNOTSUPP }

    /// What a Unix socket bound to this inode (type .socket) is; set by the network layer, which alone knows the type.
    public let boundSocket = Lock<(any AnyObject & Sendable)?>(nil)
    /// The pipe behind a FIFO inode (type .fifo); set by the pipe implementation.
    public let fifo = Lock<(any AnyObject & Sendable)?>(nil)
}

/// Requested access: the bits of access(2).
public struct Access: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let execute = Access(rawValue: 1)
    public static let write = Access(rawValue: 2)
    public static let read = Access(rawValue: 4)
}

/// Where a symbolic link leads.
public enum LinkTarget {
    case path([UInt8])
    /// A magic link of proc: the place itself, whatever its name says.
    case place(Path)
}

public import LinuxABI

/// The kind of an inode; raw values are the S_IFMT bits.
public enum FileType: UInt32, Sendable {
    case socket = 0o140000, symlink = 0o120000, regular = 0o100000, block = 0o060000, directory = 0o040000, character = 0o020000, fifo =
        0o010000
    /// DT_* of getdents64(2).
    @inlinable public var directoryEntryType: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 12) }
}

/// What stat(2) tells of an inode.
public struct FileAttributes: Hashable, Sendable {
    /// st_dev, encoded as Linux does (makedev).
    public var device: UInt64 = 0
    public var inode: UInt64 = 0
    /// Type and permission bits.
    public var mode: UInt32 = 0
    public var links: UInt32 = 1
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    /// The device a device node names.
    public var specialDevice: UInt64 = 0
    public var size: Int64 = 0
    public var blockSize: UInt32 = 4096
    /// In units of 512 bytes.
    public var blocks: UInt64 = 0
    public var accessTime = Timespec()
    public var modificationTime = Timespec()
    public var changeTime = Timespec()
    public var birthTime: Timespec?
    /// Owner or group has no id in the container's user namespace: nobody here is it, and no capability reaches the file.
    public var isUserForeign = false
    public var isGroupForeign = false
    public init() {}
    public init(type: FileType, permissions: UInt32) { mode = type.rawValue | permissions & 0o7777 }
    /// The type; `.regular` when the mode bits say nothing known.
    @inlinable public var type: FileType { FileType(rawValue: mode & FileMode.S_IFMT) ?? .regular }
    @inlinable public var permissions: UInt32 { mode & 0o7777 }
}

/// What chmod, chown, truncate and utimensat change. Nil fields stay.
public struct AttributeChange: Sendable {
    public enum Time: Hashable, Sendable { case now, at(Timespec) }
    /// Permission bits only.
    public var permissions: UInt32?
    public var user: UInt32?
    public var group: UInt32?
    public var size: Int64?
    public var accessTime: Time?
    public var modificationTime: Time?
    public init() {}
}

/// What statfs(2) tells.
public struct FileSystemStatistics: Hashable, Sendable {
    public var magic: UInt64 = 0
    public var blockSize: UInt64 = 4096
    public var blocks: UInt64 = 0
    public var freeBlocks: UInt64 = 0
    public var availableBlocks: UInt64 = 0
    public var files: UInt64 = 0
    public var freeFiles: UInt64 = 0
    public var identifier: UInt64 = 0
    public var maximumName: UInt64 = 255
    public var flags: UInt64 = 0
    public init(magic: UInt64 = 0) { self.magic = magic }
}

public import LinuxABI
public import Wire

/// A point in time: seconds since the epoch and nanoseconds.
public struct WireTime: WireStructure, Hashable {
    public var seconds: Int64 = 0
    public var nanoseconds: UInt32 = 0
    public init() {}
    public init(_ time: Timespec) {
        seconds = time.tv_sec
        nanoseconds = UInt32(clamping: max(0, min(time.tv_nsec, 999_999_999)))
    }
    public var timespec: Timespec { Timespec(tv_sec: seconds, tv_nsec: Int64(nanoseconds)) }
    public static var summary: String { "A point in time since the epoch." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("seconds", &seconds, "since the epoch")
        try v.integer("nanoseconds", &nanoseconds, in: 0...999_999_999)
    }
}

/// What stat(2) tells about a file, as the host sees it.
public struct NodeAttributes: WireStructure, Hashable {
    /// st_mode: type and permissions.
    public var mode: UInt32 = 0
    public var links: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public var device: UInt64 = 0
    public var inode: UInt64 = 0
    /// The device that a device node stands for (DeviceNumber).
    public var specialDevice: UInt64 = 0
    public var size: UInt64 = 0
    /// In units of 512 bytes.
    public var blocks: UInt64 = 0
    /// Preferred size of transfers, bytes.
    public var blockSize: UInt32 = 4096
    public var accessed = WireTime()
    public var modified = WireTime()
    public var changed = WireTime()
    /// Zero when the file system does not keep it.
    public var born = WireTime()

    public init() {}

    /// From what statx(2) of the host said.
    public init(_ s: Statx) {
        mode = UInt32(s.stx_mode)
        links = s.stx_nlink
        user = s.stx_uid
        group = s.stx_gid
        device = DeviceNumber.make(major: s.stx_dev_major, minor: s.stx_dev_minor)
        inode = s.stx_ino
        specialDevice = DeviceNumber.make(major: s.stx_rdev_major, minor: s.stx_rdev_minor)
        size = min(s.stx_size, UInt64(Int64.max))
        blocks = s.stx_blocks
        blockSize = s.stx_blksize
        accessed = WireTime(s.stx_atime)
        modified = WireTime(s.stx_mtime)
        changed = WireTime(s.stx_ctime)
        if s.stx_mask & StatxMask.STATX_BTIME != 0 { born = WireTime(s.stx_btime) }
    }

    /// S_IFREG and its kin.
    public var type: UInt32 { mode & FileMode.S_IFMT }

    public static var summary: String { "What stat(2) tells about a file." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("mode", &mode, in: 0...0o177777, "type and permissions")
        try v.integer("links", &links, "hard links")
        try v.integer("user", &user, "owner, as the container sees it")
        try v.integer("group", &group, "owning group, as the container sees it")
        try v.integer("device", &device, "the host's st_dev; with inode it identifies a file")
        try v.integer("inode", &inode, "the host's st_ino")
        try v.integer("specialDevice", &specialDevice, "st_rdev of a device node")
        try v.integer("size", &size, in: 0...UInt64(Int64.max), "bytes")
        try v.integer("blocks", &blocks, "units of 512 bytes")
        try v.integer("blockSize", &blockSize, "preferred size of transfers, bytes")
        try v.inline("accessed", &accessed)
        try v.inline("modified", &modified)
        try v.inline("changed", &changed)
        try v.inline("born", &born, "zero when unknown")
    }
}

/// A file that the server holds for the client, with its attributes.
public struct Node: WireStructure, Hashable {
    /// Names the file in later requests; never 0. The client gives it back with Close.
    public var handle: UInt32 = 1
    public var attributes = NodeAttributes()
    public init() {}
    public init(handle: UInt32, attributes: NodeAttributes) {
        self.handle = handle
        self.attributes = attributes
    }
    public static var summary: String { "A file that the server holds for the client." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "for later requests")
        try v.inline("attributes", &attributes)
    }
}

/// What a tree is and how the client may treat it.
public struct TreeFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Changes are refused with EROFS.
    public static let readOnly = TreeFlags(rawValue: 1)
    /// Device nodes may be made.
    public static let devices = TreeFlags(rawValue: 2)
    public static let all: TreeFlags = [.readOnly, .devices]
}

/// How a file is opened.
public enum OpenAccess: UInt8, WireEnumeration {
    case read = 0
    case write = 1
    case readWrite = 2
}

/// Further wishes of an open.
public struct OpenOptions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// Cut the file to length 0 (O_TRUNC).
    public static let truncate = OpenOptions(rawValue: 1)
    /// Bypass the host's page cache (O_DIRECT).
    public static let direct = OpenOptions(rawValue: 2)
    /// Every write goes to the end (O_APPEND).
    public static let append = OpenOptions(rawValue: 4)
    public static let all: OpenOptions = [.truncate, .direct, .append]
}

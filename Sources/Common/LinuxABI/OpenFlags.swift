/// The flags of open(2) as a set.
public struct OpenFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let O_WRONLY = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_WRONLY))
    public static let O_RDWR = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_RDWR))
    public static let O_CREAT = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_CREAT))
    public static let O_EXCL = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_EXCL))
    public static let O_NOCTTY = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_NOCTTY))
    public static let O_TRUNC = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_TRUNC))
    public static let O_APPEND = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_APPEND))
    public static let O_NONBLOCK = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_NONBLOCK))
    public static let O_DSYNC = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_DSYNC))
    public static let O_ASYNC = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_ASYNC))
    public static let O_DIRECT = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_DIRECT))
    public static let O_LARGEFILE = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_LARGEFILE))
    public static let O_DIRECTORY = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_DIRECTORY))
    public static let O_NOFOLLOW = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_NOFOLLOW))
    public static let O_NOATIME = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_NOATIME))
    public static let O_CLOEXEC = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_CLOEXEC))
    public static let O_SYNC = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_SYNC))
    public static let O_PATH = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_PATH))
    public static let O_TMPFILE = OpenFlags(rawValue: UInt32(bitPattern: OpenFlag.O_TMPFILE))

    /// Whether the access mode allows reading.
    @inlinable public var isReadable: Bool { rawValue & 3 == 0 || rawValue & 3 == 2 }
    /// Whether the access mode allows writing.
    @inlinable public var isWritable: Bool { rawValue & 3 == 1 || rawValue & 3 == 2 }
}

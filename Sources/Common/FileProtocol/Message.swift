public import Wire

/// The file protocol between Sentry and Gofer: its version, its limits and the numbers of its messages.
public enum FileProtocolVersion {
    public static let major: UInt16 = 1
    /// 1: what is likely to be wanted next comes along with listings and opens.
    public static let minor: UInt16 = 1
    /// Largest body, bytes: a ReadDirectory, Read or Write chunk with room to spare.
    public static let maximumFrame: UInt32 = 256 << 10
    /// Most descriptors with one frame.
    public static let maximumDescriptors: UInt8 = 32
    /// What this version says first on a connection.
    public static var hello: Hello {
        Hello(major: major, minor: minor, features: 0, maximumFrame: maximumFrame, maximumDescriptors: maximumDescriptors)
    }
}

/// Bounds of the protocol, all checked by encoder and decoder alike.
public enum FileProtocolLimit {
    /// NAME_MAX of Linux, bytes.
    public static let name = 255
    /// PATH_MAX of Linux without its NUL, bytes.
    public static let linkTarget = 4095
    /// Components in one Walk.
    public static let components = 32
    /// Bytes in one Read or Write.
    public static let data = 128 << 10
    /// Entries in one ReadDirectory reply.
    public static let entries = 1024
    /// Further directories that one ReadDirectory reads, and further files that one Open opens.
    public static let directoriesAhead = 256
    public static let filesAhead = 24
    /// Handles in one Close.
    public static let handles = 1024
    /// XATTR_NAME_MAX, XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux, bytes.
    public static let attributeName = 255
    public static let attributeValue = 65536
}

/// The number of each message, in `FrameHeader.type`. A reply has its request's number.
public enum MessageType: UInt16, WireEnumeration {
    case hello = 1
    case attach = 2
    case walk = 3
    case open = 4
    case create = 5
    case stat = 6
    case setStat = 7
    case readDirectory = 8
    case link = 9
    case symlink = 10
    case readLink = 11
    case makeDirectory = 12
    case makeNode = 13
    case rename = 14
    case unlink = 15
    case read = 16
    case write = 17
    case sync = 18
    case statFileSystem = 19
    case allocate = 20
    case getExtendedAttribute = 21
    case setExtendedAttribute = 22
    case listExtendedAttributes = 23
    case removeExtendedAttribute = 24
    case lock = 25
    case connectSocket = 26
    case bindSocket = 27
    case watch = 28
    case close = 29
    case flush = 30
    case cancel = 31
    case createUnnamed = 32
}

/// A request of the Sentry, with the type of its answer.
public protocol FileRequest: WireStructure {
    associatedtype Reply: WireStructure
    static var type: MessageType { get }
    /// Whether a good reply brings a descriptor.
    static var donates: Bool { get }
    /// How many a good reply brings.
    static func descriptors(with reply: Reply) -> Int
}

extension FileRequest {
    public static var donates: Bool { false }
    @inlinable public static func descriptors(with reply: Reply) -> Int { donates ? 1 : 0 }
}

/// The body of a reply whose header has the error flag.
public struct Failure: WireStructure, Hashable {
    /// A Linux error number.
    public var error: Int32 = 5
    public init() {}
    public init(error: Int32) { self.error = error }
    public static var summary: String { "The body of a reply with the error flag." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("error", &error, in: 1...4095, "errno(3)")
    }
}

/// A reply that says no more than that it was done.
public struct Done: WireStructure, Hashable {
    public init() {}
    public static var summary: String { "Done; no fields." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {}
}

public import Wire

/// Connects to a socket of the host, where the configuration allows it.
public struct ConnectSocketRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .connectSocket }
    public static var donates: Bool { true }
    public var handle: UInt32 = 1
    public var kind: UInt8 = 1
    public init() {}
    public init(handle: UInt32, kind: UInt8 = 1) {
        self.handle = handle
        self.kind = kind
    }
    public static var summary: String { "Connects to a socket of the host, where the configuration allows it." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.integer("kind", &kind, in: 1...5, "SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5")
    }
}

/// Makes a listening socket on the host, where the configuration allows it.
public struct BindSocketRequest: FileRequest, Hashable {
    public typealias Reply = BindSocketReply
    public static var type: MessageType { .bindSocket }
    public static var donates: Bool { true }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var kind: UInt8 = 1
    public var mode: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public init() {}
    public init(directory: UInt32, name: [UInt8], kind: UInt8 = 1, mode: UInt32 = 0, user: UInt32 = 0, group: UInt32 = 0) {
        self.directory = directory
        self.name = name
        self.kind = kind
        self.mode = mode
        self.user = user
        self.group = group
    }
    public static var summary: String { "Makes a listening socket on the host, where the configuration allows it." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.integer("kind", &kind, in: 1...5, "SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5")
        try v.integer("mode", &mode, in: 0...0o7777, "permission bits")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
    }
}

/// One descriptor comes with it.
public struct BindSocketReply: WireStructure, Hashable {
    public var node: Node = Node()
    public init() {}
    public init(node: Node = Node()) {
        self.node = node
    }
    public static var summary: String { "One descriptor comes with it." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("node", &node)
    }
}

/// Asks for an inotify descriptor on a file of a shared tree.
public struct WatchRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .watch }
    public static var donates: Bool { true }
    public var handle: UInt32 = 1
    public var mask: UInt32 = 0
    public init() {}
    public init(handle: UInt32, mask: UInt32 = 0) {
        self.handle = handle
        self.mask = mask
    }
    public static var summary: String { "Asks for an inotify descriptor on a file of a shared tree." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.integer("mask", &mask, "IN_* of inotify(7)")
    }
}

/// Gives handles back. Handles that the server does not know are ignored.
public struct CloseRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .close }
    public var handles: [UInt32] = []
    public init() {}
    public init(handles: [UInt32] = []) {
        self.handles = handles
    }
    public static var summary: String { "Gives handles back. Handles that the server does not know are ignored." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integers("handles", &handles, maximum: FileProtocolLimit.handles)
    }
}

/// Asks the server to give up a request that it has not finished.
public struct CancelRequest: FileRequest, Hashable {
    public typealias Reply = CancelReply
    public static var type: MessageType { .cancel }
    public var tag: UInt32 = 0
    public init() {}
    public init(tag: UInt32 = 0) {
        self.tag = tag
    }
    public static var summary: String { "Asks the server to give up a request that it has not finished." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("tag", &tag, "of the request")
    }
}

/// Whether there was one.
public struct CancelReply: WireStructure, Hashable {
    public var found: Bool = false
    public init() {}
    public init(found: Bool = false) {
        self.found = found
    }
    public static var summary: String { "Whether there was one." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.boolean("found", &found, "the request was still waiting, and now has failed with EINTR")
    }
}

public import Wire

/// Reads from a regular file for which no descriptor is held.
public struct ReadRequest: FileRequest, Hashable {
    public typealias Reply = ReadReply
    public static var type: MessageType { .read }
    public var handle: UInt32 = 1
    public var offset: UInt64 = 0
    public var length: UInt32 = 0
    public init() {}
    public init(handle: UInt32, offset: UInt64 = 0, length: UInt32 = 0) {
        self.handle = handle
        self.offset = offset
        self.length = length
    }
    public static var summary: String { "Reads from a regular file for which no descriptor is held." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.integer("offset", &offset, in: 0...UInt64(Int64.max), "bytes from the start")
        try v.integer("length", &length, in: 0...UInt32(FileProtocolLimit.data), "bytes")
    }
}

/// The bytes.
public struct ReadReply: WireStructure, Hashable {
    public var data: [UInt8] = []
    public init() {}
    public init(data: [UInt8] = []) {
        self.data = data
    }
    public static var summary: String { "The bytes." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("data", &data, maximum: FileProtocolLimit.data, "shorter than asked at the end of the file")
    }
}

/// Writes to a regular file for which no descriptor is held.
public struct WriteRequest: FileRequest, Hashable {
    public typealias Reply = WriteReply
    public static var type: MessageType { .write }
    public var handle: UInt32 = 1
    public var offset: UInt64 = 0
    public var data: [UInt8] = []
    public init() {}
    public init(handle: UInt32, offset: UInt64 = 0, data: [UInt8] = []) {
        self.handle = handle
        self.offset = offset
        self.data = data
    }
    public static var summary: String { "Writes to a regular file for which no descriptor is held." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.integer("offset", &offset, in: 0...UInt64(Int64.max), "bytes from the start")
        try v.bytes("data", &data, maximum: FileProtocolLimit.data, "what to write")
    }
}

/// How much was written.
public struct WriteReply: WireStructure, Hashable {
    public var count: UInt32 = 0
    public init() {}
    public init(count: UInt32 = 0) {
        self.count = count
    }
    public static var summary: String { "How much was written." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("count", &count, "bytes written")
    }
}

/// Makes a file durable (fsync(2)), or the whole file system it lies on.
public struct SyncRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .sync }
    public var handle: UInt32 = 1
    public var dataOnly: Bool = false
    public var fileSystem: Bool = false
    public init() {}
    public init(handle: UInt32, dataOnly: Bool = false, fileSystem: Bool = false) {
        self.handle = handle
        self.dataOnly = dataOnly
        self.fileSystem = fileSystem
    }
    public static var summary: String { "Makes a file durable (fsync(2)), or the whole file system it lies on." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.boolean("dataOnly", &dataOnly, "fdatasync(2)")
        try v.boolean("fileSystem", &fileSystem, "syncfs(2)")
    }
}

/// fallocate(2).
public struct AllocateRequest: FileRequest, Hashable {
    public typealias Reply = AllocateReply
    public static var type: MessageType { .allocate }
    public var handle: UInt32 = 1
    public var mode: UInt32 = 0
    public var offset: UInt64 = 0
    public var length: UInt64 = 1
    public init() {}
    public init(handle: UInt32, mode: UInt32 = 0, offset: UInt64 = 0, length: UInt64 = 1) {
        self.handle = handle
        self.mode = mode
        self.offset = offset
        self.length = length
    }
    public static var summary: String { "fallocate(2)." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.integer("mode", &mode, in: 0...0x7f, "FALLOC_FL_*")
        try v.integer("offset", &offset, in: 0...UInt64(Int64.max), "bytes from the start")
        try v.integer("length", &length, in: 1...UInt64(Int64.max), "bytes")
    }
}

/// After the change.
public struct AllocateReply: WireStructure, Hashable {
    public var attributes: NodeAttributes = NodeAttributes()
    public init() {}
    public init(attributes: NodeAttributes = NodeAttributes()) {
        self.attributes = attributes
    }
    public static var summary: String { "After the change." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("attributes", &attributes, "after the change")
    }
}

/// The client closed its last descriptor of a file: the time for late errors to come out.
public struct FlushRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .flush }
    public var handle: UInt32 = 1
    public init() {}
    public init(handle: UInt32) {
        self.handle = handle
    }
    public static var summary: String { "The client closed its last descriptor of a file: the time for late errors to come out." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
    }
}

/// Takes or gives up a host lock on a file of a shared tree (flock(2)); it never waits (EAGAIN).
public struct LockRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .lock }
    public var handle: UInt32 = 1
    public var operation: UInt32 = 1
    public init() {}
    public init(handle: UInt32, operation: UInt32 = 1) {
        self.handle = handle
        self.operation = operation
    }
    public static var summary: String { "Takes or gives up a host lock on a file of a shared tree (flock(2)); it never waits (EAGAIN)." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.integer("operation", &operation, in: 1...8, "LOCK_SH 1, LOCK_EX 2, LOCK_UN 8")
    }
}

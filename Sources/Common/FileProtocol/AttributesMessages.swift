public import Wire

/// Reads a file's attributes.
public struct StatRequest: FileRequest, Hashable {
    public typealias Reply = StatReply
    public static var type: MessageType { .stat }
    public var handle: UInt32 = 1
    public init() {}
    public init(handle: UInt32) {
        self.handle = handle
    }
    public static var summary: String { "Reads a file's attributes." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
    }
}

/// As of now.
public struct StatReply: WireStructure, Hashable {
    public var attributes: NodeAttributes = NodeAttributes()
    public init() {}
    public init(attributes: NodeAttributes = NodeAttributes()) {
        self.attributes = attributes
    }
    public static var summary: String { "As of now." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("attributes", &attributes, "after the change")
    }
}

/// Changes a file's attributes; what `valid` does not name stays.
public struct SetStatRequest: FileRequest, Hashable {
    public typealias Reply = SetStatReply
    public static var type: MessageType { .setStat }
    public var handle: UInt32 = 1
    public var valid: SetStatFields = []
    public var mode: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public var size: UInt64 = 0
    public var accessed: WireTime = WireTime()
    public var modified: WireTime = WireTime()
    public init() {}
    public init(
        handle: UInt32, valid: SetStatFields = [], mode: UInt32 = 0, user: UInt32 = 0, group: UInt32 = 0, size: UInt64 = 0,
        accessed: WireTime = WireTime(), modified: WireTime = WireTime()
    ) {
        self.handle = handle
        self.valid = valid
        self.mode = mode
        self.user = user
        self.group = group
        self.size = size
        self.accessed = accessed
        self.modified = modified
    }
    public static var summary: String { "Changes a file's attributes; what `valid` does not name stays." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.flags(
            "valid", &valid, allowed: .all, "1 mode, 2 user, 4 group, 8 size, 16 accessed, 32 modified, 64 accessed now, 128 modified now")
        try v.integer("mode", &mode, in: 0...0o7777, "permission bits")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
        try v.integer("size", &size, in: 0...UInt64(Int64.max), "bytes")
        try v.inline("accessed", &accessed)
        try v.inline("modified", &modified)
    }
}

/// After the change.
public struct SetStatReply: WireStructure, Hashable {
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

/// statfs(2) of the file system that a file lies on.
public struct StatFileSystemRequest: FileRequest, Hashable {
    public typealias Reply = StatFileSystemReply
    public static var type: MessageType { .statFileSystem }
    public var handle: UInt32 = 1
    public init() {}
    public init(handle: UInt32) {
        self.handle = handle
    }
    public static var summary: String { "statfs(2) of the file system that a file lies on." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
    }
}

/// struct statfs.
public struct StatFileSystemReply: WireStructure, Hashable {
    public var type: Int64 = 0
    public var blockSize: UInt64 = 0
    public var fragmentSize: UInt64 = 0
    public var blocks: UInt64 = 0
    public var free: UInt64 = 0
    public var available: UInt64 = 0
    public var files: UInt64 = 0
    public var filesFree: UInt64 = 0
    public var nameLength: UInt32 = 255
    public init() {}
    public init(
        type: Int64 = 0, blockSize: UInt64 = 0, fragmentSize: UInt64 = 0, blocks: UInt64 = 0, free: UInt64 = 0, available: UInt64 = 0,
        files: UInt64 = 0, filesFree: UInt64 = 0, nameLength: UInt32 = 255
    ) {
        self.type = type
        self.blockSize = blockSize
        self.fragmentSize = fragmentSize
        self.blocks = blocks
        self.free = free
        self.available = available
        self.files = files
        self.filesFree = filesFree
        self.nameLength = nameLength
    }
    public static var summary: String { "struct statfs." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("type", &type, "f_type")
        try v.integer("blockSize", &blockSize, "f_bsize, bytes")
        try v.integer("fragmentSize", &fragmentSize, "f_frsize, bytes")
        try v.integer("blocks", &blocks, "f_blocks, fragments")
        try v.integer("free", &free, "f_bfree")
        try v.integer("available", &available, "f_bavail")
        try v.integer("files", &files, "f_files")
        try v.integer("filesFree", &filesFree, "f_ffree")
        try v.integer("nameLength", &nameLength, "f_namelen")
    }
}

/// Reads an extended attribute.
public struct GetExtendedAttributeRequest: FileRequest, Hashable {
    public typealias Reply = GetExtendedAttributeReply
    public static var type: MessageType { .getExtendedAttribute }
    public var handle: UInt32 = 1
    public var name: [UInt8] = []
    public init() {}
    public init(handle: UInt32, name: [UInt8]) {
        self.handle = handle
        self.name = name
    }
    public static var summary: String { "Reads an extended attribute." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.bytes("name", &name, maximum: FileProtocolLimit.attributeName, "with its name space")
    }
}

/// The value.
public struct GetExtendedAttributeReply: WireStructure, Hashable {
    public var value: [UInt8] = []
    public init() {}
    public init(value: [UInt8] = []) {
        self.value = value
    }
    public static var summary: String { "The value." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("value", &value, maximum: FileProtocolLimit.attributeValue, "its value")
    }
}

/// Sets an extended attribute.
public struct SetExtendedAttributeRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .setExtendedAttribute }
    public var handle: UInt32 = 1
    public var name: [UInt8] = []
    public var value: [UInt8] = []
    public var flags: UInt32 = 0
    public init() {}
    public init(handle: UInt32, name: [UInt8], value: [UInt8] = [], flags: UInt32 = 0) {
        self.handle = handle
        self.name = name
        self.value = value
        self.flags = flags
    }
    public static var summary: String { "Sets an extended attribute." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.bytes("name", &name, maximum: FileProtocolLimit.attributeName, "with its name space")
        try v.bytes("value", &value, maximum: FileProtocolLimit.attributeValue, "its value")
        try v.integer("flags", &flags, in: 0...2, "XATTR_CREATE 1, XATTR_REPLACE 2")
    }
}

/// Lists extended attributes.
public struct ListExtendedAttributesRequest: FileRequest, Hashable {
    public typealias Reply = ListExtendedAttributesReply
    public static var type: MessageType { .listExtendedAttributes }
    public var handle: UInt32 = 1
    public init() {}
    public init(handle: UInt32) {
        self.handle = handle
    }
    public static var summary: String { "Lists extended attributes." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
    }
}

/// The names.
public struct ListExtendedAttributesReply: WireStructure, Hashable {
    public var names: [UInt8] = []
    public init() {}
    public init(names: [UInt8]) {
        self.names = names
    }
    public static var summary: String { "The names." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("names", &names, maximum: FileProtocolLimit.attributeValue, "each ended by a NUL")
    }
}

/// Removes an extended attribute.
public struct RemoveExtendedAttributeRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .removeExtendedAttribute }
    public var handle: UInt32 = 1
    public var name: [UInt8] = []
    public init() {}
    public init(handle: UInt32, name: [UInt8]) {
        self.handle = handle
        self.name = name
    }
    public static var summary: String { "Removes an extended attribute." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.bytes("name", &name, maximum: FileProtocolLimit.attributeName, "with its name space")
    }
}

/// Which fields of SetStat count.
public struct SetStatFields: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let mode = SetStatFields(rawValue: 1)
    public static let user = SetStatFields(rawValue: 2)
    public static let group = SetStatFields(rawValue: 4)
    public static let size = SetStatFields(rawValue: 8)
    public static let accessed = SetStatFields(rawValue: 16)
    public static let modified = SetStatFields(rawValue: 32)
    /// The access time becomes the host's present.
    public static let accessedNow = SetStatFields(rawValue: 64)
    /// The modification time becomes the host's present.
    public static let modifiedNow = SetStatFields(rawValue: 128)
    public static let all = SetStatFields(rawValue: 255)
}

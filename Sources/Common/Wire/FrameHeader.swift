/// The fixed header before every frame of the file protocol: 16 bytes, little-endian.
@frozen public struct FrameHeader: WireStructure, Hashable {
    /// Bytes of the header on the wire.
    public static let size = 16
    /// The peer's answer carries the request's tag and this bit in `flags`.
    public static let replyFlag: UInt16 = 1
    /// The frame carries an error (its body is a `Failure` of the protocol) instead of the reply's fields.
    public static let errorFlag: UInt16 = 2

    /// Bytes of the body that follows; the header does not count.
    public var length: UInt32 = 0
    /// Which message the body is.
    public var type: UInt16 = 0
    public var flags: UInt16 = 0
    /// Matches replies to requests; many may be in flight.
    public var tag: UInt32 = 0
    /// Descriptors that ride with this frame (SCM_RIGHTS).
    public var descriptors: UInt8 = 0

    @inlinable public init() {}
    @inlinable public init(length: UInt32, type: UInt16, flags: UInt16 = 0, tag: UInt32, descriptors: UInt8 = 0) {
        self.length = length
        self.type = type
        self.flags = flags
        self.tag = tag
        self.descriptors = descriptors
    }

    public static var summary: String { "The 16 bytes before every frame. `flags`: 1 reply, 2 error; other bits must be zero." }

    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("length", &length, "bytes of the body")
        try v.integer("type", &type, "which message")
        try v.integer("flags", &flags, in: 0...3, "1 reply, 2 error")
        try v.integer("tag", &tag, "matches replies to requests")
        try v.integer("descriptors", &descriptors, "SCM_RIGHTS with this frame")
        var reserved: UInt8 = 0
        try v.integer("reserved0", &reserved, in: 0...0, "zero")
        try v.integer("reserved1", &reserved, in: 0...0, "zero")
        try v.integer("reserved2", &reserved, in: 0...0, "zero")
    }
}

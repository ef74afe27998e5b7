/// The first frame in each direction: who speaks, which version, and what each side can take.
public struct Hello: WireStructure, Hashable {
    /// The type number of a frame that carries it, in every version.
    public static let frameType: UInt16 = 1
    /// "NSTB"
    public static let magic: UInt32 = 0x4254_534e
    /// The smallest `maximumFrame` a peer may name: it holds every frame without bulk data.
    public static let smallestFrame: UInt32 = 64 << 10
    /// The largest `maximumFrame` a peer may name.
    public static let largestFrame: UInt32 = 64 << 20

    public var magic = Hello.magic
    public var major: UInt16 = 0
    public var minor: UInt16 = 0
    public var features: UInt64 = 0
    public var maximumFrame: UInt32 = Hello.smallestFrame
    public var maximumDescriptors: UInt8 = 16

    public init() {}
    public init(major: UInt16, minor: UInt16, features: UInt64, maximumFrame: UInt32, maximumDescriptors: UInt8) {
        self.major = major
        self.minor = minor
        self.features = features
        self.maximumFrame = maximumFrame
        self.maximumDescriptors = maximumDescriptors
    }

    public static var summary: String {
        "The first frame in each direction. Its layout never changes, so that versions can always name each other."
    }

    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("magic", &magic, in: Hello.magic...Hello.magic, "0x4254534e, \"NSTB\"")
        try v.integer("major", &major, "must be equal on both sides")
        try v.integer("minor", &minor, "the lower one rules")
        try v.integer("features", &features, "bits; the common ones rule")
        try v.integer("maximumFrame", &maximumFrame, in: Hello.smallestFrame...Hello.largestFrame, "largest body the sender takes, bytes")
        try v.integer("maximumDescriptors", &maximumDescriptors, in: 1...253, "most descriptors the sender takes with one frame")
    }

    /// What rules after both sides have spoken.
    public struct Agreement: Hashable, Sendable {
        public let minor: UInt16
        public let features: UInt64
        /// Largest body either side may send, bytes.
        public let maximumFrame: UInt32
        public let maximumDescriptors: UInt8

        public init(minor: UInt16, features: UInt64, maximumFrame: UInt32, maximumDescriptors: UInt8) {
            self.minor = minor
            self.features = features
            self.maximumFrame = maximumFrame
            self.maximumDescriptors = maximumDescriptors
        }
    }

    /// The common ground of this side and `peer`.
    /// - Throws: `.incompatible` with the peer's major when the majors differ.
    public func agree(with peer: Hello) throws(WireError) -> Agreement {
        guard peer.magic == magic else { throw WireError(.malformed, "magic", value: UInt64(peer.magic)) }
        guard peer.major == major else { throw WireError(.incompatible, "major", value: UInt64(peer.major)) }
        return Agreement(
            minor: min(minor, peer.minor), features: features & peer.features, maximumFrame: min(maximumFrame, peer.maximumFrame),
            maximumDescriptors: min(maximumDescriptors, peer.maximumDescriptors))
    }
}

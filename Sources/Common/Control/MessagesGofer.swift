public import Wire

/// A place in a tree that something will be mounted on.
public struct MountPointSpecification: WireStructure, Equatable {
    /// Absolute, in the tree; symbolic links on the way lead nowhere outside.
    public var path: [UInt8] = []
    /// An empty file is made, else a directory.
    public var isFile = false

    public init() {}
    public init(path: [UInt8], isFile: Bool = false) {
        self.path = path
        self.isFile = isFile
    }

    public static var summary: String { "A place in a tree that must exist for something to be mounted on it." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("path", &path, maximum: MessageLimits.path, "absolute, in the tree")
        try v.boolean("isFile", &isFile, "an empty file is made, else a directory")
    }
}

/// One tree that a Gofer serves. Its index in the list is its name in the file protocol and in `MountSpecification.tree`.
public struct TreeSpecification: WireStructure, Equatable {
    /// Absolute path on the host, resolved by the Supervisor. The Gofer binds it into its own mount namespace before it confines itself.
    public var source: [UInt8] = []
    /// The source is one file; the tree has no names.
    public var isFile = false
    /// Nothing in it can be changed through this Gofer (the bind is read-only too).
    public var readOnly = false
    /// Submounts of the source are shown (rbind).
    public var recursive = false
    /// MS_NOSUID, MS_NODEV, MS_NOEXEC and the access-time flags for the bind in the Gofer's namespace.
    public var mountFlags: UInt64 = 0
    /// Device nodes may be opened and made.
    public var allowDevices = false
    /// Host sockets and FIFOs may be connected and opened.
    public var allowSockets = false
    /// Made before the tree becomes read-only, in this order; places below an earlier one belong to what is mounted there, and are left out.
    public var mountPoints: [MountPointSpecification] = []

    public init() {}

    public static var summary: String { "One tree that a Gofer serves; its index in the list is its name in the file protocol." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("source", &source, maximum: MessageLimits.path, "absolute, on the host")
        try v.boolean("isFile", &isFile, "the source is one file")
        try v.boolean("readOnly", &readOnly)
        try v.boolean("recursive", &recursive, "submounts are shown")
        try v.integer("mountFlags", &mountFlags, "MS_*")
        try v.boolean("allowDevices", &allowDevices)
        try v.boolean("allowSockets", &allowSockets, "host sockets and FIFOs")
        try v.structures("mountPoints", &mountPoints, maximum: MessageLimits.entries + 1, "made before the tree becomes read-only")
    }
}

/// What a Gofer serves: read from `--config-fd` up to its end, before the Gofer is confined.
public struct GoferConfiguration: WireStructure, Equatable {
    /// Name of the container in logs.
    public var id = ""
    public var trees: [TreeSpecification] = []
    /// Nodes may be made (keeps CAP_MKNOD).
    public var allowMakeNode = false
    /// The container's user namespace; empty: ids are the host's.
    public var uidMappings: [IdentityMapping] = []
    public var gidMappings: [IdentityMapping] = []

    public init() {}

    public static var summary: String { "What a Gofer serves: read from `--config-fd` up to its end, before the Gofer is confined." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("id", &id, maximum: MessageLimits.identifier)
        try v.structures("trees", &trees, maximum: MessageLimits.entries)
        try v.boolean("allowMakeNode", &allowMakeNode, "keeps CAP_MKNOD")
        try v.inlines("uidMappings", &uidMappings, maximum: 340)
        try v.inlines("gidMappings", &gidMappings, maximum: 340)
    }
}

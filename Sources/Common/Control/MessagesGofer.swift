public import Wire

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
    }
}

/// What a Gofer serves: read from `--config-fd` up to its end, before the Gofer is confined.
public struct GoferConfiguration: WireStructure, Equatable {
    /// Name of the container in logs.
    public var id = ""
    public var trees: [TreeSpecification] = []
    /// Nodes may be made (keeps CAP_MKNOD).
    public var allowMakeNode = false

    public init() {}

    public static var summary: String { "What a Gofer serves: read from `--config-fd` up to its end, before the Gofer is confined." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("id", &id, maximum: MessageLimits.identifier)
        try v.structures("trees", &trees, maximum: MessageLimits.entries)
        try v.boolean("allowMakeNode", &allowMakeNode, "keeps CAP_MKNOD")
    }
}

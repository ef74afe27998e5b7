public import Wire

/// Names one of the trees that the Gofer was started with.
public struct AttachRequest: FileRequest, Hashable {
    public typealias Reply = AttachReply
    public static var type: MessageType { .attach }
    public var tree: UInt32 = 0
    public init() {}
    public init(tree: UInt32) {
        self.tree = tree
    }
    public static var summary: String { "Names one of the trees that the Gofer was started with." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("tree", &tree, "number of the tree, from 0")
    }
}

/// The tree's root, which may be a single file.
public struct AttachReply: WireStructure, Hashable {
    public var node: Node = Node()
    public var flags: TreeFlags = []
    public init() {}
    public init(node: Node = Node(), flags: TreeFlags = []) {
        self.node = node
        self.flags = flags
    }
    public static var summary: String { "The tree's root, which may be a single file." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("node", &node)
        try v.flags("flags", &flags, allowed: .all, "1 read-only, 2 devices")
    }
}

/// Follows several names from a directory in one trip. It stops after a symbolic link or another file that is not a directory, and before a name that cannot be followed.
public struct WalkRequest: FileRequest, Hashable {
    public typealias Reply = WalkReply
    public static var type: MessageType { .walk }
    public var directory: UInt32 = 1
    public var names: [[UInt8]] = []
    public init() {}
    public init(directory: UInt32, names: [[UInt8]]) {
        self.directory = directory
        self.names = names
    }
    public static var summary: String {
        "Follows several names from a directory in one trip. It stops after a symbolic link or another file that is not a directory, and before a name that cannot be followed."
    }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where to start")
        try v.byteStrings(
            "names", &names, maximum: FileProtocolLimit.components, each: FileProtocolLimit.name,
            "components in order; neither empty, . nor ..")
    }
}

/// As many nodes as could be followed.
public struct WalkReply: WireStructure, Hashable {
    public var nodes: [Node] = []
    public var error: Int32 = 0
    public init() {}
    public init(nodes: [Node] = [], error: Int32 = 0) {
        self.nodes = nodes
        self.error = error
    }
    public static var summary: String { "As many nodes as could be followed." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structures("nodes", &nodes, maximum: FileProtocolLimit.components, "one for each name that was followed")
        try v.integer("error", &error, in: 0...4095, "why the walk stopped before a name; 0 when it did not")
    }
}

/// Opens a regular file. The reply donates a host descriptor with just the access asked for.
public struct OpenRequest: FileRequest, Hashable {
    public typealias Reply = OpenReply
    public static var type: MessageType { .open }
    public static var donates: Bool { true }
    public var handle: UInt32 = 1
    public var access: OpenAccess = .read
    public var options: OpenOptions = []
    /// Further regular files, to be opened for reading.
    public var ahead: [UInt32] = []
    public init() {}
    public init(handle: UInt32, access: OpenAccess = .read, options: OpenOptions = [], ahead: [UInt32] = []) {
        self.handle = handle
        self.access = access
        self.options = options
        self.ahead = ahead
    }
    @inlinable public static func descriptors(with reply: OpenReply) -> Int { 1 + reply.ahead.count }
    public static var summary: String { "Opens a regular file. The reply donates a host descriptor with just the access asked for." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
        try v.enumeration("access", &access, "0 read, 1 write, 2 both")
        try v.flags("options", &options, allowed: .all, "1 truncate, 2 direct, 4 append")
        guard v.appended(inMinor: 1) else { return }
        try v.integers("ahead", &ahead, maximum: FileProtocolLimit.filesAhead, "files to open for reading too, if that can be")
    }
}

/// One descriptor comes with it, and one for each of `ahead`, in that order.
public struct OpenReply: WireStructure, Hashable {
    public var attributes: NodeAttributes = NodeAttributes()
    /// Those of the request's that were opened.
    public var ahead: [UInt32] = []
    public init() {}
    public init(attributes: NodeAttributes = NodeAttributes()) {
        self.attributes = attributes
    }
    public static var summary: String { "One descriptor comes with it, and one for each of `ahead`, in that order." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("attributes", &attributes, "after the change")
        guard v.appended(inMinor: 1) else { return }
        try v.integers("ahead", &ahead, maximum: FileProtocolLimit.filesAhead, "those of the request's that were opened")
    }
}

/// Makes a regular file that must not exist yet, and opens it for reading and writing.
public struct CreateRequest: FileRequest, Hashable {
    public typealias Reply = CreateReply
    public static var type: MessageType { .create }
    public static var donates: Bool { true }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var mode: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public init() {}
    public init(directory: UInt32, name: [UInt8], mode: UInt32 = 0, user: UInt32 = 0, group: UInt32 = 0) {
        self.directory = directory
        self.name = name
        self.mode = mode
        self.user = user
        self.group = group
    }
    public static var summary: String { "Makes a regular file that must not exist yet, and opens it for reading and writing." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.integer("mode", &mode, in: 0...0o7777, "permission bits")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
    }
}

/// One descriptor comes with it.
public struct CreateReply: WireStructure, Hashable {
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

/// Makes a regular file without a name (O_TMPFILE), and opens it for reading and writing.
public struct CreateUnnamedRequest: FileRequest, Hashable {
    public typealias Reply = CreateUnnamedReply
    public static var type: MessageType { .createUnnamed }
    public static var donates: Bool { true }
    public var directory: UInt32 = 1
    public var mode: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public init() {}
    public init(directory: UInt32, mode: UInt32 = 0, user: UInt32 = 0, group: UInt32 = 0) {
        self.directory = directory
        self.mode = mode
        self.user = user
        self.group = group
    }
    public static var summary: String { "Makes a regular file without a name (O_TMPFILE), and opens it for reading and writing." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "whose file system")
        try v.integer("mode", &mode, in: 0...0o7777, "permission bits")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
    }
}

/// One descriptor comes with it.
public struct CreateUnnamedReply: WireStructure, Hashable {
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

/// Reads entries of a directory, . and .. left out.
public struct ReadDirectoryRequest: FileRequest, Hashable {
    public typealias Reply = ReadDirectoryReply
    public static var type: MessageType { .readDirectory }
    public var directory: UInt32 = 1
    public var position: Int64 = 0
    public var withAttributes: Bool = false
    /// With attributes: those of directories alone, which who walks a tree needs in any case.
    public var onlyDirectories: Bool = false
    /// How many directories may be read besides, each whole or not at all: those below this one as a walk meets them, then `along` and what is below.
    public var ahead: UInt16 = 0
    public var along: [UInt32] = []
    public init() {}
    public init(
        directory: UInt32, position: Int64 = 0, withAttributes: Bool = false, onlyDirectories: Bool = false, ahead: UInt16 = 0,
        along: [UInt32] = []
    ) {
        self.directory = directory
        self.position = position
        self.withAttributes = withAttributes
        self.onlyDirectories = onlyDirectories
        self.ahead = ahead
        self.along = along
    }
    public static var summary: String { "Reads entries of a directory, . and .. left out." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "which")
        try v.integer("position", &position, "0 at the start, else `next` of the last entry seen")
        try v.boolean("withAttributes", &withAttributes, "walk to each entry too")
        try v.boolean("onlyDirectories", &onlyDirectories, "to entries that are directories only")
        guard v.appended(inMinor: 1) else { return }
        try v.integer(
            "ahead", &ahead, in: 0...UInt16(FileProtocolLimit.directoriesAhead), "most further directories to read, with attributes")
        try v.integers("along", &along, maximum: FileProtocolLimit.directoriesAhead, "where to go on when those below are read")
    }
}

/// A directory that was read ahead, to its end.
public struct ReadAhead: WireStructure, Hashable {
    public var directory: UInt32 = 1
    public var entries: [NodeEntry] = []
    public init() {}
    public init(directory: UInt32, entries: [NodeEntry]) {
        self.directory = directory
        self.entries = entries
    }
    public static var summary: String { "A directory that was read ahead, to its end." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "its handle: from the request, or from an entry before")
        try v.structures("entries", &entries, maximum: FileProtocolLimit.entries, "in the host's order")
    }
}

/// Entries in the host's order.
public struct ReadDirectoryReply: WireStructure, Hashable {
    public var entries: [NodeEntry] = []
    public var end: Bool = false
    /// Directories read ahead, each after the one that its handle came with.
    public var ahead: [ReadAhead] = []
    public init() {}
    public init(entries: [NodeEntry] = [], end: Bool = false) {
        self.entries = entries
        self.end = end
    }
    public static var summary: String { "Entries in the host's order." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structures("entries", &entries, maximum: FileProtocolLimit.entries)
        try v.boolean("end", &end, "no more entries follow")
        guard v.appended(inMinor: 1) else { return }
        try v.structures("ahead", &ahead, maximum: FileProtocolLimit.directoriesAhead, "directories read ahead")
    }
}

/// Makes another name for a file (a hard link).
public struct LinkRequest: FileRequest, Hashable {
    public typealias Reply = LinkReply
    public static var type: MessageType { .link }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var target: UInt32 = 1
    public init() {}
    public init(directory: UInt32, name: [UInt8], target: UInt32 = 1) {
        self.directory = directory
        self.name = name
        self.target = target
    }
    public static var summary: String { "Makes another name for a file (a hard link)." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.integer("target", &target, in: 1...UInt32.max, "the file")
    }
}

/// The target's attributes.
public struct LinkReply: WireStructure, Hashable {
    public var attributes: NodeAttributes = NodeAttributes()
    public init() {}
    public init(attributes: NodeAttributes = NodeAttributes()) {
        self.attributes = attributes
    }
    public static var summary: String { "The target's attributes." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("attributes", &attributes, "after the change")
    }
}

/// Makes a symbolic link.
public struct SymlinkRequest: FileRequest, Hashable {
    public typealias Reply = SymlinkReply
    public static var type: MessageType { .symlink }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var target: [UInt8] = []
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public init() {}
    public init(directory: UInt32, name: [UInt8], target: [UInt8] = [], user: UInt32 = 0, group: UInt32 = 0) {
        self.directory = directory
        self.name = name
        self.target = target
        self.user = user
        self.group = group
    }
    public static var summary: String { "Makes a symbolic link." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.bytes("target", &target, maximum: FileProtocolLimit.linkTarget, "what it says")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
    }
}

/// The new link.
public struct SymlinkReply: WireStructure, Hashable {
    public var node: Node = Node()
    public init() {}
    public init(node: Node = Node()) {
        self.node = node
    }
    public static var summary: String { "The new link." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("node", &node)
    }
}

/// Reads a symbolic link.
public struct ReadLinkRequest: FileRequest, Hashable {
    public typealias Reply = ReadLinkReply
    public static var type: MessageType { .readLink }
    public var handle: UInt32 = 1
    public init() {}
    public init(handle: UInt32) {
        self.handle = handle
    }
    public static var summary: String { "Reads a symbolic link." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("handle", &handle, in: 1...UInt32.max, "the file")
    }
}

/// The link's text.
public struct ReadLinkReply: WireStructure, Hashable {
    public var target: [UInt8] = []
    public init() {}
    public init(target: [UInt8] = []) {
        self.target = target
    }
    public static var summary: String { "The link's text." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("target", &target, maximum: FileProtocolLimit.linkTarget, "what it says")
    }
}

/// Makes a directory.
public struct MakeDirectoryRequest: FileRequest, Hashable {
    public typealias Reply = MakeDirectoryReply
    public static var type: MessageType { .makeDirectory }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var mode: UInt32 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public init() {}
    public init(directory: UInt32, name: [UInt8], mode: UInt32 = 0, user: UInt32 = 0, group: UInt32 = 0) {
        self.directory = directory
        self.name = name
        self.mode = mode
        self.user = user
        self.group = group
    }
    public static var summary: String { "Makes a directory." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.integer("mode", &mode, in: 0...0o7777, "permission bits")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
    }
}

/// The new directory.
public struct MakeDirectoryReply: WireStructure, Hashable {
    public var node: Node = Node()
    public init() {}
    public init(node: Node = Node()) {
        self.node = node
    }
    public static var summary: String { "The new directory." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("node", &node)
    }
}

/// Makes a FIFO, a socket's name, or, where the tree allows it, a device node.
public struct MakeNodeRequest: FileRequest, Hashable {
    public typealias Reply = MakeNodeReply
    public static var type: MessageType { .makeNode }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var mode: UInt32 = 0o010000
    public var device: UInt64 = 0
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    public init() {}
    public init(directory: UInt32, name: [UInt8], mode: UInt32 = 0o010000, device: UInt64 = 0, user: UInt32 = 0, group: UInt32 = 0) {
        self.directory = directory
        self.name = name
        self.mode = mode
        self.device = device
        self.user = user
        self.group = group
    }
    public static var summary: String { "Makes a FIFO, a socket's name, or, where the tree allows it, a device node." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.integer("mode", &mode, in: 0...0o177777, "type and permissions")
        try v.integer("device", &device, "device number")
        try v.integer("user", &user, "owner of the new file")
        try v.integer("group", &group, "owning group of the new file")
    }
}

/// The new node.
public struct MakeNodeReply: WireStructure, Hashable {
    public var node: Node = Node()
    public init() {}
    public init(node: Node = Node()) {
        self.node = node
    }
    public static var summary: String { "The new node." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structure("node", &node)
    }
}

/// Renames a file, between directories of one tree too.
public struct RenameRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .rename }
    public var oldDirectory: UInt32 = 1
    public var oldName: [UInt8] = []
    public var newDirectory: UInt32 = 1
    public var newName: [UInt8] = []
    public var flags: UInt32 = 0
    public var moved: UInt32 = 0
    public var replaced: UInt32 = 0
    public init() {}
    public init(
        oldDirectory: UInt32, oldName: [UInt8], newDirectory: UInt32, newName: [UInt8], flags: UInt32 = 0, moved: UInt32 = 0,
        replaced: UInt32 = 0
    ) {
        self.oldDirectory = oldDirectory
        self.oldName = oldName
        self.newDirectory = newDirectory
        self.newName = newName
        self.flags = flags
        self.moved = moved
        self.replaced = replaced
    }
    public static var summary: String { "Renames a file, between directories of one tree too." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("oldDirectory", &oldDirectory, in: 1...UInt32.max, "from")
        try v.bytes("oldName", &oldName, maximum: FileProtocolLimit.name, "old name")
        try v.integer("newDirectory", &newDirectory, in: 1...UInt32.max, "to")
        try v.bytes("newName", &newName, maximum: FileProtocolLimit.name, "new name")
        try v.integer("flags", &flags, in: 0...7, "renameat2(2): 1 no replace, 2 exchange, 4 whiteout")
        try v.integer("moved", &moved, "handle of the file at the old name, which follows it; 0: none")
        try v.integer("replaced", &replaced, "handle of the file at the new name, when it is used on or exchanged; 0: none")
    }
}

/// Removes a name.
public struct UnlinkRequest: FileRequest, Hashable {
    public typealias Reply = Done
    public static var type: MessageType { .unlink }
    public var directory: UInt32 = 1
    public var name: [UInt8] = []
    public var isDirectory: Bool = false
    public var keep: UInt32 = 0
    public init() {}
    public init(directory: UInt32, name: [UInt8], isDirectory: Bool = false, keep: UInt32 = 0) {
        self.directory = directory
        self.name = name
        self.isDirectory = isDirectory
        self.keep = keep
    }
    public static var summary: String { "Removes a name." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("directory", &directory, in: 1...UInt32.max, "where")
        try v.bytes("name", &name, maximum: FileProtocolLimit.name, "one component")
        try v.boolean("isDirectory", &isDirectory, "an empty directory, else anything but one")
        try v.integer("keep", &keep, "handle of the file, when it is used on; 0: forget it")
    }
}

/// One entry of a directory.
public struct NodeEntry: WireStructure, Hashable {
    public var name: [UInt8] = []
    /// DirectoryEntryType's.
    public var type: UInt8 = 0
    public var inode: UInt64 = 0
    /// Where to go on after this entry.
    public var next: Int64 = 0
    /// When the request asked for it and the entry could be reached.
    public var node: Node?
    public init() {}
    public init(name: [UInt8], type: UInt8, inode: UInt64, next: Int64, node: Node? = nil) {
        self.name = name
        self.type = type
        self.inode = inode
        self.next = next
        self.node = node
    }
    public static var summary: String { "One entry of a directory." }
    @inlinable public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("name", &name, maximum: FileProtocolLimit.name)
        try v.integer("type", &type, in: 0...14, "d_type of readdir(3)")
        try v.integer("inode", &inode, "the host's inode number")
        try v.integer("next", &next, "where to go on")
        try v.optional("node", &node, "handle and attributes, where asked for")
    }
}

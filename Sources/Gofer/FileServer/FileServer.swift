import Diagnostics
public import FileProtocol
public import Host
public import LinuxABI

/// Serves trees to one client.
///
/// The client may be hostile. What it names are handles that it was given and single names below them; every name is used with O_NOFOLLOW
/// (or its like) relative to a descriptor that is held, so neither it nor a rename or symbolic link on the host leads outside the tree.
public final class FileServer: FileService {
    let trees: [ServedTree]
    let nodes: NodeTable
    /// What the container calls the host's ids.
    let identities: Identities
    /// Directories that are being read, in order of use, each with the position its descriptor stands at.
    var streams: [DirectoryStream] = []
    /// Whether the host has fchmodat2 (Linux 6.6) and the xattrat family (Linux 6.13); found out at the first use.
    var hasPathMode = true
    var hasPathAttributes = true

    /// - Parameters:
    ///   - handleLimit: most handles that the client may hold.
    ///   - descriptorLimit: most descriptors that are held for them, well below RLIMIT_NOFILE.
    public init(trees: [ServedTree], identities: Identities = .same, handleLimit: Int = 1 << 20, descriptorLimit: Int = 512) {
        self.trees = trees
        self.identities = identities
        nodes = NodeTable(handleLimit: handleLimit, descriptorLimit: descriptorLimit)
    }

    /// Handles that the client holds; for tests and `/v1/descriptors`.
    public var handleCount: Int { nodes.count }
    /// Descriptors held for them.
    public var descriptorCount: Int { nodes.openCount + streams.count }

    // MARK: Names and descriptors

    /// Refuses what is not one plain component.
    func check(_ name: [UInt8]) throws(Errno) {
        if name.isEmpty { throw .ENOENT }
        if name.count > FileProtocolLimit.name { throw .ENAMETOOLONG }
        if name == [0x2e] || name == [0x2e, 0x2e] { throw .EINVAL }
        for byte in name where byte == 0 || byte == 0x2f { throw .EINVAL }
    }

    /// The node of a directory's handle.
    func directory(_ handle: UInt32) throws(Errno) -> ServedNode {
        let node = try nodes.node(handle)
        guard node.type == FileMode.S_IFDIR else { throw .ENOTDIR }
        return node
    }

    /// The same, in a tree that may be changed.
    func writableDirectory(_ handle: UInt32) throws(Errno) -> ServedNode {
        let node = try directory(handle)
        try checkWritable(node)
        return node
    }

    func checkWritable(_ node: ServedNode) throws(Errno) {
        if trees[node.tree].flags.contains(.readOnly) { throw .EROFS }
    }

    /// A descriptor of the node (O_PATH in general), opened again if it had been closed. ESTALE when another file has taken its place.
    func descriptor(of node: ServedNode) throws(Errno) -> SharedDescriptor {
        if let descriptor = node.descriptor {
            node.wasUsed = true
            return descriptor
        }
        // Up to the first ancestor with a descriptor, then down again; not by recursion, whose depth the client would choose.
        var chain: [ServedNode] = []
        var top = node
        while top.descriptor == nil {
            chain.append(top)
            guard let parent = top.parent, chain.count <= 65536 else { throw .ESTALE }
            top = parent
        }
        guard var current = top.descriptor else { throw .ESTALE }
        for step in chain.reversed() {
            let opened = try Self.openPath(step.name, at: current)
            guard FileIdentity(try attributes(opened)) == step.identity else { throw .ESTALE }
            try nodes.attach(opened, to: step)
            ServerMetrics.opened.add()
            current = opened
        }
        return current
    }

    /// An O_PATH descriptor of `name` itself.
    static func openPath(_ name: [UInt8], at directory: SharedDescriptor, flags: Int32 = 0) throws(Errno) -> SharedDescriptor {
        SharedDescriptor(
            try HostCall.open(name, flags: OpenFlag.O_PATH | OpenFlag.O_NOFOLLOW | flags, at: directory.rawValue))
    }

    /// The attributes of a descriptor's file.
    func attributes(_ descriptor: SharedDescriptor) throws(Errno) -> NodeAttributes {
        identities.attributes(try HostCall.statx(at: descriptor.rawValue))
    }

    /// The attributes of `name` itself.
    func attributes(_ name: [UInt8], at directory: SharedDescriptor) throws(Errno) -> NodeAttributes {
        identities.attributes(
            try HostCall.statx(at: directory.rawValue, name, flags: AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_NO_AUTOMOUNT))
    }

    /// A node with a new handle for a file of `directory`.
    func enter(_ name: [UInt8], of directory: ServedNode, _ attributes: NodeAttributes, _ descriptor: SharedDescriptor? = nil) throws(Errno)
        -> (ServedNode, Node)
    {
        let node = ServedNode(tree: directory.tree, parent: directory, name: name, attributes: attributes)
        let handle = try nodes.insert(node)
        if let descriptor {
            do { try nodes.attach(descriptor, to: node) } catch {
                nodes.remove(handle)
                throw error
            }
        }
        return (node, Node(handle: handle, attributes: attributes))
    }

    /// Opens a regular file (or, `asDirectory`, a directory) for data. The file opened is the node's, or ESTALE.
    func openData(_ node: ServedNode, flags: Int32, asDirectory: Bool = false) throws(Errno) -> OwnedDescriptor {
        guard node.type == (asDirectory ? FileMode.S_IFDIR : FileMode.S_IFREG) else {
            // Devices, FIFOs and sockets of the host are never opened.
            throw node.type == FileMode.S_IFDIR ? .EISDIR : node.type == FileMode.S_IFLNK ? .ELOOP : asDirectory ? .ENOTDIR : .ENXIO
        }
        if flags & OpenFlag.O_ACCMODE != OpenFlag.O_RDONLY { try checkWritable(node) }
        if asDirectory {
            let descriptor = try descriptor(of: node)
            return try HostCall.open(
                [0x2e], flags: flags | OpenFlag.O_DIRECTORY | OpenFlag.O_NOFOLLOW, at: descriptor.rawValue)
        }
        if node.isData, let descriptor = node.descriptor { return try duplicate(descriptor) }
        guard let parent = node.parent, !node.isPinned else { throw .ESTALE }
        let directory = try descriptor(of: parent)
        // Should the name mean a FIFO by now, O_NONBLOCK keeps the open from waiting; the trees are mounted nodev.
        let opened = try HostCall.open(
            node.name, flags: flags | OpenFlag.O_NOFOLLOW | OpenFlag.O_NONBLOCK | OpenFlag.O_NOCTTY, at: directory.rawValue)
        let attributes = identities.attributes(try HostCall.statx(at: opened.rawValue))
        guard attributes.type == FileMode.S_IFREG, FileIdentity(attributes) == node.identity else { throw .ESTALE }
        return opened
    }

    private func duplicate(_ descriptor: SharedDescriptor) throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.fcntl, Int(descriptor.rawValue), 1030, 3))))  // F_DUPFD_CLOEXEC
    }

    // MARK: Looking

    public func serve(_ request: AttachRequest) throws(Errno) -> AttachReply {
        let index = Int(request.tree)
        guard index < trees.count else { throw .ENOENT }
        let tree = trees[index]
        let attributes = try attributes(tree.root)
        let node = ServedNode(tree: index, parent: nil, name: [], attributes: attributes)
        node.isRoot = true
        node.descriptor = tree.root
        node.isData = tree.isOpenFile
        let handle = try nodes.insert(node)
        return AttachReply(node: Node(handle: handle, attributes: attributes), flags: tree.flags)
    }

    public func serve(_ request: WalkRequest) throws(Errno) -> WalkReply {
        var current = try directory(request.directory)
        guard !request.names.isEmpty else { throw .EINVAL }
        var reply = WalkReply()
        reply.nodes.reserveCapacity(request.names.count)
        for index in request.names.indices {
            let name = request.names[index]
            do {
                try check(name)
                let base = try descriptor(of: current)
                let attributes: NodeAttributes
                var opened: SharedDescriptor? = nil
                if index + 1 < request.names.count {
                    opened = try? Self.openPath(name, at: base, flags: OpenFlag.O_DIRECTORY)
                }
                attributes = if let opened { try self.attributes(opened) } else { try self.attributes(name, at: base) }
                let (next, node) = try enter(name, of: current, attributes, opened)
                reply.nodes.append(node)
                guard attributes.type == FileMode.S_IFDIR else { break }
                current = next
            } catch {
                reply.error = error.rawValue
                break
            }
        }
        return reply
    }

    public func serve(_ request: StatRequest) throws(Errno) -> StatReply {
        let node = try nodes.node(request.handle)
        return StatReply(attributes: try attributes(of: node))
    }

    /// The present attributes of a node; by name where that saves opening it.
    func attributes(of node: ServedNode) throws(Errno) -> NodeAttributes {
        if node.descriptor == nil, let parent = node.parent {
            let attributes = try attributes(node.name, at: try descriptor(of: parent))
            guard FileIdentity(attributes) == node.identity else { throw .ESTALE }
            return attributes
        }
        return try attributes(try descriptor(of: node))
    }

    public func serve(_ request: ReadLinkRequest) throws(Errno) -> ReadLinkReply {
        let node = try nodes.node(request.handle)
        guard node.type == FileMode.S_IFLNK else { throw .EINVAL }
        let target: [UInt8]
        if node.descriptor == nil, let parent = node.parent {
            // A link's text belongs to the name; a link that took the name's place meanwhile is as good an answer.
            target = try HostCall.readLink(node.name, at: try descriptor(of: parent).rawValue)
        } else {
            target = try HostCall.readLink(at: try descriptor(of: node).rawValue)
        }
        return ReadLinkReply(target: Array(target.prefix(FileProtocolLimit.linkTarget)))
    }

    public func serve(_ request: StatFileSystemRequest) throws(Errno) -> StatFileSystemReply {
        let s = try HostCall.statfs(try descriptor(of: try nodes.node(request.handle)).rawValue)
        var reply = StatFileSystemReply()
        reply.type = s.f_type
        reply.blockSize = UInt64(clamping: s.f_bsize)
        reply.fragmentSize = UInt64(clamping: s.f_frsize)
        reply.blocks = s.f_blocks
        reply.free = s.f_bfree
        reply.available = s.f_bavail
        reply.files = s.f_files
        reply.filesFree = s.f_ffree
        reply.nameLength = UInt32(clamping: s.f_namelen)
        return reply
    }

    // MARK: Handles

    public func serve(_ request: CloseRequest) throws(Errno) -> Done {
        for handle in request.handles {
            nodes.remove(handle)
            streams.removeAll { $0.handle == handle }
        }
        return Done()
    }

    /// Requests are answered in order, so none is waiting.
    public func serve(_ request: CancelRequest) throws(Errno) -> CancelReply { CancelReply(found: false) }

    public func serve(_ request: ConnectSocketRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> Done {
        throw .EOPNOTSUPP
    }
    public func serve(_ request: BindSocketRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> BindSocketReply {
        throw .EOPNOTSUPP
    }
    public func serve(_ request: WatchRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> Done { throw .EOPNOTSUPP }
}

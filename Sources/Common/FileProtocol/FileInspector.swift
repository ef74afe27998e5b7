internal import Host
public import LinuxABI

/// A small client for people and tools: looks at one tree of a Gofer by path. Symbolic links are not followed.
public struct FileInspector: Sendable {
    private let client: FileClient
    private let root: Node
    /// What the Gofer says of the tree.
    public let flags: TreeFlags

    /// Attaches to tree number `tree` of the Gofer behind `client`.
    public init(_ client: FileClient, tree: UInt32 = 0) throws(Errno) {
        self.client = client
        let reply = try client.call(AttachRequest(tree: tree))
        root = reply.node
        flags = reply.flags
    }

    /// Greets the Gofer that listens at `path` (`nestbox-gofer --files PATH`) and attaches to a tree.
    public init(connectingTo path: [UInt8], tree: UInt32 = 0) throws(Errno) {
        let socket = try HostCall.connectUnix(path)
        let client: FileClient
        do { client = try FileClient(socket) } catch { throw .EPROTO }
        try self.init(client, tree: tree)
    }

    /// The node at a path; the caller gives it back with `release`.
    public func node(_ path: [UInt8]) throws(Errno) -> Node {
        var current = root
        var names = path.split(separator: 0x2f).map { Array($0) }[...]
        while !names.isEmpty {
            let part = Array(names.prefix(FileProtocolLimit.components))
            let reply = try client.call(WalkRequest(directory: current.handle, names: part))
            release(current)
            for node in reply.nodes.dropLast() { release(node) }
            guard reply.error == 0 else {
                if let last = reply.nodes.last { release(last) }
                throw Errno(rawValue: reply.error)
            }
            guard reply.nodes.count == part.count, let last = reply.nodes.last else {
                if let last = reply.nodes.last { release(last) }
                throw .ENOTDIR
            }
            current = last
            names = names.dropFirst(part.count)
        }
        return current
    }

    /// Gives a node back.
    public func release(_ node: Node) { if node.handle != root.handle { client.close(node.handle) } }

    /// lstat(2).
    public func attributes(_ path: [UInt8]) throws(Errno) -> NodeAttributes {
        let node = try node(path)
        release(node)
        return node.attributes
    }

    /// readlink(2).
    public func target(_ path: [UInt8]) throws(Errno) -> [UInt8] {
        let node = try node(path)
        defer { release(node) }
        return try client.call(ReadLinkRequest(handle: node.handle)).target
    }

    /// The entries of a directory with their attributes, in the host's order.
    public func list(_ path: [UInt8], _ body: (NodeEntry) throws(Errno) -> Void) throws(Errno) {
        let node = try node(path)
        defer { release(node) }
        var position: Int64 = 0
        while true {
            let reply = try client.call(ReadDirectoryRequest(directory: node.handle, position: position, withAttributes: true))
            for entry in reply.entries {
                if let node = entry.node { release(node) }
                try body(entry)
                position = entry.next
            }
            if reply.end || reply.entries.isEmpty { return }
        }
    }

    /// The content of a regular file, chunk by chunk, through a donated descriptor.
    public func read(_ path: [UInt8], _ body: (Span<UInt8>) throws(Errno) -> Void) throws(Errno) {
        let node = try node(path)
        defer { release(node) }
        let (_, descriptor) = try client.open(OpenRequest(handle: node.handle, access: .read))
        var chunk = [UInt8](repeating: 0, count: 65536)
        var position: Int64 = 0
        while true {
            var span = chunk.mutableSpan
            let count = try HostCall.read(descriptor.rawValue, at: position, into: &span)
            if count == 0 { return }
            try body(chunk.span.extracting(0..<count))
            position += Int64(count)
        }
    }
}

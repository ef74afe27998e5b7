public import FileProtocol
public import Host
public import LinuxABI

/// A directory open for reading, kept between two requests.
struct DirectoryStream {
    let handle: UInt32
    let descriptor: SharedDescriptor
    /// Where the next getdents64 goes on, if nobody seeks.
    var position: Int64
}

/// Names: reading directories, making, linking, renaming and removing.
extension FileServer {
    private static let streamLimit = 16
    /// The smallest entry in the kernel's layout, bytes: a buffer of so many times `room` holds at most `room` entries.
    private static let entrySize = 24
    /// When names have taken so many bytes the reply is full: with one more buffer of them, and attributes, it still fits into a frame.
    private static let nameBytes = 48 << 10
    /// Below this the kernel's buffer might not take one entry with the longest name.
    private static let leastRoom = 12

    public func serve(_ request: ReadDirectoryRequest) throws(Errno) -> ReadDirectoryReply {
        let node = try directory(request.directory)
        var stream: DirectoryStream
        if let index = streams.firstIndex(where: { $0.handle == request.directory }) {
            stream = streams.remove(at: index)
        } else {
            let opened = try openData(node, flags: OpenFlag.O_RDONLY, asDirectory: true)
            stream = DirectoryStream(handle: request.directory, descriptor: SharedDescriptor(opened), position: 0)
        }
        if request.position != stream.position {
            guard request.position >= 0 else { throw .EINVAL }
            _ = try HostCall.seek(stream.descriptor.rawValue, to: request.position, from: SeekOrigin.SEEK_SET)
            stream.position = request.position
        }
        var reply = ReadDirectoryReply()
        // Until the end or a full reply: the end comes with the last entries, not in a trip of its own.
        var room = Room()
        while room.isEnough {
            let entries = try HostCall.readDirectory(stream.descriptor.rawValue, bufferSize: Self.entrySize * room.entries)
            if entries.isEmpty {
                reply.end = true
                break
            }
            stream.position = entries[entries.count - 1].nextOffset
            reply.entries += show(entries, of: node, at: stream.descriptor, request, &room)
        }
        if streams.count >= Self.streamLimit { streams.removeFirst() }
        streams.append(stream)
        if reply.end, request.ahead > 0 { readAhead(request, &reply, &room) }
        return reply
    }

    /// What is left of a reply's frame.
    private struct Room {
        var entries = FileProtocolLimit.entries
        var nameBytes = FileServer.nameBytes
        /// For a read of the kernel's.
        var isEnough: Bool { entries > FileServer.leastRoom && nameBytes > 0 }
        mutating func take(_ names: [HostDirectoryEntry]) {
            entries -= min(entries, names.count)
            for entry in names { nameBytes -= entry.name.count }
        }
    }

    /// Entries as the client sees them, with new handles where it wants attributes.
    private func show(
        _ entries: [HostDirectoryEntry], of node: ServedNode, at directory: SharedDescriptor, _ request: ReadDirectoryRequest,
        _ room: inout Room
    ) -> [NodeEntry] {
        room.take(entries)
        var shown: [NodeEntry] = []
        shown.reserveCapacity(entries.count)
        for entry in entries {
            if entry.name == [0x2e] || entry.name == [0x2e, 0x2e] || entry.name.count > FileProtocolLimit.name { continue }
            var result = NodeEntry(name: entry.name, type: min(entry.type, 14), inode: entry.inode, next: entry.nextOffset)
            // DT_UNKNOWN may be one.
            let isWanted =
                request.withAttributes
                && (!request.onlyDirectories || entry.type == DirectoryEntryType.DT_DIR || entry.type == DirectoryEntryType.DT_UNKNOWN)
            if isWanted, let attributes = try? attributes(entry.name, at: directory) {
                result.node = try? enter(entry.name, of: node, attributes).1
            }
            shown.append(result)
        }
        return shown
    }

    /// Reads the directories that come next in a walk: those of the reply, depth first, then those that the request names. Each is shown whole or not at
    /// all, and what cannot be read is left out: whoever asks for it itself hears why.
    private func readAhead(_ request: ReadDirectoryRequest, _ reply: inout ReadDirectoryReply, _ room: inout Room) {
        func directories(_ entries: [NodeEntry]) -> [UInt32] {
            entries.reversed().compactMap { $0.node?.attributes.type == FileMode.S_IFDIR ? $0.node?.handle : nil }
        }
        var next = Array(request.along.reversed()) + directories(reply.entries)
        while reply.ahead.count < min(Int(request.ahead), FileProtocolLimit.directoriesAhead), room.isEnough, let handle = next.popLast() {
            guard let node = try? directory(handle), let opened = try? openData(node, flags: OpenFlag.O_RDONLY, asDirectory: true) else {
                continue
            }
            let stream = SharedDescriptor(opened)
            guard let entries = readWhole(stream, room) else { return }
            let shown = show(entries, of: node, at: stream, request, &room)
            reply.ahead.append(ReadAhead(directory: handle, entries: shown))
            next += directories(shown)
        }
    }

    /// All entries of a directory, or nil when there is no room for them.
    private func readWhole(_ stream: SharedDescriptor, _ room: Room) -> [HostDirectoryEntry]? {
        var rest = room
        var all: [HostDirectoryEntry] = []
        while true {
            guard rest.isEnough, let entries = try? HostCall.readDirectory(stream.rawValue, bufferSize: Self.entrySize * rest.entries)
            else {
                return nil
            }
            if entries.isEmpty { return all }
            rest.take(entries)
            all += entries
        }
    }

    public func serve(_ request: CreateRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> CreateReply {
        let directory = try writableDirectory(request.directory)
        try check(request.name)
        let base = try descriptor(of: directory)
        let (user, group) = (try identities.hostUser(request.user), try identities.hostGroup(request.group, in: base))
        let flags = OpenFlag.O_RDWR | OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_NOFOLLOW
        let opened = try HostCall.open(request.name, flags: flags, mode: request.mode & 0o7777, at: base.rawValue)
        do {
            try HostCall.changeOwner(at: opened.rawValue, user: user, group: group, flags: AtFlag.AT_EMPTY_PATH)
            // A change of owner takes the set-ID bits away.
            if request.mode & 0o6000 != 0 { try HostCall.changeMode(opened.rawValue, to: request.mode & 0o7777) }
            let attributes = identities.attributes(try HostCall.statx(at: opened.rawValue))
            let node = try enter(request.name, of: directory, attributes).1
            donated = consume opened
            return CreateReply(node: node)
        } catch {
            try? HostCall.unlink(request.name, at: base.rawValue)
            throw error
        }
    }

    public func serve(_ request: CreateUnnamedRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> CreateUnnamedReply {
        let directory = try writableDirectory(request.directory)
        let base = try descriptor(of: directory)
        let (user, group) = (try identities.hostUser(request.user), try identities.hostGroup(request.group, in: base))
        let opened = try HostCall.open(
            [0x2e], flags: OpenFlag.O_RDWR | OpenFlag.O_TMPFILE, mode: request.mode & 0o7777, at: base.rawValue)
        try HostCall.changeOwner(at: opened.rawValue, user: user, group: group, flags: AtFlag.AT_EMPTY_PATH)
        if request.mode & 0o6000 != 0 { try HostCall.changeMode(opened.rawValue, to: request.mode & 0o7777) }
        let attributes = identities.attributes(try HostCall.statx(at: opened.rawValue))
        let kept = SharedDescriptor(try opened.duplicate())
        let (node, result) = try enter([], of: directory, attributes, kept)
        node.isData = true
        do { try nodes.pin(node) } catch {
            nodes.remove(result.handle)
            throw error
        }
        donated = consume opened
        return CreateUnnamedReply(node: result)
    }

    public func serve(_ request: MakeDirectoryRequest) throws(Errno) -> MakeDirectoryReply {
        let directory = try writableDirectory(request.directory)
        try check(request.name)
        let base = try descriptor(of: directory)
        let (user, group) = (try identities.hostUser(request.user), try identities.hostGroup(request.group, in: base))
        try HostCall.makeDirectory(request.name, mode: request.mode & 0o1777, at: base.rawValue)
        do {
            let made = try Self.openPath(request.name, at: base, flags: OpenFlag.O_DIRECTORY)
            try HostCall.changeOwner(at: made.rawValue, user: user, group: group, flags: AtFlag.AT_EMPTY_PATH)
            // The host inherits set-group-ID from the directory by its own rule; the client says what it wants.
            var attributes = try attributes(made)
            if attributes.mode & 0o7777 != request.mode {
                try changeMode(made, nil, to: request.mode)
                attributes = try self.attributes(made)
            }
            return MakeDirectoryReply(node: try enter(request.name, of: directory, attributes, made).1)
        } catch {
            try? HostCall.unlink(request.name, at: base.rawValue, flags: AtFlag.AT_REMOVEDIR)
            throw error
        }
    }

    public func serve(_ request: SymlinkRequest) throws(Errno) -> SymlinkReply {
        let directory = try writableDirectory(request.directory)
        try check(request.name)
        guard !request.target.isEmpty, !request.target.contains(0) else { throw .ENOENT }
        let base = try descriptor(of: directory)
        let (user, group) = (try identities.hostUser(request.user), try identities.hostGroup(request.group, in: base))
        try HostCall.makeSymbolicLink(request.name, target: request.target, at: base.rawValue)
        return SymlinkReply(node: try adopt(request.name, directory, base, user, group, mode: nil))
    }

    public func serve(_ request: MakeNodeRequest) throws(Errno) -> MakeNodeReply {
        let directory = try writableDirectory(request.directory)
        try check(request.name)
        let base = try descriptor(of: directory)
        let (user, group) = (try identities.hostUser(request.user), try identities.hostGroup(request.group, in: base))
        var device: UInt64 = 0
        switch request.mode & FileMode.S_IFMT {
        case FileMode.S_IFIFO, FileMode.S_IFSOCK, FileMode.S_IFREG, 0: break
        case FileMode.S_IFCHR where request.device == 0: break  // The whiteout of overlays, no device at all.
        case FileMode.S_IFCHR, FileMode.S_IFBLK:
            guard trees[directory.tree].flags.contains(.devices) else { throw .EPERM }
            device = request.device
        default: throw .EINVAL
        }
        try HostCall.makeNode(request.name, mode: request.mode, device: device, at: base.rawValue)
        return MakeNodeReply(
            node: try adopt(request.name, directory, base, user, group, mode: request.mode & 0o7777))
    }

    /// Gives what was just made its owner (the host's ids), and a handle; or takes it away again.
    private func adopt(
        _ name: [UInt8], _ directory: ServedNode, _ base: SharedDescriptor, _ user: UInt32, _ group: UInt32, mode: UInt32?
    ) throws(Errno) -> Node {
        do {
            let made = try Self.openPath(name, at: base)
            try HostCall.changeOwner(at: made.rawValue, user: user, group: group, flags: AtFlag.AT_EMPTY_PATH)
            var attributes = try attributes(made)
            if let mode, attributes.mode & 0o7777 != mode {
                try changeMode(made, nil, to: mode)
                attributes = try self.attributes(made)
            }
            return try enter(name, of: directory, attributes).1
        } catch {
            try? HostCall.unlink(name, at: base.rawValue)
            throw error
        }
    }

    public func serve(_ request: LinkRequest) throws(Errno) -> LinkReply {
        let directory = try writableDirectory(request.directory)
        try check(request.name)
        let target = try nodes.node(request.target)
        guard target.tree == directory.tree else { throw .EXDEV }
        if target.type == FileMode.S_IFDIR { throw .EPERM }
        let source = try descriptor(of: target)
        let base = try descriptor(of: directory)
        try HostCall.makeLink(
            source: [], at: source.rawValue, to: request.name, at: base.rawValue, flags: AtFlag.AT_EMPTY_PATH)
        let attributes = try attributes(source)
        if target.name.isEmpty, !target.isRoot {
            // An unnamed file has got a name, and need not be kept open for ever.
            target.parent = directory
            target.name = request.name
            nodes.unpin(target)
        }
        return LinkReply(attributes: attributes)
    }

    public func serve(_ request: UnlinkRequest) throws(Errno) -> Done {
        let directory = try writableDirectory(request.directory)
        try check(request.name)
        let base = try descriptor(of: directory)
        let kept = request.keep == 0 ? nil : try hold(nodes.node(request.keep))
        do {
            try HostCall.unlink(request.name, at: base.rawValue, flags: request.isDirectory ? AtFlag.AT_REMOVEDIR : 0)
        } catch {
            if let kept { nodes.unpin(kept) }
            throw error
        }
        return Done()
    }

    public func serve(_ request: RenameRequest) throws(Errno) -> Done {
        let old = try writableDirectory(request.oldDirectory)
        let new = try writableDirectory(request.newDirectory)
        guard old.tree == new.tree else { throw .EXDEV }
        try check(request.oldName)
        try check(request.newName)
        let moved = request.moved == 0 ? nil : try nodes.node(request.moved)
        let replaced = request.replaced == 0 ? nil : try nodes.node(request.replaced)
        let oldBase = try descriptor(of: old)
        let newBase = try descriptor(of: new)
        let exchange = request.flags & RenameFlag.RENAME_EXCHANGE != 0
        if let replaced, !exchange { _ = try hold(replaced) }
        do {
            try HostCall.rename(
                request.oldName, at: oldBase.rawValue, to: request.newName, at: newBase.rawValue, flags: request.flags)
        } catch {
            if let replaced, !exchange { nodes.unpin(replaced) }
            throw error
        }
        // The handles follow, but only to where the files really are: a client that lies gets stale handles, not a loop.
        if let moved { follow(moved, to: new, newBase, request.newName) }
        if let replaced, exchange { follow(replaced, to: old, oldBase, request.oldName) }
        return Done()
    }

    private func follow(_ node: ServedNode, to directory: ServedNode, _ base: SharedDescriptor, _ name: [UInt8]) {
        guard !node.isRoot, node.tree == directory.tree, let attributes = try? attributes(name, at: base),
            FileIdentity(attributes) == node.identity
        else { return }
        node.parent = directory
        node.name = name
    }

    /// Makes sure that the node outlives its name. The caller unpins it if the name stays after all.
    private func hold(_ node: ServedNode) throws(Errno) -> ServedNode? {
        if node.isRoot || node.isPinned { return nil }
        if node.type == FileMode.S_IFREG, !node.isData {
            // Without a name only this descriptor can be donated, so it has the most that the client may still ask for.
            let access = [OpenFlag.O_RDWR, OpenFlag.O_RDONLY]
            for flags in access {
                guard let data = try? openData(node, flags: flags) else { continue }
                try nodes.attach(SharedDescriptor(data), to: node)
                node.isData = true
                break
            }
        }
        _ = try descriptor(of: node)
        try nodes.pin(node)
        return node
    }
}

public import FileProtocol
public import Host
public import LinuxABI

/// Attributes, extended attributes, and data of files for which the client holds no descriptor.
extension FileServer {
    public func serve(_ request: OpenRequest, donating donated: inout OwnedDescriptor?, _ more: inout [SharedDescriptor]) throws(Errno)
        -> OpenReply
    {
        let node = try nodes.node(request.handle)
        var flags: Int32
        switch request.access {
        case .read: flags = OpenFlag.O_RDONLY
        case .write: flags = OpenFlag.O_WRONLY
        case .readWrite: flags = OpenFlag.O_RDWR
        }
        if request.options.contains(.truncate), request.access == .read { throw .EINVAL }
        if request.options.contains(.direct) { flags |= OpenFlag.O_DIRECT }
        if request.options.contains(.append) { flags |= OpenFlag.O_APPEND }
        let opened = try openData(node, flags: flags)
        // Not by O_TRUNC: first it had to be the right file.
        if request.options.contains(.truncate) { try HostCall.truncate(opened.rawValue, to: 0) }
        let attributes = identities.attributes(try HostCall.statx(at: opened.rawValue))
        donated = consume opened
        var reply = OpenReply(attributes: attributes)
        for handle in request.ahead.prefix(FileProtocolLimit.filesAhead) {
            guard let node = try? nodes.node(handle), let opened = try? openData(node, flags: OpenFlag.O_RDONLY) else { continue }
            more.append(SharedDescriptor(opened))
            reply.ahead.append(handle)
        }
        return reply
    }

    public func serve(_ request: SetStatRequest) throws(Errno) -> SetStatReply {
        let node = try nodes.node(request.handle)
        try checkWritable(node)
        let valid = request.valid
        let user = valid.contains(.user) ? try identities.hostUser(request.user) : .max
        let group = valid.contains(.group) ? try identities.hostGroup(request.group) : .max
        if valid.contains(.size) {
            let data = try openData(node, flags: OpenFlag.O_WRONLY)
            try HostCall.truncate(data.rawValue, to: Int64(clamping: request.size))
        }
        let descriptor = try descriptor(of: node)
        if !valid.isDisjoint(with: [.user, .group]) {
            try HostCall.changeOwner(
                at: descriptor.rawValue, user: user, group: group, flags: AtFlag.AT_EMPTY_PATH)
        }
        // After the owner, whose change takes the set-ID bits away.
        if valid.contains(.mode) {
            if node.type == FileMode.S_IFLNK { throw .EOPNOTSUPP }
            try changeMode(descriptor, node, to: request.mode)
        }
        if !valid.isDisjoint(with: [.accessed, .modified, .accessedNow, .modifiedNow]) {
            let access = Self.time(request.accessed, valid.contains(.accessed), now: valid.contains(.accessedNow))
            let modification = Self.time(request.modified, valid.contains(.modified), now: valid.contains(.modifiedNow))
            try HostCall.changeTimes(
                at: descriptor.rawValue, access: access, modification: modification, flags: AtFlag.AT_EMPTY_PATH)
        }
        return SetStatReply(attributes: try attributes(descriptor))
    }

    private static func time(_ time: WireTime, _ isSet: Bool, now: Bool) -> Timespec {
        if now { return Timespec(tv_sec: 0, tv_nsec: UtimeSpecial.UTIME_NOW) }
        return isSet ? time.timespec : Timespec(tv_sec: 0, tv_nsec: UtimeSpecial.UTIME_OMIT)
    }

    /// chmod of what an O_PATH descriptor means. Before Linux 6.6 the file must be opened for it, which only files and directories allow.
    func changeMode(_ descriptor: SharedDescriptor, _ node: ServedNode?, to mode: UInt32) throws(Errno) {
        if hasPathMode {
            do {
                return try HostCall.changeMode(at: descriptor.rawValue, [], to: mode & 0o7777, flags: AtFlag.AT_EMPTY_PATH)
            } catch  where error == .ENOSYS { hasPathMode = false }
        }
        try withReopened(descriptor, node) { (data) throws(Errno) in try HostCall.changeMode(data, to: mode & 0o7777) }
    }

    /// Runs `body` with a descriptor that is not an O_PATH one.
    private func withReopened<R>(
        _ descriptor: SharedDescriptor, _ node: ServedNode?, _ body: (Int32) throws(Errno) -> R
    ) throws(Errno) -> R {
        let type: UInt32
        if let node { type = node.type } else { type = try attributes(descriptor).type }
        if type == FileMode.S_IFDIR {
            let data = try HostCall.open([0x2e], flags: OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY, at: descriptor.rawValue)
            return try body(data.rawValue)
        }
        guard let node, type == FileMode.S_IFREG else { throw .EOPNOTSUPP }
        let data = try openData(node, flags: OpenFlag.O_RDONLY)
        return try body(data.rawValue)
    }

    // MARK: Extended attributes

    /// The name spaces a client may reach. The rest belongs to the host's own security modules.
    private static func checkAttribute(_ name: [UInt8]) throws(Errno) {
        if name.isEmpty { throw .ERANGE }
        let prefixes: [StaticString] = ["user.", "trusted.overlay.", "security.capability", "system.posix_acl_"]
        for prefix in prefixes where name.starts(with: "\(prefix)".utf8) { return }
        throw .EOPNOTSUPP
    }

    /// Runs `body` with a descriptor that the attributes can be reached by, or with a directory and a name in it.
    private func withAttributes<R>(_ node: ServedNode, _ body: (Int32, [UInt8]?) throws(Errno) -> R) throws(Errno) -> R {
        if node.isData, let data = node.descriptor { return try body(data.rawValue, nil) }
        if hasPathAttributes, let parent = node.parent, !node.isPinned {
            let directory = try descriptor(of: parent)
            guard FileIdentity(try attributes(node.name, at: directory)) == node.identity else { throw .ESTALE }
            do { return try body(directory.rawValue, node.name) } catch {
                guard error == .ENOSYS else { throw error }
                hasPathAttributes = false
            }
        }
        return try withReopened(try descriptor(of: node), node) { (data) throws(Errno) in try body(data, nil) }
    }

    public func serve(_ request: GetExtendedAttributeRequest) throws(Errno) -> GetExtendedAttributeReply {
        let node = try nodes.node(request.handle)
        try Self.checkAttribute(request.name)
        let value = try withAttributes(node) { (descriptor, path) throws(Errno) in
            try HostCall.extendedAttribute(descriptor, request.name, path: path)
        }
        return GetExtendedAttributeReply(value: try identities.containerValue(request.name, value))
    }

    public func serve(_ request: SetExtendedAttributeRequest) throws(Errno) -> Done {
        let node = try nodes.node(request.handle)
        try checkWritable(node)
        try Self.checkAttribute(request.name)
        let value = try identities.hostValue(request.name, request.value)
        try withAttributes(node) { (descriptor, path) throws(Errno) in
            try HostCall.setExtendedAttribute(
                descriptor, request.name, to: value, flags: Int32(truncatingIfNeeded: request.flags), path: path)
        }
        return Done()
    }

    public func serve(_ request: ListExtendedAttributesRequest) throws(Errno) -> ListExtendedAttributesReply {
        let node = try nodes.node(request.handle)
        return ListExtendedAttributesReply(
            names: try withAttributes(node) { (descriptor, path) throws(Errno) in
                try HostCall.extendedAttributeNames(descriptor, path: path)
            })
    }

    public func serve(_ request: RemoveExtendedAttributeRequest) throws(Errno) -> Done {
        let node = try nodes.node(request.handle)
        try checkWritable(node)
        try Self.checkAttribute(request.name)
        try withAttributes(node) { (descriptor, path) throws(Errno) in
            try HostCall.removeExtendedAttribute(descriptor, request.name, path: path)
        }
        return Done()
    }

    // MARK: Data

    public func serve(_ request: ReadRequest) throws(Errno) -> ReadReply {
        let data = try openData(try nodes.node(request.handle), flags: OpenFlag.O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: Int(request.length))
        var span = bytes.mutableSpan
        let count = try HostCall.read(data.rawValue, at: Int64(clamping: request.offset), into: &span)
        bytes.removeLast(bytes.count - count)
        return ReadReply(data: bytes)
    }

    public func serve(_ request: WriteRequest) throws(Errno) -> WriteReply {
        let data = try openData(try nodes.node(request.handle), flags: OpenFlag.O_WRONLY)
        let count = try HostCall.write(data.rawValue, at: Int64(clamping: request.offset), request.data.span)
        return WriteReply(count: UInt32(clamping: count))
    }

    public func serve(_ request: SyncRequest) throws(Errno) -> Done {
        let node = try nodes.node(request.handle)
        let isDirectory = node.type == FileMode.S_IFDIR
        guard isDirectory || node.type == FileMode.S_IFREG else { throw .EINVAL }
        let data = try openData(node, flags: OpenFlag.O_RDONLY, asDirectory: isDirectory)
        if request.fileSystem {
            try HostCall.synchronizeFileSystem(data.rawValue)
        } else {
            try HostCall.synchronize(data.rawValue, dataOnly: request.dataOnly)
        }
        return Done()
    }

    public func serve(_ request: AllocateRequest) throws(Errno) -> AllocateReply {
        let data = try openData(try nodes.node(request.handle), flags: OpenFlag.O_WRONLY)
        try HostCall.allocate(
            data.rawValue, mode: Int32(truncatingIfNeeded: request.mode), offset: Int64(clamping: request.offset),
            length: Int64(clamping: request.length))
        return AllocateReply(attributes: identities.attributes(try HostCall.statx(at: data.rawValue)))
    }

    /// Data goes straight to donated descriptors, so there is nothing here to come late.
    public func serve(_ request: FlushRequest) throws(Errno) -> Done {
        _ = try nodes.node(request.handle)
        return Done()
    }

    public func serve(_ request: LockRequest) throws(Errno) -> Done {
        _ = try nodes.node(request.handle)
        throw .EOPNOTSUPP
    }
}

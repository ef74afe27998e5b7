import FileProtocol
import Host
import LinuxABI
import SentryVFS
import Synchronization

/// Directories: looking up and changing names. Overrides must stand in the class; these are what they call.
extension GoferInode {
    /// As many inodes as could be followed. An error other than "no such name" is thrown, since a short answer would mean that.
    func walkNames(_ names: ArraySlice<[UInt8]>) throws(Errno) -> [Inode] {
        guard wasListed.load(ordering: .relaxed), let first = names.first else { return try ask(names) }
        guard let known = tree.prefetch.take(first, of: self) else {
            if names.count == 1 { tree.prefetch.missed() }
            return try ask(names)
        }
        if tree.lease > 0 { rememberLease(first, known.key, HostClock.monotonic) }
        if names.count == 1 || known.type != .directory { return [known] }
        return [known] + (try known.walkNames(names.dropFirst()))
    }

    private func ask(_ names: ArraySlice<[UInt8]>) throws(Errno) -> [Inode] {
        let reply = try tree.client.call(
            WalkRequest(directory: handle, names: Array(names.prefix(FileProtocolLimit.components))))
        guard reply.nodes.count <= names.count else {
            for node in reply.nodes { tree.client.close(node.handle) }
            throw .EIO
        }
        var inodes: [Inode] = []
        inodes.reserveCapacity(reply.nodes.count)
        var failure: Errno? = reply.error == 0 || reply.error == Errno.ENOENT.rawValue ? nil : Errno(rawValue: reply.error)
        for node in reply.nodes {
            do throws(Errno) { inodes.append(try tree.adopt(node)) } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        if tree.lease > 0 { rememberLeases(names, inodes) }
        return inodes
    }

    private func rememberLeases(_ names: ArraySlice<[UInt8]>, _ inodes: [Inode]) {
        let now = HostClock.monotonic
        var directory = self
        for (index, name) in names.enumerated() {
            let found = index < inodes.count ? inodes[index] as? GoferInode : nil
            directory.rememberLease(name, found?.key, now)
            guard let next = found, next.type == .directory else { return }
            directory = next
        }
    }

    func lookUpName(_ name: [UInt8]) throws(Errno) -> Inode {
        guard let inode = try walkNames([name]).first else { throw .ENOENT }
        return inode
    }

    /// Names for which a directory remembers its lease; all are forgotten beyond.
    private static var rememberedNames: Int { 4096 }

    /// The host has just said what the name means.
    func rememberLease(_ name: [UInt8], _ key: GoferFileSystem.Key?, _ now: UInt64) {
        let name = NameKey(name)
        state.withLock { state in
            if state.names.count >= Self.rememberedNames { state.names = [:] }
            state.names[name] = NameLease(until: now &+ tree.lease, key: key)
        }
    }

    private func hasLease(_ name: [UInt8], _ child: Inode?) -> Bool {
        if tree.lease == 0 { return false }
        let name = NameKey(name)
        guard let lease = state.withLock({ $0.names[name] }), lease.key == (child as? GoferInode)?.key else { return false }
        return HostClock.monotonic < lease.until
    }

    /// Whether the name still means the same on the host.
    func stillMeans(_ name: [UInt8], _ child: Inode?) -> Bool {
        if hasLease(name, child) { return true }
        guard let reply = try? tree.client.call(WalkRequest(directory: handle, names: [name])) else { return false }
        guard let node = reply.nodes.first else {
            guard child == nil, reply.error == Errno.ENOENT.rawValue else { return false }
            if tree.lease > 0 { rememberLease(name, nil, HostClock.monotonic) }
            return true
        }
        for node in reply.nodes { tree.client.close(node.handle) }
        guard let child = child as? GoferInode, child.key == GoferFileSystem.Key(node.attributes) else { return false }
        child.store(node.attributes)
        if tree.lease > 0 { rememberLease(name, child.key, HostClock.monotonic) }
        return true
    }

    /// A name of the directory has just changed its meaning; `old`: what it was, where that is known.
    private func changedName(_ name: [UInt8], from old: GoferInode? = nil) {
        tree.namesChanged.add(1, ordering: .acquiringAndReleasing)
        markChanged()
        // After the count of changes: what a listing brings from before is either refused for it, or was added by now and goes here.
        if wasListed.load(ordering: .relaxed) { tree.prefetch.forget(name, old, of: self) }
    }

    /// Owner, group and mode of what is made here. A set-group-ID directory gives its group even where the container does not have it.
    private func ownerOfNew(mode: UInt32, isDirectory: Bool, _ context: any FileContext) throws(Errno) -> (
        user: UInt32, group: UInt32, permissions: UInt32
    ) {
        let directory = try attributes(context)
        var owner = Permissions.ofNewFile(in: directory, mode: mode, isDirectory: isDirectory, context.credentials)
        if directory.isGroupForeign, directory.mode & FileMode.S_ISGID != 0 { owner.group = .max }
        return owner
    }

    func createFile(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        let owner = try ownerOfNew(mode: mode, isDirectory: false, context)
        let (reply, donated) = try tree.client.open(
            CreateRequest(directory: handle, name: name, mode: owner.permissions, user: owner.user, group: owner.group))
        changedName(name)
        let inode = try tree.adopt(reply.node, isNew: true)
        if inode.type == .regular { inode.keep(donated, writable: true) }
        return inode
    }

    func createUnnamedFile(mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        let owner = try ownerOfNew(mode: mode, isDirectory: false, context)
        let (reply, donated) = try tree.client.open(
            CreateUnnamedRequest(directory: handle, mode: owner.permissions, user: owner.user, group: owner.group))
        let inode = try tree.adopt(reply.node, isNew: true)
        if inode.type == .regular { inode.keep(donated, writable: true) }
        return inode
    }

    func makeSubdirectory(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        let owner = try ownerOfNew(mode: mode, isDirectory: true, context)
        let reply = try tree.client.call(
            MakeDirectoryRequest(directory: handle, name: name, mode: owner.permissions, user: owner.user, group: owner.group))
        changedName(name)
        return try tree.adopt(reply.node, isNew: true)
    }

    func makeSpecial(_ name: [UInt8], type: FileType, mode: UInt32, device: UInt64, _ context: any FileContext) throws(Errno) -> Inode {
        let owner = try ownerOfNew(mode: mode, isDirectory: false, context)
        let reply = try tree.client.call(
            MakeNodeRequest(
                directory: handle, name: name, mode: type.rawValue | owner.permissions, device: device, user: owner.user,
                group: owner.group))
        changedName(name)
        let inode = try tree.adopt(reply.node, isNew: true)
        // What is bound to a socket's name hangs on the inode object, which must outlive the dentry cache.
        if type == .socket { tree.pinInode(inode) }
        return inode
    }

    func makeSymlink(_ name: [UInt8], target: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        let owner = try ownerOfNew(mode: 0o777, isDirectory: false, context)
        let reply = try tree.client.call(
            SymlinkRequest(directory: handle, name: name, target: target, user: owner.user, group: owner.group))
        changedName(name)
        return try tree.adopt(reply.node, isNew: true)
    }

    func addLink(_ name: [UInt8], to target: Inode) throws(Errno) {
        guard let target = target as? GoferInode, target.tree === tree else { throw .EXDEV }
        let changes = target.state.withLock { state in
            state.changes &+= 1
            return state.changes
        }
        let reply = try tree.client.call(LinkRequest(directory: handle, name: name, target: target.handle))
        target.store(reply.attributes, changes)
        changedName(name)
    }

    func removeName(_ name: [UInt8], _ child: Inode, isDirectory: Bool) throws(Errno) {
        guard let child = child as? GoferInode else { throw .EIO }
        let keep = !isDirectory && child.isInUse
        _ = try tree.client.call(
            UnlinkRequest(directory: handle, name: name, isDirectory: isDirectory, keep: keep ? child.handle : 0))
        child.lostName(kept: keep)
        changedName(name, from: child)
        if isDirectory, child.wasListed.load(ordering: .relaxed) { tree.prefetch.forget(directory: child) }
    }

    func renameName(
        _ name: [UInt8], _ child: Inode, to newParent: Inode, _ newName: [UInt8], replacing replaced: Inode?, exchange: Bool, whiteout: Bool
    ) throws(Errno) {
        guard let child = child as? GoferInode, let newParent = newParent as? GoferInode, newParent.tree === tree else { throw .EXDEV }
        let other = replaced as? GoferInode
        let keep = other.map { exchange || ($0.type != .directory && $0.isInUse) } ?? false
        var flags: UInt32 = 0
        if exchange { flags |= RenameFlag.RENAME_EXCHANGE }
        if whiteout { flags |= RenameFlag.RENAME_WHITEOUT }
        // On a shared tree a file may have come to the new name since the VFS looked.
        if other == nil, !whiteout { flags |= RenameFlag.RENAME_NOREPLACE }
        var request = RenameRequest(
            oldDirectory: handle, oldName: name, newDirectory: newParent.handle, newName: newName, flags: flags, moved: child.handle,
            replaced: keep ? other?.handle ?? 0 : 0)
        do throws(Errno) { _ = try tree.client.call(request) } catch {
            // Not every file system of the host knows RENAME_NOREPLACE.
            guard error == .EINVAL, flags == RenameFlag.RENAME_NOREPLACE else { throw error }
            request.flags = 0
            _ = try tree.client.call(request)
        }
        child.markChanged()
        if let other {
            if exchange { other.markChanged() } else { other.lostName(kept: keep) }
        }
        changedName(name, from: child)
        newParent.changedName(newName, from: other)
    }
}

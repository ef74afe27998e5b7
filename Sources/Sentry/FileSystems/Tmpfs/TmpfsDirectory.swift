import Host
public import LinuxABI
import SentryMemory
public import SentryVFS

/// A directory: names in slots that never move, so that a slot's number is a stable offset for readers.
public final class TmpfsDirectory: TmpfsInode, @unchecked Sendable {
    /// What readers are told, without a look at the inode. A free slot has no name.
    private struct Entry {
        var name: [UInt8] = []
        var number: UInt64 = 0
        var type = FileType.regular
    }
    private struct Entries {
        var slots: [Entry] = []
        /// By slot.
        var inodes: [TmpfsInode?] = []
        var free: [Int] = []
        var indices: [NameKey: Int] = [:]
        /// The inode number of "..".
        var parentNumber: UInt64

        mutating func insert(_ name: NameKey, _ inode: TmpfsInode) {
            let entry = Entry(name: name.bytes, number: inode.number, type: inode.type)
            if let slot = free.popLast() {
                slots[slot] = entry
                inodes[slot] = inode
                indices[name] = slot
            } else {
                indices[name] = slots.count
                slots.append(entry)
                inodes.append(inode)
            }
        }

        func find(_ name: NameKey) -> TmpfsInode? { indices[name].flatMap { inodes[$0] } }

        /// Puts `inode` in the place of what has the name; false when nothing has it.
        mutating func replace(_ name: NameKey, _ inode: TmpfsInode) -> Bool {
            guard let slot = indices[name] else { return false }
            slots[slot].number = inode.number
            slots[slot].type = inode.type
            inodes[slot] = inode
            return true
        }

        mutating func remove(_ name: NameKey) {
            guard let slot = indices.removeValue(forKey: name) else { return }
            slots[slot] = Entry()
            inodes[slot] = nil
            if indices.isEmpty {
                slots = []
                inodes = []
                free = []
            } else {
                free.append(slot)
            }
        }
    }
    private let entries: Lock<Entries>
    /// Linux counts 20 bytes for each entry in a directory's size.
    private static let entrySize: Int64 = 20

    init(_ fileSystem: TmpfsFileSystem, parent: TmpfsDirectory?, attributes: FileAttributes) {
        entries = Lock(Entries(parentNumber: parent?.number ?? attributes.inode))
        super.init(fileSystem, attributes: attributes)
    }

    override public func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        var attributes = metadata.withLock { $0.attributes }
        attributes.size = Int64(entries.withLock { $0.indices.count } + 2) * Self.entrySize
        return attributes
    }

    override public func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        let key = NameKey(name)
        guard let found = entries.withLock({ $0.find(key) }) else { throw .ENOENT }
        return found
    }

    private func add(_ name: [UInt8], _ inode: TmpfsInode) throws(Errno) {
        let key = NameKey(name)
        try entries.withLock { entries throws(Errno) in
            if entries.indices[key] != nil { throw .EEXIST }
            entries.insert(key, inode)
        }
        touch()
    }

    private func makeAttributes(_ type: FileType, mode: UInt32, _ context: any FileContext) throws(Errno) -> FileAttributes {
        let own = metadata.withLock { $0.attributes }
        let (user, group, permissions) = Permissions.ofNewFile(in: own, mode: mode, isDirectory: type == .directory, context.credentials)
        try tmpfs.reserveInode()
        return tmpfs.makeAttributes(type, permissions: permissions, user: user, group: group)
    }

    override public func create(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        let inode = TmpfsRegular(tmpfs, attributes: try makeAttributes(.regular, mode: mode, context))
        try add(name, inode)
        return inode
    }

    override public func makeDirectory(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        let inode = TmpfsDirectory(tmpfs, parent: self, attributes: try makeAttributes(.directory, mode: mode, context))
        try add(name, inode)
        try changeLinks(1)
        return inode
    }

    override public func makeNode(_ name: [UInt8], type: FileType, mode: UInt32, device: UInt64, _ context: any FileContext) throws(Errno)
        -> Inode
    {
        var attributes = try makeAttributes(type, mode: mode, context)
        attributes.specialDevice = type == .character || type == .block ? device : 0
        let inode = TmpfsSpecial(tmpfs, attributes: attributes)
        try add(name, inode)
        return inode
    }

    override public func symlink(_ name: [UInt8], target: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        var attributes = try makeAttributes(.symlink, mode: 0o777, context)
        attributes.size = Int64(target.count)
        let inode = TmpfsSymlink(tmpfs, attributes: attributes, target: target)
        try add(name, inode)
        return inode
    }

    override public func link(_ name: [UInt8], to target: Inode, _ context: any FileContext) throws(Errno) {
        guard let target = target as? TmpfsInode, target.tmpfs === tmpfs else { throw .EXDEV }
        // Only a file that O_TMPFILE made may come back from no name at all.
        if target.metadata.withLock({ $0.attributes.links }) == 0 {
            guard let file = target as? TmpfsRegular, file.isLinkable else { throw .ENOENT }
        }
        try target.changeLinks(1)
        do throws(Errno) { try add(name, target) } catch {
            try target.changeLinks(-1)
            throw error
        }
    }

    override public func unlink(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        guard let child = child as? TmpfsInode else { throw .ENOENT }
        let key = NameKey(name)
        entries.withLock { $0.remove(key) }
        try child.changeLinks(-1)
        (child as? TmpfsRegular)?.lostName()
        touch()
    }

    override public func removeDirectory(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        guard let child = child as? TmpfsDirectory else { throw .ENOTDIR }
        guard child.isEmpty else { throw .ENOTEMPTY }
        let key = NameKey(name)
        entries.withLock { $0.remove(key) }
        try child.changeLinks(-2)
        try changeLinks(-1)
        touch()
    }

    var isEmpty: Bool { entries.withLock { $0.indices.isEmpty } }

    override public func rename(
        _ name: [UInt8], _ child: Inode, to newParent: Inode, _ newName: [UInt8], replacing replaced: Inode?, exchange: Bool,
        whiteout: Bool,
        _ context: any FileContext
    ) throws(Errno) {
        guard let target = newParent as? TmpfsDirectory, let child = child as? TmpfsInode else { throw .EXDEV }
        let victim = replaced as? TmpfsInode
        if !exchange, let directory = victim as? TmpfsDirectory, !directory.isEmpty { throw .ENOTEMPTY }
        var whiteoutNode: TmpfsInode?
        if whiteout {
            var attributes = try makeAttributes(.character, mode: 0, context)
            attributes.specialDevice = 0
            whiteoutNode = TmpfsSpecial(tmpfs, attributes: attributes)
        }
        let key = NameKey(name), newKey = NameKey(newName), now = Timespec.now
        if exchange, let victim {
            _ = entries.withLock { $0.replace(key, victim) }
            _ = target.entries.withLock { $0.replace(newKey, child) }
            try move(child, from: self, to: target)
            try move(victim, from: target, to: self)
        } else {
            // The new name first: at no moment is the file without one.
            target.entries.withLock { entries in
                if !entries.replace(newKey, child) { entries.insert(newKey, child) }
            }
            entries.withLock { entries in
                if let whiteoutNode, entries.replace(key, whiteoutNode) { return }
                entries.remove(key)
            }
            try move(child, from: self, to: target)
            if let victim {
                let isDirectory = victim is TmpfsDirectory
                try victim.changeLinks(isDirectory ? -2 : -1, now)
                (victim as? TmpfsRegular)?.lostName()
                if isDirectory { try target.changeLinks(-1, now) }
            }
        }
        try child.changeLinks(0, now)
        touch(now)
        if target !== self { target.touch(now) }
    }

    /// What a move of `inode` between directories changes in their link counts.
    private func move(_ inode: TmpfsInode, from old: TmpfsDirectory, to new: TmpfsDirectory) throws(Errno) {
        guard old !== new, let directory = inode as? TmpfsDirectory else { return }
        directory.entries.withLock { $0.parentNumber = new.number }
        try old.changeLinks(-1)
        try new.changeLinks(1)
    }

    override public func createUnnamed(mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        let own = metadata.withLock { $0.attributes }
        let (user, group, permissions) = Permissions.ofNewFile(in: own, mode: mode, isDirectory: false, context.credentials)
        let inode = try tmpfs.makeUnnamed(permissions: permissions, user: user, group: group)
        inode.isLinkable = true
        return inode
    }

    override public func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        TmpfsDirectoryFile(self, path: path, flags: flags)
    }

    /// Hands over entries from `position` on while `emit` takes them; the position after the last one taken.
    fileprivate func read(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) -> Int64 {
        var position = max(position, 0)
        if position == 0 {
            guard emit(DirectoryEntry(name: [0x2e], inode: number, type: .directory, nextOffset: 1)) else { return position }
            position = 1
        }
        if position == 1 {
            let parent = entries.withLock { $0.parentNumber }
            guard emit(DirectoryEntry(name: [0x2e, 0x2e], inode: parent, type: .directory, nextOffset: 2)) else { return position }
            position = 2
        }
        return entries.withLock { entries in
            var slot = Int(clamping: position - 2)
            while slot < entries.slots.count {
                let entry = entries.slots[slot]
                if !entry.name.isEmpty,
                    !emit(DirectoryEntry(name: entry.name, inode: entry.number, type: entry.type, nextOffset: Int64(slot) + 3))
                {
                    break
                }
                slot += 1
            }
            return Int64(slot) + 2
        }
    }

    /// Empties the directory for good; the directories that were in it.
    func takeApart() -> [TmpfsDirectory] {
        let inodes = entries.withLock { entries in
            defer { entries = Entries(parentNumber: entries.parentNumber) }
            return entries.inodes
        }
        return inodes.compactMap { $0 as? TmpfsDirectory }
    }
}

/// An open directory.
final class TmpfsDirectoryFile: FileDescription, @unchecked Sendable {
    private let directory: TmpfsDirectory

    init(_ directory: TmpfsDirectory, path: Path, flags: OpenFlags) {
        self.directory = directory
        super.init(path: path, flags: flags)
    }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { false }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { throw .EISDIR }
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {}

    override func readDirectory(_ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
        try offset.withLock { position throws(Errno) in position = try directory.read(from: position, context, emit) }
    }
}

import FileProtocol
import Host
import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

/// An open regular file of a Gofer's tree. Data goes between guest memory and the donated host descriptor directly.
final class GoferRegularFile: FileDescription, @unchecked Sendable {
    private let file: GoferInode

    init(_ file: GoferInode, path: Path, flags: OpenFlags) {
        self.file = file
        super.init(path: path, flags: flags)
        file.opened()
    }

    deinit { file.closed() }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { false }

    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let descriptor = try file.descriptor(writable: flags.isWritable)
        var total = 0
        while buffer.remaining > 0 {
            let count: Int
            do throws(Errno) {
                count = try buffer.fill(fromHost: descriptor.rawValue, offset: offset + Int64(total), limit: buffer.remaining)
            } catch {
                if total > 0 { break }
                throw error
            }
            if count == 0 { break }
            total += count
            // At what is known to be the end, another call would only say so again.
            if !file.tree.isShared, offset + Int64(total) >= file.state.withLock({ $0.attributes.size }) { break }
        }
        return total
    }

    override func write(at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext) throws(Errno) -> Int
    {
        if !append { return try write(at: offset, &buffer, context) }
        var place = offset
        defer { offset = place }
        return try file.sizeLock.withLock { _ throws(Errno) in
            let descriptor = try file.descriptor(writable: true)
            place = try HostCall.fileStatus(descriptor.rawValue).st_size
            return try write(at: place, &buffer, context)
        }
    }

    private func write(at offset: Int64, _ buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let descriptor = try file.descriptor(writable: true)
        var limit = buffer.remaining
        if limit == 0 { return 0 }
        if context.fileSizeLimit != .max {
            let room = context.fileSizeLimit.subtractingReportingOverflow(UInt64(clamping: offset))
            if room.overflow || room.partialValue == 0 {
                context.fileSizeExceeded()
                throw .EFBIG
            }
            limit = min(limit, Int(clamping: room.partialValue))
        }
        var total = 0
        defer { if total > 0 { file.markChanged(size: offset + Int64(total)) } }
        while total < limit {
            do throws(Errno) {
                let count = try buffer.drain(toHost: descriptor.rawValue, offset: offset + Int64(total), limit: limit - total)
                if count == 0 { break }
                total += count
            } catch {
                if total > 0 { break }
                throw error
            }
        }
        let flags = flags
        if flags.contains(.O_DSYNC) { try HostCall.synchronize(descriptor.rawValue, dataOnly: !flags.contains(.O_SYNC)) }
        return total
    }

    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        guard whence == SeekOrigin.SEEK_DATA || whence == SeekOrigin.SEEK_HOLE else {
            return try super.seek(distance, whence: whence, context)
        }
        if distance < 0 { throw .ENXIO }
        let descriptor = try file.descriptor(writable: flags.isWritable)
        return try offset.withLock { position throws(Errno) in
            // Nobody uses the host's own offset of a donated descriptor.
            position = try HostCall.seek(descriptor.rawValue, to: distance, from: whence)
            return position
        }
    }

    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {
        try HostCall.synchronize(try file.descriptor(writable: flags.isWritable).rawValue, dataOnly: dataOnly)
    }

    override func allocate(mode: UInt32, offset: Int64, length: Int64, _ context: any FileContext) throws(Errno) {
        let descriptor = try file.descriptor(writable: true)
        let keepsSize = mode & UInt32(bitPattern: FallocateMode.FALLOC_FL_KEEP_SIZE) != 0
        let end = offset.addingReportingOverflow(length)
        if end.overflow { throw .EFBIG }
        if !keepsSize, UInt64(clamping: end.partialValue) > context.fileSizeLimit {
            context.fileSizeExceeded()
            throw .EFBIG
        }
        try file.sizeLock.withLock { _ throws(Errno) in
            try HostCall.allocate(descriptor.rawValue, mode: Int32(truncatingIfNeeded: mode), offset: offset, length: length)
            file.markChanged()
            // Holes, moved ranges and a new size are the host's to tell.
            let size = try HostCall.fileStatus(descriptor.rawValue).st_size
            file.state.withLock { $0.attributes.size = size }
        }
        let moves = UInt32(bitPattern: FallocateMode.FALLOC_FL_COLLAPSE_RANGE | FallocateMode.FALLOC_FL_INSERT_RANGE)
        if mode & moves != 0 { file.invalidateMappings(from: UInt64(clamping: offset)) }
    }

    override func mappable(_ context: any FileContext) throws(Errno) -> any MappableObject {
        let shown = context.fileSystemContext.map { VFS.displayPath(of: path, root: $0.root) } ?? path.dentry.name
        file.state.withLock { $0.mappingPath = shown }
        return file
    }
}

/// An open directory of a Gofer's tree. Positions are the host's, so they stay with their entries while others come and go.
final class GoferDirectoryFile: FileDescription, @unchecked Sendable {
    private let directory: GoferInode
    private struct Chunk {
        var entries: [NodeEntry] = []
        var next = 0
        /// The guest's offset at which `entries[next]` stands.
        var position: Int64 = -1
        var end = false
    }
    private let chunk = Lock(Chunk())

    init(_ directory: GoferInode, path: Path, flags: OpenFlags) {
        self.directory = directory
        super.init(path: path, flags: flags)
    }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { false }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { throw .EISDIR }
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {
        if directory.tree.isReadOnly { return }
        _ = try directory.tree.client.call(SyncRequest(handle: directory.handle, dataOnly: dataOnly))
    }

    /// The guest's offsets 0, 1 and 2 stand before ".", ".." and the first entry; the few host positions that look like them are moved away.
    private static let moved: Int64 = 1 << 62
    private static func guestOffset(_ host: Int64) -> Int64 { host <= 2 ? host | moved : host }
    private static func hostPosition(_ guest: Int64) -> Int64 { guest == 2 ? 0 : guest & ~3 == moved ? guest & 3 : guest }

    override func readDirectory(_ context: any FileContext, _ emit: (SentryVFS.DirectoryEntry) -> Bool) throws(Errno) {
        // The numbers of "." and ".." are asked for before the locks are taken.
        let own = try directory.attributes(context).inode
        let parent = try path.dentry.parent?.inode?.attributes(context).inode ?? own
        try offset.withLock { position throws(Errno) in
            if position < 0 { throw .EINVAL }
            if position == 0 {
                guard emit(DirectoryEntry(name: [0x2e], inode: own, type: .directory, nextOffset: 1)) else { return }
                position = 1
            }
            if position == 1 {
                guard emit(DirectoryEntry(name: [0x2e, 0x2e], inode: parent, type: .directory, nextOffset: 2)) else { return }
                position = 2
            }
            var place = position
            defer { position = place }
            try chunk.withLock { chunk throws(Errno) in
                if chunk.position != place { chunk = Chunk(position: place) }
                while true {
                    if chunk.next == chunk.entries.count {
                        if chunk.end { return }
                        try fill(&chunk, from: place)
                        continue
                    }
                    let entry = chunk.entries[chunk.next]
                    let after = Self.guestOffset(entry.next)
                    let type = FileType(rawValue: UInt32(entry.type) << 12) ?? .regular
                    guard emit(DirectoryEntry(name: entry.name, inode: entry.inode, type: type, nextOffset: after)) else { return }
                    chunk.next += 1
                    chunk.position = after
                    place = after
                }
            }
        }
    }

    private func fill(_ chunk: inout Chunk, from place: Int64) throws(Errno) {
        let tree = directory.tree
        let position = Self.hostPosition(place)
        chunk.next = 0
        chunk.position = place
        if position == 0, tree.caches, let entries = tree.prefetch.takeEntries(of: directory) {
            chunk.entries = entries
            chunk.end = true
            return
        }
        // Of an exclusive tree what comes along stays true until it is asked for.
        let changes = directory.state.withLock { $0.changes }
        let namesChanged = tree.namesChanged.load(ordering: .acquiring)
        // Who walks a tree goes into its directories whatever else it looks at.
        let onlyDirectories = !tree.prefetch.isWorthwhile
        let (count, along) = position == 0 && tree.caches ? tree.prefetch.directoriesAhead(of: directory) : (0, [])
        let reply = try tree.client.call(
            ReadDirectoryRequest(
                directory: directory.handle, position: position, withAttributes: tree.caches, onlyDirectories: onlyDirectories,
                ahead: UInt16(clamping: count), along: along.map { $0.handle }))
        chunk.entries = reply.entries
        chunk.end = reply.end || reply.entries.isEmpty
        if !tree.caches { return }
        let expiry = tree.isShared ? HostClock.monotonic &+ tree.lease : nil
        // What the handles of the reply's directories stand for.
        var known: [UInt32: GoferInode] = [:]
        for inode in along { known[inode.handle] = inode }
        let inodes = adopt(reply.entries, of: directory, expiry, &known)
        directory.wasListed.store(true, ordering: .relaxed)
        tree.prefetch.add(
            GoferPrefetch.Portion(inodes: inodes, isStart: position == 0, entries: nil, changes: changes), of: directory, expiry: expiry)
        for listing in reply.ahead { add(listing, since: namesChanged, expiry, &known) }
    }

    /// The inodes of those entries that came with attributes.
    private func adopt(_ entries: [NodeEntry], of directory: GoferInode?, _ expiry: UInt64?, _ known: inout [UInt32: GoferInode]) -> [(
        name: [UInt8], inode: GoferInode
    )] {
        let tree = self.directory.tree
        var inodes: [(name: [UInt8], inode: GoferInode)] = []
        for entry in entries {
            // What the VFS already holds of the directory is not looked up again, so it would only lie here.
            guard let node = entry.node, let inode = try? tree.adopt(node) else { continue }
            inodes.append((entry.name, inode))
            if inode.type == .directory { known[node.handle] = inode }
            // But it is good for another while.
            if let expiry, tree.lease > 0 { directory?.rememberLease(entry.name, inode.key, expiry &- tree.lease) }
        }
        return inodes
    }

    /// A directory that was read ahead. It is not kept when any name of the tree changed meanwhile: the change may be younger than the look.
    private func add(_ listing: ReadAhead, since namesChanged: UInt64, _ expiry: UInt64?, _ known: inout [UInt32: GoferInode]) {
        let tree = directory.tree
        let inode = known[listing.directory]
        let inodes = adopt(listing.entries, of: inode, expiry, &known)
        guard let inode else { return }
        let changes = inode.state.withLock { $0.changes }
        guard tree.namesChanged.load(ordering: .acquiring) == namesChanged else { return }
        inode.wasListed.store(true, ordering: .relaxed)
        tree.prefetch.add(
            GoferPrefetch.Portion(inodes: inodes, isStart: true, entries: listing.entries, changes: changes), of: inode, expiry: expiry)
    }
}

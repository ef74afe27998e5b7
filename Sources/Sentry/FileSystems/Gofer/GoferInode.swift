import FileProtocol
import Host
import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

/// A file of a Gofer's tree.
final class GoferInode: Inode, @unchecked Sendable {
    let tree: GoferFileSystem
    /// The server's name for it, given back when the inode goes.
    let handle: UInt32
    let key: GoferFileSystem.Key

    struct State {
        var attributes: FileAttributes
        /// Times, size or blocks changed on the host since `attributes` were taken.
        var isStale = false
        /// Counts changes, so that an answer older than a change does not pass for the newest.
        var changes: UInt64 = 0
        var reading: SharedDescriptor?
        /// For reading and writing.
        var writing: SharedDescriptor?
        /// Open file descriptions.
        var opens = 0
        /// `reading` came along with another file's, and nobody has used it yet.
        var isReadAhead = false
        /// Where a listing had it last.
        var listedPlace: GoferPrefetch.Place?
        /// The server cannot open it again: its name was removed while nobody seemed to need it.
        var isLost = false
        /// Until when `attributes` pass for true, of a shared tree with a lease (CLOCK_MONOTONIC, nanoseconds).
        var validUntil: UInt64 = 0
        /// The same for what names of a directory mean.
        var names: [NameKey: NameLease] = [:]
        /// Access control lists and capabilities that the file did not have when its change time was this.
        var absentAttributes: [[UInt8]: Timespec] = [:]
        /// What a symbolic link says, once read (exclusive trees).
        var target: [UInt8]?
        var mappings: [ObjectIdentifier: Mapping] = [:]
        var mappingPath: [UInt8] = []
    }
    struct NameLease {
        var until: UInt64
        /// The file of that name; nil: there is none.
        var key: GoferFileSystem.Key?
    }
    struct Mapping {
        weak var space: AddressSpace?
        var regions: Int
    }
    let state: Lock<State>
    /// Where DonatedDescriptors keeps it, or -1; changed under its lock.
    let poolSlot = Atomic<Int>(-1)
    /// A descriptor was used since the clock's hand passed.
    let wasUsed = Atomic<Bool>(false)
    /// A directory that was listed with `readDirectory`.
    let wasListed = Atomic<Bool>(false)
    /// Serialises what depends on the size: appending and truncating.
    let sizeLock = Lock<Void>(())

    init(_ tree: GoferFileSystem, type: FileType, key: GoferFileSystem.Key, node: Node) {
        self.tree = tree
        self.key = key
        handle = node.handle
        state = Lock(
            State(
                attributes: tree.guestAttributes(node.attributes), validUntil: tree.lease == 0 ? 0 : HostClock.monotonic &+ tree.lease))
        super.init(fileSystem: tree, type: type)
    }

    deinit {
        if type == .directory, wasListed.load(ordering: .relaxed) { tree.prefetch.forget(directory: self) }
        tree.forget(key, nil)
        let slot = poolSlot.load(ordering: .relaxed)
        if slot >= 0 { GoferFileSystem.descriptors.remove(slot: slot) }
        tree.client.close(handle)
    }

    // MARK: Attributes

    override func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        let (cached, isGood, until) = state.withLock { ($0.attributes, !$0.isStale, $0.validUntil) }
        if isGood, !tree.isShared || tree.lease > 0 && HostClock.monotonic < until { return cached }
        return try refresh()
    }

    /// Asks the host. Of an exclusive tree only what a write changes can have changed, and a donated descriptor tells that.
    private func refresh() throws(Errno) -> FileAttributes {
        let (descriptor, changes, isLost) = state.withLock { ($0.writing ?? $0.reading, $0.changes, $0.isLost) }
        if !tree.isShared, let descriptor {
            let status = try HostCall.fileStatus(descriptor.rawValue)
            return state.withLock { state in
                // Not the owner: seen from the Sentry's user namespace it is nobody.
                state.attributes.mode = status.st_mode
                state.attributes.links = UInt32(clamping: status.st_nlink)
                state.attributes.size = status.st_size
                state.attributes.blocks = UInt64(clamping: status.st_blocks)
                state.attributes.accessTime = status.st_atim
                state.attributes.modificationTime = status.st_mtim
                state.attributes.changeTime = status.st_ctim
                if state.changes == changes { state.isStale = false }
                return state.attributes
            }
        }
        if isLost { return state.withLock { $0.attributes } }
        return store(try tree.client.call(StatRequest(handle: handle)).attributes, changes)
    }

    /// Takes over what the server said, unless something changed since `changes` were counted.
    @discardableResult func store(_ attributes: NodeAttributes, _ changes: UInt64? = nil) -> FileAttributes {
        let new = tree.guestAttributes(attributes)
        return state.withLock { state in
            guard new.mode & FileMode.S_IFMT == type.rawValue else { return state.attributes }
            // An answer without a count may be older than a write that is under way: then it stays stale.
            if changes == nil, state.isStale { return state.attributes }
            state.attributes = new
            if tree.lease > 0 { state.validUntil = HostClock.monotonic &+ tree.lease }
            if state.changes == changes { state.isStale = false }
            return new
        }
    }

    /// The file or directory changed on the host by our doing.
    func markChanged(size: Int64? = nil) {
        state.withLock { state in
            if let size, size > state.attributes.size { state.attributes.size = size }
            state.isStale = true
            state.changes &+= 1
        }
    }

    /// A name was taken from the file.
    func lostName(kept: Bool) {
        let isGone = state.withLock { state -> Bool in
            if type == .directory { state.attributes.links = 0 } else { state.attributes.links -= min(1, state.attributes.links) }
            state.changes &+= 1
            let isGone = state.attributes.links == 0
            if isGone, !kept { state.isLost = true } else { state.isStale = true }
            return isGone
        }
        guard isGone else { return }
        tree.forget(key, self)
        tree.unpinInode(self)
        releaseIfGone()
    }

    /// Whether somebody may still want the file once the name at hand is gone.
    var isInUse: Bool { state.withLock { $0.opens > 0 || $0.attributes.links > 1 || !$0.mappings.isEmpty } }

    override func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        if let size = change.size {
            try sizeLock.withLock { _ throws(Errno) in try truncate(to: size) }
        }
        var request = SetStatRequest(handle: handle)
        if let permissions = change.permissions {
            request.valid.insert(.mode)
            request.mode = permissions & 0o7777
        }
        if let user = change.user {
            request.valid.insert(.user)
            request.user = user
        }
        if let group = change.group {
            request.valid.insert(.group)
            request.group = group
        }
        switch change.accessTime {
        case .now: request.valid.insert(.accessedNow)
        case .at(let time):
            request.valid.insert(.accessed)
            request.accessed = WireTime(time)
        case nil: break
        }
        switch change.modificationTime {
        case .now: request.valid.insert(.modifiedNow)
        case .at(let time):
            request.valid.insert(.modified)
            request.modified = WireTime(time)
        case nil: break
        }
        if request.valid.isEmpty { return }
        let changes = state.withLock { state in
            state.changes &+= 1
            return state.changes
        }
        store(try tree.client.call(request).attributes, changes)
    }

    private func truncate(to size: Int64) throws(Errno) {
        let (descriptor, old) = state.withLock { ($0.writing, $0.attributes.size) }
        if let descriptor {
            try HostCall.truncate(descriptor.rawValue, to: size)
            state.withLock { state in
                state.attributes.size = size
                state.isStale = true
                state.changes &+= 1
            }
        } else {
            var request = SetStatRequest(handle: handle)
            request.valid = .size
            request.size = UInt64(clamping: size)
            let changes = state.withLock { state in
                state.changes &+= 1
                return state.changes
            }
            store(try tree.client.call(request).attributes, changes)
        }
        if size < old || tree.isShared { invalidateMappings(from: UInt64(clamping: size)) }
    }

    // MARK: Donated descriptors

    /// A host descriptor for reading, or for reading and writing: the one at hand, or a new one from the Gofer.
    func descriptor(writable: Bool) throws(Errno) -> SharedDescriptor {
        let (known, wasReadAhead) = state.withLock { state in
            let known = writable ? state.writing : state.reading ?? state.writing
            defer { if known != nil { state.isReadAhead = false } }
            return (known, known != nil && state.isReadAhead)
        }
        if let known {
            if wasReadAhead { tree.prefetch.usedFile() }
            if !wasUsed.load(ordering: .relaxed) { wasUsed.store(true, ordering: .relaxed) }
            return known
        }
        let ahead = writable || !tree.caches ? [] : tree.prefetch.filesAhead(of: self)
        let changes = state.withLock { $0.changes }
        let (reply, donated) = try tree.client.openSeveral(
            OpenRequest(handle: handle, access: writable ? .readWrite : .read, ahead: ahead.map { $0.handle }))
        store(reply.attributes, changes)
        for (opened, descriptor) in zip(reply.ahead, donated.dropFirst()) {
            ahead.first { $0.handle == opened }?.keepAhead(descriptor)
        }
        return keep(donated[0], writable: writable)
    }

    /// Whether a descriptor for reading would be of use to who opens the file.
    var wantsDescriptor: Bool { state.withLock { $0.reading == nil && $0.writing == nil && !$0.isLost && $0.attributes.size > 0 } }

    /// Where a listing had it last.
    var listedPlace: GoferPrefetch.Place? {
        get { state.withLock { $0.listedPlace } }
        set { state.withLock { $0.listedPlace = newValue } }
    }

    /// Keeps a descriptor that came along for reading.
    private func keepAhead(_ donated: SharedDescriptor) {
        let isKept = state.withLock { state in
            // A file that was removed meanwhile is not kept from the host's freeing it.
            guard state.reading == nil, state.writing == nil, state.attributes.links > 0 else { return false }
            state.reading = donated
            state.isReadAhead = true
            return true
        }
        if isKept { GoferFileSystem.descriptors.add(self) }
    }

    /// Keeps a donated descriptor for later, unless another thread was faster.
    @discardableResult func keep(_ donated: SharedDescriptor, writable: Bool) -> SharedDescriptor {
        let kept = state.withLock { state -> SharedDescriptor in
            if writable {
                if let other = state.writing { return other }
                state.writing = donated
                // One descriptor does for both.
                state.reading = nil
            } else {
                if let other = state.reading { return other }
                state.reading = donated
            }
            return donated
        }
        wasUsed.store(true, ordering: .relaxed)
        GoferFileSystem.descriptors.add(self)
        return kept
    }

    /// Whether the descriptors could be had again.
    var canDropDescriptors: Bool { state.withLock { !$0.isLost && ($0.attributes.links > 0 || $0.opens == 0) } }

    func dropDescriptors() {
        let dropped = state.withLock { state in
            defer {
                state.reading = nil
                state.writing = nil
            }
            return (state.reading, state.writing)
        }
        _ = dropped
    }

    func opened() { state.withLock { $0.opens += 1 } }

    func closed() {
        state.withLock { $0.opens -= 1 }
        releaseIfGone()
    }

    /// Lets go of the data of a file that nobody can reach any more, so that the host frees it.
    private func releaseIfGone() {
        guard state.withLock({ $0.attributes.links == 0 && $0.opens == 0 && $0.mappings.isEmpty }) else { return }
        let slot = poolSlot.exchange(-1, ordering: .relaxed)
        if slot >= 0 { GoferFileSystem.descriptors.remove(slot: slot) }
        dropDescriptors()
    }

    // MARK: Opening

    override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        switch type {
        case .regular:
            let descriptor = try descriptor(writable: flags.isWritable || flags.contains(.O_TRUNC))
            if flags.contains(.O_TRUNC) { try sizeLock.withLock { _ throws(Errno) in try truncate(to: 0) } }
            _ = descriptor
            return GoferRegularFile(self, path: path, flags: flags)
        case .directory: return GoferDirectoryFile(self, path: path, flags: flags)
        default: return try super.open(path, flags: flags, context)
        }
    }

    override func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] {
        guard type == .symlink else { throw .EINVAL }
        if let target = state.withLock({ $0.target }) { return target }
        let target = try tree.client.call(ReadLinkRequest(handle: handle)).target
        if !tree.isShared { state.withLock { $0.target = target } }
        return target
    }

    // MARK: Names; done in GoferInode+Names.swift

    override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode { try lookUpName(name) }
    override func walk(_ names: ArraySlice<[UInt8]>, _ context: any FileContext) throws(Errno) -> [Inode] { try walkNames(names) }
    override var walkDepth: Int { FileProtocolLimit.components }
    override var cachesNames: Bool { !tree.isShared }
    override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool { stillMeans(name, child) }
    override func create(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        try createFile(name, mode: mode, context)
    }
    override func createUnnamed(mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        try createUnnamedFile(mode: mode, context)
    }
    override func makeDirectory(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        try makeSubdirectory(name, mode: mode, context)
    }
    override func makeNode(_ name: [UInt8], type: FileType, mode: UInt32, device: UInt64, _ context: any FileContext) throws(Errno) -> Inode
    {
        try makeSpecial(name, type: type, mode: mode, device: device, context)
    }
    override func symlink(_ name: [UInt8], target: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        try makeSymlink(name, target: target, context)
    }
    override func link(_ name: [UInt8], to target: Inode, _ context: any FileContext) throws(Errno) { try addLink(name, to: target) }
    override func unlink(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        try removeName(name, child, isDirectory: false)
    }
    override func removeDirectory(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        try removeName(name, child, isDirectory: true)
    }
    override func rename(
        _ name: [UInt8], _ child: Inode, to newParent: Inode, _ newName: [UInt8], replacing replaced: Inode?, exchange: Bool,
        whiteout: Bool, _ context: any FileContext
    ) throws(Errno) {
        try renameName(name, child, to: newParent, newName, replacing: replaced, exchange: exchange, whiteout: whiteout)
    }

    // MARK: Extended attributes

    private static let accessList = Array("system.posix_acl_".utf8)
    private static let capabilities = Array("security.capability".utf8)

    override func extendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> [UInt8] {
        guard tree.caches, name.starts(with: Self.accessList) || name == Self.capabilities else { return try askForAttribute(name) }
        // ls -l asks for every file's list, execve(2) for the capabilities. One that comes to be changes the file's change time.
        let changed = try attributes(context).changeTime
        if state.withLock({ $0.absentAttributes[name] }) == changed { throw .ENODATA }
        let changes = state.withLock { $0.changes }
        do throws(Errno) { return try askForAttribute(name) } catch {
            if error == .ENODATA { state.withLock { if $0.changes == changes { $0.absentAttributes[name] = changed } } }
            throw error
        }
    }

    private func askForAttribute(_ name: [UInt8]) throws(Errno) -> [UInt8] {
        try tree.client.call(GetExtendedAttributeRequest(handle: handle, name: name)).value
    }
    override func extendedAttributeNames(_ context: any FileContext) throws(Errno) -> [[UInt8]] {
        let list = try tree.client.call(ListExtendedAttributesRequest(handle: handle)).names
        return list.split(separator: 0, omittingEmptySubsequences: true).map { Array($0) }
    }
    override func setExtendedAttribute(_ name: [UInt8], _ value: [UInt8], flags: UInt32, _ context: any FileContext) throws(Errno) {
        _ = try tree.client.call(SetExtendedAttributeRequest(handle: handle, name: name, value: value, flags: flags))
        state.withLock { $0.absentAttributes = [:] }
        // An access control list changes the mode, too.
        markChanged()
    }
    override func removeExtendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) {
        _ = try tree.client.call(RemoveExtendedAttributeRequest(handle: handle, name: name))
        markChanged()
    }
}

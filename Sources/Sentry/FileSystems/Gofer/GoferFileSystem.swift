public import FileProtocol
import Host
public import LinuxABI
public import SentryVFS
import Synchronization

/// A tree that a Gofer serves (the root file system, a bind mount), as a file system of the guest.
///
/// An exclusive tree is changed by this Sentry alone: names and attributes are cached and kept true by what passes through here. A shared
/// one asks again. Regular files are read, written and mapped through host descriptors that the Gofer donates.
public final class GoferFileSystem: FileSystem, @unchecked Sendable {
    let client: FileClient
    /// Others change the tree while it is in use.
    public let isShared: Bool
    private let treeFlags: TreeFlags
    /// What the files hold does not change: nobody writes to the tree, or nobody may, since it is the lower layer of an overlay (overlayfs leaves
    /// open what such changes do).
    let isConstant: Bool
    /// How long names and attributes of a shared tree pass for true, in nanoseconds. A tree that may be changed here is asked each time, since others may use it to
    /// agree on something; of a read-only one (the host's own tree below an overlay, configuration files) what was seen a second ago will do.
    let lease: UInt64
    /// A second.
    public static let defaultLease: UInt64 = 1_000_000_000
    private let rootInode = Lock<GoferInode?>(nil)

    /// What the host calls a file.
    struct Key: Hashable {
        var device: UInt64
        var inode: UInt64
        init(_ attributes: NodeAttributes) {
            device = attributes.device
            inode = attributes.inode
        }
    }
    private struct Entry {
        weak var inode: GoferInode?
    }
    /// The inodes in use, so that hard links and repeated look-ups share one.
    private let inodes = Lock<[Key: Entry]>([:])
    /// Host device numbers below the tree, as the guest sees them.
    private let devices: Lock<[UInt64: UInt64]>
    /// Donated descriptors, over all trees of the Sentry.
    static let descriptors = DonatedDescriptors(limit: defaultDescriptorLimit())
    /// What listings of directories brought beyond the names.
    let prefetch = GoferPrefetch()
    /// Counts changes of names in all directories, each before the directory's own count.
    let namesChanged = Atomic<UInt64>(0)

    /// Attaches to tree number `tree` of the Gofer behind `client`.
    /// - Throws: the Gofer's error, EIO when the connection is broken.
    public init(
        client: FileClient, tree: UInt32, shared: Bool, isLowerLayer: Bool = false, lease: UInt64 = defaultLease,
        device: UInt64 = FileSystem.makeDevice(), typeName: String = "gofer"
    ) throws(Errno) {
        let reply = try client.call(AttachRequest(tree: tree))
        self.client = client
        isShared = shared
        treeFlags = reply.flags
        isConstant = reply.flags.contains(.readOnly) && (!shared || isLowerLayer)
        self.lease = shared && reply.flags.contains(.readOnly) ? lease : 0
        devices = Lock([reply.node.attributes.device: device])
        super.init(typeName: typeName, device: device)
        let inode = try adopt(reply.node)
        rootInode.withLock { $0 = inode }
    }

    /// A part of what the process may have; an inode holds up to two.
    private static func defaultDescriptorLimit() -> Int {
        let soft = (try? HostCall.resourceLimit(7 /* RLIMIT_NOFILE */).soft) ?? 1024
        return max(64, min(4096, Int(clamping: soft) / 4))
    }

    /// How many donated descriptors the Sentry keeps for files of Gofers.
    public static func setDescriptorLimit(_ limit: Int) { descriptors.setLimit(limit) }

    override public var root: Inode {
        get throws(Errno) {
            guard let inode = rootInode.withLock({ $0 }) else { throw .ENODEV }
            return inode
        }
    }

    /// Whether what was seen passes for true at all.
    var caches: Bool { !isShared || lease > 0 }

    override public var isReadOnly: Bool { treeFlags.contains(.readOnly) }

    override public func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics {
        guard let inode = rootInode.withLock({ $0 }) else { throw .ENODEV }
        let s = try client.call(StatFileSystemRequest(handle: inode.handle))
        var result = FileSystemStatistics(magic: UInt64(bitPattern: s.type))
        // Block counts are in fragments on the host; the guest gets one unit for both.
        result.blockSize = s.fragmentSize == 0 ? s.blockSize : s.fragmentSize
        result.blocks = s.blocks
        result.freeBlocks = s.free
        result.availableBlocks = s.available
        result.files = s.files
        result.freeFiles = s.filesFree
        result.maximumName = UInt64(s.nameLength)
        return result
    }

    override public func sync() throws(Errno) {
        guard !isReadOnly, let inode = rootInode.withLock({ $0 }) else { return }
        _ = try client.call(SyncRequest(handle: inode.handle, fileSystem: true))
    }

    override public func unmounted() {
        rootInode.withLock { $0 = nil }
        prefetch.clear()
        let released = pinned.withLock { table in
            defer { table = [:] }
            return table
        }
        _ = released
        client.flushCloses()
    }

    // MARK: Inodes

    /// The inode of a node that the server just sent. A handle that turns out to be a second one for the same file goes back.
    func adopt(_ node: Node, isNew: Bool = false) throws(Errno) -> GoferInode {
        guard let type = FileType(rawValue: node.attributes.type) else {
            client.close(node.handle)
            throw .EIO
        }
        let key = Key(node.attributes)
        if !isNew, let known = inodes.withLock({ $0[key]?.inode }), known.type == type {
            if known.handle != node.handle { client.close(node.handle) }
            known.store(node.attributes)
            return known
        }
        let made = GoferInode(self, type: type, key: key, node: node)
        let other = inodes.withLock { table -> GoferInode? in
            if !isNew, let known = table[key]?.inode, known.type == type { return known }
            table[key] = Entry(inode: made)
            return nil
        }
        return other ?? made
    }

    /// An inode is gone, or no name leads to it any more.
    func forget(_ key: Key, _ inode: GoferInode?) {
        inodes.withLock { table in
            guard let entry = table[key] else { return }
            let current = entry.inode
            if current == nil || current === inode { table[key] = nil }
        }
    }

    /// Sockets that are bound to a name, by what they are: the inode object is the only place that knows.
    private let pinned = Lock<[Key: GoferInode]>([:])
    func pinInode(_ inode: GoferInode) { pinned.withLock { $0[inode.key] = inode } }
    func unpinInode(_ inode: GoferInode) {
        if inode.type != .socket { return }
        let released = pinned.withLock { table in table.removeValue(forKey: inode.key) }
        _ = released
    }

    /// The number by which the guest sees a host device.
    func guestDevice(_ host: UInt64) -> UInt64 {
        devices.withLock { table in
            if let known = table[host] { return known }
            // Bounded by the mounts of the host; a Gofer that invents devices gets one number for all.
            guard table.count < 4096 else { return device }
            let made = FileSystem.makeDevice()
            table[host] = made
            return made
        }
    }

    func guestAttributes(_ a: NodeAttributes) -> FileAttributes {
        var result = FileAttributes()
        result.device = guestDevice(a.device)
        result.inode = a.inode
        result.mode = a.mode
        result.links = a.links
        // UInt32.max: the container has no id for the owner.
        result.isUserForeign = a.user == .max
        result.user = result.isUserForeign ? IdentityMap.overflow : a.user
        result.isGroupForeign = a.group == .max
        result.group = result.isGroupForeign ? IdentityMap.overflow : a.group
        result.specialDevice = a.specialDevice
        result.size = Int64(clamping: a.size)
        result.blockSize = a.blockSize
        result.blocks = a.blocks
        result.accessTime = a.accessed.timespec
        result.modificationTime = a.modified.timespec
        result.changeTime = a.changed.timespec
        result.birthTime = a.born == WireTime() ? nil : a.born.timespec
        return result
    }
}

import Host
public import LinuxABI
public import SentryVFS

/// A writable layer over a read-only tree (Linux: overlayfs): what is changed is first copied up into the upper file system, what is removed is
/// hidden there by a whiteout (a character device 0/0), and a directory that replaces another is opaque (`trusted.overlay.opaque`).
///
/// Unlike Linux's, a directory of the lower tree can be renamed, and hard links stay together when one of them is copied up: the inodes
/// of everything copied up are kept for as long as it exists.
///
/// Lock order: the VFS's directory locks of overlay directories, then an inode's copy lock (a parent's before its child's), then `changing`,
/// then the upper file system's locks.
public final class OverlayFileSystem: FileSystem, @unchecked Sendable {
    /// The tree that is never changed.
    public let lower: FileSystem
    /// Where changes go.
    public let upper: FileSystem
    let lowerMount: Mount
    let upperMount: Mount

    private struct Table {
        /// Inodes by what is behind them, so that one file is one inode.
        var byUpper: [ObjectIdentifier: Entry] = [:]
        var byLower: [ObjectIdentifier: Entry] = [:]
        /// Inodes whose lower half is known by nothing else, or that something is bound to.
        var kept: [ObjectIdentifier: OverlayInode] = [:]
        var root: OverlayInode?
    }
    private struct Entry {
        weak var inode: OverlayInode?
    }
    private let table = Lock(Table())
    /// Held while the upper tree changes in a way that look-ups must see whole.
    let changing = Lock<Void>(())

    /// An overlay of `upper` over `lower`. Both must be used through it alone from now on.
    public init(lower: FileSystem, upper: FileSystem, device: UInt64 = FileSystem.makeDevice()) throws(Errno) {
        self.lower = lower
        self.upper = upper
        let lowerRoot = try lower.rootDentry(), upperRoot = try upper.rootDentry()
        lowerMount = Mount(fileSystem: lower, root: lowerRoot, source: [], flags: [.readOnly])
        upperMount = Mount(fileSystem: upper, root: upperRoot, source: [], flags: [])
        super.init(typeName: "overlay", device: device)
        guard let low = lowerRoot.inode, let up = upperRoot.inode, low.type == .directory, up.type == .directory else { throw .ENOTDIR }
        let context = KernelFileContext.shared
        // The root looks like the lower one from the start.
        let attributes = try low.attributes(context)
        var change = AttributeChange()
        change.permissions = attributes.permissions
        change.user = attributes.user
        change.group = attributes.group
        try up.setAttributes(change, context)
        let root = OverlayInode(self, type: .directory, upper: up, lower: low, parent: nil, name: [])
        table.withLock { table in
            table.root = root
            table.kept[ObjectIdentifier(root)] = root
            table.byUpper[ObjectIdentifier(up)] = Entry(inode: root)
            table.byLower[ObjectIdentifier(low)] = Entry(inode: root)
        }
    }

    override public var root: Inode {
        get throws(Errno) {
            guard let root = table.withLock({ $0.root }) else { throw .ENODEV }
            return root
        }
    }

    override public func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics {
        var statistics = try upper.statistics(context)
        statistics.magic = UInt64(FileSystemMagic.OVERLAYFS_SUPER_MAGIC)
        return statistics
    }

    override public func sync() throws(Errno) { try upper.sync() }
    override public var isReadOnly: Bool { upper.isReadOnly }
    override public var mountOptions: String { "lowerdir=\(lower.typeName),upperdir=\(upper.typeName)" }

    override public func unmounted() {
        let released = table.withLock { table in
            defer { table = Table() }
            return table
        }
        _ = released
    }

    // MARK: Inodes

    /// The inode of a file that only the lower tree has.
    func inode(lower: Inode, parent: OverlayInode, name: [UInt8]) -> OverlayInode {
        table.withLock { table in
            if let known = table.byLower[ObjectIdentifier(lower)]?.inode { return known }
            let made = OverlayInode(self, type: lower.type, upper: nil, lower: lower, parent: parent, name: name)
            table.byLower[ObjectIdentifier(lower)] = Entry(inode: made)
            return made
        }
    }

    /// The inode that is known for a file of the upper tree.
    func known(upper: Inode) -> OverlayInode? { table.withLock { $0.byUpper[ObjectIdentifier(upper)]?.inode } }

    /// The inode of a file of the upper tree; `lower`: the directory that it continues.
    func inode(upper: Inode, lower: Inode?, parent: OverlayInode, name: [UInt8]) -> OverlayInode {
        table.withLock { table in
            if let known = table.byUpper[ObjectIdentifier(upper)]?.inode { return known }
            let made = OverlayInode(self, type: upper.type, upper: upper, lower: lower, parent: parent, name: name)
            table.byUpper[ObjectIdentifier(upper)] = Entry(inode: made)
            if lower != nil { table.kept[ObjectIdentifier(made)] = made }
            // What is bound to a socket's name hangs on the inode.
            if upper.type == .socket { table.kept[ObjectIdentifier(made)] = made }
            return made
        }
    }

    /// `inode` has got an upper half.
    func copiedUp(_ inode: OverlayInode, _ upper: Inode) {
        table.withLock { table in
            table.byUpper[ObjectIdentifier(upper)] = Entry(inode: inode)
            table.kept[ObjectIdentifier(inode)] = inode
        }
    }

    /// No name leads to `inode` any more.
    func lost(_ inode: OverlayInode) {
        let released = table.withLock { $0.kept.removeValue(forKey: ObjectIdentifier(inode)) }
        _ = released
    }

    /// `inode` is gone.
    func forget(upper: Inode?, lower: Inode?) {
        table.withLock { table in
            if let upper {
                let key = ObjectIdentifier(upper)
                if table.byUpper[key]?.inode == nil { table.byUpper[key] = nil }
            }
            if let lower {
                let key = ObjectIdentifier(lower)
                if table.byLower[key]?.inode == nil { table.byLower[key] = nil }
            }
        }
    }

    // MARK: The layers as files

    /// A place in a layer for `inode`, to open it by.
    func place(_ inode: Inode, isUpper: Bool, name: [UInt8] = []) -> Path {
        Path(mount: isUpper ? upperMount : lowerMount, dentry: Dentry(parent: nil, name: name, inode: inode))
    }

    /// The entries of a layer's directory, "." and ".." left out.
    func entries(_ directory: Inode, isUpper: Bool) throws(Errno) -> [DirectoryEntry] {
        let context = KernelFileContext.shared
        let file = try directory.open(place(directory, isUpper: isUpper), flags: [.O_DIRECTORY], context)
        var entries: [DirectoryEntry] = []
        var more = true
        while more {
            more = false
            try file.readDirectory(context) { entry in
                more = true
                if entry.name != [0x2e], entry.name != [0x2e, 0x2e] { entries.append(entry) }
                return true
            }
        }
        return entries
    }

    /// Whether an inode of the upper tree says "nothing here".
    static func isWhiteout(_ inode: Inode) -> Bool {
        guard inode.type == .character, let attributes = try? inode.attributes(KernelFileContext.shared) else { return false }
        return attributes.specialDevice == 0
    }

    static let attributePrefix = Array("trusted.overlay.".utf8)
    private static let opaqueName = Array("trusted.overlay.opaque".utf8)

    static func isOpaque(_ directory: Inode) -> Bool {
        (try? directory.extendedAttribute(opaqueName, KernelFileContext.shared)) == [UInt8(ascii: "y")]
    }

    static func makeOpaque(_ directory: Inode) throws(Errno) {
        try directory.setExtendedAttribute(opaqueName, [UInt8(ascii: "y")], flags: 0, KernelFileContext.shared)
    }
}

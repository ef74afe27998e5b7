public import Host
public import Synchronization

/// A name in the tree of one file system: parent, name and inode, and the cached children. Rename changes parent and name in place, so open files
/// and working directories follow; unlink leaves the dentry to those who hold it. Lock order: a parent's lock before its child's; both are
/// innermost (nothing else is locked while they are held).
public final class Dentry: Sendable {
    /// What the name refers to. Nil: a negative entry (the name is known not to exist).
    public let inode: Inode?
    public struct State: Sendable {
        public var parent: Dentry?
        public var name: [UInt8]
        /// The name was removed while somebody still holds the dentry ("(deleted)" in /proc).
        public var isDeleted = false
        /// Cached children by name, negative ones included.
        var children = DentryTable()
    }
    public let state: Lock<State>
    /// How many mounts sit on this dentry in any namespace.
    let mountCount = Atomic<Int>(0)
    /// Set by every look-up: the cache's second chance.
    let isReferenced = Atomic<Bool>(true)
    /// Where the cache keeps it, or -1. Changed under the cache's lock.
    let cacheSlot = Atomic<Int>(-1)

    public init(parent: Dentry?, name: [UInt8], inode: Inode?) {
        self.inode = inode
        state = Lock(State(parent: parent, name: name))
    }

    deinit {
        // Let go of a long chain of ancestors one by one, not by recursion.
        var next = state.withLock { state -> Dentry? in
            defer { state.parent = nil }
            return state.parent
        }
        while next != nil {
            guard isKnownUniquelyReferenced(&next) else { return }
            next = next?.state.withLock { state -> Dentry? in
                defer { state.parent = nil }
                return state.parent
            }
        }
    }

    public var parent: Dentry? { state.withLock { $0.parent } }
    public var name: [UInt8] { state.withLock { $0.name } }
    public var isDeleted: Bool { state.withLock { $0.isDeleted } }
    /// Whether a file system is mounted here in some namespace.
    public var isMountPoint: Bool { mountCount.load(ordering: .acquiring) > 0 }

    /// The cached child called `bytes[range]`.
    func child(_ bytes: Span<UInt8>, _ range: Range<Int>, hash: UInt64) -> Dentry? {
        guard let child = state.withLock({ $0.children.find(bytes, range, hash: hash) }) else { return nil }
        if !child.isReferenced.load(ordering: .relaxed) { child.isReferenced.store(true, ordering: .relaxed) }
        return child
    }

    /// The cached child of that name.
    func child(_ name: [UInt8]) -> Dentry? { child(name.span, 0..<name.count, hash: NameHash.hash(name)) }

    /// Makes a cached child, in the place of what the cache held under that name.
    func addChild(_ name: [UInt8], _ inode: Inode?) -> Dentry {
        let child = Dentry(parent: self, name: name, inode: inode)
        let hash = NameHash.hash(name)
        let old = state.withLock { $0.children.insert(child, name: name, hash: hash) }
        if let old { DentryCache.shared.forget(old) }
        DentryCache.shared.add(child)
        return child
    }

    /// Takes `child` out of the cache. `deleted`: its name is gone from the file system.
    func drop(_ child: Dentry, deleted: Bool) {
        let name = child.name
        let hash = NameHash.hash(name)
        _ = state.withLock { $0.children.remove(child, name: name, hash: hash) }
        if deleted { child.state.withLock { $0.isDeleted = true } }
        DentryCache.shared.forget(child)
    }

    /// The name of `child`, here, was removed; what remains is a negative entry when `remember`.
    func removed(_ child: Dentry, remember: Bool) {
        let name = child.name
        drop(child, deleted: true)
        if remember { _ = addChild(name, nil) }
    }

    /// Bumped around every rename, so that a walk up the tree can tell whether it saw one state.
    static let renames = Atomic<UInt64>(0)

    /// Moves `child` from here to `name` below `newParent`, over what stands there. `exchanged`: what takes the old place.
    func move(_ child: Dentry, to newParent: Dentry, name newName: [UInt8], exchanged: Dentry?) {
        Self.renames.add(1, ordering: .acquiringAndReleasing)
        defer { Self.renames.add(1, ordering: .acquiringAndReleasing) }
        let oldName = child.name
        let oldHash = NameHash.hash(oldName)
        let newHash = NameHash.hash(newName)
        _ = state.withLock { $0.children.remove(child, name: oldName, hash: oldHash) }
        let replaced = newParent.state.withLock { $0.children.insert(child, name: newName, hash: newHash) }
        child.state.withLock { state in
            state.parent = newParent
            state.name = newName
        }
        if let exchanged {
            exchanged.state.withLock { state in
                state.parent = self
                state.name = oldName
            }
            _ = state.withLock { $0.children.insert(exchanged, name: oldName, hash: oldHash) }
        } else if let replaced, replaced !== child {
            replaced.state.withLock { $0.isDeleted = true }
            DentryCache.shared.forget(replaced)
        }
    }

    /// Forgets every cached descendant (the file system is gone). Dentries that somebody holds stay usable to them.
    func dropTree() {
        var pending: [Dentry] = [self]
        while let dentry = pending.popLast() {
            let children = dentry.state.withLock { state -> [Dentry] in
                defer { state.children = DentryTable() }
                return state.children.all
            }
            for child in children { DentryCache.shared.forget(child) }
            pending += children
        }
    }

    /// Whether `self` is `ancestor` or lies below it.
    func isBelow(_ ancestor: Dentry) -> Bool {
        var next: Dentry? = self
        while let dentry = next {
            if dentry === ancestor { return true }
            next = dentry.parent
        }
        return false
    }
}

/// A place: a dentry seen through a mount.
public struct Path: Sendable {
    public var mount: Mount
    public var dentry: Dentry
    public init(mount: Mount, dentry: Dentry) {
        self.mount = mount
        self.dentry = dentry
    }
    /// Whether both are the same place.
    public static func === (a: Path, b: Path) -> Bool { a.dentry === b.dentry && a.mount === b.mount }
}

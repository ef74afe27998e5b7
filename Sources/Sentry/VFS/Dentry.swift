public import Synchronization

/// A name in the tree of one file system: parent, name and inode, and the cached children. Rename changes parent and name in place, so open files
/// and working directories follow. Lock order: a parent's lock before its child's.
public final class Dentry: Sendable {
    public struct State {
        public var parent: Dentry?
        public var name: [UInt8]
        /// Nil: a negative entry (the name is known not to exist), or unlinked and reclaimed.
        public var inode: Inode?
        /// Cached children by name, negative ones included.
        public var children: [[UInt8]: Dentry] = [:]
        /// The name was removed while somebody still holds the dentry ("(deleted)" in /proc).
        public var isDeleted = false
        /// How many mounts sit on this dentry in any namespace.
        public var mounts = 0
    }
    public let state: Mutex<State>

    public init(parent: Dentry?, name: [UInt8], inode: Inode?) {
        state = Mutex(State(parent: parent, name: name, inode: inode))
    }

    public var inode: Inode? { state.withLock { $0.inode } }
    public var parent: Dentry? { state.withLock { $0.parent } }
    public var name: [UInt8] { state.withLock { $0.name } }
}

/// A place: a dentry seen through a mount.
public struct Path: Sendable {
    public let mount: Mount
    public let dentry: Dentry
    public init(mount: Mount, dentry: Dentry) {
        self.mount = mount
        self.dentry = dentry
    }
}

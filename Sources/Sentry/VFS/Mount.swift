public import Host
public import Synchronization

/// Per-mount flags of mount(2).
public struct MountFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readOnly = MountFlags(rawValue: 1)
    public static let noSetUserID = MountFlags(rawValue: 2)
    public static let noDevices = MountFlags(rawValue: 4)
    public static let noExecute = MountFlags(rawValue: 8)
    public static let noSymlinkFollow = MountFlags(rawValue: 256)
    public static let noAccessTime = MountFlags(rawValue: 1024)
    public static let noDirectoryAccessTime = MountFlags(rawValue: 2048)
    public static let relativeAccessTime = MountFlags(rawValue: 1 << 21)
    public static let strictAccessTime = MountFlags(rawValue: 1 << 24)
}

/// One attachment of a file system (or a subtree of it: bind mount) in a mount namespace. The tree changes only under the lock of its namespace.
public final class Mount: Sendable {
    /// The number in /proc/PID/mountinfo.
    public let identifier: UInt32
    public let fileSystem: FileSystem
    /// The root of what is shown, which for a bind mount is not the file system's root.
    public let root: Dentry
    /// What was mounted, for /proc/mounts.
    public let source: [UInt8]
    public struct State: Sendable {
        public var flags: MountFlags
        /// The mount and dentry this one covers; nil for a namespace's root and internal mounts.
        public var parent: Mount?
        public var mountPoint: Dentry?
        /// What is mounted on dentries of this mount.
        var children: [ObjectIdentifier: Mount] = [:]
        weak var namespace: MountNamespace?
    }
    public let state: Lock<State>
    /// The flags once more, for readers without the lock.
    private let flagBits: Atomic<UInt32>
    private static let lastIdentifier = Atomic<UInt32>(20)

    public init(identifier: UInt32, fileSystem: FileSystem, root: Dentry, source: [UInt8], flags: MountFlags) {
        self.identifier = identifier
        self.fileSystem = fileSystem
        self.root = root
        self.source = source
        state = Lock(State(flags: flags, parent: nil, mountPoint: nil))
        flagBits = Atomic(flags.rawValue)
        fileSystem.mountAdded()
    }

    /// A mount with the next free identifier.
    public convenience init(fileSystem: FileSystem, root: Dentry, source: [UInt8], flags: MountFlags) {
        let identifier = Self.lastIdentifier.add(1, ordering: .relaxed).newValue
        self.init(identifier: identifier, fileSystem: fileSystem, root: root, source: source, flags: flags)
    }

    deinit { fileSystem.mountRemoved() }

    public var flags: MountFlags { MountFlags(rawValue: flagBits.load(ordering: .relaxed)) }
    public var isReadOnly: Bool { flags.contains(.readOnly) || fileSystem.isReadOnly }
    /// The namespace the mount belongs to; nil for internal mounts and after an unmount.
    public var namespace: MountNamespace? { state.withLock { $0.namespace } }
    public var parent: Mount? { state.withLock { $0.parent } }
    public var mountPoint: Dentry? { state.withLock { $0.mountPoint } }

    func setFlags(_ flags: MountFlags) {
        state.withLock { $0.flags = flags }
        flagBits.store(flags.rawValue, ordering: .relaxed)
    }

    /// What is mounted right on `dentry` of this mount.
    func child(at dentry: Dentry) -> Mount? { state.withLock { $0.children[ObjectIdentifier(dentry)] } }

    /// Whether it hangs, at any depth, on `ancestor`.
    func isMounted(below ancestor: Mount) -> Bool {
        var next = parent
        while let mount = next {
            if mount === ancestor { return true }
            next = mount.parent
        }
        return false
    }

    /// The place this mount covers; nil for a root.
    var covered: Path? {
        state.withLock { state in
            guard let parent = state.parent, let mountPoint = state.mountPoint else { return nil }
            return Path(mount: parent, dentry: mountPoint)
        }
    }
}

extension Path {
    /// The place with everything that is mounted on top of it.
    func topmost() -> Path {
        var place = self
        while place.dentry.isMountPoint, let mount = place.mount.child(at: place.dentry) { place = Path(mount: mount, dentry: mount.root) }
        return place
    }
}

public import Synchronization

/// Per-mount flags of mount(2).
public struct MountFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readOnly = MountFlags(rawValue: 1)
    public static let noSetUserID = MountFlags(rawValue: 2)
    public static let noDevices = MountFlags(rawValue: 4)
    public static let noExecute = MountFlags(rawValue: 8)
    public static let noAccessTime = MountFlags(rawValue: 1024)
    public static let noDirectoryAccessTime = MountFlags(rawValue: 2048)
    public static let relativeAccessTime = MountFlags(rawValue: 1 << 21)
    public static let strictAccessTime = MountFlags(rawValue: 1 << 24)
}

/// One attachment of a file system (or a subtree of it: bind mount) in a mount namespace.
public final class Mount: Sendable {
    /// The number in /proc/PID/mountinfo.
    public let identifier: UInt32
    public let fileSystem: FileSystem
    /// The root of what is shown, which for a bind mount is not the file system's root.
    public let root: Dentry
    /// What was mounted, for /proc/mounts.
    public let source: [UInt8]
    public struct State {
        public var flags: MountFlags
        /// The mount and dentry this one covers; nil for a namespace's root and internal mounts.
        public var parent: Mount?
        public var mountPoint: Dentry?
    }
    public let state: Mutex<State>

    public init(identifier: UInt32, fileSystem: FileSystem, root: Dentry, source: [UInt8], flags: MountFlags) {
        self.identifier = identifier
        self.fileSystem = fileSystem
        self.root = root
        self.source = source
        state = Mutex(State(flags: flags, parent: nil, mountPoint: nil))
    }
    public var flags: MountFlags { state.withLock { $0.flags } }
}

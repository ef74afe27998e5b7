public import Control
public import Diagnostics
public import FileProtocol
public import Host
import LinuxABI

/// A tree to serve, opened before the Gofer confined itself.
public struct ServedTree: Sendable {
    /// An O_PATH descriptor of a directory (or of a socket or device that is not opened), or a file opened as its flags allow.
    public let root: SharedDescriptor
    /// The tree is one file, and `root` reads (and writes) it.
    public let isOpenFile: Bool
    public let flags: TreeFlags

    /// A tree below `root`.
    public init(root: SharedDescriptor, isOpenFile: Bool = false, flags: TreeFlags) {
        self.root = root
        self.isOpenFile = isOpenFile
        self.flags = flags
    }
}

/// How a tree on the host becomes one that can be served after confinement.
extension ServedTree {
    /// Opens `path` of the host as a tree: a detached copy of its mounts that nobody else can see or change, nodev unless `flags` grants
    /// devices, never noexec (a guest could not map programs from it), read-only and without access times if the tree is. To be called
    /// before the process confines itself: it needs CAP_SYS_ADMIN, and /proc where the tree is a single file.
    /// What is missing of `mountPoints` is made first, on the host, as runtimes do.
    /// - Throws: a SandboxError that names the path.
    public static func open(
        path: [UInt8], recursive: Bool, flags: TreeFlags, mountPoints: [MountPointSpecification] = [],
        identities: Identities = .same
    ) throws(SandboxError) -> ServedTree {
        let shown = String(decoding: path, as: UTF8.self)
        let mount: OwnedDescriptor
        do { mount = try HostCall.cloneTree(path, recursive: recursive) } catch {
            throw SandboxError(error, "cannot open the tree '\(shown)'")
        }
        var maker = MountPointMaker(root: mount.rawValue, identities: identities)
        for point in mountPoints { try maker.make(point) }
        var set = MountAttribute.MOUNT_ATTR_NOSUID
        var clear = MountAttribute.MOUNT_ATTR_NOEXEC
        if !flags.contains(.devices) { set |= MountAttribute.MOUNT_ATTR_NODEV }
        if flags.contains(.readOnly) {
            set |= MountAttribute.MOUNT_ATTR_RDONLY | MountAttribute.MOUNT_ATTR_NOATIME
            clear |= MountAttribute.MOUNT_ATTR__ATIME
        }
        do {
            try HostCall.setMountAttributes(
                mount.rawValue, set: set, clear: clear, propagation: MountFlag.MS_PRIVATE, recursive: recursive)
        } catch {
            throw SandboxError(error, "cannot set the mount attributes of the tree '\(shown)'")
        }
        return try open(shown, descriptor: SharedDescriptor(mount), flags: flags)
    }

    /// The same for a descriptor (O_PATH or of a detached mount) whose mount is used as it is.
    public static func open(_ shown: String, descriptor: SharedDescriptor, flags: TreeFlags) throws(SandboxError) -> ServedTree {
        do {
            let attributes = NodeAttributes(try HostCall.statx(at: descriptor.rawValue))
            guard attributes.type == FileMode.S_IFREG else { return ServedTree(root: descriptor, flags: flags) }
            // A single file has no name to open it by later: it is opened now, through its O_PATH descriptor.
            let link = Array("/proc/self/fd/\(descriptor.rawValue)".utf8)
            let opened = try HostCall.open(link, flags: flags.contains(.readOnly) ? OpenFlag.O_RDONLY : OpenFlag.O_RDWR)
            return ServedTree(root: SharedDescriptor(opened), isOpenFile: true, flags: flags)
        } catch {
            throw SandboxError(error, "cannot open the tree '\(shown)'")
        }
    }
}

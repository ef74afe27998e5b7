public import LinuxABI

/// A tmpfs that is mounted nowhere: it lives as long as a file of it is open, and no path leads to it.
public struct TemporaryFileSystem: ~Copyable, Sendable {
    /// The root directory (a detached mount, fsmount(2)). When it is closed, open files stay usable.
    public let root: OwnedDescriptor

    /// Makes one that holds at most `size` bytes (whole pages). Needs CAP_SYS_ADMIN and Linux 5.2.
    public init(size: UInt64, name: String) throws(Errno) {
        let context = try HostCall.openFileSystem("tmpfs")
        try HostCall.configureFileSystem(context.rawValue, "source", name)
        try HostCall.configureFileSystem(context.rawValue, "size", String(size))
        try HostCall.configureFileSystem(context.rawValue, "mode", "700")
        // MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV. Not noexec: guests map code from it.
        root = try HostCall.mountFileSystem(context.rawValue, attributes: 2 | 4)
    }

    /// A new file of no name, `size` bytes long (a hole).
    public borrowing func makeFile(size: UInt64) throws(Errno) -> OwnedDescriptor {
        let file = try HostCall.open(
            Array(".".utf8), flags: OpenFlag.O_RDWR | OpenFlag.O_TMPFILE, mode: 0o600, at: root.rawValue)
        _ = try HostCall.retrying { HostCall.raw(.ftruncate, Int(file.rawValue), Int(clamping: size)) }
        return file
    }

    /// Changes how much the file system at `path` (its root) may hold. Less than it holds now is EINVAL.
    public static func resize(path: [UInt8], size: UInt64) throws(Errno) {
        let context = try HostCall.withPath(path) { path throws(Errno) in
            // FSPICK_CLOEXEC
            OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.fspick, Int(AtFlag.AT_FDCWD), path, 1))))
        }
        try HostCall.configureFileSystem(context.rawValue, "size", String(size))
        // FSCONFIG_CMD_RECONFIGURE
        _ = try HostCall.check(HostCall.raw(.fsconfig, Int(context.rawValue), 7, 0, 0, 0))
    }
}

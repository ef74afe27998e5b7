public import LinuxABI

/// A file system that a process serves (fuse(4)), mounted nowhere yet. It ends when `device` is closed.
public struct FuseMount: ~Copyable, Sendable {
    /// Where the kernel's questions come and the answers go. Non-blocking.
    public let device: OwnedDescriptor
    /// The detached mount; `HostCall.attachMount` puts it somewhere. Nothing in it is a device, a program or set-ID for the host.
    public let mount: OwnedDescriptor

    /// Makes one whose files only root of the caller's user namespace may touch. Needs CAP_SYS_ADMIN and /dev/fuse.
    public init(name: String) throws(Errno) {
        let device = try HostCall.open(Array("/dev/fuse".utf8), flags: OpenFlag.O_RDWR | OpenFlag.O_NONBLOCK)
        let context = try HostCall.openFileSystem("fuse")
        for (key, value) in [
            ("source", name), ("fd", String(device.rawValue)), ("rootmode", "40000"), ("user_id", "0"), ("group_id", "0"),
        ] {
            try HostCall.configureFileSystem(context.rawValue, key, value)
        }
        // MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
        mount = try HostCall.mountFileSystem(context.rawValue, attributes: 2 | 4 | 8)
        self.device = device
    }
}

extension HostCall {
    /// move_mount(2): puts a detached mount on top of what is at `path`.
    public static func attachMount(_ mount: Int32, at path: [UInt8]) throws(Errno) {
        try withPath([]) { empty throws(Errno) in
            try withPath(path) { path throws(Errno) in
                // MOVE_MOUNT_F_EMPTY_PATH
                _ = try check(raw(.move_mount, Int(mount), empty, Int(AtFlag.AT_FDCWD), path, 4))
            }
        }
    }

    /// fsopen(2), close-on-exec.
    static func openFileSystem(_ type: String) throws(Errno) -> OwnedDescriptor {
        try withPath(Array(type.utf8)) { type throws(Errno) in OwnedDescriptor(adopting: Int32(try check(raw(.fsopen, type, 1)))) }
    }

    /// fsconfig(2), FSCONFIG_SET_STRING.
    static func configureFileSystem(_ context: Int32, _ key: String, _ value: String) throws(Errno) {
        try withPath(Array(key.utf8)) { key throws(Errno) in
            try withPath(Array(value.utf8)) { value throws(Errno) in _ = try check(raw(.fsconfig, Int(context), 1, key, value, 0)) }
        }
    }

    /// FSCONFIG_CMD_CREATE and fsmount(2), close-on-exec. `attributes`: MOUNT_ATTR_*.
    static func mountFileSystem(_ context: Int32, attributes: Int) throws(Errno) -> OwnedDescriptor {
        _ = try check(raw(.fsconfig, Int(context), 6, 0, 0, 0))
        return OwnedDescriptor(adopting: Int32(try check(raw(.fsmount, Int(context), 1, attributes))))
    }
}

/// FUSE: operations (enum fuse_opcode of linux/fuse.h, protocol version 7).
public enum FuseOperation {
    public static let FUSE_LOOKUP: UInt32 = 1
    public static let FUSE_FORGET: UInt32 = 2
    public static let FUSE_GETATTR: UInt32 = 3
    public static let FUSE_SETATTR: UInt32 = 4
    public static let FUSE_READLINK: UInt32 = 5
    public static let FUSE_SYMLINK: UInt32 = 6
    public static let FUSE_MKNOD: UInt32 = 8
    public static let FUSE_MKDIR: UInt32 = 9
    public static let FUSE_UNLINK: UInt32 = 10
    public static let FUSE_RMDIR: UInt32 = 11
    public static let FUSE_RENAME: UInt32 = 12
    public static let FUSE_LINK: UInt32 = 13
    public static let FUSE_OPEN: UInt32 = 14
    public static let FUSE_READ: UInt32 = 15
    public static let FUSE_WRITE: UInt32 = 16
    public static let FUSE_STATFS: UInt32 = 17
    public static let FUSE_RELEASE: UInt32 = 18
    public static let FUSE_FSYNC: UInt32 = 20
    public static let FUSE_SETXATTR: UInt32 = 21
    public static let FUSE_GETXATTR: UInt32 = 22
    public static let FUSE_LISTXATTR: UInt32 = 23
    public static let FUSE_REMOVEXATTR: UInt32 = 24
    public static let FUSE_INIT: UInt32 = 26
    public static let FUSE_OPENDIR: UInt32 = 27
    public static let FUSE_READDIR: UInt32 = 28
    public static let FUSE_RELEASEDIR: UInt32 = 29
    public static let FUSE_FSYNCDIR: UInt32 = 30
    public static let FUSE_CREATE: UInt32 = 35
    public static let FUSE_INTERRUPT: UInt32 = 36
    public static let FUSE_DESTROY: UInt32 = 38
    public static let FUSE_BATCH_FORGET: UInt32 = 42
    public static let FUSE_RENAME2: UInt32 = 45
}

/// FUSE: flags and sizes.
public enum FuseConstant {
    public static let FUSE_KERNEL_VERSION: UInt32 = 7
    /// The minor version that is spoken here; kernels speak older ones.
    public static let minorVersion: UInt32 = 31
    /// struct fuse_in_header, struct fuse_out_header, bytes.
    public static let requestHeaderSize = 40
    public static let replyHeaderSize = 16
    /// struct fuse_attr, bytes.
    public static let attributesSize = 88

    // fuse_init_in.flags
    public static let FUSE_ATOMIC_O_TRUNC: UInt32 = 1 << 3
    public static let FUSE_BIG_WRITES: UInt32 = 1 << 5

    // fuse_open_out.open_flags
    public static let FOPEN_DIRECT_IO: UInt32 = 1

    // fuse_setattr_in.valid
    public static let FATTR_MODE: UInt32 = 1 << 0
    public static let FATTR_UID: UInt32 = 1 << 1
    public static let FATTR_GID: UInt32 = 1 << 2
    public static let FATTR_SIZE: UInt32 = 1 << 3
    public static let FATTR_ATIME: UInt32 = 1 << 4
    public static let FATTR_MTIME: UInt32 = 1 << 5
    public static let FATTR_ATIME_NOW: UInt32 = 1 << 7
    public static let FATTR_MTIME_NOW: UInt32 = 1 << 8

    // fuse_fsync_in.fsync_flags
    public static let FUSE_FSYNC_FDATASYNC: UInt32 = 1
}

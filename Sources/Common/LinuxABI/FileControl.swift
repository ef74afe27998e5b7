/// Seals of fcntl(2) F_ADD_SEALS (linux/fcntl.h).
public enum SealFlags {
    /// No further seals.
    @inlinable public static var F_SEAL_SEAL: UInt32 { 0x1 }
    /// The size cannot shrink.
    @inlinable public static var F_SEAL_SHRINK: UInt32 { 0x2 }
    /// The size cannot grow.
    @inlinable public static var F_SEAL_GROW: UInt32 { 0x4 }
    /// The contents cannot change.
    @inlinable public static var F_SEAL_WRITE: UInt32 { 0x8 }
    /// No new writes, while existing writable mappings stay.
    @inlinable public static var F_SEAL_FUTURE_WRITE: UInt32 { 0x10 }
    /// Execute permission cannot change.
    @inlinable public static var F_SEAL_EXEC: UInt32 { 0x20 }
}

/// Commands of fcntl(2).
public enum FcntlCommand {
    @inlinable public static var F_DUPFD: Int32 { 0 }
    @inlinable public static var F_GETFD: Int32 { 1 }
    @inlinable public static var F_SETFD: Int32 { 2 }
    @inlinable public static var F_GETFL: Int32 { 3 }
    @inlinable public static var F_SETFL: Int32 { 4 }
    @inlinable public static var F_GETLK: Int32 { 5 }
    @inlinable public static var F_SETLK: Int32 { 6 }
    @inlinable public static var F_SETLKW: Int32 { 7 }
    @inlinable public static var F_SETOWN: Int32 { 8 }
    @inlinable public static var F_GETOWN: Int32 { 9 }
    @inlinable public static var F_SETSIG: Int32 { 10 }
    @inlinable public static var F_GETSIG: Int32 { 11 }
    @inlinable public static var F_SETOWN_EX: Int32 { 15 }
    @inlinable public static var F_GETOWN_EX: Int32 { 16 }
    @inlinable public static var F_OFD_GETLK: Int32 { 36 }
    @inlinable public static var F_OFD_SETLK: Int32 { 37 }
    @inlinable public static var F_OFD_SETLKW: Int32 { 38 }
    @inlinable public static var F_SETLEASE: Int32 { 1024 }
    @inlinable public static var F_GETLEASE: Int32 { 1025 }
    @inlinable public static var F_NOTIFY: Int32 { 1026 }
    @inlinable public static var F_DUPFD_QUERY: Int32 { 1027 }
    @inlinable public static var F_DUPFD_CLOEXEC: Int32 { 1030 }
    @inlinable public static var F_SETPIPE_SZ: Int32 { 1031 }
    @inlinable public static var F_GETPIPE_SZ: Int32 { 1032 }
    @inlinable public static var F_ADD_SEALS: Int32 { 1033 }
    @inlinable public static var F_GET_SEALS: Int32 { 1034 }
    @inlinable public static var F_GET_RW_HINT: Int32 { 1035 }
    @inlinable public static var F_SET_RW_HINT: Int32 { 1036 }
    @inlinable public static var F_GET_FILE_RW_HINT: Int32 { 1037 }
    @inlinable public static var F_SET_FILE_RW_HINT: Int32 { 1038 }
    /// F_GETFD, F_SETFD.
    @inlinable public static var FD_CLOEXEC: Int32 { 1 }
    /// F_SETOWN_EX: the kinds of owner.
    @inlinable public static var F_OWNER_TID: Int32 { 0 }
    @inlinable public static var F_OWNER_PID: Int32 { 1 }
    @inlinable public static var F_OWNER_PGRP: Int32 { 2 }
}

/// Requests of ioctl(2) that concern any descriptor or file (asm-generic/ioctls.h, linux/fs.h).
public enum IoctlRequest {
    /// Bytes that can be read: an int.
    @inlinable public static var FIONREAD: UInt32 { 0x541b }
    /// Sets or clears O_NONBLOCK by an int.
    @inlinable public static var FIONBIO: UInt32 { 0x5421 }
    /// Clears close-on-exec.
    @inlinable public static var FIONCLEX: UInt32 { 0x5450 }
    /// Sets close-on-exec.
    @inlinable public static var FIOCLEX: UInt32 { 0x5451 }
    /// Sets or clears O_ASYNC by an int.
    @inlinable public static var FIOASYNC: UInt32 { 0x5452 }
    /// The size of a regular file or directory: a 64-bit number.
    @inlinable public static var FIOQSIZE: UInt32 { 0x5460 }
    /// Makes a file share another's data.
    @inlinable public static var FICLONE: UInt32 { 0x4004_9409 }
    @inlinable public static var FICLONERANGE: UInt32 { 0x4020_940d }
    /// Inode flags (chattr(1)).
    @inlinable public static var FS_IOC_GETFLAGS: UInt32 { 0x8008_6601 }
    @inlinable public static var FS_IOC_SETFLAGS: UInt32 { 0x4008_6602 }
}

/// Flags of preadv2(2) and pwritev2(2) (linux/fs.h).
public enum TransferFlag {
    /// High priority.
    @inlinable public static var RWF_HIPRI: Int32 { 0x1 }
    /// As O_DSYNC.
    @inlinable public static var RWF_DSYNC: Int32 { 0x2 }
    /// As O_SYNC.
    @inlinable public static var RWF_SYNC: Int32 { 0x4 }
    /// EAGAIN instead of waiting.
    @inlinable public static var RWF_NOWAIT: Int32 { 0x8 }
    /// As O_APPEND.
    @inlinable public static var RWF_APPEND: Int32 { 0x10 }
}

/// Flags of splice(2), tee(2) and vmsplice(2).
public enum SpliceFlag {
    @inlinable public static var SPLICE_F_MOVE: UInt32 { 1 }
    /// Do not wait for a pipe.
    @inlinable public static var SPLICE_F_NONBLOCK: UInt32 { 2 }
    @inlinable public static var SPLICE_F_MORE: UInt32 { 4 }
    @inlinable public static var SPLICE_F_GIFT: UInt32 { 8 }
}

/// Events of fcntl(2) F_NOTIFY.
public enum DirectoryNotification {
    @inlinable public static var DN_ACCESS: UInt32 { 0x1 }
    @inlinable public static var DN_MODIFY: UInt32 { 0x2 }
    @inlinable public static var DN_CREATE: UInt32 { 0x4 }
    @inlinable public static var DN_DELETE: UInt32 { 0x8 }
    @inlinable public static var DN_RENAME: UInt32 { 0x10 }
    @inlinable public static var DN_ATTRIB: UInt32 { 0x20 }
    /// Not only once.
    @inlinable public static var DN_MULTISHOT: UInt32 { 0x8000_0000 }
}

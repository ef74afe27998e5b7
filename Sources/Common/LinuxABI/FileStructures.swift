/// struct timespec: seconds and nanoseconds (0..<1,000,000,000).
@frozen public struct Timespec: Hashable, Sendable, Comparable {
    public var tv_sec: Int64
    public var tv_nsec: Int64

    @inlinable public init(tv_sec: Int64 = 0, tv_nsec: Int64 = 0) {
        self.tv_sec = tv_sec
        self.tv_nsec = tv_nsec
    }

    @inlinable public static func < (a: Timespec, b: Timespec) -> Bool {
        a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec
    }
}

/// struct stat of x86-64 (stat(2)); 144 bytes in memory.
@frozen public struct Stat: Hashable, Sendable {
    public static let size = 144
    public var st_dev: UInt64 = 0
    public var st_ino: UInt64 = 0
    public var st_nlink: UInt64 = 0
    public var st_mode: UInt32 = 0
    public var st_uid: UInt32 = 0
    public var st_gid: UInt32 = 0
    public var st_rdev: UInt64 = 0
    public var st_size: Int64 = 0
    public var st_blksize: Int64 = 0
    /// In units of 512 bytes.
    public var st_blocks: Int64 = 0
    public var st_atim = Timespec()
    public var st_mtim = Timespec()
    public var st_ctim = Timespec()
    public init() {}
}

/// The fields of struct statx (statx(2)) that are in use; 256 bytes in memory.
@frozen public struct Statx: Hashable, Sendable {
    public static let size = 256
    public var stx_mask: UInt32 = 0
    public var stx_blksize: UInt32 = 0
    public var stx_attributes: UInt64 = 0
    public var stx_nlink: UInt32 = 0
    public var stx_uid: UInt32 = 0
    public var stx_gid: UInt32 = 0
    public var stx_mode: UInt16 = 0
    public var stx_ino: UInt64 = 0
    public var stx_size: UInt64 = 0
    /// In units of 512 bytes.
    public var stx_blocks: UInt64 = 0
    public var stx_attributes_mask: UInt64 = 0
    public var stx_atime = Timespec()
    public var stx_btime = Timespec()
    public var stx_ctime = Timespec()
    public var stx_mtime = Timespec()
    public var stx_rdev_major: UInt32 = 0
    public var stx_rdev_minor: UInt32 = 0
    public var stx_dev_major: UInt32 = 0
    public var stx_dev_minor: UInt32 = 0
    public var stx_mnt_id: UInt64 = 0
    public var stx_dio_mem_align: UInt32 = 0
    public var stx_dio_offset_align: UInt32 = 0
    public init() {}
}

/// struct statfs of x86-64 (statfs(2)); 120 bytes in memory.
@frozen public struct Statfs: Hashable, Sendable {
    public static let size = 120
    public var f_type: Int64 = 0
    /// Optimal transfer size, in bytes.
    public var f_bsize: Int64 = 4096
    /// In units of `f_frsize`.
    public var f_blocks: UInt64 = 0
    public var f_bfree: UInt64 = 0
    public var f_bavail: UInt64 = 0
    public var f_files: UInt64 = 0
    public var f_ffree: UInt64 = 0
    public var f_fsid: UInt64 = 0
    public var f_namelen: Int64 = 255
    /// Fragment size, in bytes.
    public var f_frsize: Int64 = 4096
    public var f_flags: UInt64 = 0
    public init() {}
}

/// Device numbers as struct stat carries them (makedev(3), the kernel's new_encode_dev for 64 bits).
public enum DeviceNumber {
    @inlinable public static func make(major: UInt32, minor: UInt32) -> UInt64 {
        let major = UInt64(major), minor = UInt64(minor)
        return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xffff_ff00) << 12) | ((major & 0xffff_f000) << 32)
    }
    @inlinable public static func major(_ device: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000))
    }
    @inlinable public static func minor(_ device: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (device & 0xff) | ((device >> 12) & 0xffff_ff00))
    }
}

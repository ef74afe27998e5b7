public import LinuxABI

/// Attributes of files: statx, chmod, chown, times, sizes, extended attributes. Every call names its file by a descriptor and a
/// path below it; an empty path with AT_EMPTY_PATH means the descriptor itself, which may be an O_PATH one.
extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed or temporary buffer and used only inside the closure that borrows it.
    /// statx(2). `flags` are AtFlag's.
    public static func statx(
        at directory: Int32, _ path: [UInt8] = [], flags: Int32 = AtFlag.AT_EMPTY_PATH | AtFlag.AT_SYMLINK_NOFOLLOW,
        mask: UInt32 = StatxMask.STATX_BASIC_STATS | StatxMask.STATX_BTIME
    ) throws(Errno) -> Statx {
        try withPath(path) { address throws(Errno) in
            try unsafe withUnsafeTemporaryAllocation(byteCount: Statx.size, alignment: 8) { buffer throws(Errno) in
                let structure = Int(bitPattern: buffer.baseAddress)
                _ = try retrying { raw(.statx, Int(directory), address, Int(flags), Int(mask), structure) }
                return unsafe decodeStatx(UnsafeRawBufferPointer(buffer))
            }
        }
    }

    /// struct statx, read field by field at its fixed offsets.
    private static func decodeStatx(_ b: UnsafeRawBufferPointer) -> Statx {
        // SAFETY: every offset lies within the 256 bytes that the kernel has just filled (linux/stat.h).
        func u32(_ offset: Int) -> UInt32 { unsafe b.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        func u64(_ offset: Int) -> UInt64 { unsafe b.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        func time(_ offset: Int) -> Timespec {
            Timespec(tv_sec: Int64(bitPattern: u64(offset)), tv_nsec: Int64(u32(offset + 8)))
        }
        var s = Statx()
        s.stx_mask = u32(0)
        s.stx_blksize = u32(4)
        s.stx_attributes = u64(8)
        s.stx_nlink = u32(16)
        s.stx_uid = u32(20)
        s.stx_gid = u32(24)
        s.stx_mode = unsafe b.loadUnaligned(fromByteOffset: 28, as: UInt16.self)
        s.stx_ino = u64(32)
        s.stx_size = u64(40)
        s.stx_blocks = u64(48)
        s.stx_attributes_mask = u64(56)
        s.stx_atime = time(64)
        s.stx_btime = time(80)
        s.stx_ctime = time(96)
        s.stx_mtime = time(112)
        s.stx_rdev_major = u32(128)
        s.stx_rdev_minor = u32(132)
        s.stx_dev_major = u32(136)
        s.stx_dev_minor = u32(140)
        s.stx_mnt_id = u64(144)
        s.stx_dio_mem_align = u32(152)
        s.stx_dio_offset_align = u32(156)
        return s
    }

    /// fstat(2). It names no path, so a filter can allow it whatever its arguments are.
    public static func fileStatus(_ descriptor: Int32) throws(Errno) -> Stat {
        try unsafe withUnsafeTemporaryAllocation(byteCount: Stat.size, alignment: 8) { buffer throws(Errno) in
            let structure = Int(bitPattern: buffer.baseAddress)
            _ = try retrying { raw(.fstat, Int(descriptor), structure) }
            // SAFETY: every offset lies within the 144 bytes that the kernel has just filled (asm/stat.h).
            func u64(_ offset: Int) -> UInt64 { unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
            func u32(_ offset: Int) -> UInt32 { unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
            func time(_ offset: Int) -> Timespec {
                Timespec(tv_sec: Int64(bitPattern: u64(offset)), tv_nsec: Int64(bitPattern: u64(offset + 8)))
            }
            var s = Stat()
            s.st_dev = u64(0)
            s.st_ino = u64(8)
            s.st_nlink = u64(16)
            s.st_mode = u32(24)
            s.st_uid = u32(28)
            s.st_gid = u32(32)
            s.st_rdev = u64(40)
            s.st_size = Int64(bitPattern: u64(48))
            s.st_blksize = Int64(bitPattern: u64(56))
            s.st_blocks = Int64(bitPattern: u64(64))
            s.st_atim = time(72)
            s.st_mtim = time(88)
            s.st_ctim = time(104)
            return s
        }
    }

    /// fchmod(2); not for O_PATH descriptors.
    public static func changeMode(_ descriptor: Int32, to mode: UInt32) throws(Errno) {
        _ = try retrying { raw(.fchmod, Int(descriptor), Int(mode)) }
    }

    /// fchmodat2(2), of Linux 6.6 and later (ENOSYS before).
    public static func changeMode(at directory: Int32, _ path: [UInt8], to mode: UInt32, flags: Int32) throws(Errno) {
        try withPath(path) { address throws(Errno) in
            _ = try retrying { raw(.fchmodat2, Int(directory), address, Int(mode), Int(flags)) }
        }
    }

    /// fchownat(2). UInt32.max leaves an ID as it is.
    public static func changeOwner(at directory: Int32, _ path: [UInt8] = [], user: UInt32, group: UInt32, flags: Int32) throws(Errno) {
        try withPath(path) { address throws(Errno) in
            _ = try retrying { raw(.fchownat, Int(directory), address, Int(user), Int(group), Int(flags)) }
        }
    }

    /// utimensat(2). `tv_nsec` may be UTIME_NOW or UTIME_OMIT. AT_EMPTY_PATH works from Linux 5.8.
    public static func changeTimes(
        at directory: Int32, _ path: [UInt8] = [], access: Timespec, modification: Timespec, flags: Int32
    ) throws(Errno) {
        try withPath(path) { address throws(Errno) in
            let times: [Int64] = [access.tv_sec, access.tv_nsec, modification.tv_sec, modification.tv_nsec]
            try unsafe times.withUnsafeBufferPointer { p throws(Errno) in
                let pointer = Int(bitPattern: p.baseAddress)
                _ = try retrying { raw(.utimensat, Int(directory), address, pointer, Int(flags)) }
            }
        }
    }

    /// ftruncate(2).
    public static func truncate(_ descriptor: Int32, to size: Int64) throws(Errno) {
        _ = try retrying { raw(.ftruncate, Int(descriptor), Int(size)) }
    }

    /// fallocate(2). `mode` is FallocateMode's.
    public static func allocate(_ descriptor: Int32, mode: Int32, offset: Int64, length: Int64) throws(Errno) {
        _ = try retrying { raw(.fallocate, Int(descriptor), Int(mode), Int(offset), Int(length)) }
    }

    /// fsync(2), or fdatasync(2) when `dataOnly`.
    public static func synchronize(_ descriptor: Int32, dataOnly: Bool = false) throws(Errno) {
        _ = try retrying { raw(dataOnly ? .fdatasync : .fsync, Int(descriptor)) }
    }

    /// syncfs(2): everything of the file system that `descriptor` lies on.
    public static func synchronizeFileSystem(_ descriptor: Int32) throws(Errno) {
        _ = try retrying { raw(.syncfs, Int(descriptor)) }
    }

    /// lseek(2).
    public static func seek(_ descriptor: Int32, to offset: Int64, from origin: Int32) throws(Errno) -> Int64 {
        Int64(try check(raw(.lseek, Int(descriptor), Int(offset), Int(origin))))
    }

    /// fstatfs(2).
    public static func statfs(_ descriptor: Int32) throws(Errno) -> Statfs {
        try unsafe withUnsafeTemporaryAllocation(byteCount: Statfs.size, alignment: 8) { buffer throws(Errno) in
            let structure = Int(bitPattern: buffer.baseAddress)
            _ = try retrying { raw(.fstatfs, Int(descriptor), structure) }
            // SAFETY: every offset lies within the 120 bytes that the kernel has just filled (asm-generic/statfs.h).
            func u64(_ offset: Int) -> UInt64 { unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
            var s = Statfs()
            s.f_type = Int64(bitPattern: u64(0))
            s.f_bsize = Int64(bitPattern: u64(8))
            s.f_blocks = u64(16)
            s.f_bfree = u64(24)
            s.f_bavail = u64(32)
            s.f_files = u64(40)
            s.f_ffree = u64(48)
            s.f_fsid = u64(56)
            s.f_namelen = Int64(bitPattern: u64(64))
            s.f_frsize = Int64(bitPattern: u64(72))
            s.f_flags = u64(80)
            return s
        }
    }

    /// flock(2). `operation` is FlockOperation's.
    public static func flock(_ descriptor: Int32, _ operation: Int32) throws(Errno) {
        _ = try check(raw(.flock, Int(descriptor), Int(operation)))
    }

    /// umask(2): the old mask.
    @discardableResult public static func setFileCreationMask(_ mask: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: raw(.umask, Int(mask)))
    }
}

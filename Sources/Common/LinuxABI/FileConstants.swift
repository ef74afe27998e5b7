// Constants of files and file systems: fcntl.h, stat.h, fs.h, mount.h, limits.h of Linux, x86-64.

/// Flags of open(2), x86-64 values of asm-generic/fcntl.h.
public enum OpenFlag {
    /// Read only.
    @inlinable public static var O_RDONLY: Int32 { 0 }
    /// Write only.
    @inlinable public static var O_WRONLY: Int32 { 1 }
    /// Read and write.
    @inlinable public static var O_RDWR: Int32 { 2 }
    /// Mask of the access mode.
    @inlinable public static var O_ACCMODE: Int32 { 3 }
    /// Create the file when it does not exist.
    @inlinable public static var O_CREAT: Int32 { 0o100 }
    /// With O_CREAT: fail when the file exists.
    @inlinable public static var O_EXCL: Int32 { 0o200 }
    /// Do not make a terminal the controlling one.
    @inlinable public static var O_NOCTTY: Int32 { 0o400 }
    /// Truncate a regular file to length 0.
    @inlinable public static var O_TRUNC: Int32 { 0o1000 }
    /// Every write goes to the end of the file.
    @inlinable public static var O_APPEND: Int32 { 0o2000 }
    /// Do not block.
    @inlinable public static var O_NONBLOCK: Int32 { 0o4000 }
    /// Writes wait for the data to be on the medium.
    @inlinable public static var O_DSYNC: Int32 { 0o10000 }
    /// Send SIGIO when input or output becomes possible (FASYNC).
    @inlinable public static var O_ASYNC: Int32 { 0o20000 }
    /// Bypass the page cache.
    @inlinable public static var O_DIRECT: Int32 { 0o40000 }
    /// Large files; always on for 64-bit programs.
    @inlinable public static var O_LARGEFILE: Int32 { 0o100000 }
    /// Fail unless it is a directory.
    @inlinable public static var O_DIRECTORY: Int32 { 0o200000 }
    /// Fail when the last component is a symbolic link.
    @inlinable public static var O_NOFOLLOW: Int32 { 0o400000 }
    /// Do not update the access time.
    @inlinable public static var O_NOATIME: Int32 { 0o1000000 }
    /// Close on exec.
    @inlinable public static var O_CLOEXEC: Int32 { 0o2000000 }
    /// Writes wait for data and metadata to be on the medium (includes O_DSYNC).
    @inlinable public static var O_SYNC: Int32 { 0o4010000 }
    /// A descriptor of the place in the tree only.
    @inlinable public static var O_PATH: Int32 { 0o10000000 }
    /// An unnamed file in the directory (includes O_DIRECTORY).
    @inlinable public static var O_TMPFILE: Int32 { 0o20200000 }
}

/// File type and permission bits of st_mode (inode(7)).
public enum FileMode {
    /// Mask of the file type.
    @inlinable public static var S_IFMT: UInt32 { 0o170000 }
    /// Socket.
    @inlinable public static var S_IFSOCK: UInt32 { 0o140000 }
    /// Symbolic link.
    @inlinable public static var S_IFLNK: UInt32 { 0o120000 }
    /// Regular file.
    @inlinable public static var S_IFREG: UInt32 { 0o100000 }
    /// Block device.
    @inlinable public static var S_IFBLK: UInt32 { 0o060000 }
    /// Directory.
    @inlinable public static var S_IFDIR: UInt32 { 0o040000 }
    /// Character device.
    @inlinable public static var S_IFCHR: UInt32 { 0o020000 }
    /// FIFO.
    @inlinable public static var S_IFIFO: UInt32 { 0o010000 }
    /// Set user ID on execution.
    @inlinable public static var S_ISUID: UInt32 { 0o4000 }
    /// Set group ID on execution; new files inherit a directory's group.
    @inlinable public static var S_ISGID: UInt32 { 0o2000 }
    /// Sticky bit.
    @inlinable public static var S_ISVTX: UInt32 { 0o1000 }
    /// Owner: read, write, execute.
    @inlinable public static var S_IRWXU: UInt32 { 0o700 }
    /// Owner: read.
    @inlinable public static var S_IRUSR: UInt32 { 0o400 }
    /// Owner: write.
    @inlinable public static var S_IWUSR: UInt32 { 0o200 }
    /// Owner: execute.
    @inlinable public static var S_IXUSR: UInt32 { 0o100 }
    /// Group: read, write, execute.
    @inlinable public static var S_IRWXG: UInt32 { 0o070 }
    /// Group: read.
    @inlinable public static var S_IRGRP: UInt32 { 0o040 }
    /// Group: write.
    @inlinable public static var S_IWGRP: UInt32 { 0o020 }
    /// Group: execute.
    @inlinable public static var S_IXGRP: UInt32 { 0o010 }
    /// Others: read, write, execute.
    @inlinable public static var S_IRWXO: UInt32 { 0o007 }
    /// Others: read.
    @inlinable public static var S_IROTH: UInt32 { 0o004 }
    /// Others: write.
    @inlinable public static var S_IWOTH: UInt32 { 0o002 }
    /// Others: execute.
    @inlinable public static var S_IXOTH: UInt32 { 0o001 }
}

/// Flags of the *at(2) family (linux/fcntl.h).
public enum AtFlag {
    /// Relative to the working directory.
    @inlinable public static var AT_FDCWD: Int32 { -100 }
    /// Do not follow a symbolic link at the end.
    @inlinable public static var AT_SYMLINK_NOFOLLOW: Int32 { 0x100 }
    /// faccessat(2): use the effective IDs.
    @inlinable public static var AT_EACCESS: Int32 { 0x200 }
    /// unlinkat(2): remove a directory.
    @inlinable public static var AT_REMOVEDIR: Int32 { 0x200 }
    /// linkat(2): follow a symbolic link at the end.
    @inlinable public static var AT_SYMLINK_FOLLOW: Int32 { 0x400 }
    /// Do not trigger an automount.
    @inlinable public static var AT_NO_AUTOMOUNT: Int32 { 0x800 }
    /// An empty path means the descriptor itself.
    @inlinable public static var AT_EMPTY_PATH: Int32 { 0x1000 }
    /// statx(2): ask the server.
    @inlinable public static var AT_STATX_FORCE_SYNC: Int32 { 0x2000 }
    /// statx(2): cached values will do.
    @inlinable public static var AT_STATX_DONT_SYNC: Int32 { 0x4000 }
    /// Apply to the whole subtree.
    @inlinable public static var AT_RECURSIVE: Int32 { 0x8000 }
}

/// Flags of renameat2(2).
public enum RenameFlag {
    /// Fail when the new name exists.
    @inlinable public static var RENAME_NOREPLACE: UInt32 { 1 }
    /// Exchange the two.
    @inlinable public static var RENAME_EXCHANGE: UInt32 { 2 }
    /// Leave a whiteout at the old name.
    @inlinable public static var RENAME_WHITEOUT: UInt32 { 4 }
}

/// Flags of openat2(2)'s `resolve`.
public enum ResolveFlag {
    /// No mount crossings.
    @inlinable public static var RESOLVE_NO_XDEV: UInt64 { 0x01 }
    /// No magic links.
    @inlinable public static var RESOLVE_NO_MAGICLINKS: UInt64 { 0x02 }
    /// No symbolic links.
    @inlinable public static var RESOLVE_NO_SYMLINKS: UInt64 { 0x04 }
    /// Stay below the starting directory.
    @inlinable public static var RESOLVE_BENEATH: UInt64 { 0x08 }
    /// The starting directory is the root.
    @inlinable public static var RESOLVE_IN_ROOT: UInt64 { 0x10 }
    /// Only when it needs no blocking.
    @inlinable public static var RESOLVE_CACHED: UInt64 { 0x20 }
}

/// Types of directory entries (readdir(3), d_type).
public enum DirectoryEntryType {
    /// Unknown: ask stat(2).
    @inlinable public static var DT_UNKNOWN: UInt8 { 0 }
    /// FIFO.
    @inlinable public static var DT_FIFO: UInt8 { 1 }
    /// Character device.
    @inlinable public static var DT_CHR: UInt8 { 2 }
    /// Directory.
    @inlinable public static var DT_DIR: UInt8 { 4 }
    /// Block device.
    @inlinable public static var DT_BLK: UInt8 { 6 }
    /// Regular file.
    @inlinable public static var DT_REG: UInt8 { 8 }
    /// Symbolic link.
    @inlinable public static var DT_LNK: UInt8 { 10 }
    /// Socket.
    @inlinable public static var DT_SOCK: UInt8 { 12 }
    /// Whiteout.
    @inlinable public static var DT_WHT: UInt8 { 14 }
}

/// Fields of statx(2).
public enum StatxMask {
    /// The type in stx_mode.
    @inlinable public static var STATX_TYPE: UInt32 { 0x1 }
    /// The permissions in stx_mode.
    @inlinable public static var STATX_MODE: UInt32 { 0x2 }
    /// stx_nlink.
    @inlinable public static var STATX_NLINK: UInt32 { 0x4 }
    /// stx_uid.
    @inlinable public static var STATX_UID: UInt32 { 0x8 }
    /// stx_gid.
    @inlinable public static var STATX_GID: UInt32 { 0x10 }
    /// stx_atime.
    @inlinable public static var STATX_ATIME: UInt32 { 0x20 }
    /// stx_mtime.
    @inlinable public static var STATX_MTIME: UInt32 { 0x40 }
    /// stx_ctime.
    @inlinable public static var STATX_CTIME: UInt32 { 0x80 }
    /// stx_ino.
    @inlinable public static var STATX_INO: UInt32 { 0x100 }
    /// stx_size.
    @inlinable public static var STATX_SIZE: UInt32 { 0x200 }
    /// stx_blocks.
    @inlinable public static var STATX_BLOCKS: UInt32 { 0x400 }
    /// All of the above.
    @inlinable public static var STATX_BASIC_STATS: UInt32 { 0x7ff }
    /// stx_btime.
    @inlinable public static var STATX_BTIME: UInt32 { 0x800 }
    /// stx_mnt_id.
    @inlinable public static var STATX_MNT_ID: UInt32 { 0x1000 }
    /// stx_dio_mem_align and stx_dio_offset_align.
    @inlinable public static var STATX_DIOALIGN: UInt32 { 0x2000 }
    /// stx_mnt_id, unique for the life of the system.
    @inlinable public static var STATX_MNT_ID_UNIQUE: UInt32 { 0x4000 }
    /// Must be zero.
    @inlinable public static var STATX__RESERVED: UInt32 { 0x80000000 }
}

/// Bits of stx_attributes (statx(2)).
public enum StatxAttribute {
    /// Compressed.
    @inlinable public static var STATX_ATTR_COMPRESSED: UInt64 { 0x4 }
    /// Immutable.
    @inlinable public static var STATX_ATTR_IMMUTABLE: UInt64 { 0x10 }
    /// Append only.
    @inlinable public static var STATX_ATTR_APPEND: UInt64 { 0x20 }
    /// Not to be backed up.
    @inlinable public static var STATX_ATTR_NODUMP: UInt64 { 0x40 }
    /// Encrypted.
    @inlinable public static var STATX_ATTR_ENCRYPTED: UInt64 { 0x800 }
    /// Automount point.
    @inlinable public static var STATX_ATTR_AUTOMOUNT: UInt64 { 0x1000 }
    /// Root of a mount.
    @inlinable public static var STATX_ATTR_MOUNT_ROOT: UInt64 { 0x2000 }
    /// fs-verity protected.
    @inlinable public static var STATX_ATTR_VERITY: UInt64 { 0x100000 }
    /// Direct access.
    @inlinable public static var STATX_ATTR_DAX: UInt64 { 0x200000 }
}

/// Modes of fallocate(2).
public enum FallocateMode {
    /// Do not change the size.
    @inlinable public static var FALLOC_FL_KEEP_SIZE: Int32 { 0x01 }
    /// Make a hole (with KEEP_SIZE).
    @inlinable public static var FALLOC_FL_PUNCH_HOLE: Int32 { 0x02 }
    /// Remove a range.
    @inlinable public static var FALLOC_FL_COLLAPSE_RANGE: Int32 { 0x08 }
    /// Zero a range.
    @inlinable public static var FALLOC_FL_ZERO_RANGE: Int32 { 0x10 }
    /// Insert a hole.
    @inlinable public static var FALLOC_FL_INSERT_RANGE: Int32 { 0x20 }
    /// Unshare shared blocks.
    @inlinable public static var FALLOC_FL_UNSHARE_RANGE: Int32 { 0x40 }
}

/// `whence` of lseek(2).
public enum SeekOrigin {
    /// From the start.
    @inlinable public static var SEEK_SET: Int32 { 0 }
    /// From the current position.
    @inlinable public static var SEEK_CUR: Int32 { 1 }
    /// From the end.
    @inlinable public static var SEEK_END: Int32 { 2 }
    /// The next data.
    @inlinable public static var SEEK_DATA: Int32 { 3 }
    /// The next hole.
    @inlinable public static var SEEK_HOLE: Int32 { 4 }
}

/// Flags of setxattr(2), and the limits of linux/limits.h.
public enum XattrFlag {
    /// Fail when it exists.
    @inlinable public static var XATTR_CREATE: Int32 { 1 }
    /// Fail when it does not exist.
    @inlinable public static var XATTR_REPLACE: Int32 { 2 }
    /// Longest name, in bytes.
    @inlinable public static var XATTR_NAME_MAX: Int32 { 255 }
    /// Largest value, in bytes.
    @inlinable public static var XATTR_SIZE_MAX: Int32 { 65536 }
    /// Longest list of names, in bytes.
    @inlinable public static var XATTR_LIST_MAX: Int32 { 65536 }
}

/// Limits of linux/limits.h, and of path resolution (path_resolution(7)).
public enum PathLimit {
    /// Longest file name, in bytes.
    @inlinable public static var NAME_MAX: Int { 255 }
    /// Longest path, in bytes, with its NUL.
    @inlinable public static var PATH_MAX: Int { 4096 }
    /// Symbolic links followed in one resolution.
    @inlinable public static var MAXSYMLINKS: Int { 40 }
    /// Least number of hard links a file system allows.
    @inlinable public static var LINK_MAX: Int { 127 }
}

/// Special values of `tv_nsec` for utimensat(2).
public enum UtimeSpecial {
    /// The current time.
    @inlinable public static var UTIME_NOW: Int64 { 0x3fffffff }
    /// Leave it as it is.
    @inlinable public static var UTIME_OMIT: Int64 { 0x3ffffffe }
}

/// Operations of flock(2).
public enum FlockOperation {
    /// Shared lock.
    @inlinable public static var LOCK_SH: Int32 { 1 }
    /// Exclusive lock.
    @inlinable public static var LOCK_EX: Int32 { 2 }
    /// Do not block.
    @inlinable public static var LOCK_NB: Int32 { 4 }
    /// Unlock.
    @inlinable public static var LOCK_UN: Int32 { 8 }
}

/// `l_type` of struct flock (fcntl(2)).
public enum RecordLockType {
    /// Read lock.
    @inlinable public static var F_RDLCK: Int16 { 0 }
    /// Write lock.
    @inlinable public static var F_WRLCK: Int16 { 1 }
    /// Unlock.
    @inlinable public static var F_UNLCK: Int16 { 2 }
}

/// `f_type` of statfs(2) (linux/magic.h).
public enum FileSystemMagic {
    /// ext2, ext3, ext4.
    @inlinable public static var EXT4_SUPER_MAGIC: Int64 { 0xef53 }
    /// tmpfs.
    @inlinable public static var TMPFS_MAGIC: Int64 { 0x01021994 }
    /// proc.
    @inlinable public static var PROC_SUPER_MAGIC: Int64 { 0x9fa0 }
    /// sysfs.
    @inlinable public static var SYSFS_MAGIC: Int64 { 0x62656572 }
    /// overlay.
    @inlinable public static var OVERLAYFS_SUPER_MAGIC: Int64 { 0x794c7630 }
    /// devpts.
    @inlinable public static var DEVPTS_SUPER_MAGIC: Int64 { 0x1cd1 }
    /// pipefs.
    @inlinable public static var PIPEFS_MAGIC: Int64 { 0x50495045 }
    /// sockfs.
    @inlinable public static var SOCKFS_MAGIC: Int64 { 0x534f434b }
    /// anonymous inodes.
    @inlinable public static var ANON_INODE_FS_MAGIC: Int64 { 0x09041934 }
    /// cgroup v2.
    @inlinable public static var CGROUP2_SUPER_MAGIC: Int64 { 0x63677270 }
    /// 9p; the name that sandboxes traditionally show for served trees.
    @inlinable public static var V9FS_MAGIC: Int64 { 0x01021997 }
    /// POSIX message queues.
    @inlinable public static var MQUEUE_MAGIC: Int64 { 0x19800202 }
}

/// Flags of mount(2).
public enum MountFlag {
    /// Read only.
    @inlinable public static var MS_RDONLY: UInt64 { 0x1 }
    /// Ignore set-user-ID bits.
    @inlinable public static var MS_NOSUID: UInt64 { 0x2 }
    /// No access to devices.
    @inlinable public static var MS_NODEV: UInt64 { 0x4 }
    /// No program execution.
    @inlinable public static var MS_NOEXEC: UInt64 { 0x8 }
    /// Writes are synchronous.
    @inlinable public static var MS_SYNCHRONOUS: UInt64 { 0x10 }
    /// Change an existing mount.
    @inlinable public static var MS_REMOUNT: UInt64 { 0x20 }
    /// Mandatory locks.
    @inlinable public static var MS_MANDLOCK: UInt64 { 0x40 }
    /// Directory changes are synchronous.
    @inlinable public static var MS_DIRSYNC: UInt64 { 0x80 }
    /// Do not follow symbolic links.
    @inlinable public static var MS_NOSYMFOLLOW: UInt64 { 0x100 }
    /// Do not update access times.
    @inlinable public static var MS_NOATIME: UInt64 { 0x400 }
    /// Do not update access times of directories.
    @inlinable public static var MS_NODIRATIME: UInt64 { 0x800 }
    /// Bind mount.
    @inlinable public static var MS_BIND: UInt64 { 0x1000 }
    /// Move a mount.
    @inlinable public static var MS_MOVE: UInt64 { 0x2000 }
    /// The whole subtree.
    @inlinable public static var MS_REC: UInt64 { 0x4000 }
    /// No messages.
    @inlinable public static var MS_SILENT: UInt64 { 0x8000 }
    /// Unbindable.
    @inlinable public static var MS_UNBINDABLE: UInt64 { 0x20000 }
    /// Private.
    @inlinable public static var MS_PRIVATE: UInt64 { 0x40000 }
    /// Slave.
    @inlinable public static var MS_SLAVE: UInt64 { 0x80000 }
    /// Shared.
    @inlinable public static var MS_SHARED: UInt64 { 0x100000 }
    /// Relative access times.
    @inlinable public static var MS_RELATIME: UInt64 { 0x200000 }
    /// Always update access times.
    @inlinable public static var MS_STRICTATIME: UInt64 { 0x1000000 }
    /// Keep times in memory.
    @inlinable public static var MS_LAZYTIME: UInt64 { 0x2000000 }
    /// umount2(2): force.
    @inlinable public static var MNT_FORCE: UInt64 { 1 }
    /// umount2(2): lazily.
    @inlinable public static var MNT_DETACH: UInt64 { 2 }
    /// umount2(2): expire.
    @inlinable public static var MNT_EXPIRE: UInt64 { 4 }
    /// umount2(2): do not follow a symbolic link.
    @inlinable public static var UMOUNT_NOFOLLOW: UInt64 { 8 }
}

/// `f_flags` of statfs(2).
public enum StatfsFlag {
    /// Read only.
    @inlinable public static var ST_RDONLY: UInt64 { 1 }
    /// Ignore set-user-ID bits.
    @inlinable public static var ST_NOSUID: UInt64 { 2 }
    /// No devices.
    @inlinable public static var ST_NODEV: UInt64 { 4 }
    /// No execution.
    @inlinable public static var ST_NOEXEC: UInt64 { 8 }
    /// Synchronous.
    @inlinable public static var ST_SYNCHRONOUS: UInt64 { 16 }
    /// f_flags is valid.
    @inlinable public static var ST_VALID: UInt64 { 32 }
    /// No access times.
    @inlinable public static var ST_NOATIME: UInt64 { 1024 }
    /// No access times of directories.
    @inlinable public static var ST_NODIRATIME: UInt64 { 2048 }
    /// Relative access times.
    @inlinable public static var ST_RELATIME: UInt64 { 4096 }
    /// No symbolic links.
    @inlinable public static var ST_NOSYMFOLLOW: UInt64 { 8192 }
}

/// Attributes of mount_setattr(2).
public enum MountAttribute {
    /// Read only.
    @inlinable public static var MOUNT_ATTR_RDONLY: UInt64 { 0x1 }
    /// Ignore set-user-ID bits.
    @inlinable public static var MOUNT_ATTR_NOSUID: UInt64 { 0x2 }
    /// No access to devices.
    @inlinable public static var MOUNT_ATTR_NODEV: UInt64 { 0x4 }
    /// No program execution.
    @inlinable public static var MOUNT_ATTR_NOEXEC: UInt64 { 0x8 }
    /// Mask of the access-time settings.
    @inlinable public static var MOUNT_ATTR__ATIME: UInt64 { 0x70 }
    /// Do not update access times.
    @inlinable public static var MOUNT_ATTR_NOATIME: UInt64 { 0x10 }
    /// Always update access times.
    @inlinable public static var MOUNT_ATTR_STRICTATIME: UInt64 { 0x20 }
    /// Do not update access times of directories.
    @inlinable public static var MOUNT_ATTR_NODIRATIME: UInt64 { 0x80 }
    /// Do not follow symbolic links.
    @inlinable public static var MOUNT_ATTR_NOSYMFOLLOW: UInt64 { 0x200000 }
}

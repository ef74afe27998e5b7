/// Flags of mmap(2) (asm-generic/mman.h, mman-common.h), under their C names.
@frozen public struct MapFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static var MAP_SHARED: MapFlags { MapFlags(rawValue: 0x01) }
    @inlinable public static var MAP_PRIVATE: MapFlags { MapFlags(rawValue: 0x02) }
    /// MAP_SHARED | MAP_PRIVATE: shared, and unknown flags are refused with EOPNOTSUPP.
    @inlinable public static var MAP_SHARED_VALIDATE: MapFlags { MapFlags(rawValue: 0x03) }
    /// The bits that hold the mapping type.
    @inlinable public static var MAP_TYPE: MapFlags { MapFlags(rawValue: 0x0f) }
    @inlinable public static var MAP_FIXED: MapFlags { MapFlags(rawValue: 0x10) }
    @inlinable public static var MAP_ANONYMOUS: MapFlags { MapFlags(rawValue: 0x20) }
    @inlinable public static var MAP_32BIT: MapFlags { MapFlags(rawValue: 0x40) }
    @inlinable public static var MAP_GROWSDOWN: MapFlags { MapFlags(rawValue: 0x0100) }
    @inlinable public static var MAP_DENYWRITE: MapFlags { MapFlags(rawValue: 0x0800) }
    @inlinable public static var MAP_EXECUTABLE: MapFlags { MapFlags(rawValue: 0x1000) }
    @inlinable public static var MAP_LOCKED: MapFlags { MapFlags(rawValue: 0x2000) }
    @inlinable public static var MAP_NORESERVE: MapFlags { MapFlags(rawValue: 0x4000) }
    @inlinable public static var MAP_POPULATE: MapFlags { MapFlags(rawValue: 0x8000) }
    @inlinable public static var MAP_NONBLOCK: MapFlags { MapFlags(rawValue: 0x10000) }
    @inlinable public static var MAP_STACK: MapFlags { MapFlags(rawValue: 0x20000) }
    @inlinable public static var MAP_HUGETLB: MapFlags { MapFlags(rawValue: 0x40000) }
    @inlinable public static var MAP_SYNC: MapFlags { MapFlags(rawValue: 0x80000) }
    @inlinable public static var MAP_FIXED_NOREPLACE: MapFlags { MapFlags(rawValue: 0x100000) }
}

/// Protection bits of mmap(2) and mprotect(2) as the guest passes them.
public enum MemoryProtectionBits {
    public static let PROT_NONE: UInt32 = 0
    public static let PROT_READ: UInt32 = 1
    public static let PROT_WRITE: UInt32 = 2
    public static let PROT_EXEC: UInt32 = 4
    public static let PROT_SEM: UInt32 = 8
    public static let PROT_GROWSDOWN: UInt32 = 0x0100_0000
    public static let PROT_GROWSUP: UInt32 = 0x0200_0000
}

/// Flags of mremap(2).
@frozen public struct RemapFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static var MREMAP_MAYMOVE: RemapFlags { RemapFlags(rawValue: 1) }
    @inlinable public static var MREMAP_FIXED: RemapFlags { RemapFlags(rawValue: 2) }
    @inlinable public static var MREMAP_DONTUNMAP: RemapFlags { RemapFlags(rawValue: 4) }
}

/// Flags of msync(2).
@frozen public struct SyncFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static var MS_ASYNC: SyncFlags { SyncFlags(rawValue: 1) }
    @inlinable public static var MS_INVALIDATE: SyncFlags { SyncFlags(rawValue: 2) }
    @inlinable public static var MS_SYNC: SyncFlags { SyncFlags(rawValue: 4) }
}

/// Flags of mlockall(2) and mlock2(2).
public enum MemoryLockFlags {
    public static let MCL_CURRENT: UInt32 = 1
    public static let MCL_FUTURE: UInt32 = 2
    public static let MCL_ONFAULT: UInt32 = 4
    public static let MLOCK_ONFAULT: UInt32 = 1
}

/// Advice of madvise(2).
public enum MemoryAdvice {
    public static let MADV_NORMAL: Int32 = 0
    public static let MADV_RANDOM: Int32 = 1
    public static let MADV_SEQUENTIAL: Int32 = 2
    public static let MADV_WILLNEED: Int32 = 3
    public static let MADV_DONTNEED: Int32 = 4
    public static let MADV_FREE: Int32 = 8
    public static let MADV_REMOVE: Int32 = 9
    public static let MADV_DONTFORK: Int32 = 10
    public static let MADV_DOFORK: Int32 = 11
    public static let MADV_MERGEABLE: Int32 = 12
    public static let MADV_UNMERGEABLE: Int32 = 13
    public static let MADV_HUGEPAGE: Int32 = 14
    public static let MADV_NOHUGEPAGE: Int32 = 15
    public static let MADV_DONTDUMP: Int32 = 16
    public static let MADV_DODUMP: Int32 = 17
    public static let MADV_WIPEONFORK: Int32 = 18
    public static let MADV_KEEPONFORK: Int32 = 19
    public static let MADV_COLD: Int32 = 20
    public static let MADV_PAGEOUT: Int32 = 21
    public static let MADV_POPULATE_READ: Int32 = 22
    public static let MADV_POPULATE_WRITE: Int32 = 23
    public static let MADV_DONTNEED_LOCKED: Int32 = 24
    public static let MADV_COLLAPSE: Int32 = 25
    public static let MADV_HWPOISON: Int32 = 100
    public static let MADV_SOFT_OFFLINE: Int32 = 101
}

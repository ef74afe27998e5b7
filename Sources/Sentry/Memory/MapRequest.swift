public import LinuxABI
public import SentryPlatform

/// The arguments of mmap(2), decoded.
public struct MapRequest: Sendable {
    /// Hint, or the place itself with MAP_FIXED and MAP_FIXED_NOREPLACE.
    public var address: UInt64
    /// Bytes; rounded up to pages. 0 is EINVAL.
    public var length: UInt64
    public var protection: Protection
    public var flags: MapFlags
    /// The file; nil with MAP_ANONYMOUS.
    public var object: (any MappableObject)?
    /// Page-aligned offset into the file.
    public var offset: UInt64
    /// What mprotect(2) may ask for later (a shared mapping of a file opened read-only never becomes writable).
    public var maximumProtection: Protection
    /// Shown in /proc/PID/maps instead of the object's path: `[stack]`, `[vdso]`, or nil.
    public var name: [UInt8]?

    public init(
        address: UInt64 = 0, length: UInt64, protection: Protection, flags: MapFlags, object: (any MappableObject)? = nil,
        offset: UInt64 = 0,
        maximumProtection: Protection = .all, name: [UInt8]? = nil
    ) {
        self.address = address
        self.length = length
        self.protection = protection
        self.flags = flags
        self.object = object
        self.offset = offset
        self.maximumProtection = maximumProtection
        self.name = name
    }
}

/// Where things go in an address space (arch/x86/mm/mmap.c).
public struct AddressLayout: Sendable {
    /// Mappings are placed downwards from here.
    public var mmapBase: UInt64
    /// Lowest address for mappings without MAP_FIXED (vm.mmap_min_addr is the platform's minimum).
    public var minimumAddress: UInt64
    /// First address above everything.
    public var maximumAddress: UInt64
    /// Top of the stack that the loader makes.
    public var stackTop: UInt64

    /// Linux's layout below `maximumAddress`, with `random` spread over the stack's and the mmap area's place (0: none).
    /// `stackLimit`: RLIMIT_STACK in bytes.
    public static func standard(maximumAddress: UInt64, stackLimit: UInt64, random: UInt64) -> AddressLayout {
        // Stack: up to 16 GiB of randomness (22 bits of pages); mmap: 28 bits of pages; gap as mmap_base() computes it.
        let stackTop = (maximumAddress &- (random & 0x3f_ffff) << 12) & ~0xf
        let gap = min(max(stackLimit, 128 << 20), (maximumAddress / 6) &* 5) &+ (256 << 12) &+ (0x3f_ffff << 12)
        let mmapBase = (maximumAddress &- gap &- ((random >> 22) & 0xfff_ffff) << 12) & ~(pageSize - 1)
        return AddressLayout(mmapBase: mmapBase, minimumAddress: 0x1_0000, maximumAddress: maximumAddress, stackTop: stackTop)
    }
}

/// The resource limits that memory honours, in bytes (UInt64.max: unlimited).
public struct MemoryLimits: Sendable {
    /// RLIMIT_AS
    public var addressSpace: UInt64 = .max
    /// RLIMIT_DATA
    public var data: UInt64 = .max
    /// RLIMIT_STACK
    public var stack: UInt64 = 8 << 20
    /// RLIMIT_MEMLOCK; .max for CAP_IPC_LOCK
    public var locked: UInt64 = .max
    /// vm.max_map_count
    public var mapCount: Int = 65530
    public init() {}
}

/// What the task does after a fault.
public enum FaultOutcome: Sendable, Hashable {
    /// Run again.
    case resolved
    /// Send this signal with this si_code and the fault's address.
    case signal(number: Int32, code: Int32)
    /// The container is at its memory limit: the guest's OOM killer acts.
    case outOfMemory
}

/// Identity of a futex word (futex(2)).
public enum FutexKey: Hashable, Sendable {
    /// Private to one address space.
    case `private`(space: ObjectIdentifier, address: UInt64)
    /// In a shared mapping of a file.
    case object(MappingIdentity, offset: UInt64)
    /// In shared anonymous memory: the place in the memory file.
    case memory(offset: UInt64)
}

/// One region of an address space, as a line of /proc/PID/maps and an entry of smaps show it.
public struct Region: Sendable {
    public var start: UInt64
    public var end: UInt64
    public var protection: Protection
    public var isShared: Bool
    public var offset: UInt64
    /// Zero for anonymous memory.
    public var identity: MappingIdentity
    /// The path, `[heap]`, `[stack]`, `[vdso]`..., or empty.
    public var name: [UInt8]
    public var isLocked: Bool
    public var growsDown: Bool
    /// smaps only (`regions(measured: true)`), in bytes.
    public var resident: UInt64 = 0
    /// Resident bytes that other address spaces share copy-on-write or by a shared mapping.
    public var sharedResident: UInt64 = 0
    /// Resident bytes of anonymous memory.
    public var anonymous: UInt64 = 0
    /// VmFlags of smaps: two-letter codes.
    public var flagCodes: [UInt8] = []
}

/// The sums of /proc/PID/{statm,status}, in bytes.
public struct MemoryStatistics: Sendable {
    public var total: UInt64 = 0
    public var peakTotal: UInt64 = 0
    public var resident: UInt64 = 0
    public var peakResident: UInt64 = 0
    /// Resident pages of files and shared memory.
    public var sharedResident: UInt64 = 0
    public var data: UInt64 = 0
    public var stack: UInt64 = 0
    public var text: UInt64 = 0
    public var locked: UInt64 = 0
    public var regionCount: Int = 0
    public init() {}
}

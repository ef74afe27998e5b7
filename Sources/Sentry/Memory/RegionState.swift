import Host
import LinuxABI
import SentryPlatform

/// A name shown in /proc/PID/maps, shared by the pieces of a region.
final class RegionName: Sendable {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// Properties of a region beside its protection.
struct RegionFlags: OptionSet, Sendable {
    var rawValue: UInt16
    static let shared = RegionFlags(rawValue: 1)
    static let growsDown = RegionFlags(rawValue: 2)
    static let locked = RegionFlags(rawValue: 4)
    static let lockedOnFault = RegionFlags(rawValue: 8)
    static let dontFork = RegionFlags(rawValue: 16)
    static let wipeOnFork = RegionFlags(rawValue: 32)
    static let noReserve = RegionFlags(rawValue: 64)
    static let dontDump = RegionFlags(rawValue: 128)
    static let hugePage = RegionFlags(rawValue: 256)
    static let noHugePage = RegionFlags(rawValue: 512)
    static let sequential = RegionFlags(rawValue: 1024)
    static let random = RegionFlags(rawValue: 2048)
    /// A private mapping of a program or library, which does not change: several of its pages may be copied when one is written.
    static let image = RegionFlags(rawValue: 4096)
}

/// What the guest asked for: one line of /proc/PID/maps.
struct RegionValue: RangeValue, Sendable {
    var protection: Protection
    var maximumProtection: Protection
    var flags: RegionFlags
    var object: (any MappableObject)?
    /// Into the object; 0 for anonymous memory.
    var offset: UInt64
    var name: RegionName?

    var isShared: Bool { flags.contains(.shared) }
    var isAnonymous: Bool { object == nil }
    /// Counted by RLIMIT_DATA: private, writable, no stack (mm/mmap.c is_data_mapping).
    var isData: Bool { protection.contains(.write) && flags.isDisjoint(with: [.shared, .growsDown]) }

    func advanced(by distance: UInt64) -> RegionValue {
        var copy = self
        if object != nil { copy.offset &+= distance }
        return copy
    }
    func continues(_ previous: RegionValue, after length: UInt64) -> Bool {
        protection == previous.protection && maximumProtection == previous.maximumProtection && flags == previous.flags
            && object === previous.object && name === previous.name && (object == nil || offset == previous.offset &+ length)
    }
}

/// What backs part of a region.
struct Run: RangeValue, Sendable {
    enum Source: Sendable {
        /// Pages of the memory file on which this address space holds a reference.
        case owned
        /// Pages of the memory file that belong to the mapped object.
        case borrowed
        /// A host file.
        case host(HostWindow)
    }
    var source: Source
    /// Into the memory file or host file.
    var offset: UInt64
    /// The stub must not write here directly: a write copies first, or takes back pages that have no other owner.
    var isCopyOnWrite: Bool
    /// Stores may go to the backing itself.
    var isWritable: Bool

    var isMemory: Bool {
        if case .host = source { return false }
        return true
    }
    var isOwned: Bool {
        if case .owned = source { return true }
        return false
    }
    var isBorrowed: Bool {
        if case .borrowed = source { return true }
        return false
    }

    func advanced(by distance: UInt64) -> Run {
        var copy = self
        copy.offset &+= distance
        return copy
    }
    func continues(_ previous: Run, after length: UInt64) -> Bool {
        guard offset == previous.offset &+ length, isCopyOnWrite == previous.isCopyOnWrite, isWritable == previous.isWritable else {
            return false
        }
        switch (source, previous.source) {
        case (.owned, .owned), (.borrowed, .borrowed): return true
        case (.host(let mine), .host(let other)): return mine === other
        default: return false
        }
    }

    var mappingSource: MappingSource {
        if case .host(let window) = source { return .descriptor(window.descriptor) }
        return .memoryFile
    }

    /// What the stub may do here when the region allows `protection`.
    func effective(_ protection: Protection) -> Protection { isCopyOnWrite || !isWritable ? protection.subtracting(.write) : protection }
}

typealias RegionEntry = RangeMap<RegionValue>.Entry
typealias RunEntry = RangeMap<Run>.Entry

/// Everything an address space knows, behind its lock.
struct SpaceState: Sendable {
    var regions = RangeMap<RegionValue>()
    var runs = RangeMap<Run>()
    var limits: MemoryLimits
    var breakStart: UInt64 = 0
    var breakEnd: UInt64 = 0
    /// MCL_FUTURE: new regions are locked.
    var futureLock: RegionFlags = []
    var total: UInt64 = 0
    var peakTotal: UInt64 = 0
    var peakResident: UInt64 = 0
    var isDestroyed = false
    /// What the stub lacks of `runs`.
    var postponed = PostponedMappings()
    /// Where the last copy-on-write copy ended and how long it was: writes in sequence copy longer and longer pieces.
    var lastCopyEnd: UInt64 = 0
    var lastCopyLength: UInt64 = 0

    /// Shared with the processes forked from this one, and with the one it was forked from.
    let history: ForkHistory

    init(limits: MemoryLimits, history: ForkHistory = ForkHistory()) {
        self.limits = limits
        self.history = history
    }

    mutating func replace(with other: SpaceState) { self = other }

    mutating func addRegion(_ start: UInt64, _ end: UInt64, _ value: RegionValue) {
        regions.insert(start, end, value)
        total &+= end &- start
        peakTotal = max(peakTotal, total)
    }

    /// Bytes of regions for which `predicate` holds.
    func sum(where predicate: (RegionValue) -> Bool) -> UInt64 {
        var sum: UInt64 = 0
        for entry in regions.entries where predicate(entry.value) { sum &+= entry.length }
        return sum
    }
}

/// Rounds up to whole pages; nil on overflow.
func roundUpToPage(_ value: UInt64) -> UInt64? {
    let (sum, overflow) = value.addingReportingOverflow(pageSize - 1)
    return overflow ? nil : sum & ~(pageSize - 1)
}

/// The end of a page-aligned guest range; nil when it overflows or passes `limit`.
func rangeEnd(_ address: UInt64, _ length: UInt64, limit: UInt64) -> UInt64? {
    guard let rounded = roundUpToPage(length) else { return nil }
    let (end, overflow) = address.addingReportingOverflow(rounded)
    return overflow || end > limit ? nil : end
}

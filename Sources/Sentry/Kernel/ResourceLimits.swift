import Host
public import LinuxABI
public import SentryMemory

/// One limit: struct rlimit64.
@frozen public struct ResourceLimit: Hashable, Sendable {
    public var current: UInt64
    public var maximum: UInt64
    @inlinable public init(_ current: UInt64, _ maximum: UInt64) {
        self.current = current
        self.maximum = maximum
    }
}

/// The limits of a process (getrlimit(2)); by index of `Resource`.
public final class ResourceLimits: Sendable {
    private let values: Lock<[ResourceLimit]>

    /// Linux's defaults for a first process.
    public static let defaults: [ResourceLimit] = {
        let none = ResourceLimit(Resource.unlimited, Resource.unlimited)
        var values = [ResourceLimit](repeating: none, count: Resource.RLIM_NLIMITS)
        values[Resource.RLIMIT_STACK] = ResourceLimit(8 << 20, Resource.unlimited)
        values[Resource.RLIMIT_CORE] = ResourceLimit(0, Resource.unlimited)
        values[Resource.RLIMIT_NPROC] = ResourceLimit(31_000, 31_000)
        values[Resource.RLIMIT_NOFILE] = ResourceLimit(1024, 4096)
        values[Resource.RLIMIT_MEMLOCK] = ResourceLimit(8 << 20, 8 << 20)
        values[Resource.RLIMIT_SIGPENDING] = ResourceLimit(31_000, 31_000)
        values[Resource.RLIMIT_MSGQUEUE] = ResourceLimit(819_200, 819_200)
        values[Resource.RLIMIT_NICE] = ResourceLimit(0, 0)
        values[Resource.RLIMIT_RTPRIO] = ResourceLimit(0, 0)
        return values
    }()

    /// `values` shorter than 16 are filled up with the defaults.
    public init(_ values: [ResourceLimit] = ResourceLimits.defaults) {
        self.values = Lock(Array((values + Self.defaults.dropFirst(values.count)).prefix(Resource.RLIM_NLIMITS)))
    }

    /// A limit; unlimited for an unknown resource.
    public func get(_ resource: Int) -> ResourceLimit {
        values.withLock { $0.indices.contains(resource) ? $0[resource] : ResourceLimit(.max, .max) }
    }
    /// The soft limit.
    public func current(_ resource: Int) -> UInt64 { get(resource).current }
    public var all: [ResourceLimit] { values.withLock { $0 } }
    func copy() -> ResourceLimits { ResourceLimits(all) }

    /// Replaces a limit as setrlimit(2) does. EINVAL for a soft limit above the hard one or an unknown resource, EPERM for raising the hard limit
    /// without `mayRaise` (CAP_SYS_RESOURCE). The old limit.
    public func set(_ resource: Int, to new: ResourceLimit, mayRaise: Bool) throws(Errno) -> ResourceLimit {
        try values.withLock { values throws(Errno) in
            guard values.indices.contains(resource), new.current <= new.maximum else { throw .EINVAL }
            let old = values[resource]
            if new.maximum > old.maximum, !mayRaise { throw .EPERM }
            if resource == Resource.RLIMIT_NOFILE, new.maximum > 1_048_576 { throw .EPERM }
            values[resource] = new
            return old
        }
    }

    /// What the address space has to know. `mayLock`: CAP_IPC_LOCK.
    public func memoryLimits(mayLock: Bool) -> MemoryLimits {
        values.withLock { values in
            var limits = MemoryLimits()
            limits.addressSpace = values[Resource.RLIMIT_AS].current
            limits.data = values[Resource.RLIMIT_DATA].current
            limits.stack = values[Resource.RLIMIT_STACK].current
            limits.locked = mayLock ? .max : values[Resource.RLIMIT_MEMLOCK].current
            return limits
        }
    }
}

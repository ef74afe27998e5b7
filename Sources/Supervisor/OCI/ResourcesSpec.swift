/// `linux.resources` of config.json, and the document that `update --resources` reads.
public struct ResourcesSpec: Sendable, Equatable {
    /// Bytes; -1 means unlimited.
    public struct Memory: Sendable, Equatable {
        public var limit: Int64?
        public var reservation: Int64?
        /// Memory plus swap.
        public var swap: Int64?
        public var swappiness: UInt64?
        public var disableOOMKiller = false
        public init() {}
    }

    public struct CPU: Sendable, Equatable {
        public var shares: UInt64?
        /// Microseconds of CPU time in each period; -1 means unlimited.
        public var quota: Int64?
        /// Microseconds that `quota` may exceed in a burst.
        public var burst: UInt64?
        /// Microseconds.
        public var period: UInt64?
        public var cpus: String?
        public var mems: String?
        public var idle: Int64?
        public init() {}
    }

    public var memory = Memory()
    public var cpu = CPU()
    /// The largest number of tasks; 0 or -1 mean unlimited.
    public var pidsLimit: Int64?
    public var blockIOWeight: UInt16?
    /// cgroup v2 files written as they are.
    public var unified: [String: String] = [:]

    public init() {}

    public init(reading fields: FieldReader) throws(ConfigurationError) {
        if let memory = try fields.object("memory", Memory.init(reading:)) { self.memory = memory }
        if let cpu = try fields.object("cpu", CPU.init(reading:)) { self.cpu = cpu }
        pidsLimit = try fields.object("pids") { pids throws(ConfigurationError) in try pids.integer("limit", as: Int64.self) } ?? nil
        blockIOWeight =
            try fields.object("blockIO") { block throws(ConfigurationError) in try block.integer("weight", as: UInt16.self) } ?? nil
        unified = try fields.dictionary("unified", maximum: 256)
        for key in unified.keys where key.contains("/") || key == ".." || key == "." || key.isEmpty {
            throw ConfigurationError(fields.name("unified"), "unified resource \"\(key)\" must be a file name (no slashes)")
        }
        if let limit = memory.limit, limit < -1 {
            throw ConfigurationError(fields.name("memory.limit"), "\(limit) is negative", advice: "-1 means unlimited")
        }
        if let limit = memory.limit, let swap = memory.swap, limit > 0, swap > 0, swap < limit {
            throw ConfigurationError(fields.name("memory.swap"), "memory+swap \(swap) is less than the memory limit \(limit)")
        }
        if let quota = cpu.quota, quota > 0, quota < 1000 {
            throw ConfigurationError(fields.name("cpu.quota"), "\(quota) us is below the kernel's smallest quota, 1000 us")
        }
        if let period = cpu.period, period != 0, period < 1000 || period > 1_000_000 {
            throw ConfigurationError(fields.name("cpu.period"), "\(period) us is not between 1000 and 1000000 us")
        }
    }

    /// What is set in `other` replaces what is set here.
    public mutating func merge(_ other: ResourcesSpec) {
        func pick<Value>(_ new: Value?, _ old: inout Value?) { if let new { old = new } }
        pick(other.memory.limit, &memory.limit)
        pick(other.memory.reservation, &memory.reservation)
        pick(other.memory.swap, &memory.swap)
        pick(other.memory.swappiness, &memory.swappiness)
        // Engines send 0 for "leave as it is".
        pick(other.cpu.shares == 0 ? nil : other.cpu.shares, &cpu.shares)
        pick(other.cpu.quota == 0 ? nil : other.cpu.quota, &cpu.quota)
        pick(other.cpu.burst, &cpu.burst)
        pick(other.cpu.period == 0 ? nil : other.cpu.period, &cpu.period)
        pick(other.cpu.cpus == "" ? nil : other.cpu.cpus, &cpu.cpus)
        pick(other.cpu.mems == "" ? nil : other.cpu.mems, &cpu.mems)
        pick(other.cpu.idle, &cpu.idle)
        pick(other.pidsLimit == 0 ? nil : other.pidsLimit, &pidsLimit)
        pick(other.blockIOWeight == 0 ? nil : other.blockIOWeight, &blockIOWeight)
        unified.merge(other.unified) { $1 }
    }

    /// The document as JSON, as the state directory keeps it.
    public var json: JSON {
        func members(_ pairs: [(String, JSON?)]) -> JSON { .object(pairs.compactMap { key, value in value.map { JSON.Member(key, $0) } }) }
        return members([
            (
                "memory",
                members([
                    ("limit", memory.limit.map { JSON.integer($0) }), ("reservation", memory.reservation.map { JSON.integer($0) }),
                    ("swap", memory.swap.map { JSON.integer($0) }), ("swappiness", memory.swappiness.map { JSON.integer($0) }),
                    ("disableOOMKiller", memory.disableOOMKiller ? .bool(true) : nil),
                ])
            ),
            (
                "cpu",
                members([
                    ("shares", cpu.shares.map { JSON.integer($0) }), ("quota", cpu.quota.map { JSON.integer($0) }),
                    ("burst", cpu.burst.map { JSON.integer($0) }), ("period", cpu.period.map { JSON.integer($0) }),
                    ("cpus", cpu.cpus.map { JSON.string($0) }), ("mems", cpu.mems.map { JSON.string($0) }),
                    ("idle", cpu.idle.map { JSON.integer($0) }),
                ])
            ),
            ("pids", pidsLimit.map { members([("limit", .integer($0))]) }),
            ("blockIO", blockIOWeight.map { members([("weight", .integer($0))]) }),
            ("unified", unified.isEmpty ? nil : .strings(unified)),
        ])
    }
}

extension ResourcesSpec.Memory {
    init(reading fields: FieldReader) throws(ConfigurationError) {
        limit = try fields.integer("limit")
        reservation = try fields.integer("reservation")
        swap = try fields.integer("swap")
        swappiness = try fields.integer("swappiness")
        disableOOMKiller = try fields.bool("disableOOMKiller")
        if let swappiness, swappiness > 100 {
            throw ConfigurationError(fields.name("swappiness"), "\(swappiness) is not between 0 and 100")
        }
    }
}

extension ResourcesSpec.CPU {
    init(reading fields: FieldReader) throws(ConfigurationError) {
        shares = try fields.integer("shares")
        quota = try fields.integer("quota")
        burst = try fields.integer("burst")
        period = try fields.integer("period")
        cpus = try fields.string("cpus", maximum: 4096)
        mems = try fields.string("mems", maximum: 4096)
        idle = try fields.integer("idle")
    }
}

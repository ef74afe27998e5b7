import Host
public import LinuxABI

/// Who holds a lock. POSIX record locks belong to a process (its descriptor table), flock and OFD locks to an open file.
public enum LockOwner: Hashable, Sendable {
    /// `table` identifies the owner; `process` is what F_GETLK shows.
    case process(table: ObjectIdentifier, process: Int32)
    case file(ObjectIdentifier)

    public static func == (a: LockOwner, b: LockOwner) -> Bool {
        switch (a, b) {
        case (.process(let a, _), .process(let b, _)): a == b
        case (.file(let a), .file(let b)): a == b
        default: false
        }
    }
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .process(let table, _): hasher.combine(table)
        case .file(let file): hasher.combine(file)
        }
    }
    /// l_pid of struct flock: -1 for an open file's.
    public var processID: Int32 {
        switch self {
        case .process(_, let process): process
        case .file: -1
        }
    }
}

/// A record lock (fcntl(2)): [start, end) in bytes; `end` .max for "to the end of the file, however it grows".
public struct RecordLock: Hashable, Sendable {
    public var owner: LockOwner
    public var isExclusive: Bool
    public var start: UInt64
    public var end: UInt64
    public init(owner: LockOwner, isExclusive: Bool, start: UInt64, end: UInt64) {
        self.owner = owner
        self.isExclusive = isExclusive
        self.start = start
        self.end = end
    }
    func overlaps(_ other: RecordLock) -> Bool { start < other.end && other.start < end }
    func conflicts(with other: RecordLock) -> Bool { owner != other.owner && (isExclusive || other.isExclusive) && overlaps(other) }
}

/// Advisory locks of one inode: flock(2), POSIX and OFD record locks of fcntl(2).
public final class FileLocks: Sendable {
    private struct State {
        /// In order of `start`.
        var records: [RecordLock] = []
        var whole: [LockOwner: Bool] = [:]
    }
    private let state = Lock(State())
    /// Notified whenever a lock goes or weakens.
    public let released = WaitQueue()
    /// The most record locks on one inode (ENOLCK).
    private static let maximumRecords = 65_536

    public init() {}

    // MARK: Record locks

    /// The first lock that keeps `lock` from being set, or nil (F_GETLK).
    public func conflict(with lock: RecordLock) -> RecordLock? {
        state.withLock { state in state.records.first { $0.conflicts(with: lock) } }
    }

    /// Sets a lock, replacing what the owner holds in its range. EAGAIN when another's is in the way.
    public func set(_ lock: RecordLock) throws(Errno) {
        let hasWeakened = try state.withLock { state throws(Errno) in
            if state.records.contains(where: { $0.conflicts(with: lock) }) { throw .EAGAIN }
            guard state.records.count < Self.maximumRecords else { throw .ENOLCK }
            let removed = Self.cut(&state.records, lock.owner, lock.start, lock.end)
            Self.insert(&state.records, lock)
            return removed && !lock.isExclusive
        }
        if hasWeakened { released.notify(.POLLIN) }
    }

    /// Removes what the owner holds in a range.
    public func unlock(_ owner: LockOwner, start: UInt64, end: UInt64) {
        let hasChanged = state.withLock { Self.cut(&$0.records, owner, start, end) }
        if hasChanged { released.notify(.POLLIN) }
    }

    /// Removes the owner's part of a range, splitting locks at its ends. Whether there was any.
    private static func cut(_ records: inout [RecordLock], _ owner: LockOwner, _ start: UInt64, _ end: UInt64) -> Bool {
        var hasChanged = false
        var kept: [RecordLock] = []
        kept.reserveCapacity(records.count + 1)
        for record in records {
            guard record.owner == owner, record.start < end, start < record.end else {
                kept.append(record)
                continue
            }
            hasChanged = true
            if record.start < start {
                var left = record
                left.end = start
                kept.append(left)
            }
            if end < record.end {
                var right = record
                right.start = end
                kept.append(right)
            }
        }
        if hasChanged {
            kept.sort { $0.start < $1.start }
            records = kept
        }
        return hasChanged
    }

    /// Adds a lock, merging it with neighbours of its owner and kind.
    private static func insert(_ records: inout [RecordLock], _ lock: RecordLock) {
        var merged = lock
        records.removeAll { record in
            guard record.owner == merged.owner, record.isExclusive == merged.isExclusive, record.start <= merged.end,
                merged.start <= record.end
            else { return false }
            merged.start = min(merged.start, record.start)
            merged.end = max(merged.end, record.end)
            return true
        }
        let index = records.firstIndex { $0.start > merged.start } ?? records.count
        records.insert(merged, at: index)
    }

    // MARK: Whole-file locks (flock(2))

    /// Takes or converts the lock of an open file. EAGAIN when another's is in the way; a conversion then has lost the old lock, as flock(2) says.
    public func lockWhole(_ owner: LockOwner, exclusive: Bool) throws(Errno) {
        let (isTaken, hasWeakened) = state.withLock { state -> (Bool, Bool) in
            let old = state.whole.removeValue(forKey: owner)
            if state.whole.contains(where: { exclusive || $0.value }) { return (false, old != nil) }
            state.whole[owner] = exclusive
            return (true, old == true && !exclusive)
        }
        if hasWeakened { released.notify(.POLLIN) }
        if !isTaken { throw .EAGAIN }
    }

    public func unlockWhole(_ owner: LockOwner) {
        let hadLock = state.withLock { $0.whole.removeValue(forKey: owner) != nil }
        if hadLock { released.notify(.POLLIN) }
    }

    /// Removes everything an owner holds.
    public func releaseAll(_ owner: LockOwner) {
        unlock(owner, start: 0, end: .max)
        unlockWhole(owner)
    }

    /// Every lock, for /proc/locks.
    public var all: (records: [RecordLock], whole: [(owner: LockOwner, isExclusive: Bool)]) {
        state.withLock { state in (state.records, state.whole.map { (owner: $0.key, isExclusive: $0.value) }) }
    }
}

/// Which process waits for which: finds the circles that F_SETLKW must refuse with EDEADLK. Locks of open files take no part (fcntl(2)).
public enum LockDeadlocks {
    private static let waits = Lock<[LockOwner: (lock: RecordLock, locks: FileLocks)]>([:])
    /// How far the chain of waiters is followed (Linux: MAX_DEADLK_ITERATIONS).
    private static let maximumSteps = 10

    /// Notes that `lock` is being waited for. EDEADLK when its holder, directly or through others, waits for us.
    public static func begin(_ lock: RecordLock, on locks: FileLocks) throws(Errno) {
        guard case .process = lock.owner else { return }
        try waits.withLock { waits throws(Errno) in
            var wanted = lock
            var place = locks
            for _ in 0..<maximumSteps {
                guard let holder = place.conflict(with: wanted)?.owner else { break }
                if holder == lock.owner { throw .EDEADLK }
                guard let next = waits[holder] else { break }
                wanted = next.lock
                place = next.locks
            }
            waits[lock.owner] = (lock, locks)
        }
    }

    public static func end(_ lock: RecordLock) {
        guard case .process = lock.owner else { return }
        waits.withLock { _ = $0.removeValue(forKey: lock.owner) }
    }
}

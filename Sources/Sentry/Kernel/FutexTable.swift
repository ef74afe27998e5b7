import Host
public import LinuxABI
public import SentryMemory
import Synchronization

/// A task that waits on one futex, or on several (futex_waitv).
final class FutexWaiter: Sendable {
    let task: KernelTask
    /// -1: waiting; else the index of the futex that woke it. Set once.
    private let wokenIndex = Atomic<Int>(-1)
    init(_ task: KernelTask) { self.task = task }

    var woken: Int? {
        let index = wokenIndex.load(ordering: .acquiring)
        return index < 0 ? nil : index
    }
    /// Marks it woken by its futex number `index`; false when another one did before.
    func markWoken(_ index: Int) -> Bool {
        wokenIndex.compareExchange(expected: -1, desired: index, ordering: .acquiringAndReleasing).exchanged
    }
}

/// One place in a queue.
final class FutexEntry: Sendable {
    let waiter: FutexWaiter
    let index: Int
    let bitset: UInt32
    /// The bucket it is queued in; -1: in none. Changed with that bucket's lock held.
    let bucket = Atomic<Int>(-1)
    /// For priority-inheriting futexes: how the waiter reaches the word.
    let space: AddressSpace?
    let address = Atomic<UInt64>(0)
    /// Waits to own a priority-inheriting futex (now, or once it is requeued).
    let isPriority = Atomic<Bool>(false)
    /// FUTEX_WAIT_REQUEUE_PI: the futex it may be requeued to.
    let requeueTarget: FutexKey?

    init(
        _ waiter: FutexWaiter, index: Int = 0, bitset: UInt32 = .max, space: AddressSpace? = nil, address: UInt64 = 0,
        isPriority: Bool = false,
        requeueTarget: FutexKey? = nil
    ) {
        self.waiter = waiter
        self.index = index
        self.bitset = bitset
        self.space = space
        self.requeueTarget = requeueTarget
        self.address.store(address, ordering: .relaxed)
        self.isPriority.store(isPriority, ordering: .relaxed)
    }
}

/// All waiters on futexes of a sandbox (futex(2)), hashed by key. First come, first woken.
public final class FutexTable: Sendable {
    struct Queued {
        var key: FutexKey
        var entry: FutexEntry
    }
    final class Bucket: Sendable {
        let queue = Lock<[Queued]>([])
    }
    private static let count = 256
    let buckets: [Bucket]

    public init() { buckets = (0..<Self.count).map { _ in Bucket() } }

    func index(_ key: FutexKey) -> Int { Int(UInt(bitPattern: key.hashValue) % UInt(Self.count)) }

    /// Runs `body` with the queue of `key` locked.
    func withQueue<R>(_ key: FutexKey, _ body: (inout [Queued], _ bucket: Int) throws(Errno) -> R) throws(Errno) -> R {
        let index = index(key)
        return try buckets[index].queue.withLock { queue throws(Errno) in try body(&queue, index) }
    }

    /// Queues `entry` if `check`, made with the queue locked, does not throw.
    func enqueue(_ entry: FutexEntry, _ key: FutexKey, check: () throws(Errno) -> Void) throws(Errno) {
        try withQueue(key) { queue, bucket throws(Errno) in
            try check()
            entry.bucket.store(bucket, ordering: .relaxed)
            queue.append(Queued(key: key, entry: entry))
        }
    }

    /// Takes `entry` out of its queue; false when a wake-up took it out before.
    @discardableResult func remove(_ entry: FutexEntry) -> Bool {
        while true {
            let bucket = entry.bucket.load(ordering: .acquiring)
            if bucket < 0 { return false }
            let done = buckets[bucket].queue.withLock { queue -> Bool? in
                // A requeue may have moved it between the load and the lock.
                guard entry.bucket.load(ordering: .acquiring) == bucket, let place = queue.firstIndex(where: { $0.entry === entry }) else {
                    return nil
                }
                queue.remove(at: place)
                entry.bucket.store(-1, ordering: .releasing)
                return true
            }
            if let done { return done }
        }
    }

    /// Wakes up to `count` waiters whose bits meet `bitset`; how many.
    @discardableResult
    public func wake(_ key: FutexKey, count: Int, bitset: UInt32 = Futex.FUTEX_BITSET_MATCH_ANY) -> Int {
        var sleeper: Parker?
        defer { sleeper?.ring() }
        return buckets[index(key)].queue.withLock { Self.wake(&$0, key, count, bitset, &sleeper) }
    }

    /// Wakes waiters of a locked queue. The last one that sleeps is left in `sleeper`, to be rung when the queue is free.
    static func wake(_ queue: inout [Queued], _ key: FutexKey, _ count: Int, _ bitset: UInt32, _ sleeper: inout Parker?) -> Int {
        var woken = 0
        guard count > 0, !queue.isEmpty else { return 0 }
        queue.removeAll { queued in
            guard woken < count, queued.key == key, queued.entry.bitset & bitset != 0,
                !queued.entry.isPriority.load(ordering: .relaxed), queued.entry.requeueTarget == nil
            else { return false }
            queued.entry.bucket.store(-1, ordering: .releasing)
            // A waiter of several futexes may have been woken by another one.
            if queued.entry.waiter.markWoken(queued.entry.index) {
                let parker = queued.entry.waiter.task.parker
                if parker.post() {
                    sleeper?.ring()
                    sleeper = parker
                }
                woken += 1
            }
            return true
        }
        return woken
    }

    /// Runs `body` with two queues locked, in order. `second` is nil inside when both keys share a bucket.
    func withQueues<R>(
        _ first: FutexKey, _ second: FutexKey, _ body: (inout [Queued], _ moved: inout [Queued], _ isSame: Bool) throws(Errno) -> R
    ) throws(Errno) -> R {
        let one = index(first), two = index(second)
        if one == two {
            return try buckets[one].queue.withLock { queue throws(Errno) in
                var moved: [Queued] = []
                let result = try body(&queue, &moved, true)
                queue += moved
                return result
            }
        }
        if one < two {
            return try buckets[one].queue.withLock { a throws(Errno) in
                try buckets[two].queue.withLock { b throws(Errno) in try body(&a, &b, false) }
            }
        }
        return try buckets[two].queue.withLock { b throws(Errno) in
            try buckets[one].queue.withLock { a throws(Errno) in try body(&a, &b, false) }
        }
    }

    /// FUTEX_REQUEUE, FUTEX_CMP_REQUEUE: wakes up to `wake` waiters of `first` and moves up to `move` of the rest to `second`. `check` runs with both
    /// locked. How many were woken, and moved.
    func requeue(_ first: FutexKey, _ second: FutexKey, wake: Int, move: Int, check: () throws(Errno) -> Void) throws(Errno) -> (
        woken: Int, moved: Int
    ) {
        var sleeper: Parker?
        defer { sleeper?.ring() }
        return try withQueues(first, second) { queue, target, _ throws(Errno) in
            try check()
            let woken = Self.wake(&queue, first, wake, Futex.FUTEX_BITSET_MATCH_ANY, &sleeper)
            var moved = 0
            let bucket = index(second)
            if first != second {
                queue.removeAll { queued in
                    guard moved < move, queued.key == first, !queued.entry.isPriority.load(ordering: .relaxed),
                        queued.entry.requeueTarget == nil
                    else { return false }
                    moved += 1
                    queued.entry.bucket.store(bucket, ordering: .releasing)
                    target.append(Queued(key: second, entry: queued.entry))
                    return true
                }
            } else {
                moved = min(move, queue.lazy.filter { $0.key == first }.count)
            }
            return (woken, moved)
        }
    }
}

import Host
public import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

/// Priority-inheriting futexes (futex(2), FUTEX_LOCK_PI and its family). Ownership, hand-over and the death of owners are Linux's; waiters get the
/// lock in order of arrival, since guest priorities do not rank the host's threads. Own thread.
extension KernelTask {
    private var word: UInt32 { UInt32(bitPattern: threadID) }

    /// FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI. EDEADLK when the caller owns it, ESRCH when the owner does not exist, EAGAIN for a failed try,
    /// ETIMEDOUT, ERESTARTNOINTR when interrupted.
    public func futexLockPriority(_ address: UInt64, shared: Bool, deadline: UInt64?, tryOnly: Bool) throws(Errno) {
        guard let space = addressSpace else { throw .ESRCH }
        let key = try space.futexKey(address: address, shared: shared)
        let entry = FutexEntry(FutexWaiter(self), space: space, address: address, isPriority: true)
        let isLocked = try kernel.futexes.withQueue(key) { queue, bucket throws(Errno) -> Bool in
            if try tryAcquire(address, space, for: self, isTry: tryOnly) { return true }
            entry.bucket.store(bucket, ordering: .relaxed)
            queue.append(FutexTable.Queued(key: key, entry: entry))
            try noteOwner(address, space, key)
            return false
        }
        if isLocked { return }
        try waitForOwnership(entry, deadline: deadline)
    }

    /// Takes the word for `task` if it is free; else marks it contended and returns false. With the queue locked.
    private func tryAcquire(_ address: UInt64, _ space: AddressSpace, for task: KernelTask, isTry: Bool) throws(Errno) -> Bool {
        var old = try space.atomicLoad(address)
        while true {
            let owner = old & Futex.FUTEX_TID_MASK
            let new: UInt32
            if owner == 0 {
                new = old & (Futex.FUTEX_OWNER_DIED | Futex.FUTEX_WAITERS) | task.word
            } else {
                if owner == task.word { throw .EDEADLK }
                if isTry { throw .EAGAIN }
                let holder = kernel.tree.withLock { namespace.task(Int32(bitPattern: owner), $0) }
                guard holder != nil else { throw .ESRCH }
                new = old | Futex.FUTEX_WAITERS
            }
            let found = try space.atomicCompareExchange(address, expected: old, desired: new)
            if found == old { return owner == 0 }
            old = found
        }
    }

    /// Tells the owner that somebody waits, so that its death hands the lock over. With the queue locked.
    private func noteOwner(_ address: UInt64, _ space: AddressSpace, _ key: FutexKey) throws(Errno) {
        let owner = Int32(bitPattern: try space.atomicLoad(address) & Futex.FUTEX_TID_MASK)
        let holder = kernel.tree.withLock { namespace.task(owner, $0) }
        holder?.heldPriorityFutexes.withLock { if !$0.contains(key) { $0.append(key) } }
    }

    private func waitForOwnership(_ entry: FutexEntry, deadline: UInt64?) throws(Errno) {
        do throws(Errno) {
            while entry.waiter.woken == nil {
                if try !block(deadline: deadline) { throw .ETIMEDOUT }
            }
        } catch {
            kernel.futexes.remove(entry)
            if entry.waiter.woken == nil { throw error == .ERESTARTSYS ? .ERESTARTNOINTR : error }
        }
    }

    /// FUTEX_UNLOCK_PI: hands the lock to the first waiter, or frees the word. EPERM when the caller does not own it.
    public func futexUnlockPriority(_ address: UInt64, shared: Bool) throws(Errno) {
        guard let space = addressSpace else { throw .ESRCH }
        let key = try space.futexKey(address: address, shared: shared)
        try kernel.futexes.withQueue(key) { queue, _ throws(Errno) in
            guard try space.atomicLoad(address) & Futex.FUTEX_TID_MASK == word else { throw .EPERM }
            try Self.handOver(&queue, key, address, space, died: false)
        }
        heldPriorityFutexes.withLock { $0.removeAll { $0 == key } }
    }

    /// Gives the lock to the first waiter of a locked queue, or frees the word.
    private static func handOver(
        _ queue: inout [FutexTable.Queued], _ key: FutexKey, _ address: UInt64, _ space: AddressSpace, died: Bool
    ) throws(Errno) {
        let mark = died ? Futex.FUTEX_OWNER_DIED : 0
        while let place = queue.firstIndex(where: { $0.key == key && $0.entry.isPriority.load(ordering: .relaxed) }) {
            let entry = queue[place].entry
            let hasMore = queue[(place + 1)...].contains { $0.key == key }
            _ = try space.atomicUpdate(address, .exchange, entry.waiter.task.word | mark | (hasMore ? Futex.FUTEX_WAITERS : 0))
            queue.remove(at: place)
            entry.bucket.store(-1, ordering: .releasing)
            guard entry.waiter.markWoken(entry.index) else { continue }
            if hasMore { entry.waiter.task.heldPriorityFutexes.withLock { if !$0.contains(key) { $0.append(key) } } }
            entry.waiter.task.unblock()
            return
        }
        _ = try space.atomicUpdate(address, .exchange, mark)
    }

    /// The task ends: locks that others wait for are handed over, marked FUTEX_OWNER_DIED.
    func releasePriorityFutexes(_ space: AddressSpace) {
        let held = heldPriorityFutexes.withLock { held -> [FutexKey] in
            defer { held = [] }
            return held
        }
        for key in held {
            try? kernel.futexes.withQueue(key) { queue, _ throws(Errno) in
                guard let first = queue.first(where: { $0.key == key && $0.entry.isPriority.load(ordering: .relaxed) })?.entry,
                    let theirs = first.space
                else { return }
                let address = first.address.load(ordering: .relaxed)
                let owner = try theirs.atomicLoad(address) & Futex.FUTEX_TID_MASK
                // The robust list may have cleared the owner already.
                guard owner == word || owner == 0 else { return }
                try Self.handOver(&queue, key, address, theirs, died: true)
            }
        }
    }

    /// FUTEX_WAIT_REQUEUE_PI: waits on `address` until requeued to `target` and until it owns that. EINVAL for equal addresses.
    public func futexWaitRequeuePriority(_ address: UInt64, _ target: UInt64, shared: Bool, expected: UInt32, deadline: UInt64?)
        throws(Errno)
    {
        guard let space = addressSpace else { throw .ESRCH }
        if address == target { throw .EINVAL }
        let key = try space.futexKey(address: address, shared: shared)
        let targetKey = try space.futexKey(address: target, shared: shared)
        let entry = FutexEntry(FutexWaiter(self), space: space, address: target, requeueTarget: targetKey)
        try kernel.futexes.enqueue(entry, key) { () throws(Errno) in
            if try space.atomicLoad(address) != expected { throw .EAGAIN }
        }
        do throws(Errno) {
            try waitForOwnership(entry, deadline: deadline)
        } catch {
            // Once requeued it must not be restarted: the wake-up was consumed.
            if error == .ERESTARTNOINTR, entry.isPriority.load(ordering: .relaxed) { throw .EAGAIN }
            throw error
        }
    }

    /// FUTEX_CMP_REQUEUE_PI: woken (with the lock) plus moved. EINVAL unless `wake` is 1, EAGAIN when the word is not `expected`.
    public func futexRequeuePriority(_ address: UInt64, to target: UInt64, shared: Bool, wake: Int32, move: Int32, expected: UInt32)
        throws(Errno) -> Int
    {
        guard wake == 1, move >= 0, address != target, let space = addressSpace else { throw .EINVAL }
        let first = try space.futexKey(address: address, shared: shared)
        let second = try space.futexKey(address: target, shared: shared)
        let bucket = kernel.futexes.index(second)
        return try kernel.futexes.withQueues(first, second) { queue, other, _ throws(Errno) in
            if try space.atomicLoad(address) != expected { throw .EAGAIN }
            var count = 0
            while count < Int(move) + 1, let place = queue.firstIndex(where: { $0.key == first && $0.entry.requeueTarget != nil }) {
                let entry = queue[place].entry
                guard entry.requeueTarget == second else { throw .EINVAL }
                if count == 0, try tryAcquire(target, space, for: entry.waiter.task, isTry: false) {
                    queue.remove(at: place)
                    entry.bucket.store(-1, ordering: .releasing)
                    if entry.waiter.markWoken(entry.index) { entry.waiter.task.unblock() }
                } else {
                    if count == 0 { try noteOwner(target, space, second) }
                    queue.remove(at: place)
                    entry.isPriority.store(true, ordering: .relaxed)
                    entry.bucket.store(bucket, ordering: .releasing)
                    other.append(FutexTable.Queued(key: second, entry: entry))
                    if count > 0 {
                        var old = try space.atomicLoad(target)
                        while old & Futex.FUTEX_WAITERS == 0 {
                            let found = try space.atomicCompareExchange(target, expected: old, desired: old | Futex.FUTEX_WAITERS)
                            if found == old { break }
                            old = found
                        }
                        try noteOwner(target, space, second)
                    }
                }
                count += 1
            }
            return count
        }
    }
}

import Host
public import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

/// One futex of futex_waitv(2).
public struct FutexWaitSpecification: Sendable {
    public var address: UInt64
    public var expected: UInt32
    public var isShared: Bool
    public init(address: UInt64, expected: UInt32, isShared: Bool) {
        self.address = address
        self.expected = expected
        self.isShared = isShared
    }
}

/// futex(2) without priority inheritance. Deadlines are nanoseconds of the host's CLOCK_MONOTONIC. Own thread.
extension KernelTask {
    private func ownSpace() throws(Errno) -> AddressSpace {
        guard let space = addressSpace else { throw .ESRCH }
        return space
    }

    /// FUTEX_WAIT, FUTEX_WAIT_BITSET. EAGAIN when the word is not `expected`, ETIMEDOUT, ERESTARTSYS when interrupted.
    public func futexWait(_ address: UInt64, shared: Bool, expected: UInt32, bitset: UInt32, deadline: UInt64?) throws(Errno) {
        if bitset == 0 { throw .EINVAL }
        let space = try ownSpace()
        let key = try space.futexKey(address: address, shared: shared)
        // Often the word has changed already: then nothing need be made.
        if try space.atomicLoad(address) != expected { throw .EAGAIN }
        let entry = FutexEntry(FutexWaiter(self), bitset: bitset)
        try kernel.futexes.enqueue(entry, key) { () throws(Errno) in
            if try space.atomicLoad(address) != expected { throw .EAGAIN }
        }
        try waitUntilWoken([entry], deadline: deadline)
    }

    /// Sleeps until one of the entries is woken. Takes all of them out of their queues.
    private func waitUntilWoken(_ entries: [FutexEntry], deadline: UInt64?) throws(Errno) {
        guard let waiter = entries.first?.waiter else { return }
        do throws(Errno) {
            while waiter.woken == nil {
                if try !block(deadline: deadline) { throw .ETIMEDOUT }
            }
        } catch {
            // A wake-up that was given to us must not be lost: it counts even when we were giving up.
            for entry in entries { kernel.futexes.remove(entry) }
            if waiter.woken == nil { throw error }
            return
        }
        for entry in entries where entries.count > 1 { kernel.futexes.remove(entry) }
    }

    /// futex_waitv(2): the index of the futex that was woken.
    public func futexWait(_ specifications: [FutexWaitSpecification], deadline: UInt64?) throws(Errno) -> Int {
        let space = try ownSpace()
        let waiter = FutexWaiter(self)
        var entries: [FutexEntry] = []
        for (index, specification) in specifications.enumerated() {
            let entry = FutexEntry(waiter, index: index)
            do throws(Errno) {
                let key = try space.futexKey(address: specification.address, shared: specification.isShared)
                try kernel.futexes.enqueue(entry, key) { () throws(Errno) in
                    if try space.atomicLoad(specification.address) != specification.expected { throw .EAGAIN }
                }
            } catch {
                for entry in entries { kernel.futexes.remove(entry) }
                if let woken = waiter.woken { return woken }
                throw error
            }
            entries.append(entry)
        }
        try waitUntilWoken(entries, deadline: deadline)
        return waiter.woken ?? 0
    }

    /// FUTEX_WAKE, FUTEX_WAKE_BITSET: how many were woken.
    public func futexWake(_ address: UInt64, shared: Bool, count: Int32, bitset: UInt32) throws(Errno) -> Int {
        if bitset == 0 { throw .EINVAL }
        let key = try ownSpace().futexKey(address: address, shared: shared)
        // Linux wakes one for 0 and negative counts.
        return kernel.futexes.wake(key, count: max(1, Int(count)), bitset: bitset)
    }

    /// FUTEX_REQUEUE, FUTEX_CMP_REQUEUE: woken plus moved. EINVAL for negative counts, EAGAIN when the word is not `expected`.
    public func futexRequeue(_ address: UInt64, to target: UInt64, shared: Bool, wake: Int32, move: Int32, expected: UInt32?) throws(Errno)
        -> (woken: Int, moved: Int)
    {
        if wake < 0 || move < 0 { throw .EINVAL }
        let space = try ownSpace()
        let first = try space.futexKey(address: address, shared: shared)
        let second = try space.futexKey(address: target, shared: shared)
        return try kernel.futexes.requeue(first, second, wake: Int(wake), move: Int(move)) { () throws(Errno) in
            if let expected, try space.atomicLoad(address) != expected { throw .EAGAIN }
        }
    }

    /// FUTEX_WAKE_OP: changes the word at `target`, wakes `wake` waiters of `address`, and `wakeTarget` of `target` if its old value compares true.
    public func futexWakeOperation(
        _ address: UInt64, _ target: UInt64, shared: Bool, wake: Int32, wakeTarget: Int32, operation: UInt32
    ) throws(Errno) -> Int {
        let space = try ownSpace()
        let first = try space.futexKey(address: address, shared: shared)
        let second = try space.futexKey(address: target, shared: shared)
        // op (4 bits), cmp (4), oparg (12, signed), cmparg (12, signed)
        var argument = UInt32(bitPattern: Int32(bitPattern: operation << 8) >> 20)
        let comparand = Int32(bitPattern: operation << 20) >> 20
        if operation >> 28 & Futex.FUTEX_OP_OPARG_SHIFT != 0 { argument = 1 << (argument & 31) }
        let change: (AtomicOperation, UInt32)
        switch operation >> 28 & 7 {
        case Futex.FUTEX_OP_SET: change = (.exchange, argument)
        case Futex.FUTEX_OP_ADD: change = (.add, argument)
        case Futex.FUTEX_OP_OR: change = (.or, argument)
        case Futex.FUTEX_OP_ANDN: change = (.and, ~argument)
        case Futex.FUTEX_OP_XOR: change = (.xor, argument)
        default: throw .ENOSYS
        }
        var sleeper: Parker?
        defer { sleeper?.ring() }
        return try kernel.futexes.withQueues(first, second) { queue, other, isSame throws(Errno) in
            let old = Int32(bitPattern: try space.atomicUpdate(target, change.0, change.1))
            let isTrue: Bool
            switch operation >> 24 & 15 {
            case Futex.FUTEX_OP_CMP_EQ: isTrue = old == comparand
            case Futex.FUTEX_OP_CMP_NE: isTrue = old != comparand
            case Futex.FUTEX_OP_CMP_LT: isTrue = old < comparand
            case Futex.FUTEX_OP_CMP_LE: isTrue = old <= comparand
            case Futex.FUTEX_OP_CMP_GT: isTrue = old > comparand
            case Futex.FUTEX_OP_CMP_GE: isTrue = old >= comparand
            default: throw .ENOSYS
            }
            var woken = FutexTable.wake(&queue, first, max(1, Int(wake)), Futex.FUTEX_BITSET_MATCH_ANY, &sleeper)
            if isTrue {
                let count = max(1, Int(wakeTarget))
                woken +=
                    isSame
                    ? FutexTable.wake(&queue, second, count, Futex.FUTEX_BITSET_MATCH_ANY, &sleeper)
                    : FutexTable.wake(&other, second, count, Futex.FUTEX_BITSET_MATCH_ANY, &sleeper)
            }
            return woken
        }
    }

    // MARK: robust lists

    /// set_robust_list(2).
    public func setRobustList(_ head: UInt64) { robustList.store(head, ordering: .relaxed) }
    /// get_robust_list(2).
    public var robustListHead: UInt64 { robustList.load(ordering: .relaxed) }

    /// The thread ends (or becomes another program): marks the robust futexes that it owns and wakes a waiter of each.
    func exitRobustList(_ space: AddressSpace) {
        let head = robustList.exchange(0, ordering: .relaxed)
        guard head != 0, var entry: UInt64 = try? space.load(head), let offset: UInt64 = try? space.load(head &+ 8),
            let pending: UInt64 = try? space.load(head &+ 16)
        else { return }
        var left = Futex.ROBUST_LIST_LIMIT
        while entry & ~1 != head, left > 0 {
            let next: UInt64? = try? space.load(entry & ~1)
            // A futex whose lock or unlock was in progress comes last.
            if entry & ~1 != pending & ~1 {
                guard markOwnerDied((entry & ~1) &+ offset, isPriority: entry & 1 != 0, isPending: false, space) else { return }
            }
            guard let next else { return }
            entry = next
            left -= 1
        }
        if pending & ~1 != 0 { _ = markOwnerDied((pending & ~1) &+ offset, isPriority: pending & 1 != 0, isPending: true, space) }
    }

    /// False when the memory cannot be reached.
    private func markOwnerDied(_ address: UInt64, isPriority: Bool, isPending: Bool, _ space: AddressSpace) -> Bool {
        guard var word = try? space.atomicLoad(address) else { return false }
        while true {
            if isPending, !isPriority, word == 0 {
                // Unlocking had cleared the word but may not have woken anybody.
                wakeShared(address, space)
                return true
            }
            guard word & Futex.FUTEX_TID_MASK == UInt32(bitPattern: threadID) else { return true }
            let new = word & Futex.FUTEX_WAITERS | Futex.FUTEX_OWNER_DIED
            guard let found = try? space.atomicCompareExchange(address, expected: word, desired: new) else { return false }
            if found == word { break }
            word = found
        }
        // Waiters of priority-inheriting futexes are handed the lock by `releasePriorityFutexes`.
        if !isPriority, word & Futex.FUTEX_WAITERS != 0 { wakeShared(address, space) }
        return true
    }

    private func wakeShared(_ address: UInt64, _ space: AddressSpace) {
        if let key = try? space.futexKey(address: address, shared: true) { kernel.futexes.wake(key, count: 1) }
    }
}

import Host
import Synchronization

/// Bounds how many dentries all file systems keep: a clock over the cached ones that gives up those nobody uses and nobody looked up lately.
public final class DentryCache: Sendable {
    public static let shared = DentryCache()

    private struct State {
        var slots: [Dentry?] = []
        var free: [Int] = []
        var hand = 0
        var count = 0
        var limit = 65_536
    }
    private let state = Lock(State())

    init() {}

    /// How many dentries are cached.
    public var count: Int { state.withLock { $0.count } }
    /// The most that are kept unless they are in use.
    public func setLimit(_ limit: Int) { state.withLock { $0.limit = max(16, limit) } }

    /// Registers a dentry that was put into its parent's table.
    func add(_ dentry: Dentry) {
        restore(dentry)
        let isFull = state.withLock { $0.count > $0.limit }
        if isFull { reclaim() }
    }

    /// The dentry is in its parent's table no more.
    func forget(_ dentry: Dentry) {
        state.withLock { state in
            let slot = dentry.cacheSlot.exchange(-1, ordering: .relaxed)
            guard slot >= 0 else { return }
            state.slots[slot] = nil
            state.free.append(slot)
            state.count -= 1
        }
    }

    /// Moves the hand a few dentries on, giving up at most two: the cost of one insertion stays constant.
    private func reclaim() {
        var examined = 0
        var evicted = 0
        while examined < 16, evicted < 2 {
            examined += 1
            var candidate = next()
            if evict(&candidate) { evicted += 1 }
        }
    }

    /// Takes the dentry under the hand out of the cache, if it had its second chance.
    private func next() -> Dentry? {
        state.withLock { state in
            if state.slots.isEmpty { return nil }
            if state.hand >= state.slots.count { state.hand = 0 }
            let slot = state.hand
            state.hand += 1
            guard let dentry = state.slots[slot], !dentry.isReferenced.exchange(false, ordering: .relaxed), !dentry.isMountPoint else {
                return nil
            }
            dentry.cacheSlot.store(-1, ordering: .relaxed)
            state.slots[slot] = nil
            state.free.append(slot)
            state.count -= 1
            return dentry
        }
    }

    /// Takes the dentry out of its parent's table if nobody but that table and `candidate` holds it; else it goes back into the cache.
    private func evict(_ candidate: inout Dentry?) -> Bool {
        guard let (parent, name) = Self.place(of: candidate) else { return false }
        let hash = NameHash.hash(name)
        // Under the parent's lock nobody can get hold of it through the table, so a sole reference stays one.
        if parent.state.withLock({ $0.children.removeIfSole(&candidate, name: name, hash: hash) }) { return true }
        // Unlinked or moved meanwhile: whoever did that has dealt with it, unless it still stands in the table.
        if let dentry = candidate, !dentry.isDeleted, parent.state.withLock({ $0.children.find(name) === dentry }) { restore(dentry) }
        return false
    }

    private static func place(of dentry: Dentry?) -> (Dentry, [UInt8])? {
        dentry?.state.withLock { state in state.parent.map { ($0, state.name) } }
    }

    private func restore(_ dentry: Dentry) {
        state.withLock { state in
            guard dentry.cacheSlot.load(ordering: .relaxed) < 0 else { return }
            let slot = state.free.popLast() ?? state.slots.count
            if slot == state.slots.count { state.slots.append(dentry) } else { state.slots[slot] = dentry }
            dentry.cacheSlot.store(slot, ordering: .relaxed)
            state.count += 1
        }
    }
}

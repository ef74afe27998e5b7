import Host
import SentryVFS
import Synchronization

/// Bounds how many host descriptors the inodes of Gofers keep: a clock over the inodes that hold any. A file that loses them asks its Gofer
/// again when it needs one.
final class DonatedDescriptors: Sendable {
    private struct Entry {
        weak var inode: GoferInode?
    }
    private struct State {
        var entries: [Entry] = []
        var free: [Int] = []
        var hand = 0
        var limit: Int
    }
    private let state: Lock<State>

    init(limit: Int) { state = Lock(State(limit: max(16, limit))) }

    func setLimit(_ limit: Int) { state.withLock { $0.limit = max(16, limit) } }

    /// Inodes that hold descriptors.
    var count: Int { state.withLock { $0.entries.count - $0.free.count } }

    /// The inode holds a descriptor now.
    func add(_ inode: GoferInode) {
        let victim = state.withLock { state -> GoferInode? in
            if inode.poolSlot.load(ordering: .relaxed) >= 0 { return nil }
            var victim: GoferInode? = nil
            if state.free.isEmpty, state.entries.count >= state.limit { victim = Self.evict(&state) }
            if let slot = state.free.popLast() {
                state.entries[slot] = Entry(inode: inode)
                inode.poolSlot.store(slot, ordering: .relaxed)
            } else {
                inode.poolSlot.store(state.entries.count, ordering: .relaxed)
                state.entries.append(Entry(inode: inode))
            }
            return victim
        }
        // Not under the lock: the inode takes its own, and may go away here.
        victim?.dropDescriptors()
    }

    /// The inode holds no descriptor any more.
    func remove(slot: Int) {
        state.withLock { state in
            guard slot >= 0, slot < state.entries.count else { return }
            state.entries[slot] = Entry(inode: nil)
            state.free.append(slot)
        }
    }

    /// Takes out an inode whose descriptors were not used since the hand last passed; nil when all were (the bound then gives way a little).
    private static func evict(_ state: inout State) -> GoferInode? {
        for _ in 0..<(2 * state.entries.count) {
            if state.hand >= state.entries.count { state.hand = 0 }
            let slot = state.hand
            state.hand += 1
            guard let inode = state.entries[slot].inode else { continue }
            if !inode.canDropDescriptors || inode.wasUsed.exchange(false, ordering: .relaxed) { continue }
            inode.poolSlot.store(-1, ordering: .relaxed)
            state.entries[slot] = Entry(inode: nil)
            state.free.append(slot)
            return inode
        }
        return nil
    }
}

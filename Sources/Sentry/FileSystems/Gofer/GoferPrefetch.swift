import Host
import SentryVFS

/// Inodes that a directory's listing brought along, waiting to be looked up. Programs that list a directory mostly ask for the attributes of
/// each entry next; with these they need no trips of their own.
///
/// Only trees that cache at all use it. What nobody asks for costs, so listings bring attributes of more than directories only while enough of
/// them were of use.
final class GoferPrefetch: Sendable {
    private struct State {
        /// By directory, in the order of their listings.
        var directories: [ObjectIdentifier: [[UInt8]: GoferInode]] = [:]
        /// Until when a listing passes for true, where it does not for ever (CLOCK_MONOTONIC, nanoseconds).
        var expiries: [ObjectIdentifier: UInt64] = [:]
        var order: [ObjectIdentifier] = []
        var count = 0
        var credit = GoferPrefetch.maximumCredit / 2
    }
    private let state = Lock(State())
    private static let maximumCredit = 8192
    /// Most inodes that wait.
    private static let limit = 8192

    /// Whether the next listing should bring attributes of all entries.
    var isWorthwhile: Bool { state.withLock { $0.credit > 0 } }

    /// Keeps what a listing of `directory` brought, unless its names changed since `changes` were counted.
    func add(_ inodes: [[UInt8]: GoferInode], of directory: GoferInode, since changes: UInt64, expiry: UInt64?) {
        if inodes.isEmpty { return }
        let key = ObjectIdentifier(directory)
        let released = state.withLock { state -> [[[UInt8]: GoferInode]] in
            var released: [[[UInt8]: GoferInode]] = []
            guard directory.state.withLock({ $0.changes }) == changes else { return released }
            if let old = state.directories[key] {
                // A listing goes on, or begins again: the newer look counts.
                state.count -= old.count
                let merged = old.merging(inodes) { $1 }
                state.directories[key] = merged
                state.count += merged.count
                released.append(old)
            } else {
                state.directories[key] = inodes
                state.order.append(key)
                state.count += inodes.count
            }
            state.expiries[key] = expiry
            let others = inodes.values.reduce(0) { $1.type == .directory ? $0 : $0 + 1 }
            if others > 0 { state.credit -= others / 4 + 1 }
            while state.count > Self.limit, !state.order.isEmpty {
                let oldest = state.order.removeFirst()
                state.expiries[oldest] = nil
                if let old = state.directories.removeValue(forKey: oldest) {
                    state.count -= old.count
                    released.append(old)
                }
            }
            return released
        }
        _ = released
    }

    /// The inode of an entry, if a listing brought it. It is given out once.
    func take(_ name: [UInt8], of directory: GoferInode) -> GoferInode? {
        let key = ObjectIdentifier(directory)
        return state.withLock { state in
            if state.count == 0 { return nil }
            if let expiry = state.expiries[key], HostClock.monotonic >= expiry { return nil }
            guard let inode = state.directories[key]?.removeValue(forKey: name) else { return nil }
            state.count -= 1
            if inode.type != .directory { state.credit = min(state.credit + 1, Self.maximumCredit) }
            return inode
        }
    }

    /// A single name of a directory that was listed had to be asked for: a listing with attributes would have helped.
    func missed() { state.withLock { $0.credit = min($0.credit + 2, Self.maximumCredit) } }

    /// The name means something else now.
    func forget(_ name: [UInt8], of directory: GoferInode) {
        let key = ObjectIdentifier(directory)
        let released = state.withLock { state -> GoferInode? in
            if state.count == 0 { return nil }
            guard let inode = state.directories[key]?.removeValue(forKey: name) else { return nil }
            state.count -= 1
            return inode
        }
        _ = released
    }

    /// The directory is gone: another one may come to have its identity.
    func forget(directory: GoferInode) {
        let key = ObjectIdentifier(directory)
        let released = state.withLock { state -> [[UInt8]: GoferInode]? in
            state.expiries[key] = nil
            guard let old = state.directories.removeValue(forKey: key) else { return nil }
            state.count -= old.count
            if let index = state.order.firstIndex(of: key) { state.order.remove(at: index) }
            return old
        }
        _ = released
    }

    func clear() {
        let released = state.withLock { state in
            defer { state = State() }
            return state
        }
        _ = released
    }
}

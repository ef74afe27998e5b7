public import Host
public import LinuxABI
import Synchronization

/// Somebody who waits for events of files, futexes, children, timers. Subclasses say what a wake-up means: a task unparks its thread, an
/// epoll item joins its ready list. `wake` runs under the queue's lock and must neither block nor touch the queue. It may return the parker of a thread that
/// sleeps, for `notify` to ring when the lock is free.
open class Waiter: @unchecked Sendable {  // Subclasses keep what they change behind a lock or an atomic.
    /// The events to be woken for; POLLERR and POLLHUP are always included.
    public let mask: PollEvents
    public init(mask: PollEvents) { self.mask = mask.union([.POLLERR, .POLLHUP]) }
    open func wake(_ events: PollEvents) -> Parker? { nil }
    /// Of the exclusive waiters only one is woken at a time (EPOLLEXCLUSIVE), each in its turn.
    open var isExclusive: Bool { false }
}

/// The waiters of one object. Lock order: innermost (nothing is locked while it is held but a waiter's own parker or ready list).
public final class WaitQueue: Sendable {
    private struct State {
        var waiters: [Waiter] = []
        /// Where each is, once there are many: removal must not search.
        var indices: [ObjectIdentifier: Int] = [:]
        var exclusive = 0
    }
    private let state = Lock(State())
    private let count = Atomic<Int>(0)
    /// From this many waiters on their places are indexed.
    private static let indexed = 16

    public init() {}

    /// Adds a waiter. Check the condition after adding, or a wake-up may be missed.
    public func add(_ waiter: Waiter) {
        state.withLock { state in
            state.waiters.append(waiter)
            if waiter.isExclusive { state.exclusive += 1 }
            if !state.indices.isEmpty {
                state.indices[ObjectIdentifier(waiter)] = state.waiters.count - 1
            } else if state.waiters.count >= Self.indexed {
                for (index, waiter) in state.waiters.enumerated() { state.indices[ObjectIdentifier(waiter)] = index }
            }
        }
        count.add(1, ordering: .sequentiallyConsistent)
    }

    /// Removes a waiter that was added; does nothing for a stranger.
    public func remove(_ waiter: Waiter) {
        let removed = state.withLock { state -> Bool in
            if state.indices.isEmpty {
                guard let index = state.waiters.firstIndex(where: { $0 === waiter }) else { return false }
                state.waiters.remove(at: index)
            } else {
                // The last one takes its place: among many the order does not matter.
                guard let index = state.indices.removeValue(forKey: ObjectIdentifier(waiter)) else { return false }
                let last = state.waiters.removeLast()
                if last !== waiter {
                    state.waiters[index] = last
                    state.indices[ObjectIdentifier(last)] = index
                }
            }
            if waiter.isExclusive { state.exclusive -= 1 }
            return true
        }
        if removed { count.subtract(1, ordering: .sequentiallyConsistent) }
    }

    /// Whether anybody waits; a hint.
    public var isEmpty: Bool { count.load(ordering: .sequentiallyConsistent) == 0 }

    /// Whether so few wait that waking them takes next to no time; a hint.
    public var isShort: Bool { count.load(ordering: .relaxed) < Self.indexed }

    /// Wakes every waiter that asked for any of `events`, and one of the exclusive ones. Costs one load when nobody waits.
    public func notify(_ events: PollEvents) { post(events)?.ring() }

    /// As `notify`, but leaves it to the caller to ring the last sleeper, if there is any: without locks that it will want.
    public func post(_ events: PollEvents) -> Parker? {
        if isEmpty { return nil }
        return state.withLock { state in
            var sleeper: Parker?
            func wake(_ waiter: Waiter) {
                guard let next = waiter.wake(events) else { return }
                sleeper?.ring()
                sleeper = next
            }
            if state.exclusive == 0 {
                for waiter in state.waiters where !waiter.mask.isDisjoint(with: events) { wake(waiter) }
                return sleeper
            }
            var chosen: Int?
            for (index, waiter) in state.waiters.enumerated() where !waiter.mask.isDisjoint(with: events) {
                if !waiter.isExclusive { wake(waiter) } else if chosen == nil { chosen = index }
            }
            guard let chosen else { return sleeper }
            let waiter = state.waiters[chosen]
            wake(waiter)
            // To the end: the next one's turn.
            state.waiters.remove(at: chosen)
            state.waiters.append(waiter)
            if !state.indices.isEmpty {
                for index in chosen..<state.waiters.count { state.indices[ObjectIdentifier(state.waiters[index])] = index }
            }
            return sleeper
        }
    }
}

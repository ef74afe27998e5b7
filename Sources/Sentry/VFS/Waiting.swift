public import LinuxABI
import Synchronization

/// Somebody who waits for events of files, futexes, children, timers. Subclasses say what a wake-up means: a task unparks its thread, an
/// epoll item joins its ready list. `wake` runs under the queue's lock and must neither block nor touch the queue.
open class Waiter: @unchecked Sendable {  // Subclasses keep what they change behind a lock or an atomic.
    /// The events to be woken for; POLLERR and POLLHUP are always included.
    public let mask: PollEvents
    public init(mask: PollEvents) { self.mask = mask.union([.POLLERR, .POLLHUP]) }
    open func wake(_ events: PollEvents) {}
}

/// The waiters of one object. Lock order: innermost (nothing is locked while it is held but a waiter's own parker or ready list).
public final class WaitQueue: Sendable {
    private let waiters = Mutex<[Waiter]>([])
    private let count = Atomic<Int>(0)
    public init() {}

    /// Adds a waiter. Check the condition after adding, or a wake-up may be missed.
    public func add(_ waiter: Waiter) {
        waiters.withLock { $0.append(waiter) }
        count.add(1, ordering: .sequentiallyConsistent)
    }

    /// Removes a waiter that was added; does nothing for a stranger.
    public func remove(_ waiter: Waiter) {
        let removed = waiters.withLock { list -> Bool in
            guard let index = list.firstIndex(where: { $0 === waiter }) else { return false }
            list.remove(at: index)
            return true
        }
        if removed { count.subtract(1, ordering: .sequentiallyConsistent) }
    }

    /// Whether anybody waits; a hint.
    public var isEmpty: Bool { count.load(ordering: .sequentiallyConsistent) == 0 }

    /// Wakes every waiter that asked for any of `events`. Costs one load when nobody waits.
    public func notify(_ events: PollEvents) {
        if isEmpty { return }
        waiters.withLock { list in
            for waiter in list where !waiter.mask.isDisjoint(with: events) { waiter.wake(events) }
        }
    }
}

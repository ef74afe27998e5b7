import Host
import Synchronization

/// Something that happens at a time. `fire` runs on the timer thread: short, never blocking.
public final class KernelTimer: Sendable {
    fileprivate let fire: @Sendable () -> Void
    /// Where it is due, 0: not armed. Protected by the queue's lock (an atomic so that the object is Sendable).
    fileprivate let deadline = Atomic<UInt64>(0)
    public init(_ fire: @escaping @Sendable () -> Void) { self.fire = fire }
}

/// The timers of a sandbox: one thread that sleeps until the earliest is due, and that does not exist before the first one.
public final class TimerQueue: Sendable {
    private struct Item {
        var deadline: UInt64
        var timer: KernelTimer
    }
    private struct State {
        /// A binary heap by deadline. Cancelled timers stay until they reach the top.
        var heap: [Item] = []
        var hasThread = false
    }
    private let state = Lock(State())
    private let parker = Parker()

    public init() {}

    /// Arms `timer` for `deadline` (CLOCK_MONOTONIC of the host, nanoseconds), replacing an earlier deadline.
    public func arm(_ timer: KernelTimer, at deadline: UInt64) {
        let (isFirst, needsThread) = state.withLock { state -> (Bool, Bool) in
            timer.deadline.store(max(1, deadline), ordering: .relaxed)
            Self.push(Item(deadline: max(1, deadline), timer: timer), &state.heap)
            if state.heap.count > 64 { Self.compact(&state.heap) }
            defer { state.hasThread = true }
            return (state.heap.first?.timer === timer, !state.hasThread)
        }
        if needsThread {
            do { try startThread(stackSize: 256 << 10) { self.serve() } } catch { state.withLock { $0.hasThread = false } }
        } else if isFirst {
            parker.unpark()
        }
    }

    /// Disarms `timer`. It may still be firing on the timer thread.
    public func cancel(_ timer: KernelTimer) { state.withLock { _ in timer.deadline.store(0, ordering: .relaxed) } }

    private func serve() {
        while true {
            let now = HostClock.monotonic
            let (due, next) = state.withLock { state -> (KernelTimer?, UInt64?) in
                while let first = state.heap.first {
                    // An entry counts only if it is the timer's current deadline.
                    if first.timer.deadline.load(ordering: .relaxed) != first.deadline {
                        Self.pop(&state.heap)
                        continue
                    }
                    if first.deadline > now { return (nil, first.deadline) }
                    Self.pop(&state.heap)
                    first.timer.deadline.store(0, ordering: .relaxed)
                    return (first.timer, nil)
                }
                return (nil, nil)
            }
            if let due { due.fire() } else { _ = parker.park(deadline: next) }
        }
    }

    private static func push(_ item: Item, _ heap: inout [Item]) {
        heap.append(item)
        var index = heap.count - 1
        while index > 0, heap[(index - 1) / 2].deadline > heap[index].deadline {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private static func pop(_ heap: inout [Item]) {
        guard heap.count > 1 else {
            heap.removeAll(keepingCapacity: true)
            return
        }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            if least == index { return }
            heap.swapAt(index, least)
            index = least
        }
    }

    /// Drops stale entries when they are the majority, so that re-arming in a loop does not grow the heap.
    private static func compact(_ heap: inout [Item]) {
        let live = heap.filter { $0.timer.deadline.load(ordering: .relaxed) == $0.deadline }
        guard live.count < heap.count / 2 else { return }
        heap = []
        for item in live { push(item, &heap) }
    }
}

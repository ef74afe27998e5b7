internal import CHost
import LinuxABI
public import Synchronization

/// Lets one thread sleep until another wakes it: a futex word that remembers one wake-up.
public final class Parker: Sendable {
    /// 0: nothing, 1: a wake-up is remembered, 2: the owner sleeps.
    private let state = Atomic<UInt32>(0)
    private let wakerCPU = Atomic<Int32>(-1)

    public init() {}

    /// Sleeps until `unpark` was called since the last `park` returned, or until `deadline` (CLOCK_MONOTONIC nanoseconds).
    /// Only the owner calls it. Returns false when the deadline passed first.
    public func park(deadline: UInt64? = nil) -> Bool {
        if state.compareExchange(expected: 1, desired: 0, ordering: .acquiring).exchanged { return true }
        if !state.compareExchange(expected: 0, desired: 2, ordering: .acquiringAndReleasing).exchanged {
            state.store(0, ordering: .releasing)
            return true
        }
        while true {
            let result = HostCall.futexWait(state, expected: 2, deadline: deadline)
            if state.load(ordering: .acquiring) == 1 {
                state.store(0, ordering: .releasing)
                return true
            }
            if result == -110 {
                // A wake-up may have come between the time-out and here: it wins.
                if state.exchange(0, ordering: .acquiringAndReleasing) == 1 { return true }
                return false
            }
        }
    }

    /// Looks for a wake-up for up to `cycles` of the time-stamp counter, in place of sleeping: whether it came, which it then counts as. Only the owner calls it.
    public func look(cycles: UInt64) -> Bool {
        let start = chost_timestamp()
        repeat {
            if state.load(ordering: .relaxed) == 1, state.compareExchange(expected: 1, desired: 0, ordering: .acquiring).exchanged {
                return true
            }
            chost_pause()
        } while chost_timestamp() &- start < cycles
        return false
    }

    /// For an owner that sleeps on other words besides: takes a remembered wake-up, or calls `wait` with the word's address and the value it has while the
    /// owner sleeps. Wake-ups that come meanwhile are taken too.
    public func park(by wait: (UnsafeRawPointer, UInt32) -> Void) {
        if state.compareExchange(expected: 0, desired: 2, ordering: .acquiringAndReleasing).exchanged {
            // SAFETY: the atomic lives inside this object, which the caller holds for the whole call.
            unsafe withUnsafePointer(to: state) { unsafe wait(UnsafeRawPointer($0), 2) }
        }
        state.store(0, ordering: .sequentiallyConsistent)
    }

    /// Wakes the owner, or lets its next `park` return at once. Any thread may call it.
    public func unpark() { if post() { ring() } }

    /// The first half of `unpark`: leaves the wake-up. Whether the owner sleeps, so that `ring` must follow: best without a lock held that the owner will
    /// want, for it may run at once in place of the caller.
    public func post() -> Bool {
        if state.exchange(1, ordering: .acquiringAndReleasing) != 2 { return false }
        wakerCPU.store(chost_task_cpu(), ordering: .relaxed)
        return true
    }

    /// The host CPU of the task that last woke the owner from its sleep, or -1; a hint. The owner asks, once for each sleep.
    public func takeWakerCPU() -> Int32 {
        if wakerCPU.load(ordering: .relaxed) < 0 { return -1 }
        return wakerCPU.exchange(-1, ordering: .relaxed)
    }

    /// The second half.
    public func ring() { HostCall.futexWake(state, count: 1) }
}

extension HostCall {
    /// FUTEX_WAIT_BITSET, private, with an absolute CLOCK_MONOTONIC deadline in nanoseconds. 0, or a negated errno.
    public static func futexWait(_ word: borrowing Atomic<UInt32>, expected: UInt32, deadline: UInt64?) -> Int {
        var time: (Int, Int) = (0, 0)
        if let deadline { time = (Int(clamping: deadline / 1_000_000_000), Int(deadline % 1_000_000_000)) }
        // SAFETY: the atomic lives inside an object that the caller holds for the whole call.
        return unsafe withUnsafePointer(to: word) { address in
            unsafe withUnsafePointer(to: &time) { timePointer in
                raw(
                    .futex, Int(bitPattern: address), 9 | 128, Int(expected), deadline == nil ? 0 : Int(bitPattern: timePointer), 0, -1)
            }
        }
    }

    /// FUTEX_WAKE, private.
    public static func futexWake(_ word: borrowing Atomic<UInt32>, count: Int32) {
        // SAFETY: only the address is used.
        unsafe withUnsafePointer(to: word) { address in _ = raw(.futex, Int(bitPattern: address), 1 | 128, Int(count)) }
    }
}

internal import CHost
import LinuxABI
public import Synchronization

// SAFETY: in this file the only unsafe access is to the value in the cell, by whoever holds the lock.

/// Mutual exclusion around a value, as `Synchronization.Mutex`, made for threads that share a CPU: whoever finds it held looks for a moment and then sleeps.
/// (`Mutex` looks a thousand times on Linux, which burns 50 us whenever the holder waits for this very CPU, and then has the kernel inherit priorities.)
/// Not recursive. See docs/decisions/0015.
@safe @frozen public struct Lock<Value: ~Copyable>: ~Copyable, @unchecked Sendable {  // The value is reached only by the holder.
    /// 0: free, 1: held, 2: held, and somebody may sleep.
    @usableFromInline let word: Atomic<UInt32>
    @usableFromInline let cell: _Cell<Value>

    @inlinable public init(_ value: consuming sending Value) {
        word = Atomic(0)
        unsafe cell = _Cell(value)
    }

    /// Runs `body` while no other thread does.
    @inlinable public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        if !word.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged { lockWaits(word) }
        defer { if word.exchange(0, ordering: .releasing) == 2 { lockWakes(word) } }
        return try unsafe body(&cell._address.pointee)
    }

    /// As `withLock`, or nil at once when another thread holds it.
    @inlinable public borrowing func withLockIfAvailable<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result? {
        if !word.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged { return nil }
        defer { if word.exchange(0, ordering: .releasing) == 2 { lockWakes(word) } }
        return try unsafe body(&cell._address.pointee)
    }
}

/// Some two microseconds at most: longer than most holders take that run on another CPU, shorter than a sleep and a wake-up.
private let looks = 40

@usableFromInline func lockWaits(_ word: borrowing Atomic<UInt32>) {
    for _ in 0..<looks {
        chost_pause()
        if word.load(ordering: .relaxed) == 0, word.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged { return }
    }
    while word.exchange(2, ordering: .acquiring) != 0 { _ = HostCall.futexWait(word, expected: 2, deadline: nil) }
}

@usableFromInline func lockWakes(_ word: borrowing Atomic<UInt32>) { HostCall.futexWake(word, count: 1) }

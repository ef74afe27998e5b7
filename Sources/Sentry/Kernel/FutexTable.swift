public import SentryMemory
import Synchronization

/// All waiters on futexes of a sandbox.
public final class FutexTable: Sendable {
    public init() {}
    /// Wakes up to `count` waiters whose bits meet `bitset`; how many.
    @discardableResult
    public func wake(_ key: FutexKey, count: Int, bitset: UInt32) -> Int { 0 }
}
extension KernelTask {
    func exitRobustList(_ space: AddressSpace) {}
    func releasePriorityFutexes(_ space: AddressSpace) {}
}

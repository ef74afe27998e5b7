import Host

/// Proof that the tree lock of the kernel is held. Only `TreeLock.withLock` makes one, and it cannot leave the closure.
public struct TreeLocked: ~Escapable {
    @_lifetime(immortal) fileprivate init() {}
}

/// The lock of the process tree (Linux: tasklist_lock): process ids, parents and children, process groups, sessions, exit states.
/// Short sections only: nothing blocks, calls into files or touches guest memory while it is held.
public final class TreeLock: Sendable {
    private let mutex = Lock<Void>(())

    @inline(__always) public func withLock<R, E: Error>(_ body: (TreeLocked) throws(E) -> R) throws(E) -> R {
        try mutex.withLock { _ throws(E) in try body(TreeLocked()) }
    }
}

/// State that may only be touched with the tree lock held: every access shows the proof.
public final class TreeProtected<Value>: @unchecked Sendable {  // The proof makes every access exclusive.
    private var value: Value
    init(_ value: Value) { self.value = value }
    public subscript(_ proof: TreeLocked) -> Value {
        _read { yield value }
        _modify { yield &value }
    }
}

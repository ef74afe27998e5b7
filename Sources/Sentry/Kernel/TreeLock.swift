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
    private let storage: Confined<Value>
    init(_ value: Value) { storage = Confined(value) }
    public subscript(_ proof: TreeLocked) -> Value {
        @inline(__always) _read { yield storage.value }
        @inline(__always) _modify { yield &storage.value }
    }
}

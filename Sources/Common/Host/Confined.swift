public import Synchronization

// SAFETY: in this file the cell is there as long as the structure; that accesses do not overlap is the owner's rule, as for any unsynchronised variable.

/// A variable of a class that one thread at a time touches, by a rule that the owner states. A plain variable of a class is watched for overlapping
/// accesses whenever it is touched, which costs more than the access; this one is not.
@safe @frozen public struct Confined<Value>: ~Copyable, @unchecked Sendable {  // By the rule of the owner.
    @usableFromInline let cell: _Cell<Value>

    @inlinable public init(_ value: consuming Value) { unsafe cell = _Cell(value) }

    @inlinable public var value: Value {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(cell._address) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe cell._address }
    }
}

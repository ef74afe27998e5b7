// SAFETY: in this file every access lies within a range that was checked just before, and pointers do not leave the closures that give them.

internal import CHost

extension [UInt8] {
    /// A copy of the bytes of `span`, made at once.
    public init(copying span: Span<UInt8>) { self = unsafe span.withUnsafeBufferPointer { source in unsafe [UInt8](source) } }

    /// The number at `offset`, in the machine's order of bytes. Precondition: it lies within the array.
    @inlinable public func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
        return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }

    /// Puts a number at `offset`, in the machine's order of bytes. Precondition: it lies within the array.
    @inlinable public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
        unsafe withUnsafeMutableBytes { unsafe $0.storeBytes(of: value, toByteOffset: offset, as: T.self) }
    }

    /// Puts `bytes` at `offset`. Precondition: they lie within the array.
    @inlinable public mutating func store(_ bytes: [UInt8], at offset: Int) {
        precondition(offset >= 0 && offset <= count - bytes.count)
        unsafe withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source in
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + bytes.count]).copyMemory(from: source)
            }
        }
    }
}

extension InlineArray where Element == UInt8 {
    /// Puts a number at `offset`, in the machine's order of bytes. Precondition: it lies within the array.
    @inlinable @inline(__always) public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        var bytes = mutableSpan
        var raw = unsafe bytes.mutableBytes
        unsafe raw.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    /// The number at `offset`, in the machine's order of bytes. Precondition: it lies within the array.
    @inlinable @inline(__always) public func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
        return unsafe span.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
    }
}

extension MutableSpan<UInt8> {
    /// Puts a number at `offset`, in the machine's order of bytes. Precondition: it lies within the span.
    @inlinable @inline(__always) public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        var raw = unsafe mutableBytes
        unsafe raw.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    /// Puts `bytes` at `offset`. Precondition: they lie within the span.
    @inlinable @inline(__always) public mutating func store(_ bytes: [UInt8], at offset: Int) {
        precondition(offset >= 0 && offset <= count - bytes.count)
        unsafe withUnsafeMutableBufferPointer { target in
            unsafe bytes.withUnsafeBufferPointer { source in
                _ = unsafe UnsafeMutableBufferPointer(rebasing: target[offset..<offset + source.count]).update(fromContentsOf: source)
            }
        }
    }
}

extension Span<UInt8> {
    /// Where the first `word`, little-endian and at any alignment, begins at or after `start`.
    public func firstIndex(of word: UInt32, from start: Int) -> Int? {
        if start >= count { return nil }
        // SAFETY: the pointer is used only while the span is borrowed, and within its count.
        let found = unsafe extracting(start..<count).withUnsafeBufferPointer { unsafe chost_find_word($0.baseAddress, $0.count, word) }
        return found < 0 ? nil : start + found
    }
}

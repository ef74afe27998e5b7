public import Host

/// Decodes fields from bytes that a hostile peer may have written. Every length is checked against its bound and against
/// the bytes that are left before anything is allocated.
public struct WireReader: WireVisitor, ~Copyable, ~Escapable {
    @usableFromInline let source: Span<UInt8>
    @usableFromInline var offset: Int
    @usableFromInline var end: Int

    /// A reader at the first byte of `bytes`.
    @_lifetime(copy bytes)
    @inlinable public init(_ bytes: Span<UInt8>) {
        source = bytes
        offset = 0
        end = bytes.count
    }

    /// Bytes not yet read.
    @inlinable public var remaining: Int { end - offset }

    /// The next integer, unchecked against any bound.
    @inlinable public mutating func raw<T: FixedWidthInteger>(_ name: StaticString, _: T.Type = T.self) throws(WireError) -> T {
        let width = T.bitWidth / 8
        guard remaining >= width else { throw WireError(.truncated, name) }
        var value: T = 0
        for index in 0..<width {
            value |= T(truncatingIfNeeded: source[offset &+ index]) << T(truncatingIfNeeded: 8 &* index)
        }
        offset += width
        return value
    }

    @inlinable mutating func length(_ name: StaticString, _ maximum: Int) throws(WireError) -> Int {
        let value: Int = maximum <= 0xffff ? Int(try raw(name, UInt16.self)) : Int(try raw(name, UInt32.self))
        guard value <= maximum else { throw WireError(.outOfBounds, name, value: UInt64(value)) }
        // Whatever is counted takes at least one byte each.
        guard value <= remaining else { throw WireError(.truncated, name) }
        return value
    }

    @inlinable mutating func take(_ count: Int) -> [UInt8] {
        let from = offset
        offset += count
        return [UInt8](copying: source.extracting(from..<offset))
    }

    @inlinable public mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, _ minimum: T, _ maximum: T, _ note: StaticString
    ) throws(WireError) {
        let read = try raw(name, T.self)
        guard read >= minimum, read <= maximum else { throw WireError(.outOfBounds, name, value: UInt64(truncatingIfNeeded: read)) }
        value = read
    }

    @inlinable public mutating func boolean(_ name: StaticString, _ value: inout Bool, _ note: StaticString) throws(WireError) {
        let read = try raw(name, UInt8.self)
        guard read <= 1 else { throw WireError(.undefined, name, value: UInt64(read)) }
        value = read == 1
    }

    @inlinable public mutating func bytes(
        _ name: StaticString, _ value: inout [UInt8], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        value = take(try length(name, maximum))
    }

    public mutating func text(_ name: StaticString, _ value: inout String, maximum: Int, _ note: StaticString) throws(WireError) {
        let count = try length(name, maximum)
        guard let read = String(validating: take(count), as: UTF8.self) else {
            throw WireError(.undefined, name, value: UInt64(count))
        }
        value = read
    }

    @inlinable public mutating func enumeration<E: WireEnumeration>(
        _ name: StaticString, _ value: inout E, _ note: StaticString
    ) throws(WireError) {
        let read = try raw(name, E.RawValue.self)
        guard let known = E(rawValue: read) else { throw WireError(.undefined, name, value: UInt64(truncatingIfNeeded: read)) }
        value = known
    }

    @inlinable public mutating func flags<O: OptionSet & Sendable>(
        _ name: StaticString, _ value: inout O, allowed: O, _ note: StaticString
    ) throws(WireError) where O.RawValue: FixedWidthInteger & Sendable {
        let read = try raw(name, O.RawValue.self)
        guard read & ~allowed.rawValue == 0 else { throw WireError(.undefined, name, value: UInt64(truncatingIfNeeded: read)) }
        value = O(rawValue: read)
    }

    @inlinable public mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        let count = try length(name, maximum)
        guard remaining / (T.bitWidth / 8) >= count else { throw WireError(.truncated, name) }
        value = []
        value.reserveCapacity(count)
        for _ in 0..<count { value.append(try raw(name)) }
    }

    @inlinable public mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int, _ note: StaticString
    ) throws(WireError) {
        let count = try length(name, maximum)
        value = []
        for _ in 0..<count { value.append(take(try length(name, each))) }
    }

    @inlinable public mutating func inline<S: WireStructure>(
        _ name: StaticString, _ value: inout S, _ note: StaticString
    ) throws(WireError) {
        try value.visit(&self)
    }

    @inlinable public mutating func structure<S: WireStructure>(
        _ name: StaticString, _ value: inout S, _ note: StaticString
    ) throws(WireError) {
        let length = try raw(name, UInt32.self)
        guard Int(length) <= remaining else { throw WireError(.truncated, name) }
        let outer = end
        end = offset + Int(length)
        try value.visit(&self)
        offset = end  // what a newer peer appended
        end = outer
    }

    @inlinable public mutating func structures<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        let count = try length(name, maximum)
        value = []
        for _ in 0..<count {
            var element = S()
            try structure(name, &element, note)
            value.append(element)
        }
    }

    @inlinable public mutating func inlines<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        let count = try length(name, maximum)
        value = []
        for _ in 0..<count {
            var element = S()
            try element.visit(&self)
            value.append(element)
        }
    }

    @inlinable public mutating func optional<S: WireStructure>(
        _ name: StaticString, _ value: inout S?, _ note: StaticString
    ) throws(WireError) {
        var present = false
        try boolean(name, &present, note)
        value = nil
        guard present else { return }
        var read = S()
        try structure(name, &read, note)
        value = read
    }

    @inlinable public mutating func appended(inMinor minor: UInt16) -> Bool { remaining > 0 }
}

extension WireStructure {
    /// Decodes a whole message. Bytes after the last known field belong to a newer peer and are ignored.
    @inlinable public init(decoding bytes: Span<UInt8>) throws(WireError) {
        self.init()
        var reader = WireReader(bytes)
        try visit(&reader)
    }

    /// Decodes a whole message.
    @inlinable public init(decoding bytes: [UInt8]) throws(WireError) { try self.init(decoding: bytes.span) }
}

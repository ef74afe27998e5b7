/// Encodes fields. It checks the same bounds as the reader, so that a value too large is an error at its source.
public struct WireWriter: WireVisitor, ~Copyable {
    /// What has been written so far.
    public var output: [UInt8]
    /// Fields newer than this minor version are left out.
    public let minor: UInt16

    /// A writer that appends to `output` what a peer of version `minor` understands.
    @inlinable public init(appendingTo output: [UInt8] = [], minor: UInt16 = .max) {
        self.output = output
        self.minor = minor
    }

    /// Gives up the bytes.
    @inlinable public consuming func finish() -> [UInt8] { output }

    /// Appends one integer.
    @inlinable public mutating func raw<T: FixedWidthInteger>(_ value: T) {
        for index in 0..<(T.bitWidth / 8) {
            output.append(UInt8(truncatingIfNeeded: value >> T(truncatingIfNeeded: 8 &* index)))
        }
    }

    @inlinable mutating func length(_ name: StaticString, _ count: Int, _ maximum: Int) throws(WireError) {
        guard count <= maximum else { throw WireError(.outOfBounds, name, value: UInt64(count)) }
        if maximum <= 0xffff { raw(UInt16(truncatingIfNeeded: count)) } else { raw(UInt32(truncatingIfNeeded: count)) }
    }

    @inlinable public mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, _ minimum: T, _ maximum: T, _ note: StaticString
    ) throws(WireError) {
        guard value >= minimum, value <= maximum else { throw WireError(.outOfBounds, name, value: UInt64(truncatingIfNeeded: value)) }
        raw(value)
    }

    @inlinable public mutating func boolean(_ name: StaticString, _ value: inout Bool, _ note: StaticString) throws(WireError) {
        output.append(value ? 1 : 0)
    }

    @inlinable public mutating func bytes(
        _ name: StaticString, _ value: inout [UInt8], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        try length(name, value.count, maximum)
        output.append(contentsOf: value)
    }

    @inlinable public mutating func text(
        _ name: StaticString, _ value: inout String, maximum: Int, _ note: StaticString
    ) throws(WireError) {
        try length(name, value.utf8.count, maximum)
        output.append(contentsOf: value.utf8)
    }

    @inlinable public mutating func enumeration<E: WireEnumeration>(
        _ name: StaticString, _ value: inout E, _ note: StaticString
    ) throws(WireError) {
        raw(value.rawValue)
    }

    @inlinable public mutating func flags<O: OptionSet & Sendable>(
        _ name: StaticString, _ value: inout O, allowed: O, _ note: StaticString
    ) throws(WireError) where O.RawValue: FixedWidthInteger & Sendable {
        guard value.rawValue & ~allowed.rawValue == 0 else {
            throw WireError(.undefined, name, value: UInt64(truncatingIfNeeded: value.rawValue))
        }
        raw(value.rawValue)
    }

    @inlinable public mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        try length(name, value.count, maximum)
        for element in value { raw(element) }
    }

    @inlinable public mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int, _ note: StaticString
    ) throws(WireError) {
        try length(name, value.count, maximum)
        for element in value {
            try length(name, element.count, each)
            output.append(contentsOf: element)
        }
    }

    @inlinable public mutating func inline<S: WireStructure>(
        _ name: StaticString, _ value: inout S, _ note: StaticString
    ) throws(WireError) {
        try value.visit(&self)
    }

    @inlinable public mutating func structure<S: WireStructure>(
        _ name: StaticString, _ value: inout S, _ note: StaticString
    ) throws(WireError) {
        let start = output.count
        raw(UInt32(0))
        try value.visit(&self)
        let length = output.count - start - 4
        guard let length = UInt32(exactly: length) else { throw WireError(.outOfBounds, name, value: UInt64(length)) }
        for index in 0..<4 { output[start + index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index)) }
    }

    @inlinable public mutating func structures<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        try length(name, value.count, maximum)
        for index in value.indices { try structure(name, &value[index], note) }
    }

    @inlinable public mutating func inlines<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        try length(name, value.count, maximum)
        for var element in value { try element.visit(&self) }
    }

    @inlinable public mutating func optional<S: WireStructure>(
        _ name: StaticString, _ value: inout S?, _ note: StaticString
    ) throws(WireError) {
        guard var present = value else {
            output.append(0)
            return
        }
        output.append(1)
        try structure(name, &present, note)
    }

    @inlinable public mutating func appended(inMinor minor: UInt16) -> Bool { minor <= self.minor }
}

extension WireStructure {
    /// The bytes of this message as a peer of version `minor` understands them.
    @inlinable public func encoded(minor: UInt16 = .max) throws(WireError) -> [UInt8] {
        var copy = self
        var writer = WireWriter(minor: minor)
        try copy.visit(&writer)
        return writer.finish()
    }
}

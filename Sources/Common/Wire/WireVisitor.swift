/// A structure that travels between the components.
///
/// Its one description, `visit`, names every field in order with its width and bound. The visitor decides what the
/// description does: encode (`WireWriter`), decode (`WireReader`), document (`WireDocument`), make the sample of the
/// golden vectors (`WireSampler`), print JSON. So they cannot disagree.
///
/// Rules of change: within a major version fields are only appended, at the end, behind
/// `guard v.appended(inMinor: n) else { return }`. Readers skip what they do not know; writers leave out what is newer than
/// the minor version agreed on. Everything before the first `appended` is required.
public protocol WireStructure: Sendable {
    /// The value whose fields a reader overwrites, and which appended fields keep when an older peer did not send them.
    init()
    /// Shows every field to `v`, in wire order.
    mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError)
    /// One line for the documentation.
    static var summary: String { get }
}

/// A closed set of values with a fixed width on the wire. Values outside the set are refused.
public protocol WireEnumeration: RawRepresentable, CaseIterable, Sendable where RawValue: FixedWidthInteger & Sendable {}

/// What a description is shown to. All integers are little-endian.
public protocol WireVisitor: ~Copyable, ~Escapable {
    /// An integer of its own width, within bounds that include both ends.
    mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, _ minimum: T, _ maximum: T, _ note: StaticString) throws(WireError)
    /// One byte, 0 or 1.
    mutating func boolean(_ name: StaticString, _ value: inout Bool, _ note: StaticString) throws(WireError)
    /// A length, then so many bytes. The length is a u16 where `maximum` fits one, else a u32.
    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], maximum: Int, _ note: StaticString) throws(WireError)
    /// As `bytes`, valid UTF-8.
    mutating func text(_ name: StaticString, _ value: inout String, maximum: Int, _ note: StaticString) throws(WireError)
    /// The raw value.
    mutating func enumeration<E: WireEnumeration>(_ name: StaticString, _ value: inout E, _ note: StaticString) throws(WireError)
    /// The raw value; a bit outside `allowed` is refused.
    mutating func flags<O: OptionSet & Sendable>(_ name: StaticString, _ value: inout O, allowed: O, _ note: StaticString) throws(WireError)
    where O.RawValue: FixedWidthInteger & Sendable
    /// A count (u16 or u32 as for `bytes`), then the integers.
    mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int, _ note: StaticString) throws(WireError)
    /// A count, then byte strings of at most `each` bytes.
    mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int, _ note: StaticString) throws(WireError)
    /// The fields of `value`, in place: no length, so its fields are fixed for the whole major version.
    mutating func inline<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError)
    /// A u32 length, then the fields of `value`, which may grow.
    mutating func structure<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError)
    /// A count, then structures with their u32 lengths.
    mutating func structures<S: WireStructure>(_ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString)
        throws(WireError)
    /// A count, then structures in place, as for `inline`.
    mutating func inlines<S: WireStructure>(_ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString) throws(WireError)
    /// A boolean, then, if 1, the structure with its length.
    mutating func optional<S: WireStructure>(_ name: StaticString, _ value: inout S?, _ note: StaticString) throws(WireError)
    /// Marks the fields after it as new in minor version `minor`; false means that they do not exist in these bytes.
    mutating func appended(inMinor minor: UInt16) -> Bool
}

/// The same calls with the usual defaults.
extension WireVisitor where Self: ~Copyable & ~Escapable {
    @inlinable public mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, in bounds: ClosedRange<T> = T.min...T.max, _ note: StaticString = ""
    ) throws(WireError) {
        try integer(name, &value, bounds.lowerBound, bounds.upperBound, note)
    }
    @inlinable public mutating func boolean(_ name: StaticString, _ value: inout Bool) throws(WireError) {
        try boolean(name, &value, "")
    }
    @inlinable public mutating func bytes(_ name: StaticString, _ value: inout [UInt8], maximum: Int) throws(WireError) {
        try bytes(name, &value, maximum: maximum, "")
    }
    @inlinable public mutating func text(_ name: StaticString, _ value: inout String, maximum: Int) throws(WireError) {
        try text(name, &value, maximum: maximum, "")
    }
    @inlinable public mutating func enumeration<E: WireEnumeration>(_ name: StaticString, _ value: inout E) throws(WireError) {
        try enumeration(name, &value, "")
    }
    @inlinable public mutating func flags<O: OptionSet & Sendable>(_ name: StaticString, _ value: inout O, allowed: O) throws(WireError)
    where O.RawValue: FixedWidthInteger & Sendable {
        try flags(name, &value, allowed: allowed, "")
    }
    @inlinable public mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int
    ) throws(WireError) {
        try integers(name, &value, maximum: maximum, "")
    }
    @inlinable public mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int
    ) throws(WireError) {
        try byteStrings(name, &value, maximum: maximum, each: each, "")
    }
    @inlinable public mutating func inline<S: WireStructure>(_ name: StaticString, _ value: inout S) throws(WireError) {
        try inline(name, &value, "")
    }
    @inlinable public mutating func structure<S: WireStructure>(_ name: StaticString, _ value: inout S) throws(WireError) {
        try structure(name, &value, "")
    }
    @inlinable public mutating func structures<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int
    ) throws(WireError) {
        try structures(name, &value, maximum: maximum, "")
    }
    @inlinable public mutating func inlines<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int
    ) throws(WireError) {
        try inlines(name, &value, maximum: maximum, "")
    }
    @inlinable public mutating func optional<S: WireStructure>(_ name: StaticString, _ value: inout S?) throws(WireError) {
        try optional(name, &value, "")
    }
}

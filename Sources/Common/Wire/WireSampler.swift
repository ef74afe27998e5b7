/// Fills a value with the fixed, telling contents that golden vectors are made of: every field different, every list of
/// two, every optional present, all within bounds.
public struct WireSampler: WireVisitor {
    private var counter: UInt64 = 0
    private var depth = 0

    public init() {}

    /// The sample of `S`.
    public static func sample<S: WireStructure>(_: S.Type = S.self) -> S {
        var sampler = WireSampler()
        var value = S()
        // Sampling refuses nothing.
        try? value.visit(&sampler)
        return value
    }

    private mutating func next() -> UInt64 {
        counter += 1
        return counter
    }

    private mutating func nextBytes(_ maximum: Int) -> [UInt8] {
        Array("\(next())".utf8.prefix(maximum))
    }

    private mutating func number<T: FixedWidthInteger>(_ minimum: T, _ maximum: T) -> T {
        let wanted = T(truncatingIfNeeded: next() & 0x7f)
        return min(max(wanted, minimum), maximum)
    }

    public mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, _ minimum: T, _ maximum: T, _ note: StaticString
    ) throws(WireError) {
        value = number(minimum, maximum)
    }
    public mutating func boolean(_ name: StaticString, _ value: inout Bool, _ note: StaticString) throws(WireError) {
        value = next() % 2 == 0
    }
    public mutating func bytes(_ name: StaticString, _ value: inout [UInt8], maximum: Int, _ note: StaticString) throws(WireError) {
        value = nextBytes(maximum)
    }
    public mutating func text(_ name: StaticString, _ value: inout String, maximum: Int, _ note: StaticString) throws(WireError) {
        value = String(decoding: nextBytes(maximum), as: UTF8.self)
    }
    public mutating func enumeration<E: WireEnumeration>(_ name: StaticString, _ value: inout E, _ note: StaticString) throws(WireError) {
        let cases = Array(E.allCases)
        if !cases.isEmpty { value = cases[Int(next() % UInt64(cases.count))] }
    }
    public mutating func flags<O: OptionSet & Sendable>(_ name: StaticString, _ value: inout O, allowed: O, _ note: StaticString)
        throws(WireError) where O.RawValue: FixedWidthInteger & Sendable
    {
        value = O(rawValue: O.RawValue(truncatingIfNeeded: next()) & allowed.rawValue)
    }
    public mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        value = [number(.min, .max), number(.min, .max)]
    }
    public mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int, _ note: StaticString
    ) throws(WireError) {
        value = [nextBytes(each), nextBytes(each)]
    }
    public mutating func inline<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError) {
        try value.visit(&self)
    }
    public mutating func structure<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError) {
        try value.visit(&self)
    }
    public mutating func structures<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        try inlines(name, &value, maximum: maximum, note)
    }
    public mutating func inlines<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        value = []
        for _ in 0..<min(2, maximum) {
            var element = S()
            try element.visit(&self)
            value.append(element)
        }
    }
    public mutating func optional<S: WireStructure>(_ name: StaticString, _ value: inout S?, _ note: StaticString) throws(WireError) {
        var present = S()
        try present.visit(&self)
        value = present
    }
    public mutating func appended(inMinor minor: UInt16) -> Bool { true }
}

/// The bytes that a released version put on the wire, as text that a repository can keep.
public enum GoldenVectors {
    /// `name hex` of the sample of `S`, as a peer of version `minor` gets it.
    public static func line<S: WireStructure>(_: S.Type, minor: UInt16 = .max) -> String {
        let bytes = (try? WireSampler.sample(S.self).encoded(minor: minor)) ?? []
        let digits = Array("0123456789abcdef".utf8)
        var hex: [UInt8] = []
        for byte in bytes { hex += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return "\(S.self) " + String(decoding: hex, as: UTF8.self)
    }
}

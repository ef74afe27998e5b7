internal import Diagnostics
public import Wire

/// Prints any wire structure as a JSON object, from the same description that encodes it.
public struct JSONVisitor: WireVisitor {
    private var output: [UInt8] = [0x7b]
    private var isFirst = true

    private init() {}

    /// The object of `value`.
    public static func json<S: WireStructure>(_ value: S) -> [UInt8] {
        var visitor = JSONVisitor()
        var copy = value
        // Printing refuses nothing.
        try? copy.visit(&visitor)
        return visitor.output + [0x7d]
    }

    private mutating func name(_ name: StaticString) {
        if !isFirst { output.append(0x2c) }
        isFirst = false
        JSONText.appendQuoted("\(name)", to: &output)
        output.append(0x3a)
    }

    private mutating func list<T>(_ name: StaticString, _ values: [T], _ body: (inout JSONVisitor, T) -> Void) {
        self.name(name)
        output.append(0x5b)
        for (index, value) in values.enumerated() {
            if index > 0 { output.append(0x2c) }
            body(&self, value)
        }
        output.append(0x5d)
    }

    public mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, _ minimum: T, _ maximum: T, _ note: StaticString
    ) throws(WireError) {
        self.name(name)
        output += Array("\(value)".utf8)
    }
    public mutating func boolean(_ name: StaticString, _ value: inout Bool, _ note: StaticString) throws(WireError) {
        self.name(name)
        output += Array((value ? "true" : "false").utf8)
    }
    public mutating func bytes(_ name: StaticString, _ value: inout [UInt8], maximum: Int, _ note: StaticString) throws(WireError) {
        self.name(name)
        JSONText.appendQuoted(bytes: value, to: &output)
    }
    public mutating func text(_ name: StaticString, _ value: inout String, maximum: Int, _ note: StaticString) throws(WireError) {
        self.name(name)
        JSONText.appendQuoted(value, to: &output)
    }
    public mutating func enumeration<E: WireEnumeration>(_ name: StaticString, _ value: inout E, _ note: StaticString) throws(WireError) {
        self.name(name)
        JSONText.appendQuoted("\(value)", to: &output)
    }
    public mutating func flags<O: OptionSet & Sendable>(_ name: StaticString, _ value: inout O, allowed: O, _ note: StaticString)
        throws(WireError) where O.RawValue: FixedWidthInteger & Sendable
    {
        self.name(name)
        output += Array("\(value.rawValue)".utf8)
    }
    public mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        list(name, value) { $0.output += Array("\($1)".utf8) }
    }
    public mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int, _ note: StaticString
    ) throws(WireError) {
        list(name, value) { JSONText.appendQuoted(bytes: $1, to: &$0.output) }
    }
    public mutating func inline<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError) {
        self.name(name)
        output += Self.json(value)
    }
    public mutating func structure<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError) {
        self.name(name)
        output += Self.json(value)
    }
    public mutating func structures<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        list(name, value) { $0.output += Self.json($1) }
    }
    public mutating func inlines<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        list(name, value) { $0.output += Self.json($1) }
    }
    public mutating func optional<S: WireStructure>(_ name: StaticString, _ value: inout S?, _ note: StaticString) throws(WireError) {
        self.name(name)
        output += value.map { Self.json($0) } ?? Array("null".utf8)
    }
    public mutating func appended(inMinor minor: UInt16) -> Bool { true }
}

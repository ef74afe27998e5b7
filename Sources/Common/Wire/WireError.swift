/// Why bytes were refused, and at which field. Trivial, so throwing one on a hot path allocates nothing.
public struct WireError: Error, Sendable, CustomStringConvertible {
    /// The rule that was broken.
    public enum Rule: UInt8, Sendable {
        /// The bytes end inside a field, or before a field that every version has.
        case truncated
        /// A length, count or number lies outside its bound.
        case outOfBounds
        /// A value that no version defines (an enumeration, a flag, a boolean, text that is not UTF-8).
        case undefined
        /// Bytes that must be zero are not, or a header contradicts itself.
        case malformed
        /// The peer speaks another major version.
        case incompatible
    }

    public let rule: Rule
    /// The field being read or written.
    public let field: StaticString
    /// The offending number, where there is one.
    public let value: UInt64

    public init(_ rule: Rule, _ field: StaticString, value: UInt64 = 0) {
        self.rule = rule
        self.field = field
        self.value = value
    }

    public var description: String {
        switch rule {
        case .truncated: "field '\(field)': the bytes end too early"
        case .outOfBounds: "field '\(field)': \(value) is out of bounds"
        case .undefined: "field '\(field)': \(value) has no meaning"
        case .malformed: "field '\(field)': malformed (\(value))"
        case .incompatible: "field '\(field)': incompatible version \(value)"
        }
    }
}

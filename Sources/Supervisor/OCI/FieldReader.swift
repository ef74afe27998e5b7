/// What is wrong in a configuration: the field, the problem, and what to do about it.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The field in dotted form (`process.args[0]`); empty for the document as a whole.
    public let field: String
    public let problem: String
    /// What the author of the configuration can do; may be empty.
    public let advice: String

    public init(_ field: String, _ problem: String, advice: String = "") {
        self.field = field
        self.problem = problem
        self.advice = advice
    }

    public var description: String {
        (field.isEmpty ? "" : field + ": ") + problem + (advice.isEmpty ? "" : " (" + advice + ")")
    }
}

/// Bounds on what a configuration may hold. They are far above what engines send and far below what could hurt.
public enum ConfigurationLimit {
    /// Bytes of config.json, a process file or a resources document.
    public static let documentBytes = 4 << 20
    /// Bytes of one argument or environment variable: MAX_ARG_STRLEN of execve(2).
    public static let argumentBytes = 128 << 10
    /// Bytes of all arguments and environment variables together: what execve(2) grants with the usual stack limit.
    public static let argumentTotalBytes = 2 << 20
    /// Bytes of a path: PATH_MAX.
    public static let pathBytes = 4096
    /// Elements of an array without a tighter bound of its own.
    public static let elements = 4096
    /// Bytes of a string without a tighter bound of its own.
    public static let stringBytes = 64 << 10
}

/// Reads typed fields of one JSON object and names the field in every error. `null` counts as absent, unknown members are skipped, as Go does it.
public struct FieldReader {
    public let path: String
    private let members: [JSON.Member]

    /// `value` must be an object.
    public init(_ value: JSON, path: String = "") throws(ConfigurationError) {
        guard case .object(let members) = value else { throw ConfigurationError(path, "expected an object, found \(value.kind)") }
        self.members = members
        self.path = path
    }

    /// The dotted name of member `key`.
    public func name(_ key: String) -> String { path.isEmpty ? key : path + "." + key }

    /// The value of `key`, or nil when it is absent or null.
    public func value(_ key: String) -> JSON? {
        guard let value = members.last(where: { $0.key == key })?.value, value != .null else { return nil }
        return value
    }

    private func mismatch(_ key: String, _ wanted: String, _ value: JSON) -> ConfigurationError {
        ConfigurationError(name(key), "expected \(wanted), found \(value.kind)")
    }

    static func check(_ text: String, _ maximum: Int, _ name: @autoclosure () -> String) throws(ConfigurationError) {
        if text.utf8.count > maximum { throw ConfigurationError(name(), "longer than \(maximum) bytes") }
        if text.utf8.contains(0) { throw ConfigurationError(name(), "contains a NUL byte") }
    }

    /// A string of at most `maximum` bytes without NUL.
    public func string(_ key: String, maximum: Int = ConfigurationLimit.stringBytes) throws(ConfigurationError) -> String? {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value else { throw mismatch(key, "a string", value) }
        try Self.check(text, maximum, name(key))
        return text
    }

    /// A boolean; false when absent.
    public func bool(_ key: String) throws(ConfigurationError) -> Bool {
        guard let value = value(key) else { return false }
        guard case .bool(let flag) = value else { throw mismatch(key, "true or false", value) }
        return flag
    }

    /// An integer that fits `Value`.
    public func integer<Value: FixedWidthInteger>(_ key: String, as type: Value.Type = Value.self) throws(ConfigurationError) -> Value? {
        guard let value = value(key) else { return nil }
        guard case .number(let text) = value else { throw mismatch(key, "a number", value) }
        guard let number = Value(text) else {
            throw ConfigurationError(name(key), "\(text) is not a whole number between \(Value.min) and \(Value.max)")
        }
        return number
    }

    /// An array of at most `maximum` integers.
    public func integers<Value: FixedWidthInteger>(
        _ key: String, as type: Value.Type = Value.self, maximum: Int = ConfigurationLimit.elements
    ) throws(ConfigurationError) -> [Value] {
        var numbers: [Value] = []
        for (index, value) in try elements(key, maximum: maximum).enumerated() {
            guard case .number(let text) = value, let number = Value(text) else {
                throw ConfigurationError(name(key) + "[\(index)]", "expected a whole number between \(Value.min) and \(Value.max)")
            }
            numbers.append(number)
        }
        return numbers
    }

    private func elements(_ key: String, maximum: Int) throws(ConfigurationError) -> [JSON] {
        guard let value = value(key) else { return [] }
        guard case .array(let elements) = value else { throw mismatch(key, "an array", value) }
        if elements.count > maximum { throw ConfigurationError(name(key), "has \(elements.count) elements, the limit is \(maximum)") }
        return elements
    }

    /// An array of at most `maximum` strings of at most `bytes` bytes each.
    public func strings(
        _ key: String, maximum: Int = ConfigurationLimit.elements, bytes: Int = ConfigurationLimit.stringBytes
    ) throws(ConfigurationError) -> [String] {
        let elements = try elements(key, maximum: maximum)
        var texts: [String] = []
        texts.reserveCapacity(elements.count)
        for (index, value) in elements.enumerated() {
            guard case .string(let text) = value else { throw mismatch(key + "[\(index)]", "a string", value) }
            try Self.check(text, bytes, name(key) + "[\(index)]")
            texts.append(text)
        }
        return texts
    }

    /// An object whose values are strings.
    public func dictionary(_ key: String, maximum: Int = ConfigurationLimit.elements) throws(ConfigurationError) -> [String: String] {
        guard let value = value(key) else { return [:] }
        guard case .object(let members) = value else { throw mismatch(key, "an object", value) }
        if members.count > maximum { throw ConfigurationError(name(key), "has \(members.count) members, the limit is \(maximum)") }
        var result: [String: String] = [:]
        for member in members {
            guard case .string(let text) = member.value else { throw mismatch(key + "." + member.key, "a string", member.value) }
            try Self.check(member.key, ConfigurationLimit.stringBytes, name(key))
            try Self.check(text, ConfigurationLimit.stringBytes, name(key) + "." + member.key)
            result[member.key] = text
        }
        return result
    }

    /// A nested object.
    public func object<Value>(_ key: String, _ read: (FieldReader) throws(ConfigurationError) -> Value) throws(ConfigurationError) -> Value?
    {
        guard let value = value(key) else { return nil }
        return try read(FieldReader(value, path: name(key)))
    }

    /// An array of at most `maximum` objects.
    public func objects<Value>(
        _ key: String, maximum: Int = ConfigurationLimit.elements, _ read: (FieldReader) throws(ConfigurationError) -> Value
    ) throws(ConfigurationError) -> [Value] {
        var values: [Value] = []
        for (index, element) in try elements(key, maximum: maximum).enumerated() {
            values.append(try read(FieldReader(element, path: name(key) + "[\(index)]")))
        }
        return values
    }
}

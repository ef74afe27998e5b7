/// A JSON value as it stands in a file. Numbers keep their text, so that no 64-bit integer loses digits; objects keep their order.
///
/// The parser is small on purpose: it starts faster than a general decoder, it bounds depth and size before anything is built, and it
/// says at which line and column a document is broken.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])

    /// One `"key": value` of an object.
    public struct Member: Sendable, Equatable {
        public var key: String
        public var value: JSON
        public init(_ key: String, _ value: JSON) {
            self.key = key
            self.value = value
        }
    }

    /// An integer number.
    public static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }
    /// An array of strings.
    public static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }
    /// An object of strings, sorted by key.
    public static func strings(_ values: [String: String]) -> JSON {
        .object(values.sorted { $0.key < $1.key }.map { Member($0.key, .string($0.value)) })
    }

    /// The member `key` of an object; the last one counts when a key is repeated, as in Go.
    public subscript(_ key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    /// What kind of value this is, for messages.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// Why a document is not JSON, and where.
public struct JSONSyntaxError: Error, Sendable, CustomStringConvertible {
    public let line: Int
    public let column: Int
    public let problem: String
    public var description: String { "line \(line), column \(column): \(problem)" }
}

extension JSON {
    /// Reads one document. Depth beyond 64, or anything but white space after it, is an error.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        var parser = Parser(bytes)
        self = try parser.document()
    }

    private struct Parser {
        let bytes: [UInt8]
        var index = 0
        static let maximumDepth = 64

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        func failure(_ problem: String, at position: Int? = nil) -> JSONSyntaxError {
            let end = min(position ?? index, bytes.count)
            var line = 1
            var column = 1
            for byte in bytes[..<end] {
                if byte == 0x0A {
                    line += 1
                    column = 1
                } else {
                    column += 1
                }
            }
            return JSONSyntaxError(line: line, column: column, problem: problem)
        }

        func unexpected(_ wanted: String) -> JSONSyntaxError {
            guard index < bytes.count else { return failure("unexpected end of JSON input, looking for \(wanted)") }
            let byte = bytes[index]
            let shown = byte >= 0x20 && byte < 0x7F ? "'\(Character(Unicode.Scalar(byte)))'" : "0x" + String(byte, radix: 16)
            return failure("invalid character \(shown) looking for \(wanted)")
        }

        mutating func skipSpace() {
            while index < bytes.count, case let byte = bytes[index], byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                index += 1
            }
        }

        mutating func document() throws(JSONSyntaxError) -> JSON {
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
            let value = try self.value(depth: 0)
            skipSpace()
            if index != bytes.count { throw unexpected("the end of the document") }
            return value
        }

        mutating func value(depth: Int) throws(JSONSyntaxError) -> JSON {
            if depth > Self.maximumDepth { throw failure("nested deeper than \(Self.maximumDepth) levels") }
            skipSpace()
            guard index < bytes.count else { throw unexpected("a value") }
            switch bytes[index] {
            case UInt8(ascii: "{"): return try object(depth: depth)
            case UInt8(ascii: "["): return try array(depth: depth)
            case UInt8(ascii: "\""): return .string(try string())
            case UInt8(ascii: "t"): return try word("true", .bool(true))
            case UInt8(ascii: "f"): return try word("false", .bool(false))
            case UInt8(ascii: "n"): return try word("null", .null)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
            default: throw unexpected("a value")
            }
        }

        mutating func word(_ text: StaticString, _ value: JSON) throws(JSONSyntaxError) -> JSON {
            for scalar in text.description.utf8 {
                guard index < bytes.count, bytes[index] == scalar else { throw unexpected("the word '\(text)'") }
                index += 1
            }
            return value
        }

        mutating func number() throws(JSONSyntaxError) -> String {
            let start = index
            if bytes[index] == UInt8(ascii: "-") { index += 1 }
            let first = index
            try digits()
            if index - first > 1, bytes[first] == UInt8(ascii: "0") { throw failure("a number must not begin with 0", at: first) }
            if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
                index += 1
                try digits()
            }
            if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
                index += 1
                if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") { index += 1 }
                try digits()
            }
            if index - start > 64 { throw failure("a number longer than 64 characters", at: start) }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }

        mutating func digits() throws(JSONSyntaxError) {
            let start = index
            while index < bytes.count, bytes[index] >= UInt8(ascii: "0"), bytes[index] <= UInt8(ascii: "9") { index += 1 }
            if index == start { throw unexpected("a digit") }
        }

        mutating func string() throws(JSONSyntaxError) -> String {
            let start = index
            index += 1
            let first = index
            while index < bytes.count, case let byte = bytes[index], byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
                index += 1
            }
            if index < bytes.count, bytes[index] == UInt8(ascii: "\"") {
                defer { index += 1 }
                return String(decoding: bytes[first..<index], as: UTF8.self)
            }
            var text = Array(bytes[first..<index])
            while true {
                guard index < bytes.count else { throw failure("unexpected end of JSON input in a string", at: start) }
                let byte = bytes[index]
                switch byte {
                case UInt8(ascii: "\""):
                    index += 1
                    return String(decoding: text, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    index += 1
                    try escape(into: &text)
                case 0..<0x20:
                    throw unexpected("the end of a string")
                default:
                    text.append(byte)
                    index += 1
                }
            }
        }

        mutating func escape(into text: inout [UInt8]) throws(JSONSyntaxError) {
            guard index < bytes.count else { throw unexpected("an escape sequence") }
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                index += 1
                var unit = try hexadecimal()
                if unit & 0xFC00 == 0xD800, index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
                    bytes[index + 1] == UInt8(ascii: "u")
                {
                    let mark = index
                    index += 2
                    let low = try hexadecimal()
                    if low & 0xFC00 == 0xDC00 {
                        unit = 0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF)
                    } else {
                        index = mark
                    }
                }
                text.append(contentsOf: String(Unicode.Scalar(unit) ?? "\u{FFFD}").utf8)
                return
            default: throw unexpected("an escape sequence")
            }
            index += 1
        }

        mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
            guard index + 4 <= bytes.count, let value = UInt32(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16) else {
                throw unexpected("four hexadecimal digits")
            }
            index += 4
            return value
        }

        mutating func array(depth: Int) throws(JSONSyntaxError) -> JSON {
            index += 1
            var elements: [JSON] = []
            skipSpace()
            if index < bytes.count, bytes[index] == UInt8(ascii: "]") {
                index += 1
                return .array(elements)
            }
            while true {
                elements.append(try value(depth: depth + 1))
                skipSpace()
                guard index < bytes.count else { throw unexpected("',' or ']'") }
                if bytes[index] == UInt8(ascii: "]") {
                    index += 1
                    return .array(elements)
                }
                if bytes[index] != UInt8(ascii: ",") { throw unexpected("',' or ']'") }
                index += 1
            }
        }

        mutating func object(depth: Int) throws(JSONSyntaxError) -> JSON {
            index += 1
            var members: [Member] = []
            skipSpace()
            if index < bytes.count, bytes[index] == UInt8(ascii: "}") {
                index += 1
                return .object(members)
            }
            while true {
                skipSpace()
                guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw unexpected("an object key string") }
                let key = try string()
                skipSpace()
                guard index < bytes.count, bytes[index] == UInt8(ascii: ":") else { throw unexpected("':' after an object key") }
                index += 1
                members.append(Member(key, try value(depth: depth + 1)))
                skipSpace()
                guard index < bytes.count else { throw unexpected("',' or '}'") }
                if bytes[index] == UInt8(ascii: "}") {
                    index += 1
                    return .object(members)
                }
                if bytes[index] != UInt8(ascii: ",") { throw unexpected("',' or '}'") }
                index += 1
            }
        }
    }
}

extension JSON {
    /// The document as text. `indented` gives one member a line, two spaces a level.
    public func text(indented: Bool = false) -> String {
        var output: [UInt8] = []
        write(into: &output, indent: indented ? 0 : nil)
        return String(decoding: output, as: UTF8.self)
    }

    private func write(into output: inout [UInt8], indent: Int?) {
        func list<Element>(_ open: Character, _ close: Character, _ elements: [Element], _ each: (Element, Int?) -> Void) {
            output.append(open.asciiValue ?? 0)
            for (offset, element) in elements.enumerated() {
                if offset > 0 { output.append(UInt8(ascii: ",")) }
                if let indent { newline(indent + 1) }
                each(element, indent.map { $0 + 1 })
            }
            if let indent, !elements.isEmpty { newline(indent) }
            output.append(close.asciiValue ?? 0)
        }
        func newline(_ level: Int) {
            output.append(0x0A)
            output.append(contentsOf: repeatElement(0x20, count: 2 * level))
        }
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let text): output.append(contentsOf: text.utf8)
        case .string(let text): Self.writeString(text, into: &output)
        case .array(let elements): list("[", "]", elements) { element, level in element.write(into: &output, indent: level) }
        case .object(let members):
            list("{", "}", members) { member, level in
                Self.writeString(member.key, into: &output)
                output.append(contentsOf: (indent == nil ? ":" : ": ").utf8)
                member.value.write(into: &output, indent: level)
            }
        }
    }

    private static func writeString(_ text: String, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x0A: output.append(contentsOf: "\\n".utf8)
            case 0x0D: output.append(contentsOf: "\\r".utf8)
            case 0x09: output.append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7F:
                let digits = String(byte, radix: 16)
                output.append(contentsOf: ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}

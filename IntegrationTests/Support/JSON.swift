import Foundation

/// A JSON value, written as Swift literals.
indirect enum JSON: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    case text(String)
    case number(Int)
    case boolean(Bool)
    case list([JSON])
    case object([String: JSON])
    case null

    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .number(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }
    init(arrayLiteral elements: JSON...) { self = .list(elements) }
    init(dictionaryLiteral elements: (String, JSON)...) { self = .object(Dictionary(elements) { _, last in last }) }
    init(_ texts: [String]) { self = .list(texts.map(JSON.text)) }

    /// The value at a key; assigning makes this an object.
    subscript(_ key: String) -> JSON {
        get {
            if case .object(let members) = self { return members[key] ?? .null }
            return .null
        }
        set {
            var members: [String: JSON] = [:]
            if case .object(let old) = self { members = old }
            members[key] = newValue == .null ? nil : newValue
            self = .object(members)
        }
    }

    var string: String? { if case .text(let value) = self { value } else { nil } }
    var integer: Int? { if case .number(let value) = self { value } else { nil } }
    var elements: [JSON] { if case .list(let value) = self { value } else { [] } }

    mutating func append(_ value: JSON) { self = .list(elements + [value]) }

    var bytes: [UInt8] {
        func convert(_ value: JSON) -> Any {
            switch value {
            case .text(let text): text
            case .number(let number): number
            case .boolean(let truth): truth
            case .list(let list): list.map(convert)
            case .object(let members): members.mapValues(convert)
            case .null: NSNull()
            }
        }
        return [UInt8]((try? JSONSerialization.data(withJSONObject: convert(self), options: [.sortedKeys, .fragmentsAllowed])) ?? Data())
    }

    /// Reads a document.
    init(parsing bytes: [UInt8]) throws {
        func convert(_ value: Any) -> JSON {
            switch value {
            case let text as String: .text(text)
            case let number as NSNumber: "\(type(of: number))".contains("Bool") ? .boolean(number.boolValue) : .number(number.intValue)
            case let list as [Any]: .list(list.map(convert))
            case let members as [String: Any]: .object(members.mapValues(convert))
            default: .null
            }
        }
        self = convert(try JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed]))
    }
}

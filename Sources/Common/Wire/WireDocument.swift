/// Collects the fields of descriptions as Markdown tables.
public struct WireDocument: WireVisitor {
    /// One field of one structure.
    public struct Row: Sendable {
        public let field: String
        public let type: String
        public let note: String
        public let since: UInt16
    }

    private var rows: [Row] = []
    private var since: UInt16 = 0
    private var nested: [(name: String, render: @Sendable (inout WireDocument) -> Void)] = []
    private var seen: Set<String> = []
    private var text = ""

    public init() {}

    /// Adds the table of `S`, then of each structure inside it that has none yet.
    public mutating func add<S: WireStructure>(_: S.Type, title: String? = nil, extra: String = "", level: Int = 3) {
        let name = "\(S.self)"
        guard seen.insert(name).inserted else { return }
        let rows = describe(S.self)
        let inner = nested
        nested = []
        text += String(repeating: "#", count: level) + " " + (title ?? name) + "\n\n" + S.summary + "\n\n"
        if !extra.isEmpty { text += extra + "\n\n" }
        if !rows.isEmpty {
            text += "| field | type | meaning |\n|---|---|---|\n"
            for row in rows {
                let since = row.since > 0 ? " (since minor \(row.since))" : ""
                text += "| `\(row.field)` | \(row.type) | \(row.note)\(since) |\n"
            }
            text += "\n"
        }
        for entry in inner { entry.render(&self) }
    }

    /// Adds prose.
    public mutating func add(prose: String) { text += prose + "\n\n" }

    /// The Markdown so far.
    public var markdown: String { text }

    private mutating func describe<S: WireStructure>(_: S.Type) -> [Row] {
        let saved = (rows, since)
        (rows, since) = ([], 0)
        defer { (rows, since) = saved }
        var value = S()
        // Documenting refuses nothing.
        do { try value.visit(&self) } catch { rows.append(Row(field: "\(error.field)", type: "?", note: error.description, since: 0)) }
        return rows
    }

    private mutating func row(_ name: StaticString, _ type: String, _ note: StaticString) {
        rows.append(Row(field: "\(name)", type: type, note: "\(note)", since: since))
    }

    private mutating func reference<S: WireStructure>(_: S.Type) -> String {
        nested.append((name: "\(S.self)", render: { $0.add(S.self) }))
        return "[\(S.self)](#\("\(S.self)".lowercased()))"
    }

    private func integerName<T: FixedWidthInteger>(_: T.Type) -> String { (T.isSigned ? "i" : "u") + "\(T.bitWidth)" }

    private func prefix(_ maximum: Int) -> String { maximum <= 0xffff ? "u16" : "u32" }

    public mutating func integer<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout T, _ minimum: T, _ maximum: T, _ note: StaticString
    ) throws(WireError) {
        let bounds = minimum == .min && maximum == .max ? "" : minimum == maximum ? ", \(minimum)" : ", \(minimum) to \(maximum)"
        row(name, integerName(T.self) + bounds, note)
    }
    public mutating func boolean(_ name: StaticString, _ value: inout Bool, _ note: StaticString) throws(WireError) {
        row(name, "u8, 0 or 1", note)
    }
    public mutating func bytes(_ name: StaticString, _ value: inout [UInt8], maximum: Int, _ note: StaticString) throws(WireError) {
        row(name, "bytes (\(prefix(maximum)) length), at most \(maximum)", note)
    }
    public mutating func text(_ name: StaticString, _ value: inout String, maximum: Int, _ note: StaticString) throws(WireError) {
        row(name, "UTF-8 (\(prefix(maximum)) length), at most \(maximum) bytes", note)
    }
    public mutating func enumeration<E: WireEnumeration>(_ name: StaticString, _ value: inout E, _ note: StaticString) throws(WireError) {
        let cases = E.allCases.map { "\($0.rawValue) \($0)" }.joined(separator: ", ")
        row(name, integerName(E.RawValue.self) + ": " + cases, note)
    }
    public mutating func flags<O: OptionSet & Sendable>(_ name: StaticString, _ value: inout O, allowed: O, _ note: StaticString)
        throws(WireError) where O.RawValue: FixedWidthInteger & Sendable
    {
        row(name, integerName(O.RawValue.self) + " bits, within 0x" + String(allowed.rawValue, radix: 16), note)
    }
    public mutating func integers<T: FixedWidthInteger & Sendable>(
        _ name: StaticString, _ value: inout [T], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        row(name, "list (\(prefix(maximum)) count) of \(integerName(T.self)), at most \(maximum)", note)
    }
    public mutating func byteStrings(
        _ name: StaticString, _ value: inout [[UInt8]], maximum: Int, each: Int, _ note: StaticString
    ) throws(WireError) {
        row(name, "list (\(prefix(maximum)) count) of bytes (\(prefix(each)) length), at most \(maximum) of \(each)", note)
    }
    public mutating func inline<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError) {
        row(name, reference(S.self) + ", in place", note)
    }
    public mutating func structure<S: WireStructure>(_ name: StaticString, _ value: inout S, _ note: StaticString) throws(WireError) {
        row(name, reference(S.self) + " (u32 length)", note)
    }
    public mutating func structures<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        row(name, "list (\(prefix(maximum)) count) of \(reference(S.self)) (u32 length), at most \(maximum)", note)
    }
    public mutating func inlines<S: WireStructure>(
        _ name: StaticString, _ value: inout [S], maximum: Int, _ note: StaticString
    ) throws(WireError) {
        row(name, "list (\(prefix(maximum)) count) of \(reference(S.self)), in place, at most \(maximum)", note)
    }
    public mutating func optional<S: WireStructure>(_ name: StaticString, _ value: inout S?, _ note: StaticString) throws(WireError) {
        row(name, "u8, then if 1 " + reference(S.self) + " (u32 length)", note)
    }
    public mutating func appended(inMinor minor: UInt16) -> Bool {
        since = minor
        return true
    }
}

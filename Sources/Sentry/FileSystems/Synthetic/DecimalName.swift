/// Names of directory entries that are numbers: process ids, descriptors, terminals.
enum DecimalName {
    /// The number, when `name` is its canonical decimal form (no sign, no leading zero) and fits.
    static func parse(_ name: [UInt8]) -> UInt32? {
        guard !name.isEmpty, name.count <= 10, name.count == 1 || name[0] != UInt8(ascii: "0") else { return nil }
        var value: UInt64 = 0
        for byte in name {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        return UInt32(exactly: value)
    }

    /// The same for numbers that are Int32.
    static func parseSigned(_ name: [UInt8]) -> Int32? { parse(name).flatMap { Int32(exactly: $0) } }
}

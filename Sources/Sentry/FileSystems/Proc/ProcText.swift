/// Bytes of a proc file in the making.
struct ProcText {
    var bytes: [UInt8] = []

    mutating func add(_ text: String) { bytes += text.utf8 }
    mutating func add(_ more: [UInt8]) { bytes += more }
    mutating func add(_ number: some BinaryInteger) { bytes += String(number).utf8 }
    mutating func newline() { bytes.append(0x0a) }

    /// Right-aligned in `width` columns.
    mutating func add(_ number: some BinaryInteger, width: Int, fill: UInt8 = 0x20) {
        let digits = Array(String(number).utf8)
        for _ in 0..<max(0, width - digits.count) { bytes.append(fill) }
        bytes += digits
    }

    /// Lower-case hexadecimal with at least `width` digits.
    mutating func addHex(_ number: UInt64, width: Int = 1) {
        var digits: [UInt8] = []
        var rest = number
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest & 0xf)
            digits.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            rest >>= 4
        } while rest > 0
        for _ in 0..<max(0, width - digits.count) { bytes.append(0x30) }
        bytes += digits.reversed()
    }

    /// A line `Label:` padded as meminfo and status do, with a count of KiB.
    mutating func addKilobytes(_ label: String, _ count: UInt64, labelWidth: Int = 0, width: Int = 8) {
        add(label)
        for _ in 0..<max(0, labelWidth - label.utf8.count) { bytes.append(0x20) }
        add(count / 1024, width: width)
        add(" kB\n")
    }

    /// Spaces up to `width` columns of the current line, which began at `start`.
    mutating func pad(to width: Int, from start: Int) {
        while bytes.count - start < width { bytes.append(0x20) }
    }

    /// A name with backslash and newline escaped, as seq_file does for comm.
    static func escape(_ name: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for byte in name {
            switch byte {
            case 0x0a: result += [0x5c, 0x6e]
            case 0x5c: result += [0x5c, 0x5c]
            default: result.append(byte)
            }
        }
        return result
    }

    /// A list of CPUs: `0-3`, or `0` for one.
    static func processorRange(_ count: Int) -> String { count > 1 ? "0-\(count - 1)" : "0" }
}

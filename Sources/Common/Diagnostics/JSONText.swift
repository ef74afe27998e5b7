/// Just enough JSON writing for logs and small reports; nothing in the Sentry or the Gofer parses JSON.
public enum JSONText {
    /// Appends `text` as a JSON string with its quotes. Control characters are escaped; text is UTF-8 already.
    public static func appendQuoted(_ text: some StringProtocol, to output: inout [UInt8]) {
        appendQuoted(bytes: Array(text.utf8), to: &output)
    }

    /// Appends bytes as a JSON string; bytes that are not UTF-8 become U+FFFD.
    public static func appendQuoted(bytes: [UInt8], to output: inout [UInt8]) {
        output.append(0x22)
        for byte in String(decoding: bytes, as: UTF8.self).utf8 {
            switch byte {
            case 0x22, 0x5c: output += [0x5c, byte]
            case 0x0a: output += [0x5c, 0x6e]
            case 0x09: output += [0x5c, 0x74]
            case 0..<0x20, 0x7f:
                let digits = Array("0123456789abcdef".utf8)
                output += [0x5c, 0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: output.append(byte)
            }
        }
        output.append(0x22)
    }

    /// `text` as a JSON string with its quotes.
    public static func quoted(_ text: some StringProtocol) -> String {
        var output: [UInt8] = []
        appendQuoted(text, to: &output)
        return String(decoding: output, as: UTF8.self)
    }
}

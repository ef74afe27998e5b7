import LinuxABI

/// The `#!` line of an interpreter script (execve(2)).
struct ScriptHeader: Equatable {
    var interpreter: [UInt8]
    /// Everything after the interpreter, trimmed, as one argument; nil when there is none.
    var argument: [UInt8]?

    /// Parses the first bytes of a file (at most 256, BINPRM_BUF_SIZE); nil when it is no script. ENOEXEC for an empty or cut-off line.
    static func parse(_ bytes: Span<UInt8>) throws(Errno) -> ScriptHeader? {
        guard bytes.count >= 2, bytes[0] == UInt8(ascii: "#"), bytes[1] == UInt8(ascii: "!") else { return nil }
        var line: [UInt8] = []
        var complete = false
        for index in 2..<bytes.count {
            if bytes[index] == UInt8(ascii: "\n") || bytes[index] == 0 {
                complete = true
                break
            }
            line.append(bytes[index])
        }
        let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        let trimmed = line.drop(while: isBlank)
        let name = trimmed.prefix { !isBlank($0) }
        guard !name.isEmpty else { throw .ENOEXEC }
        // Without a newline in the buffer the interpreter's name may be cut off: Linux refuses that, but not a long argument.
        let full = bytes.count >= 256
        if !complete, full, name.count == trimmed.count { throw .ENOEXEC }
        var rest = trimmed.dropFirst(name.count).drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return ScriptHeader(interpreter: Array(name), argument: rest.isEmpty ? nil : Array(rest))
    }
}

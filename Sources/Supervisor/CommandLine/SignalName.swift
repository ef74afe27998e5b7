internal import Diagnostics

/// Signals by name, as kill(1) and engines write them.
enum SignalName {
    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
        "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]

    /// `15`, `TERM`, `SIGTERM`, `sigterm`, `RTMIN+3`, `RTMAX-1`.
    static func parse(_ text: String) throws(SandboxError) -> Int32 {
        if let number = Int32(text) {
            if number >= 0, number <= 64 { return number }
        } else {
            var name = text.uppercased()
            if name.hasPrefix("SIG") { name.removeFirst(3) }
            if let index = names.firstIndex(of: name) { return Int32(index) + 1 }
            switch name {
            case "IOT": return 6
            case "CLD": return 17
            case "POLL": return 29
            case "RTMIN": return 34
            case "RTMAX": return 64
            default: break
            }
            if name.hasPrefix("RTMIN+"), let offset = Int32(name.dropFirst(6)), offset >= 0, offset <= 30 { return 34 + offset }
            if name.hasPrefix("RTMAX-"), let offset = Int32(name.dropFirst(6)), offset >= 0, offset <= 30 { return 64 - offset }
        }
        throw SandboxError(.invalidArgument, "unknown signal \"\(text)\"", hint: "a number from 0 to 64 or a name like SIGTERM")
    }
}

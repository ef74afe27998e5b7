import LinuxABI
import SentryKernel
import SentrySyscalls

/// `docs/compatibility.md`: how much of each system call there is.
enum CompatibilityDocument {
    static var text: String {
        let table = SystemCallTable.standard()
        var rows = ""
        var counts = (full: 0, partial: 0, refused: 0, absent: 0)
        for number in table.entries.indices {
            let name = "\(SystemCallNumber(rawValue: UInt64(number)))"
            switch table.entries[number]?.support {
            case .full?:
                counts.full += 1
                rows += "| \(number) | `\(name)` | full | |\n"
            case .partial(let note)?:
                counts.partial += 1
                rows += "| \(number) | `\(name)` | partial | \(note) |\n"
            case .refused(let errno, let why)?:
                counts.refused += 1
                rows += "| \(number) | `\(name)` | refused: \(errno) | \(why) |\n"
            case nil:
                // Numbers that Linux has not given out have no name.
                if name.hasPrefix("sys_") { continue }
                counts.absent += 1
                rows += "| \(number) | `\(name)` | none: ENOSYS | |\n"
            }
        }
        return """
            # Compatibility

            Generated from the tables in `Sources/Sentry/Syscalls/Calls` by `make docs`; do not edit. Of the system calls of x86-64 Linux \(counts.full) are complete,
            \(counts.partial) partial, \(counts.refused) refused with the errno that Linux has for it, \(counts.absent) unknown (ENOSYS). Each use of one that is not there is
            counted, the first is logged.

            | number | call | support | what is missing, or why |
            |---|---|---|---|
            \(rows)
            """
    }
}

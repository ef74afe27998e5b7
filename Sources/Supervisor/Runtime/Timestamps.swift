internal import Host

/// Points in time as state documents write them.
enum Timestamps {
    /// Now, RFC 3339 in UTC with nanoseconds.
    static func now() -> String { rfc3339(HostClock.realtime) }

    /// `nanoseconds` since 1970.
    static func rfc3339(_ nanoseconds: UInt64) -> String {
        let total = Int64(clamping: nanoseconds / 1_000_000_000)
        // Days to a civil date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        let shifted = total / 86_400 + 719_468
        let era = shifted / 146_097
        let day = shifted - era * 146_097
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let second = total % 86_400
        func pad(_ value: some BinaryInteger, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let date =
            "\(pad(year + era * 400 + (month <= 2 ? 1 : 0), 4))-\(pad(month, 2))-\(pad(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1, 2))"
        return "\(date)T\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2)).\(pad(nanoseconds % 1_000_000_000, 9))Z"
    }
}

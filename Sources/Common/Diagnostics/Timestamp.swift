/// A point in time as logs and reports print it.
enum Timestamp {
    /// "2026-01-31T12:00:00.123456Z" (UTC) of nanoseconds since 1970.
    static func rfc3339(nanoseconds: UInt64) -> String {
        let total = Int64(nanoseconds / 1_000_000_000)
        let microseconds = Int64(nanoseconds / 1000 % 1_000_000)
        // Days to a civil date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"; times before 1970 do not occur.
        let second = total % 86_400
        let shifted = total / 86_400 + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let time = "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))"
        return "\(date)T\(time).\(padded(microseconds, 6))Z"
    }
}

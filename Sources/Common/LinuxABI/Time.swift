extension Timespec {
    /// From nanoseconds since the clock's origin.
    @inlinable public init(nanoseconds total: UInt64) {
        self.init(tv_sec: Int64(total / 1_000_000_000), tv_nsec: Int64(total % 1_000_000_000))
    }
    /// Nanoseconds since the clock's origin, or nil when a field is out of range (EINVAL); clamped at the top.
    @inlinable public var nanoseconds: UInt64? {
        guard tv_sec >= 0, tv_nsec >= 0, tv_nsec < 1_000_000_000 else { return nil }
        let (whole, overflow) = UInt64(tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole.addingReportingOverflow(UInt64(tv_nsec)).partialValue
    }
}

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

/// clockid_t of clock_gettime(2).
public enum ClockIdentifier {
    public static let CLOCK_REALTIME: Int32 = 0
    public static let CLOCK_MONOTONIC: Int32 = 1
    public static let CLOCK_PROCESS_CPUTIME_ID: Int32 = 2
    public static let CLOCK_THREAD_CPUTIME_ID: Int32 = 3
    public static let CLOCK_MONOTONIC_RAW: Int32 = 4
    public static let CLOCK_REALTIME_COARSE: Int32 = 5
    public static let CLOCK_MONOTONIC_COARSE: Int32 = 6
    public static let CLOCK_BOOTTIME: Int32 = 7
    public static let CLOCK_REALTIME_ALARM: Int32 = 8
    public static let CLOCK_BOOTTIME_ALARM: Int32 = 9
    public static let CLOCK_TAI: Int32 = 11
}

/// Flags and names of the timer calls.
public enum TimerConstant {
    /// clock_nanosleep(2), timer_settime(2): the time is absolute.
    public static let TIMER_ABSTIME: Int32 = 1
    /// setitimer(2)
    public static let ITIMER_REAL: Int32 = 0
    public static let ITIMER_VIRTUAL: Int32 = 1
    public static let ITIMER_PROF: Int32 = 2
    /// getrusage(2)
    public static let RUSAGE_SELF: Int32 = 0
    public static let RUSAGE_CHILDREN: Int32 = -1
    public static let RUSAGE_THREAD: Int32 = 1
    /// USER_HZ: clock ticks of times(2) and proc, per second.
    public static let ticksPerSecond: UInt64 = 100
    /// Nanoseconds of one such tick.
    public static let nanosecondsPerTick: UInt64 = 10_000_000
}

internal import CHost
import Glibc

/// The host's clocks, read through its vDSO.
public enum HostClock {
    /// A clock of clock_gettime(2), in nanoseconds. Unknown clocks read 0.
    public static func nanoseconds(_ clock: Int32) -> UInt64 {
        var time = timespec()
        // SAFETY: `time` is a local of the right type.
        guard unsafe clock_gettime(clock, &time) == 0 else { return 0 }
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }
    /// CLOCK_MONOTONIC in nanoseconds.
    public static var monotonic: UInt64 { nanoseconds(1) }
    /// What all threads of this process have used of processors, in nanoseconds (CLOCK_PROCESS_CPUTIME_ID).
    public static var processorTime: UInt64 { nanoseconds(2) }
    /// CLOCK_REALTIME in nanoseconds.
    public static var realtime: UInt64 { nanoseconds(0) }
}

extension HostClock {
    /// The CLOCK_MONOTONIC time `interval` nanoseconds from now; the end of time when that overflows.
    public static func deadline(in interval: UInt64) -> UInt64 {
        let (sum, overflow) = monotonic.addingReportingOverflow(interval)
        return overflow ? .max : sum
    }
}

/// The processor's time-stamp counter, for what is measured at every system call: a clock of the vDSO takes five times as long to read.
extension HostClock {
    /// What the counter says now, in ticks of equal length.
    @inline(__always) public static var ticks: UInt64 { chost_timestamp() }

    private static let origin = (ticks: ticks, time: monotonic)
    /// From now on the length of a tick can be told: by what passes of both clocks.
    public static func startTicks() { _ = origin }

    /// How long `ticks` are. `startTicks` has been called before.
    public static func nanoseconds(ofTicks ticks: UInt64) -> UInt64 {
        let tick = Double(monotonic &- origin.time) / Double(max(1, self.ticks &- origin.ticks))
        return UInt64(exactly: (Double(ticks) * tick).rounded()) ?? .max
    }
}

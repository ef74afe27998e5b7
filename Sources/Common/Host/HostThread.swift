import Glibc
import LinuxABI

/// The calling host thread.
public enum HostThread {
    /// An identity that no other living thread has; never 0.
    @inline(__always) public static var current: UInt { UInt(pthread_self()) }

    /// The thread's id (gettid(2)).
    public static var identifier: Int32 { Int32(truncatingIfNeeded: HostCall.raw(.gettid)) }

    /// The clockid_t of the CPU time of the thread `identifier` of this process, readable by all its threads (clock_getcpuclockid(3):
    /// the complement of the id, with the bits for "per thread, scheduler").
    public static func cpuClock(of identifier: Int32) -> Int32 { (~identifier << 3) | 6 }

    /// sched_yield(2).
    public static func yield() { _ = HostCall.raw(.sched_yield) }
}

internal import CHost
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

    /// Keeps the C library's allocator to `count` arenas. Without it the allocator asks how many processors there are when threads become many, by
    /// opening a file, which a confined process may not. Also less memory. Once, before threads start.
    public static func limitAllocatorArenas(_ count: Int32) {
        chost_limit_arenas(count)
    }

    /// sched_yield(2).
    public static func yield() { _ = HostCall.raw(.sched_yield) }
}

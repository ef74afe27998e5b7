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

    /// Lets the thread `identifier` of this process run on the caller's CPU only, from now on.
    public static func moveHere(_ identifier: Int32) {
        var cpu: UInt32 = 0
        // SAFETY: getcpu(2) writes one word.
        guard unsafe withUnsafeMutablePointer(to: &cpu, { HostCall.raw(.getcpu, Int(bitPattern: $0), 0, 0) }) == 0, cpu < 1024 else {
            return
        }
        var mask = InlineArray<16, UInt64>(repeating: 0)
        mask[Int(cpu / 64)] = 1 << UInt64(cpu % 64)
        var span = mask.mutableSpan
        // SAFETY: the call reads the mask's 128 bytes.
        unsafe span.withUnsafeMutableBufferPointer { p in
            _ = HostCall.raw(.sched_setaffinity, Int(identifier), 128, Int(bitPattern: p.baseAddress))
        }
    }

    /// Whether the caller runs a guest's task, whose wake-ups tell where the woken task is best (`Parker.takeWakerCPU`).
    public static func setRunsTask(_ runs: Bool) { chost_set_task_thread(runs ? 1 : 0) }

    /// The host CPU that the caller runs on, if it runs a guest's task; -1 otherwise. A hint.
    public static var taskCPU: Int32 { chost_task_cpu() }

    /// sched_yield(2).
    public static func yield() { _ = HostCall.raw(.sched_yield) }
}

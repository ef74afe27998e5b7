internal import CHost
import LinuxABI

/// What the host's processor and kernel tell programs about themselves.
public enum HostProcessor {
    /// AT_HWCAP: CPUID leaf 1, EDX.
    public static var capabilities: UInt64 { UInt64(chost_hardware_capabilities()) }
    /// AT_MINSIGSTKSZ in bytes: room for a signal frame with all of the processor's extended state.
    public static var minimumSignalStack: UInt64 { UInt64(max(chost_minimum_signal_stack(), 2048)) }
    /// How many processors this process may run on (sched_getaffinity(2)); at least 1.
    public static var count: Int {
        var mask = [UInt64](repeating: 0, count: 128)
        // SAFETY: the call writes at most the bytes it is told of.
        let result = unsafe mask.withUnsafeMutableBufferPointer { p in
            HostCall.raw(.sched_getaffinity, 0, p.count * 8, Int(bitPattern: p.baseAddress))
        }
        return result > 0 ? max(1, mask.reduce(0) { $0 + $1.nonzeroBitCount }) : 1
    }
}

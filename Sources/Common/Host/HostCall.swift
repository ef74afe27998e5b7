internal import CHost
public import LinuxABI
import Synchronization

/// The one door to the host's system calls.
public enum HostCall {
    /// A system call by number: its result, or a negated errno. Pointers travel as integers, so only the trusted modules call it with any.
    public static func raw(
        _ number: SystemCallNumber, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0, _ f: Int = 0
    ) -> Int {
        if HostFaults.isArmed.load(ordering: .relaxed), let result = HostFaults.intercept(number) { return result }
        return chost_syscall(Int(number.rawValue), a, b, c, d, e, f)
    }

    /// Turns a negated errno into a thrown one.
    @inlinable public static func check(_ result: Int) throws(Errno) -> Int {
        if result < 0 && result >= -4095 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
        return result
    }

    /// Repeats a call while a signal interrupts it.
    @inlinable public static func retrying(_ body: () -> Int) throws(Errno) -> Int {
        while true {
            let result = body()
            if result != -4 { return try check(result) }
        }
    }
}

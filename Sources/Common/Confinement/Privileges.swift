internal import Diagnostics
internal import Host
internal import LinuxABI

/// Giving privileges up, for good.
public enum Privileges {
    private static let PR_SET_DUMPABLE = 4
    private static let PR_CAPBSET_DROP = 24
    private static let PR_SET_SECUREBITS = 28
    private static let PR_SET_NO_NEW_PRIVS = 38
    private static let PR_CAP_AMBIENT = 47
    private static let PR_CAP_AMBIENT_CLEAR_ALL = 4
    /// SECBIT_NOROOT, NO_SETUID_FIXUP, KEEP_CAPS_LOCKED, NO_CAP_AMBIENT_RAISE, each locked: user 0 is nobody special, for ever.
    private static let lockedSecureBits = 0b1110_1111

    /// Nobody of the same user may trace this process or read its memory or /proc files.
    public static func makeUndumpable() {
        _ = HostCall.raw(.prctl, PR_SET_DUMPABLE, 0)
    }

    /// No exec can give more rights than the process has.
    static func setNoNewPrivileges() throws(SandboxError) {
        try call("set no_new_privs", .prctl, PR_SET_NO_NEW_PRIVS, 1)
    }

    /// Keeps the capabilities of the mask `keep`, in the permitted and effective sets only; empties the others and locks them.
    static func keepOnly(_ keep: UInt64) throws(SandboxError) {
        try call("clear the ambient capabilities", .prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        for capability in 0..<64 {
            let result = HostCall.raw(.prctl, PR_CAPBSET_DROP, capability)
            if result == -22 { break }  // past the last one
            if result < 0 { throw SandboxError(Errno(rawValue: Int32(-result)), "drop capability \(capability) from the bounding set") }
        }
        try call("lock the secure bits", .prctl, PR_SET_SECUREBITS, lockedSecureBits)
        // struct __user_cap_header_struct and two struct __user_cap_data_struct.
        let header: [2 of UInt32] = [0x2008_0522, 0]
        let low = UInt32(truncatingIfNeeded: keep), high = UInt32(truncatingIfNeeded: keep >> 32)
        let data: [6 of UInt32] = [low, low, 0, high, high, 0]
        // SAFETY: both are locals of the size that the kernel reads.
        let result = unsafe withUnsafePointer(to: header) { h in
            unsafe withUnsafePointer(to: data) { d in HostCall.raw(.capset, Int(bitPattern: h), Int(bitPattern: d)) }
        }
        if result < 0 { throw SandboxError(Errno(rawValue: Int32(-result)), "drop capabilities") }
    }

    /// Lowers soft and hard limit of `resource` (RLIMIT_*) to `value`.
    static func limit(_ resource: Int, _ value: UInt64) throws(SandboxError) {
        let limits: [2 of UInt64] = [value, value]
        // SAFETY: struct rlimit64 is two u64.
        let result = unsafe withUnsafePointer(to: limits) { HostCall.raw(.prlimit64, 0, resource, Int(bitPattern: $0), 0) }
        if result < 0 { throw SandboxError(Errno(rawValue: Int32(-result)), "set resource limit \(resource)") }
    }

    private static func call(_ what: String, _ number: SystemCallNumber, _ a: Int, _ b: Int) throws(SandboxError) {
        let result = HostCall.raw(number, a, b, 0, 0, 0)
        if result < 0 { throw SandboxError(Errno(rawValue: Int32(-result)), what) }
    }
}

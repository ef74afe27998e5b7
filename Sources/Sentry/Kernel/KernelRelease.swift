/// What uname(2) and /proc/version tell of the kernel that the guest sees.
public enum KernelRelease {
    /// sysname
    public static let name = "Linux"
    /// release: the Linux whose interfaces are implemented.
    public static let release = "6.1.0-nestbox"
    /// version
    public static let version = "#1 SMP PREEMPT_DYNAMIC Nestbox 1.0"
    /// machine
    public static let machine = "x86_64"
}

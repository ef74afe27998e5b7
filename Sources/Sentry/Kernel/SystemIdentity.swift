import SentryMemory

/// What uname(2) and /proc/version tell.
public enum SystemIdentity {
    public static let name = "Linux"
    /// The kernel whose behaviour we present, marked as ours.
    public static let release = "6.12.0-nestbox"
    public static let version = "#1 SMP Nestbox"
    public static let machine = "x86_64"
}

extension Container {
    /// Memory as sysinfo(2) and /proc/meminfo show it, in bytes: the container's limit and what is left of it.
    public var memoryTotals: (total: UInt64, free: UInt64) {
        let used = memoryFile.usage
        // Without a limit: a round number that no program chokes on.
        let total = memoryFile.limit == .max || memoryFile.limit == 0 ? max(8 << 30, used &* 2) : memoryFile.limit
        return (total, total > used ? total - used : 0)
    }
}

/// The capabilities (capabilities(7)) that confinement names, as bit masks.
enum HostCapability {
    static let CAP_CHOWN: UInt64 = 1 << 0
    static let CAP_DAC_OVERRIDE: UInt64 = 1 << 1
    static let CAP_DAC_READ_SEARCH: UInt64 = 1 << 2
    static let CAP_FOWNER: UInt64 = 1 << 3
    static let CAP_FSETID: UInt64 = 1 << 4
    static let CAP_SETPCAP: UInt64 = 1 << 8
    static let CAP_SYS_CHROOT: UInt64 = 1 << 18
    static let CAP_SYS_PTRACE: UInt64 = 1 << 19
    static let CAP_SYS_ADMIN: UInt64 = 1 << 21
    static let CAP_MKNOD: UInt64 = 1 << 27
    static let CAP_SETFCAP: UInt64 = 1 << 31
}

/// CLONE_NEW* of clone(2), unshare(2) and setns(2).
public enum NamespaceFlags {
    public static let CLONE_NEWTIME: UInt64 = 0x0000_0080
    public static let CLONE_NEWNS: UInt64 = 0x0002_0000
    public static let CLONE_NEWCGROUP: UInt64 = 0x0200_0000
    public static let CLONE_NEWUTS: UInt64 = 0x0400_0000
    public static let CLONE_NEWIPC: UInt64 = 0x0800_0000
    public static let CLONE_NEWUSER: UInt64 = 0x1000_0000
    public static let CLONE_NEWPID: UInt64 = 0x2000_0000
    public static let CLONE_NEWNET: UInt64 = 0x4000_0000
}

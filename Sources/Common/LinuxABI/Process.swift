/// Flags of clone(2) and unshare(2).
@frozen public struct CloneFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The bits of clone(2)'s flags that hold the exit signal.
    public static let CSIGNAL: UInt64 = 0xff
    @inlinable public static var CLONE_NEWTIME: CloneFlags { CloneFlags(rawValue: 0x80) }
    @inlinable public static var CLONE_VM: CloneFlags { CloneFlags(rawValue: 0x100) }
    @inlinable public static var CLONE_FS: CloneFlags { CloneFlags(rawValue: 0x200) }
    @inlinable public static var CLONE_FILES: CloneFlags { CloneFlags(rawValue: 0x400) }
    @inlinable public static var CLONE_SIGHAND: CloneFlags { CloneFlags(rawValue: 0x800) }
    @inlinable public static var CLONE_PIDFD: CloneFlags { CloneFlags(rawValue: 0x1000) }
    @inlinable public static var CLONE_PTRACE: CloneFlags { CloneFlags(rawValue: 0x2000) }
    @inlinable public static var CLONE_VFORK: CloneFlags { CloneFlags(rawValue: 0x4000) }
    @inlinable public static var CLONE_PARENT: CloneFlags { CloneFlags(rawValue: 0x8000) }
    @inlinable public static var CLONE_THREAD: CloneFlags { CloneFlags(rawValue: 0x10000) }
    @inlinable public static var CLONE_NEWNS: CloneFlags { CloneFlags(rawValue: 0x20000) }
    @inlinable public static var CLONE_SYSVSEM: CloneFlags { CloneFlags(rawValue: 0x40000) }
    @inlinable public static var CLONE_SETTLS: CloneFlags { CloneFlags(rawValue: 0x80000) }
    @inlinable public static var CLONE_PARENT_SETTID: CloneFlags { CloneFlags(rawValue: 0x100000) }
    @inlinable public static var CLONE_CHILD_CLEARTID: CloneFlags { CloneFlags(rawValue: 0x200000) }
    @inlinable public static var CLONE_DETACHED: CloneFlags { CloneFlags(rawValue: 0x400000) }
    @inlinable public static var CLONE_UNTRACED: CloneFlags { CloneFlags(rawValue: 0x800000) }
    @inlinable public static var CLONE_CHILD_SETTID: CloneFlags { CloneFlags(rawValue: 0x1000000) }
    @inlinable public static var CLONE_NEWCGROUP: CloneFlags { CloneFlags(rawValue: 0x2000000) }
    @inlinable public static var CLONE_NEWUTS: CloneFlags { CloneFlags(rawValue: 0x4000000) }
    @inlinable public static var CLONE_NEWIPC: CloneFlags { CloneFlags(rawValue: 0x8000000) }
    @inlinable public static var CLONE_NEWUSER: CloneFlags { CloneFlags(rawValue: 0x10000000) }
    @inlinable public static var CLONE_NEWPID: CloneFlags { CloneFlags(rawValue: 0x20000000) }
    @inlinable public static var CLONE_NEWNET: CloneFlags { CloneFlags(rawValue: 0x40000000) }
    @inlinable public static var CLONE_IO: CloneFlags { CloneFlags(rawValue: 0x80000000) }
    /// clone3(2) only.
    @inlinable public static var CLONE_CLEAR_SIGHAND: CloneFlags { CloneFlags(rawValue: 0x1_0000_0000) }
    @inlinable public static var CLONE_INTO_CGROUP: CloneFlags { CloneFlags(rawValue: 0x2_0000_0000) }
    /// Every flag that makes a namespace.
    @inlinable public static var namespaces: CloneFlags {
        [.CLONE_NEWTIME, .CLONE_NEWNS, .CLONE_NEWCGROUP, .CLONE_NEWUTS, .CLONE_NEWIPC, .CLONE_NEWUSER, .CLONE_NEWPID, .CLONE_NEWNET]
    }
}

/// Options of wait4(2) and waitid(2).
@frozen public struct WaitOptions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public static var WNOHANG: WaitOptions { WaitOptions(rawValue: 1) }
    /// WSTOPPED of waitid is the same bit.
    @inlinable public static var WUNTRACED: WaitOptions { WaitOptions(rawValue: 2) }
    @inlinable public static var WEXITED: WaitOptions { WaitOptions(rawValue: 4) }
    @inlinable public static var WCONTINUED: WaitOptions { WaitOptions(rawValue: 8) }
    @inlinable public static var WNOWAIT: WaitOptions { WaitOptions(rawValue: 0x0100_0000) }
    @inlinable public static var __WNOTHREAD: WaitOptions { WaitOptions(rawValue: 0x2000_0000) }
    @inlinable public static var __WALL: WaitOptions { WaitOptions(rawValue: 0x4000_0000) }
    @inlinable public static var __WCLONE: WaitOptions { WaitOptions(rawValue: 0x8000_0000) }
}

/// idtype_t of waitid(2).
public enum WaitIdentifierType {
    public static let P_ALL: Int32 = 0
    public static let P_PID: Int32 = 1
    public static let P_PGID: Int32 = 2
    public static let P_PIDFD: Int32 = 3
}

/// Operations of prctl(2).
public enum ProcessControl {
    public static let PR_SET_PDEATHSIG: Int32 = 1
    public static let PR_GET_PDEATHSIG: Int32 = 2
    public static let PR_GET_DUMPABLE: Int32 = 3
    public static let PR_SET_DUMPABLE: Int32 = 4
    public static let PR_GET_KEEPCAPS: Int32 = 7
    public static let PR_SET_KEEPCAPS: Int32 = 8
    public static let PR_GET_TIMING: Int32 = 13
    public static let PR_SET_TIMING: Int32 = 14
    public static let PR_SET_NAME: Int32 = 15
    public static let PR_GET_NAME: Int32 = 16
    public static let PR_GET_SECCOMP: Int32 = 21
    public static let PR_SET_SECCOMP: Int32 = 22
    public static let PR_CAPBSET_READ: Int32 = 23
    public static let PR_CAPBSET_DROP: Int32 = 24
    public static let PR_GET_TSC: Int32 = 25
    public static let PR_SET_TSC: Int32 = 26
    public static let PR_GET_SECUREBITS: Int32 = 27
    public static let PR_SET_SECUREBITS: Int32 = 28
    public static let PR_SET_TIMERSLACK: Int32 = 29
    public static let PR_GET_TIMERSLACK: Int32 = 30
    public static let PR_SET_MM: Int32 = 35
    public static let PR_SET_CHILD_SUBREAPER: Int32 = 36
    public static let PR_GET_CHILD_SUBREAPER: Int32 = 37
    public static let PR_SET_NO_NEW_PRIVS: Int32 = 38
    public static let PR_GET_NO_NEW_PRIVS: Int32 = 39
    public static let PR_GET_TID_ADDRESS: Int32 = 40
    public static let PR_SET_THP_DISABLE: Int32 = 41
    public static let PR_GET_THP_DISABLE: Int32 = 42
    public static let PR_CAP_AMBIENT: Int32 = 47
    public static let PR_CAP_AMBIENT_IS_SET: UInt64 = 1
    public static let PR_CAP_AMBIENT_RAISE: UInt64 = 2
    public static let PR_CAP_AMBIENT_LOWER: UInt64 = 3
    public static let PR_CAP_AMBIENT_CLEAR_ALL: UInt64 = 4
    public static let PR_GET_SPECULATION_CTRL: Int32 = 52
    public static let PR_SET_SPECULATION_CTRL: Int32 = 53
    public static let PR_SET_PTRACER: Int32 = 0x59616d61
    public static let PR_SET_VMA: Int32 = 0x53564d41
    public static let PR_SET_VMA_ANON_NAME: UInt64 = 0
}

/// Resources of getrlimit(2).
public enum Resource {
    public static let RLIMIT_CPU = 0
    public static let RLIMIT_FSIZE = 1
    public static let RLIMIT_DATA = 2
    public static let RLIMIT_STACK = 3
    public static let RLIMIT_CORE = 4
    public static let RLIMIT_RSS = 5
    public static let RLIMIT_NPROC = 6
    public static let RLIMIT_NOFILE = 7
    public static let RLIMIT_MEMLOCK = 8
    public static let RLIMIT_AS = 9
    public static let RLIMIT_LOCKS = 10
    public static let RLIMIT_SIGPENDING = 11
    public static let RLIMIT_MSGQUEUE = 12
    public static let RLIMIT_NICE = 13
    public static let RLIMIT_RTPRIO = 14
    public static let RLIMIT_RTTIME = 15
    /// How many there are.
    public static let RLIM_NLIMITS = 16
    /// RLIM_INFINITY
    public static let unlimited = UInt64.max
}

/// SECBIT_* of prctl(PR_SET_SECUREBITS) (capabilities(7)).
public enum SecureBit {
    public static let SECBIT_NOROOT: UInt32 = 1 << 0
    public static let SECBIT_NOROOT_LOCKED: UInt32 = 1 << 1
    public static let SECBIT_NO_SETUID_FIXUP: UInt32 = 1 << 2
    public static let SECBIT_NO_SETUID_FIXUP_LOCKED: UInt32 = 1 << 3
    public static let SECBIT_KEEP_CAPS: UInt32 = 1 << 4
    public static let SECBIT_KEEP_CAPS_LOCKED: UInt32 = 1 << 5
    public static let SECBIT_NO_CAP_AMBIENT_RAISE: UInt32 = 1 << 6
    public static let SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED: UInt32 = 1 << 7
    public static let all: UInt32 = 0xff
}

/// Operations of arch_prctl(2).
public enum ArchitectureControl {
    public static let ARCH_SET_GS: Int32 = 0x1001
    public static let ARCH_SET_FS: Int32 = 0x1002
    public static let ARCH_GET_FS: Int32 = 0x1003
    public static let ARCH_GET_GS: Int32 = 0x1004
}

/// Scheduling policies and flags of sched_setscheduler(2).
public enum SchedulingPolicy {
    public static let SCHED_OTHER: Int32 = 0
    public static let SCHED_FIFO: Int32 = 1
    public static let SCHED_RR: Int32 = 2
    public static let SCHED_BATCH: Int32 = 3
    public static let SCHED_IDLE: Int32 = 5
    public static let SCHED_DEADLINE: Int32 = 6
    public static let SCHED_RESET_ON_FORK: Int32 = 0x4000_0000
}

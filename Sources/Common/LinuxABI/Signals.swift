/// Signal numbers (signal(7)) of x86-64.
public enum Signal {
    public static let SIGHUP: Int32 = 1
    public static let SIGINT: Int32 = 2
    public static let SIGQUIT: Int32 = 3
    public static let SIGILL: Int32 = 4
    public static let SIGTRAP: Int32 = 5
    public static let SIGABRT: Int32 = 6
    public static let SIGBUS: Int32 = 7
    public static let SIGFPE: Int32 = 8
    public static let SIGKILL: Int32 = 9
    public static let SIGUSR1: Int32 = 10
    public static let SIGSEGV: Int32 = 11
    public static let SIGUSR2: Int32 = 12
    public static let SIGPIPE: Int32 = 13
    public static let SIGALRM: Int32 = 14
    public static let SIGTERM: Int32 = 15
    public static let SIGSTKFLT: Int32 = 16
    public static let SIGCHLD: Int32 = 17
    public static let SIGCONT: Int32 = 18
    public static let SIGSTOP: Int32 = 19
    public static let SIGTSTP: Int32 = 20
    public static let SIGTTIN: Int32 = 21
    public static let SIGTTOU: Int32 = 22
    public static let SIGURG: Int32 = 23
    public static let SIGXCPU: Int32 = 24
    public static let SIGXFSZ: Int32 = 25
    public static let SIGVTALRM: Int32 = 26
    public static let SIGPROF: Int32 = 27
    public static let SIGWINCH: Int32 = 28
    public static let SIGIO: Int32 = 29
    public static let SIGPWR: Int32 = 30
    public static let SIGSYS: Int32 = 31
    /// The first real-time signal of the kernel (the C library keeps some).
    public static let SIGRTMIN: Int32 = 32
    /// The last signal; also how many there are.
    public static let SIGRTMAX: Int32 = 64

    /// Whether `number` names a signal (1 to 64).
    @inlinable public static func isValid(_ number: Int32) -> Bool { number >= 1 && number <= 64 }
}

/// A set of signals: bit N-1 is signal N (sigset_t of the kernel, 8 bytes).
@frozen public struct SignalSet: OptionSet, Hashable, Sendable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The set of one signal; empty for a number that is no signal.
    @inlinable public init(_ signal: Int32) { rawValue = Signal.isValid(signal) ? 1 &<< UInt64(signal &- 1) : 0 }
    @inlinable public func has(_ signal: Int32) -> Bool { Signal.isValid(signal) && rawValue & (1 &<< UInt64(signal &- 1)) != 0 }
    /// The lowest signal of the set, or nil when it is empty.
    @inlinable public var first: Int32? { rawValue == 0 ? nil : Int32(truncatingIfNeeded: rawValue.trailingZeroBitCount) + 1 }

    public static let all = SignalSet(rawValue: .max)
    /// SIGKILL and SIGSTOP, which can neither be blocked nor handled nor ignored.
    public static let unblockable = SignalSet(rawValue: 1 << 8 | 1 << 18)
    /// SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU.
    public static let stopping = SignalSet(rawValue: 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21)
    /// Raised by the task's own instructions: SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS.
    public static let synchronous = SignalSet(rawValue: 1 << 10 | 1 << 6 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 30)
    /// Whose default action is to do nothing: SIGCONT, SIGCHLD, SIGWINCH, SIGURG.
    public static let ignoredByDefault = SignalSet(rawValue: 1 << 17 | 1 << 16 | 1 << 27 | 1 << 22)
    /// Whose default action writes a core.
    public static let coreByDefault = SignalSet(
        rawValue: 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 23 | 1 << 24 | 1 << 30)
}

/// Flags of sigaction(2).
public enum SignalActionFlag {
    public static let SA_NOCLDSTOP: UInt64 = 0x0000_0001
    public static let SA_NOCLDWAIT: UInt64 = 0x0000_0002
    public static let SA_SIGINFO: UInt64 = 0x0000_0004
    public static let SA_UNSUPPORTED: UInt64 = 0x0000_0400
    public static let SA_EXPOSE_TAGBITS: UInt64 = 0x0000_0800
    public static let SA_RESTORER: UInt64 = 0x0400_0000
    public static let SA_ONSTACK: UInt64 = 0x0800_0000
    public static let SA_RESTART: UInt64 = 0x1000_0000
    public static let SA_NODEFER: UInt64 = 0x4000_0000
    public static let SA_RESETHAND: UInt64 = 0x8000_0000
    /// Those the kernel keeps (UAPI_SA_FLAGS and SA_RESTORER); others are cleared so that programs can probe.
    public static let known: UInt64 = 0xdc00_0807
}

/// Special handlers of sigaction(2).
public enum SignalHandler {
    public static let SIG_DFL: UInt64 = 0
    public static let SIG_IGN: UInt64 = 1
}

/// struct kernel_sigaction of x86-64, 32 bytes: handler, flags, restorer, mask.
@frozen public struct SignalAction: Hashable, Sendable {
    public static let size = 32
    public var sa_handler: UInt64 = 0
    public var sa_flags: UInt64 = 0
    public var sa_restorer: UInt64 = 0
    public var sa_mask: SignalSet = []
    @inlinable public init() {}
}

/// How rt_sigprocmask(2) changes the mask.
public enum SignalMaskChange {
    public static let SIG_BLOCK: Int32 = 0
    public static let SIG_UNBLOCK: Int32 = 1
    public static let SIG_SETMASK: Int32 = 2
}

/// Flags of struct sigaltstack (sigaltstack(2)).
public enum AlternateStackFlag {
    public static let SS_ONSTACK: UInt32 = 1
    public static let SS_DISABLE: UInt32 = 2
    public static let SS_AUTODISARM: UInt32 = 1 << 31
    /// The least size the kernel accepts, in bytes.
    public static let MINSIGSTKSZ: UInt64 = 2048
}

/// si_code values (sigaction(2)).
public enum SignalCode {
    public static let SI_USER: Int32 = 0
    public static let SI_KERNEL: Int32 = 0x80
    public static let SI_QUEUE: Int32 = -1
    public static let SI_TIMER: Int32 = -2
    public static let SI_MESGQ: Int32 = -3
    public static let SI_ASYNCIO: Int32 = -4
    public static let SI_SIGIO: Int32 = -5
    public static let SI_TKILL: Int32 = -6

    public static let ILL_ILLOPN: Int32 = 2
    public static let FPE_INTDIV: Int32 = 1
    public static let SEGV_MAPERR: Int32 = 1
    public static let SEGV_ACCERR: Int32 = 2
    public static let BUS_ADRALN: Int32 = 1
    public static let BUS_ADRERR: Int32 = 2
    public static let TRAP_BRKPT: Int32 = 1
    public static let TRAP_TRACE: Int32 = 2
    public static let TRAP_HWBKPT: Int32 = 4
    public static let SYS_SECCOMP: Int32 = 1

    public static let CLD_EXITED: Int32 = 1
    public static let CLD_KILLED: Int32 = 2
    public static let CLD_DUMPED: Int32 = 3
    public static let CLD_TRAPPED: Int32 = 4
    public static let CLD_STOPPED: Int32 = 5
    public static let CLD_CONTINUED: Int32 = 6

    public static let POLL_IN: Int32 = 1
    public static let POLL_OUT: Int32 = 2
    public static let POLL_MSG: Int32 = 3
    public static let POLL_ERR: Int32 = 4
    public static let POLL_PRI: Int32 = 5
    public static let POLL_HUP: Int32 = 6
}

/// siginfo_t of x86-64: 128 bytes in memory, of which the first 48 are used. `words` are bytes 16 to 48, whose meaning depends on the code.
@frozen public struct SignalInfo: Hashable, Sendable {
    public static let size = 128
    /// The bytes that carry something; the rest is zero.
    public static let usedSize = 48
    public var si_signo: Int32
    public var si_errno: Int32 = 0
    public var si_code: Int32
    public var word0: UInt64 = 0
    public var word1: UInt64 = 0
    public var word2: UInt64 = 0
    public var word3: UInt64 = 0
    @inlinable public init(signal: Int32, code: Int32) {
        si_signo = signal
        si_code = code
    }
    /// si_pid of kill, sigqueue and SIGCHLD.
    @inlinable public var si_pid: Int32 {
        get { Int32(truncatingIfNeeded: word0) }
        set { word0 = word0 & ~0xffff_ffff | UInt64(UInt32(bitPattern: newValue)) }
    }
    /// si_uid of kill, sigqueue and SIGCHLD.
    @inlinable public var si_uid: UInt32 {
        get { UInt32(truncatingIfNeeded: word0 >> 32) }
        set { word0 = word0 & 0xffff_ffff | UInt64(newValue) << 32 }
    }
    /// si_value of sigqueue, timers and message queues.
    @inlinable public var si_value: UInt64 {
        get { word1 }
        set { word1 = newValue }
    }
    /// si_status of SIGCHLD.
    @inlinable public var si_status: Int32 {
        get { Int32(truncatingIfNeeded: word1) }
        set { word1 = UInt64(UInt32(bitPattern: newValue)) }
    }
    /// si_utime of SIGCHLD, in clock ticks.
    @inlinable public var si_utime: UInt64 {
        get { word2 }
        set { word2 = newValue }
    }
    /// si_stime of SIGCHLD, in clock ticks.
    @inlinable public var si_stime: UInt64 {
        get { word3 }
        set { word3 = newValue }
    }
    /// si_addr of faults; si_call_addr of SIGSYS; si_band of SIGIO.
    @inlinable public var si_addr: UInt64 {
        get { word0 }
        set { word0 = newValue }
    }
    /// si_tid (the timer's id) and si_overrun of POSIX timers.
    @inlinable public mutating func setTimer(_ id: Int32, overrun: Int32) {
        word0 = UInt64(UInt32(bitPattern: id)) | UInt64(UInt32(bitPattern: overrun)) << 32
    }
    /// si_syscall and si_arch of SIGSYS.
    @inlinable public mutating func setSystemCall(_ number: Int32, architecture: UInt32) {
        word1 = UInt64(UInt32(bitPattern: number)) | UInt64(architecture) << 32
    }
}

/// How a timer or message queue notifies (sigevent(3type)).
public enum SignalEventNotification {
    public static let SIGEV_SIGNAL: Int32 = 0
    public static let SIGEV_NONE: Int32 = 1
    public static let SIGEV_THREAD: Int32 = 2
    public static let SIGEV_THREAD_ID: Int32 = 4
}

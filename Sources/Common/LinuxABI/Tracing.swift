/// Requests of ptrace(2), as sys/ptrace.h of x86-64 numbers them.
public enum TraceRequest {
    public static let PTRACE_TRACEME: Int64 = 0
    public static let PTRACE_PEEKTEXT: Int64 = 1
    public static let PTRACE_PEEKDATA: Int64 = 2
    public static let PTRACE_PEEKUSR: Int64 = 3
    public static let PTRACE_POKETEXT: Int64 = 4
    public static let PTRACE_POKEDATA: Int64 = 5
    public static let PTRACE_POKEUSR: Int64 = 6
    public static let PTRACE_CONT: Int64 = 7
    public static let PTRACE_KILL: Int64 = 8
    public static let PTRACE_SINGLESTEP: Int64 = 9
    public static let PTRACE_GETREGS: Int64 = 12
    public static let PTRACE_SETREGS: Int64 = 13
    public static let PTRACE_GETFPREGS: Int64 = 14
    public static let PTRACE_SETFPREGS: Int64 = 15
    public static let PTRACE_ATTACH: Int64 = 16
    public static let PTRACE_DETACH: Int64 = 17
    public static let PTRACE_OLDSETOPTIONS: Int64 = 21
    public static let PTRACE_SYSCALL: Int64 = 24
    public static let PTRACE_ARCH_PRCTL: Int64 = 30
    public static let PTRACE_SYSEMU: Int64 = 31
    public static let PTRACE_SYSEMU_SINGLESTEP: Int64 = 32
    public static let PTRACE_SETOPTIONS: Int64 = 0x4200
    public static let PTRACE_GETEVENTMSG: Int64 = 0x4201
    public static let PTRACE_GETSIGINFO: Int64 = 0x4202
    public static let PTRACE_SETSIGINFO: Int64 = 0x4203
    public static let PTRACE_GETREGSET: Int64 = 0x4204
    public static let PTRACE_SETREGSET: Int64 = 0x4205
    public static let PTRACE_SEIZE: Int64 = 0x4206
    public static let PTRACE_INTERRUPT: Int64 = 0x4207
    public static let PTRACE_LISTEN: Int64 = 0x4208
    public static let PTRACE_PEEKSIGINFO: Int64 = 0x4209
    public static let PTRACE_GETSIGMASK: Int64 = 0x420a
    public static let PTRACE_SETSIGMASK: Int64 = 0x420b
    public static let PTRACE_SECCOMP_GET_FILTER: Int64 = 0x420c
    public static let PTRACE_SECCOMP_GET_METADATA: Int64 = 0x420d
    public static let PTRACE_GET_SYSCALL_INFO: Int64 = 0x420e
    public static let PTRACE_GET_RSEQ_CONFIGURATION: Int64 = 0x420f
}

/// Options of PTRACE_SETOPTIONS. The option of event N is bit N.
@frozen public struct TraceOptions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static var PTRACE_O_TRACESYSGOOD: TraceOptions { TraceOptions(rawValue: 1) }
    @inlinable public static var PTRACE_O_TRACEFORK: TraceOptions { TraceOptions(rawValue: 1 << 1) }
    @inlinable public static var PTRACE_O_TRACEVFORK: TraceOptions { TraceOptions(rawValue: 1 << 2) }
    @inlinable public static var PTRACE_O_TRACECLONE: TraceOptions { TraceOptions(rawValue: 1 << 3) }
    @inlinable public static var PTRACE_O_TRACEEXEC: TraceOptions { TraceOptions(rawValue: 1 << 4) }
    @inlinable public static var PTRACE_O_TRACEVFORKDONE: TraceOptions { TraceOptions(rawValue: 1 << 5) }
    @inlinable public static var PTRACE_O_TRACEEXIT: TraceOptions { TraceOptions(rawValue: 1 << 6) }
    @inlinable public static var PTRACE_O_TRACESECCOMP: TraceOptions { TraceOptions(rawValue: 1 << 7) }
    @inlinable public static var PTRACE_O_EXITKILL: TraceOptions { TraceOptions(rawValue: 1 << 20) }
    @inlinable public static var PTRACE_O_SUSPEND_SECCOMP: TraceOptions { TraceOptions(rawValue: 1 << 21) }
    /// PTRACE_O_MASK
    @inlinable public static var all: TraceOptions { TraceOptions(rawValue: 0x0030_00ff) }
    /// The option that asks for `event`.
    @inlinable public static func event(_ event: Int32) -> TraceOptions { TraceOptions(rawValue: 1 << UInt64(event)) }
}

/// PTRACE_EVENT_*: what stands above the signal in the status of an event stop.
public enum TraceEvent {
    public static let PTRACE_EVENT_FORK: Int32 = 1
    public static let PTRACE_EVENT_VFORK: Int32 = 2
    public static let PTRACE_EVENT_CLONE: Int32 = 3
    public static let PTRACE_EVENT_EXEC: Int32 = 4
    public static let PTRACE_EVENT_VFORK_DONE: Int32 = 5
    public static let PTRACE_EVENT_EXIT: Int32 = 6
    public static let PTRACE_EVENT_SECCOMP: Int32 = 7
    public static let PTRACE_EVENT_STOP: Int32 = 128
    public static let PTRACE_EVENTMSG_SYSCALL_ENTRY: UInt64 = 1
    public static let PTRACE_EVENTMSG_SYSCALL_EXIT: UInt64 = 2
}

/// Register sets of PTRACE_GETREGSET: note types of elf.h.
public enum RegisterSet {
    public static let NT_PRSTATUS: UInt64 = 1
    public static let NT_PRFPREG: UInt64 = 2
    public static let NT_X86_XSTATE: UInt64 = 0x202
}

/// struct user of sys/user.h, as PTRACE_PEEKUSR sees it: sizes and offsets in bytes.
public enum UserArea {
    public static let size: UInt64 = 928
    public static let registerSize: UInt64 = 216
    public static let debugRegisters: UInt64 = 848
    /// sizeof(struct user_fpregs_struct), the FXSAVE area.
    public static let floatingPointSize = 512
}

/// PTRACE_PEEKSIGINFO: struct ptrace_peeksiginfo_args and its flag.
public enum PeekSignalInfo {
    public static let size = 16
    public static let PTRACE_PEEKSIGINFO_SHARED: UInt32 = 1
}

/// PTRACE_GET_SYSCALL_INFO: struct ptrace_syscall_info.
public enum SyscallInfo {
    public static let PTRACE_SYSCALL_INFO_NONE: UInt8 = 0
    public static let PTRACE_SYSCALL_INFO_ENTRY: UInt8 = 1
    public static let PTRACE_SYSCALL_INFO_EXIT: UInt8 = 2
    public static let PTRACE_SYSCALL_INFO_SECCOMP: UInt8 = 3
    /// Bytes that each kind fills.
    public static let sizes = [24, 80, 33, 84]
}

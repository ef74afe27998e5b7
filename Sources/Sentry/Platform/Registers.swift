/// The integer registers of a guest thread: `struct user_regs_struct` of sys/user.h, field for field (27 words, 216 bytes).
@frozen public struct Registers: Equatable, Sendable, BitwiseCopyable {
    public var r15: UInt64 = 0
    public var r14: UInt64 = 0
    public var r13: UInt64 = 0
    public var r12: UInt64 = 0
    public var rbp: UInt64 = 0
    public var rbx: UInt64 = 0
    public var r11: UInt64 = 0
    public var r10: UInt64 = 0
    public var r9: UInt64 = 0
    public var r8: UInt64 = 0
    public var rax: UInt64 = 0
    public var rcx: UInt64 = 0
    public var rdx: UInt64 = 0
    public var rsi: UInt64 = 0
    public var rdi: UInt64 = 0
    public var orig_rax: UInt64 = 0
    public var rip: UInt64 = 0
    public var cs: UInt64 = Registers.userCodeSegment
    public var eflags: UInt64 = Registers.initialFlags
    public var rsp: UInt64 = 0
    public var ss: UInt64 = Registers.userStackSegment
    public var fs_base: UInt64 = 0
    public var gs_base: UInt64 = 0
    public var ds: UInt64 = 0
    public var es: UInt64 = 0
    public var fs: UInt64 = 0
    public var gs: UInt64 = 0

    /// All zero, except for the segments and flags that a 64-bit program starts with.
    @inlinable public init() {}

    /// `__USER_CS` of x86-64 Linux.
    @inlinable public static var userCodeSegment: UInt64 { 0x33 }
    /// `__USER_DS` of x86-64 Linux.
    @inlinable public static var userStackSegment: UInt64 { 0x2b }
    /// Interrupts enabled, reserved bit 1 set.
    @inlinable public static var initialFlags: UInt64 { 0x202 }
    /// Flags that user code may choose (arch/x86/include/asm/ptrace.h FLAG_MASK and TF); the rest come from the host.
    @inlinable public static var userFlags: UInt64 { 0x0025_4dd5 }

    /// The address of the next instruction.
    @inlinable public var instructionPointer: UInt64 {
        get { rip }
        set { rip = newValue }
    }
    /// The stack pointer.
    @inlinable public var stackPointer: UInt64 {
        get { rsp }
        set { rsp = newValue }
    }
    /// The system call's number at an `Event.systemCall`.
    @inlinable public var systemCallNumber: UInt64 { orig_rax }
    /// The result register.
    @inlinable public var returnValue: UInt64 {
        get { rax }
        set { rax = newValue }
    }
}

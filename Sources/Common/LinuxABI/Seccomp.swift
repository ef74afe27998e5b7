/// Operations of seccomp(2).
public enum SeccompOperation {
    public static let SECCOMP_SET_MODE_STRICT: UInt32 = 0
    public static let SECCOMP_SET_MODE_FILTER: UInt32 = 1
    public static let SECCOMP_GET_ACTION_AVAIL: UInt32 = 2
    public static let SECCOMP_GET_NOTIF_SIZES: UInt32 = 3

    public static let SECCOMP_FILTER_FLAG_TSYNC: UInt32 = 1
    public static let SECCOMP_FILTER_FLAG_LOG: UInt32 = 2
    public static let SECCOMP_FILTER_FLAG_SPEC_ALLOW: UInt32 = 4
    public static let SECCOMP_FILTER_FLAG_NEW_LISTENER: UInt32 = 8
    public static let SECCOMP_FILTER_FLAG_TSYNC_ESRCH: UInt32 = 16
    public static let SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: UInt32 = 32
}

/// What a filter returns: an action in the upper half, data in the lower. A smaller number, read as signed, is more restrictive.
public enum SeccompAction {
    public static let SECCOMP_RET_KILL_PROCESS: UInt32 = 0x8000_0000
    public static let SECCOMP_RET_KILL_THREAD: UInt32 = 0
    public static let SECCOMP_RET_TRAP: UInt32 = 0x0003_0000
    public static let SECCOMP_RET_ERRNO: UInt32 = 0x0005_0000
    public static let SECCOMP_RET_USER_NOTIF: UInt32 = 0x7fc0_0000
    public static let SECCOMP_RET_TRACE: UInt32 = 0x7ff0_0000
    public static let SECCOMP_RET_LOG: UInt32 = 0x7ffc_0000
    public static let SECCOMP_RET_ALLOW: UInt32 = 0x7fff_0000
    public static let SECCOMP_RET_ACTION_FULL: UInt32 = 0xffff_0000
    public static let SECCOMP_RET_DATA: UInt32 = 0x0000_ffff
    /// What SECCOMP_GET_ACTION_AVAIL affirms.
    public static let available: [UInt32] = [
        SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO, SECCOMP_RET_TRACE, SECCOMP_RET_LOG,
        SECCOMP_RET_ALLOW,
    ]
    /// AUDIT_ARCH_X86_64
    public static let AUDIT_ARCH_X86_64: UInt32 = 0xc000_003e
}

/// Instructions of classic BPF (linux/bpf_common.h).
public enum ClassicBPF {
    public static let BPF_LD: UInt16 = 0x00
    public static let BPF_LDX: UInt16 = 0x01
    public static let BPF_ST: UInt16 = 0x02
    public static let BPF_STX: UInt16 = 0x03
    public static let BPF_ALU: UInt16 = 0x04
    public static let BPF_JMP: UInt16 = 0x05
    public static let BPF_RET: UInt16 = 0x06
    public static let BPF_MISC: UInt16 = 0x07
    public static let BPF_W: UInt16 = 0x00
    public static let BPF_IMM: UInt16 = 0x00
    public static let BPF_ABS: UInt16 = 0x20
    public static let BPF_MEM: UInt16 = 0x60
    public static let BPF_LEN: UInt16 = 0x80
    public static let BPF_ADD: UInt16 = 0x00
    public static let BPF_SUB: UInt16 = 0x10
    public static let BPF_MUL: UInt16 = 0x20
    public static let BPF_DIV: UInt16 = 0x30
    public static let BPF_OR: UInt16 = 0x40
    public static let BPF_AND: UInt16 = 0x50
    public static let BPF_LSH: UInt16 = 0x60
    public static let BPF_RSH: UInt16 = 0x70
    public static let BPF_NEG: UInt16 = 0x80
    public static let BPF_XOR: UInt16 = 0xa0
    public static let BPF_JA: UInt16 = 0x00
    public static let BPF_JEQ: UInt16 = 0x10
    public static let BPF_JGT: UInt16 = 0x20
    public static let BPF_JGE: UInt16 = 0x30
    public static let BPF_JSET: UInt16 = 0x40
    public static let BPF_K: UInt16 = 0x00
    public static let BPF_X: UInt16 = 0x08
    public static let BPF_A: UInt16 = 0x10
    public static let BPF_TAX: UInt16 = 0x00
    public static let BPF_TXA: UInt16 = 0x80
    /// The longest program of a guest, in instructions.
    public static let BPF_MAXINSNS = 4096
    /// Words of scratch memory.
    public static let BPF_MEMWORDS = 16
    /// sizeof(struct sock_filter), sizeof(struct seccomp_data)
    public static let instructionSize = 8
    public static let seccompDataSize: UInt32 = 64
}

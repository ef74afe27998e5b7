/// Operations and flags of futex(2).
public enum Futex {
    public static let FUTEX_WAIT: Int32 = 0
    public static let FUTEX_WAKE: Int32 = 1
    public static let FUTEX_REQUEUE: Int32 = 3
    public static let FUTEX_CMP_REQUEUE: Int32 = 4
    public static let FUTEX_WAKE_OP: Int32 = 5
    public static let FUTEX_LOCK_PI: Int32 = 6
    public static let FUTEX_UNLOCK_PI: Int32 = 7
    public static let FUTEX_TRYLOCK_PI: Int32 = 8
    public static let FUTEX_WAIT_BITSET: Int32 = 9
    public static let FUTEX_WAKE_BITSET: Int32 = 10
    public static let FUTEX_WAIT_REQUEUE_PI: Int32 = 11
    public static let FUTEX_CMP_REQUEUE_PI: Int32 = 12
    public static let FUTEX_LOCK_PI2: Int32 = 13
    public static let FUTEX_PRIVATE_FLAG: Int32 = 128
    public static let FUTEX_CLOCK_REALTIME: Int32 = 256
    public static let FUTEX_CMD_MASK: Int32 = ~(128 | 256)
    public static let FUTEX_BITSET_MATCH_ANY: UInt32 = .max

    /// Bits of a priority-inheriting or robust futex word.
    public static let FUTEX_WAITERS: UInt32 = 0x8000_0000
    public static let FUTEX_OWNER_DIED: UInt32 = 0x4000_0000
    public static let FUTEX_TID_MASK: UInt32 = 0x3fff_ffff

    /// Entries of a robust list that the kernel looks at (ROBUST_LIST_LIMIT).
    public static let ROBUST_LIST_LIMIT = 2048
    /// struct robust_list_head, in bytes.
    public static let robustListHeadSize: UInt64 = 24

    /// FUTEX_WAKE_OP operations and comparisons.
    public static let FUTEX_OP_SET: UInt32 = 0
    public static let FUTEX_OP_ADD: UInt32 = 1
    public static let FUTEX_OP_OR: UInt32 = 2
    public static let FUTEX_OP_ANDN: UInt32 = 3
    public static let FUTEX_OP_XOR: UInt32 = 4
    public static let FUTEX_OP_OPARG_SHIFT: UInt32 = 8
    public static let FUTEX_OP_CMP_EQ: UInt32 = 0
    public static let FUTEX_OP_CMP_NE: UInt32 = 1
    public static let FUTEX_OP_CMP_LT: UInt32 = 2
    public static let FUTEX_OP_CMP_LE: UInt32 = 3
    public static let FUTEX_OP_CMP_GT: UInt32 = 4
    public static let FUTEX_OP_CMP_GE: UInt32 = 5

    /// futex_waitv(2): the most futexes of one call, the size of struct futex_waitv, and flags.
    public static let FUTEX_WAITV_MAX = 128
    public static let waitvSize = 24
    public static let FUTEX2_SIZE_MASK: UInt32 = 3
    public static let FUTEX2_SIZE_U32: UInt32 = 2
    public static let FUTEX2_NUMA: UInt32 = 4
    public static let FUTEX2_PRIVATE: UInt32 = 128
}

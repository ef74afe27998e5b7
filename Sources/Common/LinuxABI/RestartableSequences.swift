/// struct rseq and struct rseq_cs of linux/rseq.h (rseq(2)), and the flags of the call.
public enum RestartableSequences {
    /// sizeof(struct rseq) of the first version, in bytes; also its alignment.
    public static let originalSize: UInt32 = 32
    /// Bytes of struct rseq that are in use (AT_RSEQ_FEATURE_SIZE) and its alignment (AT_RSEQ_ALIGN).
    public static let featureSize: UInt32 = 28
    public static let alignment: UInt64 = 32

    /// Offsets in struct rseq. cpu_id follows cpu_id_start, mm_cid follows node_id, 4 bytes each.
    public static let cpuIDStart: UInt64 = 0
    public static let criticalSection: UInt64 = 8
    public static let flags: UInt64 = 16
    public static let nodeID: UInt64 = 20

    /// sizeof(struct rseq_cs): version, flags, start_ip, post_commit_offset, abort_ip.
    public static let criticalSectionSize = 32

    public static let RSEQ_CPU_ID_UNINITIALIZED: Int32 = -1
    public static let RSEQ_FLAG_UNREGISTER: Int32 = 1
}

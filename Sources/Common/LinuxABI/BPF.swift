/// One instruction of classic BPF: struct sock_filter (linux/filter.h, 8 bytes in memory: code, jt, jf, k).
@frozen public struct BPFInstruction: Hashable, Sendable {
    public static let size = 8
    public var code: UInt16
    /// Instructions to skip when a comparison holds.
    public var jt: UInt8
    /// Instructions to skip when it does not.
    public var jf: UInt8
    public var k: UInt32
    @inlinable public init(code: UInt16, jt: UInt8, jf: UInt8, k: UInt32) {
        self.code = code
        self.jt = jt
        self.jf = jf
        self.k = k
    }
}

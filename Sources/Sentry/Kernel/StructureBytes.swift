import Host
public import LinuxABI

/// A structure of guest memory as bytes, little-endian, with fields at given offsets. Offsets are constants of the layouts, never the guest's.
public struct StructureBytes: Sendable {
    public private(set) var bytes: [UInt8]

    /// `size` zero bytes.
    public init(size: Int) { bytes = [UInt8](repeating: 0, count: size) }
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    @inline(__always) public mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        bytes.store(value, at: offset)
    }
    public mutating func put(_ time: Timespec, at offset: Int) {
        put(time.tv_sec, at: offset)
        put(time.tv_nsec, at: offset + 8)
    }
    public mutating func put(_ info: SignalInfo, at offset: Int) {
        put(info.si_signo, at: offset)
        put(info.si_errno, at: offset + 4)
        put(info.si_code, at: offset + 8)
        put(info.word0, at: offset + 16)
        put(info.word1, at: offset + 24)
        put(info.word2, at: offset + 32)
        put(info.word3, at: offset + 40)
    }
    @inline(__always) public func get<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        bytes.load(offset)
    }
    public func getTimespec(_ offset: Int) -> Timespec { Timespec(tv_sec: get(offset), tv_nsec: get(offset + 8)) }
    /// siginfo_t; bytes 48 to 128 are not looked at.
    public func getSignalInfo(_ offset: Int) -> SignalInfo {
        var info = SignalInfo(signal: get(offset), code: get(offset + 8))
        info.si_errno = get(offset + 4)
        info.word0 = get(offset + 16)
        info.word1 = get(offset + 24)
        info.word2 = get(offset + 32)
        info.word3 = get(offset + 40)
        return info
    }
}

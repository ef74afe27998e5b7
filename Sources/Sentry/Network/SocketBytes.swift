import LinuxABI

/// Option values as bytes, little-endian as on x86-64.
enum SocketBytes {
    static func encode(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    static func encode(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    static func encode(_ credentials: SocketCredentials) -> [UInt8] {
        encode(UInt32(bitPattern: credentials.pid)) + encode(credentials.uid) + encode(credentials.gid)
    }
    /// The first four bytes; EINVAL when there are fewer.
    static func int32(_ bytes: [UInt8], at offset: Int = 0) throws(Errno) -> Int32 {
        guard bytes.count >= offset + 4 else { throw .EINVAL }
        var value: UInt32 = 0
        for i in 0..<4 { value |= UInt32(bytes[offset + i]) << (i * 8) }
        return Int32(bitPattern: value)
    }
    static func int64(_ bytes: [UInt8], at offset: Int) throws(Errno) -> Int64 {
        guard bytes.count >= offset + 8 else { throw .EINVAL }
        var value: UInt64 = 0
        for i in 0..<8 { value |= UInt64(bytes[offset + i]) << (i * 8) }
        return Int64(bitPattern: value)
    }
}

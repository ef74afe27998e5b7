public import LinuxABI

/// Where the bytes of a read or write call are: guest memory (one address range or an iovec array) or a byte array of the Sentry. A cursor: every
/// operation works at the front of what remains and advances by what it did.
///
/// Partial results: an operation that did some bytes before meeting bad memory returns their count; EFAULT is thrown only when it did none.
public struct IOBuffer: Sendable {
    /// The longest transfer of one call (MAX_RW_COUNT of Linux), in bytes.
    public static let maximumCount = 0x7fff_f000

    /// `count` bytes of guest memory at `address`, cut to `maximumCount`.
    public init(_ space: AddressSpace, address: UInt64, count: UInt64) {}
    /// The iovec array of readv(2) and its family: EINVAL for a count over 1024 or a total over SSIZE_MAX, EFAULT for an unreadable array.
    public init(_ space: AddressSpace, vectors address: UInt64, count: UInt64) throws(Errno) { throw .ENOSYS }
    /// An empty array of the Sentry with room for `capacity` bytes (a destination).
    public static func kernel(capacity: Int) -> IOBuffer { IOBuffer(kernelBytes: [], position: 0, capacity: capacity) }
    /// Bytes of the Sentry (a source).
    public static func kernel(_ bytes: [UInt8]) -> IOBuffer { IOBuffer(kernelBytes: bytes, position: 0, capacity: bytes.count) }

    private init(kernelBytes: [UInt8], position: Int, capacity: Int) {}

    /// Bytes that are left.
    public var remaining: Int { 0 }
    /// What has been written to a kernel destination so far; empty for guest memory.
    public var bytes: [UInt8] { [] }
    /// A buffer of the next `count` bytes at most.
    public func prefix(_ count: Int) -> IOBuffer { self }
    /// Skips bytes without touching them.
    public mutating func skip(_ count: Int) {}
    /// Sentry to buffer (read(2) and its kin).
    public mutating func copyOut(_ bytes: Span<UInt8>) throws(Errno) -> Int { throw .ENOSYS }
    public mutating func copyOut(_ bytes: [UInt8]) throws(Errno) -> Int { try copyOut(bytes.span) }
    /// Buffer to Sentry (write(2) and its kin).
    public mutating func copyIn(into bytes: inout MutableSpan<UInt8>) throws(Errno) -> Int { throw .ENOSYS }
    /// Up to `limit` bytes of the buffer as an array.
    public mutating func copyIn(limit: Int) throws(Errno) -> [UInt8] { throw .ENOSYS }
    /// Zero bytes to the buffer.
    public mutating func zero(_ count: Int) throws(Errno) -> Int { throw .ENOSYS }
    /// read(2) or, with `offset`, pread(2) of a host file straight into the buffer. 0 at end of file. EINTR and EAGAIN come back as they are.
    public mutating func fill(fromHost descriptor: Int32, offset: Int64?, limit: Int) throws(Errno) -> Int { throw .ENOSYS }
    /// write(2) or pwrite(2) of the buffer to a host file.
    public mutating func drain(toHost descriptor: Int32, offset: Int64?, limit: Int) throws(Errno) -> Int { throw .ENOSYS }
    /// Memory file to buffer.
    public mutating func fill(from file: MemoryFile, offset: UInt64, count: Int) throws(Errno) -> Int { throw .ENOSYS }
    /// Buffer to memory file.
    public mutating func drain(into file: MemoryFile, offset: UInt64, count: Int) throws(Errno) -> Int { throw .ENOSYS }
}

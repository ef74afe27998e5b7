public import Host
public import LinuxABI

/// Memory of one container: a sparse file on a tmpfs, mapped whole into the Sentry, with a page-range allocator.
public final class MemoryFile: Sendable {
    /// For `Platform.makeAddressSpace`.
    public let descriptor: SharedDescriptor
    /// Takes over a tmpfs file or memfd. `limit`: bytes that the container may hold; the host's tmpfs enforces it when it is mounted with `size=`.
    public init(_ descriptor: consuming OwnedDescriptor, limit: UInt64) throws(Errno) { throw .ENOSYS }
    /// A memfd of its own, without host limit: tests and tools.
    public static func anonymous(limit: UInt64 = .max) throws(Errno) -> MemoryFile { throw .ENOSYS }
    public var limit: UInt64 { 0 }
    /// Bytes that the host holds for this file now.
    public var usage: UInt64 { 0 }
    /// A range of `length` bytes (rounded up to pages) that reads zero, with one reference. ENOMEM when the file's address range is used up.
    public func allocate(_ length: UInt64) throws(Errno) -> Range<UInt64> { throw .ENOSYS }
    /// One more reference to every page of `range`.
    public func retain(_ range: Range<UInt64>) {}
    /// One reference less; pages without any are zeroed and given back to the host.
    public func release(_ range: Range<UInt64>) {}
    /// Makes pages read zero and gives them back to the host, keeping them allocated.
    public func discard(_ range: Range<UInt64>) throws(Errno) { throw .ENOSYS }
    /// Copies bytes out. EFAULT on a bad range, ENOMEM at the container's limit.
    public func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) { throw .ENOSYS }
    public func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(Errno) { throw .ENOSYS }
    public func zero(_ range: Range<UInt64>) throws(Errno) { throw .ENOSYS }
    public func copy(_ range: Range<UInt64>, to offset: UInt64) throws(Errno) { throw .ENOSYS }
    /// read(2) or pread(2) from a host file straight into the memory. Returns the count, 0 at end of file.
    public func fill(_ range: Range<UInt64>, fromHost descriptor: Int32, offset: Int64?) throws(Errno) -> Int { throw .ENOSYS }
    /// write(2) or pwrite(2) of the memory to a host file.
    public func drain(_ range: Range<UInt64>, toHost descriptor: Int32, offset: Int64?) throws(Errno) -> Int { throw .ENOSYS }
    /// Bytes of `range` that the host holds.
    public func resident(_ range: Range<UInt64>) -> UInt64 { 0 }
}

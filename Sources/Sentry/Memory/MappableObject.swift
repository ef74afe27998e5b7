public import Host
public import LinuxABI

/// Which object a shared mapping belongs to: the key of shared futexes and the device and inode columns of /proc/PID/maps.
@frozen public struct MappingIdentity: Hashable, Sendable {
    /// As stat(2) shows it to the guest (makedev encoding).
    public var device: UInt64
    public var inode: UInt64
    @inlinable public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// The bytes behind part of an object.
public struct BackingRange: Sendable {
    public enum Source: Sendable {
        /// A host file, and where in it the range begins. A writable mapping needs a descriptor open for reading and writing.
        case descriptor(SharedDescriptor, offset: UInt64)
        /// Part of the container's memory file (tmpfs, shared anonymous memory). The object keeps it allocated while it is mapped.
        case memoryFile(offset: UInt64)
    }
    public var source: Source
    /// How many bytes follow contiguously; a multiple of the page size, at least one page, at most what was asked for.
    public var length: UInt64
    public init(source: Source, length: UInt64) {
        self.source = source
        self.length = length
    }
}

/// What a file offers to mmap(2).
///
/// Lock order: `backing`, `mappableSize`, `addMapping` and `removeMapping` are called with the lock of an `AddressSpace` held. They may take the
/// object's own locks and the memory file's, but never call into an address space. Conversely the object calls `AddressSpace.invalidate` with none of
/// those locks held: truncate first stores the new size, drops its lock, invalidates, and then gives pages back.
public protocol MappableObject: AnyObject, Sendable {
    var mappingIdentity: MappingIdentity { get }
    /// The path shown in /proc/PID/maps, as the file was opened.
    var mappingPath: [UInt8] { get }
    /// Bytes in the object: touching a page wholly beyond is SIGBUS.
    var mappableSize: UInt64 { get }
    /// Whether the bytes stay as they are for as long as they are mapped: pages of a private mapping may be copied before they are written.
    var isConstant: Bool { get }
    /// The bytes behind `offset` (page-aligned), up to `length`. `write`: a shared mapping wants to store. Memory-file holes are allocated here.
    /// EACCES when the object cannot be written. A range beyond the end may be refused with ENXIO (seen by the guest as SIGBUS).
    func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange
    /// `space` now maps [offset, offset + length). Counted: called once per region, again when a region is split or forked.
    func addMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool)
    /// The exact reverse of one `addMapping` (ranges of a split region add up).
    func removeMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool)
    /// msync(2) with MS_SYNC over part of the object. Called without locks.
    func syncMapping(offset: UInt64, length: UInt64) throws(Errno)
    /// madvise(2) MADV_REMOVE: this part of the object reads zero from now on. Called with the lock of the address space held, so the
    /// object zeroes its pages in place and does not call back.
    func discardMapping(offset: UInt64, length: UInt64) throws(Errno)
}

extension MappableObject {
    public var isConstant: Bool { false }
    public func addMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {}
    public func removeMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {}
    public func syncMapping(offset: UInt64, length: UInt64) throws(Errno) {}
    public func discardMapping(offset: UInt64, length: UInt64) throws(Errno) { throw .EOPNOTSUPP }
}

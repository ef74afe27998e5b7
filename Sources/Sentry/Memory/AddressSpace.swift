public import LinuxABI
public import SentryPlatform
import Synchronization

/// A guest's memory: what it asked for (regions) over what backs it (runs of the memory file and of host files).
public final class AddressSpace: Sendable {
    /// For `ExecutionContext.run`.
    public let platformSpace: any PlatformAddressSpace
    public let memoryFile: MemoryFile
    public let layout: AddressLayout

    public init(platform: any Platform, memoryFile: MemoryFile, layout: AddressLayout, limits: MemoryLimits = MemoryLimits()) throws(Errno)
    { throw .ENOSYS }

    /// Resource limits of the calls from now on.
    public func setLimits(_ limits: MemoryLimits) {}

    // MARK: mmap(2) and family

    /// mmap(2): the address chosen.
    public func map(_ request: MapRequest) throws(Errno) -> UInt64 { throw .ENOSYS }
    /// munmap(2).
    public func unmap(_ address: UInt64, length: UInt64) throws(Errno) { throw .ENOSYS }
    /// mprotect(2). `growsDown`: PROT_GROWSDOWN.
    public func protect(_ address: UInt64, length: UInt64, protection: Protection, growsDown: Bool = false) throws(Errno) { throw .ENOSYS }
    /// mremap(2): the new address.
    public func remap(_ address: UInt64, oldLength: UInt64, newLength: UInt64, flags: RemapFlags, newAddress: UInt64) throws(Errno)
        -> UInt64
    { throw .ENOSYS }
    /// madvise(2). EINVAL for advice that this kernel does not know.
    public func advise(_ address: UInt64, length: UInt64, advice: Int32) throws(Errno) { throw .ENOSYS }
    /// msync(2).
    public func sync(_ address: UInt64, length: UInt64, flags: SyncFlags) throws(Errno) { throw .ENOSYS }
    /// mlock(2), mlock2(2), munlock(2).
    public func lock(_ address: UInt64, length: UInt64, lock: Bool, onFault: Bool = false) throws(Errno) { throw .ENOSYS }
    /// mlockall(2) (MCL_ flags), munlockall(2) (0).
    public func lockAll(_ flags: UInt32) throws(Errno) { throw .ENOSYS }
    /// mincore(2): one byte per page, bit 0 set when resident.
    public func mincore(_ address: UInt64, length: UInt64) throws(Errno) -> [UInt8] { throw .ENOSYS }
    /// Where brk(2)'s heap begins; set once by the loader.
    public func setInitialBreak(_ address: UInt64) {}
    /// brk(2): the new break, or the old one when it cannot be.
    public func brk(_ address: UInt64) -> UInt64 { 0 }
    /// prctl(PR_SET_VMA_ANON_NAME).
    public func setName(_ address: UInt64, length: UInt64, name: [UInt8]?) throws(Errno) { throw .ENOSYS }

    // MARK: life

    /// Answers a SIGSEGV or SIGBUS of guest code.
    public func handleFault(_ address: UInt64, access: AccessKind?) -> FaultOutcome { .signal(number: 11, code: 1) }
    public func handleFault(_ fault: FaultInfo) -> FaultOutcome { handleFault(fault.address, access: fault.access) }
    /// A copy-on-write copy on `platform`.
    public func fork(on platform: any Platform) throws(Errno) -> AddressSpace { throw .ENOSYS }
    /// Gives everything back. No task runs here any more. Idempotent; also done when the last reference goes.
    public func destroy() {}
    /// `object`'s bytes in `range` are gone (truncate) or have moved: touching them asks the object again.
    public func invalidate(_ object: any MappableObject, _ range: Range<UInt64>) {}

    // MARK: looking

    /// In address order. `measured`: with the resident counts of smaps (costs a walk of the pages).
    public func regions(measured: Bool = false) -> [Region] { [] }
    /// The sums for statm, status and getrusage. Measured at the call.
    public func statistics() -> MemoryStatistics { MemoryStatistics() }
    /// The region that holds `address`, or nil.
    public func region(containing address: UInt64) -> Region? { nil }

    // MARK: access

    /// Copies guest memory into `buffer`, all of it. EFAULT otherwise (what was copied before stays).
    public func copyIn(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) { throw .ENOSYS }
    /// As many bytes as can be read: at least one, or EFAULT (0 for an empty buffer).
    public func copyInPartial(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int { throw .ENOSYS }
    /// `count` bytes. The caller bounds the count.
    public func copyIn(from address: UInt64, count: Int) throws(Errno) -> [UInt8] { throw .ENOSYS }
    /// A structure of fixed size.
    public func copyIn<let count: Int>(from address: UInt64, as type: InlineArray<count, UInt8>.Type = InlineArray<count, UInt8>.self)
        throws(Errno) -> InlineArray<count, UInt8>
    { throw .ENOSYS }
    /// Copies `bytes` into guest memory, all of it. EFAULT otherwise.
    public func copyOut(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) { throw .ENOSYS }
    public func copyOut(_ bytes: [UInt8], to address: UInt64) throws(Errno) { try copyOut(bytes.span, to: address) }
    /// As many bytes as can be written: at least one, or EFAULT.
    public func copyOutPartial(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) -> Int { throw .ENOSYS }
    /// Zeroes guest memory.
    public func zero(_ address: UInt64, count: UInt64) throws(Errno) { throw .ENOSYS }
    /// A NUL-terminated string without its NUL. EFAULT; ENAMETOOLONG when no NUL stands within `max` bytes (`max` counts the NUL: PATH_MAX 4096).
    public func copyInString(at address: UInt64, max: Int) throws(Errno) -> [UInt8] { throw .ENOSYS }
    public func load<T: FixedWidthInteger & BitwiseCopyable>(_ address: UInt64, as type: T.Type = T.self) throws(Errno) -> T {
        throw .ENOSYS
    }
    public func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, to address: UInt64) throws(Errno) { throw .ENOSYS }

    /// Reading and writing that ignores the regions' protection (ptrace(2), /proc/PID/mem): private read-only pages are copied, not written through.
    /// The count done; EIO when none.
    public func forceCopyIn(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int { throw .ENOSYS }
    public func forceCopyOut(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) -> Int { throw .ENOSYS }

    // MARK: futexes

    /// EFAULT for unmapped memory, EINVAL for a misaligned address. `shared`: without FUTEX_PRIVATE_FLAG.
    public func futexKey(address: UInt64, shared: Bool) throws(Errno) -> FutexKey { throw .ENOSYS }
    public func atomicLoad(_ address: UInt64) throws(Errno) -> UInt32 { throw .ENOSYS }
    /// Stores `desired` when the word is `expected`; the word found. EFAULT, or EINVAL when misaligned.
    public func atomicCompareExchange(_ address: UInt64, expected: UInt32, desired: UInt32) throws(Errno) -> UInt32 { throw .ENOSYS }
    /// Applies `operation` atomically; the word found before.
    public func atomicUpdate(_ address: UInt64, _ operation: AtomicOperation, _ operand: UInt32) throws(Errno) -> UInt32 { throw .ENOSYS }
}

/// The operations of FUTEX_WAKE_OP and robust lists.
@frozen public enum AtomicOperation: Sendable {
    case exchange, add, or, and, xor
}

public import SentryMemory

/// On whose behalf a file operation runs: a guest task, or the kernel itself. Objects that need more of a task (controlling terminals, ...)
/// live above the kernel and downcast to `KernelTask`.
public protocol FileContext: AnyObject, Sendable {
    var credentials: Credentials { get }
    /// The guest memory that ioctl arguments point into; nil for the kernel itself.
    var addressSpace: AddressSpace? { get }
    /// Root, working directory and umask; nil for the kernel itself.
    var fileSystemContext: FileSystemContext? { get }
    /// RLIMIT_FSIZE in bytes. Exceeding it is EFBIG and SIGXFSZ, which `fileSizeExceeded` raises.
    var fileSizeLimit: UInt64 { get }
    func fileSizeExceeded()
}

/// The kernel acting for itself: root, no memory, no limits.
public final class KernelFileContext: FileContext {
    public static let shared = KernelFileContext()
    private init() {}
    public var credentials: Credentials { .root }
    public var addressSpace: AddressSpace? { nil }
    public var fileSystemContext: FileSystemContext? { nil }
    public var fileSizeLimit: UInt64 { .max }
    public func fileSizeExceeded() {}
}

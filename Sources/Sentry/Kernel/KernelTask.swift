import LinuxABI
public import SentryMemory
public import SentryVFS
import Synchronization

/// A guest thread (Linux: task_struct), run by one host thread.
public final class KernelTask: FileContext {
    public let kernel: Kernel
    public let files: DescriptorTable
    public let credentials: Credentials
    public let addressSpace: AddressSpace?
    public let fileSystemContext: FileSystemContext?
    public var fileSizeLimit: UInt64 { .max }
    public func fileSizeExceeded() {}

    init(kernel: Kernel, files: DescriptorTable, credentials: Credentials, addressSpace: AddressSpace?, fileSystemContext: FileSystemContext?) {
        self.kernel = kernel
        self.files = files
        self.credentials = credentials
        self.addressSpace = addressSpace
        self.fileSystemContext = fileSystemContext
    }
}

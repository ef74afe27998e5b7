public import Host
public import LinuxABI

/// Guest code under PTRACE_SYSEMU in stub processes.
public final class PtracePlatform: Platform {
    public let name = "ptrace"
    public let minimumGuestAddress: UInt64 = 0x1_0000
    public let maximumGuestAddress: UInt64 = 0x7fff_ff00_0000

    /// Starts the source stub. Before the caller confines itself, while it has one thread.
    public static func start() throws(Errno) -> PtracePlatform { throw .ENOSYS }

    private init() {}

    public func makeAddressSpace(memory: SharedDescriptor) throws(Errno) -> any PlatformAddressSpace { throw .ENOSYS }
    public func makeContext() throws(Errno) -> any ExecutionContext { throw .ENOSYS }
}

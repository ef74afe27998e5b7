import LinuxABI
import SentryKernel
import SentryVFS

/// What sockets want to know of who calls.
enum SocketIdentity {
    /// The process and effective identity, as SCM_CREDENTIALS and SO_PEERCRED show them.
    static func of(_ context: any FileContext) -> SocketCredentials {
        let credentials = context.credentials
        return SocketCredentials(pid: processIdentifier(context), uid: credentials.user.effective, gid: credentials.group.effective)
    }

    /// The caller's process id; 0 for the kernel itself.
    static func processIdentifier(_ context: any FileContext) -> Int32 { (context as? KernelTask)?.processID ?? 0 }

    /// RLIMIT_NOFILE of the caller; nil for the kernel itself.
    static func descriptorLimit(_ context: any FileContext) -> Int? {
        (context as? KernelTask).map { Int(clamping: $0.threadGroup.limits.current(Resource.RLIMIT_NOFILE)) }
    }
}

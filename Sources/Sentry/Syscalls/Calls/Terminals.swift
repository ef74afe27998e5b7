import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryVFS

/// System calls on terminals; everything else about them is ioctl(2).
enum TerminalCalls {
    static let calls: [SystemCall] = [SystemCall(.vhangup, vhangup)]

    /// vhangup(2): hangs the controlling terminal up.
    private static func vhangup(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard task.credentials.hasGlobally(.CAP_SYS_TTY_CONFIG) else { throw .EPERM }
        let terminal = task.kernel.tree.withLock { proof in
            task.threadGroup.tree[proof].processGroup.session.tree[proof].terminal as? Terminal
        }
        terminal?.hangUp()
        return 0
    }
}

import Diagnostics
import LinuxABI
import SentryMemory
import SentryVFS

/// strace-like lines in the log, at level info, while `Kernel.isTracing`.
extension KernelTask {
    /// Calls whose arguments hold paths: the positions of the path pointers.
    private static let paths: [SystemCallNumber: [Int]] = [
        .open: [0], .openat: [1], .openat2: [1], .stat: [0], .lstat: [0], .newfstatat: [1], .statx: [1], .access: [0], .faccessat: [1],
        .faccessat2: [1], .readlink: [0], .readlinkat: [1], .execve: [0], .execveat: [1], .chdir: [0], .chroot: [0], .mkdir: [0],
        .mkdirat: [1], .rmdir: [0], .unlink: [0], .unlinkat: [1], .rename: [0, 1], .renameat: [1, 3], .renameat2: [1, 3], .link: [0, 1],
        .linkat: [1, 3], .symlink: [0, 1], .symlinkat: [0, 2], .chmod: [0], .fchmodat: [1], .chown: [0], .lchown: [0], .fchownat: [1],
        .truncate: [0], .statfs: [0], .mount: [0, 1], .umount2: [0], .utimensat: [1], .mknod: [0], .mknodat: [1], .creat: [0],
        .getxattr: [0], .lgetxattr: [0], .setxattr: [0], .lsetxattr: [0], .listxattr: [0], .llistxattr: [0],
    ]
    /// Arguments of the calls that have fewer than six.
    private static let counts: [SystemCallNumber: Int] = [
        .read: 3, .write: 3, .close: 1, .brk: 1, .exit: 1, .exit_group: 1, .getpid: 0, .gettid: 0, .getppid: 0, .getuid: 0, .geteuid: 0,
        .getgid: 0, .getegid: 0, .fork: 0, .vfork: 0, .dup: 1, .dup2: 2, .dup3: 3, .pipe2: 2, .pipe: 1, .munmap: 2, .mprotect: 3, .fstat: 2,
        .openat: 4, .open: 3, .execve: 3, .wait4: 4, .kill: 2, .tgkill: 3, .ioctl: 3, .fcntl: 3, .lseek: 3, .rt_sigreturn: 0,
        .rt_sigaction: 4, .rt_sigprocmask: 4, .getdents64: 3, .uname: 1, .sched_yield: 0, .arch_prctl: 2, .set_tid_address: 1,
        .newfstatat: 4, .readlink: 3, .access: 2, .faccessat2: 4, .poll: 3, .socket: 3, .connect: 3, .setsid: 0, .getpgrp: 0, .pause: 0,
        .getcwd: 2, .chdir: 1, .stat: 2, .lstat: 2, .nanosleep: 2, .clock_gettime: 2,
    ]

    @inline(never) func traceEntry(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments) {
        // A call that does not return is shown on entry only.
        guard [SystemCallNumber.exit, .exit_group, .execve, .execveat, .rt_sigreturn].contains(number) else { return }
        let line = describe(number, arguments)
        Log.info("[\(processID):\(threadID)] \(line)")
    }

    @inline(never) func traceExit(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments, _ result: Int) {
        let shown: String
        if result < 0, result >= -4095 {
            let error = Errno(rawValue: Int32(truncatingIfNeeded: -result))
            shown = "-\(-result) (\(error))"
        } else {
            shown = result > 65536 || result < 0 ? "0x" + String(UInt(bitPattern: result), radix: 16) : "\(result)"
        }
        let line = describe(number, arguments)
        Log.info("[\(processID):\(threadID)] \(line) = \(shown)")
    }

    private func describe(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments) -> String {
        var parts: [String] = []
        let paths = Self.paths[number] ?? []
        for index in 0..<(Self.counts[number] ?? 6) {
            let value = arguments[index]
            if paths.contains(index), let bytes = try? addressSpace?.copyInString(at: value, max: 256) {
                parts.append("\"\(String(decoding: bytes, as: UTF8.self))\"")
            } else if value <= 4096 {
                parts.append("\(value)")
            } else if Int32(bitPattern: UInt32(truncatingIfNeeded: value)) == -100, value >> 32 == 0 || value >> 32 == 0xffff_ffff {
                parts.append("AT_FDCWD")
            } else {
                parts.append("0x" + String(value, radix: 16))
            }
        }
        return "\(number)(\(parts.joined(separator: ", ")))"
    }
}

import LinuxABI

/// One thing that a process which has been taken over might try.
struct Attempt {
    enum Argument {
        case number(Int)
        /// The address of this text.
        case text(String)
    }
    let name: String
    let call: SystemCallNumber
    let arguments: [Argument]

    init(_ name: String, _ call: SystemCallNumber, _ arguments: Argument...) {
        self.name = name
        self.call = call
        self.arguments = arguments
    }

    /// As `ConfinementProbe list` prints it: name, number and arguments, `-` for an address.
    var line: String {
        let words = arguments.map { argument in
            switch argument {
            case .number(let value): String(value)
            case .text: "-"
            }
        }
        return ([name, String(call.rawValue)] + words).joined(separator: " ")
    }

    /// The breach matrix. What is allowed at all has another wall behind it, and an expectation in ConfinementTests.
    static let all = files + mounts + programs + sockets + processes + namespaces + kernel + identity + ownProcess + memory + foreign

    private static let here = Argument.number(-100)  // AT_FDCWD

    private static let files = [
        Attempt("open", .open, .text("/etc/passwd"), 0, 0),
        Attempt("openat", .openat, here, .text("/etc/passwd"), 0, 0),
        Attempt("openat-closing", .openat, here, .text("/etc/passwd"), 0x80000, 0),
        Attempt("openat-to-write", .openat, here, .text("/etc/passwd"), 0x80002, 0),
        Attempt("openat-climbing", .openat, here, .text("../../../../../../etc/passwd"), 0x80000, 0),
        Attempt("openat-below-a-descriptor", .openat, 0, .text("passwd"), 0x80000, 0),
        Attempt("openat2", .openat2, here, .text("/etc/passwd"), 0, 24),
        Attempt("creat", .creat, .text("/tmp/breach"), 0o644),
        Attempt("open_by_handle_at", .open_by_handle_at, 0, 0, 0),
        Attempt("name_to_handle_at", .name_to_handle_at, here, .text("/etc/passwd"), 0, 0, 0),
        Attempt("stat", .stat, .text("/etc/passwd"), 0),
        Attempt("lstat", .lstat, .text("/etc/passwd"), 0),
        Attempt("newfstatat", .newfstatat, here, .text("/etc/passwd"), 0, 0),
        Attempt("newfstatat-with-empty-path", .newfstatat, here, .text("/etc/passwd"), 0, 0x1000),
        Attempt("statx", .statx, here, .text("/etc/passwd"), 0, 0, 0),
        Attempt("statx-with-empty-path", .statx, here, .text("/etc/passwd"), 0x1000, 0, 0),
        Attempt("access", .access, .text("/etc/passwd"), 4),
        Attempt("faccessat", .faccessat, here, .text("/etc/passwd"), 4),
        Attempt("faccessat2", .faccessat2, here, .text("/etc/passwd"), 4, 0),
        Attempt("readlink", .readlink, .text("/proc/self/exe"), 0, 0),
        Attempt("readlinkat", .readlinkat, here, .text("/proc/self/exe"), 0, 0),
        Attempt("getxattr", .getxattr, .text("/etc/passwd"), .text("user.x"), 0, 0),
        Attempt("setxattr", .setxattr, .text("/etc/passwd"), .text("user.x"), 0, 0, 0),
        Attempt("truncate", .truncate, .text("/etc/passwd"), 0),
        Attempt("rename", .rename, .text("/a"), .text("/b")),
        Attempt("renameat2", .renameat2, here, .text("/a"), here, .text("/b"), 0),
        Attempt("unlink", .unlink, .text("/etc/passwd")),
        Attempt("unlinkat", .unlinkat, here, .text("/etc/passwd"), 0),
        Attempt("link", .link, .text("/etc/passwd"), .text("/b")),
        Attempt("linkat", .linkat, here, .text("/etc/passwd"), here, .text("/b"), 0),
        Attempt("symlink", .symlink, .text("/etc/passwd"), .text("/b")),
        Attempt("symlinkat", .symlinkat, .text("/etc/passwd"), here, .text("/b")),
        Attempt("mkdir", .mkdir, .text("/b"), 0o755),
        Attempt("mkdirat", .mkdirat, here, .text("/b"), 0o755),
        Attempt("rmdir", .rmdir, .text("/etc")),
        Attempt("mknod-a-disk", .mknod, .text("/disk"), 0o60600, 0x800),
        Attempt("mknodat-a-disk", .mknodat, here, .text("/disk"), 0o60600, 0x800),
        Attempt("chmod", .chmod, .text("/etc/passwd"), 0o777),
        Attempt("fchmodat", .fchmodat, here, .text("/etc/passwd"), 0o777),
        Attempt("chown", .chown, .text("/etc/passwd"), 0, 0),
        Attempt("fchownat", .fchownat, here, .text("/etc/passwd"), 0, 0, 0),
        Attempt("utimensat", .utimensat, here, .text("/etc/passwd"), 0, 0),
        Attempt("chdir", .chdir, .text("/etc")),
        Attempt("fchdir", .fchdir, 0),
        Attempt("inotify_add_watch", .inotify_add_watch, 0, .text("/etc"), 2),
        Attempt("fanotify_init", .fanotify_init, 0, 0),
        Attempt("file-lease", .fcntl, 0, 1024, 1),
        Attempt("directory-notification", .fcntl, 0, 1026, 1),
        Attempt("signals-of-a-descriptor", .fcntl, 0, 8, 1),
        Attempt("uselib", .uselib, .text("/lib/libc.so")),
        Attempt("acct", .acct, .text("/tmp/breach")),
        Attempt("swapon", .swapon, .text("/dev/sda"), 0),
        Attempt("swapoff", .swapoff, .text("/dev/sda")),
        Attempt("quotactl", .quotactl, 0x800002, .text("/dev/sda"), 0, 0),
    ]

    private static let mounts = [
        Attempt("mount", .mount, .text("none"), .text("/"), .text("proc"), 0, 0),
        Attempt("umount2", .umount2, .text("/"), 2),
        Attempt("pivot_root", .pivot_root, .text("/"), .text("/")),
        Attempt("chroot", .chroot, .text("/")),
        Attempt("open_tree", .open_tree, here, .text("/"), 1),
        Attempt("move_mount", .move_mount, 0, .text(""), here, .text("/"), 4),
        Attempt("fsopen", .fsopen, .text("proc"), 0),
        Attempt("fsconfig", .fsconfig, 0, 6, 0, 0, 0),
        Attempt("fsmount", .fsmount, 0, 0, 0),
        Attempt("fspick", .fspick, here, .text("/"), 0),
        Attempt("mount_setattr", .mount_setattr, here, .text("/"), 0, 0, 32),
    ]

    private static let programs = [
        Attempt("execve", .execve, .text("/bin/sh"), 0, 0),
        Attempt("execveat", .execveat, here, .text("/bin/sh"), 0, 0, 0),
        Attempt("execveat-a-descriptor", .execveat, 0, .text(""), 0, 0, 0x1000),
    ]

    private static let sockets = [
        Attempt("socket-unix", .socket, 1, 1, 0), Attempt("socket-inet", .socket, 2, 1, 0), Attempt("socket-inet6", .socket, 10, 2, 0),
        Attempt("socket-raw", .socket, 2, 3, 1), Attempt("socket-netlink", .socket, 16, 3, 0),
        Attempt("socket-packet", .socket, 17, 3, 0x300),
        Attempt("socket-alg", .socket, 38, 5, 0), Attempt("socket-vsock", .socket, 40, 1, 0), Attempt("socket-xdp", .socket, 44, 3, 0),
        Attempt("socket-bluetooth", .socket, 31, 3, 1), Attempt("socketpair-inet", .socketpair, 2, 1, 0, 0),
        Attempt("socketpair-tipc", .socketpair, 30, 5, 0, 0), Attempt("connect", .connect, 0, .text("\u{1}"), 110),
        Attempt("bind", .bind, 0, .text("\u{1}"), 110),
        Attempt("listen", .listen, 0, 1), Attempt("setsockopt-of-tcp", .setsockopt, 0, 6, 1, 0, 0),
    ]

    private static let processes = [
        Attempt("fork", .fork), Attempt("vfork", .vfork), Attempt("clone-a-process", .clone, 17, 0, 0, 0, 0),
        Attempt("clone-sharing-memory", .clone, 0x111, 0, 0, 0, 0), Attempt("clone3", .clone3, 0, 0),
        Attempt("trace-me", .ptrace, 0, 0, 0, 0), Attempt("attach", .ptrace, 16, 2, 0, 0),
        Attempt("seize-a-stranger", .ptrace, 0x4206, 2, 0, 0), Attempt("seize-itself", .ptrace, 0x4206, 1, 0, 0),
        Attempt("peek", .ptrace, 1, 2, 0, 0), Attempt("poke", .ptrace, 4, 2, 0, 0), Attempt("get-a-filter", .ptrace, 0x420c, 2, 0, 0),
        Attempt("process_vm_readv", .process_vm_readv, 2, 0, 0, 0, 0, 0),
        Attempt("process_vm_writev", .process_vm_writev, 2, 0, 0, 0, 0, 0),
        Attempt("pidfd_open", .pidfd_open, 2, 0), Attempt("pidfd_getfd", .pidfd_getfd, 0, 0, 0),
        Attempt("pidfd_send_signal", .pidfd_send_signal, 0, 9, 0, 0), Attempt("process_madvise", .process_madvise, 0, 0, 0, 4, 0),
        Attempt("kcmp", .kcmp, 1, 2, 0, 0, 0), Attempt("kill-everybody", .kill, -1, 9), Attempt("kill-a-stranger", .kill, 2, 9),
        Attempt("tkill", .tkill, 2, 9), Attempt("tgkill", .tgkill, 2, 2, 9), Attempt("rt_sigqueueinfo", .rt_sigqueueinfo, 2, 9, 0),
        Attempt("move_pages", .move_pages, 2, 0, 0, 0, 0, 0), Attempt("migrate_pages", .migrate_pages, 2, 0, 0, 0),
        Attempt("limits-of-a-stranger", .prlimit64, 2, 7, 0, 0), Attempt("higher-limits", .prlimit64, 0, 7, .text("0123456789abcdef"), 0),
        Attempt("setrlimit", .setrlimit, 7, .text("0123456789abcdef")), Attempt("setpriority", .setpriority, 0, 0, -20),
        Attempt("sched_setscheduler", .sched_setscheduler, 0, 1, .text("\u{1}")), Attempt("sched_setattr", .sched_setattr, 0, 0, 0),
        Attempt("ioprio_set", .ioprio_set, 1, 0, 0), Attempt("process_mrelease", .process_mrelease, 0, 0),
    ]

    private static let namespaces = [
        Attempt("setns", .setns, 0, 0), Attempt("unshare-user", .unshare, 0x1000_0000), Attempt("unshare-mount", .unshare, 0x2_0000),
        Attempt("unshare-network", .unshare, 0x4000_0000),
        Attempt("thread-in-a-user-namespace", .clone, 0x1001_0f00, 0, 0, 0, 0),
        Attempt("thread-in-a-mount-namespace", .clone, 0x3_0f00, 0, 0, 0, 0),
        Attempt("thread-in-a-network-namespace", .clone, 0x4001_0f00, 0, 0, 0, 0),
        Attempt("thread-in-a-pid-namespace", .clone, 0x2001_0f00, 0, 0, 0, 0),
        Attempt("sethostname", .sethostname, .text("breach"), 6), Attempt("setdomainname", .setdomainname, .text("breach"), 6),
    ]

    private static let kernel = [
        Attempt("bpf", .bpf, 0, 0, 0), Attempt("perf_event_open", .perf_event_open, 0, 0, -1, -1, 0),
        Attempt("io_uring_setup", .io_uring_setup, 1, 0),
        Attempt("io_uring_enter", .io_uring_enter, 0, 0, 0, 0, 0, 0), Attempt("io_uring_register", .io_uring_register, 0, 0, 0, 0),
        Attempt("keyctl", .keyctl, 0, -3, 0), Attempt("add_key", .add_key, .text("user"), .text("x"), 0, 0, -3),
        Attempt("request_key", .request_key, .text("user"), .text("x"), 0, -3), Attempt("userfaultfd", .userfaultfd, 0),
        Attempt("kexec_load", .kexec_load, 0, 0, 0, 0), Attempt("kexec_file_load", .kexec_file_load, 0, 0, 0, 0, 0),
        Attempt("init_module", .init_module, 0, 0, .text("")), Attempt("finit_module", .finit_module, 0, .text(""), 0),
        Attempt("delete_module", .delete_module, .text("ext4"), 0), Attempt("reboot", .reboot, 0xfee1_dead, 0x2812_1969, 0, 0),
        Attempt("settimeofday", .settimeofday, 0, 0), Attempt("clock_settime", .clock_settime, 0, 0), Attempt("adjtimex", .adjtimex, 0),
        Attempt("clock_adjtime", .clock_adjtime, 0, 0), Attempt("syslog", .syslog, 3, 0, 0), Attempt("iopl", .iopl, 3),
        Attempt("ioperm", .ioperm, 0x70, 1, 1), Attempt("modify_ldt", .modify_ldt, 1, 0, 0), Attempt("vhangup", .vhangup),
        Attempt("landlock_create_ruleset", .landlock_create_ruleset, 0, 0, 1), Attempt("memfd_secret", .memfd_secret, 0),
        Attempt("shmget", .shmget, 0, 4096, 0o1600), Attempt("msgget", .msgget, 0, 0o1600), Attempt("semget", .semget, 0, 1, 0o1600),
        Attempt("mq_open", .mq_open, .text("breach"), 0o102, 0o600, 0),
    ]

    private static let identity = [
        Attempt("setuid", .setuid, 0), Attempt("setgid", .setgid, 0), Attempt("setresuid", .setresuid, 0, 0, 0),
        Attempt("setgroups", .setgroups, 0, 0),
        Attempt("setfsuid", .setfsuid, 0), Attempt("capset", .capset, 0, 0), Attempt("setsid", .setsid), Attempt("setpgid", .setpgid, 0, 0),
    ]

    /// Walls of the process itself.
    private static let ownProcess = [
        Attempt("prctl-dumpable", .prctl, 4, 1, 0, 0, 0), Attempt("prctl-seccomp", .prctl, 22, 0, 0, 0, 0),
        Attempt("prctl-no-new-privileges", .prctl, 38, 0, 0, 0, 0), Attempt("prctl-secure-bits", .prctl, 28, 0, 0, 0, 0),
        Attempt("prctl-ambient", .prctl, 47, 2, 21, 0, 0), Attempt("prctl-tracer", .prctl, 0x5961_6d61, -1, 0, 0, 0),
        Attempt("prctl-memory-map", .prctl, 35, 13, 0, 0, 0), Attempt("prctl-speculation", .prctl, 53, 0, 2, 0, 0),
        Attempt("seccomp-another-filter", .seccomp, 1, 0, 0), Attempt("seccomp-with-listener", .seccomp, 1, 8, 0),
        Attempt("personality", .personality, 0x40_0000), Attempt("arch_prctl", .arch_prctl, 0x1002, 0),
        Attempt("terminal-input", .ioctl, 0, 0x5412, .text("x")), Attempt("console-selection", .ioctl, 0, 0x541c, .text("\u{2}")),
        Attempt("console-output", .ioctl, 0, 0x541d, 0), Attempt("freeze-a-file-system", .ioctl, 0, 0xc004_5877, 0),
        Attempt("flags-of-a-file", .ioctl, 0, 0x4008_6602, 0), Attempt("kvm", .ioctl, 0, 0xae01, 0),
        Attempt("tun", .ioctl, 0, 0x4004_54ca, 0),
    ]

    private static let memory = [
        Attempt("map-code", .mmap, 0, 4096, 7, 0x22, -1, 0), Attempt("map-readable-code", .mmap, 0, 4096, 5, 0x22, -1, 0),
        Attempt("make-code", .mprotect, 0, 4096, 5), Attempt("make-code-with-a-key", .pkey_mprotect, 0, 4096, 5, -1),
        Attempt("remap_file_pages", .remap_file_pages, 0, 4096, 0, 0, 0), Attempt("shmat", .shmat, 0, 0, 0o100000),
        Attempt("mlockall", .mlockall, 3), Attempt("mbind", .mbind, 0, 4096, 0, 0, 0, 0), Attempt("vmsplice", .vmsplice, 0, 0, 0, 0),
    ]

    /// Entries of other architectures: numbers of x32.
    private static let foreign = [
        Attempt("x32-open", SystemCallNumber(rawValue: 0x4000_0000 | 2), .text("/etc/passwd"), 0, 0),
        Attempt("x32-read", SystemCallNumber(rawValue: 0x4000_0000), 0, 0, 0),
        Attempt("x32-execve", SystemCallNumber(rawValue: 0x4000_0000 | 520), .text("/bin/sh"), 0, 0),
    ]
}

extension Attempt.Argument: ExpressibleByIntegerLiteral {
    init(integerLiteral value: Int) { self = .number(value) }
}

internal import LinuxABI

/// What the Gofer may ask of the host kernel once it is confined: files, always relative to trees that it holds. No program is started,
/// no socket made, nothing mounted.
enum GoferFilter {
    static let description = FilterDescription(name: "gofer", rules: protocolRules + lookups + changes + contents + runtime)

    private static let noExecution = ArgumentCheck.without(2, 4 /* PROT_EXEC */, "not executable")

    private static let protocolRules: [FilterRule] = [
        FilterRule(.recvmsg, "requests; control"),
        FilterRule(.sendmsg, "replies with donated descriptors; control"),
        FilterRule(.futex, "locks"),
        FilterRule(.close, "donated descriptors and forgotten nodes"),
    ]

    private static let lookups: [FilterRule] = [
        FilterRule(.openat2, "one component below a descriptor (RESOLVE_BENEATH, no links)"),
        FilterRule(.openat, "the same where the host has no openat2"),
        FilterRule(.statx, "attributes"),
        FilterRule(.newfstatat, "attributes"),
        FilterRule(.fstat, "attributes"),
        FilterRule(.readlinkat, "targets of symbolic links"),
        FilterRule(.getdents64, "names in a directory"),
        FilterRule(.lseek, "place in a directory or file"),
        FilterRule(.fstatfs, "StatFileSystem"),
        FilterRule(.faccessat2, "may the container's root read this"),
    ]

    private static let changes: [FilterRule] = [
        FilterRule(.mkdirat, "MakeDirectory"),
        FilterRule(.mknodat, "MakeNode (devices need CAP_MKNOD, which the configuration grants)"),
        FilterRule(.symlinkat, "Symlink"),
        FilterRule(.linkat, "Link"),
        FilterRule(.unlinkat, "Unlink"),
        FilterRule(.renameat2, "Rename"),
        FilterRule(.fchmodat, "SetStat"),
        FilterRule(.fchmodat2, "SetStat"),
        FilterRule(.fchmod, "SetStat"),
        FilterRule(.fchownat, "SetStat"),
        FilterRule(.fchown, "SetStat"),
        FilterRule(.utimensat, "SetStat"),
        FilterRule(.ftruncate, "SetStat"),
        FilterRule(.fallocate, "Allocate"),
        FilterRule(.umask, "modes exactly as asked"),
        FilterRule(.fgetxattr, "extended attributes"),
        FilterRule(.fsetxattr, "extended attributes"),
        FilterRule(.flistxattr, "extended attributes"),
        FilterRule(.fremovexattr, "extended attributes"),
        FilterRule(.getxattrat, "extended attributes of a node that is not open"),
        FilterRule(.setxattrat, "extended attributes of a node that is not open"),
        FilterRule(.listxattrat, "extended attributes of a node that is not open"),
        FilterRule(.removexattrat, "extended attributes of a node that is not open"),
    ]

    private static let contents: [FilterRule] = [
        FilterRule(.pread64, "Read"),
        FilterRule(.pwrite64, "Write"),
        FilterRule(.read, "directories, eventfds, inotify"),
        FilterRule(.write, "eventfds, the log"),
        FilterRule(.fsync, "Sync"),
        FilterRule(.fdatasync, "Sync"),
        FilterRule(.syncfs, "Sync of a tree"),
        FilterRule(.copy_file_range, "copies within the host"),
        FilterRule(.flock, "Lock"),
        FilterRule(.fcntl, [.int(1, 1030, "F_DUPFD_CLOEXEC")], "another reference"),
        FilterRule(.fcntl, [.int(1, 1, "F_GETFD")], "is it open"),
        FilterRule(.fcntl, [.int(1, 2, "F_SETFD")], "close-on-exec"),
        FilterRule(.fcntl, [.int(1, 3, "F_GETFL")], "how it was opened"),
        FilterRule(.fcntl, [.int(1, 4, "F_SETFL")], "O_NONBLOCK"),
        FilterRule(.fcntl, [.int(1, 36, "F_OFD_GETLK")], "Lock"),
        FilterRule(.fcntl, [.int(1, 37, "F_OFD_SETLK")], "Lock"),
        FilterRule(.inotify_init1, "Watch"),
        FilterRule(.inotify_add_watch, "Watch"),
        FilterRule(.inotify_rm_watch, "Watch"),
    ]

    private static let runtime: [FilterRule] = [
        FilterRule(.ppoll, "the control server; waiting for requests"),
        FilterRule(.poll, "the C library's name for it"),
        FilterRule(.accept4, "control clients"),
        FilterRule(.shutdown, "ends of connections"),
        FilterRule(.eventfd2, "wake-ups"),
        FilterRule(.dup, "another reference"),
        FilterRule(.dup3, "another reference"),
        FilterRule(.mmap, [noExecution], "buffers, thread stacks"),
        FilterRule(.munmap, "buffers"),
        FilterRule(.mprotect, [noExecution], "thread stacks, malloc"),
        FilterRule(.madvise, "malloc"),
        FilterRule(.mremap, "malloc"),
        FilterRule(.brk, "malloc"),
        FilterRule(
            .clone,
            [
                .bits(
                    0, mask: 0x7e02_4000 | 0x10f00, 0x10f00,
                    "a thread of this process (CLONE_VM, FS, FILES, SIGHAND, THREAD) and no namespace")
            ],
            "threads"),
        FilterRule(.clone3, outcome: .fail(.ENOSYS), "its flags lie in memory that a filter cannot see: the C library falls back to clone"),
        FilterRule(.set_robust_list, "starting a thread"),
        FilterRule(.rseq, "starting a thread"),
        FilterRule(.set_tid_address, "starting a thread"),
        FilterRule(.sched_getaffinity, "malloc's arenas"),
        FilterRule(.sched_yield, "spinning waits"),
        FilterRule(.gettid, "who am I"),
        FilterRule(.getpid, "who am I"),
        FilterRule(.getuid, "the C library"),
        FilterRule(.geteuid, "the C library"),
        FilterRule(.prctl, [.int(0, 15, "PR_SET_NAME")], "names of threads"),
        FilterRule(.prctl, [.int(0, 0x5356_4d41, "PR_SET_VMA")], "names of mappings"),
        FilterRule(.prlimit64, [.int(0, 0, "of itself"), .bits(2, mask: ~0, 0, "only reading")], "descriptor and stack limits"),
        FilterRule(.clock_gettime, "the log's time where there is no vDSO"),
        FilterRule(.clock_nanosleep, "bounded waits"),
        FilterRule(.getrandom, "hashing seeds"),
        FilterRule(.rt_sigaction, "abort()"),
        FilterRule(.rt_sigprocmask, "starting a thread"),
        FilterRule(.rt_sigreturn, "return from a handler"),
        FilterRule(.sigaltstack, "the runtime"),
        FilterRule(.restart_syscall, "sleeps after a stop"),
        FilterRule(.tgkill, "abort()"),
        FilterRule(.exit, "the end of a thread"),
        FilterRule(.exit_group, "the end"),
    ]
}

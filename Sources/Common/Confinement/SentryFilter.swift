internal import LinuxABI

/// What the Sentry may ask of the host kernel once it is confined. Nothing here opens a path, makes a socket, starts a program or makes
/// memory executable.
enum SentryFilter {
    static let description = FilterDescription(name: "sentry", rules: running + files + waiting + threads + terminals + leaving)

    private static let noExecution = ArgumentCheck.without(2, 4 /* PROT_EXEC */, "not executable")

    /// Running guest code: the hottest of all.
    private static let running: [FilterRule] = [
        FilterRule(.ptrace, [.int(0, 31, "PTRACE_SYSEMU")], "resuming guest code (ptrace platform)"),
        FilterRule(.ptrace, [.int(0, 13, "PTRACE_SETREGS")], "registers of guest code"),
        FilterRule(.ptrace, [.int(0, 12, "PTRACE_GETREGS")], "registers of guest code"),
        FilterRule(.ptrace, [.int(0, 0x4202, "PTRACE_GETSIGINFO")], "which fault guest code made"),
        FilterRule(.ptrace, [.int(0, 0x4204, "PTRACE_GETREGSET")], "floating-point state"),
        FilterRule(.ptrace, [.int(0, 0x4205, "PTRACE_SETREGSET")], "floating-point state"),
        FilterRule(.ptrace, [.int(0, 0x4206, "PTRACE_SEIZE")], "taking over a new stub thread"),
        FilterRule(.ptrace, [.int(0, 0x4207, "PTRACE_INTERRUPT")], "taking over a new stub thread"),
        FilterRule(.ptrace, [.int(0, 0x4208, "PTRACE_LISTEN")], "a stub that was stopped from outside"),
        FilterRule(.ptrace, [.int(0, 0x420b, "PTRACE_SETSIGMASK")], "a stub thread takes all signals"),
        FilterRule(.ptrace, [.int(0, 17, "PTRACE_DETACH")], "ending a stub thread"),
        FilterRule(.wait4, "stops and deaths of stub threads"),
        FilterRule(.futex, "locks; guest threads that sleep and wake"),
        FilterRule(.futex_waitv, "one thread that makes the calls of many guest threads"),
        FilterRule(.tgkill, "interrupting a stub thread; abort()"),
        FilterRule(.ioctl, [.int(1, 0xc050_2100, "SECCOMP_IOCTL_NOTIF_RECV")], "commands to stubs: take a notification"),
        FilterRule(.ioctl, [.int(1, 0xc018_2101, "SECCOMP_IOCTL_NOTIF_SEND")], "commands to stubs: answer it"),
        FilterRule(.ioctl, [.int(1, 0x4008_2102, "SECCOMP_IOCTL_NOTIF_ID_VALID")], "commands to stubs: is the caller alive"),
        FilterRule(.ioctl, [.int(1, 0x4018_2103, "SECCOMP_IOCTL_NOTIF_ADDFD")], "a mapped file enters a stub for one batch"),
        FilterRule(.ioctl, [.int(1, 0x4008_2104, "SECCOMP_IOCTL_NOTIF_SET_FLAGS")], "synchronous wake-up of stubs"),
        FilterRule(.sched_setaffinity, "a task's Sentry thread and stub thread share a CPU"),
        FilterRule(.sched_getaffinity, "which CPUs there are; malloc's arenas"),
        FilterRule(.sched_yield, "guest sched_yield; spinning waits"),
        FilterRule(.getcpu, "guest getcpu; placement"),
    ]

    /// Files that the Gofer donated, the memory files, standard streams.
    private static let files: [FilterRule] = [
        FilterRule(.pread64, "donated files"),
        FilterRule(.pwrite64, "donated files"),
        FilterRule(.read, "donated streams, eventfds"),
        FilterRule(.write, "donated streams, eventfds, the log"),
        FilterRule(.recvmsg, "file protocol, control, stub messages"),
        FilterRule(.sendmsg, "file protocol, control"),
        FilterRule(.readv, "donated streams"),
        FilterRule(.writev, "donated streams"),
        FilterRule(.preadv, "donated files"),
        FilterRule(.pwritev, "donated files"),
        FilterRule(.preadv2, "donated files; RWF_NOWAIT on streams"),
        FilterRule(.pwritev2, "donated files; RWF_NOWAIT on streams"),
        FilterRule(.mmap, [noExecution], "guest memory, buffers, thread stacks"),
        FilterRule(.munmap, "the same"),
        FilterRule(.mprotect, [noExecution], "thread stacks, malloc"),
        FilterRule(.madvise, "giving memory back"),
        FilterRule(.mremap, "malloc"),
        FilterRule(.brk, "malloc"),
        FilterRule(.mincore, "which guest pages are there"),
        FilterRule(.msync, "guest msync of mapped files"),
        FilterRule(.mlock, "guest mlock"),
        FilterRule(.munlock, "guest munlock"),
        FilterRule(.fallocate, "punching freed guest memory out; guest fallocate"),
        FilterRule(.ftruncate, "size of the memory file; guest truncation"),
        FilterRule(.fstat, "sizes and times of donated files"),
        FilterRule(.newfstatat, [.bits(3, mask: 0x1000, 0x1000, "AT_EMPTY_PATH")], "the C library's fstat"),
        FilterRule(.statx, [.bits(2, mask: 0x1000, 0x1000, "AT_EMPTY_PATH")], "times of donated files"),
        FilterRule(.fstatfs, "guest fstatfs of donated files"),
        FilterRule(.lseek, "SEEK_DATA and SEEK_HOLE of donated files; the C library's streams"),
        FilterRule(.fsync, "guest fsync"),
        FilterRule(.fdatasync, "guest fdatasync"),
        FilterRule(.sync_file_range, "guest sync_file_range"),
        FilterRule(.fadvise64, "guest fadvise"),
        FilterRule(.readahead, "guest readahead"),
        FilterRule(.copy_file_range, "guest copy_file_range between donated files"),
        FilterRule(.splice, "guest splice of donated streams"),
        FilterRule(.tee, "guest tee of donated streams"),
        FilterRule(.sendfile, "copying between donated files"),
        FilterRule(.flock, "guest locks on shared trees"),
        FilterRule(.fcntl, [.int(1, 1030, "F_DUPFD_CLOEXEC")], "another reference to a donated file"),
        FilterRule(.fcntl, [.int(1, 1, "F_GETFD")], "is it open"),
        FilterRule(.fcntl, [.int(1, 2, "F_SETFD")], "close-on-exec"),
        FilterRule(.fcntl, [.int(1, 3, "F_GETFL")], "how a standard stream was opened"),
        FilterRule(.fcntl, [.int(1, 4, "F_SETFL")], "O_NONBLOCK of sockets of our own"),
        FilterRule(.fcntl, [.int(1, 36, "F_OFD_GETLK")], "guest locks on shared trees"),
        FilterRule(.fcntl, [.int(1, 37, "F_OFD_SETLK")], "guest locks on shared trees"),
        FilterRule(.fcntl, [.int(1, 1032, "F_GETPIPE_SZ")], "guest F_GETPIPE_SZ of a standard stream"),
        FilterRule(.fcntl, [.int(1, 1033, "F_ADD_SEALS")], "sealing memory files"),
        FilterRule(.memfd_create, "guest memory files and buffers"),
        FilterRule(.dup, "another reference"),
        FilterRule(.dup3, "another reference"),
        FilterRule(.close, "letting go"),
        FilterRule(.accept4, "control clients; connections of donated listening sockets"),
        FilterRule(.shutdown, "ends of connections"),
        FilterRule(.getsockopt, "errors and types of donated sockets"),
        FilterRule(.setsockopt, [.int(1, 1, "SOL_SOCKET")], "buffers and time-outs of donated sockets"),
        FilterRule(.getsockname, "donated sockets"),
        FilterRule(.getpeername, "donated sockets"),
        FilterRule(.socketpair, [.int(0, 1, "AF_UNIX")], "messages between threads"),
        FilterRule(.recvfrom, "donated sockets"),
        FilterRule(.sendto, "donated sockets"),
        FilterRule(.pipe2, "buffers for splice"),
        // Fails instead of killing: the C library must not take the sandbox down. Nothing is opened.
        FilterRule(
            .openat, [.int(0, 0xffff_ff9c, "AT_FDCWD"), .int(2, 0x80000, "O_RDONLY | O_CLOEXEC")], outcome: .fail(.ENOENT),
            "malloc looks for /proc/sys/vm/overcommit_memory when a thread's heap shrinks"),
    ]

    /// Waiting and time.
    private static let waiting: [FilterRule] = [
        FilterRule(.ppoll, "the control server; donated streams"),
        FilterRule(.poll, "the C library's name for it"),
        FilterRule(.epoll_create1, "watching donated descriptors"),
        FilterRule(.epoll_ctl, "watching donated descriptors"),
        FilterRule(.epoll_wait, "watching donated descriptors"),
        FilterRule(.epoll_pwait, "watching donated descriptors"),
        FilterRule(.epoll_pwait2, "watching donated descriptors"),
        FilterRule(.eventfd2, "wake-ups"),
        FilterRule(.timerfd_create, "timers"),
        FilterRule(.timerfd_settime, "timers"),
        FilterRule(.clock_gettime, "clocks that the vDSO does not have (CPU clocks)"),
        FilterRule(.clock_getres, "guest clock_getres"),
        FilterRule(.clock_nanosleep, "bounded waits"),
        FilterRule(.nanosleep, "bounded waits"),
        FilterRule(.restart_syscall, "sleeps after a stop"),
        FilterRule(.gettimeofday, "the time where there is no vDSO"),
        FilterRule(.getrandom, "guest randomness; hashing seeds"),
        FilterRule(.getrusage, "CPU time of threads"),
        FilterRule(.times, "CPU time"),
        FilterRule(.sysinfo, "memory of the host, for limits"),
        FilterRule(.uname, "the C library"),
    ]

    /// Threads of the Sentry, signals to itself.
    private static let threads: [FilterRule] = [
        FilterRule(
            .clone,
            [
                .bits(
                    0, mask: 0x7e02_4000 | 0x10f00, 0x10f00,
                    "a thread of this process (CLONE_VM, FS, FILES, SIGHAND, THREAD) and no namespace")
            ],
            "one thread for each guest task"),
        FilterRule(.clone3, outcome: .fail(.ENOSYS), "its flags lie in memory that a filter cannot see: the C library falls back to clone"),
        FilterRule(.set_robust_list, "starting a thread"),
        FilterRule(.rseq, "starting a thread"),
        FilterRule(.set_tid_address, "starting a thread"),
        FilterRule(.gettid, "who am I"),
        FilterRule(.getpid, "who am I"),
        FilterRule(.getuid, "the C library"),
        FilterRule(.geteuid, "the C library"),
        FilterRule(.prctl, [.int(0, 15, "PR_SET_NAME")], "names of threads"),
        FilterRule(.prctl, [.int(0, 0x5356_4d41, "PR_SET_VMA")], "names of mappings"),
        FilterRule(.prlimit64, [.int(0, 0, "of itself"), .bits(2, mask: ~0, 0, "only reading")], "size of the main thread's stack"),
        FilterRule(.rt_sigaction, "the fault handler of guest memory access"),
        FilterRule(.rt_sigprocmask, "signals around thread start"),
        FilterRule(.rt_sigreturn, "return from the fault handler"),
        FilterRule(.rt_sigtimedwait, "waiting for signals to itself"),
        FilterRule(.sigaltstack, "stack of the fault handler"),
        FilterRule(.sched_getparam, "thread attributes"),
        FilterRule(.sched_getscheduler, "thread attributes"),
        FilterRule(.sched_get_priority_max, "guest sched_get_priority_max"),
        FilterRule(.sched_get_priority_min, "guest sched_get_priority_min"),
        FilterRule(.membarrier, "guest membarrier"),
        FilterRule(.pidfd_open, "noticing the death of a stub"),
        FilterRule(.pidfd_send_signal, "ending a stub"),
        FilterRule(.process_vm_readv, "stub memory that no memory file backs"),
        FilterRule(.process_vm_writev, "stub memory that no memory file backs"),
        FilterRule(.waitid, "deaths of stubs (by pidfd)"),
    ]

    /// Donated terminals and standard streams.
    private static let terminals: [FilterRule] = [
        FilterRule(.ioctl, [.int(1, 0x5401, "TCGETS")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x5402, "TCSETS")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x5403, "TCSETSW")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x5404, "TCSETSF")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x5409, "TCSBRK")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x540a, "TCXONC")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x540b, "TCFLSH")], "a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x540e, "TIOCSCTTY")], "a donated terminal tells this session of its window's size"),
        FilterRule(.ioctl, [.int(1, 0x5411, "TIOCOUTQ")], "a donated terminal or socket"),
        FilterRule(.ioctl, [.int(1, 0x5413, "TIOCGWINSZ")], "size of a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x5414, "TIOCSWINSZ")], "size of a donated terminal"),
        FilterRule(.ioctl, [.int(1, 0x541b, "FIONREAD")], "what a donated stream holds"),
        FilterRule(.ioctl, [.int(1, 0x5421, "FIONBIO")], "sockets of our own"),
    ]

    private static let leaving: [FilterRule] = [
        FilterRule(.exit, "the end of a thread"),
        FilterRule(.exit_group, "the end"),
    ]
}

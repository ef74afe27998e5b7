/// The system calls of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl), under their C names.
@frozen public struct SystemCallNumber: Hashable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

extension SystemCallNumber {
    @inlinable public static var read: SystemCallNumber { SystemCallNumber(rawValue: 0) }
    @inlinable public static var write: SystemCallNumber { SystemCallNumber(rawValue: 1) }
    @inlinable public static var open: SystemCallNumber { SystemCallNumber(rawValue: 2) }
    @inlinable public static var close: SystemCallNumber { SystemCallNumber(rawValue: 3) }
    @inlinable public static var stat: SystemCallNumber { SystemCallNumber(rawValue: 4) }
    @inlinable public static var fstat: SystemCallNumber { SystemCallNumber(rawValue: 5) }
    @inlinable public static var lstat: SystemCallNumber { SystemCallNumber(rawValue: 6) }
    @inlinable public static var poll: SystemCallNumber { SystemCallNumber(rawValue: 7) }
    @inlinable public static var lseek: SystemCallNumber { SystemCallNumber(rawValue: 8) }
    @inlinable public static var mmap: SystemCallNumber { SystemCallNumber(rawValue: 9) }
    @inlinable public static var mprotect: SystemCallNumber { SystemCallNumber(rawValue: 10) }
    @inlinable public static var munmap: SystemCallNumber { SystemCallNumber(rawValue: 11) }
    @inlinable public static var brk: SystemCallNumber { SystemCallNumber(rawValue: 12) }
    @inlinable public static var rt_sigaction: SystemCallNumber { SystemCallNumber(rawValue: 13) }
    @inlinable public static var rt_sigprocmask: SystemCallNumber { SystemCallNumber(rawValue: 14) }
    @inlinable public static var rt_sigreturn: SystemCallNumber { SystemCallNumber(rawValue: 15) }
    @inlinable public static var ioctl: SystemCallNumber { SystemCallNumber(rawValue: 16) }
    @inlinable public static var pread64: SystemCallNumber { SystemCallNumber(rawValue: 17) }
    @inlinable public static var pwrite64: SystemCallNumber { SystemCallNumber(rawValue: 18) }
    @inlinable public static var readv: SystemCallNumber { SystemCallNumber(rawValue: 19) }
    @inlinable public static var writev: SystemCallNumber { SystemCallNumber(rawValue: 20) }
    @inlinable public static var access: SystemCallNumber { SystemCallNumber(rawValue: 21) }
    @inlinable public static var pipe: SystemCallNumber { SystemCallNumber(rawValue: 22) }
    @inlinable public static var select: SystemCallNumber { SystemCallNumber(rawValue: 23) }
    @inlinable public static var sched_yield: SystemCallNumber { SystemCallNumber(rawValue: 24) }
    @inlinable public static var mremap: SystemCallNumber { SystemCallNumber(rawValue: 25) }
    @inlinable public static var msync: SystemCallNumber { SystemCallNumber(rawValue: 26) }
    @inlinable public static var mincore: SystemCallNumber { SystemCallNumber(rawValue: 27) }
    @inlinable public static var madvise: SystemCallNumber { SystemCallNumber(rawValue: 28) }
    @inlinable public static var shmget: SystemCallNumber { SystemCallNumber(rawValue: 29) }
    @inlinable public static var shmat: SystemCallNumber { SystemCallNumber(rawValue: 30) }
    @inlinable public static var shmctl: SystemCallNumber { SystemCallNumber(rawValue: 31) }
    @inlinable public static var dup: SystemCallNumber { SystemCallNumber(rawValue: 32) }
    @inlinable public static var dup2: SystemCallNumber { SystemCallNumber(rawValue: 33) }
    @inlinable public static var pause: SystemCallNumber { SystemCallNumber(rawValue: 34) }
    @inlinable public static var nanosleep: SystemCallNumber { SystemCallNumber(rawValue: 35) }
    @inlinable public static var getitimer: SystemCallNumber { SystemCallNumber(rawValue: 36) }
    @inlinable public static var alarm: SystemCallNumber { SystemCallNumber(rawValue: 37) }
    @inlinable public static var setitimer: SystemCallNumber { SystemCallNumber(rawValue: 38) }
    @inlinable public static var getpid: SystemCallNumber { SystemCallNumber(rawValue: 39) }
    @inlinable public static var sendfile: SystemCallNumber { SystemCallNumber(rawValue: 40) }
    @inlinable public static var socket: SystemCallNumber { SystemCallNumber(rawValue: 41) }
    @inlinable public static var connect: SystemCallNumber { SystemCallNumber(rawValue: 42) }
    @inlinable public static var accept: SystemCallNumber { SystemCallNumber(rawValue: 43) }
    @inlinable public static var sendto: SystemCallNumber { SystemCallNumber(rawValue: 44) }
    @inlinable public static var recvfrom: SystemCallNumber { SystemCallNumber(rawValue: 45) }
    @inlinable public static var sendmsg: SystemCallNumber { SystemCallNumber(rawValue: 46) }
    @inlinable public static var recvmsg: SystemCallNumber { SystemCallNumber(rawValue: 47) }
    @inlinable public static var shutdown: SystemCallNumber { SystemCallNumber(rawValue: 48) }
    @inlinable public static var bind: SystemCallNumber { SystemCallNumber(rawValue: 49) }
    @inlinable public static var listen: SystemCallNumber { SystemCallNumber(rawValue: 50) }
    @inlinable public static var getsockname: SystemCallNumber { SystemCallNumber(rawValue: 51) }
    @inlinable public static var getpeername: SystemCallNumber { SystemCallNumber(rawValue: 52) }
    @inlinable public static var socketpair: SystemCallNumber { SystemCallNumber(rawValue: 53) }
    @inlinable public static var setsockopt: SystemCallNumber { SystemCallNumber(rawValue: 54) }
    @inlinable public static var getsockopt: SystemCallNumber { SystemCallNumber(rawValue: 55) }
    @inlinable public static var clone: SystemCallNumber { SystemCallNumber(rawValue: 56) }
    @inlinable public static var fork: SystemCallNumber { SystemCallNumber(rawValue: 57) }
    @inlinable public static var vfork: SystemCallNumber { SystemCallNumber(rawValue: 58) }
    @inlinable public static var execve: SystemCallNumber { SystemCallNumber(rawValue: 59) }
    @inlinable public static var exit: SystemCallNumber { SystemCallNumber(rawValue: 60) }
    @inlinable public static var wait4: SystemCallNumber { SystemCallNumber(rawValue: 61) }
    @inlinable public static var kill: SystemCallNumber { SystemCallNumber(rawValue: 62) }
    @inlinable public static var uname: SystemCallNumber { SystemCallNumber(rawValue: 63) }
    @inlinable public static var semget: SystemCallNumber { SystemCallNumber(rawValue: 64) }
    @inlinable public static var semop: SystemCallNumber { SystemCallNumber(rawValue: 65) }
    @inlinable public static var semctl: SystemCallNumber { SystemCallNumber(rawValue: 66) }
    @inlinable public static var shmdt: SystemCallNumber { SystemCallNumber(rawValue: 67) }
    @inlinable public static var msgget: SystemCallNumber { SystemCallNumber(rawValue: 68) }
    @inlinable public static var msgsnd: SystemCallNumber { SystemCallNumber(rawValue: 69) }
    @inlinable public static var msgrcv: SystemCallNumber { SystemCallNumber(rawValue: 70) }
    @inlinable public static var msgctl: SystemCallNumber { SystemCallNumber(rawValue: 71) }
    @inlinable public static var fcntl: SystemCallNumber { SystemCallNumber(rawValue: 72) }
    @inlinable public static var flock: SystemCallNumber { SystemCallNumber(rawValue: 73) }
    @inlinable public static var fsync: SystemCallNumber { SystemCallNumber(rawValue: 74) }
    @inlinable public static var fdatasync: SystemCallNumber { SystemCallNumber(rawValue: 75) }
    @inlinable public static var truncate: SystemCallNumber { SystemCallNumber(rawValue: 76) }
    @inlinable public static var ftruncate: SystemCallNumber { SystemCallNumber(rawValue: 77) }
    @inlinable public static var getdents: SystemCallNumber { SystemCallNumber(rawValue: 78) }
    @inlinable public static var getcwd: SystemCallNumber { SystemCallNumber(rawValue: 79) }
    @inlinable public static var chdir: SystemCallNumber { SystemCallNumber(rawValue: 80) }
    @inlinable public static var fchdir: SystemCallNumber { SystemCallNumber(rawValue: 81) }
    @inlinable public static var rename: SystemCallNumber { SystemCallNumber(rawValue: 82) }
    @inlinable public static var mkdir: SystemCallNumber { SystemCallNumber(rawValue: 83) }
    @inlinable public static var rmdir: SystemCallNumber { SystemCallNumber(rawValue: 84) }
    @inlinable public static var creat: SystemCallNumber { SystemCallNumber(rawValue: 85) }
    @inlinable public static var link: SystemCallNumber { SystemCallNumber(rawValue: 86) }
    @inlinable public static var unlink: SystemCallNumber { SystemCallNumber(rawValue: 87) }
    @inlinable public static var symlink: SystemCallNumber { SystemCallNumber(rawValue: 88) }
    @inlinable public static var readlink: SystemCallNumber { SystemCallNumber(rawValue: 89) }
    @inlinable public static var chmod: SystemCallNumber { SystemCallNumber(rawValue: 90) }
    @inlinable public static var fchmod: SystemCallNumber { SystemCallNumber(rawValue: 91) }
    @inlinable public static var chown: SystemCallNumber { SystemCallNumber(rawValue: 92) }
    @inlinable public static var fchown: SystemCallNumber { SystemCallNumber(rawValue: 93) }
    @inlinable public static var lchown: SystemCallNumber { SystemCallNumber(rawValue: 94) }
    @inlinable public static var umask: SystemCallNumber { SystemCallNumber(rawValue: 95) }
    @inlinable public static var gettimeofday: SystemCallNumber { SystemCallNumber(rawValue: 96) }
    @inlinable public static var getrlimit: SystemCallNumber { SystemCallNumber(rawValue: 97) }
    @inlinable public static var getrusage: SystemCallNumber { SystemCallNumber(rawValue: 98) }
    @inlinable public static var sysinfo: SystemCallNumber { SystemCallNumber(rawValue: 99) }
    @inlinable public static var times: SystemCallNumber { SystemCallNumber(rawValue: 100) }
    @inlinable public static var ptrace: SystemCallNumber { SystemCallNumber(rawValue: 101) }
    @inlinable public static var getuid: SystemCallNumber { SystemCallNumber(rawValue: 102) }
    @inlinable public static var syslog: SystemCallNumber { SystemCallNumber(rawValue: 103) }
    @inlinable public static var getgid: SystemCallNumber { SystemCallNumber(rawValue: 104) }
    @inlinable public static var setuid: SystemCallNumber { SystemCallNumber(rawValue: 105) }
    @inlinable public static var setgid: SystemCallNumber { SystemCallNumber(rawValue: 106) }
    @inlinable public static var geteuid: SystemCallNumber { SystemCallNumber(rawValue: 107) }
    @inlinable public static var getegid: SystemCallNumber { SystemCallNumber(rawValue: 108) }
    @inlinable public static var setpgid: SystemCallNumber { SystemCallNumber(rawValue: 109) }
    @inlinable public static var getppid: SystemCallNumber { SystemCallNumber(rawValue: 110) }
    @inlinable public static var getpgrp: SystemCallNumber { SystemCallNumber(rawValue: 111) }
    @inlinable public static var setsid: SystemCallNumber { SystemCallNumber(rawValue: 112) }
    @inlinable public static var setreuid: SystemCallNumber { SystemCallNumber(rawValue: 113) }
    @inlinable public static var setregid: SystemCallNumber { SystemCallNumber(rawValue: 114) }
    @inlinable public static var getgroups: SystemCallNumber { SystemCallNumber(rawValue: 115) }
    @inlinable public static var setgroups: SystemCallNumber { SystemCallNumber(rawValue: 116) }
    @inlinable public static var setresuid: SystemCallNumber { SystemCallNumber(rawValue: 117) }
    @inlinable public static var getresuid: SystemCallNumber { SystemCallNumber(rawValue: 118) }
    @inlinable public static var setresgid: SystemCallNumber { SystemCallNumber(rawValue: 119) }
    @inlinable public static var getresgid: SystemCallNumber { SystemCallNumber(rawValue: 120) }
    @inlinable public static var getpgid: SystemCallNumber { SystemCallNumber(rawValue: 121) }
    @inlinable public static var setfsuid: SystemCallNumber { SystemCallNumber(rawValue: 122) }
    @inlinable public static var setfsgid: SystemCallNumber { SystemCallNumber(rawValue: 123) }
    @inlinable public static var getsid: SystemCallNumber { SystemCallNumber(rawValue: 124) }
    @inlinable public static var capget: SystemCallNumber { SystemCallNumber(rawValue: 125) }
    @inlinable public static var capset: SystemCallNumber { SystemCallNumber(rawValue: 126) }
    @inlinable public static var rt_sigpending: SystemCallNumber { SystemCallNumber(rawValue: 127) }
    @inlinable public static var rt_sigtimedwait: SystemCallNumber { SystemCallNumber(rawValue: 128) }
    @inlinable public static var rt_sigqueueinfo: SystemCallNumber { SystemCallNumber(rawValue: 129) }
    @inlinable public static var rt_sigsuspend: SystemCallNumber { SystemCallNumber(rawValue: 130) }
    @inlinable public static var sigaltstack: SystemCallNumber { SystemCallNumber(rawValue: 131) }
    @inlinable public static var utime: SystemCallNumber { SystemCallNumber(rawValue: 132) }
    @inlinable public static var mknod: SystemCallNumber { SystemCallNumber(rawValue: 133) }
    @inlinable public static var uselib: SystemCallNumber { SystemCallNumber(rawValue: 134) }
    @inlinable public static var personality: SystemCallNumber { SystemCallNumber(rawValue: 135) }
    @inlinable public static var ustat: SystemCallNumber { SystemCallNumber(rawValue: 136) }
    @inlinable public static var statfs: SystemCallNumber { SystemCallNumber(rawValue: 137) }
    @inlinable public static var fstatfs: SystemCallNumber { SystemCallNumber(rawValue: 138) }
    @inlinable public static var sysfs: SystemCallNumber { SystemCallNumber(rawValue: 139) }
    @inlinable public static var getpriority: SystemCallNumber { SystemCallNumber(rawValue: 140) }
    @inlinable public static var setpriority: SystemCallNumber { SystemCallNumber(rawValue: 141) }
    @inlinable public static var sched_setparam: SystemCallNumber { SystemCallNumber(rawValue: 142) }
    @inlinable public static var sched_getparam: SystemCallNumber { SystemCallNumber(rawValue: 143) }
    @inlinable public static var sched_setscheduler: SystemCallNumber { SystemCallNumber(rawValue: 144) }
    @inlinable public static var sched_getscheduler: SystemCallNumber { SystemCallNumber(rawValue: 145) }
    @inlinable public static var sched_get_priority_max: SystemCallNumber { SystemCallNumber(rawValue: 146) }
    @inlinable public static var sched_get_priority_min: SystemCallNumber { SystemCallNumber(rawValue: 147) }
    @inlinable public static var sched_rr_get_interval: SystemCallNumber { SystemCallNumber(rawValue: 148) }
    @inlinable public static var mlock: SystemCallNumber { SystemCallNumber(rawValue: 149) }
    @inlinable public static var munlock: SystemCallNumber { SystemCallNumber(rawValue: 150) }
    @inlinable public static var mlockall: SystemCallNumber { SystemCallNumber(rawValue: 151) }
    @inlinable public static var munlockall: SystemCallNumber { SystemCallNumber(rawValue: 152) }
    @inlinable public static var vhangup: SystemCallNumber { SystemCallNumber(rawValue: 153) }
    @inlinable public static var modify_ldt: SystemCallNumber { SystemCallNumber(rawValue: 154) }
    @inlinable public static var pivot_root: SystemCallNumber { SystemCallNumber(rawValue: 155) }
    @inlinable public static var _sysctl: SystemCallNumber { SystemCallNumber(rawValue: 156) }
    @inlinable public static var prctl: SystemCallNumber { SystemCallNumber(rawValue: 157) }
    @inlinable public static var arch_prctl: SystemCallNumber { SystemCallNumber(rawValue: 158) }
    @inlinable public static var adjtimex: SystemCallNumber { SystemCallNumber(rawValue: 159) }
    @inlinable public static var setrlimit: SystemCallNumber { SystemCallNumber(rawValue: 160) }
    @inlinable public static var chroot: SystemCallNumber { SystemCallNumber(rawValue: 161) }
    @inlinable public static var sync: SystemCallNumber { SystemCallNumber(rawValue: 162) }
    @inlinable public static var acct: SystemCallNumber { SystemCallNumber(rawValue: 163) }
    @inlinable public static var settimeofday: SystemCallNumber { SystemCallNumber(rawValue: 164) }
    @inlinable public static var mount: SystemCallNumber { SystemCallNumber(rawValue: 165) }
    @inlinable public static var umount2: SystemCallNumber { SystemCallNumber(rawValue: 166) }
    @inlinable public static var swapon: SystemCallNumber { SystemCallNumber(rawValue: 167) }
    @inlinable public static var swapoff: SystemCallNumber { SystemCallNumber(rawValue: 168) }
    @inlinable public static var reboot: SystemCallNumber { SystemCallNumber(rawValue: 169) }
    @inlinable public static var sethostname: SystemCallNumber { SystemCallNumber(rawValue: 170) }
    @inlinable public static var setdomainname: SystemCallNumber { SystemCallNumber(rawValue: 171) }
    @inlinable public static var iopl: SystemCallNumber { SystemCallNumber(rawValue: 172) }
    @inlinable public static var ioperm: SystemCallNumber { SystemCallNumber(rawValue: 173) }
    @inlinable public static var create_module: SystemCallNumber { SystemCallNumber(rawValue: 174) }
    @inlinable public static var init_module: SystemCallNumber { SystemCallNumber(rawValue: 175) }
    @inlinable public static var delete_module: SystemCallNumber { SystemCallNumber(rawValue: 176) }
    @inlinable public static var get_kernel_syms: SystemCallNumber { SystemCallNumber(rawValue: 177) }
    @inlinable public static var query_module: SystemCallNumber { SystemCallNumber(rawValue: 178) }
    @inlinable public static var quotactl: SystemCallNumber { SystemCallNumber(rawValue: 179) }
    @inlinable public static var nfsservctl: SystemCallNumber { SystemCallNumber(rawValue: 180) }
    @inlinable public static var getpmsg: SystemCallNumber { SystemCallNumber(rawValue: 181) }
    @inlinable public static var putpmsg: SystemCallNumber { SystemCallNumber(rawValue: 182) }
    @inlinable public static var afs_syscall: SystemCallNumber { SystemCallNumber(rawValue: 183) }
    @inlinable public static var tuxcall: SystemCallNumber { SystemCallNumber(rawValue: 184) }
    @inlinable public static var security: SystemCallNumber { SystemCallNumber(rawValue: 185) }
    @inlinable public static var gettid: SystemCallNumber { SystemCallNumber(rawValue: 186) }
    @inlinable public static var readahead: SystemCallNumber { SystemCallNumber(rawValue: 187) }
    @inlinable public static var setxattr: SystemCallNumber { SystemCallNumber(rawValue: 188) }
    @inlinable public static var lsetxattr: SystemCallNumber { SystemCallNumber(rawValue: 189) }
    @inlinable public static var fsetxattr: SystemCallNumber { SystemCallNumber(rawValue: 190) }
    @inlinable public static var getxattr: SystemCallNumber { SystemCallNumber(rawValue: 191) }
    @inlinable public static var lgetxattr: SystemCallNumber { SystemCallNumber(rawValue: 192) }
    @inlinable public static var fgetxattr: SystemCallNumber { SystemCallNumber(rawValue: 193) }
    @inlinable public static var listxattr: SystemCallNumber { SystemCallNumber(rawValue: 194) }
    @inlinable public static var llistxattr: SystemCallNumber { SystemCallNumber(rawValue: 195) }
    @inlinable public static var flistxattr: SystemCallNumber { SystemCallNumber(rawValue: 196) }
    @inlinable public static var removexattr: SystemCallNumber { SystemCallNumber(rawValue: 197) }
    @inlinable public static var lremovexattr: SystemCallNumber { SystemCallNumber(rawValue: 198) }
    @inlinable public static var fremovexattr: SystemCallNumber { SystemCallNumber(rawValue: 199) }
    @inlinable public static var tkill: SystemCallNumber { SystemCallNumber(rawValue: 200) }
    @inlinable public static var time: SystemCallNumber { SystemCallNumber(rawValue: 201) }
    @inlinable public static var futex: SystemCallNumber { SystemCallNumber(rawValue: 202) }
    @inlinable public static var sched_setaffinity: SystemCallNumber { SystemCallNumber(rawValue: 203) }
    @inlinable public static var sched_getaffinity: SystemCallNumber { SystemCallNumber(rawValue: 204) }
    @inlinable public static var set_thread_area: SystemCallNumber { SystemCallNumber(rawValue: 205) }
    @inlinable public static var io_setup: SystemCallNumber { SystemCallNumber(rawValue: 206) }
    @inlinable public static var io_destroy: SystemCallNumber { SystemCallNumber(rawValue: 207) }
    @inlinable public static var io_getevents: SystemCallNumber { SystemCallNumber(rawValue: 208) }
    @inlinable public static var io_submit: SystemCallNumber { SystemCallNumber(rawValue: 209) }
    @inlinable public static var io_cancel: SystemCallNumber { SystemCallNumber(rawValue: 210) }
    @inlinable public static var get_thread_area: SystemCallNumber { SystemCallNumber(rawValue: 211) }
    @inlinable public static var lookup_dcookie: SystemCallNumber { SystemCallNumber(rawValue: 212) }
    @inlinable public static var epoll_create: SystemCallNumber { SystemCallNumber(rawValue: 213) }
    @inlinable public static var epoll_ctl_old: SystemCallNumber { SystemCallNumber(rawValue: 214) }
    @inlinable public static var epoll_wait_old: SystemCallNumber { SystemCallNumber(rawValue: 215) }
    @inlinable public static var remap_file_pages: SystemCallNumber { SystemCallNumber(rawValue: 216) }
    @inlinable public static var getdents64: SystemCallNumber { SystemCallNumber(rawValue: 217) }
    @inlinable public static var set_tid_address: SystemCallNumber { SystemCallNumber(rawValue: 218) }
    @inlinable public static var restart_syscall: SystemCallNumber { SystemCallNumber(rawValue: 219) }
    @inlinable public static var semtimedop: SystemCallNumber { SystemCallNumber(rawValue: 220) }
    @inlinable public static var fadvise64: SystemCallNumber { SystemCallNumber(rawValue: 221) }
    @inlinable public static var timer_create: SystemCallNumber { SystemCallNumber(rawValue: 222) }
    @inlinable public static var timer_settime: SystemCallNumber { SystemCallNumber(rawValue: 223) }
    @inlinable public static var timer_gettime: SystemCallNumber { SystemCallNumber(rawValue: 224) }
    @inlinable public static var timer_getoverrun: SystemCallNumber { SystemCallNumber(rawValue: 225) }
    @inlinable public static var timer_delete: SystemCallNumber { SystemCallNumber(rawValue: 226) }
    @inlinable public static var clock_settime: SystemCallNumber { SystemCallNumber(rawValue: 227) }
    @inlinable public static var clock_gettime: SystemCallNumber { SystemCallNumber(rawValue: 228) }
    @inlinable public static var clock_getres: SystemCallNumber { SystemCallNumber(rawValue: 229) }
    @inlinable public static var clock_nanosleep: SystemCallNumber { SystemCallNumber(rawValue: 230) }
    @inlinable public static var exit_group: SystemCallNumber { SystemCallNumber(rawValue: 231) }
    @inlinable public static var epoll_wait: SystemCallNumber { SystemCallNumber(rawValue: 232) }
    @inlinable public static var epoll_ctl: SystemCallNumber { SystemCallNumber(rawValue: 233) }
    @inlinable public static var tgkill: SystemCallNumber { SystemCallNumber(rawValue: 234) }
    @inlinable public static var utimes: SystemCallNumber { SystemCallNumber(rawValue: 235) }
    @inlinable public static var vserver: SystemCallNumber { SystemCallNumber(rawValue: 236) }
    @inlinable public static var mbind: SystemCallNumber { SystemCallNumber(rawValue: 237) }
    @inlinable public static var set_mempolicy: SystemCallNumber { SystemCallNumber(rawValue: 238) }
    @inlinable public static var get_mempolicy: SystemCallNumber { SystemCallNumber(rawValue: 239) }
    @inlinable public static var mq_open: SystemCallNumber { SystemCallNumber(rawValue: 240) }
    @inlinable public static var mq_unlink: SystemCallNumber { SystemCallNumber(rawValue: 241) }
    @inlinable public static var mq_timedsend: SystemCallNumber { SystemCallNumber(rawValue: 242) }
    @inlinable public static var mq_timedreceive: SystemCallNumber { SystemCallNumber(rawValue: 243) }
    @inlinable public static var mq_notify: SystemCallNumber { SystemCallNumber(rawValue: 244) }
    @inlinable public static var mq_getsetattr: SystemCallNumber { SystemCallNumber(rawValue: 245) }
    @inlinable public static var kexec_load: SystemCallNumber { SystemCallNumber(rawValue: 246) }
    @inlinable public static var waitid: SystemCallNumber { SystemCallNumber(rawValue: 247) }
    @inlinable public static var add_key: SystemCallNumber { SystemCallNumber(rawValue: 248) }
    @inlinable public static var request_key: SystemCallNumber { SystemCallNumber(rawValue: 249) }
    @inlinable public static var keyctl: SystemCallNumber { SystemCallNumber(rawValue: 250) }
    @inlinable public static var ioprio_set: SystemCallNumber { SystemCallNumber(rawValue: 251) }
    @inlinable public static var ioprio_get: SystemCallNumber { SystemCallNumber(rawValue: 252) }
    @inlinable public static var inotify_init: SystemCallNumber { SystemCallNumber(rawValue: 253) }
    @inlinable public static var inotify_add_watch: SystemCallNumber { SystemCallNumber(rawValue: 254) }
    @inlinable public static var inotify_rm_watch: SystemCallNumber { SystemCallNumber(rawValue: 255) }
    @inlinable public static var migrate_pages: SystemCallNumber { SystemCallNumber(rawValue: 256) }
    @inlinable public static var openat: SystemCallNumber { SystemCallNumber(rawValue: 257) }
    @inlinable public static var mkdirat: SystemCallNumber { SystemCallNumber(rawValue: 258) }
    @inlinable public static var mknodat: SystemCallNumber { SystemCallNumber(rawValue: 259) }
    @inlinable public static var fchownat: SystemCallNumber { SystemCallNumber(rawValue: 260) }
    @inlinable public static var futimesat: SystemCallNumber { SystemCallNumber(rawValue: 261) }
    @inlinable public static var newfstatat: SystemCallNumber { SystemCallNumber(rawValue: 262) }
    @inlinable public static var unlinkat: SystemCallNumber { SystemCallNumber(rawValue: 263) }
    @inlinable public static var renameat: SystemCallNumber { SystemCallNumber(rawValue: 264) }
    @inlinable public static var linkat: SystemCallNumber { SystemCallNumber(rawValue: 265) }
    @inlinable public static var symlinkat: SystemCallNumber { SystemCallNumber(rawValue: 266) }
    @inlinable public static var readlinkat: SystemCallNumber { SystemCallNumber(rawValue: 267) }
    @inlinable public static var fchmodat: SystemCallNumber { SystemCallNumber(rawValue: 268) }
    @inlinable public static var faccessat: SystemCallNumber { SystemCallNumber(rawValue: 269) }
    @inlinable public static var pselect6: SystemCallNumber { SystemCallNumber(rawValue: 270) }
    @inlinable public static var ppoll: SystemCallNumber { SystemCallNumber(rawValue: 271) }
    @inlinable public static var unshare: SystemCallNumber { SystemCallNumber(rawValue: 272) }
    @inlinable public static var set_robust_list: SystemCallNumber { SystemCallNumber(rawValue: 273) }
    @inlinable public static var get_robust_list: SystemCallNumber { SystemCallNumber(rawValue: 274) }
    @inlinable public static var splice: SystemCallNumber { SystemCallNumber(rawValue: 275) }
    @inlinable public static var tee: SystemCallNumber { SystemCallNumber(rawValue: 276) }
    @inlinable public static var sync_file_range: SystemCallNumber { SystemCallNumber(rawValue: 277) }
    @inlinable public static var vmsplice: SystemCallNumber { SystemCallNumber(rawValue: 278) }
    @inlinable public static var move_pages: SystemCallNumber { SystemCallNumber(rawValue: 279) }
    @inlinable public static var utimensat: SystemCallNumber { SystemCallNumber(rawValue: 280) }
    @inlinable public static var epoll_pwait: SystemCallNumber { SystemCallNumber(rawValue: 281) }
    @inlinable public static var signalfd: SystemCallNumber { SystemCallNumber(rawValue: 282) }
    @inlinable public static var timerfd_create: SystemCallNumber { SystemCallNumber(rawValue: 283) }
    @inlinable public static var eventfd: SystemCallNumber { SystemCallNumber(rawValue: 284) }
    @inlinable public static var fallocate: SystemCallNumber { SystemCallNumber(rawValue: 285) }
    @inlinable public static var timerfd_settime: SystemCallNumber { SystemCallNumber(rawValue: 286) }
    @inlinable public static var timerfd_gettime: SystemCallNumber { SystemCallNumber(rawValue: 287) }
    @inlinable public static var accept4: SystemCallNumber { SystemCallNumber(rawValue: 288) }
    @inlinable public static var signalfd4: SystemCallNumber { SystemCallNumber(rawValue: 289) }
    @inlinable public static var eventfd2: SystemCallNumber { SystemCallNumber(rawValue: 290) }
    @inlinable public static var epoll_create1: SystemCallNumber { SystemCallNumber(rawValue: 291) }
    @inlinable public static var dup3: SystemCallNumber { SystemCallNumber(rawValue: 292) }
    @inlinable public static var pipe2: SystemCallNumber { SystemCallNumber(rawValue: 293) }
    @inlinable public static var inotify_init1: SystemCallNumber { SystemCallNumber(rawValue: 294) }
    @inlinable public static var preadv: SystemCallNumber { SystemCallNumber(rawValue: 295) }
    @inlinable public static var pwritev: SystemCallNumber { SystemCallNumber(rawValue: 296) }
    @inlinable public static var rt_tgsigqueueinfo: SystemCallNumber { SystemCallNumber(rawValue: 297) }
    @inlinable public static var perf_event_open: SystemCallNumber { SystemCallNumber(rawValue: 298) }
    @inlinable public static var recvmmsg: SystemCallNumber { SystemCallNumber(rawValue: 299) }
    @inlinable public static var fanotify_init: SystemCallNumber { SystemCallNumber(rawValue: 300) }
    @inlinable public static var fanotify_mark: SystemCallNumber { SystemCallNumber(rawValue: 301) }
    @inlinable public static var prlimit64: SystemCallNumber { SystemCallNumber(rawValue: 302) }
    @inlinable public static var name_to_handle_at: SystemCallNumber { SystemCallNumber(rawValue: 303) }
    @inlinable public static var open_by_handle_at: SystemCallNumber { SystemCallNumber(rawValue: 304) }
    @inlinable public static var clock_adjtime: SystemCallNumber { SystemCallNumber(rawValue: 305) }
    @inlinable public static var syncfs: SystemCallNumber { SystemCallNumber(rawValue: 306) }
    @inlinable public static var sendmmsg: SystemCallNumber { SystemCallNumber(rawValue: 307) }
    @inlinable public static var setns: SystemCallNumber { SystemCallNumber(rawValue: 308) }
    @inlinable public static var getcpu: SystemCallNumber { SystemCallNumber(rawValue: 309) }
    @inlinable public static var process_vm_readv: SystemCallNumber { SystemCallNumber(rawValue: 310) }
    @inlinable public static var process_vm_writev: SystemCallNumber { SystemCallNumber(rawValue: 311) }
    @inlinable public static var kcmp: SystemCallNumber { SystemCallNumber(rawValue: 312) }
    @inlinable public static var finit_module: SystemCallNumber { SystemCallNumber(rawValue: 313) }
    @inlinable public static var sched_setattr: SystemCallNumber { SystemCallNumber(rawValue: 314) }
    @inlinable public static var sched_getattr: SystemCallNumber { SystemCallNumber(rawValue: 315) }
    @inlinable public static var renameat2: SystemCallNumber { SystemCallNumber(rawValue: 316) }
    @inlinable public static var seccomp: SystemCallNumber { SystemCallNumber(rawValue: 317) }
    @inlinable public static var getrandom: SystemCallNumber { SystemCallNumber(rawValue: 318) }
    @inlinable public static var memfd_create: SystemCallNumber { SystemCallNumber(rawValue: 319) }
    @inlinable public static var kexec_file_load: SystemCallNumber { SystemCallNumber(rawValue: 320) }
    @inlinable public static var bpf: SystemCallNumber { SystemCallNumber(rawValue: 321) }
    @inlinable public static var execveat: SystemCallNumber { SystemCallNumber(rawValue: 322) }
    @inlinable public static var userfaultfd: SystemCallNumber { SystemCallNumber(rawValue: 323) }
    @inlinable public static var membarrier: SystemCallNumber { SystemCallNumber(rawValue: 324) }
    @inlinable public static var mlock2: SystemCallNumber { SystemCallNumber(rawValue: 325) }
    @inlinable public static var copy_file_range: SystemCallNumber { SystemCallNumber(rawValue: 326) }
    @inlinable public static var preadv2: SystemCallNumber { SystemCallNumber(rawValue: 327) }
    @inlinable public static var pwritev2: SystemCallNumber { SystemCallNumber(rawValue: 328) }
    @inlinable public static var pkey_mprotect: SystemCallNumber { SystemCallNumber(rawValue: 329) }
    @inlinable public static var pkey_alloc: SystemCallNumber { SystemCallNumber(rawValue: 330) }
    @inlinable public static var pkey_free: SystemCallNumber { SystemCallNumber(rawValue: 331) }
    @inlinable public static var statx: SystemCallNumber { SystemCallNumber(rawValue: 332) }
    @inlinable public static var io_pgetevents: SystemCallNumber { SystemCallNumber(rawValue: 333) }
    @inlinable public static var rseq: SystemCallNumber { SystemCallNumber(rawValue: 334) }
    @inlinable public static var pidfd_send_signal: SystemCallNumber { SystemCallNumber(rawValue: 424) }
    @inlinable public static var io_uring_setup: SystemCallNumber { SystemCallNumber(rawValue: 425) }
    @inlinable public static var io_uring_enter: SystemCallNumber { SystemCallNumber(rawValue: 426) }
    @inlinable public static var io_uring_register: SystemCallNumber { SystemCallNumber(rawValue: 427) }
    @inlinable public static var open_tree: SystemCallNumber { SystemCallNumber(rawValue: 428) }
    @inlinable public static var move_mount: SystemCallNumber { SystemCallNumber(rawValue: 429) }
    @inlinable public static var fsopen: SystemCallNumber { SystemCallNumber(rawValue: 430) }
    @inlinable public static var fsconfig: SystemCallNumber { SystemCallNumber(rawValue: 431) }
    @inlinable public static var fsmount: SystemCallNumber { SystemCallNumber(rawValue: 432) }
    @inlinable public static var fspick: SystemCallNumber { SystemCallNumber(rawValue: 433) }
    @inlinable public static var pidfd_open: SystemCallNumber { SystemCallNumber(rawValue: 434) }
    @inlinable public static var clone3: SystemCallNumber { SystemCallNumber(rawValue: 435) }
    @inlinable public static var close_range: SystemCallNumber { SystemCallNumber(rawValue: 436) }
    @inlinable public static var openat2: SystemCallNumber { SystemCallNumber(rawValue: 437) }
    @inlinable public static var pidfd_getfd: SystemCallNumber { SystemCallNumber(rawValue: 438) }
    @inlinable public static var faccessat2: SystemCallNumber { SystemCallNumber(rawValue: 439) }
    @inlinable public static var process_madvise: SystemCallNumber { SystemCallNumber(rawValue: 440) }
    @inlinable public static var epoll_pwait2: SystemCallNumber { SystemCallNumber(rawValue: 441) }
    @inlinable public static var mount_setattr: SystemCallNumber { SystemCallNumber(rawValue: 442) }
    @inlinable public static var quotactl_fd: SystemCallNumber { SystemCallNumber(rawValue: 443) }
    @inlinable public static var landlock_create_ruleset: SystemCallNumber { SystemCallNumber(rawValue: 444) }
    @inlinable public static var landlock_add_rule: SystemCallNumber { SystemCallNumber(rawValue: 445) }
    @inlinable public static var landlock_restrict_self: SystemCallNumber { SystemCallNumber(rawValue: 446) }
    @inlinable public static var memfd_secret: SystemCallNumber { SystemCallNumber(rawValue: 447) }
    @inlinable public static var process_mrelease: SystemCallNumber { SystemCallNumber(rawValue: 448) }
    @inlinable public static var futex_waitv: SystemCallNumber { SystemCallNumber(rawValue: 449) }
    @inlinable public static var set_mempolicy_home_node: SystemCallNumber { SystemCallNumber(rawValue: 450) }
    @inlinable public static var cachestat: SystemCallNumber { SystemCallNumber(rawValue: 451) }
    @inlinable public static var fchmodat2: SystemCallNumber { SystemCallNumber(rawValue: 452) }
    @inlinable public static var map_shadow_stack: SystemCallNumber { SystemCallNumber(rawValue: 453) }
    @inlinable public static var futex_wake: SystemCallNumber { SystemCallNumber(rawValue: 454) }
    @inlinable public static var futex_wait: SystemCallNumber { SystemCallNumber(rawValue: 455) }
    @inlinable public static var futex_requeue: SystemCallNumber { SystemCallNumber(rawValue: 456) }
    @inlinable public static var statmount: SystemCallNumber { SystemCallNumber(rawValue: 457) }
    @inlinable public static var listmount: SystemCallNumber { SystemCallNumber(rawValue: 458) }
    @inlinable public static var lsm_get_self_attr: SystemCallNumber { SystemCallNumber(rawValue: 459) }
    @inlinable public static var lsm_set_self_attr: SystemCallNumber { SystemCallNumber(rawValue: 460) }
    @inlinable public static var lsm_list_modules: SystemCallNumber { SystemCallNumber(rawValue: 461) }
    @inlinable public static var mseal: SystemCallNumber { SystemCallNumber(rawValue: 462) }
    @inlinable public static var setxattrat: SystemCallNumber { SystemCallNumber(rawValue: 463) }
    @inlinable public static var getxattrat: SystemCallNumber { SystemCallNumber(rawValue: 464) }
    @inlinable public static var listxattrat: SystemCallNumber { SystemCallNumber(rawValue: 465) }
    @inlinable public static var removexattrat: SystemCallNumber { SystemCallNumber(rawValue: 466) }
    @inlinable public static var open_tree_attr: SystemCallNumber { SystemCallNumber(rawValue: 467) }

    /// Every number with its name, in numeric order.
    public static let all: [(number: UInt64, name: String)] = [
        (0, "read"),
        (1, "write"),
        (2, "open"),
        (3, "close"),
        (4, "stat"),
        (5, "fstat"),
        (6, "lstat"),
        (7, "poll"),
        (8, "lseek"),
        (9, "mmap"),
        (10, "mprotect"),
        (11, "munmap"),
        (12, "brk"),
        (13, "rt_sigaction"),
        (14, "rt_sigprocmask"),
        (15, "rt_sigreturn"),
        (16, "ioctl"),
        (17, "pread64"),
        (18, "pwrite64"),
        (19, "readv"),
        (20, "writev"),
        (21, "access"),
        (22, "pipe"),
        (23, "select"),
        (24, "sched_yield"),
        (25, "mremap"),
        (26, "msync"),
        (27, "mincore"),
        (28, "madvise"),
        (29, "shmget"),
        (30, "shmat"),
        (31, "shmctl"),
        (32, "dup"),
        (33, "dup2"),
        (34, "pause"),
        (35, "nanosleep"),
        (36, "getitimer"),
        (37, "alarm"),
        (38, "setitimer"),
        (39, "getpid"),
        (40, "sendfile"),
        (41, "socket"),
        (42, "connect"),
        (43, "accept"),
        (44, "sendto"),
        (45, "recvfrom"),
        (46, "sendmsg"),
        (47, "recvmsg"),
        (48, "shutdown"),
        (49, "bind"),
        (50, "listen"),
        (51, "getsockname"),
        (52, "getpeername"),
        (53, "socketpair"),
        (54, "setsockopt"),
        (55, "getsockopt"),
        (56, "clone"),
        (57, "fork"),
        (58, "vfork"),
        (59, "execve"),
        (60, "exit"),
        (61, "wait4"),
        (62, "kill"),
        (63, "uname"),
        (64, "semget"),
        (65, "semop"),
        (66, "semctl"),
        (67, "shmdt"),
        (68, "msgget"),
        (69, "msgsnd"),
        (70, "msgrcv"),
        (71, "msgctl"),
        (72, "fcntl"),
        (73, "flock"),
        (74, "fsync"),
        (75, "fdatasync"),
        (76, "truncate"),
        (77, "ftruncate"),
        (78, "getdents"),
        (79, "getcwd"),
        (80, "chdir"),
        (81, "fchdir"),
        (82, "rename"),
        (83, "mkdir"),
        (84, "rmdir"),
        (85, "creat"),
        (86, "link"),
        (87, "unlink"),
        (88, "symlink"),
        (89, "readlink"),
        (90, "chmod"),
        (91, "fchmod"),
        (92, "chown"),
        (93, "fchown"),
        (94, "lchown"),
        (95, "umask"),
        (96, "gettimeofday"),
        (97, "getrlimit"),
        (98, "getrusage"),
        (99, "sysinfo"),
        (100, "times"),
        (101, "ptrace"),
        (102, "getuid"),
        (103, "syslog"),
        (104, "getgid"),
        (105, "setuid"),
        (106, "setgid"),
        (107, "geteuid"),
        (108, "getegid"),
        (109, "setpgid"),
        (110, "getppid"),
        (111, "getpgrp"),
        (112, "setsid"),
        (113, "setreuid"),
        (114, "setregid"),
        (115, "getgroups"),
        (116, "setgroups"),
        (117, "setresuid"),
        (118, "getresuid"),
        (119, "setresgid"),
        (120, "getresgid"),
        (121, "getpgid"),
        (122, "setfsuid"),
        (123, "setfsgid"),
        (124, "getsid"),
        (125, "capget"),
        (126, "capset"),
        (127, "rt_sigpending"),
        (128, "rt_sigtimedwait"),
        (129, "rt_sigqueueinfo"),
        (130, "rt_sigsuspend"),
        (131, "sigaltstack"),
        (132, "utime"),
        (133, "mknod"),
        (134, "uselib"),
        (135, "personality"),
        (136, "ustat"),
        (137, "statfs"),
        (138, "fstatfs"),
        (139, "sysfs"),
        (140, "getpriority"),
        (141, "setpriority"),
        (142, "sched_setparam"),
        (143, "sched_getparam"),
        (144, "sched_setscheduler"),
        (145, "sched_getscheduler"),
        (146, "sched_get_priority_max"),
        (147, "sched_get_priority_min"),
        (148, "sched_rr_get_interval"),
        (149, "mlock"),
        (150, "munlock"),
        (151, "mlockall"),
        (152, "munlockall"),
        (153, "vhangup"),
        (154, "modify_ldt"),
        (155, "pivot_root"),
        (156, "_sysctl"),
        (157, "prctl"),
        (158, "arch_prctl"),
        (159, "adjtimex"),
        (160, "setrlimit"),
        (161, "chroot"),
        (162, "sync"),
        (163, "acct"),
        (164, "settimeofday"),
        (165, "mount"),
        (166, "umount2"),
        (167, "swapon"),
        (168, "swapoff"),
        (169, "reboot"),
        (170, "sethostname"),
        (171, "setdomainname"),
        (172, "iopl"),
        (173, "ioperm"),
        (174, "create_module"),
        (175, "init_module"),
        (176, "delete_module"),
        (177, "get_kernel_syms"),
        (178, "query_module"),
        (179, "quotactl"),
        (180, "nfsservctl"),
        (181, "getpmsg"),
        (182, "putpmsg"),
        (183, "afs_syscall"),
        (184, "tuxcall"),
        (185, "security"),
        (186, "gettid"),
        (187, "readahead"),
        (188, "setxattr"),
        (189, "lsetxattr"),
        (190, "fsetxattr"),
        (191, "getxattr"),
        (192, "lgetxattr"),
        (193, "fgetxattr"),
        (194, "listxattr"),
        (195, "llistxattr"),
        (196, "flistxattr"),
        (197, "removexattr"),
        (198, "lremovexattr"),
        (199, "fremovexattr"),
        (200, "tkill"),
        (201, "time"),
        (202, "futex"),
        (203, "sched_setaffinity"),
        (204, "sched_getaffinity"),
        (205, "set_thread_area"),
        (206, "io_setup"),
        (207, "io_destroy"),
        (208, "io_getevents"),
        (209, "io_submit"),
        (210, "io_cancel"),
        (211, "get_thread_area"),
        (212, "lookup_dcookie"),
        (213, "epoll_create"),
        (214, "epoll_ctl_old"),
        (215, "epoll_wait_old"),
        (216, "remap_file_pages"),
        (217, "getdents64"),
        (218, "set_tid_address"),
        (219, "restart_syscall"),
        (220, "semtimedop"),
        (221, "fadvise64"),
        (222, "timer_create"),
        (223, "timer_settime"),
        (224, "timer_gettime"),
        (225, "timer_getoverrun"),
        (226, "timer_delete"),
        (227, "clock_settime"),
        (228, "clock_gettime"),
        (229, "clock_getres"),
        (230, "clock_nanosleep"),
        (231, "exit_group"),
        (232, "epoll_wait"),
        (233, "epoll_ctl"),
        (234, "tgkill"),
        (235, "utimes"),
        (236, "vserver"),
        (237, "mbind"),
        (238, "set_mempolicy"),
        (239, "get_mempolicy"),
        (240, "mq_open"),
        (241, "mq_unlink"),
        (242, "mq_timedsend"),
        (243, "mq_timedreceive"),
        (244, "mq_notify"),
        (245, "mq_getsetattr"),
        (246, "kexec_load"),
        (247, "waitid"),
        (248, "add_key"),
        (249, "request_key"),
        (250, "keyctl"),
        (251, "ioprio_set"),
        (252, "ioprio_get"),
        (253, "inotify_init"),
        (254, "inotify_add_watch"),
        (255, "inotify_rm_watch"),
        (256, "migrate_pages"),
        (257, "openat"),
        (258, "mkdirat"),
        (259, "mknodat"),
        (260, "fchownat"),
        (261, "futimesat"),
        (262, "newfstatat"),
        (263, "unlinkat"),
        (264, "renameat"),
        (265, "linkat"),
        (266, "symlinkat"),
        (267, "readlinkat"),
        (268, "fchmodat"),
        (269, "faccessat"),
        (270, "pselect6"),
        (271, "ppoll"),
        (272, "unshare"),
        (273, "set_robust_list"),
        (274, "get_robust_list"),
        (275, "splice"),
        (276, "tee"),
        (277, "sync_file_range"),
        (278, "vmsplice"),
        (279, "move_pages"),
        (280, "utimensat"),
        (281, "epoll_pwait"),
        (282, "signalfd"),
        (283, "timerfd_create"),
        (284, "eventfd"),
        (285, "fallocate"),
        (286, "timerfd_settime"),
        (287, "timerfd_gettime"),
        (288, "accept4"),
        (289, "signalfd4"),
        (290, "eventfd2"),
        (291, "epoll_create1"),
        (292, "dup3"),
        (293, "pipe2"),
        (294, "inotify_init1"),
        (295, "preadv"),
        (296, "pwritev"),
        (297, "rt_tgsigqueueinfo"),
        (298, "perf_event_open"),
        (299, "recvmmsg"),
        (300, "fanotify_init"),
        (301, "fanotify_mark"),
        (302, "prlimit64"),
        (303, "name_to_handle_at"),
        (304, "open_by_handle_at"),
        (305, "clock_adjtime"),
        (306, "syncfs"),
        (307, "sendmmsg"),
        (308, "setns"),
        (309, "getcpu"),
        (310, "process_vm_readv"),
        (311, "process_vm_writev"),
        (312, "kcmp"),
        (313, "finit_module"),
        (314, "sched_setattr"),
        (315, "sched_getattr"),
        (316, "renameat2"),
        (317, "seccomp"),
        (318, "getrandom"),
        (319, "memfd_create"),
        (320, "kexec_file_load"),
        (321, "bpf"),
        (322, "execveat"),
        (323, "userfaultfd"),
        (324, "membarrier"),
        (325, "mlock2"),
        (326, "copy_file_range"),
        (327, "preadv2"),
        (328, "pwritev2"),
        (329, "pkey_mprotect"),
        (330, "pkey_alloc"),
        (331, "pkey_free"),
        (332, "statx"),
        (333, "io_pgetevents"),
        (334, "rseq"),
        (424, "pidfd_send_signal"),
        (425, "io_uring_setup"),
        (426, "io_uring_enter"),
        (427, "io_uring_register"),
        (428, "open_tree"),
        (429, "move_mount"),
        (430, "fsopen"),
        (431, "fsconfig"),
        (432, "fsmount"),
        (433, "fspick"),
        (434, "pidfd_open"),
        (435, "clone3"),
        (436, "close_range"),
        (437, "openat2"),
        (438, "pidfd_getfd"),
        (439, "faccessat2"),
        (440, "process_madvise"),
        (441, "epoll_pwait2"),
        (442, "mount_setattr"),
        (443, "quotactl_fd"),
        (444, "landlock_create_ruleset"),
        (445, "landlock_add_rule"),
        (446, "landlock_restrict_self"),
        (447, "memfd_secret"),
        (448, "process_mrelease"),
        (449, "futex_waitv"),
        (450, "set_mempolicy_home_node"),
        (451, "cachestat"),
        (452, "fchmodat2"),
        (453, "map_shadow_stack"),
        (454, "futex_wake"),
        (455, "futex_wait"),
        (456, "futex_requeue"),
        (457, "statmount"),
        (458, "listmount"),
        (459, "lsm_get_self_attr"),
        (460, "lsm_set_self_attr"),
        (461, "lsm_list_modules"),
        (462, "mseal"),
        (463, "setxattrat"),
        (464, "getxattrat"),
        (465, "listxattrat"),
        (466, "removexattrat"),
        (467, "open_tree_attr"),
    ]
}

extension SystemCallNumber: CustomStringConvertible {
    /// The C name, or `sys_N`.
    public var description: String {
        Self.all.first { $0.number == rawValue }?.name ?? "sys_\(rawValue)"
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// The system as a whole: names, memory, load, the kernel log, random numbers.
enum SystemInformationCalls {
    static let calls: [SystemCall] = [
        SystemCall(.uname, uname),
        SystemCall(.sethostname) { task, arguments throws(Errno) in
            let name = try readName(task, arguments)
            task.container.state.withLock { $0.hostName = name }
            return 0
        },
        SystemCall(.setdomainname) { task, arguments throws(Errno) in
            let name = try readName(task, arguments)
            task.container.state.withLock { $0.domainName = name }
            return 0
        },
        SystemCall(.sysinfo, sysinfo),
        SystemCall(.syslog, syslog, .partial("reading and sizes; the console is not ours")),
        SystemCall(.getrandom, getrandom),
        .refused(.reboot, .EPERM, "a container cannot restart the machine"),
        .refused(.kexec_load, .EPERM, "no other kernel"),
        .refused(.kexec_file_load, .EPERM, "no other kernel"),
        .refused(.init_module, .EPERM, "no modules"),
        .refused(.finit_module, .EPERM, "no modules"),
        .refused(.delete_module, .EPERM, "no modules"),
        .refused(.iopl, .EPERM, "no port access"),
        .refused(.ioperm, .EPERM, "no port access"),
        .refused(.perf_event_open, .ENOSYS, "not built in"),
        .refused(.bpf, .EPERM, "not built in"),
        .refused(.lookup_dcookie, .ENOSYS, "removed from Linux"),
        .refused(.add_key, .EACCES, "no key management"),
        .refused(.request_key, .EACCES, "no key management"),
        .refused(.keyctl, .ENOSYS, "no key management"),
        .refused(.lsm_get_self_attr, .ENOSYS, "no security modules"),
        .refused(.lsm_set_self_attr, .ENOSYS, "no security modules"),
        .refused(.lsm_list_modules, .ENOSYS, "no security modules"),
        .refused(.landlock_create_ruleset, .EOPNOTSUPP, "not built in"),
        .refused(.landlock_add_rule, .EOPNOTSUPP, "not built in"),
        .refused(.landlock_restrict_self, .EOPNOTSUPP, "not built in"),
        .refused(._sysctl, .ENOSYS, "removed from Linux"),
        .refused(.uselib, .ENOSYS, "removed from Linux"),
        .refused(.nfsservctl, .ENOSYS, "removed from Linux"),
        .refused(.get_kernel_syms, .ENOSYS, "removed from Linux"),
        .refused(.query_module, .ENOSYS, "removed from Linux"),
        .refused(.create_module, .ENOSYS, "removed from Linux"),
        .refused(.vserver, .ENOSYS, "never in Linux"),
        .refused(.tuxcall, .ENOSYS, "never in Linux"),
        .refused(.security, .ENOSYS, "never in Linux"),
        .refused(.afs_syscall, .ENOSYS, "never in Linux"),
        .refused(.getpmsg, .ENOSYS, "never in Linux"),
        .refused(.putpmsg, .ENOSYS, "never in Linux"),
        .refused(.set_thread_area, .ENOSYS, "no 32-bit programs"),
        .refused(.get_thread_area, .ENOSYS, "no 32-bit programs"),
    ]

    private static func uname(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        // struct new_utsname: six fields of 65 bytes.
        let (host, domain) = task.container.state.withLock { ($0.hostName, $0.domainName) }
        var bytes: [UInt8] = []
        for field in [
            Array(SystemIdentity.name.utf8), host, Array(SystemIdentity.release.utf8), Array(SystemIdentity.version.utf8),
            Array(SystemIdentity.machine.utf8), domain,
        ] {
            let cut = field.prefix(64)
            bytes += cut
            bytes += [UInt8](repeating: 0, count: 65 - cut.count)
        }
        try task.space().copyOut(bytes, to: arguments[0])
        return 0
    }

    private static func readName(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> [UInt8] {
        guard task.credentials.has(.CAP_SYS_ADMIN) else { throw .EPERM }
        let length = arguments.int32(1)
        guard length >= 0, length <= 64 else { throw .EINVAL }
        return try task.space().copyIn(from: arguments[0], count: Int(length))
    }

    /// struct sysinfo of x86-64, 112 bytes. Memory is the container's.
    private static func sysinfo(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let memory = task.container.memoryTotals
        let groups = task.kernel.tree.withLock { task.namespace.threadGroups($0) }
        var structure = StructureBytes(size: 112)
        structure.put((HostClock.monotonic &- task.kernel.bootTime) / 1_000_000_000, at: 0)
        // loads (3 words at 8): no load average is kept.
        structure.put(memory.total, at: 32)
        structure.put(memory.free, at: 40)
        structure.put(UInt16(clamping: groups.reduce(0) { $0 + $1.threadCount }), at: 80)
        structure.put(UInt32(1), at: 104)
        try task.write(structure, to: arguments[0])
        return 0
    }

    private static func syslog(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let SYSLOG_ACTION_CLOSE: Int32 = 0, OPEN: Int32 = 1, READ: Int32 = 2, READ_ALL: Int32 = 3, READ_CLEAR: Int32 = 4, CLEAR: Int32 = 5
        let CONSOLE_OFF: Int32 = 6, CONSOLE_ON: Int32 = 7, CONSOLE_LEVEL: Int32 = 8, SIZE_UNREAD: Int32 = 9, SIZE_BUFFER: Int32 = 10
        let type = arguments.int32(0)
        let log = task.kernel.log
        switch type {
        case SYSLOG_ACTION_CLOSE, OPEN: return 0
        case READ_ALL, READ_CLEAR:
            guard arguments[1] != 0, arguments.int32(2) >= 0 else { throw .EINVAL }
            if type == READ_CLEAR { try checkPrivilege(task) }
            // The newest lines that fit.
            let text = log.text(sinceClear: true).suffix(Int(arguments.int32(2)))
            try task.space().copyOut(Array(text), to: arguments[1])
            if type == READ_CLEAR { log.clear() }
            return text.count
        case READ:
            // It would wait for new messages and consume them: nobody writes any after boot.
            try checkPrivilege(task)
            task.kernel.unsupported(.syslog, "SYSLOG_ACTION_READ")
            throw .EINVAL
        case CLEAR:
            try checkPrivilege(task)
            log.clear()
            return 0
        case CONSOLE_OFF, CONSOLE_ON:
            try checkPrivilege(task)
            return 0
        case CONSOLE_LEVEL:
            try checkPrivilege(task)
            guard arguments.int32(2) >= 1, arguments.int32(2) <= 8 else { throw .EINVAL }
            return 0
        case SIZE_UNREAD:
            try checkPrivilege(task)
            return log.text(sinceClear: true).count
        case SIZE_BUFFER: return 1 << 17
        default: throw .EINVAL
        }
    }

    private static func checkPrivilege(_ task: KernelTask) throws(Errno) {
        guard task.credentials.hasGlobally(.CAP_SYSLOG) || task.credentials.hasGlobally(.CAP_SYS_ADMIN) else { throw .EPERM }
    }

    private static func getrandom(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let GRND_RANDOM: UInt32 = 2, GRND_INSECURE: UInt32 = 4
        let flags = arguments.uint32(2)
        if flags & ~7 != 0 || flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE { throw .EINVAL }
        var buffer = IOBuffer(try task.space(), address: arguments[0], count: arguments[1])
        var done = 0
        while buffer.remaining > 0 {
            let bytes = try HostCall.randomBytes(min(buffer.remaining, 65536))
            do throws(Errno) {
                let count = try buffer.copyOut(bytes)
                done += count
                if count < bytes.count { break }
            } catch {
                if done == 0 { throw error }
                break
            }
            // A large request can be interrupted, with what there is.
            if task.isInterrupted, done > 256 { break }
        }
        return done
    }
}

import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Making, ending and waiting for processes and threads; process groups and sessions.
enum ProcessCalls {
    static let calls: [SystemCall] = [
        SystemCall(.fork, fork),
        SystemCall(.vfork, vfork),
        SystemCall(.clone, clone, .partial("no new namespaces")),
        SystemCall(.clone3, clone3, .partial("no new namespaces, no CLONE_INTO_CGROUP")),
        SystemCall(.execve, execve),
        SystemCall(.execveat, execveat),
        SystemCall(.exit, exit),
        SystemCall(.exit_group, exitGroup),
        SystemCall(.wait4, wait4),
        SystemCall(.waitid, waitid),
        SystemCall(.getpid) { task, _ throws(Errno) in Int(task.processID) },
        SystemCall(.gettid) { task, _ throws(Errno) in Int(task.threadID) },
        SystemCall(.getppid) { task, _ throws(Errno) in Int(task.threadGroup.parentID) },
        SystemCall(.set_tid_address) { task, arguments throws(Errno) in
            task.clearThreadID = arguments[0]
            return Int(task.threadID)
        },
        SystemCall(.setpgid) { task, arguments throws(Errno) in
            try task.setProcessGroup(of: arguments.int32(0), to: arguments.int32(1))
            return 0
        },
        SystemCall(.getpgid) { task, arguments throws(Errno) in Int(try task.processGroup(of: arguments.int32(0)).identifier) },
        SystemCall(.getpgrp) { task, _ throws(Errno) in Int(try task.processGroup(of: 0).identifier) },
        SystemCall(.getsid) { task, arguments throws(Errno) in Int(try task.processGroup(of: arguments.int32(0)).session.identifier) },
        SystemCall(.setsid) { task, _ throws(Errno) in Int(try task.makeSession()) },
        SystemCall(.pidfd_open, pidfdOpen),
        SystemCall(.pidfd_getfd, pidfdGetfd),
        SystemCall(.unshare, unshare, .partial("CLONE_FILES, CLONE_FS and CLONE_SYSVSEM; no new namespaces")),
        .refused(.setns, .EPERM, "namespaces cannot be joined from inside"),
        .refused(.kcmp, .ENOSYS, "not built in"),
        .refused(.acct, .ENOSYS, "not built in"),
        SystemCall(
            .rseq,
            { task, arguments throws(Errno) in
                try task.changeSequenceArea(
                    arguments[0], length: arguments.uint32(1), flags: arguments.int32(2), signature: arguments.uint32(3))
                return 0
            }, .partial("processor numbers are those of one address space: not to be shared between processes")),
    ]

    // MARK: clone

    private static func fork(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var clone = CloneArguments()
        clone.exitSignal = Signal.SIGCHLD
        return Int(try task.clone(clone))
    }

    private static func vfork(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var clone = CloneArguments()
        clone.flags = [.CLONE_VFORK, .CLONE_VM]
        clone.exitSignal = Signal.SIGCHLD
        return Int(try task.clone(clone))
    }

    private static func clone(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        // The upper half of the flags is clone3's.
        let flags = arguments[0] & 0xffff_ffff
        var clone = CloneArguments()
        clone.flags = CloneFlags(rawValue: flags & ~CloneFlags.CSIGNAL)
        clone.exitSignal = Int32(truncatingIfNeeded: flags & CloneFlags.CSIGNAL)
        clone.stackPointer = arguments[1]
        clone.parentThreadID = arguments[2]
        clone.pidfd = arguments[2]
        clone.childThreadID = arguments[3]
        clone.threadLocalStorage = arguments[4]
        if clone.flags.contains(.CLONE_PIDFD), clone.flags.contains(.CLONE_PARENT_SETTID) { throw .EINVAL }
        if clone.exitSignal > Signal.SIGRTMAX { throw .EINVAL }
        return Int(try task.clone(clone))
    }

    /// struct clone_args: version 0 has 64 bytes, 1 has 80, 2 has 88.
    private static func clone3(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let size = arguments[1]
        if size > 4096 { throw .E2BIG }
        if size < 64 { throw .EINVAL }
        let structure = StructureBytes(try task.space().copyIn(from: arguments[0], count: Int(size)))
        func field(_ index: Int) -> UInt64 { index * 8 + 8 <= Int(size) ? structure.get(index * 8) : 0 }
        if structure.bytes.dropFirst(88).contains(where: { $0 != 0 }) { throw .E2BIG }
        let flags = field(0), exitSignal = field(4), stack = field(5), stackSize = field(6)
        if flags & (CloneFlags.CSIGNAL & ~0x80) != 0 || flags & CloneFlags.CLONE_DETACHED.rawValue != 0 || flags >> 34 != 0 {
            throw .EINVAL
        }
        if exitSignal > UInt64(Signal.SIGRTMAX) { throw .EINVAL }
        if (stack == 0) != (stackSize == 0) { throw .EINVAL }
        var clone = CloneArguments()
        clone.flags = CloneFlags(rawValue: flags)
        if !clone.flags.isDisjoint(with: [.CLONE_THREAD, .CLONE_PARENT]), exitSignal != 0 { throw .EINVAL }
        clone.pidfd = field(1)
        clone.childThreadID = field(2)
        clone.parentThreadID = field(3)
        clone.exitSignal = Int32(exitSignal)
        if stack != 0 {
            let (top, overflow) = stack.addingReportingOverflow(stackSize)
            if overflow { throw .EINVAL }
            clone.stackPointer = top
        }
        clone.threadLocalStorage = field(7)
        let wanted = field(8), wantedCount = field(9)
        if (wanted == 0) != (wantedCount == 0) || wantedCount > 32 { throw .EINVAL }
        if wantedCount != 0 {
            // One level of namespaces: more ids than that are EINVAL. Choosing ids needs CAP_SYS_ADMIN (or CAP_CHECKPOINT_RESTORE).
            if wantedCount > 1 { throw .EINVAL }
            guard task.credentials.has(.CAP_SYS_ADMIN) else { throw .EPERM }
            clone.wantedID = try task.space().load(wanted)
        }
        return Int(try task.clone(clone))
    }

    private static func unshare(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = CloneFlags(rawValue: arguments[0])
        let known: CloneFlags = [.CLONE_FILES, .CLONE_FS, .CLONE_SYSVSEM, .CLONE_THREAD, .CLONE_SIGHAND, .CLONE_VM]
        if !flags.subtracting(known.union(.namespaces)).isEmpty { throw .EINVAL }
        if !flags.isDisjoint(with: .namespaces) {
            task.kernel.unsupported(.unshare, "new namespaces")
            throw .EPERM
        }
        // These are possible only for a process with one thread, and then change nothing.
        if !flags.isDisjoint(with: [.CLONE_THREAD, .CLONE_SIGHAND, .CLONE_VM]), task.threadGroup.threadCount > 1 { throw .EINVAL }
        if flags.contains(.CLONE_FS) { task.updateResources { $0.fileSystemContext = $0.fileSystemContext?.copy() } }
        if flags.contains(.CLONE_SYSVSEM) { task.leaveSemaphoreUndo() }
        if flags.contains(.CLONE_FILES), task.files.isShared {
            let old = task.files, copy = task.files.copy()
            task.updateResources { $0.files = copy }
            for file in old.leave() { file.releaseDescriptor(task) }
        }
        return 0
    }

    // MARK: exec

    /// Argument and environment strings together, at most (a quarter of the stack limit, and never more than 6 MiB, as Linux).
    private static func stringLimit(_ task: KernelTask) -> Int {
        let stack = task.threadGroup.limits.current(Resource.RLIMIT_STACK)
        return Int(max(128 << 10, min(stack / 4, 6 << 20)))
    }

    /// A NULL-terminated array of string pointers; NULL itself counts as an empty array.
    private static func readStrings(_ task: KernelTask, _ address: UInt64, _ budget: inout Int) throws(Errno) -> [[UInt8]] {
        var strings: [[UInt8]] = []
        if address == 0 { return strings }
        let space = try task.space()
        var place = address
        while true {
            let pointer: UInt64 = try space.load(place)
            if pointer == 0 { return strings }
            // MAX_ARG_STRLEN is 32 pages.
            let string: [UInt8]
            do { string = try space.copyInString(at: pointer, max: min(131_072, max(1, budget))) } catch {
                throw error == .ENAMETOOLONG ? .E2BIG : error
            }
            budget -= string.count + 1 + 8
            if budget < 0 { throw .E2BIG }
            strings.append(string)
            let (next, overflow) = place.addingReportingOverflow(8)
            if overflow { throw .EFAULT }
            place = next
        }
    }

    private static func execve(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try execute(task, directory: -100, path: arguments[0], argv: arguments[1], envp: arguments[2], flags: 0)
    }

    private static func execveat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try execute(
            task, directory: arguments.int32(0), path: arguments[1], argv: arguments[2], envp: arguments[3], flags: arguments.int32(4))
    }

    private static func execute(_ task: KernelTask, directory: Int32, path: UInt64, argv: UInt64, envp: UInt64, flags: Int32) throws(Errno)
        -> Int
    {
        let AT_EMPTY_PATH: Int32 = 0x1000, AT_SYMLINK_NOFOLLOW: Int32 = 0x100
        if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 { throw .EINVAL }
        let name = try task.space().copyInString(at: path, max: 4096)
        guard let context = task.fileSystemContext else { throw .ESRCH }
        let file: FileDescription
        var shownPath = name
        var isInaccessible = false
        if name.isEmpty, flags & AT_EMPTY_PATH != 0 {
            let description = try task.files.get(directory)
            file = try task.openProgram(description.path)
            shownPath = Array("/dev/fd/\(directory)".utf8)
            isInaccessible = try task.files.closeOnExec(directory)
        } else {
            let start: Path
            if name.first == UInt8(ascii: "/") || directory == -100 {
                start = context.workingDirectory
            } else {
                start = try task.files.get(directory).path
                shownPath = Array("/dev/fd/\(directory)/".utf8) + name
                isInaccessible = try task.files.closeOnExec(directory)
            }
            let options: ResolveOptions = flags & AT_SYMLINK_NOFOLLOW != 0 ? [] : .follow
            let place = try VFS.resolve(name.span, at: start, options, task)
            if flags & AT_SYMLINK_NOFOLLOW != 0, place.dentry.inode?.type == .symlink { throw .ELOOP }
            file = try task.openProgram(place)
        }
        var budget = stringLimit(task)
        var programArguments = try readStrings(task, argv, &budget)
        let environment = try readStrings(task, envp, &budget)
        // Linux gives an empty argv one empty string.
        if programArguments.isEmpty { programArguments = [[]] }
        let request = ProgramRequest(
            file: file, path: shownPath, arguments: programArguments, environment: environment, isPathInaccessible: isInaccessible)
        try task.execute(request)
        return 0
    }

    // MARK: exit and wait

    private static func exit(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        task.exitThread(code: arguments.int32(0))
        return 0
    }

    private static func exitGroup(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        task.exitProcess(code: arguments.int32(0))
        return 0
    }

    private static func wait4(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let options = WaitOptions(rawValue: arguments.uint32(2))
        if !options.subtracting([.WNOHANG, .WUNTRACED, .WCONTINUED, .__WNOTHREAD, .__WCLONE, .__WALL]).isEmpty { throw .EINVAL }
        let process = arguments.int32(0)
        let selector: WaitSelector
        switch process {
        case Int32.min: throw .ESRCH
        case -1: selector = .any
        case 0: selector = .group(task.threadGroup.processGroup.identifier)
        case ..<0: selector = .group(-process)
        default: selector = .process(process)
        }
        guard let result = try task.waitForChild(selector, options.union(.WEXITED)) else { return 0 }
        if arguments[1] != 0 { try task.space().store(result.status, to: arguments[1]) }
        if arguments[3] != 0 { try task.write(UsageLayout.bytes(result.usage), to: arguments[3]) }
        return Int(result.processID)
    }

    private static func waitid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var options = WaitOptions(rawValue: arguments.uint32(3))
        let changes: WaitOptions = [.WEXITED, .WUNTRACED, .WCONTINUED]
        if !options.subtracting(changes.union([.WNOHANG, .WNOWAIT, .__WNOTHREAD, .__WCLONE, .__WALL])).isEmpty { throw .EINVAL }
        if options.isDisjoint(with: changes) { throw .EINVAL }
        let identifier = arguments.int32(1)
        let selector: WaitSelector
        var isNonblockingDescriptor = false
        switch arguments.int32(0) {
        case WaitIdentifierType.P_ALL: selector = .any
        case WaitIdentifierType.P_PID:
            if identifier <= 0 { throw .EINVAL }
            selector = .process(identifier)
        case WaitIdentifierType.P_PGID:
            if identifier < 0 { throw .EINVAL }
            selector = .group(identifier == 0 ? task.threadGroup.processGroup.identifier : identifier)
        case WaitIdentifierType.P_PIDFD:
            if identifier < 0 { throw .EINVAL }
            let found = try task.findProcess(descriptor: identifier)
            selector = .threadGroup(found.group)
            if found.file.isNonblocking, !options.contains(.WNOHANG) {
                isNonblockingDescriptor = true
                options.insert(.WNOHANG)
            }
        default: throw .EINVAL
        }
        let result = try task.waitForChild(selector, options)
        if result == nil, isNonblockingDescriptor { throw .EAGAIN }
        if let result, arguments[4] != 0 { try task.write(UsageLayout.bytes(result.usage), to: arguments[4]) }
        if arguments[2] != 0 {
            // Only the fields up to si_status are written (and zeroed when there is nothing to tell).
            var info = StructureBytes(size: 128)
            if let result {
                info.put(Signal.SIGCHLD, at: 0)
                info.put(result.code, at: 8)
                info.put(result.processID, at: 16)
                info.put(result.userID, at: 20)
                info.put(result.value, at: 24)
            }
            try task.space().copyOut(Array(info.bytes.prefix(28)), to: arguments[2])
        }
        return 0
    }

    // MARK: pidfd

    private static func pidfdOpen(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(1)
        let PIDFD_NONBLOCK: UInt32 = 0o4000, PIDFD_THREAD: UInt32 = 0o200
        if flags & PIDFD_THREAD != 0 {
            task.kernel.unsupported(.pidfd_open, "PIDFD_THREAD")
            throw .EINVAL
        }
        let identifier = arguments.int32(0)
        if flags & ~PIDFD_NONBLOCK != 0 || identifier <= 0 { throw .EINVAL }
        let group: ThreadGroup
        do { group = try task.findProcess(identifier) } catch {
            // A thread that is not a leader is EINVAL, not ESRCH (ENOENT since 6.12).
            if (try? task.findTask(identifier)) != nil { throw .EINVAL }
            throw error
        }
        let file = PIDFile(group, flags: flags & PIDFD_NONBLOCK != 0 ? [.O_RDWR, .O_NONBLOCK] : .O_RDWR)
        return Int(try task.files.install(file, closeOnExec: true, limit: task.threadGroup.limits.current(Resource.RLIMIT_NOFILE)))
    }

    private static func pidfdGetfd(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        if arguments.uint32(2) != 0 { throw .EINVAL }
        let target = try task.findProcess(descriptor: arguments.int32(0)).group
        guard let leader = target.leader, !target.isZombie else { throw .ESRCH }
        try task.checkMayInspect(leader)
        let file = try leader.files.get(arguments.int32(1))
        return Int(try task.files.install(file, closeOnExec: true, limit: task.threadGroup.limits.current(Resource.RLIMIT_NOFILE)))
    }
}

/// struct rusage of x86-64, 144 bytes (getrusage(2)).
enum UsageLayout {
    static func bytes(_ usage: Usage) -> StructureBytes {
        var structure = StructureBytes(size: 144)
        structure.put(usage.userTime / 1_000_000_000, at: 0)
        structure.put(usage.userTime % 1_000_000_000 / 1000, at: 8)
        structure.put(usage.systemTime / 1_000_000_000, at: 16)
        structure.put(usage.systemTime % 1_000_000_000 / 1000, at: 24)
        structure.put(usage.maximumResident / 1024, at: 32)
        structure.put(usage.minorFaults, at: 64)
        structure.put(usage.majorFaults, at: 72)
        structure.put(usage.voluntarySwitches, at: 128)
        structure.put(usage.involuntarySwitches, at: 136)
        return structure
    }
}

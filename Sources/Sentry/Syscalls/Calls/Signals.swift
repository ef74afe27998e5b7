import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS

/// Signals: handlers, masks, sending and waiting (signal(7)).
enum SignalCalls {
    static let calls: [SystemCall] = [
        SystemCall(.rt_sigaction, sigaction),
        SystemCall(.rt_sigprocmask, sigprocmask),
        SystemCall(.rt_sigpending, sigpending),
        SystemCall(.rt_sigtimedwait, sigtimedwait),
        SystemCall(.rt_sigsuspend, sigsuspend),
        SystemCall(.rt_sigqueueinfo, sigqueueinfo),
        SystemCall(.rt_tgsigqueueinfo, tgsigqueueinfo),
        SystemCall(.rt_sigreturn) { task, _ throws(Errno) in
            task.returnFromSignal()
            return 0
        },
        SystemCall(.sigaltstack, sigaltstack),
        SystemCall(.kill, kill),
        SystemCall(.tkill, tkill),
        SystemCall(.tgkill, tgkill),
        SystemCall(.pause) { task, _ throws(Errno) in
            while true {
                do throws(Errno) { try task.block() } catch { throw .ERESTARTNOHAND }
            }
        },
        SystemCall(.pidfd_send_signal, pidfdSendSignal),
        SystemCall(.signalfd) { task, arguments throws(Errno) in
            try signalfd(task, arguments.int32(0), try task.readSignalSet(arguments[1], size: arguments[2]), flags: 0)
        },
        SystemCall(.signalfd4) { task, arguments throws(Errno) in
            try signalfd(task, arguments.int32(0), try task.readSignalSet(arguments[1], size: arguments[2]), flags: arguments.uint32(3))
        },
        SystemCall(.restart_syscall) { task, _ throws(Errno) in
            guard let block = task.restartBlock else { throw .EINTR }
            return try block(task)
        },
    ]

    // MARK: handlers and masks

    private static func sigaction(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments[3] == 8 else { throw .EINVAL }
        let signal = arguments.int32(0)
        var new: SignalAction?
        if arguments[1] != 0 {
            let structure = try task.readStructure(arguments[1], size: SignalAction.size)
            var action = SignalAction()
            action.sa_handler = structure.get(0)
            action.sa_flags = structure.get(8, as: UInt64.self) & SignalActionFlag.known
            action.sa_restorer = structure.get(16)
            action.sa_mask = SignalSet(rawValue: structure.get(24)).subtracting(.unblockable)
            new = action
        }
        let old = try task.setSignalAction(signal, new)
        if arguments[2] != 0 {
            var structure = StructureBytes(size: SignalAction.size)
            structure.put(old.sa_handler, at: 0)
            structure.put(old.sa_flags, at: 8)
            structure.put(old.sa_restorer, at: 16)
            structure.put(old.sa_mask.rawValue, at: 24)
            try task.write(structure, to: arguments[2])
        }
        return 0
    }

    private static func sigprocmask(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments[3] == 8 else { throw .EINVAL }
        let old = task.signalMask
        if arguments[1] != 0 {
            let set = try task.readSignalSet(arguments[1], size: 8)
            switch arguments.int32(0) {
            case SignalMaskChange.SIG_BLOCK: task.setSignalMask(old.union(set))
            case SignalMaskChange.SIG_UNBLOCK: task.setSignalMask(old.subtracting(set))
            case SignalMaskChange.SIG_SETMASK: task.setSignalMask(set)
            default: throw .EINVAL
            }
        }
        if arguments[2] != 0 { try task.space().store(old.rawValue, to: arguments[2]) }
        return 0
    }

    private static func sigpending(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments[1] <= 8 else { throw .EINVAL }
        let set = task.pendingSignals.union(task.threadGroup.pendingSignals.set).intersection(task.signalMask)
        var structure = StructureBytes(size: 8)
        structure.put(set.rawValue, at: 0)
        try task.space().copyOut(Array(structure.bytes.prefix(Int(arguments[1]))), to: arguments[0])
        return 0
    }

    private static func sigsuspend(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let mask = try task.readSignalSet(arguments[0], size: arguments[1])
        return try task.withSignalMask(mask) { () throws(Errno) in
            while true {
                do throws(Errno) { try task.block() } catch { throw .ERESTARTNOHAND }
            }
        }
    }

    private static func sigtimedwait(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let set = try task.readSignalSet(arguments[0], size: arguments[3])
        var deadline: UInt64?
        if let timeout = try task.readTimeout(arguments[2]) { deadline = HostClock.deadline(in: timeout) }
        let info = try task.waitForSignal(set, deadline: deadline)
        if arguments[1] != 0 {
            var structure = StructureBytes(size: SignalInfo.size)
            structure.put(info, at: 0)
            try task.write(structure, to: arguments[1])
        }
        return Int(info.si_signo)
    }

    private static func sigaltstack(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let old = task.currentAlternateStack, stackPointer = task.registers.rsp
        if arguments[0] != 0 {
            let structure = try task.readStructure(arguments[0], size: 24)
            var new = AlternateStack()
            new.address = structure.get(0)
            new.flags = structure.get(8)
            new.size = structure.get(16)
            try task.setAlternateStack(new, stackPointer: stackPointer)
        }
        if arguments[1] != 0 {
            var structure = StructureBytes(size: 24)
            structure.put(old.address, at: 0)
            structure.put(old.reportedFlags(stackPointer), at: 8)
            structure.put(old.size, at: 16)
            try task.write(structure, to: arguments[1])
        }
        return 0
    }

    private static func signalfd(_ task: KernelTask, _ descriptor: Int32, _ set: SignalSet, flags: UInt32) throws(Errno) -> Int {
        let SFD_CLOEXEC: UInt32 = 0o2000000, SFD_NONBLOCK: UInt32 = 0o4000
        if flags & ~(SFD_CLOEXEC | SFD_NONBLOCK) != 0 { throw .EINVAL }
        if descriptor != -1 {
            guard let file = try task.files.get(descriptor) as? SignalFile else { throw .EINVAL }
            file.setSignals(set)
            return Int(descriptor)
        }
        let file = SignalFile(task.threadGroup, accepting: set, flags: flags & SFD_NONBLOCK != 0 ? .O_NONBLOCK : [])
        return Int(
            try task.files.install(
                file, closeOnExec: flags & SFD_CLOEXEC != 0, limit: task.threadGroup.limits.current(Resource.RLIMIT_NOFILE)))
    }

    // MARK: sending

    private static func kill(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let process = arguments.int32(0), signal = arguments.int32(1)
        guard signal >= 0, signal <= Signal.SIGRTMAX else { throw .EINVAL }
        let info = SignalInfo.user(signal, from: task)
        switch process {
        case Int32.min: throw .ESRCH
        case -1:
            // Everybody one may signal, but process 1 and oneself.
            let groups = task.kernel.tree.withLock { task.namespace.threadGroups($0) }
            return try signalAll(groups.filter { !$0.isNamespaceInit && $0 !== task.threadGroup }, signal, info, task)
        case ...0:
            let identifier = process == 0 ? task.threadGroup.processGroup.identifier : -process
            let groups = task.kernel.tree.withLock { task.namespace.processGroup(identifier, $0)?.members($0) ?? [] }
            return try signalAll(groups, signal, info, task)
        default:
            // Any thread's id names its process.
            let group: ThreadGroup
            do { group = try task.findProcess(process) } catch { group = try task.findTask(process).threadGroup }
            try task.checkMaySignal(group, signal)
            if signal != 0, let error = group.send(info) { throw error }
            return 0
        }
    }

    /// Success when at least one could be signalled; else the last error, ESRCH without any.
    private static func signalAll(_ groups: [ThreadGroup], _ signal: Int32, _ info: SignalInfo, _ task: KernelTask) throws(Errno) -> Int {
        var error = Errno.ESRCH
        var isDone = false
        for group in groups {
            do throws(Errno) {
                try task.checkMaySignal(group, signal)
                if signal != 0, let failure = group.send(info) { throw failure }
                isDone = true
            } catch let failure { error = failure }
        }
        if !isDone { throw error }
        return 0
    }

    private static func sendToThread(
        _ task: KernelTask, process: Int32?, thread: Int32, _ info: SignalInfo
    ) throws(Errno) -> Int {
        guard info.si_signo >= 0, info.si_signo <= Signal.SIGRTMAX else { throw .EINVAL }
        let target = try task.findTask(thread)
        if let process, target.processID != process { throw .ESRCH }
        try task.checkMaySignal(target.threadGroup, info.si_signo)
        if info.si_signo != 0 { try target.trySend(info) }
        return 0
    }

    private static func tkill(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        if arguments.int32(0) <= 0 { throw .EINVAL }
        return try sendToThread(
            task, process: nil, thread: arguments.int32(0), .user(arguments.int32(1), from: task, code: SignalCode.SI_TKILL))
    }

    private static func tgkill(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.int32(0) > 0, arguments.int32(1) > 0 else { throw .EINVAL }
        return try sendToThread(
            task, process: arguments.int32(0), thread: arguments.int32(1),
            .user(arguments.int32(2), from: task, code: SignalCode.SI_TKILL))
    }

    /// A siginfo_t of the caller's making. The kernel's and kill's codes may be forged only towards oneself.
    private static func readInfo(_ task: KernelTask, _ address: UInt64, _ signal: Int32, isSelf: Bool) throws(Errno) -> SignalInfo {
        guard signal >= 0, signal <= Signal.SIGRTMAX else { throw .EINVAL }
        var info = try task.readStructure(address, size: SignalInfo.usedSize).getSignalInfo(0)
        info.si_signo = signal
        if info.si_code >= 0 || info.si_code == SignalCode.SI_TKILL, !isSelf { throw .EPERM }
        return info
    }

    private static func sigqueueinfo(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let process = arguments.int32(0), signal = arguments.int32(1)
        let info = try readInfo(task, arguments[2], signal, isSelf: process == task.processID)
        let group: ThreadGroup
        do { group = try task.findProcess(process) } catch { group = try task.findTask(process).threadGroup }
        try task.checkMaySignal(group, signal)
        if signal != 0, let error = group.send(info) { throw error }
        return 0
    }

    private static func tgsigqueueinfo(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.int32(0) > 0, arguments.int32(1) > 0 else { throw .EINVAL }
        let info = try readInfo(task, arguments[3], arguments.int32(2), isSelf: arguments.int32(1) == task.threadID)
        return try sendToThread(task, process: arguments.int32(0), thread: arguments.int32(1), info)
    }

    private static func pidfdSendSignal(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let signal = arguments.int32(1)
        // PIDFD_SIGNAL_THREAD 1, THREAD_GROUP 2, PROCESS_GROUP 4
        let scope = arguments.uint32(3)
        if scope & ~7 != 0 || scope.nonzeroBitCount > 1 { throw .EINVAL }
        guard signal >= 0, signal <= Signal.SIGRTMAX else { throw .EINVAL }
        // A directory of proc names its process too.
        let group: ThreadGroup
        let file = try task.files.get(arguments.int32(0))
        if !file.isPathOnly, let named = ProcFileSystem.process(of: file) {
            group = named
        } else {
            group = try task.findProcess(descriptor: arguments.int32(0)).group
        }
        let info: SignalInfo
        if arguments[2] != 0 {
            info = try readInfo(task, arguments[2], signal, isSelf: group === task.threadGroup)
        } else {
            info = .user(signal, from: task)
        }
        if group.isZombie { throw .ESRCH }
        if scope == 4 {
            let members = task.kernel.tree.withLock { group.processGroup($0).members($0) }
            return try signalAll(members, signal, info, task)
        }
        try task.checkMaySignal(group, signal)
        if signal == 0 { return 0 }
        if scope == 1, let leader = group.leader {
            try leader.trySend(info)
        } else if let error = group.send(info) {
            throw error
        }
        return 0
    }
}

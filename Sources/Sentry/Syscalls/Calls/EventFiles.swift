import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryVFS

/// Files that report events: epoll(7), eventfd(2), timerfd_create(2), inotify(7); and memfd_create(2).
enum EventFileCalls {
    static let calls: [SystemCall] = [
        SystemCall(.epoll_create, epollCreate), SystemCall(.epoll_create1, epollCreate1), SystemCall(.epoll_ctl, epollControl),
        SystemCall(.epoll_wait, epollWait), SystemCall(.epoll_pwait, epollPwait), SystemCall(.epoll_pwait2, epollPwait2),
        SystemCall(.eventfd, eventfd), SystemCall(.eventfd2, eventfd2),
        SystemCall(.timerfd_create, timerfdCreate), SystemCall(.timerfd_settime, timerfdSetTime),
        SystemCall(.timerfd_gettime, timerfdGetTime),
        SystemCall(.inotify_init, inotifyInit), SystemCall(.inotify_init1, inotifyInit1), SystemCall(.inotify_add_watch, inotifyAddWatch),
        SystemCall(.inotify_rm_watch, inotifyRemoveWatch), SystemCall(.memfd_create, memfdCreate, .partial("no huge pages")),
        .refused(.fanotify_init, .EPERM, "watching whole mounts is not offered; inotify is"),
        .refused(.fanotify_mark, .EPERM, "watching whole mounts is not offered; inotify is"),
    ]

    // MARK: epoll(7)

    static func epollCreate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.int32(0) > 0 else { throw .EINVAL }
        return try task.install(EpollFile(flags: []), closeOnExec: false)
    }

    static func epollCreate1(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = OpenFlags(rawValue: arguments.uint32(0))
        guard flags.isSubset(of: .O_CLOEXEC) else { throw .EINVAL }
        return try task.install(EpollFile(flags: []), closeOnExec: flags.contains(.O_CLOEXEC))
    }

    private static func epoll(_ task: KernelTask, _ descriptor: Int32) throws(Errno) -> EpollFile {
        guard let epoll = try task.file(descriptor) as? EpollFile else { throw .EINVAL }
        return epoll
    }

    static func epollControl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let operation = arguments.int32(1), number = arguments.int32(2)
        var events: UInt32 = 0
        var data: UInt64 = 0
        // struct epoll_event is packed: events, then data.
        if operation != EpollFlag.EPOLL_CTL_DEL {
            let memory = try task.guestMemory()
            events = try memory.load(arguments[3])
            data = try memory.load(arguments[3] &+ 4)
        }
        let instance = try task.file(arguments.int32(0))
        let file = try task.file(number)
        guard let epoll = instance as? EpollFile, instance !== file else { throw .EINVAL }
        switch operation {
        case EpollFlag.EPOLL_CTL_ADD: try epoll.add(number, file, events: events, data: data)
        case EpollFlag.EPOLL_CTL_MOD: try epoll.modify(number, file, events: events, data: data)
        case EpollFlag.EPOLL_CTL_DEL: try epoll.delete(number, file)
        default: throw .EINVAL
        }
        return 0
    }

    static func epollWait(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let deadline = PollCalls.deadline(after: PollCalls.timeout(milliseconds: arguments.int32(3)))
        return try wait(task, arguments.int32(0), arguments[1], arguments.int32(2), deadline: deadline)
    }

    static func epollPwait(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let deadline = PollCalls.deadline(after: PollCalls.timeout(milliseconds: arguments.int32(3)))
        return try wait(task, arguments, deadline: deadline)
    }

    static func epollPwait2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try wait(task, arguments, deadline: PollCalls.timespecDeadline(task, arguments[3]))
    }

    private static func wait(_ task: KernelTask, _ arguments: borrowing SyscallArguments, deadline: UInt64?) throws(Errno) -> Int {
        let mask = try PollCalls.signalMask(task, arguments[4], size: arguments[5])
        let descriptor = arguments.int32(0), address = arguments[1], limit = arguments.int32(2)
        return try task.withSignalMask(mask) { () throws(Errno) in try wait(task, descriptor, address, limit, deadline: deadline) }
    }

    /// The most events handed out at once; a later call gets the rest.
    private static let maximumEvents = 8192

    private static func wait(_ task: KernelTask, _ descriptor: Int32, _ address: UInt64, _ limit: Int32, deadline: UInt64?) throws(Errno)
        -> Int
    {
        guard limit > 0, limit <= Int32.max / 12 else { throw .EINVAL }
        let epoll = try epoll(task, descriptor)
        let limit = min(Int(limit), maximumEvents)
        var found = epoll.collect(limit: limit, task)
        if found.isEmpty, deadline != 0 {
            let waiter = TaskWaiter(task, .readable)
            epoll.add(waiter)
            defer { epoll.remove(waiter) }
            while true {
                found = epoll.collect(limit: limit, task)
                if !found.isEmpty { break }
                let wasWoken: Bool
                // epoll_wait(2) is never restarted (signal(7)).
                do throws(Errno) { wasWoken = try task.block(deadline: deadline) } catch { throw error == .ERESTARTSYS ? .EINTR : error }
                if !wasWoken {
                    found = epoll.collect(limit: limit, task)
                    break
                }
            }
        }
        if found.isEmpty { return 0 }
        if found.count == 1 {
            var bytes = InlineArray<12, UInt8>(repeating: 0)
            bytes.store(found[0].events, at: 0)
            bytes.store(found[0].data, at: 4)
            try task.guestMemory().copyOut(bytes.span, to: address)
            return 1
        }
        var bytes = [UInt8](repeating: 0, count: found.count * 12)
        for (index, event) in found.enumerated() {
            bytes.store(event.events, at: index * 12)
            bytes.store(event.data, at: index * 12 + 4)
        }
        try task.guestMemory().copyOut(bytes, to: address)
        return found.count
    }

    // MARK: eventfd(2)

    static func eventfd(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = EventFile(UInt64(arguments.uint32(0)), isSemaphore: false, flags: [])
        return try task.install(file, closeOnExec: false)
    }

    static func eventfd2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let bits = arguments.uint32(1)
        let flags = OpenFlags(rawValue: bits & ~EventFileFlag.EFD_SEMAPHORE)
        guard flags.isSubset(of: [.O_CLOEXEC, .O_NONBLOCK]) else { throw .EINVAL }
        let file = EventFile(
            UInt64(arguments.uint32(0)), isSemaphore: bits & EventFileFlag.EFD_SEMAPHORE != 0, flags: flags.intersection(.O_NONBLOCK))
        return try task.install(file, closeOnExec: flags.contains(.O_CLOEXEC))
    }

    // MARK: timerfd_create(2)

    static func timerfdCreate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = OpenFlags(rawValue: arguments.uint32(1))
        guard flags.isSubset(of: [.O_CLOEXEC, .O_NONBLOCK]) else { throw .EINVAL }
        // CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME; the alarm clocks would wake a sleeping machine.
        switch arguments.int32(0) {
        case 0, 1, 7: break
        case 8, 9: throw .EPERM
        default: throw .EINVAL
        }
        let file = TimerFile(isRealTime: arguments.int32(0) == 0, timers: task.kernel.timers, flags: flags.intersection(.O_NONBLOCK))
        return try task.install(file, closeOnExec: flags.contains(.O_CLOEXEC))
    }

    private static func timer(_ task: KernelTask, _ descriptor: Int32) throws(Errno) -> TimerFile {
        guard let timer = try task.file(descriptor) as? TimerFile else { throw .EINVAL }
        return timer
    }

    /// struct itimerspec: the interval, then the value.
    private static func store(_ task: KernelTask, _ setting: TimerFile.Setting, to address: UInt64) throws(Errno) {
        var bytes = StructureBytes(size: 32)
        bytes.put(Timespec(nanoseconds: setting.interval), at: 0)
        bytes.put(Timespec(nanoseconds: setting.value), at: 16)
        try task.guestMemory().copyOut(bytes.bytes, to: address)
    }

    static func timerfdSetTime(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(1)
        guard flags & ~(EventFileFlag.TFD_TIMER_ABSTIME | EventFileFlag.TFD_TIMER_CANCEL_ON_SET) == 0 else { throw .EINVAL }
        let bytes = StructureBytes(try task.guestMemory().copyIn(from: arguments[2], count: 32))
        guard let interval = bytes.getTimespec(0).nanoseconds, let value = bytes.getTimespec(16).nanoseconds else { throw .EINVAL }
        let old = try timer(task, arguments.int32(0)).set(
            TimerFile.Setting(interval: interval, value: value), absolute: flags & EventFileFlag.TFD_TIMER_ABSTIME != 0)
        if arguments[3] != 0 { try store(task, old, to: arguments[3]) }
        return 0
    }

    static func timerfdGetTime(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try store(task, timer(task, arguments.int32(0)).get(), to: arguments[1])
        return 0
    }

    // MARK: inotify(7)

    static func inotifyInit(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try task.install(InotifyFile(flags: []), closeOnExec: false)
    }

    static func inotifyInit1(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = OpenFlags(rawValue: arguments.uint32(0))
        guard flags.isSubset(of: [.O_CLOEXEC, .O_NONBLOCK]) else { throw .EINVAL }
        return try task.install(InotifyFile(flags: flags.intersection(.O_NONBLOCK)), closeOnExec: flags.contains(.O_CLOEXEC))
    }

    private static func inotify(_ task: KernelTask, _ descriptor: Int32) throws(Errno) -> InotifyFile {
        guard let file = try task.file(descriptor) as? InotifyFile else { throw .EINVAL }
        return file
    }

    static func inotifyAddWatch(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let mask = arguments.uint32(2)
        guard mask & InotifyFlag.IN_ALL_EVENTS != 0 else { throw .EINVAL }
        if mask & InotifyFlag.IN_MASK_ADD != 0, mask & InotifyFlag.IN_MASK_CREATE != 0 { throw .EINVAL }
        let inotify = try inotify(task, arguments.int32(0))
        let path = try task.path(at: arguments[1])
        var options: ResolveOptions = mask & InotifyFlag.IN_DONT_FOLLOW != 0 ? [] : .follow
        if mask & InotifyFlag.IN_ONLYDIR != 0 { options.insert(.directory) }
        let place = try VFS.resolve(path.span, at: task.fileSystem().workingDirectory, options, task)
        try VFS.checkAccess(place, .read, task)
        return Int(try inotify.addWatch(place.dentry, mask: mask))
    }

    static func inotifyRemoveWatch(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try inotify(task, arguments.int32(0)).removeWatch(arguments.int32(1))
        return 0
    }

    // MARK: memfd_create(2)

    static func memfdCreate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(1)
        if flags & EventFileFlag.MFD_HUGETLB != 0 {
            task.kernel.unsupported(.memfd_create, "MFD_HUGETLB")
            throw .ENODEV
        }
        let noExec = flags & EventFileFlag.MFD_NOEXEC_SEAL != 0
        guard flags & ~0x1f == 0, !(noExec && flags & EventFileFlag.MFD_EXEC != 0) else { throw .EINVAL }
        // The name counts at most 249 bytes: "memfd:" comes before it.
        let name: [UInt8]
        do throws(Errno) { name = try task.guestMemory().copyInString(at: arguments[0], max: 250) } catch {
            throw error == .ENAMETOOLONG ? .EINVAL : error
        }
        var seals = flags & EventFileFlag.MFD_ALLOW_SEALING != 0 ? 0 : SealFlags.F_SEAL_SEAL
        if noExec { seals = SealFlags.F_SEAL_EXEC }
        let file = try TmpfsFileSystem.makeMemoryFile(
            name, memory: task.container.memoryFile, seals: seals, permissions: noExec ? 0o666 : 0o777, task)
        return try task.install(file, closeOnExec: flags & EventFileFlag.MFD_CLOEXEC != 0)
    }
}

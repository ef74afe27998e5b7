import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Clocks, sleeping and timers (time(7)).
enum TimeCalls {
    static let calls: [SystemCall] = [
        SystemCall(.clock_gettime) { task, arguments throws(Errno) in
            let clock = try task.clock(arguments.int32(0))
            try task.write(Timespec(nanoseconds: clock.now), to: arguments[1])
            return 0
        },
        SystemCall(.clock_getres) { task, arguments throws(Errno) in
            let clock = try task.clock(arguments.int32(0))
            if arguments[1] != 0 { try task.write(Timespec(nanoseconds: clock.resolution), to: arguments[1]) }
            return 0
        },
        .refused(.clock_settime, .EPERM, "the host owns the clocks"),
        .refused(.settimeofday, .EPERM, "the host owns the clocks"),
        .refused(.adjtimex, .EPERM, "the host owns the clocks"),
        .refused(.clock_adjtime, .EPERM, "the host owns the clocks"),
        SystemCall(.gettimeofday, gettimeofday),
        SystemCall(.time, time),
        SystemCall(.nanosleep, nanosleep),
        SystemCall(.clock_nanosleep, clockNanosleep),
        SystemCall(.alarm, alarm),
        SystemCall(.getitimer, getitimer),
        SystemCall(.setitimer, setitimer),
        SystemCall(.timer_create, timerCreate),
        SystemCall(.timer_settime, timerSettime),
        SystemCall(.timer_gettime) { task, arguments throws(Errno) in
            let timer = try task.threadGroup.timer(arguments.int32(0))
            try task.write(itimerspec(timer.setting), to: arguments[1])
            return 0
        },
        SystemCall(.timer_getoverrun) { task, arguments throws(Errno) in Int(try task.threadGroup.timer(arguments.int32(0)).overrun) },
        SystemCall(.timer_delete) { task, arguments throws(Errno) in
            try task.threadGroup.deleteTimer(arguments.int32(0))
            return 0
        },
        SystemCall(.times, times),
        SystemCall(.getrusage, getrusage),
    ]

    // MARK: clocks

    private static func gettimeofday(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let now = HostClock.realtime
        if arguments[0] != 0 {
            var structure = StructureBytes(size: 16)
            structure.put(now / 1_000_000_000, at: 0)
            structure.put(now % 1_000_000_000 / 1000, at: 8)
            try task.write(structure, to: arguments[0])
        }
        // struct timezone: the kernel's is UTC.
        if arguments[1] != 0 { try task.write(StructureBytes(size: 8), to: arguments[1]) }
        return 0
    }

    private static func time(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let seconds = Int(HostClock.realtime / 1_000_000_000)
        if arguments[0] != 0 { try task.space().store(Int64(seconds), to: arguments[0]) }
        return seconds
    }

    // MARK: sleeping

    private static func nanosleep(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard let interval = try task.readTimespec(arguments[0]).nanoseconds else { throw .EINVAL }
        return try sleep(task, until: HostClock.deadline(in: interval), remaining: arguments[1])
    }

    private static func clockNanosleep(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let identifier = arguments.int32(0)
        let clock = try task.clock(identifier)
        if identifier == ClockIdentifier.CLOCK_THREAD_CPUTIME_ID { throw .EINVAL }
        guard let time = try task.readTimespec(arguments[2]).nanoseconds else { throw .EINVAL }
        let isAbsolute = arguments.int32(1) & TimerConstant.TIMER_ABSTIME != 0
        if !isAbsolute, clock.hostDeadline(0) != nil {
            return try sleep(task, until: HostClock.deadline(in: time), remaining: arguments[3])
        }
        if let deadline = clock.hostDeadline(time) {
            do throws(Errno) {
                while try task.block(deadline: deadline) {}
            } catch {
                throw error == .ERESTARTSYS ? .ERESTARTNOHAND : error
            }
            return 0
        }
        task.kernel.unsupported(.clock_nanosleep, "CPU-time clocks")
        throw .EOPNOTSUPP
    }

    /// Sleeps until a host time. Interrupted: tells the rest at `remaining` and restarts with the same end.
    private static func sleep(_ task: KernelTask, until deadline: UInt64, remaining: UInt64) throws(Errno) -> Int {
        do throws(Errno) {
            while try task.block(deadline: deadline) { if HostClock.monotonic >= deadline { break } }
            return 0
        } catch {
            guard error == .ERESTARTSYS else { throw error }
            let now = HostClock.monotonic
            if now >= deadline { return 0 }
            if remaining != 0 { try task.write(Timespec(nanoseconds: deadline - now), to: remaining) }
            task.restartBlock = { task throws(Errno) in try sleep(task, until: deadline, remaining: remaining) }
            throw .ERESTART_RESTARTBLOCK
        }
    }

    // MARK: interval timers

    private static func alarm(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let old = task.threadGroup.setRealTimer(TimerSetting(value: UInt64(arguments.uint32(0)) * 1_000_000_000, interval: 0))
        // Rounded, but never to 0 while it is armed.
        if old.value == 0 { return 0 }
        return max(1, Int((old.value &+ 500_000_000) / 1_000_000_000))
    }

    private static func itimerval(_ setting: TimerSetting) -> StructureBytes {
        var structure = StructureBytes(size: 32)
        structure.put(setting.interval / 1_000_000_000, at: 0)
        structure.put(setting.interval % 1_000_000_000 / 1000, at: 8)
        structure.put(setting.value / 1_000_000_000, at: 16)
        structure.put(setting.value % 1_000_000_000 / 1000, at: 24)
        return structure
    }

    private static func getitimer(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let setting: TimerSetting
        switch arguments.int32(0) {
        case TimerConstant.ITIMER_REAL: setting = task.threadGroup.realTimer
        case TimerConstant.ITIMER_VIRTUAL: setting = task.threadGroup.cpuTimer(isProfiling: false)
        case TimerConstant.ITIMER_PROF: setting = task.threadGroup.cpuTimer(isProfiling: true)
        default: throw .EINVAL
        }
        try task.write(itimerval(setting), to: arguments[1])
        return 0
    }

    private static func setitimer(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var new = TimerSetting(value: 0, interval: 0)
        if arguments[1] != 0 {
            let structure = try task.readStructure(arguments[1], size: 32)
            func nanoseconds(_ offset: Int) throws(Errno) -> UInt64 {
                let seconds: Int64 = structure.get(offset), microseconds: Int64 = structure.get(offset + 8)
                guard seconds >= 0, microseconds >= 0, microseconds < 1_000_000,
                    let total = Timespec(tv_sec: seconds, tv_nsec: microseconds * 1000).nanoseconds
                else { throw .EINVAL }
                return total
            }
            new = TimerSetting(value: try nanoseconds(16), interval: try nanoseconds(0))
        }
        let old: TimerSetting
        switch arguments.int32(0) {
        case TimerConstant.ITIMER_REAL: old = task.threadGroup.setRealTimer(new)
        case TimerConstant.ITIMER_VIRTUAL: old = task.threadGroup.setCPUTimer(isProfiling: false, new)
        case TimerConstant.ITIMER_PROF: old = task.threadGroup.setCPUTimer(isProfiling: true, new)
        default: throw .EINVAL
        }
        if arguments[2] != 0 { try task.write(itimerval(old), to: arguments[2]) }
        return 0
    }

    // MARK: POSIX timers

    private static func itimerspec(_ setting: TimerSetting) -> StructureBytes {
        var structure = StructureBytes(size: 32)
        structure.put(Timespec(nanoseconds: setting.interval), at: 0)
        structure.put(Timespec(nanoseconds: setting.value), at: 16)
        return structure
    }

    private static func timerCreate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let clock = try task.clock(arguments.int32(0))
        var notification = SignalEventNotification.SIGEV_SIGNAL, signal = Signal.SIGALRM
        var value: UInt64?
        var target: KernelTask?
        if arguments[1] != 0 {
            // struct sigevent: value, signo, notify, tid; 64 bytes.
            let event = try task.readStructure(arguments[1], size: 64)
            value = event.get(0)
            signal = event.get(8)
            notification = event.get(12)
            switch notification {
            case SignalEventNotification.SIGEV_NONE: break
            case SignalEventNotification.SIGEV_SIGNAL, SignalEventNotification.SIGEV_THREAD:
                guard Signal.isValid(signal) else { throw .EINVAL }
            case SignalEventNotification.SIGEV_THREAD_ID:
                guard Signal.isValid(signal) else { throw .EINVAL }
                guard let thread = try? task.findTask(event.get(16)), thread.threadGroup === task.threadGroup else { throw .EINVAL }
                target = thread
            default: throw .EINVAL
            }
        }
        let timer = try task.threadGroup.makeTimer(
            clock: clock, notification: notification, signal: signal, value: value, target: target)
        do { try task.space().store(timer.identifier, to: arguments[2]) } catch {
            try? task.threadGroup.deleteTimer(timer.identifier)
            throw error
        }
        return 0
    }

    private static func timerSettime(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let structure = try task.readStructure(arguments[2], size: 32)
        guard let interval = structure.getTimespec(0).nanoseconds, let value = structure.getTimespec(16).nanoseconds else { throw .EINVAL }
        let timer = try task.threadGroup.timer(arguments.int32(0))
        let old = timer.set(
            TimerSetting(value: value, interval: interval), absolute: arguments.int32(1) & TimerConstant.TIMER_ABSTIME != 0)
        if arguments[3] != 0 { try task.write(itimerspec(old), to: arguments[3]) }
        return 0
    }

    // MARK: usage

    private static func times(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        if arguments[0] != 0 {
            let own = task.threadGroup.cpuTime, children = task.threadGroup.childrenUsage
            var structure = StructureBytes(size: 32)
            for (index, time) in [own.user, own.system, children.userTime, children.systemTime].enumerated() {
                structure.put(time / TimerConstant.nanosecondsPerTick, at: index * 8)
            }
            try task.write(structure, to: arguments[0])
        }
        return Int(HostClock.monotonic / TimerConstant.nanosecondsPerTick)
    }

    private static func getrusage(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let usage: Usage
        switch arguments.int32(0) {
        case TimerConstant.RUSAGE_SELF: usage = task.threadGroup.usage
        case TimerConstant.RUSAGE_CHILDREN: usage = task.threadGroup.childrenUsage
        case TimerConstant.RUSAGE_THREAD:
            var own = task.usage
            own.maximumResident = task.threadGroup.usage.maximumResident
            usage = own
        default: throw .EINVAL
        }
        try task.write(UsageLayout.bytes(usage), to: arguments[1])
        return 0
    }
}

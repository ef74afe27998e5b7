import Host
public import LinuxABI

/// Whose CPU time a clock counts.
public enum CPUClockOwner: Sendable {
    case process(ThreadGroup)
    case thread(KernelTask)
    /// Nanoseconds of user and system time used so far.
    public var time: (user: UInt64, system: UInt64) {
        switch self {
        case .process(let group): return group.cpuTime
        case .thread(let task):
            let usage = task.usage
            return (usage.userTime, usage.systemTime)
        }
    }
}

/// A clock of clock_gettime(2), resolved.
public enum ClockSource: Sendable {
    /// CLOCK_REALTIME, its coarse form, CLOCK_TAI.
    case realtime
    /// CLOCK_MONOTONIC, its raw and coarse forms, CLOCK_BOOTTIME. The sandbox shows the host's own monotonic clock.
    case monotonic(Int32)
    /// Only user time (ITIMER_VIRTUAL's view; MAKE_PROCESS_CPUCLOCK with CPUCLOCK_VIRT).
    case userTime(CPUClockOwner)
    /// User and system time.
    case cpuTime(CPUClockOwner)

    /// Nanoseconds now.
    public var now: UInt64 {
        switch self {
        case .realtime: return HostClock.realtime
        case .monotonic(let clock): return HostClock.nanoseconds(clock)
        case .userTime(let owner): return owner.time.user
        case .cpuTime(let owner):
            let time = owner.time
            return time.user &+ time.system
        }
    }

    /// The host's CLOCK_MONOTONIC when this clock will show `time`; nil for CPU clocks. Steps of the host's real-time clock after the call are not seen.
    public func hostDeadline(_ time: UInt64) -> UInt64? {
        switch self {
        case .realtime, .monotonic:
            let clockNow = now, hostNow = HostClock.monotonic
            return time <= clockNow
                ? hostNow : hostNow.addingReportingOverflow(time - clockNow).overflow ? .max : hostNow + (time - clockNow)
        case .userTime, .cpuTime: return nil
        }
    }

    /// Nanoseconds of clock_getres(2).
    public var resolution: UInt64 { 1 }
}

extension KernelTask {
    /// The clock that `identifier` (clockid_t) means to this task. EINVAL for an unknown one.
    public func clock(_ identifier: Int32) throws(Errno) -> ClockSource {
        switch identifier {
        case ClockIdentifier.CLOCK_REALTIME, ClockIdentifier.CLOCK_REALTIME_COARSE, ClockIdentifier.CLOCK_REALTIME_ALARM,
            ClockIdentifier.CLOCK_TAI:
            return .realtime
        case ClockIdentifier.CLOCK_MONOTONIC, ClockIdentifier.CLOCK_MONOTONIC_RAW, ClockIdentifier.CLOCK_MONOTONIC_COARSE,
            ClockIdentifier.CLOCK_BOOTTIME:
            return .monotonic(identifier)
        case ClockIdentifier.CLOCK_BOOTTIME_ALARM: return .monotonic(ClockIdentifier.CLOCK_BOOTTIME)
        case ClockIdentifier.CLOCK_PROCESS_CPUTIME_ID: return .cpuTime(.process(threadGroup))
        case ClockIdentifier.CLOCK_THREAD_CPUTIME_ID: return .cpuTime(.thread(self))
        default: break
        }
        guard identifier < 0 else { throw .EINVAL }
        // clock_getcpuclockid(3): the complement of the id, then a bit for "thread" and two for the kind (0 PROF, 1 VIRT, 2 SCHED, 3 fd).
        let target = ~(identifier >> 3), isThread = identifier & 4 != 0
        let owner: CPUClockOwner = try kernel.tree.withLock { proof throws(Errno) in
            if target == 0 { return isThread ? .thread(self) : .process(threadGroup) }
            if isThread {
                guard let task = namespace.task(target, proof), task.threadGroup === threadGroup else { throw .EINVAL }
                return .thread(task)
            }
            guard let group = namespace.threadGroup(target, proof) else { throw .EINVAL }
            return .process(group)
        }
        switch identifier & 3 {
        case 0, 2: return .cpuTime(owner)
        case 1: return .userTime(owner)
        default: throw .EINVAL
        }
    }
}

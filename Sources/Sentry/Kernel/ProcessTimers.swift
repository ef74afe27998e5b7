import Host
import LinuxABI
import Synchronization

/// A timer's next expiry and interval, in nanoseconds.
public struct TimerSetting: Sendable, Hashable {
    /// Time until the next expiry; 0: disarmed.
    public var value: UInt64
    /// Time between expiries; 0: once.
    public var interval: UInt64
    public init(value: UInt64, interval: UInt64) {
        self.value = value
        self.interval = interval
    }
}

/// The timers of one process: ITIMER_* (setitimer(2)), POSIX timers (timer_create(2)) and RLIMIT_CPU.
final class ProcessTimers: Sendable {
    /// A timer that counts CPU time.
    struct CPUTimer: Sendable {
        /// When it expires on its clock, in nanoseconds; 0: disarmed.
        var expiry: UInt64 = 0
        var interval: UInt64 = 0
    }
    struct State {
        var realInterval: UInt64 = 0
        /// Host CLOCK_MONOTONIC; 0: disarmed.
        var realExpiry: UInt64 = 0
        var realTimer: KernelTimer?
        var virtual = CPUTimer()
        var profiling = CPUTimer()
        /// RLIMIT_CPU: the next second at which SIGXCPU is due, in nanoseconds; 0: none.
        var cpuLimitExpiry: UInt64 = 0
        var cpuCheck: KernelTimer?
        var posix: [Int32: PosixTimer] = [:]
        var nextIdentifier: Int32 = 0
    }
    let state = Lock(State())
    /// CPU timers are armed but no thread of the process was running at the last check: the next one to wake up arms it again.
    let isDormant = Atomic<Bool>(false)

    init() {}
}

extension ThreadGroup {
    // MARK: ITIMER_REAL

    /// setitimer(ITIMER_REAL), alarm(2): the setting before. Times in nanoseconds.
    public func setRealTimer(_ setting: TimerSetting) -> TimerSetting {
        let now = HostClock.monotonic
        return timers.state.withLock { state in
            let old = TimerSetting(
                value: state.realExpiry > now ? state.realExpiry - now : state.realExpiry == 0 ? 0 : 1, interval: state.realInterval)
            state.realInterval = setting.interval
            state.realExpiry = setting.value == 0 ? 0 : now.addingReportingOverflow(setting.value).overflow ? .max : now + setting.value
            if setting.value == 0 {
                if let timer = state.realTimer { kernel.timers.cancel(timer) }
            } else {
                let timer = state.realTimer ?? KernelTimer { [weak self] in self?.realTimerExpired() }
                state.realTimer = timer
                kernel.timers.arm(timer, at: state.realExpiry)
            }
            return old
        }
    }

    public var realTimer: TimerSetting {
        let now = HostClock.monotonic
        return timers.state.withLock { state in
            TimerSetting(
                value: state.realExpiry > now ? state.realExpiry - now : state.realExpiry == 0 ? 0 : 1, interval: state.realInterval)
        }
    }

    private func realTimerExpired() {
        timers.state.withLock { if $0.realInterval == 0 { $0.realExpiry = 0 } }
        send(.kernel(Signal.SIGALRM))
    }

    /// A SIGALRM was taken: an interval timer goes on only now, so that a short interval cannot outrun its process (as in Linux).
    func realTimerDelivered() {
        let now = HostClock.monotonic
        timers.state.withLock { state in
            guard state.realInterval != 0, state.realExpiry != 0, state.realExpiry <= now, let timer = state.realTimer else { return }
            let missed = (now - state.realExpiry) / state.realInterval
            state.realExpiry &+= (missed + 1) &* state.realInterval
            kernel.timers.arm(timer, at: state.realExpiry)
        }
    }

    // MARK: CPU time

    /// setitimer(ITIMER_VIRTUAL or ITIMER_PROF): the setting before.
    public func setCPUTimer(isProfiling: Bool, _ setting: TimerSetting) -> TimerSetting {
        let old = cpuTimer(isProfiling: isProfiling)
        let time = cpuTime
        let now = isProfiling ? time.user &+ time.system : time.user
        timers.state.withLock { state in
            let timer = ProcessTimers.CPUTimer(
                expiry: setting.value == 0 ? 0 : now.addingReportingOverflow(setting.value).partialValue, interval: setting.interval)
            if isProfiling { state.profiling = timer } else { state.virtual = timer }
        }
        checkCPUTimers()
        return old
    }

    public func cpuTimer(isProfiling: Bool) -> TimerSetting {
        let time = cpuTime
        let now = isProfiling ? time.user &+ time.system : time.user
        return timers.state.withLock { state in
            let timer = isProfiling ? state.profiling : state.virtual
            return TimerSetting(value: timer.expiry == 0 ? 0 : timer.expiry > now ? timer.expiry - now : 1, interval: timer.interval)
        }
    }

    /// RLIMIT_CPU was set: SIGXCPU at the soft limit and every second after it, SIGKILL at the hard limit.
    public func cpuLimitChanged() {
        let limit = limits.current(Resource.RLIMIT_CPU)
        timers.state.withLock { state in
            state.cpuLimitExpiry =
                limit == Resource.unlimited
                ? 0 : max(1, limit.multipliedReportingOverflow(by: 1_000_000_000).overflow ? 0 : limit * 1_000_000_000)
        }
        checkCPUTimers()
    }

    /// Fires the CPU timers that are due and arranges the next look: CPU time cannot pass faster than real time times the threads, so nothing is
    /// missed, and nobody looks while all threads sleep.
    func checkCPUTimers() {
        timers.isDormant.store(false, ordering: .relaxed)
        let time = cpuTime
        let total = time.user &+ time.system
        let hardLimit = limits.get(Resource.RLIMIT_CPU).maximum
        var due: [Int32] = []
        let remaining = timers.state.withLock { state -> UInt64? in
            func advance(_ timer: inout ProcessTimers.CPUTimer, _ now: UInt64, _ signal: Int32) {
                guard timer.expiry != 0, timer.expiry <= now else { return }
                due.append(signal)
                timer.expiry = timer.interval == 0 ? 0 : timer.expiry &+ ((now - timer.expiry) / timer.interval + 1) &* timer.interval
            }
            advance(&state.virtual, time.user, Signal.SIGVTALRM)
            advance(&state.profiling, total, Signal.SIGPROF)
            if state.cpuLimitExpiry != 0, state.cpuLimitExpiry <= total {
                due.append(total / 1_000_000_000 >= hardLimit ? Signal.SIGKILL : Signal.SIGXCPU)
                state.cpuLimitExpiry = total &+ 1_000_000_000
            }
            var least: UInt64?
            for (expiry, now) in [(state.virtual.expiry, time.user), (state.profiling.expiry, total), (state.cpuLimitExpiry, total)]
            where expiry != 0 {
                least = min(least ?? .max, expiry > now ? expiry - now : 1)
            }
            return least
        }
        for signal in due { send(.kernel(signal)) }
        var least = remaining
        for timer in timers.state.withLock({ Array($0.posix.values) }) {
            if let rest = timer.checkCPU() { least = min(least ?? .max, rest) }
        }
        guard let remaining = least else { return }
        let threads = self.threads
        let running = threads.filter { $0.state == .running }.count
        if running == 0 {
            timers.isDormant.store(true, ordering: .sequentiallyConsistent)
            // Somebody may have woken up before the flag was visible.
            if threads.allSatisfy({ $0.state != .running }) { return }
        }
        // At least a millisecond: the clocks of running threads are not finer than that in practice.
        let wait = max(remaining / UInt64(max(1, min(threads.count, container.processorCount))), 1_000_000)
        timers.state.withLock { state in
            let timer = state.cpuCheck ?? KernelTimer { [weak self] in self?.checkCPUTimers() }
            state.cpuCheck = timer
            kernel.timers.arm(timer, at: HostClock.monotonic.addingReportingOverflow(wait).overflow ? .max : HostClock.monotonic + wait)
        }
    }

    // MARK: life

    /// The process is gone or becomes another program. POSIX timers go; `everything`: the interval timers too (execve keeps them).
    func stopTimers(everything: Bool) {
        let posix = timers.state.withLock { state -> [PosixTimer] in
            defer { state.posix = [:] }
            if everything {
                if let timer = state.realTimer { kernel.timers.cancel(timer) }
                if let timer = state.cpuCheck { kernel.timers.cancel(timer) }
                state.realExpiry = 0
                state.virtual = .init()
                state.profiling = .init()
                state.cpuLimitExpiry = 0
            }
            return Array(state.posix.values)
        }
        for timer in posix { timer.stop() }
    }
}

extension KernelTask {
    /// The last thread of a process ends its timers.
    func timersExit() { if threadGroup.threadCount == 1 { threadGroup.stopTimers(everything: true) } }
    /// execve(2) deletes POSIX timers and keeps the others.
    func timersExecute() { threadGroup.stopTimers(everything: false) }
}

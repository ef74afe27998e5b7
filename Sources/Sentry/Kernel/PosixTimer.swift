import Host
public import LinuxABI

/// A timer of timer_create(2). Signals are queued at most once per timer; what expires meanwhile counts as overrun, and the timer goes on when its
/// signal is taken (as in Linux, so that a short interval cannot outrun its process).
public final class PosixTimer: Sendable {
    public let identifier: Int32
    private let clock: ClockSource
    private let notification: Int32
    private let signal: Int32
    private let value: UInt64
    /// SIGEV_THREAD_ID
    private let target: KernelTask?
    private let group: ThreadGroup

    private struct State {
        /// On the timer's clock for CPU clocks, else host CLOCK_MONOTONIC; 0: disarmed.
        var expiry: UInt64 = 0
        var interval: UInt64 = 0
        var isQueued = false
        var isDeleted = false
        /// Expiries between the one of the queued signal and its delivery.
        var overrun: UInt64 = 0
        var timer: KernelTimer?
    }
    private let state = Lock(State())

    fileprivate init(
        identifier: Int32, clock: ClockSource, notification: Int32, signal: Int32, value: UInt64, target: KernelTask?, group: ThreadGroup
    ) {
        self.identifier = identifier
        self.clock = clock
        self.notification = notification
        self.signal = signal
        self.value = value
        self.target = target
        self.group = group
    }

    private var isCPUClock: Bool {
        switch clock {
        case .cpuTime, .userTime: true
        case .realtime, .monotonic: false
        }
    }
    /// The clock that `expiry` is kept in.
    private var now: UInt64 { isCPUClock ? clock.now : HostClock.monotonic }

    /// timer_settime(2): the setting before. `absolute`: `setting.value` is a time of the timer's clock.
    public func set(_ setting: TimerSetting, absolute: Bool) -> TimerSetting {
        let now = now
        let expiry: UInt64
        if setting.value == 0 {
            expiry = 0
        } else if absolute {
            expiry = max(1, isCPUClock ? setting.value : clock.hostDeadline(setting.value) ?? 0)
        } else {
            expiry = now.addingReportingOverflow(setting.value).overflow ? .max : now + setting.value
        }
        let old = state.withLock { state -> TimerSetting in
            let old = Self.remaining(state, now)
            state.expiry = expiry
            state.interval = setting.interval
            state.overrun = 0
            state.isQueued = false
            arm(&state)
            return old
        }
        if isCPUClock, expiry != 0 { group.checkCPUTimers() }
        return old
    }

    /// timer_gettime(2).
    public var setting: TimerSetting {
        let now = now
        return state.withLock { Self.remaining($0, now) }
    }

    private static func remaining(_ state: State, _ now: UInt64) -> TimerSetting {
        guard state.expiry != 0 else { return TimerSetting(value: 0, interval: state.interval) }
        if state.expiry > now { return TimerSetting(value: state.expiry - now, interval: state.interval) }
        // Expired: an interval timer counts on as if it had been rearmed.
        if state.interval != 0 {
            return TimerSetting(value: state.interval - (now - state.expiry) % state.interval, interval: state.interval)
        }
        return TimerSetting(value: 0, interval: 0)
    }

    /// timer_getoverrun(2).
    public var overrun: Int32 { Int32(clamping: state.withLock { $0.overrun }) }

    /// Arms the host timer. With `state` held.
    private func arm(_ state: inout State) {
        if isCPUClock || notification == SignalEventNotification.SIGEV_NONE { return }
        guard state.expiry != 0, !state.isDeleted else {
            if let timer = state.timer { group.kernel.timers.cancel(timer) }
            return
        }
        let timer = state.timer ?? KernelTimer { [weak self] in self?.expired() }
        state.timer = timer
        group.kernel.timers.arm(timer, at: state.expiry)
    }

    /// The time has come: queue the signal.
    private func expired() {
        let isDue = state.withLock { state -> Bool in
            guard state.expiry != 0, !state.isDeleted, !state.isQueued else { return false }
            state.isQueued = true
            state.overrun = 0
            return true
        }
        guard isDue, notification != SignalEventNotification.SIGEV_NONE else { return }
        var info = SignalInfo(signal: signal, code: SignalCode.SI_TIMER)
        info.setTimer(identifier, overrun: 0)
        info.si_value = value
        if group.send(info, to: target, timer: self) == nil { return }
        // Ignored: nobody will take it, so it goes on by itself, but not faster than a millisecond.
        let now = now
        state.withLock { state in
            state.isQueued = false
            guard state.interval != 0 else {
                state.expiry = 0
                return
            }
            state.expiry = max(Self.next(after: state.expiry, state.interval, now), now &+ 1_000_000)
            arm(&state)
        }
    }

    private static func next(after expiry: UInt64, _ interval: UInt64, _ now: UInt64) -> UInt64 {
        guard expiry <= now else { return expiry }
        let steps = (now - expiry) / interval + 1
        let (distance, overflow) = steps.multipliedReportingOverflow(by: interval)
        return overflow ? .max : expiry.addingReportingOverflow(distance).overflow ? .max : expiry + distance
    }

    /// The signal was taken: fills in the overrun and goes on. With no lock held.
    func delivered(_ info: inout SignalInfo) {
        let now = now
        let overrun = state.withLock { state -> UInt64 in
            state.isQueued = false
            guard state.interval != 0, state.expiry != 0 else {
                state.expiry = 0
                return 0
            }
            let next = Self.next(after: state.expiry, state.interval, now)
            state.overrun = next > state.expiry ? (next - state.expiry) / state.interval - 1 : 0
            state.expiry = next
            arm(&state)
            return state.overrun
        }
        info.setTimer(identifier, overrun: Int32(clamping: overrun))
    }

    /// For a timer on a CPU clock: fires it when due; nanoseconds until it is due, nil when it is not armed or on another clock.
    func checkCPU() -> UInt64? {
        guard isCPUClock, notification != SignalEventNotification.SIGEV_NONE else { return nil }
        let now = clock.now
        let rest = state.withLock { state -> UInt64? in
            guard state.expiry != 0, !state.isQueued, !state.isDeleted else { return nil }
            return state.expiry > now ? state.expiry - now : 0
        }
        guard let rest else { return nil }
        if rest > 0 { return rest }
        expired()
        return nil
    }

    /// timer_delete(2), exit, execve.
    func stop() {
        state.withLock { state in
            state.isDeleted = true
            state.expiry = 0
            if let timer = state.timer { group.kernel.timers.cancel(timer) }
            state.timer = nil
        }
        group.signals.withLock { signals in
            _ = signals.pending.discard(self)
            target?.signals.withLock { _ = $0.pending.discard(self) }
        }
    }
}

extension ThreadGroup {
    /// timer_create(2). EAGAIN when there are as many as RLIMIT_SIGPENDING allows signals.
    public func makeTimer(clock: ClockSource, notification: Int32, signal: Int32, value: UInt64?, target: KernelTask?) throws(Errno)
        -> PosixTimer
    {
        let limit = limits.current(Resource.RLIMIT_SIGPENDING)
        return try timers.state.withLock { state throws(Errno) in
            guard UInt64(state.posix.count) < limit, state.posix.count < 100_000 else { throw .EAGAIN }
            while state.posix[state.nextIdentifier] != nil {
                state.nextIdentifier = state.nextIdentifier == .max ? 0 : state.nextIdentifier + 1
            }
            let identifier = state.nextIdentifier
            state.nextIdentifier = identifier == .max ? 0 : identifier + 1
            let timer = PosixTimer(
                identifier: identifier, clock: clock, notification: notification, signal: signal, value: value ?? UInt64(identifier),
                target: target, group: self)
            state.posix[identifier] = timer
            return timer
        }
    }

    /// The timer with that id, or EINVAL.
    public func timer(_ identifier: Int32) throws(Errno) -> PosixTimer {
        guard let timer = timers.state.withLock({ $0.posix[identifier] }) else { throw .EINVAL }
        return timer
    }

    /// timer_delete(2).
    public func deleteTimer(_ identifier: Int32) throws(Errno) {
        guard let timer = timers.state.withLock({ $0.posix.removeValue(forKey: identifier) }) else { throw .EINVAL }
        timer.stop()
    }
}

import Host
public import LinuxABI
public import SentryKernel
public import SentryMemory
public import SentryVFS

/// What timerfd_create(2) gives: a timer whose expirations are read.
public final class TimerFile: FileDescription, @unchecked Sendable {
    /// Interval and time until the next expiration, in nanoseconds; a value of 0 disarms.
    public struct Setting: Sendable {
        public var interval: UInt64
        public var value: UInt64
        public init(interval: UInt64, value: UInt64) {
            self.interval = interval
            self.value = value
        }
    }
    private struct State {
        var interval: UInt64 = 0
        /// CLOCK_MONOTONIC of the host at the next expiration; 0 when disarmed.
        var deadline: UInt64 = 0
        /// Expirations that were not read yet.
        var expirations: UInt64 = 0
    }
    private let state = Lock(State())
    private let queue = WaitQueue()
    private let timers: TimerQueue
    /// CLOCK_REALTIME; else CLOCK_MONOTONIC or CLOCK_BOOTTIME.
    private let isRealTime: Bool
    private let timer = Lock<KernelTimer?>(nil)

    public init(isRealTime: Bool, timers: TimerQueue, flags: OpenFlags) {
        self.isRealTime = isRealTime
        self.timers = timers
        super.init(path: AnonymousFileSystem.place(kind: "[timerfd]"), flags: flags.union(.O_RDWR))
    }

    override public func released(_ context: any FileContext) {
        if let timer = timer.withLock({ $0 }) { timers.cancel(timer) }
    }

    private func makeTimer() -> KernelTimer {
        timer.withLock { timer in
            if let timer { return timer }
            let made = KernelTimer { [weak self] in self?.fired() }
            timer = made
            return made
        }
    }

    /// Counts what has expired by `now`.
    private static func advance(_ state: inout State, _ now: UInt64) {
        guard state.deadline != 0, now >= state.deadline else { return }
        if state.interval == 0 {
            state.expirations += 1
            state.deadline = 0
        } else {
            let count = (now - state.deadline) / state.interval + 1
            state.expirations += count
            let (product, overflow) = count.multipliedReportingOverflow(by: state.interval)
            state.deadline = overflow ? .max : sum(state.deadline, product)
        }
    }

    private func fired() {
        let (hasExpired, next) = state.withLock { state in
            Self.advance(&state, HostClock.monotonic)
            return (state.expirations > 0, state.deadline)
        }
        // An interval timer sleeps again only once somebody has read: until then there is nothing new to tell.
        if !hasExpired, next != 0 { timers.arm(makeTimer(), at: next) }
        if hasExpired { queue.notify(.readable) }
    }

    /// timerfd_settime(2): the setting before. `absolute`: `value` is a time of the clock (TFD_TIMER_ABSTIME).
    public func set(_ setting: Setting, absolute: Bool) -> Setting {
        let now = HostClock.monotonic
        let deadline: UInt64
        if setting.value == 0 {
            deadline = 0
        } else if absolute {
            // A real time is translated once: steps of the host's clock are not seen.
            let clockNow = isRealTime ? HostClock.realtime : now
            deadline = setting.value <= clockNow ? max(1, now) : Self.sum(now, setting.value - clockNow)
        } else {
            deadline = Self.sum(now, setting.value)
        }
        let old = state.withLock { state -> Setting in
            Self.advance(&state, now)
            let old = Setting(interval: state.interval, value: state.deadline > now ? state.deadline - now : 0)
            state = State(interval: setting.interval, deadline: deadline, expirations: 0)
            return old
        }
        if deadline == 0 { timers.cancel(makeTimer()) } else { timers.arm(makeTimer(), at: deadline) }
        return old
    }

    private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : sum
    }

    /// timerfd_gettime(2).
    public func get() -> Setting {
        let now = HostClock.monotonic
        return state.withLock { state in
            Self.advance(&state, now)
            return Setting(interval: state.interval, value: state.deadline > now ? state.deadline - now : 0)
        }
    }

    override public func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard buffer.remaining >= 8 else { throw .EINVAL }
        let (count, next) = try state.withLock { state throws(Errno) in
            Self.advance(&state, HostClock.monotonic)
            if state.expirations == 0 { throw .EAGAIN }
            defer { state.expirations = 0 }
            return (state.expirations, state.interval == 0 ? 0 : state.deadline)
        }
        if next != 0 { timers.arm(makeTimer(), at: next) }
        return try buffer.copyOut(integer: count)
    }

    override public func readiness(_ mask: PollEvents) -> PollEvents {
        let isReady = state.withLock { state in
            Self.advance(&state, HostClock.monotonic)
            return state.expirations > 0
        }
        return isReady ? mask.intersection(.readable) : []
    }
    override public func add(_ waiter: Waiter) { queue.add(waiter) }
    override public func remove(_ waiter: Waiter) { queue.remove(waiter) }
}

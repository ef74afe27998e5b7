import LinuxABI
import Synchronization

/// The timers of one process: ITIMER_* and POSIX timers.
final class ProcessTimers: Sendable {
    init() {}
}

/// A timer of timer_create(2).
final class PosixTimer: Sendable {
    /// Its signal is being taken from the queue: fills in the overrun count.
    func delivered(_ info: inout SignalInfo) {}
}

extension KernelTask {
    func timersExit() {}
}

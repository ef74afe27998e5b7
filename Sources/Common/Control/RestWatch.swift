internal import Synchronization

/// Tells a control server that its process has work, so that the server may notice when the work is over and tidy up. Nothing happens in a process that
/// rests: the server's thread wakes up only as long as it has been told of work since it last tidied up.
public final class RestSignal: Sendable {
    private let isTold = Atomic<Bool>(false)
    private let mailbox: ControlMailbox

    init(_ mailbox: ControlMailbox) { self.mailbox = mailbox }

    /// The process has work. Any thread may say so, as often as it likes: all but the first time costs one load.
    public func tellOfWork() {
        if isTold.load(ordering: .relaxed) || isTold.exchange(true, ordering: .relaxed) { return }
        mailbox.post(.init(connection: 0, stream: 0, action: .watchForRest))
    }

    /// Work from now on is to be told of again.
    fileprivate func reset() { isTold.store(false, ordering: .relaxed) }
}

/// When a process that had work has come to rest: once it has used next to no processor time for a while.
struct RestWatch {
    private let signal: RestSignal
    private(set) var deadline: UInt64?
    private var interval: UInt64 = 0
    private var processorTime: UInt64 = 0

    /// The first look is after so many nanoseconds; while the process stays busy each takes twice as long as the one before, up to the second number.
    private static let firstInterval: UInt64 = 200_000_000, longestInterval: UInt64 = 800_000_000

    init(_ signal: RestSignal) { self.signal = signal }

    /// There is work. Times are in nanoseconds: of the clock, and what the process has used of processors.
    mutating func begin(at now: UInt64, processorTime: UInt64) {
        interval = Self.firstInterval
        look(now, processorTime)
    }

    /// True once, when the process has come to rest.
    mutating func hasEnded(at now: UInt64, processorTime: UInt64) -> Bool {
        guard let deadline, now >= deadline else { return false }
        // Less than a hundredth of the time.
        if processorTime &- self.processorTime <= interval / 100 {
            self.deadline = nil
            signal.reset()
            return true
        }
        interval = min(interval * 2, Self.longestInterval)
        look(now, processorTime)
        return false
    }

    private mutating func look(_ now: UInt64, _ processorTime: UInt64) {
        deadline = now &+ interval
        self.processorTime = processorTime
    }
}

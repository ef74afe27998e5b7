internal import Host

/// When the steps of something that happens once ended. Marks are always made, so that a start-up that was slow can be asked about; there are a few dozen
/// for a process, and none once it is complete.
public final class Timeline: Sendable {
    /// The end of one step.
    public struct Mark: Sendable, Equatable {
        /// What was done.
        public let step: String
        /// CLOCK_MONOTONIC nanoseconds, which processes of one machine can compare.
        public let time: UInt64
    }

    private struct State {
        var marks: [Mark] = []
        var waiters: [@Sendable () -> Void] = []
        var isComplete = false
    }

    /// More are not kept.
    public static let maximum = 64
    /// The start of this process.
    public static let startup = Timeline()

    private let state = Lock(State())

    public init() {}

    /// The step called `step` has just ended.
    public func mark(_ step: String) {
        state.withLock { Self.add(step, to: &$0) }
    }

    /// The last step has ended: later ones (the start of another program, say) do not belong to it.
    public func complete(_ step: String) {
        let waiters = state.withLock { state -> [@Sendable () -> Void] in
            Self.add(step, to: &state)
            state.isComplete = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    private static func add(_ step: String, to state: inout State) {
        if !state.isComplete, state.marks.count < maximum { state.marks.append(Mark(step: step, time: HostClock.monotonic)) }
    }

    /// Calls `body` once the timeline is complete, on the thread that completes it; at once when it is, or when too many wait already.
    public func whenComplete(_ body: @escaping @Sendable () -> Void) {
        let waits = state.withLock { state -> Bool in
            if state.isComplete || state.waiters.count >= Self.maximum { return false }
            state.waiters.append(body)
            return true
        }
        if !waits { body() }
    }

    /// The steps so far, in the order of their ends.
    public var marks: [Mark] { state.withLock { $0.marks } }
}

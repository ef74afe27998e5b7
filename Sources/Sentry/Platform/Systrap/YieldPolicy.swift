/// Whether a service and its stubs let others run by sched_yield(2) before they sleep: a yield is but a change of place, a sleep and a wake-up cost several
/// times that. Behind a thread that computes, however, it waits for that one's whole time slice; after such a wait nobody yields for a multiple of it.
struct YieldPolicy {
    /// How often a service lets others run before it sleeps.
    static let serviceYields = 3
    /// The same for a stub.
    private static let stubYields: UInt32 = 8
    /// Cycles of the time-stamp counter: about a millisecond, in which hundreds of others may have had short turns, but nobody a time slice.
    static let shortWait: UInt64 = 2_500_000
    /// What yields may cost when they are in vain: a part of the time.
    static let part: UInt64 = 16

    private var resumption: UInt64 = 0

    /// How often a stub that is answered at `now` lets others run.
    func stubYields(at now: UInt64) -> UInt32 { isWorthwhile(at: now) ? Self.stubYields : 0 }

    /// Whether a yield pays, at `now` of the time-stamp counter.
    func isWorthwhile(at now: UInt64) -> Bool { now >= resumption }

    /// A yield has lasted from `start` to `end`.
    mutating func yielded(from start: UInt64, to end: UInt64) {
        let wait = end &- start
        if wait > Self.shortWait { resumption = end &+ wait &* Self.part }
    }
}

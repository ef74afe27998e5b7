import CPlatform

/// Whether a task's Sentry thread looks for the next event on a CPU of its own instead of sleeping on the stub's: worth it while calls come fast and a CPU
/// has nothing else to do. Bounded, and given up at the first sign of the opposite, so that nothing spins without gain.
struct SpinPolicy {
    /// Cycles of the time-stamp counter: about 20 microseconds of looking, some multiple of what a wake-up costs.
    private static let lookCycles: UInt64 = 50_000
    /// Guest code that runs for less between two calls makes spinning worth it.
    private static let shortRun: UInt64 = 40_000
    /// So many short runs in a row are proof, so many long ones the opposite.
    private static let proof = 16
    private static let disproof = 3

    private var start: UInt64 = 0
    private var shortRuns = 0
    private var longRuns = 0
    private var isSpinning = false

    /// How long `cplatform_slot_wait` looks.
    var cycles: UInt64 { isSpinning ? Self.lookCycles : 0 }
    /// How often the stub looks for its answer before it sleeps; a look takes some forty cycles or more.
    var stubSpins: UInt32 { isSpinning ? 1000 : 0 }

    /// Guest code is about to run.
    mutating func begin(_ placement: borrowing Placement, _ seat: Placement.Seat) {
        if isSpinning, placement.isSpinnerUnwelcome(seat) { stop(placement, seat) }
        start = cplatform_timestamp()
    }

    /// Guest code has run.
    mutating func end(_ placement: borrowing Placement, _ seat: Placement.Seat) {
        let isShort = cplatform_timestamp() &- start < Self.shortRun
        if isSpinning {
            longRuns = isShort ? 0 : longRuns + 1
            if longRuns >= Self.disproof { stop(placement, seat) }
        } else {
            shortRuns = isShort ? shortRuns + 1 : 0
            if shortRuns >= Self.proof {
                shortRuns = 0
                longRuns = 0
                isSpinning = placement.claimSpinner(seat)
            }
        }
    }

    /// Back to the stub's CPU; proof begins anew. A task that waits now and then would pay for the way there and back each time.
    mutating func stop(_ placement: borrowing Placement, _ seat: Placement.Seat) {
        shortRuns = 0
        guard isSpinning else { return }
        isSpinning = false
        placement.releaseSpinner(seat)
    }
}

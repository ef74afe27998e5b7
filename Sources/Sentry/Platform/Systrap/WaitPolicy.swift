import CPlatform
import Host

/// Whether a task that waits for another one looks for its wake-up instead of sleeping: worth it while wake-ups come soon and from another CPU, where each costs
/// an interrupt and the end of an idle state (55 us here). Bounded, and given up at the second failure, for longer each time.
struct WaitPolicy {
    /// Cycles of the time-stamp counter: about 40 microseconds of looking.
    private static let lookCycles: UInt64 = 100_000
    /// A wait of less, sleep and wake-up included, might have been looked out.
    private static let shortWait: UInt64 = 400_000
    private static let leastProof = 2
    private static let mostProof = 4096
    private static let disproof = 2

    private var start: UInt64 = 0
    private var shortWaits = 0
    private var failures = 0
    /// So many short waits in a row are proof.
    private var proof = WaitPolicy.leastProof
    private(set) var isLooking = false

    /// Looks, if that is worth it.
    mutating func look(for parker: Parker, isAllowed: Bool) -> Bool {
        start = cplatform_timestamp()
        guard isLooking else { return false }
        if isAllowed, parker.look(cycles: Self.lookCycles) {
            failures = 0
            return true
        }
        failures += 1
        if failures >= Self.disproof { giveUp() }
        return false
    }

    /// The task has slept, and was woken from another CPU or not: whether it was a short wait.
    mutating func slept(isDistant: Bool) -> Bool {
        let isShort = cplatform_timestamp() &- start < Self.shortWait
        if isLooking { return isShort }
        shortWaits = isDistant && isShort ? shortWaits + 1 : 0
        if shortWaits >= proof {
            isLooking = true
            failures = 0
        }
        return isShort
    }

    private mutating func giveUp() {
        isLooking = false
        shortWaits = 0
        proof = min(2 * proof, Self.mostProof)
    }
}

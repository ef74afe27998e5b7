/// Whether a task leaves its calls to the service of its CPU (`CallService`): worth it on a CPU that several tasks share, for a task that makes nothing but calls
/// that a service makes. One that soon had to be given back must prove more the next time.
struct ServicePolicy {
    static let leastProof = 16
    static let mostProof = 1 << 16
    /// So many calls served were worth the way there and back.
    static let worth = 64

    /// So many calls in a row are proof.
    private var proof: Int
    private var calls = 0

    init(proof: Int = leastProof) { self.proof = proof }

    var isWorthwhile: Bool { calls >= proof }

    /// The own thread is about to make a call. `isServable`: one that a service makes, in a crowd.
    mutating func note(isServable: Bool) { calls = isServable ? calls + 1 : 0 }

    /// The service has ended. `forGood`: not because the task has changed CPUs, or waits for long, after which a service takes it again.
    mutating func ended(after served: Int, forGood: Bool) {
        if served >= Self.worth { proof = Self.leastProof } else if forGood { proof = min(2 * proof, Self.mostProof) }
        if forGood { calls = 0 }
    }
}

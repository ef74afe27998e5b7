import Testing

@testable import SentryPlatform

/// When a task leaves its calls to a service, and when that yields.
@Suite struct PolicyTests {
    @Test func serviceWantsNothingButCallsOfItsKind() {
        var policy = ServicePolicy()
        for _ in 0..<ServicePolicy.leastProof {
            #expect(!policy.isWorthwhile)
            policy.note(isServable: true)
        }
        #expect(policy.isWorthwhile)
        policy.note(isServable: false)
        #expect(!policy.isWorthwhile)
        for _ in 1..<ServicePolicy.leastProof { policy.note(isServable: true) }
        #expect(!policy.isWorthwhile)
        policy.note(isServable: true)
        #expect(policy.isWorthwhile)
    }

    @Test func serviceWantsMoreAfterAFailure() {
        var policy = ServicePolicy()
        func callsNeeded() -> Int {
            var calls = 0
            while !policy.isWorthwhile {
                policy.note(isServable: true)
                calls += 1
            }
            return calls
        }
        #expect(callsNeeded() == ServicePolicy.leastProof)
        policy.ended(after: 3, forGood: true)
        #expect(callsNeeded() == 2 * ServicePolicy.leastProof)
        for _ in 0..<20 { policy.ended(after: 0, forGood: true) }
        #expect(callsNeeded() == ServicePolicy.mostProof)
        policy.ended(after: ServicePolicy.worth, forGood: true)
        #expect(callsNeeded() == ServicePolicy.leastProof)
        // Another CPU's service goes on where one ends for no fault of the task's.
        policy.ended(after: 1, forGood: false)
        #expect(policy.isWorthwhile)
    }

    @Test func yieldsStopForAWhileBehindOneThatComputes() {
        var policy = YieldPolicy()
        #expect(policy.isWorthwhile(at: 1))
        #expect(policy.stubYields(at: 1) > 0)
        policy.yielded(from: 1000, to: 1000 + YieldPolicy.shortWait)
        #expect(policy.isWorthwhile(at: 1001 + YieldPolicy.shortWait))
        let wait = 4 * YieldPolicy.shortWait
        policy.yielded(from: 0, to: wait)
        let resumption = wait + wait * YieldPolicy.part
        #expect(!policy.isWorthwhile(at: wait))
        #expect(policy.stubYields(at: wait) == 0)
        #expect(!policy.isWorthwhile(at: resumption - 1))
        #expect(policy.isWorthwhile(at: resumption))
    }
}

import Testing

@testable import SentryPlatform

/// When a task leaves its calls to a service, and when that yields; which call sites are hot.
@Suite struct PolicyTests {
    @Test func noTwoAddressesKeepEachOtherOut() {
        // Whatever set an address is in: a few that take turns, among strangers that come once.
        for number in 1..<600 as Range<UInt64> {
            var counts = CallCounts()
            let others = [0x40_1000, 0x40_1000 + 64 * number, 0x7fff_0000_0000 + number]
            var last: [UInt32] = [0, 0, 0]
            for round in 0..<40 as Range<UInt64> {
                for (index, address) in others.enumerated() { last[index] = counts.count(address) }
                _ = counts.count(0x5000_0000 + 16 * round)
            }
            // Each stranger takes one call at most from everybody.
            #expect(last.allSatisfy { $0 >= 1 } && last.reduce(0, +) > 60, "\(number): \(last)")
        }
        var counts = CallCounts()
        for expected in 1...200 as ClosedRange<UInt32> { #expect(counts.count(0x40_1000) == expected) }
    }

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

import Testing

@testable import SentryPlatform

/// Where tasks go. Each test's thread stands for all of its tasks' threads.
@Suite struct PlacementTests {
    /// So many active tasks on one CPU, and how many are on each CPU after `change`.
    private static func counts(_ count: Int, _ change: (Placement, [Placement.Seat]) -> Void) throws -> [Int] {
        let placement = try Placement()
        let seats = (0..<count).map { _ in Placement.Seat() }
        for seat in seats { placement.settle(seat, spreading: false) }
        for seat in seats { placement.activatePatiently(seat) }
        change(placement, seats)
        let indices = seats.map { placement.index($0) }
        for seat in seats { placement.vacate(seat) }
        return (0..<placement.cpuCount).map { cpu in indices.count { $0 == cpu } }.sorted()
    }

    @Test func thoseThatComputeSpreadEvenly() throws {
        try onThread {
            let count = 3 * (try Placement().cpuCount)
            let spread = try Self.counts(count) { placement, seats in
                for seat in seats { placement.spread(seat) }
                for seat in seats { #expect(!placement.spread(seat)) }
            }
            #expect(spread.allSatisfy { $0 == 3 })
        }
    }

    @Test func theServedAreBalancedInPairs() throws {
        try onThread {
            let cpus = try Placement().cpuCount
            let balanced = try Self.counts(4 * cpus) { placement, seats in
                for seat in seats { _ = placement.balance(seat) }
                for seat in seats { #expect(!placement.balance(seat)) }
            }
            #expect((balanced.last ?? 0) - (balanced.first ?? 0) <= 2)
        }
    }

    @Test func oneFollowsWhoWakesItAgainAndAgain() throws {
        try onThread {
            let placement = try Placement()
            if placement.cpuCount < 2 { return }
            let (sleeper, waker) = (Placement.Seat(), Placement.Seat())
            placement.settle(sleeper, spreading: false)
            placement.settle(waker, spreading: false)
            placement.activatePatiently(sleeper)
            placement.activatePatiently(waker)
            placement.spread(waker)
            #expect(placement.index(waker) != placement.index(sleeper))
            let number = placement.number(placement.index(waker))
            for wake in 1...3 {
                // The third settles it, active or not; a wake-up from its own CPU forgets those before.
                placement.attract(sleeper, to: placement.number(placement.index(sleeper)))
                for _ in 0..<wake { placement.attract(sleeper, to: number) }
                #expect((placement.index(sleeper) == placement.index(waker)) == (wake == 3))
            }
            placement.vacate(sleeper)
            placement.vacate(waker)
            // Nobody is counted anywhere: the first that comes has all CPUs to spare.
            let next = Placement.Seat()
            placement.settle(next, spreading: false)
            placement.activatePatiently(next)
            #expect(!placement.isShared(next))
            #expect(placement.mayLook(next))
            placement.vacate(next)
        }
    }
}

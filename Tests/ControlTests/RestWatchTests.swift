import Testing

@testable import Control

@Suite struct RestWatchTests {
    private let millisecond: UInt64 = 1_000_000

    @Test func looksUntilTheProcessRestsAndThenNoMore() throws {
        let mailbox = try ControlMailbox()
        let signal = RestSignal(mailbox)
        var watch = RestWatch(signal)
        #expect(watch.deadline == nil)
        signal.tellOfWork()
        signal.tellOfWork()
        #expect(mailbox.takeAll().count == 1, "one letter is enough")

        watch.begin(at: 1000, processorTime: 0)
        let first = try #require(watch.deadline)
        var hasEnded = watch.hasEnded(at: first - 1, processorTime: 0)
        #expect(!hasEnded, "it is not yet time to look")
        // Busy: it looks again, later each time.
        hasEnded = watch.hasEnded(at: first, processorTime: 50 * millisecond)
        #expect(!hasEnded)
        let second = try #require(watch.deadline)
        #expect(second - first > first - 1000)
        // Next to nothing was used since.
        hasEnded = watch.hasEnded(at: second, processorTime: 51 * millisecond)
        #expect(hasEnded && watch.deadline == nil)
        hasEnded = watch.hasEnded(at: .max, processorTime: 51 * millisecond)
        #expect(!hasEnded, "only once")

        signal.tellOfWork()
        #expect(mailbox.takeAll().count == 1, "work after a rest is told of again")
    }

    @Test func busyProcessesAreRarelyLookedAt() throws {
        var watch = RestWatch(RestSignal(try ControlMailbox()))
        watch.begin(at: 0, processorTime: 0)
        var looks = 0, now: UInt64 = 0
        while now < 60_000 * millisecond {
            now = try #require(watch.deadline)
            let hasEnded = watch.hasEnded(at: now, processorTime: now)
            #expect(!hasEnded)
            looks += 1
        }
        #expect(looks < 80)
    }
}

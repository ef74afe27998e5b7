import SentryKernel
import Testing

@Suite struct LoadAverageTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func idleIsZero() {
        let load = LoadAverage(start: 7)
        let averages = load.averages(now: 7 + 3600 * Self.second, used: 0)
        #expect(averages[0] == 0 && averages[1] == 0 && averages[2] == 0)
    }

    @Test func oneBusyTaskComesToOne() {
        let load = LoadAverage(start: 0)
        // After a minute the average of one minute has come 1 - 1/e of the way.
        let first = load.averages(now: 60 * Self.second, used: 60 * Self.second)
        #expect((60...66).contains(first[0]) && (15...20).contains(first[1]) && (4...8).contains(first[2]))
        let later = load.averages(now: 7200 * Self.second, used: 7200 * Self.second)
        #expect((98...100).contains(later[0]) && (98...100).contains(later[1]) && (98...100).contains(later[2]))
    }

    @Test func askingOftenGivesTheSameAsAskingOnce() {
        let often = LoadAverage(start: 0), once = LoadAverage(start: 0)
        var last = often.averages(now: 0, used: 0)
        for second in 1...300 { last = often.averages(now: UInt64(second) * Self.second, used: UInt64(second) * 2 * Self.second) }
        let all = once.averages(now: 300 * Self.second, used: 600 * Self.second)
        // Fixed-point steps lose a little each time.
        #expect(all[0] >= last[0] && all[0] - last[0] <= 8)
        #expect((190...200).contains(all[0]))
    }

    @Test func clocksThatStandOrGoBackDoNoHarm() {
        let load = LoadAverage(start: 100 * Self.second)
        let before = load.averages(now: 50 * Self.second, used: .max)
        #expect(before[0] == 0)
        _ = load.averages(now: .max, used: .max)
        let after = load.averages(now: .max, used: 0)
        #expect(after[0] <= 409_600)
    }
}

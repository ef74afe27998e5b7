import Control
import Testing

@testable import SupervisorRuntime

@Suite struct StartupTimingTests {
    private func report(_ component: String, _ steps: [(String, UInt64)]) -> TimelineReport {
        var report = TimelineReport()
        report.component = component
        report.steps = steps.map { name, time in
            var step = TimelineStep()
            step.step = name
            step.time = time
            return step
        }
        return report
    }

    private var rows: [TimelineRow] {
        TimelineRow.merge([
            report("supervisor", [("main", 1_000_000), ("start the sentry", 3_000_000), ("create", 9_500_000)]),
            report("gofer", []),
            report("sentry", [("main", 2_900_000), ("kernel", 4_000_000), ("guest code", 9_500_000)]),
        ])
    }

    @Test func stepsAreInTheOrderOfTheirEnds() {
        #expect(rows.map(\.step) == ["main", "main", "start the sentry", "kernel", "create", "guest code"])
        #expect(rows.map(\.end) == [0, 1_900_000, 2_000_000, 3_000_000, 8_500_000, 8_500_000])
        // A child that runs before its parent has seen it took no negative time.
        #expect(rows.map(\.duration) == [0, 0, 2_000_000, 1_100_000, 6_500_000, 5_500_000])
        #expect(TimelineRow.merge([]) == [] && TimelineRow.merge([report("supervisor", [])]) == [])
    }

    @Test func printsForPeopleAndMachines() throws {
        let lines = TimelineRow.text(rows).split(separator: "\n")
        #expect(lines.count == 7)
        #expect(lines[3] == "    2.00     2.00  supervisor  start the sentry")
        #expect(lines[4] == "    3.00     1.10  sentry      kernel")
        #expect(
            TimelineRow.json(Array(rows.prefix(1)))
                == "{\"timeline\":[{\"component\":\"supervisor\",\"step\":\"main\",\"end\":0,\"duration\":0}]}\n")
    }
}

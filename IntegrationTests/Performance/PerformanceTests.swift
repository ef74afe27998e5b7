import Foundation
import Testing

extension IntegrationTests {
    /// The promises of docs/specification.md that a busy machine can check: each is the best of several rounds, with room for noise.
    @Suite struct Performance {
        @Test func startsQuickly() throws {
            var best = Double.infinity
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                for _ in 0..<8 {
                    let outcome = try container.run(timeout: 30)
                    try #require(outcome.status == 0, outcome.report)
                    best = min(best, outcome.seconds)
                }
            }
            print("performance: run of /bin/true takes \(Int(best * 1000)) ms at best")
            #expect(best < 0.060 * 3, "promised are 60 ms on a quiet machine")
        }

        @Test func callsAreCheap() throws {
            // 50,000 calls, less the start: what one costs through the whole stack.
            func seconds(_ count: Int) throws -> Double {
                let spec = ContainerSpec(program: ["/programs/calls", "\(count)"])
                let outcome = try sandboxed(spec)
                try #require(outcome.status == 0, outcome.report)
                return try #require(Double(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)), outcome.report)
            }
            let microseconds = try (0..<3).map { _ in try seconds(20_000) }.min() ?? .infinity
            print("performance: a system call takes \(String(format: "%.2f", microseconds)) us at best")
            #expect(microseconds < 15 * 3, "promised are 15 us on the ptrace platform, on a quiet machine")
        }
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// `--timing`: where the time of a start-up went, told by all three processes.
    @Suite struct Timing {
        /// The steps by component, checked for what holds of every start-up.
        private func steps(_ outcome: Outcome) throws -> [String: [String]] {
            try #require(outcome.status == 0, outcome.report)
            let line = try #require(outcome.errors.split(separator: "\n").last { $0.hasPrefix("{\"timeline\"") }, outcome.report)
            let rows = try JSON(parsing: [UInt8](line.utf8))["timeline"].elements
            var result: [String: [String]] = [:]
            var last = 0
            for row in rows {
                let end = try #require(row["end"].integer)
                #expect(end >= last, "steps are in the order of their ends")
                last = end
                result[row["component"].string ?? "", default: []].append(row["step"].string ?? "")
            }
            return result
        }

        @Test func run() throws {
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                let steps = try steps(
                    container.nestbox(["--log-format", "json", "run", "--timing", "--bundle", container.bundle, container.identifier]))
                #expect(steps["supervisor"]?.first == "main" && steps["supervisor"]?.last == "deleted", "\(steps)")
                #expect(steps["gofer"]?.first == "main" && steps["gofer"]?.last == "ready", "\(steps)")
                #expect(steps["sentry"]?.first == "main" && steps["sentry"]?.last == "guest code", "\(steps)")
            }
        }

        @Test func createAndStart() throws {
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                let steps = try steps(
                    container.nestbox(["--log-format", "json", "create", "--timing", "--bundle", container.bundle, container.identifier]))
                #expect(steps["sentry"]?.last == "created", "\(steps)")
            }
        }

        @Test func detachedAndForPeople() throws {
            try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                let outcome = try container.nestbox(["run", "--timing", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(outcome.status == 0, outcome.report)
                let last = try #require(outcome.errors.split(separator: "\n").last { $0.contains("  sentry") }, outcome.report)
                #expect(last.hasSuffix("guest code"), outcome.report)
            }
        }

        @Test func isSilentUnlessAsked() throws {
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                let outcome = try container.run(timeout: 30)
                #expect(outcome.status == 0 && outcome.errors.isEmpty, outcome.report)
            }
        }
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// Many sandboxes, one after the other and at once: nothing of them stays.
    @Suite struct Leaks {
        @Test func cycles() throws {
            let count = TestEnvironment.runsLongTests ? 500 : 25
            let before = MachineState.take()
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                for round in 0..<count {
                    let outcome: Outcome
                    if round % 2 == 0 {
                        outcome = try container.run(timeout: 30)
                    } else {
                        outcome = try container.nestbox(["create", "--bundle", container.bundle, container.identifier])
                        #expect(try container.nestbox(["start", container.identifier]).status == 0)
                        #expect(try container.nestbox(["delete", "--force", container.identifier]).status == 0)
                    }
                    try #require(outcome.status == 0, "round \(round)\n\(outcome.report)")
                }
                let left = (try? FileManager.default.contentsOfDirectory(atPath: container.state)) ?? []
                #expect(left.isEmpty, "state left: \(left)")
            }
            #expect(MachineState.leftovers(since: before).isEmpty)
        }

        @Test func atOnce() throws {
            let count = TestEnvironment.runsLongTests ? 50 : 12
            let before = MachineState.take()
            func nested(_ remaining: Int, _ containers: [Container]) throws {
                guard remaining > 0 else {
                    // All live now. Each answers.
                    for container in containers {
                        let outcome = try container.nestbox(["exec", container.identifier, "echo", container.identifier])
                        #expect(outcome.output == container.identifier + "\n", outcome.report)
                    }
                    return
                }
                try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                    let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                    try #require(run.status == 0, run.report)
                    try nested(remaining - 1, containers + [container])
                }
            }
            try nested(count, [])
            #expect(MachineState.leftovers(since: before).isEmpty)
        }
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// Guest code that attacks its stub process in every way that it has (programs/hostile.c), beside a process that must not notice: on a platform without
    /// such stubs most attacks are harmless faults.
    @Suite struct Attacks {
        /// NESTBOX_SEED=N: other cases than those of every day.
        private static let seed = TestEnvironment.variables["NESTBOX_SEED"] ?? "1"
        private static let cases = TestEnvironment.runsLongTests ? 1_000_000 : 3000

        /// What the Sentry has of things that a guest's end must give back.
        private struct Holdings {
            var descriptors: Int
            var stubs: Int
            var threads: Int
            var kilobytes: Int

            init(_ sentry: HostProcess) {
                let all = HostProcess.all()
                descriptors = sentry.descriptors.count
                let sources = all.filter { $0.parent == sentry.identifier }.map(\.identifier)
                stubs = all.filter { sources.contains($0.parent) }.count
                threads = Int(sentry.status("Threads")) ?? -1
                kilobytes = Int(sentry.status("RssAnon").prefix { $0.isNumber }) ?? -1
            }
        }

        @Test func nobodyNotices() throws {
            let before = MachineState.take()
            var spec = ContainerSpec(shell: "trap 'exit 5' TERM; sleep 100000 & wait")
            spec.binds = [ContainerSpec.programMount]
            try Container.with(spec) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                let components = try #require(Components(since: before), "no Sentry or Gofer found")
                func attack(_ seed: String, _ cases: Int) throws {
                    // A case takes less than a millisecond.
                    let outcome = try container.nestbox(
                        ["exec", container.identifier, "/programs/hostile", seed, "\(cases)"], timeout: 60 + Double(cases) / 250)
                    try #require(outcome.status == 0, outcome.report)
                    #expect(outcome.output.contains("nothing wrong"), outcome.report)
                    if TestEnvironment.runsLongTests { print(outcome.output) }
                }
                // What is made once and kept is made now.
                try attack("0", 400)
                let early = Holdings(components.sentry)
                try attack(Self.seed, Self.cases)

                #expect(try container.status() == "running")
                #expect(HostProcess(components.sentry.identifier) != nil, "the Sentry is gone")
                let later = try container.nestbox(["exec", container.identifier, "/programs/hostile", "--answer"])
                #expect(later.status == 42, later.report)
                let tasks = try JSON(parsing: try container.nestbox(["debug", "tasks", container.identifier]).standardOutput)["tasks"]
                    .elements
                #expect(tasks.count == 2, "tasks are left: \(tasks)")
                let late = Holdings(components.sentry)
                // Stubs are made ahead, and each has two descriptors.
                #expect(late.stubs <= early.stubs + 3, "stubs are left: \(late), earlier \(early)")
                #expect(late.descriptors <= early.descriptors + 10, "descriptors are left: \(late), earlier \(early)")
                #expect(late.threads <= early.threads + 40, "threads are left: \(late), earlier \(early)")
                #expect(late.kilobytes <= early.kilobytes + 32768, "memory is left: \(late), earlier \(early)")
                let errors = (MachineState.readText(container.log) ?? "").split(separator: "\n").filter { $0.contains(" error ") }
                #expect(errors.isEmpty, "\(errors.prefix(5))")
                let killed = try container.nestbox(["kill", container.identifier, "TERM"])
                #expect(killed.status == 0, killed.report)
                #expect(try container.reaches("stopped"))
                let annotations = "\(try container.stateDocument()?["annotations"] ?? .null)"
                #expect(!annotations.contains("stub"), "the container ended for a reason that is not its own: \(annotations)")
            }
        }
    }
}

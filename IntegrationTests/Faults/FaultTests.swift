import Foundation
import Testing

extension IntegrationTests {
    /// Each component killed: the container ends within a second, with a reason; others go on.
    @Suite struct Faults {
        enum Victim: String, CaseIterable, Sendable { case gofer, sentry, stub }

        @Test(arguments: Victim.allCases)
        func killed(_ victim: Victim) throws {
            let start = MachineState.take()
            try Container.with(ContainerSpec(shell: "while :; do cat /etc/passwd >/dev/null; sleep 0.05; done"), name: "bystander") {
                bystander in
                try #require(try bystander.nestbox(["run", "--detach", "--bundle", bystander.bundle, bystander.identifier]).status == 0)
                let before = MachineState.take()
                try Container.with(ContainerSpec(shell: "while :; do cat /etc/passwd >/dev/null; sleep 0.05; done"), name: "victim") {
                    container in
                    let running = try container.starting()
                    #expect(try container.reaches("running"))
                    let components = try #require(
                        try { () -> Components? in
                            var found: Components?
                            _ = eventually(within: 5) {
                                found = Components(since: before)
                                return found?.stubs.isEmpty == false
                            }
                            return found
                        }())
                    let target: HostProcess
                    switch victim {
                    case .gofer: target = components.gofer
                    case .sentry: target = components.sentry
                    case .stub: target = try #require(components.stubs.max { $0.identifier < $1.identifier })
                    }
                    kill(target.identifier, SIGKILL)
                    if victim == .stub {
                        // One guest process died: the container may go on, or end, but must answer.
                        let answer = try container.nestbox(["state", container.identifier])
                        #expect(answer.status == 0, answer.report)
                    } else {
                        let outcome = running.wait(timeout: 5)
                        #expect(!outcome.timedOut && outcome.status != 0 && outcome.seconds < 10, outcome.report)
                        #expect(!outcome.errors.isEmpty || MachineState.readText(container.log)?.isEmpty == false, "no reason anywhere")
                        #expect(
                            eventually(within: 2) { components.stubs.allSatisfy { HostProcess($0.identifier) == nil } },
                            "stubs outlive the \(victim)")
                    }
                    _ = try container.nestbox(["delete", "--force", container.identifier])
                    running.wait(timeout: 5)
                }
                #expect(try bystander.status() == "running", "another sandbox suffered")
                let alive = try bystander.nestbox(["exec", bystander.identifier, "echo", "alive"])
                #expect(alive.output == "alive\n", alive.report)
            }
            #expect(MachineState.leftovers(since: start).isEmpty)
        }

        @Test func killedSupervisor() throws {
            try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                let running = try container.starting()
                #expect(try container.reaches("running"))
                kill(running.identifier, SIGKILL)
                running.wait(timeout: 5)
                // The state survives its maker: the container can still be asked and deleted.
                #expect(["running", "stopped"].contains(try container.status()))
                #expect(try container.nestbox(["delete", "--force", container.identifier]).status == 0)
            }
        }

        @Test func survivesAForkBomb() throws {
            var spec = ContainerSpec(shell: "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 2; exit 4")
            spec.edit = { $0["linux"]["resources"] = ["pids": ["limit": 60]] }
            try Container.with(spec) { container in
                let running = try container.starting()
                let outcome = running.wait(timeout: 20)
                #expect(outcome.timedOut || outcome.status != 0)
                #expect(try container.nestbox(["delete", "--force", container.identifier]).status == 0)
            }
        }
    }
}

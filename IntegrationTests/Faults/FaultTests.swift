import Foundation
import Testing

extension IntegrationTests {
    /// Each component killed: the container ends within a second, with a reason; other sandboxes go on.
    @Suite struct Faults {
        enum Victim: String, CaseIterable, Sendable {
            case gofer, sentry
            /// The process in which the container's only process runs.
            case stub
            /// The process that makes stubs: process 1 of their PID namespace.
            case source

            /// What `nestbox state` says afterwards.
            var reason: String {
                switch self {
                case .gofer: "the gofer died"
                case .sentry: "the sentry died"
                case .stub, .source: "a stub process was killed from outside"
                }
            }
        }

        /// How long an end may take, in seconds.
        static let bound = 1.0

        private static let working = ContainerSpec(shell: "while :; do cat /etc/passwd >/dev/null; sleep 0.05; done")

        /// Runs `body` beside another sandbox, which must not notice.
        private func withBystander(_ body: () throws -> Void) throws {
            let start = MachineState.take()
            try Container.with(Self.working, name: "bystander") { bystander in
                try #require(try bystander.nestbox(["run", "--detach", "--bundle", bystander.bundle, bystander.identifier]).status == 0)
                try body()
                #expect(try bystander.status() == "running", "another sandbox suffered")
                let alive = try bystander.nestbox(["exec", bystander.identifier, "cat", "/etc/hostname"])
                #expect(alive.status == 0, alive.report)
            }
            #expect(MachineState.leftovers(since: start) == [])
        }

        private func target(_ victim: Victim, _ components: Components) throws -> HostProcess {
            switch victim {
            case .gofer: components.gofer
            case .sentry: components.sentry
            case .stub: try #require(components.stubs.first { $0.holdsGuestMemory }, "no stub found")
            case .source: try #require(components.stubs.first { $0.name == "nestbox-source" }, "no source found")
            }
        }

        @Test(arguments: Victim.allCases)
        func killed(_ victim: Victim) throws {
            try withBystander {
                let before = MachineState.take()
                // One process only, so that there is one stub to kill. It works on files, so that the Gofer's end meets calls on their way.
                let spec = victim == .stub || victim == .source ? ContainerSpec(["/bin/sleep", "1000"]) : Self.working
                try Container.with(spec, name: "victim") { container in
                    let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                    try #require(run.status == 0, run.report)
                    let components = try #require(Components(since: before))
                    let everything = [components.sentry, components.gofer].map(\.identifier) + components.stubs.map(\.identifier)
                    kill(try target(victim, components).identifier, SIGKILL)
                    #expect(
                        Wait.end(of: everything, within: Self.bound), "not all ended within \(Self.bound) s of the end of the \(victim)")
                    let state = try #require(try container.stateDocument())
                    #expect(state["status"] == "stopped")
                    let annotations = "\(state["annotations"])"
                    #expect(annotations.contains(victim.reason), "state says \(annotations)")
                    #expect(try container.nestbox(["delete", container.identifier]).status == 0)
                }
            }
        }

        /// In the foreground `nestbox run` says the reason, returns 137 and cleans up.
        @Test(arguments: [Victim.gofer, .sentry, .stub])
        func killedInTheForeground(_ victim: Victim) throws {
            let before = MachineState.take()
            try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                let running = try container.starting()
                try #require(try container.reaches("running"))
                let components = try #require(Components(since: before))
                kill(try target(victim, components).identifier, SIGKILL)
                #expect(Wait.end(of: running.identifier, within: Self.bound + 0.5), "nestbox run goes on")
                let outcome = running.wait(timeout: 5)
                #expect(outcome.status == 137, outcome.report)
                let log = MachineState.readText(container.log) ?? ""
                #expect(log.contains(victim.reason), "the log says \(log)")
                #expect(try container.status() == "none", "the container was not deleted")
            }
        }

        /// As with runc, a killed foreground `run` leaves the container as it is: running, to be asked, to be deleted.
        @Test func killedSupervisor() throws {
            try withBystander {
                let before = MachineState.take()
                try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                    let running = try container.starting()
                    try #require(try container.reaches("running"))
                    let components = try #require(Components(since: before))
                    kill(running.identifier, SIGKILL)
                    try #require(Wait.end(of: running.identifier, within: Self.bound))
                    running.wait(timeout: 5)
                    #expect(try container.status() == "running")
                    let answer = try container.nestbox(["exec", container.identifier, "echo", "there"])
                    #expect(answer.output == "there\n", answer.report)
                    #expect(try container.nestbox(["delete", container.identifier]).status == 1, "a running container was deleted")
                    let deleted = try container.nestbox(["delete", "--force", container.identifier])
                    #expect(deleted.status == 0 && deleted.seconds < Self.bound + 0.5, deleted.report)
                    let all = [components.sentry, components.gofer] + components.stubs
                    #expect(Wait.end(of: all.map(\.identifier), within: 0.1))
                    #expect(try container.status() == "none")
                }
            }
        }

        /// A `nestbox create` that is killed on its way leaves processes that end by themselves, and a state that can be deleted.
        @Test func killedWhileCreating() throws {
            let start = MachineState.take()
            let folder = try Workspace.makeFolder("hook")
            let fifo = folder + "/fifo"
            try #require(try execute(["mkfifo", fifo]).status == 0)
            var spec = ContainerSpec(["/bin/true"])
            spec.edit = {
                $0["hooks"] = [
                    "createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", .text("echo >\(folder)/here; read line <\(fifo)")]]]
                ]
            }
            try Container.with(spec) { container in
                let before = MachineState.take()
                let creating = try RunningCommand(container.command(["create", "--bundle", container.bundle, container.identifier]))
                try #require(try Wait.changes(in: [folder], within: 10) { FileManager.default.fileExists(atPath: folder + "/here") })
                let components = try #require(Components(since: before))
                kill(creating.identifier, SIGKILL)
                creating.wait(timeout: 5)
                let all = [components.sentry, components.gofer] + components.stubs
                #expect(Wait.end(of: all.map(\.identifier), within: Self.bound), "a sandbox without a container goes on")
                let state = try #require(try container.stateDocument())
                #expect(state["status"] == "stopped" && "\(state["annotations"])".contains("creation was aborted"), "\(state)")
                #expect(try container.nestbox(["delete", "--force", container.identifier]).status == 0)
                #expect(try container.status() == "none")
                // The hook is nobody's child any more: let it end.
                _ = try execute(["sh", "-c", "echo >\(fifo)"])
            }
            try FileManager.default.removeItem(atPath: folder)
            #expect(MachineState.leftovers(since: start) == [])
        }

        /// Whatever the host refuses while a container is made, the error says so and nothing stays.
        @Test(arguments: [
            ("supervisor.spawn@1:error=EAGAIN", "start the sentry"), ("supervisor.spawn@2:error=ENOMEM", "start the gofer"),
            ("host.socketpair@1:error=EMFILE", "socket pair"), ("host.fsmount@2:error=ENOSPC", "memory file system"),
            ("host.memfd_create@1:error=ENFILE", "memory file"), ("host.unshare@1:error=ENOSPC", "network namespace"),
            ("host.connect@1:error=ECONNREFUSED", "sentry"),
        ])
        func creationThatFails(plan: String, says: String) throws {
            let start = MachineState.take()
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                let outcome = try container.nestbox(
                    ["--allow-faults", "--fault-plan", plan, "create", "--bundle", container.bundle, container.identifier])
                #expect(outcome.status == 1 && outcome.errors.contains(says), outcome.report)
                #expect(MachineState.leftovers(since: start) == [])
                let left = (try? FileManager.default.contentsOfDirectory(atPath: container.state)) ?? []
                #expect(left.isEmpty, "left in the state directory: \(left)")
            }
        }

        /// Broken frames between Sentry and Gofer end the container with a reason, within the bound.
        @Test(arguments: ["sentry", "gofer"], ["files.send@1:close", "files.receive@1:error=EIO", "files.receive@1:truncate=0"])
        func brokenFrames(at component: String, plan: String) throws {
            let before = MachineState.take()
            try Container.with(ContainerSpec(shell: "while read name; do cat $name; done")) { container in
                let fifo = container.bundle + "/input"
                try #require(try execute(["mkfifo", fifo]).status == 0)
                let line = container.command(["--allow-faults", "run", "--bundle", container.bundle, container.identifier]).map {
                    "'\($0)'"
                }
                let running = try RunningCommand(["sh", "-c", "exec <>\(fifo) " + line.joined(separator: " ")])
                try #require(try container.reaches("running"))
                let components = try #require(Components(since: before))
                let armed = try container.nestbox(
                    ["debug", "faults"] + (component == "gofer" ? ["--gofer"] : []) + [container.identifier, plan])
                try #require(armed.status == 0, armed.report)
                // Now a name that nobody has asked for yet.
                _ = try execute(["sh", "-c", "echo /etc/debian_version >\(fifo)"])
                let ended = Wait.end(of: [components.sentry.identifier, components.gofer.identifier], within: Self.bound)
                let outcome = running.wait(timeout: 5)
                let log = MachineState.readText(container.log) ?? ""
                #expect(ended && outcome.status != 0 && log.contains("the gofer"), "\(outcome.report)\n\(log)")
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

import Foundation
import Testing

extension IntegrationTests {
    /// The life of a container as the OCI runtime specification and runc's command line have it.
    @Suite struct Lifecycle {
        @Test func livesAndDies() throws {
            try Container.with(ContainerSpec(shell: "echo started; exec sleep 100")) { container in
                let created = try container.nestbox([
                    "create", "--bundle", container.bundle, "--pid-file", container.bundle + "/pid", container.identifier,
                ])
                try #require(created.status == 0, created.report)
                let state = try #require(try container.stateDocument())
                #expect(state["status"] == "created")
                #expect(state["id"].string == container.identifier)
                #expect(state["bundle"].string == container.bundle)
                #expect(state["ociVersion"].string != nil)
                let process = try #require(state["pid"].integer)
                #expect(kill(Int32(process), 0) == 0)
                #expect(MachineState.readText(container.bundle + "/pid") == "\(process)")
                #expect(created.output.isEmpty, "the program ran before start")

                let started = try container.nestbox(["start", container.identifier])
                #expect(started.status == 0, started.report)
                #expect(try container.status() == "running")
                let again = try container.nestbox(["start", container.identifier])
                #expect(again.status != 0, again.report)
                let early = try container.nestbox(["delete", container.identifier])
                #expect(early.status != 0, "a running container was deleted")
                let listed = try container.nestbox(["list", "--quiet"])
                #expect(listed.output.contains(container.identifier), listed.report)
                let processes = try container.nestbox(["ps", "--format", "json", container.identifier])
                #expect(processes.status == 0 && processes.output.contains("["), processes.report)

                let killed = try container.nestbox(["kill", container.identifier, "KILL"])
                #expect(killed.status == 0, killed.report)
                #expect(try container.reaches("stopped"))
                let late = try container.nestbox(["kill", container.identifier, "TERM"])
                #expect(late.status != 0 && late.errors.contains("not running"), late.report)
                let deleted = try container.nestbox(["delete", container.identifier])
                #expect(deleted.status == 0, deleted.report)
                let gone = try container.nestbox(["state", container.identifier])
                #expect(gone.status != 0 && gone.errors.contains("does not exist"), gone.report)
                #expect(try container.nestbox(["delete", "--force", container.identifier]).status == 0)
                #expect(try container.nestbox(["delete", container.identifier]).status != 0)
            }
        }

        @Test(
            arguments: [
                ("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("exec /bin/false", 1),
                ("exec /no/such", 127),
            ] as [(String, Int32)])
        func runPassesTheStatusOn(line: String, status: Int32) throws {
            // Process 1 of a namespace is not killed by its own signals: a child is.
            let outcome = try sandboxed(ContainerSpec(["/bin/sh", "-c", "/bin/sh -c \"$1\"; exit $?", "sh", line]))
            #expect(outcome.status == status, outcome.report)
        }

        @Test func passesStandardStreams() throws {
            let input = [UInt8]((0..<100_000).map { "line \($0)\n" }.joined().utf8)
            let outcome = try sandboxed(ContainerSpec(shell: "cat; echo complaint >&2"), input: input)
            #expect(outcome.standardOutput == input)
            #expect(outcome.errors.contains("complaint"), outcome.report)
        }

        @Test func honoursTheOffsetOfItsOutput() throws {
            try Container.with(ContainerSpec(shell: "echo from the sandbox; echo more")) { container in
                let path = container.bundle + "/shared"
                _ = FileManager.default.createFile(atPath: path, contents: Data("before\n".utf8))
                let file = try #require(FileHandle(forUpdatingAtPath: path))
                try file.seekToEnd()
                let command = try RunningCommand(
                    container.command(["run", "--bundle", container.bundle, container.identifier]), standardOutput: file)
                #expect(command.wait(timeout: 30).status == 0)
                try file.write(contentsOf: Data("after\n".utf8))
                #expect(MachineState.readText(path) == "before\nfrom the sandbox\nmore\nafter\n")
            }
        }

        @Test func killsBySignalNameAndNumber() throws {
            for signal in ["15", "TERM", "SIGTERM"] {
                let spec = ContainerSpec(shell: "trap 'exit 33' TERM; echo ready; while :; do sleep 1 & wait $!; done")
                try Container.with(spec) { container in
                    let running = try container.starting()
                    #expect(try running.prints("ready", within: 10))
                    let killed = try container.nestbox(["kill", container.identifier, signal])
                    #expect(killed.status == 0, killed.report)
                    let outcome = running.wait(timeout: 10)
                    #expect(outcome.status == 33, outcome.report)
                }
            }
        }

        @Test func killsTheContainerWhenTheRunnerIsTerminated() throws {
            let spec = ContainerSpec(shell: "trap 'echo caught; exit 5' INT TERM; echo ready; while :; do sleep 1 & wait $!; done")
            for signal in [SIGINT, SIGTERM] {
                try Container.with(spec) { container in
                    let running = try container.starting()
                    #expect(try running.prints("ready", within: 10))
                    kill(running.identifier, signal)
                    let outcome = running.wait(timeout: 10)
                    #expect(outcome.status == 5 && outcome.output.contains("caught"), outcome.report)
                }
            }
        }

        @Test func pausesAndResumes() throws {
            try Container.with(ContainerSpec(shell: "while :; do echo again; sleep 0.05; done")) { container in
                let running = try container.starting()
                #expect(try container.reaches("running"))
                try #require(try running.prints("again", within: 5))
                let paused = try container.nestbox(["pause", container.identifier])
                #expect(paused.status == 0, paused.report)
                #expect(try container.status() == "paused")
                let length = running.outputSoFar.count
                let refused = try container.nestbox(["exec", container.identifier, "true"])
                #expect(refused.status != 0, "exec in a paused container")
                #expect(running.outputSoFar.count == length, "it runs while it is paused")
                let resumed = try container.nestbox(["resume", container.identifier])
                #expect(resumed.status == 0, resumed.report)
                #expect(try container.status() == "running")
                #expect(try running.prints(String(repeating: "again\n", count: length / 6 + 1), within: 5), "nothing runs after resume")
                #expect(try container.nestbox(["kill", container.identifier, "KILL"]).status == 0)
                #expect(running.wait(timeout: 10).status == 137)
            }
        }

        @Test func waitsReportsAndUpdates() throws {
            try Container.with(ContainerSpec(shell: "sleep 0.5; exit 9")) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                let update = try container.nestbox(
                    ["update", "--resources", "-", container.identifier], input: [UInt8](#"{"memory":{"limit":1073741824}}"#.utf8))
                #expect(update.status == 0, update.report)
                let statistics = try container.nestbox(["events", "--stats", container.identifier])
                #expect(statistics.status == 0 && statistics.output.contains("\"stats\""), statistics.report)
                let waited = try container.nestbox(["wait", container.identifier])
                #expect(waited.status == 0 && waited.output.contains("9"), waited.report)
                #expect(try container.reaches("stopped"))
            }
        }

        @Test func updatesLimits() throws {
            var spec = ContainerSpec(["/bin/sleep", "1000"])
            spec.edit = {
                $0["linux"]["resources"] = ["memory": ["limit": .number(200 << 20)], "pids": ["limit": 50]]
                $0["mounts"].append(["destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]])
            }
            try Container.with(spec) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                func exec(_ line: String) throws -> Outcome { try container.nestbox(["exec", container.identifier, "sh", "-c", line]) }
                let look = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; grep MemTotal /proc/meminfo | tr -d ' '"
                #expect(try exec(look).output == "209715200\n50\nMemTotal:204800kB\n")
                let fill = "python3 -c 'x = bytearray(150 << 20)'"
                let fits = try exec(fill)
                #expect(fits.status == 0, fits.report)
                let update = try container.nestbox(["update", "--memory", "\(100 << 20)", "--pids-limit", "30", container.identifier])
                #expect(update.status == 0, update.report)
                #expect(try exec(look).output == "104857600\n30\nMemTotal:102400kB\n")
                let killed = try exec(fill)
                #expect(killed.status == 137, killed.report)
                let statistics = try container.nestbox(["events", "--stats", container.identifier])
                let data = try JSON(parsing: statistics.standardOutput)["data"]
                #expect(
                    (data["cpu"]["usage"]["total"].integer ?? 0) > 0 && data["memory"]["usage"]["limit"].integer == 100 << 20,
                    statistics.report)
                let unlimited = try container.nestbox(["update", "--memory", "-1", "--pids-limit", "-1", container.identifier])
                #expect(unlimited.status == 0, unlimited.report)
                let again = try exec("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; " + fill)
                #expect(again.output == "max\nmax\n" && again.status == 0, again.report)
            }
        }

        @Test func describesItself() throws {
            try Container.with(ContainerSpec(shell: "true")) { container in
                let version = try container.nestbox(["--version"])
                #expect(version.status == 0 && version.output.contains("nestbox") && version.output.contains("spec:"), version.report)
                let features = try container.nestbox(["features"])
                #expect(try JSON(parsing: features.standardOutput)["ociVersionMin"].string != nil, features.report)
                let folder = try Workspace.makeFolder("spec")
                let spec = try container.nestbox(["spec", "--bundle", folder])
                #expect(spec.status == 0, spec.report)
                let example = try JSON(parsing: [UInt8](FileManager.default.contents(atPath: folder + "/config.json") ?? Data()))
                #expect(example["process"]["args"] == ["sh"])
                try FileManager.default.removeItem(atPath: folder)
                let help = try container.nestbox(["--help"])
                #expect(help.output.contains("create") && help.output.contains("do"), help.report)
            }
        }
    }
}

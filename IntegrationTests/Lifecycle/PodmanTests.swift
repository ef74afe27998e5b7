import Foundation
import Testing

extension IntegrationTests {
    /// A container engine that takes the runtime in place of runc. Debian 12 has podman 4.3.
    @Suite(.enabled(if: Podman.isInstalled && !TestEnvironment.runsNativelyOnly, "podman is not installed (apt-get install podman)"))
    struct Engine {
        @Test func podman() throws {
            try Podman.with { podman in
                try runs(podman)
                try limits(podman)
                try lives(podman)
                try looksInside(podman)
                try builds(podman)
            }
        }

        private func runs(_ podman: Podman) throws {
            func expect(
                _ options: [String], _ line: String, _ output: String, status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
            ) throws {
                let outcome = try podman.run(["--rm"] + options, ["sh", "-c", line])
                #expect(outcome.output == output && outcome.status == status, outcome.report, sourceLocation: sourceLocation)
            }
            try expect([], "echo out; exit 42", "out\n", status: 42)
            try expect(["--env", "NEST=box"], "echo $NEST", "box\n")
            try expect(["--workdir", "/usr"], "pwd", "/usr\n")
            try expect(["--user", "1000:1001"], "id -u; id -g", "1000\n1001\n")
            try expect(["--hostname", "nest"], "hostname", "nest\n")
            try expect(["--cap-drop", "all"], "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n")
            try expect(["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n")
            try expect(["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn", "100\n200\n")
            try expect(["--read-only"], "touch /x 2>/dev/null || echo refused; touch /tmp/x && echo kept", "refused\nkept\n")
            try expect(["--sysctl", "kernel.msgmax=1000"], "cat /proc/sys/kernel/msgmax", "1000\n")
            try expect(
                ["--tmpfs", "/scratch:size=1m"], "dd if=/dev/zero of=/scratch/x bs=1M count=2 2>/dev/null; stat -c %s /scratch/x",
                "1048576\n")
            let shared = podman.folder + "/shared"
            try FileManager.default.createDirectory(atPath: shared, withIntermediateDirectories: true)
            try expect(["--volume", shared + ":/v"], "echo kept >/v/file", "")
            #expect(MachineState.readText(shared + "/file") == "kept\n")
            try expect(["--volume", shared + ":/v:ro"], "touch /v/new 2>/dev/null || cat /v/file", "kept\n")
            try expect(["--volume", "named:/v"], "echo >/v/new && ls /v", "new\n")
            let typed = try podman.run(["--rm", "--interactive"], ["cat"], input: [UInt8]("typed".utf8))
            #expect(typed.output == "typed", typed.report)
            let missing = try podman.run(["--rm"], ["/no/such"])
            #expect(missing.status == 127 && missing.errors.contains("no such file or directory"), missing.report)
            let forbidden = try podman.run(["--rm"], ["/etc/passwd"])
            #expect(forbidden.status == 126, forbidden.report)
            let terminal = try podman.run(["--rm", "--tty"], ["sh", "-c", "tty; test -c /dev/console && echo console"])
            #expect(terminal.output.contains("/dev/pts/0") && terminal.output.contains("console"), terminal.report)
        }

        private func limits(_ podman: Podman) throws {
            let files = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max"
            let seen = try podman.run(["--rm", "--memory", "64m", "--pids-limit", "30", "--cpus", "1.5"], ["sh", "-c", files])
            #expect(seen.output == "67108864\n30\n150000 100000\n", seen.report)
            let unlimited = try podman.run(["--rm", "--pids-limit", "0"], ["sh", "-c", files])
            #expect(unlimited.output == "max\nmax\nmax 100000\n", unlimited.report)
            let killed = try podman.run(["--rm", "--memory", "64m"], ["sh", "-c", "head -c 100m /dev/zero | tail -c 100m | wc -c"])
            #expect(killed.output == "0\n", killed.report)
        }

        private func lives(_ podman: Podman) throws {
            func step(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
                let outcome = try podman(arguments)
                #expect(outcome.status == 0, outcome.report, sourceLocation: sourceLocation)
                return outcome.output
            }
            let program = ["sh", "-c", "trap 'exit 9' TERM; echo one; echo two >&2; while :; do sleep 1000 & wait $!; done"]
            let health = ["--health-cmd", "test -e /healthy", "--health-interval", "disable"]
            let run = try podman.run(["--detach", "--name", "life"] + health, program)
            try #require(run.status == 0, run.report)
            #expect(try step(["inspect", "life", "--format", "{{.State.Status}}"]) == "running\n")
            #expect(try step(["exec", "life", "sh", "-c", "echo in; touch /healthy"]) == "in\n")
            #expect(try podman(["exec", "life", "sh", "-c", "exit 7"]).status == 7)
            #expect(try podman(["exec", "life", "/no/such"]).status == 127)
            #expect(try step(["exec", "--tty", "life", "tty"]).contains("/dev/pts/"))
            #expect(
                try step(["exec", "--user", "1000", "--workdir", "/tmp", "--env", "X=1", "life", "sh", "-c", "id -u; pwd; echo $X"])
                    == "1000\n/tmp\n1\n")
            _ = try step(["healthcheck", "run", "life"])
            #expect(try step(["stats", "--no-stream", "--format", "{{.PIDS}} {{.Name}}", "life"]).contains("life"))
            _ = try step(["pause", "life"])
            #expect(try step(["inspect", "life", "--format", "{{.State.Status}}"]) == "paused\n")
            _ = try step(["unpause", "life"])
            _ = try step(["update", "--memory", "100m", "life"])
            #expect(try step(["exec", "life", "cat", "/sys/fs/cgroup/memory.max"]) == "104857600\n")
            #expect(try step(["logs", "life"]) == "one\n")
            _ = try step(["stop", "life"])
            #expect(try step(["wait", "life"]) == "9\n")
            _ = try step(["start", "life"])
            _ = try step(["restart", "life"])
            _ = try step(["kill", "--signal", "KILL", "life"])
            #expect(try step(["wait", "life"]) == "137\n")
            _ = try step(["rm", "life"])
        }

        /// podman joins the mount namespace of the process that stands for the container.
        private func looksInside(_ podman: Podman) throws {
            let options = ["--detach", "--name", "inside", "--tmpfs", "/scratch"]
            let run = try podman.run(options, ["sleep", "1000"])
            try #require(run.status == 0, run.report)
            let top = try podman(["top", "inside"])
            #expect(top.status == 0 && top.output.contains("sleep 1000"), top.report)
            let columns = try podman(["top", "inside", "pid", "user", "args"])
            #expect(columns.output.split(separator: "\n").last?.split(separator: " ") == ["1", "root", "sleep", "1000"], columns.report)
            let bytes = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            let (source, back) = (podman.folder + "/source", podman.folder + "/back")
            _ = FileManager.default.createFile(atPath: source, contents: Data(bytes))
            for place in ["/root/copied", "/scratch/copied"] {
                let there = try podman(["cp", source, "inside:" + place])
                #expect(there.status == 0, there.report)
                let size = try podman(["exec", "inside", "stat", "-c", "%s %u", place])
                #expect(size.output == "300000 0\n", size.report)
                let here = try podman(["cp", "inside:" + place, back])
                #expect(here.status == 0 && FileManager.default.contents(atPath: back) == Data(bytes), here.report)
            }
            _ = try podman([
                "exec", "inside", "sh", "-c",
                "mkdir -p /root/tree/below; echo x >/root/tree/below/file; ln -s below/file /root/tree/link; chmod 640 /root/tree/link",
            ])
            let tree = try podman(["cp", "inside:/root/tree", podman.folder + "/tree"])
            #expect(tree.status == 0, tree.report)
            #expect(MachineState.readText(podman.folder + "/tree/link") == "x\n")
            let mode = try execute(["stat", "-c", "%a", podman.folder + "/tree/below/file"])
            #expect(mode.output == "640\n", mode.report)
            let missing = try podman(["cp", "inside:/no/such", back])
            #expect(missing.status != 0, missing.report)
            _ = try podman(["rm", "--force", "--time", "0", "inside"])
        }

        private func builds(_ podman: Podman) throws {
            let text = """
                FROM localhost/nest
                RUN echo built >/built && id -u
                RUN --mount=type=tmpfs,target=/x touch /x/y && cat /built
                WORKDIR /usr
                USER 1000
                RUN test "$(id -u) $(pwd)" = "1000 /usr"

                """
            let folder = podman.folder + "/build"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            _ = FileManager.default.createFile(atPath: folder + "/Containerfile", contents: Data(text.utf8))
            let built = try podman(["build", "--network", "none", "--tag", "made", folder], timeout: 120)
            #expect(built.status == 0, built.report)
            let run = try podman(["run", "--rm", "--network", "none", "made", "cat", "/built"])
            #expect(run.output == "built\n", run.report)
            let failing = folder + "/Failing"
            _ = FileManager.default.createFile(atPath: failing, contents: Data("FROM localhost/nest\nRUN exit 3\n".utf8))
            let failed = try podman(["build", "--network", "none", "--file", failing, folder], timeout: 120)
            #expect(failed.status != 0, failed.report)
        }
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// More programs in a running container, with and without a terminal.
    @Suite struct Exec {
        private func withRunning(_ edit: (inout ContainerSpec) -> Void = { _ in }, _ body: (Container) throws -> Void) throws {
            var spec = ContainerSpec(["/bin/sleep", "1000"])
            edit(&spec)
            try Container.with(spec) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                try body(container)
            }
        }

        @Test func runsPrograms() throws {
            try withRunning { container in
                func exec(_ arguments: [String], input: [UInt8]? = nil) throws -> Outcome {
                    try container.nestbox(["exec"] + arguments, input: input)
                }
                let id = container.identifier
                let plain = try exec([id, "sh", "-c", "echo out; echo err >&2; exit 7"])
                #expect(plain.status == 7 && plain.output == "out\n" && plain.errors.contains("err"), plain.report)
                let input = try exec([id, "cat"], input: [UInt8]("typed".utf8))
                #expect(input.output == "typed", input.report)
                let user = try exec(["--user", "1000:1000", id, "id", "-u"])
                #expect(user.output == "1000\n", user.report)
                let place = try exec(["--cwd", "/usr", "--env", "NEST=box", id, "sh", "-c", "pwd; echo $NEST"])
                #expect(place.output == "/usr\nbox\n", place.report)
                let killed = try exec([id, "sh", "-c", "kill -9 $$"])
                #expect(killed.status == 137, killed.report)
                let missing = try exec([id, "/no/such/program"])
                #expect(missing.status == 255 && missing.errors.contains("no such file or directory"), missing.report)
                let shared = try exec([id, "sh", "-c", "ps -e | grep -c sleep"])
                #expect(shared.output == "1\n", shared.report)
                let document = container.bundle + "/process.json"
                let process: JSON = [
                    "args": ["sh", "-c", "id -g; pwd"], "cwd": "/tmp", "user": ["uid": 5, "gid": 6], "env": ["PATH=/bin:/usr/bin"],
                ]
                _ = FileManager.default.createFile(atPath: document, contents: Data(process.bytes))
                let described = try exec(["--process", document, id])
                #expect(described.output == "6\n/tmp\n", described.report)
            }
        }

        @Test func detaches() throws {
            try withRunning { container in
                let pidFile = container.bundle + "/exec.pid"
                let detached = try container.nestbox(
                    [
                        "exec", "--detach", "--pid-file", pidFile, container.identifier, "sh", "-c",
                        "sleep 0.3; echo done >/tmp/done; exit 4",
                    ])
                #expect(detached.status == 0, detached.report)
                let process = try #require(Int32(MachineState.readText(pidFile) ?? ""), "no pid file")
                #expect(kill(process, 0) == 0)
                #expect(Wait.end(of: process, within: 5), "the carrier stays")
                let result = try container.nestbox(["exec", container.identifier, "cat", "/tmp/done"])
                #expect(result.output == "done\n", result.report)
                // Killing the carrier kills what it carries.
                let second = try container.nestbox(["exec", "--detach", "--pid-file", pidFile, container.identifier, "sleep", "777"])
                #expect(second.status == 0, second.report)
                let carrier = try #require(Int32(MachineState.readText(pidFile) ?? ""))
                let newest = try container.nestbox(["exec", container.identifier, "pgrep", "-n", "-x", "sleep"])
                let carried = try #require(Int32(newest.output.trimmingCharacters(in: .whitespacesAndNewlines)), newest.report)
                // Inside, a process waits for the end of the carried one.
                let script =
                    "import os, select; p = select.poll(); p.register(os.pidfd_open(\(carried))); print('watching', flush=True); print(len(p.poll(5000)))"
                let watcher = try RunningCommand(container.command(["exec", container.identifier, "/usr/bin/python3", "-c", script]))
                try #require(try watcher.prints("watching", within: 10))
                kill(carrier, SIGKILL)
                let watched = watcher.wait(timeout: 10)
                #expect(watched.output == "watching\n1\n", watched.report)
            }
        }

        @Test func givesATerminal() throws {
            try withRunning { container in
                let socket = container.bundle + "/tty"
                let console = try RunningCommand(
                    ["python3", TestEnvironment.tree + "/IntegrationTests/Support/console.py", socket, "100x40"],
                    input: JSON.list([
                        ["# ", "tty | cut -c1-9\n"], ["# ", "stty size\n"], ["# ", "sh -c 'echo asleep; exec sleep 50'\n"],
                        ["asleep\r\n", "\u{3}"],
                        ["# ", "echo after $?\n"], ["# ", "exit 6\n"],
                    ]).bytes)
                try #require(try Wait.changes(in: [container.bundle], within: 10) { FileManager.default.fileExists(atPath: socket) })
                let exec = try container.nestbox(
                    [
                        "exec", "--tty", "--detach", "--console-socket", socket, "--pid-file", container.bundle + "/p",
                        container.identifier, "/bin/bash", "--norc",
                    ])
                #expect(exec.status == 0, exec.report)
                let shown = console.wait(timeout: 40)
                #expect(shown.output.contains("/dev/pts/"), shown.report)
                #expect(shown.output.contains("40 100"), shown.report)
                #expect(shown.output.contains("after 130"), shown.report)
            }
        }

        /// Once an exec has ended, its terminal is the caller's again: nobody in the sandbox takes a key from it.
        @Test func givesTheTerminalBack() throws {
            try withRunning { container in
                let script = """
                    import os, pty, subprocess, sys
                    pid, master = pty.fork()
                    if pid == 0:
                        status = subprocess.call(sys.argv[1:])
                        print("status", status, flush=True)
                        print("got", sys.stdin.readline(), flush=True)
                        sys.exit(0)
                    shown = b""
                    typed = False
                    while b"got " not in shown or not shown.endswith(b"\\n"):
                        if b"\\n" in shown.partition(b"status")[2] and not typed:
                            os.write(master, b"hello\\n")
                            typed = True
                        try:
                            data = os.read(master, 4096)
                        except OSError:
                            break
                        shown += data
                    print(shown.decode())
                    """
                let exec = container.command(["exec", "--tty", container.identifier, "sh", "-c", "tty; exit 3"])
                let outcome = try execute(["python3", "-c", script] + exec, timeout: 20)
                #expect(outcome.output.contains("/dev/pts/") && outcome.output.contains("status 3"), outcome.report)
                #expect(outcome.output.contains("got hello"), outcome.report)
                let names = try container.nestbox(["exec", container.identifier, "ls", "/dev/pts"])
                #expect(names.output == "ptmx\n", names.report)
            }
        }

        @Test func keepsItsDescriptorsInBounds() throws {
            try withRunning { container in
                func descriptors() throws -> Int {
                    let process = try #require(try container.stateDocument()?["pid"].integer)
                    return try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
                }
                for _ in 0..<3 { #expect(try container.nestbox(["exec", container.identifier, "ls", "-R", "/etc"]).status == 0) }
                let before = try descriptors()
                for _ in 0..<(TestEnvironment.runsLongTests ? 300 : 20) {
                    #expect(try container.nestbox(["exec", container.identifier, "ls", "-R", "/etc"]).status == 0)
                }
                #expect(try descriptors() <= before + 4, "descriptors grow with every exec")
            }
        }
    }
}

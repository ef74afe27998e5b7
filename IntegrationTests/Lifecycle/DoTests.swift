import Foundation
import Testing

extension IntegrationTests {
    /// `nestbox do`: a command at once, on this machine's own files.
    @Suite struct Do {
        private func nestboxDo(_ arguments: [String], input: [UInt8]? = nil, directory: String? = nil) throws -> Outcome {
            let root = try Workspace.makeFolder("s")
            defer { try? FileManager.default.removeItem(atPath: root) }
            return try execute(
                [TestEnvironment.nestbox, "--root", root] + TestEnvironment.flags + ["do"] + arguments, input: input, directory: directory,
                timeout: 60)
        }

        @Test func behavesLikeTheCommand() throws {
            let outcome = try nestboxDo(
                ["--", "sh", "-c", "pwd; cat; echo err >&2; exit 5"], input: [UInt8]("in\n".utf8), directory: "/usr/share")
            #expect(outcome.status == 5 && outcome.output == "/usr/share\nin\n" && outcome.errors.contains("err"), outcome.report)
            let killed = try nestboxDo(["--", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
            #expect(killed.status == 137, killed.report)
            let missing = try nestboxDo(["--", "no-such-program"])
            #expect(missing.status == 127 || missing.status == 1, missing.report)
        }

        @Test func writesNothingToTheMachine() throws {
            let folder = try Workspace.makeFolder("do")
            defer { try? FileManager.default.removeItem(atPath: folder) }
            _ = FileManager.default.createFile(atPath: folder + "/file", contents: Data("original\n".utf8))
            let outcome = try nestboxDo(
                [
                    "--", "sh", "-ec",
                    "cat file; echo changed >file; cat file; echo new >new; rm -r /etc/apt; mv file moved; ls; test ! -e /etc/apt",
                ], directory: folder)
            #expect(outcome.status == 0 && outcome.output == "original\nchanged\nmoved\nnew\n", outcome.report)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
            #expect(MachineState.readText(folder + "/file") == "original\n")
            #expect(FileManager.default.fileExists(atPath: "/etc/apt"))
        }

        @Test func bindsAndRoots() throws {
            let folder = try Workspace.makeFolder("do")
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let outcome = try nestboxDo(
                [
                    "--rootfs", TestEnvironment.rootFileSystem, "--bind", folder + ":/mnt", "--bind", folder + ":/media:ro", "--", "sh",
                    "-c",
                    "cat /etc/hostname; echo kept >/mnt/kept; cat /media/kept; touch /media/x 2>/dev/null || echo read-only; touch /usr/x && echo overlay",
                ])
            #expect(outcome.output == "nestbox\nkept\nread-only\noverlay\n", outcome.report)
            #expect(MachineState.readText(folder + "/kept") == "kept\n")
            #expect(!FileManager.default.fileExists(atPath: TestEnvironment.rootFileSystem + "/usr/x"))
        }

        @Test func endsWithItsCaller() throws {
            let root = try Workspace.makeFolder("s")
            defer { try? FileManager.default.removeItem(atPath: root) }
            let before = MachineState.take()
            let running = try RunningCommand([TestEnvironment.nestbox, "--root", root, "do", "--", "sh", "-c", "echo ready; sleep 1000"])
            try #require(try running.prints("ready", within: 10))
            let components = try #require(Components(since: before))
            kill(running.identifier, SIGKILL)
            running.wait(timeout: 5)
            let all = [components.sentry, components.gofer] + components.stubs
            #expect(Wait.end(of: all.map(\.identifier), within: 1), "the sandbox outlives nestbox do")
            // The next one sweeps what is left of its state.
            #expect(try execute([TestEnvironment.nestbox, "--root", root, "do", "--", "true"]).status == 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: root) == [])
        }

        @Test func tellsItsBootStory() throws {
            let outcome = try nestboxDo(["--rootfs", TestEnvironment.rootFileSystem, "--", "dmesg"])
            #expect(outcome.status == 0 && outcome.output.contains("Ready!"), outcome.report)
        }

        /// Directories of proc as descriptors of processes: killall(1) sends its signals so.
        @Test func killsByName() throws {
            let outcome = try nestboxDo(
                [
                    "--rootfs", TestEnvironment.rootFileSystem, "--", "sh", "-c",
                    "sleep 1000 & until killall sleep 2>/dev/null; do :; done; wait $!; echo $?",
                ])
            #expect(outcome.output.contains("143"), outcome.report)
        }

        /// cp -a onto tmpfs: modes come through, though access control lists do not.
        @Test func copiesKeepTheirModes() throws {
            let outcome = try nestboxDo([
                "--rootfs", TestEnvironment.rootFileSystem, "--", "sh", "-ec",
                "cd /dev/shm; mkdir -m 2751 d; mkdir -m 700 d/e; echo x >d/f; chmod 4755 d/f; cp -a d c; stat -c '%n %a' c c/e c/f",
            ])
            #expect(outcome.output == "c 2751\nc/e 2700\nc/f 4755\n", outcome.report)
        }

        /// What a killed `nestbox do` leaves is removed by the next one; one that runs is left alone.
        @Test func sweepsWhatAKilledOneLeft() throws {
            let root = try Workspace.makeFolder("s")
            defer { try? FileManager.default.removeItem(atPath: root) }
            let command = [TestEnvironment.nestbox, "--root", root] + TestEnvironment.flags + ["do", "--", "sh", "-c"]
            func containers() -> [String] {
                ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).filter { $0.hasPrefix("do-") }
            }
            let running = try RunningCommand(command + ["echo ready; while [ ! -e /proc/self/nothing ]; do sleep 1; done"])
            #expect(try running.prints("ready", within: 10))
            let alive = containers()
            #expect(alive.count == 1)
            let victim = try RunningCommand(command + ["echo ready; sleep 1000"])
            #expect(try victim.prints("ready", within: 10))
            kill(victim.identifier, SIGKILL)
            #expect(victim.wait(timeout: 10).status == 137)
            #expect(containers().count == 2)
            let next = try execute(command + ["echo swept"])
            #expect(next.output == "swept\n", next.report)
            #expect(containers() == alive, "left: \(containers())")
            #expect(running.isRunning)
            kill(running.identifier, SIGKILL)
            _ = running.wait(timeout: 20)
            _ = try execute(command + ["true"])
            #expect(containers().isEmpty, "left: \(containers())")
        }

        @Test func followsTheTerminal() throws {
            let root = try Workspace.makeFolder("s")
            defer { try? FileManager.default.removeItem(atPath: root) }
            let line =
                "stty rows 33 cols 99; '\(TestEnvironment.nestbox)' --root \(root) do -- sh -c 'stty size; test -t 1 && echo terminal'; echo status $?"
            let outcome = try execute(["script", "-qec", line, "/dev/null"])
            #expect(
                outcome.output.contains("33 99") && outcome.output.contains("terminal") && outcome.output.contains("status 0"),
                outcome.report)
        }
    }
}

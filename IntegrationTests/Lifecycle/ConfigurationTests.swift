import Foundation
import Testing

extension IntegrationTests {
    /// What the configuration asks for is what the program finds.
    @Suite struct Configuration {
        private func output(_ line: String, _ edit: (inout ContainerSpec) -> Void = { _ in }) throws -> Outcome {
            var spec = ContainerSpec(shell: line)
            edit(&spec)
            return try sandboxed(spec)
        }

        @Test func identity() throws {
            let outcome = try output("id -u; id -g; id -G; pwd; hostname; echo $NEST; umask; cat /proc/self/oom_score_adj") { spec in
                spec.user = 1000
                spec.group = 1000
                spec.directory = "/var"
                spec.hostname = "a-nest"
                spec.environment.append("NEST=box")
                spec.edit = {
                    $0["process"]["user"]["additionalGids"] = [5, 7]
                    $0["process"]["user"]["umask"] = 63
                    $0["process"]["oomScoreAdj"] = 100
                }
            }
            #expect(outcome.output == "1000\n1000\n1000 5 7\n/var\na-nest\nbox\n0077\n100\n", outcome.report)
        }

        @Test func limitsAndCapabilities() throws {
            let outcome = try output("ulimit -n; ulimit -Hn; grep -E '^(CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status") { spec in
                spec.edit = {
                    $0["process"]["rlimits"] = [["type": "RLIMIT_NOFILE", "soft": 100, "hard": 200]]
                    $0["process"]["noNewPrivileges"] = true
                    $0["process"]["capabilities"] = [
                        "bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
                    ]
                }
            }
            #expect(
                outcome.output
                    == "100\n200\nCapEff:\t0000000000000021\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n",
                outcome.report)
        }

        @Test func mounts() throws {
            let folder = try Workspace.makeFolder("bind")
            defer { try? FileManager.default.removeItem(atPath: folder) }
            _ = FileManager.default.createFile(atPath: folder + "/file", contents: Data("from the host\n".utf8))
            let outcome = try output(
                """
                cat /mnt/file; echo changed >/mnt/new; cat /media/file; echo x 2>/dev/null >/media/no || echo read-only
                echo x 2>/dev/null >/usr/no || echo root read-only; echo x >/srv/tmp && df -k /srv | awk 'NR==2 {print $2}'
                grep -E ' /(mnt|media|srv|proc) ' /proc/mounts | cut -d' ' -f2,3 | grep -c .
                head -c 2000000 /dev/zero 2>/dev/null >/srv/big || echo full
                """
            ) { spec in
                spec.binds = [(folder, "/mnt", ["rbind", "rw"]), (folder, "/media", ["rbind", "ro"])]
                spec.edit = {
                    $0["mounts"].append(["destination": "/srv", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=755"]])
                }
            }
            #expect(
                outcome.output == "from the host\nfrom the host\nread-only\nroot read-only\n1024\n4\nfull\n", outcome.report)
            #expect(MachineState.readText(folder + "/new") == "changed\n")
        }

        /// Mount points that the root does not have are made in it, on the host, even if the container may not write there.
        @Test(arguments: [true, false])
        func makesMountPoints(isReadOnly: Bool) throws {
            let folder = try Workspace.makeFolder("bind")
            defer { try? FileManager.default.removeItem(atPath: folder) }
            _ = FileManager.default.createFile(atPath: folder + "/file", contents: Data("from the host\n".utf8))
            try Workspace.withWritableRoot { root in
                try FileManager.default.createSymbolicLink(atPath: root + "/link", withDestinationPath: "/../behind/../made/by/link")
                let outcome = try output(
                    """
                    cat /new/folder/file /new/file /made/by/link/file; stat -c '%F %a' /memory/inner /new; pwd
                    echo x >/memory/x && cat /memory/x; echo x 2>/dev/null >/made/x || echo read-only
                    """
                ) {
                    $0.root = root
                    $0.readOnlyRoot = isReadOnly
                    $0.directory = "/a/place/to work"
                    $0.binds = [
                        (folder, "/new/folder", ["rbind", "ro"]), (folder + "/file", "/new/file", ["bind"]), (folder, "/link", ["bind"]),
                    ]
                    $0.edit = {
                        $0["mounts"].append(["destination": "/memory", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]])
                        $0["mounts"].append([
                            "destination": "/memory/inner", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700"],
                        ])
                    }
                }
                #expect(
                    outcome.output
                        == "from the host\nfrom the host\nfrom the host\ndirectory 700\ndirectory 755\n/a/place/to work\nx\n"
                        + (isReadOnly ? "read-only\n" : ""), outcome.report)
                for (path, kind) in [
                    ("/new/folder", true), ("/new/file", false), ("/memory", true), ("/made/by/link", true), ("/a/place/to work", true),
                ] {
                    let type = try FileManager.default.attributesOfItem(atPath: root + path)[.type] as? FileAttributeType
                    #expect(type == (kind ? .typeDirectory : .typeRegular), "\(path)")
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: root + "/memory").isEmpty)
                #expect(MachineState.readText(root + "/new/file") == "")
            }
        }

        @Test func writableRoot() throws {
            try Workspace.withWritableRoot { root in
                let outcome = try output(
                    "echo kept >/kept; chown 1000:1001 /kept; chmod 640 /kept; ln -s /kept /link; mkdir /folder; mkfifo /fifo; rm /etc/motd; stat -c '%a %u %g' /kept"
                ) {
                    $0.root = root
                    $0.readOnlyRoot = false
                }
                #expect(outcome.output == "640 1000 1001\n", outcome.report)
                #expect(MachineState.readText(root + "/kept") == "kept\n")
                let attributes = try FileManager.default.attributesOfItem(atPath: root + "/kept")
                #expect(attributes[.ownerAccountID] as? Int == 1000 && attributes[.posixPermissions] as? Int == 0o640)
                #expect(try FileManager.default.destinationOfSymbolicLink(atPath: root + "/link") == "/kept")
                #expect(!FileManager.default.fileExists(atPath: root + "/etc/motd"))
            }
        }

        @Test func maskedAndReadOnlyPaths() throws {
            let outcome = try output(
                "cat /proc/kcore /etc/hostname 2>/dev/null | wc -c; ls -A /usr/share | wc -l; echo 5 2>/dev/null >/proc/sys/kernel/domainname || echo read-only"
            ) { spec in
                spec.edit = {
                    $0["linux"]["maskedPaths"] = ["/proc/kcore", "/etc/hostname", "/usr/share", "/no/such/path"]
                    $0["linux"]["readonlyPaths"] = ["/proc/sys"]
                }
            }
            #expect(outcome.output == "0\n0\nread-only\n", outcome.report)
        }

        @Test func sysctls() throws {
            let outcome = try output("cat /proc/sys/kernel/shmmax /proc/sys/net/core/somaxconn") { spec in
                spec.edit = { $0["linux"]["sysctl"] = ["kernel.shmmax": "1234567", "net.core.somaxconn": "77"] }
            }
            #expect(outcome.output == "1234567\n77\n", outcome.report)
        }

        @Test func seccompFilters() throws {
            let outcome = try output("mkdir /tmp/d 2>&1; ls -d /tmp; grep Seccomp: /proc/self/status") { spec in
                spec.edit = {
                    $0["linux"]["seccomp"] = [
                        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                        "syscalls": [["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95]],
                    ]
                }
            }
            #expect(outcome.output.contains("Operation not supported") && outcome.output.contains("Seccomp:\t2"), outcome.report)
        }

        @Test func devices() throws {
            let outcome = try output(
                "ls /dev | sort | paste -sd' ' -; test -c /dev/null && test -c /dev/tty && echo nodes; head -c 4 /dev/zero | od -An -tx1; ls -l /dev/stdin | sed 's/.*-> //'"
            )
            for name in ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"] {
                #expect(
                    outcome.output.split(whereSeparator: \.isWhitespace).contains(Substring(name)), "no /dev/\(name)\n\(outcome.report)")
            }
            #expect(outcome.output.hasSuffix("nodes\n 00 00 00 00\n/proc/self/fd/0\n"), outcome.report)
        }

        @Test func hooks() throws {
            var spec = ContainerSpec(shell: "echo body")
            let folder = try Workspace.makeFolder("hooks")
            defer { try? FileManager.default.removeItem(atPath: folder) }
            spec.edit = { configuration in
                for name in ["prestart", "createRuntime", "poststart", "poststop"] {
                    configuration["hooks"][name] = [
                        [
                            "path": "/bin/sh",
                            "args": ["sh", "-c", .text("cat >\(folder)/\(name).json; echo \(name) $HOOK >>\(folder)/order")],
                            "env": ["HOOK=called", "PATH=/bin:/usr/bin"], "timeout": 10,
                        ]
                    ]
                }
            }
            let outcome = try sandboxed(spec)
            #expect(outcome.output == "body\n", outcome.report)
            #expect(
                MachineState.readText(folder + "/order") == "prestart called\ncreateRuntime called\npoststart called\npoststop called\n")
            let state = try JSON(parsing: [UInt8](FileManager.default.contents(atPath: folder + "/createRuntime.json") ?? Data()))
            #expect(state["status"].string == "created" || state["status"].string == "creating")
            #expect((state["pid"].integer ?? 0) > 0 && state["bundle"].string != nil)
        }

        @Test func terminal() throws {
            var spec = ContainerSpec(
                shell: "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo three; read line; echo \"read $line\"; exit 3")
            spec.terminal = true
            try Container.with(spec) { container in
                let socket = container.bundle + "/tty"
                let console = try RunningCommand(
                    ["python3", TestEnvironment.tree + "/IntegrationTests/Support/console.py", socket, "90x20"],
                    input: JSON.list([["three", "hello\n"]]).bytes)
                try #require(try Wait.changes(in: [container.bundle], within: 10) { FileManager.default.fileExists(atPath: socket) })
                let created = try container.nestbox(
                    ["create", "--bundle", container.bundle, "--console-socket", socket, container.identifier])
                try #require(created.status == 0, created.report)
                #expect(try container.nestbox(["start", container.identifier]).status == 0)
                let shown = console.wait(timeout: 40)
                #expect(
                    shown.output.contains("/dev/") && shown.output.contains("three") && shown.output.contains("read hello"), shown.report)
                #expect(shown.output.contains("20 90"), shown.report)
                #expect(try container.reaches("stopped"))
            }
        }

        @Test func inheritsNothingElse() throws {
            try Container.with(ContainerSpec(shell: "ls /proc/self/fd | sort -n | paste -sd' ' -")) { container in
                let line = container.command(["run", "--bundle", container.bundle, container.identifier]).map { "'\($0)'" }.joined(
                    separator: " ")
                let outcome = try execute(["sh", "-c", "exec 5</etc/passwd 9>/dev/null; exec " + line])
                // 3 is the directory that ls reads.
                #expect(outcome.output == "0 1 2 3\n", outcome.report)
            }
        }

        @Test func memoryLimit() throws {
            var spec = ContainerSpec(shell: "python3 -c 'x = bytearray(300 << 20)'; echo status $?; echo still here")
            spec.edit = { $0["linux"]["resources"] = ["memory": ["limit": .number(100 << 20)]] }
            let outcome = try sandboxed(spec)
            #expect(outcome.output.contains("status 137") || outcome.status == 137, outcome.report)
        }

        /// Each program fills 8 MiB, and so many fit only when those of the ones before are free again.
        @Test func memoryOfEndedProgramsIsFree() throws {
            for line in ["exec /programs/families chain 20", "for i in 1 2 3 4 5 6 7 8; do /programs/families chain 0; done; exit $?"] {
                var spec = ContainerSpec(program: ["/bin/sh", "-c", line])
                spec.edit = { $0["linux"]["resources"] = ["memory": ["limit": .number(24 << 20)]] }
                let outcome = try sandboxed(spec)
                #expect(outcome.status == 9, outcome.report)
            }
        }

        @Test func taskLimit() throws {
            var spec = ContainerSpec(shell: "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 5 & done 2>&1; echo end")
            spec.edit = { $0["linux"]["resources"] = ["pids": ["limit": 8]] }
            let outcome = try sandboxed(spec)
            #expect(
                outcome.output.lowercased().contains("cannot fork") || outcome.errors.lowercased().contains("cannot fork"), outcome.report)
        }
    }
}

import ArgumentParser
import Diagnostics
import SupervisorRuntime
import Testing

@testable import SupervisorCommandLine

@Suite struct CommandLineTests {
    private func parse<Command>(_ line: String, as type: Command.Type = Command.self) throws -> Command {
        try #require(try Nestbox.parseAsRoot(line.split(separator: " ").map(String.init)) as? Command)
    }

    /// What podman, docker and containerd really call.
    @Test func engineInvocations() throws {
        let create: CreateCommand = try parse(
            "--log-format=json --log /d/oci-log create --bundle /d --pid-file /d/pid --console-socket /d/s abc")
        #expect(create.id == "abc")
        #expect(create.options.bundle == "/d")
        #expect(create.options.consoleSocket == "/d/s")
        #expect(create.nestbox.log == "/d/oci-log")
        #expect(create.nestbox.logFormat == "json")

        let start: StartCommand = try parse("--root /run/x --log /b/log.json --log-format json start abc")
        #expect(start.id == "abc")
        #expect(start.nestbox.root == "/run/x")

        let kill: KillCommand = try parse("kill abc 15")
        #expect(kill.signal == "15")
        let killAll: KillCommand = try parse("--root /r kill --all abc 9")
        #expect(killAll.all && killAll.signal == "9")

        let exec: ExecCommand = try parse(
            "--root /r --log /l --log-format json exec --process /tmp/p --console-socket /c --detach --pid-file /p abc")
        #expect(exec.process == "/tmp/p" && exec.detach && exec.id == "abc" && exec.command == [])
        let podman: ExecCommand = try parse("--log-format=json --log /l exec --pid-file /p --process /f --detach --tty abc")
        #expect(podman.tty)

        let delete: DeleteCommand = try parse("--root /r delete --force abc")
        #expect(delete.force)
        let ps: PsCommand = try parse("--root /r ps --format json abc")
        #expect(ps.format == "json")
        let update: UpdateCommand = try parse("--root /r update --resources - abc")
        #expect(update.resources == "-" && update.id == "abc")
        let newer: UpdateCommand = try parse("--root /r update --resources=- abc")
        #expect(newer.resources == "-")
        let _: FeaturesCommand = try parse("features")
        let list: ListCommand = try parse("list --format json -q")
        #expect(list.quiet && list.format == "json")
    }

    @Test func commandsKeepTheirOwnOptions() throws {
        let exec: ExecCommand = try parse("exec -t --env A=b -e C=d --user 1:2 abc ls -l --detach --env x")
        #expect(exec.command == ["ls", "-l", "--detach", "--env", "x"])
        #expect(exec.env == ["A=b", "C=d"])
        #expect(!exec.detach)
        let command: DoCommand = try parse("do --memory 1G -- sh -c true --bind x")
        #expect(command.command.drop { $0 == "--" } == ["sh", "-c", "true", "--bind", "x"])
        let plain: DoCommand = try parse("do ls -l")
        #expect(plain.command == ["ls", "-l"])
        let dashed: DoCommand = try parse("do -- --odd")
        #expect(dashed.command == ["--", "--odd"])
        for line in ["do --help", "do -h", "do --fly ls"] { #expect(throws: (any Error).self) { try parse(line) as DoCommand } }
        let update: UpdateCommand = try parse("update --memory -1 --cpu-quota -1 abc")
        #expect(update.memory == -1 && update.cpuQuota == -1)
    }

    @Test(arguments: [
        "--systemd-cgroup create x", "--network host run x", "--platform foo run x", "--log-format xml list", "--rootless true list",
        "kill",
        "list --format xml", "frobnicate", "create", "create a b",
    ])
    func wrongCommandLines(line: String) {
        #expect(throws: (any Error).self) { try Nestbox.parseAsRoot(line.split(separator: " ").map(String.init)) }
    }

    @Test(arguments: [
        ("15", 15), ("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("KILL", 9), ("0", 0), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("SYS", 31),
        ("64", 64), ("SIGCLD", 17),
    ])
    func signals(text: String, number: Int32) throws { #expect(try SignalName.parse(text) == number) }

    @Test(arguments: ["", "65", "-1", "SIGFOO", "SIG", "RTMIN+31", "9x"])
    func wrongSignals(text: String) { #expect(throws: SandboxError.self) { try SignalName.parse(text) } }

    @Test(arguments: [("1", 1), ("4K", 4096), ("512M", 512 << 20), ("2g", 2 << 30), ("1GiB", 1 << 30), ("10kb", 10240)])
    func sizes(text: String, bytes: Int) throws { #expect(try ByteSize.parse(text) == UInt64(bytes)) }

    @Test(arguments: ["", "0", "M", "1.5G", "-1", "99999999999T"])
    func wrongSizes(text: String) { #expect(throws: SandboxError.self) { try ByteSize.parse(text) } }

    @Test func binds() throws {
        let bind = try BindText.parse("/a:/b:ro")
        #expect(bind.source == "/a" && bind.destination == "/b" && bind.isReadOnly)
        #expect(try BindText.parse("/a:/b").isReadOnly == false)
        #expect(try BindText.parse("/a").destination == "/a")
        #expect(throws: SandboxError.self) { try BindText.parse("/a:b") }
        #expect(throws: SandboxError.self) { try BindText.parse(":/b") }
        #expect(throws: SandboxError.self) { try BindText.parse("/a:/b:xx") }
    }

    @Test func users() throws {
        #expect(try UserText.parse("5") == (5, nil))
        #expect(try UserText.parse("5:6") == (5, 6))
        #expect(throws: SandboxError.self) { try UserText.parse("root") }
        #expect(throws: SandboxError.self) { try UserText.parse("5:") }
        #expect(throws: SandboxError.self) { try UserText.parse("") }
    }

    @Test func tables() { #expect(TextTable.render([["A", "B"], ["long", "x"]]) == "A      B\nlong   x") }
}

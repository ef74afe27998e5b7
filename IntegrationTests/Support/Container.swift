import Foundation
import Testing

/// What to run and in which surroundings: the part of an OCI configuration that tests vary. `configuration` may edit the rest.
struct ContainerSpec: Sendable {
    var arguments: [String]
    var environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=xterm"]
    var directory = "/"
    var user = 0
    var group = 0
    var root = TestEnvironment.rootFileSystem
    var readOnlyRoot = true
    var hostname = "nestbox"
    var terminal = false
    var capabilities = Self.defaultCapabilities
    /// Extra mounts: source, destination, options.
    var binds: [(source: String, destination: String, options: [String])] = []
    /// The last word on the configuration.
    var edit: @Sendable (inout JSON) -> Void = { _ in }

    /// All but the one that a virtual machine's root may lack itself.
    static let defaultCapabilities = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "MKNOD", "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE",
    ]

    init(_ arguments: [String]) { self.arguments = arguments }

    /// A line of shell.
    init(shell line: String) { self.init(["/bin/sh", "-c", line]) }

    /// A program under a shell, so that it is not process 1, with the tests' programs at /programs.
    init(program: [String]) {
        self.init(["/bin/sh", "-c", "\"$@\"; exit $?", "sh"] + program)
        binds = [Self.programMount]
    }

    /// The programs of the tests, read-only, at /programs.
    static let programMount = (source: TestEnvironment.programs, destination: "/programs", options: ["rbind", "ro"])

    var configuration: JSON {
        let names = JSON(capabilities.map { "CAP_" + $0 })
        var mounts: JSON = [
            ["destination": "/proc", "type": "proc", "source": "proc"],
            ["destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]],
            [
                "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            ],
            ["destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]],
            ["destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]],
            ["destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]],
        ]
        for bind in binds {
            mounts.append([
                "destination": .text(bind.destination), "type": "bind", "source": .text(bind.source), "options": JSON(bind.options),
            ])
        }
        var configuration: JSON = [
            "ociVersion": "1.0.2",
            "process": [
                "terminal": .boolean(terminal),
                "user": ["uid": .number(user), "gid": .number(group)],
                "args": JSON(arguments),
                "env": JSON(environment),
                "cwd": .text(directory),
                "capabilities": ["bounding": names, "effective": names, "permitted": names],
                "rlimits": [["type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096]],
                "noNewPrivileges": false,
            ],
            "root": ["path": .text(root), "readonly": .boolean(readOnlyRoot)],
            "hostname": .text(hostname),
            "mounts": mounts,
            "linux": ["namespaces": .list(["pid", "network", "ipc", "uts", "mount"].map { ["type": .text($0)] })],
        ]
        edit(&configuration)
        return configuration
    }
}

/// One container of the runtime under test. Its bundle, its state root and itself are gone when `with` returns.
final class Container: Sendable {
    let identifier: String
    let bundle: String
    /// The value of --root.
    let state: String
    /// Where the log goes.
    let log: String

    private init(_ name: String) throws {
        identifier = Workspace.unique(name)
        bundle = try Workspace.makeFolder("b")
        state = bundle + "/s"
        log = bundle + "/log"
    }

    /// Writes a bundle for `spec`, hands it to `body`, and cleans up whatever is left.
    static func with<R>(_ spec: ContainerSpec, name: String = "c", _ body: (Container) throws -> R) throws -> R {
        let container = try Container(name)
        _ = FileManager.default.createFile(atPath: container.bundle + "/config.json", contents: Data(spec.configuration.bytes))
        defer {
            _ = try? container.nestbox(["delete", "--force", container.identifier], timeout: 20)
            if TestEnvironment.variables["NESTBOX_KEEP"] != "1" { try? FileManager.default.removeItem(atPath: container.bundle) }
        }
        return try body(container)
    }

    /// The command line of `nestbox` with this container's state root and log.
    func command(_ arguments: [String]) -> [String] {
        [TestEnvironment.nestbox, "--root", state, "--log", log] + TestEnvironment.flags + arguments
    }

    /// Runs a command of `nestbox` to its end. What it left running keeps none of the test's descriptors.
    @discardableResult
    func nestbox(_ arguments: [String], input: [UInt8]? = nil, timeout: Double = 30) throws -> Outcome {
        var outcome = try execute(command(arguments), input: input, directory: bundle, timeout: timeout)
        if outcome.status != 0 || outcome.timedOut { outcome.standardError += logTail }
        return outcome
    }

    /// `nestbox run`, in the foreground.
    func run(_ arguments: [String] = [], input: [UInt8]? = nil, timeout: Double) throws -> Outcome {
        try nestbox(["run", "--bundle", bundle] + arguments + [identifier], input: input, timeout: timeout)
    }

    /// `nestbox run`, beside the test.
    func starting(input: [UInt8]? = nil) throws -> RunningCommand {
        try RunningCommand(command(["run", "--bundle", bundle, identifier]), input: input, directory: bundle)
    }

    /// What `nestbox state` says, or nothing where it fails.
    func stateDocument() throws -> JSON? {
        let outcome = try nestbox(["state", identifier])
        return outcome.status == 0 ? try JSON(parsing: outcome.standardOutput) : nil
    }

    /// The status in the state document.
    func status() throws -> String { try stateDocument()?["status"].string ?? "none" }

    /// Waits for a status.
    func reaches(_ wanted: String, within seconds: Double = 5) throws -> Bool {
        if wanted == "stopped" {
            // The end of the process that stands for the container.
            let process = try stateDocument()?["pid"].integer ?? 0
            return (process == 0 || Wait.end(of: Int32(process), within: seconds)) ? try status() == wanted : false
        }
        // Everything else the command line writes into the state directory.
        return try Wait.changes(in: [state + "/" + identifier], within: seconds) { try status() == wanted }
    }

    private var logTail: [UInt8] {
        let log = FileManager.default.contents(atPath: self.log) ?? Data()
        return log.isEmpty ? [] : [UInt8]("\n--- log\n".utf8) + [UInt8](log.suffix(6000))
    }
}

/// Runs `spec` in a sandbox to its end.
func sandboxed(_ spec: ContainerSpec, input: [UInt8]? = nil, timeout: Double = 60) throws -> Outcome {
    if TestEnvironment.runsNativelyOnly { return try native(spec, input: input, timeout: timeout) }
    return try Container.with(spec) { try $0.run(input: input, timeout: timeout) }
}

/// Runs `spec` on the host's kernel: the same root and mounts, in new namespaces.
func native(_ spec: ContainerSpec, input: [UInt8]? = nil, timeout: Double = 60) throws -> Outcome {
    let mountPoint = try Workspace.makeFolder("n")
    defer { try? FileManager.default.removeItem(atPath: mountPoint) }
    var environment = ["BINDS": spec.binds.map { "\($0.source):\($0.destination)" }.joined(separator: "\n")]
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    environment["READONLY"] = spec.readOnlyRoot ? "1" : "0"
    environment["CAPABILITIES"] = spec.capabilities.map { "+" + $0.lowercased() }.joined(separator: ",")
    let command =
        [
            "unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child", "sh",
            TestEnvironment.tree + "/IntegrationTests/Support/native.sh",
        ]
        + [spec.root, mountPoint, spec.hostname, "\(spec.user)", "\(spec.group)", spec.directory, "\(spec.environment.count)"]
        + spec.environment
        + spec.arguments
    return try execute(command, input: input, environment: environment, timeout: timeout)
}

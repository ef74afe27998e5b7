import Control
import Diagnostics
import Host
import LinuxABI
import SupervisorOCI
import Testing
import Wire

@testable import SupervisorRuntime

/// A directory that goes when the test ends.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = "/tmp/nestbox-test-\(HostProcess.own)-\(HostClock.monotonic)"
        try HostFile.makeDirectories(path, mode: 0o700)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        for name in (try? HostFile.names(path)) ?? [] {
            if HostFile.isDirectory(path + "/" + name) { remove(path + "/" + name) } else { HostFile.remove(path + "/" + name) }
        }
        try? HostFile.removeDirectory(path)
    }
}

@Suite struct StateStoreTests {
    private func record(_ identifier: String) -> ContainerRecord {
        var record = ContainerRecord(
            identifier: identifier, bundle: "/b", rootfs: "/b/rootfs", created: "2026-01-01T00:00:00Z", annotations: ["a": "b"])
        record.phase = .started
        record.sentry = ProcessIdentity(processID: 7, startTime: 99)
        record.cgroupDirectories = [.init(path: "/c", controllers: ["memory"], isUnified: false)]
        record.cgroupMade = ["/c"]
        record.resources.memory.limit = 5
        record.poststop = [HookSpecFixture.hook("/bin/true", timeout: 3)]
        record.process.environment = ["PATH=/bin"]
        record.process.capabilities = ProcessSpec.Capabilities()
        record.memoryRoot = .init(device: 1, inode: 2)
        record.seccomp = .object([.init("defaultAction", .string("SCMP_ACT_ALLOW"))])
        return record
    }

    @Test func roundTrip() throws {
        let directory = try TemporaryDirectory()
        let store = StateStore(root: directory.path + "/root/")
        #expect(store.identifiers() == [])
        try store.create("one")
        try store.save(record("one"))
        #expect(try store.load("one") == record("one"))
        #expect(store.identifiers() == ["one"])
        store.remove("one")
        #expect(store.identifiers() == [])
    }

    @Test func duplicateAndMissing() throws {
        let directory = try TemporaryDirectory()
        let store = StateStore(root: directory.path)
        try store.create("one")
        #expect(throws: SandboxError.self) { try store.create("one") }
        let error = #expect(throws: SandboxError.self) { try store.load("two") }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains("does not exist") == true)
        #expect(throws: SandboxError.self) { try store.load("../one") }
    }

    @Test func damagedRecordsAreErrors() throws {
        let directory = try TemporaryDirectory()
        let store = StateStore(root: directory.path)
        try store.create("one")
        for text in ["", "{", "{}", "{\"format\":99}", record("other").json.text()] {
            try HostFile.replace(store.directory("one") + "/state.json", Array(text.utf8))
            #expect(throws: SandboxError.self) { try store.load("one") }
        }
    }

    @Test func statusOfRecords() throws {
        var record = record("one")
        #expect(ContainerRuntime.status(of: record) == .stopped)
        record.sentry = try #require(HostProcess.identity(HostProcess.own))
        #expect(ContainerRuntime.status(of: record) == .running)
        record.phase = .paused
        #expect(ContainerRuntime.status(of: record) == .paused)
        record.phase = .created
        #expect(ContainerRuntime.status(of: record) == .created)
        record.sentry.startTime += 1
        #expect(ContainerRuntime.status(of: record) == .stopped)
        record.sentry = ProcessIdentity(processID: 0, startTime: 0)
        record.phase = .creating
        #expect(ContainerRuntime.status(of: record) == .stopped)
        record.creator = HostProcess.identity(HostProcess.own)
        #expect(ContainerRuntime.status(of: record) == .creating)
    }

    @Test func exitRecord() throws {
        let directory = try TemporaryDirectory()
        let store = StateStore(root: directory.path)
        try store.create("one")
        #expect(ExitRecord.read(record("one"), store: store).reason == .sentryDied)
        var report = ExitReport()
        report.status = 3
        report.reason = .exited
        try HostFile.replace(ExitRecord.path("one", store: store), report.encoded())
        let exit = ExitRecord.read(record("one"), store: store)
        #expect(exit.reason == .exited)
        #expect(exit.status == 3)
    }

    @Test func forcedDeleteOfNothing() throws {
        let directory = try TemporaryDirectory()
        let runtime = try ContainerRuntime(RuntimeSettings(store: StateStore(root: directory.path)))
        guard HostCall.raw(.geteuid) == 0 else { return }
        #expect(throws: Never.self) { try runtime.delete("nothing", force: true) }
        #expect(throws: SandboxError.self) { try runtime.delete("nothing", force: false) }
        // What a killed creation leaves: a directory without a record.
        try StateStore(root: directory.path).create("half")
        try runtime.delete("half", force: true)
        #expect(StateStore(root: directory.path).identifiers() == [])
    }
}

enum HookSpecFixture {
    static func hook(_ path: String, _ arguments: [String] = [], timeout: Int? = nil) -> HookSpec {
        var members: [JSON.Member] = [.init("path", .string(path)), .init("args", .strings(arguments))]
        if let timeout { members.append(.init("timeout", .integer(timeout))) }
        guard let hook = try? HookSpec(reading: FieldReader(.object(members))) else { fatalError("a fixture that is wrong") }
        return hook
    }
}

@Suite struct HookTests {
    private let state = StateDocument(identifier: "c", status: .creating, processID: 1, bundle: "/b", annotations: [:])

    @Test func stateComesOnStandardInput() throws {
        let directory = try TemporaryDirectory()
        let hook = HookSpecFixture.hook("/bin/sh", ["sh", "-c", "cat > \(directory.path)/out"])
        try Hooks.run([hook], kind: "prestart", state: state)
        #expect(HostFile.text(directory.path + "/out") == state.json.text())
    }

    @Test func failureNamesHookAndOutput() {
        let hook = HookSpecFixture.hook("/bin/sh", ["sh", "-c", "echo sorry >&2; exit 3"])
        let error = #expect(throws: SandboxError.self) { try Hooks.run([hook], kind: "prestart", state: state) }
        #expect(error?.message == "error running prestart hook #0 (/bin/sh): exit status 3, output: sorry")
    }

    @Test func missingProgram() {
        let hook = HookSpecFixture.hook("/nonexistent/hook")
        let error = #expect(throws: SandboxError.self) { try Hooks.run([hook], kind: "poststop", state: state) }
        #expect(error?.message.hasSuffix("no such file or directory") == true)
    }

    @Test func timeout() {
        let hook = HookSpecFixture.hook("/bin/sh", ["sh", "-c", "exec sleep 30"], timeout: 1)
        let error = #expect(throws: SandboxError.self) { try Hooks.run([hook], kind: "prestart", state: state) }
        #expect(error?.message.contains("hook ran past specified timeout of 1s") == true)
    }
}

@Suite struct HelperTests {
    @Test(arguments: [
        ("rootfs", "/b", "/b/rootfs"), ("/a/../c", "/b", "/c"), ("../x", "/b/c", "/b/x"), ("../../../..", "/", "/"), (".", "/b/", "/b"),
    ])
    func absolutePath(path: String, base: String, expected: String) { #expect(HostPath.absolute(path, from: base) == expected) }

    @Test(arguments: [
        (UInt64(0), "1970-01-01T00:00:00.000000000Z"), (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
        (1_767_225_599_000_000_000, "2025-12-31T23:59:59.000000000Z"),
    ])
    func timestamps(nanoseconds: UInt64, text: String) { #expect(Timestamps.rfc3339(nanoseconds) == text) }

    private func record() -> ContainerRecord {
        var record = ContainerRecord(identifier: "c", bundle: "/", rootfs: "/", created: "", annotations: [:])
        record.process.environment = ["PATH=/bin", "HOME=/root"]
        record.process.workingDirectory = "/srv"
        record.process.user.userID = 5
        record.process.user.groupID = 6
        return record
    }

    @Test func execInheritsFromTheContainer() throws {
        var request = ExecRequestOptions(identifier: "c")
        request.arguments = ["ls"]
        request.environment = ["HOME=/x", "A=b=c"]
        request.user = (9, nil)
        request.capabilities = ["CAP_KILL"]
        let process = try ContainerRuntime.process(of: request, record: record())
        #expect(process.environment == ["PATH=/bin", "HOME=/x", "A=b=c"])
        #expect(process.workingDirectory == "/srv")
        #expect(process.user.userID == 9)
        #expect(process.user.groupID == 6)
        #expect(process.capabilities?.effective == ["CAP_KILL"])
    }

    @Test func execRefusesWrongInput() {
        #expect(throws: SandboxError.self) { try ContainerRuntime.process(of: ExecRequestOptions(identifier: "c"), record: record()) }
        var request = ExecRequestOptions(identifier: "c")
        request.arguments = ["ls"]
        request.workingDirectory = "relative"
        #expect(throws: SandboxError.self) { try ContainerRuntime.process(of: request, record: record()) }
        request.workingDirectory = nil
        request.environment = ["=x"]
        #expect(throws: SandboxError.self) { try ContainerRuntime.process(of: request, record: record()) }
        request.processFile = "/nonexistent"
        #expect(throws: SandboxError.self) { try ContainerRuntime.process(of: request, record: record()) }
    }

    @Test func startErrors() {
        let missing = SandboxError(.notFound, "x")
        #expect(
            StartErrorText.describe(missing, program: "foo").message
                == "unable to start container process: exec: \"foo\": executable file not found in $PATH")
        #expect(
            StartErrorText.describe(missing, program: "/foo").message
                == "unable to start container process: exec: \"/foo\": stat /foo: no such file or directory")
        #expect(StartErrorText.describe(SandboxError(.permissionDenied, "x"), program: "/foo").message.contains("permission denied"))
        #expect(StartErrorText.describe(SandboxError(.exhausted, "x"), program: "/foo").message == "x")
    }

    @Test func problems() {
        let error = SandboxError(.wrongState, "m", hint: "h")
        #expect(Problem.parse(ProblemObject.json(error))?.description == error.description)
        #expect(Problem.parse(Array("garbage".utf8)) == nil)
        #expect(Problem.parse([]) == nil)
    }
}

@Suite struct TranslationTests {
    private func translate(_ change: (inout RuntimeSpec) -> Void) throws(SandboxError) -> Translation {
        var process = ProcessSpec()
        process.arguments = ["sh"]
        var spec = RuntimeSpec(process: process, root: .init(path: "/", isReadOnly: false))
        change(&spec)
        return try Translation(spec, identifier: "c", bundle: "/tmp", rootfs: "/", environment: RuntimeEnvironment(memory: 1 << 30))
    }

    @Test func mounts() throws {
        let result = try translate { spec in
            spec.mounts = [
                MountSpec(destination: "/proc", type: "proc", source: "proc", options: ["nosuid"]),
                MountSpec(destination: "/e", type: "bind", source: "/etc", options: ["rbind", "ro"]),
                MountSpec(destination: "/h", type: "none", source: "/etc/passwd", options: ["bind"]),
                MountSpec(destination: "/t", type: "tmpfs", source: "tmpfs", options: ["size=64k", "mode=700"]),
            ]
        }
        #expect(result.gofer.trees.map { String(decoding: $0.source, as: UTF8.self) } == ["/", "/etc", "/etc/passwd"])
        #expect(result.gofer.trees.map(\.readOnly) == [false, true, false])
        #expect(result.gofer.trees.map(\.isFile) == [false, false, true])
        #expect(result.container.mounts.map(\.kind) == [.proc, .bind, .bind, .tmpfs])
        #expect(result.container.mounts.map(\.tree) == [0, 1, 2, 0])
        #expect(result.container.mounts[1].flags == MountFlag.MS_RDONLY)
        #expect(String(decoding: result.container.mounts[3].data, as: UTF8.self) == "size=64k,mode=700")
    }

    @Test func missingSourceAndUnknownType() {
        let missing = #expect(throws: SandboxError.self) {
            try translate { $0.mounts = [MountSpec(destination: "/x", type: "bind", source: "/nonexistent", options: [])] }
        }
        #expect(missing?.message.hasSuffix("no such file or directory") == true)
        let unknown = #expect(throws: SandboxError.self) {
            try translate { $0.mounts = [MountSpec(destination: "/x", type: "ext4", source: "/dev/sda", options: [])] }
        }
        #expect(unknown?.code == .unsupported)
    }

    @Test func resources() throws {
        let result = try translate { spec in
            spec.linux.resources.memory.limit = 8 << 30
            spec.linux.resources.pidsLimit = -1
            spec.linux.resources.cpu.quota = 150_000
            spec.linux.resources.cpu.period = 100_000
        }
        #expect(result.container.resources.memoryLimit == 1 << 30)
        #expect(result.container.resources.pidsLimit == 0)
        #expect(result.container.resources.cpuCount == 2)
    }

    @Test func seccomp() throws {
        let text = """
            {"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"syscalls":[
             {"names":["read","no_such_call"],"action":"SCMP_ACT_ALLOW"},
             {"names":["only_elsewhere"],"action":"SCMP_ACT_ALLOW"},
             {"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"op":"SCMP_CMP_MASKED_EQ"}]},
             {"names":["write"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}
            """
        let seccomp = try SeccompSpec(reading: FieldReader(JSON(document: Array(text.utf8))))
        let program = try #require(try translate { $0.linux.seccomp = seccomp }.container.process.seccomp)
        #expect(program.defaultAction == SeccompAction(.errno, value: 38))
        #expect(program.rules.map(\.calls) == [[0], [56], [1]])
        #expect(program.rules[1].arguments == [SeccompArgument(index: 0, comparison: .maskedEqual, value: 2_114_060_288)])
    }

    @Test func capabilitiesAndLimits() throws {
        let result = try translate { spec in
            var capabilities = ProcessSpec.Capabilities()
            capabilities.bounding = ["CAP_CHOWN", "CAP_NONSENSE"]
            spec.process.capabilities = capabilities
            spec.process.resourceLimits = [.init(type: "RLIMIT_NOFILE", soft: 1, hard: 2)]
            spec.process.user.umask = 0o77
        }
        #expect(result.container.process.capabilities.bounding == 1)
        #expect(result.container.process.rlimits == [ResourceLimit(resource: 7, soft: 1, hard: 2)])
        #expect(result.container.process.umask == 0o77)
        #expect(result.notes == ["capability CAP_NONSENSE is not known and left out"])
    }
}

import Confinement
import Diagnostics
import Foundation
import Host
import LinuxABI
import Testing

/// How a probe ended and what it said.
private struct ProbeResult {
    var exit: Int32 = -1
    var signal: Int32 = 0
    var output = ""
    var log = ""
}

private func isRoot() -> Bool { HostCall.raw(.geteuid) == 0 }

private let probePath: [UInt8] = {
    // The test bundle lies beside the executables of the build.
    let directory = CommandLine.arguments.first.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path } ?? "."
    for candidate in [directory, ProcessInfo.processInfo.environment["NESTBOX_BUILD"] ?? "", ".build/debug"] {
        let path = URL(fileURLWithPath: candidate).appendingPathComponent("ConfinementProbe").path
        if FileManager.default.isExecutableFile(atPath: path) { return Array(path.utf8) }
    }
    return Array("\(FileManager.default.currentDirectoryPath)/.build/debug/ConfinementProbe".utf8)
}()

private func drain(_ descriptor: Int32) -> String {
    var text: [UInt8] = []
    while true {
        var buffer = [UInt8](repeating: 0, count: 4096)
        var span = buffer.mutableSpan
        guard let count = try? HostCall.read(descriptor, into: &span), count > 0 else { break }
        text += buffer.prefix(count)
    }
    return String(decoding: text, as: UTF8.self)
}

/// Spawns the probe as the Supervisor spawns the Sentry or the Gofer.
private func probe(_ role: ProcessSpawner.Role, _ attempt: String, mode: ConfinementMode = .full) throws -> ProbeResult {
    let output = try HostCall.socketPair()
    let log = try HostCall.socketPair()
    let null = try HostCall.open(Array("/dev/null".utf8), flags: OpenFlag.O_RDWR)
    var spawner = ProcessSpawner(role: role, program: probePath)
    spawner.arguments = [role == .sentry ? "sentry" : "gofer", mode.rawValue, attempt].map { Array($0.utf8) }
    spawner.descriptors = [null.rawValue, output.second.rawValue, log.second.rawValue]
    let child = try spawner.spawn()
    let pid = child.pid
    try child.proceed()
    var result = ProbeResult()
    let status = try HostCall.waitForChild(pid)
    result.signal = status.signal ?? 0
    result.exit = status.exitCode ?? -1
    // What was written can still be read; then the end.
    for descriptor in [output.first.rawValue, log.first.rawValue] { _ = HostCall.raw(.shutdown, Int(descriptor), 0) }
    result.output = drain(output.first.rawValue)
    result.log = drain(log.first.rawValue)
    return result
}

@Suite(.enabled(if: isRoot(), "namespaces need root"), .serialized) struct ConfinementTests {
    @Test(arguments: [ProcessSpawner.Role.sentry, .gofer]) func aConfinedProcessRuns(role: ProcessSpawner.Role) throws {
        let result = try probe(role, "nothing")
        #expect(result.output == "confined\n0\n")
        #expect(result.exit == 0 && result.signal == 0)
    }

    static let forbiddenToBoth = [
        "old-open", "socket", "unix-socket", "exec", "fork", "clone-process", "clone-namespace", "executable-memory", "make-executable",
        "mount",
        "chroot", "unshare", "setns", "module", "bpf", "io_uring", "userfaultfd", "keyctl", "perf", "kill-stranger", "setuid",
        "terminal-input",
    ]

    @Test(arguments: forbiddenToBoth + ["open"]) func theSentryIsKilled(attempt: String) throws {
        let result = try probe(.sentry, attempt)
        #expect(result.output == "confined\n")
        #expect(result.signal == 31, "\(attempt) ended with exit \(result.exit), signal \(result.signal)")
    }

    @Test(arguments: forbiddenToBoth) func theGoferIsKilled(attempt: String) throws {
        let result = try probe(.gofer, attempt)
        #expect(result.output == "confined\n")
        #expect(result.signal == 31, "\(attempt) ended with exit \(result.exit), signal \(result.signal)")
    }

    @Test func whatTheFilterLetsThroughMeetsTheNextWall() throws {
        // The Gofer may open, but its root is empty; the Sentry may trace, but sees nobody to trace.
        #expect(try probe(.gofer, "open").output == "confined\n-2\n")
        #expect(try probe(.sentry, "seize-stranger").output == "confined\n-1\n")
        #expect(try probe(.sentry, "open-as-malloc").output == "confined\n-2\n")
        #expect(try probe(.sentry, "clone3").output == "confined\n-38\n")
    }

    @Test func trapModeNamesTheCall() throws {
        let result = try probe(.sentry, "socket", mode: .trap)
        #expect(result.signal == 31)
        #expect(result.log.contains("the filter stopped system call 41 (0x2, 0x1, 0x0"))
    }
}

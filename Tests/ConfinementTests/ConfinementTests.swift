import Diagnostics
import Foundation
import Host
import LinuxABI
import Testing

@testable import Confinement

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

    /// The attempts that a filter lets through, and what the next wall answers. Everything else dies of SIGSYS, or gets the errno that its rule says.
    static let nextWalls: [String: [String: Errno]] = [
        // No host path leads anywhere in the empty root; no stranger has a number in the process's own PID namespace; descriptor 0 is /dev/null.
        "sentry": [
            "newfstatat-with-empty-path": .ENOENT, "statx-with-empty-path": .ENOENT, "seize-a-stranger": .ESRCH, "seize-itself": .EPERM,
            "process_vm_readv": .ESRCH, "process_vm_writev": .ESRCH, "pidfd_open": .ESRCH, "pidfd_send_signal": .EBADF, "tgkill": .ESRCH,
        ],
        "gofer": [
            "openat": .ENOENT, "openat-closing": .ENOENT, "openat-to-write": .ENOENT, "openat-climbing": .ENOENT,
            "openat-below-a-descriptor": .ENOTDIR, "openat2": .EFAULT, "newfstatat": .ENOENT, "newfstatat-with-empty-path": .ENOENT,
            "statx": .ENOENT,
            "statx-with-empty-path": .ENOENT, "faccessat2": .ENOENT, "readlinkat": .EINVAL, "renameat2": .EROFS, "unlinkat": .ENOENT,
            "linkat": .ENOENT, "symlinkat": .EROFS, "mkdirat": .EROFS, "mknodat-a-disk": .EROFS, "fchmodat": .ENOENT, "fchownat": .ENOENT,
            "utimensat": .ENOENT, "inotify_add_watch": .EINVAL, "tgkill": .ESRCH,
        ],
    ]

    /// What the rules say of a call: nil kills it.
    private func verdict(_ filter: FilterDescription, _ number: UInt64, _ arguments: [UInt64]) -> FilterRule.Outcome? {
        filter.rules.first { rule in
            rule.call.rawValue == number
                && rule.checks.allSatisfy { check in
                    let value = check.index < arguments.count ? arguments[check.index] : 0
                    switch check.comparison {
                    case .masked(let mask, let wanted): return value & mask == wanted
                    case .atMost(let most): return value <= most
                    }
                }
        }?.outcome
    }

    /// Name, number, arguments; an address counts as not zero.
    private static let attempts: [(name: String, number: UInt64, arguments: [UInt64])] = {
        let list = Process()
        list.executableURL = URL(fileURLWithPath: String(decoding: probePath, as: UTF8.self))
        list.arguments = ["list"]
        let pipe = Pipe()
        list.standardOutput = pipe
        guard (try? list.run()) != nil else { return [] }
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        list.waitUntilExit()
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 2, let number = UInt64(words[1]) else { return nil }
            return (String(words[0]), number, words.dropFirst(2).map { $0 == "-" ? 0x7fff_0000_1000 : UInt64(bitPattern: Int64($0) ?? 0) })
        }
    }()

    @Test(arguments: ["sentry", "gofer"]) func theBreachMatrix(role name: String) throws {
        #expect(Self.attempts.count > 150 && Set(Self.attempts.map(\.name)).count == Self.attempts.count)
        let role: ProcessSpawner.Role = name == "sentry" ? .sentry : .gofer
        let filter = name == "sentry" ? SentryFilter.description : GoferFilter.description
        var walls = Self.nextWalls[name] ?? [:]
        for attempt in Self.attempts {
            let result = try probe(role, attempt.name)
            let wall = walls.removeValue(forKey: attempt.name)
            func expect(_ errno: Errno, _ holder: String) {
                let wanted = "confined\n-\(errno.rawValue)\n"
                #expect(result.output == wanted, "\(attempt.name): \(holder) should answer \(errno); signal \(result.signal)")
            }
            switch verdict(filter, attempt.number, attempt.arguments) {
            case nil:
                #expect(wall == nil, "\(attempt.name) is no longer let through: its expectation is of no use")
                #expect(
                    result.output == "confined\n" && result.signal == 31,
                    "\(attempt.name) ended with exit \(result.exit), signal \(result.signal), \(result.output)")
            case .fail(let errno): expect(errno, "the filter")
            case .allow:
                guard let wall else {
                    Issue.record("\(attempt.name) is let through, and nothing says which wall is next: \(result.output)")
                    continue
                }
                expect(wall, "the next wall")
            }
        }
        #expect(walls.isEmpty, "expectations of attempts that nobody makes: \(walls.keys.sorted())")
    }

    /// Attempts that are more than one call, or no call of this architecture.
    @Test(arguments: ["sentry", "gofer"]) func otherEntries(role name: String) throws {
        let role: ProcessSpawner.Role = name == "sentry" ? .sentry : .gofer
        for attempt in ["int80-getpid", "int80-open", "int80-execve", "code-in-a-memory-file", "program-in-a-memory-file"] {
            let result = try probe(role, attempt)
            #expect(
                result.output == "confined\n" && result.signal == 31,
                "\(attempt) ended with exit \(result.exit), signal \(result.signal), \(result.output)")
        }
    }

    @Test func trapModeNamesTheCall() throws {
        let result = try probe(.sentry, "socket-inet", mode: .trap)
        #expect(result.signal == 31)
        #expect(result.log.contains("the filter stopped system call 41 (0x2, 0x1, 0x0"))
    }
}

import Foundation
import Testing

/// What there is on the machine that a sandbox could leave behind. The tests run in a PID namespace of their own, so that all processes seen
/// here are theirs, and in a mount namespace of their own.
struct MachineState: Sendable {
    var processes: [Int32: String] = [:]
    var mounts: Set<String> = []
    var sockets: Set<String> = []
    var cgroups: Set<String> = []
    var stateFiles: Set<String> = []

    static func take() -> MachineState {
        var state = MachineState()
        let manager = FileManager.default
        for name in (try? manager.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let process = Int32(name), let stat = readText("/proc/\(name)/stat") else { continue }
            let command = stat.split(separator: "(").dropFirst().joined().prefix { $0 != ")" }
            state.processes[process] = String(command)
        }
        for line in (readText("/proc/self/mountinfo") ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count > 4 { state.mounts.insert(String(fields[4])) }
        }
        for line in (readText("/proc/net/unix") ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count > 7, fields[7].contains(Workspace.folder) {
                state.sockets.insert(String(fields[7]))
            }
        }
        for root in ["/sys/fs/cgroup"] {
            guard let walker = manager.enumerator(atPath: root) else { continue }
            for case let path as String in walker {
                if walker.level > 4 { walker.skipDescendants() }
                if path.contains(Workspace.run) {
                    state.cgroups.insert(root + "/" + path)
                    walker.skipDescendants()
                }
            }
        }
        for folder in ["/run/nestbox", "/var/run/nestbox"] {
            for name in (try? manager.contentsOfDirectory(atPath: folder)) ?? [] where name.contains(Workspace.run) {
                state.stateFiles.insert(folder + "/" + name)
            }
        }
        return state
    }

    /// What is there now and was not before.
    func leftovers(since before: MachineState) -> [String] {
        var lines: [String] = []
        for (process, name) in processes where before.processes[process] == nil { lines.append("process \(process) \(name)") }
        lines += mounts.subtracting(before.mounts).map { "mount \($0)" }
        lines += sockets.subtracting(before.sockets).map { "socket \($0)" }
        lines += cgroups.subtracting(before.cgroups).map { "cgroup \($0)" }
        lines += stateFiles.subtracting(before.stateFiles).map { "state \($0)" }
        return lines.sorted()
    }

    /// The leftovers once the machine had a moment to finish what was asked of it.
    static func leftovers(since before: MachineState, within seconds: Double = 2) -> [String] {
        // Everything but processes is taken away by commands that have returned; processes may be about to end.
        let new = take().processes.keys.filter { before.processes[$0] == nil }
        _ = Wait.end(of: Array(new), within: seconds)
        Orphans.reap()
        return take().leftovers(since: before)
    }

    static func readText(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// Fails each test after which there is something on the machine that was not there before, and makes the known failures of
/// `expectations/` known to the test run.
struct LeavesNothingBehind: TestTrait, SuiteTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        guard TestEnvironment.isComplete else {
            throw HarnessError(
                "nothing to test: no executables in \(TestEnvironment.executables), or no NESTBOX_ROOTFS; run `make integration`")
        }
        Orphans.adopt()
        let before = MachineState.take()
        try await function()
        let leftovers = MachineState.leftovers(since: before)
        #expect(leftovers.isEmpty, "left behind: \(leftovers.joined(separator: ", "))", sourceLocation: test.sourceLocation)
        // What one test leaves must not fail the next one.
        for line in leftovers where line.hasPrefix("process ") {
            if let process = Int32(line.split(separator: " ")[1]) { kill(process, SIGKILL) }
        }
    }
}

extension Trait where Self == LeavesNothingBehind {
    static var leavesNothingBehind: Self { Self() }
}

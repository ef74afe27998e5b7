import Diagnostics
import SupervisorOCI
import Testing

@testable import SupervisorRuntime

@Suite struct LifecycleTests {
    /// The whole table: for each operation, what becomes of each status; a status that is left out refuses.
    static let table: [LifecycleOperation: [LifecycleStatus: LifecycleStatus]] = [
        .start: [.created: .running],
        .exec: [.created: .created, .running: .running],
        .kill: [.created: .created, .running: .running, .paused: .paused],
        .delete: [.created: .stopped, .stopped: .stopped],
        .forcedDelete: [.creating: .stopped, .created: .stopped, .running: .stopped, .paused: .stopped, .stopped: .stopped],
        .pause: [.created: .paused, .running: .paused],
        .resume: [.paused: .running],
        .update: [.created: .created, .running: .running, .paused: .paused],
        .list: [.creating: .creating, .created: .created, .running: .running, .paused: .paused, .stopped: .stopped],
        .wait: [.creating: .creating, .created: .created, .running: .running, .paused: .paused, .stopped: .stopped],
    ]

    @Test(arguments: LifecycleOperation.allCases, LifecycleStatus.allCases)
    func transition(operation: LifecycleOperation, status: LifecycleStatus) {
        let expected = Self.table[operation]?[status]
        #expect(Lifecycle.next(status, operation) == expected)
        if expected == nil {
            let error = #expect(throws: SandboxError.self) { try Lifecycle.require(operation, of: "x", in: status) }
            #expect(error?.code == .wrongState)
        } else {
            #expect(throws: Never.self) { try Lifecycle.require(operation, of: "x", in: status) }
        }
    }

    /// Texts that engines look for.
    @Test(arguments: [
        (LifecycleOperation.kill, LifecycleStatus.stopped, "container not running"),
        (.pause, .stopped, "container not running"),
        (.resume, .running, "container not paused"),
        (.start, .stopped, "cannot start a container that has stopped"),
        (.start, .running, "cannot start an already running container"),
        (.delete, .running, "cannot delete container x that is not stopped: running"),
        (.exec, .stopped, "cannot exec in a stopped container"),
    ])
    func errorText(operation: LifecycleOperation, status: LifecycleStatus, text: String) {
        let error = #expect(throws: SandboxError.self) { try Lifecycle.require(operation, of: "x", in: status) }
        #expect(error?.message == text)
    }

    @Test(arguments: ["a", "my-container_1.2+3", String(repeating: "a", count: 128), "...a"])
    func goodIdentifier(text: String) { #expect(throws: Never.self) { try ContainerIdentifier.check(text) } }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "ä", "a\n", "a\0", String(repeating: "a", count: 129)])
    func badIdentifier(text: String) { #expect(throws: SandboxError.self) { try ContainerIdentifier.check(text) } }

    @Test func undoRunsNewestFirstAndOnce() {
        final class Log { var lines: [String] = [] }
        let log = Log()
        var stack = UndoStack()
        stack.push("a") { log.lines.append("a") }
        stack.push("b") { log.lines.append("b") }
        stack.run()
        stack.run()
        #expect(log.lines == ["b", "a"])
        var kept = UndoStack()
        kept.push("c") { log.lines.append("c") }
        kept.keep()
        kept.run()
        #expect(log.lines == ["b", "a"])
    }
}

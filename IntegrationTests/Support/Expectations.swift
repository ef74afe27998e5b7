import Foundation
import Testing

/// The failures that are known, from `expectations/*.txt`: lines of `name  reason`. A listed case that passes fails the run, so that the
/// lists only shrink.
enum Expectations {
    static let known: [String: String] = {
        var known: [String: String] = [:]
        let folder = TestEnvironment.tree + "/IntegrationTests/expectations"
        for file in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where file.hasSuffix(".txt") {
            for line in (MachineState.readText(folder + "/" + file) ?? "").split(separator: "\n") where !line.hasPrefix("#") {
                let words = line.split(separator: " ", maxSplits: 1)
                guard let name = words.first else { continue }
                known[String(name)] = words.count > 1 ? words[1].trimmingCharacters(in: .whitespaces) : ""
            }
        }
        return known
    }()
}

/// Runs the case `name`, such as `LinuxABI/signals`, whose failure may be known.
func expecting(_ name: String, _ body: () throws -> Void) throws {
    if let reason = Expectations.known[name] {
        withKnownIssue("\(name): \(reason)") { try body() }
    } else {
        try body()
    }
}

/// Compares what a program did natively with what it did in a sandbox, line by line.
func expectSame(_ native: Outcome, _ sandboxed: Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
    guard native.standardOutput != sandboxed.standardOutput || native.status != sandboxed.status || sandboxed.timedOut else { return }
    let expected = native.output.split(separator: "\n", omittingEmptySubsequences: false)
    let got = sandboxed.output.split(separator: "\n", omittingEmptySubsequences: false)
    var lines: [String] = []
    for change in got.difference(from: expected).prefix(60) {
        switch change {
        case .remove(let offset, let line, _): lines.append("- \(offset + 1): \(line)")
        case .insert(let offset, let line, _): lines.append("+ \(offset + 1): \(line)")
        }
    }
    Issue.record(
        """
        differs from native (-) in the sandbox (+); status \(native.status) natively, \(sandboxed.status)\(sandboxed.timedOut ? " (timed out)" : "") sandboxed
        \(lines.joined(separator: "\n"))
        --- standard error in the sandbox
        \(sandboxed.errors.suffix(3000))
        """, sourceLocation: sourceLocation)
}

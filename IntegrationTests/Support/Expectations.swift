import Foundation
import Testing

/// The failures that are known, from `expectations/*.txt`. A line of `name  reason` is a whole case. A line of
/// `name | native line | sandboxed line | reason` is one difference between the two outputs of a comparison; an empty part stands for a line that
/// only the other side prints. What is listed and does not happen fails the run, so that the lists only shrink.
enum Expectations {
    struct Difference: Sendable {
        var native: String
        var sandboxed: String
        var reason: String
    }
    private struct Lists {
        var cases: [String: String] = [:]
        var differences: [String: [Difference]] = [:]
    }
    private static let lists: Lists = {
        var lists = Lists()
        let folder = TestEnvironment.tree + "/IntegrationTests/expectations"
        for file in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where file.hasSuffix(".txt") {
            for line in (MachineState.readText(folder + "/" + file) ?? "").split(separator: "\n") where !line.hasPrefix("#") {
                let parts = line.components(separatedBy: "|").map { $0.trimmingCharacters(in: .whitespaces) }
                if parts.count == 4 {
                    lists.differences[parts[0], default: []].append(Difference(native: parts[1], sandboxed: parts[2], reason: parts[3]))
                    continue
                }
                let words = line.split(separator: " ", maxSplits: 1)
                guard let name = words.first else { continue }
                lists.cases[String(name)] = words.count > 1 ? words[1].trimmingCharacters(in: .whitespaces) : ""
            }
        }
        return lists
    }()

    static func reason(_ name: String) -> String? { lists.cases[name] }
    static func differences(_ name: String) -> [Difference] { lists.differences[name] ?? [] }
}

/// Runs the case `name`, such as `LinuxABI/signals`, whose failure may be known.
func expecting(_ name: String, _ body: () throws -> Void) throws {
    if let reason = Expectations.reason(name) {
        withKnownIssue("\(name): \(reason)") { try body() }
    } else {
        try body()
    }
}

/// Compares what a program did natively with what it did in a sandbox, line by line, but for the known differences of the case `name`.
func expectSame(_ name: String, _ native: Outcome, _ sandboxed: Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
    let known = TestEnvironment.runsNativelyOnly ? [] : Expectations.differences(name)
    let isSame = native.standardOutput == sandboxed.standardOutput && native.status == sandboxed.status && !sandboxed.timedOut
    if isSame, known.isEmpty { return }
    let expected = native.output.split(separator: "\n", omittingEmptySubsequences: false)
    let got = sandboxed.output.split(separator: "\n", omittingEmptySubsequences: false)
    var missing: [(text: String, line: String)] = []
    var added: [(text: String, line: String)] = []
    for change in got.difference(from: expected) {
        switch change {
        case .remove(let offset, let line, _): missing.append((String(line), "- \(offset + 1): \(line)"))
        case .insert(let offset, let line, _): added.append((String(line), "+ \(offset + 1): \(line)"))
        }
    }
    for difference in known {
        let old = missing.firstIndex { $0.text.trimmingCharacters(in: .whitespaces) == difference.native }
        let new = added.firstIndex { $0.text.trimmingCharacters(in: .whitespaces) == difference.sandboxed }
        guard difference.native.isEmpty == (old == nil), difference.sandboxed.isEmpty == (new == nil) else {
            Issue.record(
                "\(name): the known difference \"\(difference.native)\" / \"\(difference.sandboxed)\" is not there any more: take it off the list",
                sourceLocation: sourceLocation)
            continue
        }
        withKnownIssue("\(name): \(difference.reason)") { Issue.record("\(difference.native) / \(difference.sandboxed)") }
        if let old { missing.remove(at: old) }
        if let new { added.remove(at: new) }
    }
    if missing.isEmpty, added.isEmpty, native.status == sandboxed.status, !sandboxed.timedOut { return }
    let lines = (missing + added).prefix(60).map(\.line)
    Issue.record(
        """
        differs from native (-) in the sandbox (+); status \(native.status) natively, \(sandboxed.status)\(sandboxed.timedOut ? " (timed out)" : "") sandboxed
        \(lines.joined(separator: "\n"))
        --- standard error in the sandbox
        \(sandboxed.errors.suffix(3000))
        """, sourceLocation: sourceLocation)
}

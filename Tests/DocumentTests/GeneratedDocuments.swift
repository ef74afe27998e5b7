import Foundation
import LinuxABI
import Testing

/// The documents that are made from the code. `make docs` writes them, this suite fails when they are stale.
@Suite struct GeneratedDocuments {
    /// Compares a document with what the code says now, or writes it.
    private func hold(_ name: String, _ text: String) throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/\(name)").standardized
            .path
        let text = text.trimmingCharacters(in: .whitespacesAndNewlines) + "\n"
        if ProcessInfo.processInfo.environment["NESTBOX_WRITE_DOCUMENTS"] == "1" {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } else {
            let there = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
            #expect(there == text, "docs/\(name) is stale: run `make docs`")
        }
    }

    @Test func wireProtocol() throws { try hold("wire-protocol.md", WireProtocolDocument.text) }

    @Test func isolation() throws { try hold("isolation.md", IsolationDocument.text) }

    @Test func compatibility() throws { try hold("compatibility.md", CompatibilityDocument.text) }
}

import Foundation
import Testing

@testable import Confinement

/// The compiled filters are what libseccomp makes of the rules. NESTBOX_WRITE_DOCUMENTS=1 (`make docs`) writes them anew.
@Suite struct GeneratedDocumentsOfFilters {
    private func literal(_ name: String, _ filter: CompiledFilter) -> String {
        let words = filter.instructions.map { "0x" + String($0, radix: 16) }
        let lines = stride(from: 0, to: words.count, by: 6).map {
            "            " + words[$0..<min($0 + 6, words.count)].joined(separator: ", ") + ",\n"
        }
        return """
                static let \(name) = CompiledFilter(
                    fingerprint: 0x\(String(filter.fingerprint, radix: 16)),
                    instructions: [
            \(lines.joined())        ])

            """
    }

    @Test func compiledFiltersAreUpToDate() throws {
        let sentry = try SystemCallFilter.compile(SentryFilter.description)
        let gofer = try SystemCallFilter.compile(GoferFilter.description)
        #expect(sentry.instructions.count > 100 && gofer.instructions.count > 50)
        if ProcessInfo.processInfo.environment["NESTBOX_WRITE_DOCUMENTS"] == "1" {
            let text = """
                // Made by `make docs` from SentryFilter.swift and GoferFilter.swift: do not edit.
                // swift-format-ignore-file

                /// The filters, compiled.
                enum CompiledFilters {
                \(literal("sentry", sentry))
                \(literal("gofer", gofer))}

                """
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../Sources/Common/Confinement/CompiledFilters.swift").standardized
            try Data(text.utf8).write(to: file)
            return
        }
        #expect(SentryFilter.description.compiled?.instructions == sentry.instructions, "run `make docs`")
        #expect(GoferFilter.description.compiled?.instructions == gofer.instructions, "run `make docs`")
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// What the calls cost that programs make most, in instructions: unlike times these are the same on every machine, so that a loss shows. From the
    /// moment that guest code stops until it goes on, without the platform.
    @Suite struct HotCalls {
        /// Most instructions, atomic ones among them, and allocations of a call: what was measured, and a tenth.
        private static let bounds: [(name: String, instructions: Int, atomics: Int, allocations: Int)] = [
            ("getppid", 590, 8, 0), ("read", 1320, 16, 0), ("write", 1020, 13, 0), ("pread", 1890, 22, 0),
            ("stat", 3910, 60, 0), ("stat-missing", 3320, 50, 0),
            ("futex-wake", 1110, 13, 0), ("futex-wait", 1000, 8, 0),
            ("pipe-write", 1680, 17, 0), ("pipe-read", 1570, 17, 0),
            ("eventfd-write", 1770, 28, 0), ("epoll-wait", 1850, 31, 0), ("eventfd-read", 1500, 18, 0),
            ("rename", 15700, 219, 5), ("open", 6060, 94, 2), ("close", 1390, 24, 0), ("getdents64", 3260, 30, 1),
            ("kill", 8190, 75, 3), ("rt_sigreturn", 6690, 41, 4),
        ]

        @Test func staysCheap() throws {
            let outcome = try execute([TestEnvironment.executables + "/HotCalls"], timeout: 60)
            try #require(outcome.status == 0, outcome.report)
            var found: [String: [Int]] = [:]
            for line in outcome.output.split(separator: "\n") {
                let words = line.split(separator: " ")
                found[String(words[0])] = words.dropFirst().compactMap { Int($0) }
            }
            for bound in Self.bounds {
                // Instructions, atomic ones, allocations, references, host calls.
                let counts = try #require(found[bound.name], outcome.report)
                try #require(counts.count == 5, outcome.report)
                #expect(
                    counts[0] <= bound.instructions,
                    "\(bound.name) takes \(counts[0]) instructions; at most \(bound.instructions) are promised")
                #expect(counts[1] <= bound.atomics, "\(bound.name) takes \(counts[1]) atomic instructions; at most \(bound.atomics)")
                #expect(counts[2] <= bound.allocations, "\(bound.name) allocates \(counts[2]) times; at most \(bound.allocations)")
                #expect(counts[4] == 0, "\(bound.name) makes \(counts[4]) host calls")
            }
        }
    }
}

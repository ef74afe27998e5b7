import Control
import Diagnostics
import Foundation
import Testing
import Wire

@Suite struct MessageTests {
    private func roundTrip<S: WireStructure>(_: S.Type) throws {
        let bytes = try WireSampler.sample(S.self).encoded()
        #expect(try S(decoding: bytes).encoded() == bytes)
        #expect(try S(decoding: bytes + [1, 2, 3]).encoded() == bytes, "\(S.self): what is appended later must be skipped")
        for count in 0..<bytes.count { #expect(throws: WireError.self) { try S(decoding: Array(bytes.prefix(count))) } }
    }

    @Test func everyMessageSurvivesTheWire() throws {
        for type in ControlCatalog.structures { try roundTrip(type) }
    }

    private func fuzz<S: WireStructure>(_: S.Type, _ generator: inout some RandomNumberGenerator) throws {
        let sample = try WireSampler.sample(S.self).encoded()
        for _ in 0..<300 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            // Whatever is accepted is a value that can be sent on, and means the same again.
            if let value = try? S(decoding: bytes), let again = try? value.encoded() {
                #expect((try? S(decoding: again).encoded()) == again)
            }
        }
    }

    @Test func damagedMessagesNeverCrash() throws {
        var generator = SystemRandomNumberGenerator()
        for type in ControlCatalog.structures { try fuzz(type, &generator) }
    }

    @Test func messagesPrintAsJSON() throws {
        var report = ExitReport()
        report.container = "a\"b"
        report.status = 3
        let json = String(decoding: JSONVisitor.json(report), as: UTF8.self)
        #expect(json.hasPrefix("{\"container\":\"a\\\"b\",\"pid\":0,\"status\":3,\"signal\":0,\"reason\":\"alive\""))
    }

    @Test func optionsSayWhatIsWrong() throws {
        let options = try SentryOptions.parse(["--control-fd", "3", "--log=debug", "--strace", "--platform", "ptrace"])
        #expect(options.common.controlDescriptor == 3 && options.common.logLevel == .debug && options.strace)
        for wrong in [["--nonsense"], ["--log", "loud"], ["--log"], ["--strace=1"], ["--control-fd", "-1"], ["--platform", "vax"]] {
            #expect(throws: OptionError.self) { try SentryOptions.parse(wrong) }
        }
        let gofer = try GoferOptions.parse(["--tree", "/a:ro", "--tree", "/b"])
        #expect(gofer.trees.map(\.readOnly) == [true, false])
        #expect(throws: OptionError.self) { try GoferOptions.parse(["--tree", "relative"]) }
    }
}

@Suite struct GeneratedDocumentsOfControl {
    /// The bytes of the control messages. A change here is a change of the protocol: after a release, append in a new minor version instead.
    /// NESTBOX_WRITE_DOCUMENTS=1 writes the file anew.
    @Test func bytesStay() throws {
        func line(_ type: any WireStructure.Type) -> String { GoldenVectors.line(type) }
        let now = ControlCatalog.structures.map { line($0) + "\n" }.joined()
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("golden-vectors.txt")
        if ProcessInfo.processInfo.environment["NESTBOX_WRITE_DOCUMENTS"] == "1" { try Data(now.utf8).write(to: file) }
        #expect(try String(contentsOf: file, encoding: .utf8) == now)
    }
}

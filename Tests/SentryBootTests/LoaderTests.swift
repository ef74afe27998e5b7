import LinuxABI
import SentryPlatform
import Testing

@testable import SentryBoot

@Suite struct ScriptHeaderTests {
    @Test(
        arguments: [
            ("#!/bin/sh\n", "/bin/sh", nil), ("#! /usr/bin/env  python3 -u \nrest", "/usr/bin/env", "python3 -u"),
            ("#!/bin/sh", "/bin/sh", nil), ("#!\t/bin/awk -f\n", "/bin/awk", "-f"),
        ] as [(String, String, String?)])
    func parses(text: String, interpreter: String, argument: String?) throws {
        let header = try #require(try ScriptHeader.parse(Array(text.utf8).span))
        #expect(header == ScriptHeader(interpreter: Array(interpreter.utf8), argument: argument.map { Array($0.utf8) }))
    }

    @Test func refusesAnEmptyOrCutOffName() throws {
        #expect(throws: Errno.ENOEXEC) { try ScriptHeader.parse(Array("#!  \n".utf8).span) }
        let long = Array("#!".utf8) + [UInt8](repeating: UInt8(ascii: "a"), count: 254)
        #expect(throws: Errno.ENOEXEC) { try ScriptHeader.parse(long.span) }
        #expect(try ScriptHeader.parse(Array("\u{7f}ELF".utf8).span) == nil)
    }
}

@Suite struct InitialStackTests {
    private func word(_ result: InitialStack.Result, _ index: Int) -> UInt64 { result.bytes.span.little64(index * 8) }
    private func string(_ result: InitialStack.Result, at address: UInt64) -> String {
        String(decoding: result.bytes[Int(address - result.pointer)...].prefix { $0 != 0 }, as: UTF8.self)
    }

    @Test func laysOutVectorsAndStrings() {
        let stack = InitialStack(
            arguments: [Array("prog".utf8), Array("-x".utf8)], environment: [Array("A=b".utf8)], executableName: Array("/bin/prog".utf8),
            random: Array(0..<16), auxiliary: [(AuxiliaryKey.AT_PAGESZ, 4096)])
        let result = stack.build(top: 0x7fff_0000_0000)
        #expect(result.pointer % 16 == 0)
        #expect(result.pointer + UInt64(result.bytes.count) == 0x7fff_0000_0000)
        #expect(word(result, 0) == 2)
        #expect(string(result, at: word(result, 1)) == "prog")
        #expect(string(result, at: word(result, 2)) == "-x")
        #expect(word(result, 3) == 0)
        #expect(string(result, at: word(result, 4)) == "A=b")
        #expect(word(result, 5) == 0)
        #expect(word(result, 6) == AuxiliaryKey.AT_PAGESZ && word(result, 7) == 4096)
        #expect(word(result, 8) == AuxiliaryKey.AT_RANDOM)
        #expect(result.bytes[Int(word(result, 9) - result.pointer)...].prefix(16).elementsEqual(0..<16))
        #expect(string(result, at: word(result, 11)) == "/bin/prog")
        #expect(result.argumentEnd - result.argumentStart == 8 && result.environmentEnd - result.environmentStart == 4)
        #expect(result.argumentStart == word(result, 1))
    }
}

@Suite struct ELFImageTests {
    /// A header with the given program headers after it.
    private func file(type: UInt16 = ELF.ET_DYN, machine: UInt16 = ELF.EM_X86_64, headers: [[UInt64]]) -> [UInt8] {
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        func put(_ value: UInt64, _ size: Int) { for i in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * i))) } }
        put(UInt64(type), 2)
        put(UInt64(machine), 2)
        put(1, 4)
        put(0x1040, 8)
        put(64, 8)
        put(0, 8)
        put(0, 4)
        put(64, 2)
        put(56, 2)
        put(UInt64(headers.count), 2)
        put(0, 6)
        for h in headers {
            put(h[0], 4)
            put(h[1], 4)
            put(h[2], 8)
            put(h[3], 8)
            put(h[3], 8)
            put(h[4], 8)
            put(h[5], 8)
            put(h[6], 8)
        }
        return bytes
    }
    private func parse(_ bytes: [UInt8]) throws(Errno) -> ELFImage {
        let header = try ELFImage.parseHeader(bytes.span)
        return try ELFImage.parse(header, programHeaders: bytes.span.extracting(droppingFirst: 64), maximumAddress: 1 << 47)
    }

    @Test func readsSegmentsAndInterpreter() throws {
        let image = try parse(
            file(headers: [
                [3, 4, 0x300, 0x300, 0x1c, 0x1c, 1], [1, 4, 0, 0, 0x1000, 0x1000, 0x1000], [1, 6, 0x1df0, 0x2df0, 0x220, 0x400, 0x1000],
                [0x6474_e551, 6, 0, 0, 0, 0, 16],
            ]))
        #expect(image.isRelocatable && image.segments.count == 2 && image.interpreter == 0x300..<0x31c)
        #expect(image.segments[1].protection == [.read, .write] && !image.wantsExecutableStack)
        #expect(image.programHeadersAddress == 64 && image.extent == 0..<0x4000)
    }

    @Test func refusesWhatIsNotAProgram() {
        #expect(throws: Errno.ENOEXEC) { try ELFImage.parseHeader([0x7f, 0x45].span) }
        #expect(throws: Errno.ENOEXEC) { try parse(file(machine: 183, headers: [[1, 5, 0, 0, 1, 1, 0x1000]])) }
        #expect(throws: Errno.ENOEXEC) { try parse(file(headers: [[3, 4, 0x300, 0x300, 0x1c, 0x1c, 1]])) }
        // File size above memory size, an address that wraps, segments that go down, offset and address that do not agree.
        #expect(throws: Errno.ENOEXEC) { try parse(file(headers: [[1, 5, 0, 0, 2, 1, 0x1000]])) }
        #expect(throws: Errno.ENOEXEC) { try parse(file(headers: [[1, 5, 0, ~0xfff, 0x1000, 0x2000, 0x1000]])) }
        #expect(throws: Errno.ENOEXEC) { try parse(file(headers: [[1, 5, 0, 0x5000, 1, 1, 1], [1, 5, 0, 0x1000, 1, 1, 1]])) }
        #expect(throws: Errno.ENOEXEC) { try parse(file(headers: [[1, 5, 0x10, 0x1020, 1, 1, 1]])) }
    }

    @Test func survivesRandomBytes() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var bytes = file(headers: [[1, 5, 0, 0, 0x1000, 0x1000, 0x1000], [3, 4, 0x300, 0x300, 0x1c, 0x1c, 1]])
            for _ in 0..<8 { bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator) }
            _ = try? parse(bytes)
        }
    }
}

import Host
import LinuxABI
import SentryMemory
import SentryPlatform
import Testing

@Suite struct MappedCodeTests {
    private static let word: UInt32 = 0x5305_3053
    private static let bytes: [UInt8] = [0x53, 0x30, 0x05, 0x53]

    private static func holds(_ content: [UInt8]) throws -> Bool {
        let space = try makeSpace()
        defer { space.destroy() }
        let length = (UInt64(content.count) + pageSize - 1) / pageSize * pageSize
        let address = try space.map(MapRequest(length: length, protection: rw, flags: anonymous))
        try space.copyOut(content, to: address)
        return try #require(space.holdsWord(word, at: address, length: length))
    }

    @Test(arguments: [0, 1, 4095, 65531, 65532, 65533, 65534, 65535, 65536, 70000, 139_996]) func wordsAreFoundAnywhere(_ place: Int) throws
    {
        var content = [UInt8](repeating: 0x53, count: 140_000)
        #expect(try !Self.holds(content))
        content.replaceSubrange(place..<place + 4, with: Self.bytes)
        #expect(try Self.holds(content))
    }

    @Test(arguments: [1, 4095, 65532, 65535, 65536]) func constantsThatAreLoadedAreNot(_ place: Int) throws {
        var content = [UInt8](repeating: 0, count: 140_000)
        content.replaceSubrange(place..<place + 4, with: Self.bytes)
        content[place - 1] = 0xba  // mov $word,%edx
        #expect(try !Self.holds(content))
        content.replaceSubrange(place + 100..<place + 104, with: Self.bytes)
        #expect(try Self.holds(content))
    }

    @Test func onlyExecutablePartsOfFilesAreCode() throws {
        let space = try makeSpace()
        defer { space.destroy() }
        let file = try FakeFile(space.memoryFile, [UInt8](repeating: 1, count: 10_000))
        _ = try space.map(MapRequest(length: 4096, protection: [.read, .execute], flags: anonymous))
        _ = try space.map(MapRequest(length: 4096, protection: [.read], flags: .MAP_PRIVATE, object: file))
        let address = try space.map(
            MapRequest(length: 8192, protection: [.read, .execute], flags: .MAP_PRIVATE, object: file, offset: 4096))
        let found = space.mappedCode()
        #expect(found.map(\.address) == [address])
        #expect(found.first?.code == AddressSpace.MappedCode(file: file.mappingIdentity, size: 10_000, offset: 4096, length: 8192))
        #expect(space.mappedCode(from: address + 8192).isEmpty)
        #expect(space.mappedCode(from: 0, to: address).isEmpty)
        #expect(space.mappedCode(from: address + 4096).count == 1)
    }
}

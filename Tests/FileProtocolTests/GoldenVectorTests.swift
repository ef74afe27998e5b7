import FileProtocol
import Testing
import Wire

/// The bytes of the released version. Where this fails, the protocol changed: append fields in a new minor version instead.
@Suite struct GoldenVectorTests {
    private func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private func vectors<R: FileRequest>(_: R.Type, minor: UInt16) throws -> String {
        let request = try FrameSender.encode(WireSampler.sample(R.self), type: R.type.rawValue, tag: 7, minor: minor)
        let reply = try FrameSender.encode(
            WireSampler.sample(R.Reply.self), type: R.type.rawValue, flags: FrameHeader.replyFlag, tag: 7, descriptors: R.donates ? 1 : 0,
            minor: minor)
        return "\(R.type) \(hex(request)) \(hex(reply))"
    }

    @Test func bytesOfVersionOneStay() throws {
        let now = try FileMessageCatalog.requests.map { try vectors($0, minor: 0) }
        #expect(now == goldenVectors)
    }

    /// Of the messages that have grown since.
    @Test func bytesOfMinorVersionsStay() throws {
        let now = try FileMessageCatalog.requests.map { (try vectors($0, minor: 0), try vectors($0, minor: 1)) }.filter { $0 != $1 }
            .map { $1 }
        #expect(now == goldenVectorsOfMinorOne)
    }

    @Test func everyMessageIsInTheCatalogOnce() {
        let types = FileMessageCatalog.requests.map { $0.type.rawValue }
        #expect(Set(types).count == types.count)
        #expect(Set(types) == Set(MessageType.allCases.map(\.rawValue)).subtracting([MessageType.hello.rawValue]))
    }

    private func roundTrip<R: WireStructure>(_: R.Type) throws {
        let bytes = try WireSampler.sample(R.self).encoded()
        #expect(try R(decoding: bytes).encoded() == bytes)
        // Fields that a later minor version appends are skipped.
        #expect(try R(decoding: bytes + [1, 2, 3]).encoded() == bytes)
        // Every cut is an error, never a crash.
        for count in 0..<bytes.count { _ = try? R(decoding: Array(bytes.prefix(count))) }
    }

    private func roundTrips<R: FileRequest>(_: R.Type) throws {
        try roundTrip(R.self)
        try roundTrip(R.Reply.self)
    }

    @Test func everyMessageReadsBack() throws {
        for type in FileMessageCatalog.requests { try roundTrips(type) }
    }

    private func fuzz<R: FileRequest>(_: R.Type, _ bytes: [UInt8]) {
        if let request = try? R(decoding: bytes) { #expect((try? request.encoded()) != nil) }
        if let reply = try? R.Reply(decoding: bytes) { #expect((try? reply.encoded()) != nil) }
    }

    @Test func randomBytesNeverCrash() {
        var generator = Generator(seed: 7)
        for type in FileMessageCatalog.requests {
            for _ in 0..<500 {
                let count = Int.random(in: 0...96, using: &generator)
                fuzz(type, (0..<count).map { _ in Bool.random(using: &generator) ? 0 : UInt8.random(in: 0...255, using: &generator) })
            }
        }
    }
}

/// A small generator with a seed (SplitMix64).
struct Generator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

import Testing
import Wire

/// A message with every kind of field, the last one appended later.
private struct Everything: WireStructure, Equatable {
    struct Inner: WireStructure, Equatable {
        var a: UInt16 = 0
        var extra: UInt32 = 7
        static var summary: String { "inner" }
        mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
            try v.integer("a", &a)
            guard v.appended(inMinor: 1) else { return }
            try v.integer("extra", &extra)
        }
    }
    enum Colour: UInt8, WireEnumeration { case red = 1, blue = 2 }
    struct Bits: OptionSet, Sendable, Equatable {
        let rawValue: UInt16
        static let all = Bits(rawValue: 7)
    }
    var small: UInt8 = 0
    var signed: Int64 = 0
    var flag = false
    var name: [UInt8] = []
    var title = ""
    var colour = Colour.red
    var bits: Bits = []
    var numbers: [UInt32] = []
    var strings: [[UInt8]] = []
    var inner = Inner()
    var place = Inner()
    var list: [Inner] = []
    var maybe: Inner?
    var late: UInt32 = 99

    static var summary: String { "everything" }
    mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("small", &small, in: 0...100, "a small one")
        try v.integer("signed", &signed)
        try v.boolean("flag", &flag)
        try v.bytes("name", &name, maximum: 16)
        try v.text("title", &title, maximum: 100_000)
        try v.enumeration("colour", &colour)
        try v.flags("bits", &bits, allowed: .all)
        try v.integers("numbers", &numbers, maximum: 8)
        try v.byteStrings("strings", &strings, maximum: 8, each: 8)
        try v.structure("inner", &inner)
        try v.inline("place", &place)
        try v.structures("list", &list, maximum: 4)
        try v.optional("maybe", &maybe)
        guard v.appended(inMinor: 2) else { return }
        try v.integer("late", &late)
    }
}

@Suite struct WireTests {
    @Test func roundTrip() throws {
        let sample = WireSampler.sample(Everything.self)
        #expect(try Everything(decoding: sample.encoded()) == sample)
    }

    @Test func olderReaderSkipsWhatIsNew() throws {
        var sample = WireSampler.sample(Everything.self)
        let bytes = try sample.encoded() + [1, 2, 3]
        #expect(try Everything(decoding: bytes) == sample)
        // An older writer leaves the appended field out, and the reader keeps its default.
        sample.late = 99
        #expect(try Everything(decoding: sample.encoded(minor: 1)) == sample)
    }

    @Test func everyTruncationIsRefusedOrAnOlderMessage() throws {
        let whole = try WireSampler.sample(Everything.self).encoded()
        for length in 0..<whole.count {
            let part = Array(whole.prefix(length))
            if length == whole.count - 4 { continue }
            #expect(throws: WireError.self) { try Everything(decoding: part) }
        }
    }

    @Test func randomBytesNeverCrash() {
        var generator = SystemRandomNumberGenerator()
        for round in 0..<20_000 {
            let bytes = (0..<(round % 120)).map { _ in UInt8.random(in: 0...(round % 2 == 0 ? 255 : 3), using: &generator) }
            if let value = try? Everything(decoding: bytes), let again = try? value.encoded() {
                #expect((try? Everything(decoding: again)) == value)
            }
        }
    }

    @Test func boundsAreChecked() throws {
        var value = Everything()
        value.small = 101
        #expect(throws: WireError.self) { try value.encoded() }
        value.small = 1
        value.name = [UInt8](repeating: 0, count: 17)
        #expect(throws: WireError.self) { try value.encoded() }
        // A count of 4 GiB allocates nothing.
        #expect(throws: WireError.self) { try Everything(decoding: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]) }
    }

    @Test func headerIsSixteenBytes() throws {
        let header = FrameHeader(length: 0x0102_0304, type: 5, flags: 1, tag: 9, descriptors: 2)
        let bytes = try header.encoded()
        #expect(bytes == [4, 3, 2, 1, 5, 0, 1, 0, 9, 0, 0, 0, 2, 0, 0, 0])
        #expect(try FrameHeader(decoding: bytes) == header)
        #expect(throws: WireError.self) { try FrameHeader(decoding: [4, 3, 2, 1, 5, 0, 1, 0, 9, 0, 0, 0, 2, 0, 0, 1]) }
    }

    @Test func handshake() throws {
        let mine = Hello(major: 1, minor: 3, features: 0b110, maximumFrame: 1 << 20, maximumDescriptors: 16)
        let peer = Hello(major: 1, minor: 2, features: 0b011, maximumFrame: 64 << 10, maximumDescriptors: 4)
        #expect(try mine.agree(with: peer) == Hello.Agreement(minor: 2, features: 0b010, maximumFrame: 64 << 10, maximumDescriptors: 4))
        #expect(throws: WireError.self) {
            try mine.agree(with: Hello(major: 2, minor: 0, features: 0, maximumFrame: 1 << 20, maximumDescriptors: 1))
        }
    }

    @Test func documentNamesEveryField() {
        var document = WireDocument()
        document.add(Everything.self)
        for field in ["small", "signed", "maybe", "late", "extra"] { #expect(document.markdown.contains("`\(field)`")) }
        #expect(document.markdown.contains("since minor 2"))
    }
}

import FileProtocol
import GoferFileServer
import Host
import LinuxABI
import Synchronization
import Testing
import Wire

@Suite(.serialized) struct HostileTests {
    /// A thread of the host swaps a directory with a symbolic link to / while the client walks through it.
    @Test func symlinkRaceNeverEscapes() throws {
        let pair = try Pair()
        try pair.directory.makeDirectory("real")
        try pair.directory.makeDirectory("real/etc")
        try pair.directory.makeFile("real/etc/passwd", "inside")
        try pair.directory.makeLink("link", to: "/")
        final class Flag: Sendable { let value = Atomic<Bool>(false) }
        let flag = Flag()
        let base = pair.directory.descriptor
        try startThread {
            while !flag.value.load(ordering: .relaxed) {
                try? HostCall.rename(
                    Array("real".utf8), at: base.rawValue, to: Array("link".utf8), at: base.rawValue, flags: RenameFlag.RENAME_EXCHANGE)
            }
        }
        let device = try HostCall.statx(at: AtFlag.AT_FDCWD, Array("/etc".utf8), flags: 0).stx_ino
        var reached = 0
        for _ in 0..<5000 {
            let reply = try pair.walk("real/etc/passwd")
            if reply.nodes.count >= 2 { #expect(reply.nodes[1].attributes.inode != device) }
            if reply.nodes.count == 3, let last = reply.nodes.last {
                if let file = try? pair.client.open(OpenRequest(handle: last.handle, access: .read)) {
                    #expect(try read(file.descriptor.rawValue) == "inside")
                    reached += 1
                }
            }
            for node in reply.nodes { pair.client.close(node.handle) }
        }
        flag.value.store(true, ordering: .relaxed)
        #expect(reached > 0)
    }

    /// Sends raw bytes to a server after a good greeting and tells how the connection ended.
    private func talk(_ send: (Int32) throws -> Void) throws -> ConnectionError? {
        let pair = try HostCall.socketPair()
        let ended = Pair.Ended()
        let number = try pair.second.duplicate().release()
        let directory = try TemporaryDirectory()
        let tree = ServedTree(root: directory.descriptor, flags: [])
        try startThread {
            do {
                try FileServerConnection(OwnedDescriptor(adopting: number), service: FileServer(trees: [tree])).run()
                ended.set(nil)
            } catch { ended.set(error as? ConnectionError ?? .closed) }
        }
        try send(pair.first.rawValue)
        _ = HostCall.raw(.shutdown, Int(pair.first.rawValue), 1)
        return ended.wait()
    }

    private func greet(_ socket: Int32) throws {
        try FrameSender.send(socket, try FrameSender.encode(FileProtocolVersion.hello, type: Hello.frameType))
    }

    @Test func brokenFramesCloseTheConnection() throws {
        #expect(try talk { _ in } == nil)
        let noHello = try talk { try FrameSender.send($0, try FrameSender.encode(StatRequest(handle: 1), type: 6)) }
        #expect("\(noHello, default: "nil")".contains("Hello"))
        let version = try talk {
            let hello = Hello(major: 99, minor: 0, features: 0, maximumFrame: 1 << 16, maximumDescriptors: 4)
            try FrameSender.send($0, try FrameSender.encode(hello, type: Hello.frameType))
        }
        #expect("\(version, default: "nil")".contains("99"))
        let short = try talk {
            try greet($0)
            try FrameSender.send($0, [1, 2, 3])
        }
        #expect("\(short, default: "nil")".contains("closed"))
        let huge = try talk {
            try greet($0)
            try FrameSender.send($0, [0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        }
        #expect("\(huge, default: "nil")".contains("too long"))
        let missing = try talk {
            try greet($0)
            try FrameSender.send($0, [0, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])
        }
        #expect("\(missing, default: "nil")".contains("did not come"))
        let surplus = try talk {
            try greet($0)
            try FrameSender.send($0, try FrameSender.encode(StatRequest(handle: 1), type: 6), descriptors: [$0, $0])
        }
        #expect("\(surplus, default: "nil")".contains("no frame announced"))
        let reply = try talk {
            try greet($0)
            try FrameSender.send($0, try FrameSender.encode(StatRequest(handle: 1), type: 6, flags: 1))
        }
        #expect("\(reply, default: "nil")".contains("not a request"))
        let field = try talk {
            try greet($0)
            try FrameSender.send($0, [4, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        #expect("\(field, default: "nil")".contains("handle"))
    }

    /// An unknown type is answered, since a newer client may ask; random bodies never stop the server.
    @Test func randomFrames() throws {
        var generator = Generator(seed: 42)
        for _ in 0..<300 {
            _ = try talk { socket in
                try greet(socket)
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let count = Int.random(in: 0...64, using: &generator)
                    let body = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                    let type = UInt8.random(in: 1...40, using: &generator)
                    let frame: [UInt8] = [UInt8(count), 0, 0, 0, type, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0] + body
                    do { try FrameSender.send(socket, frame) } catch { break }
                }
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

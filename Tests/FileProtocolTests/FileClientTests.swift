import FileProtocol
import Host
import LinuxABI
import Synchronization
import Testing
import Wire

/// The client against a scripted server.
@Suite struct FileClientTests {
    /// A server that reads requests one by one and answers as `script` says: with whole frames and descriptors.
    private func client(
        onFailure: @escaping @Sendable (String) -> Void = { _ in },
        script: @escaping @Sendable (Int32, Frame) throws -> Bool
    ) throws -> FileClient {
        let pair = try HostCall.socketPair()
        let number = try pair.second.duplicate().release()
        let mine = try pair.first.duplicate()
        try startThread {
            let socket = SharedDescriptor(OwnedDescriptor(adopting: number))
            var receiver = FrameReceiver(socket: socket.rawValue)
            do {
                _ = try receiver.next()
                try FrameSender.send(socket.rawValue, try FrameSender.encode(FileProtocolVersion.hello, type: Hello.frameType))
                while let frame = try receiver.next() { if try !script(socket.rawValue, frame) { break } }
            } catch {}
            _ = socket
        }
        return try FileClient(mine, onFailure: onFailure)
    }

    private static func reply(_ frame: Frame, count: UInt32) throws -> [UInt8] {
        try FrameSender.encode(WriteReply(count: count), type: frame.header.type, flags: FrameHeader.replyFlag, tag: frame.header.tag)
    }

    @Test func manyThreadsShareTheSocket() throws {
        // Answers in pairs and in reverse order, so that leaders read for others; one by one once the first thread is done (Flush).
        final class Held: Sendable {
            let frames = Lock<[Frame]>([])
            let isEnding = Atomic<Bool>(false)
        }
        let held = Held()
        let client = try client { socket, frame in
            if frame.header.type == MessageType.flush.rawValue { held.isEnding.store(true, ordering: .relaxed) }
            let ready = held.frames.withLock { frames -> [Frame] in
                frames.append(frame)
                if frames.count < 2, !held.isEnding.load(ordering: .relaxed) { return [] }
                defer { frames = [] }
                return frames.reversed()
            }
            for frame in ready {
                if frame.header.type == MessageType.flush.rawValue {
                    try FrameSender.send(
                        socket, try FrameSender.encode(Done(), type: frame.header.type, flags: FrameHeader.replyFlag, tag: frame.header.tag)
                    )
                    continue
                }
                let offset = try WriteRequest(decoding: frame.body).offset
                try FrameSender.send(socket, try Self.reply(frame, count: UInt32(offset)))
            }
            return true
        }
        final class Tally: Sendable {
            let good = Atomic<Int>(0)
            let left: Atomic<Int>
            let parker = Parker()
            init(_ count: Int) { left = Atomic(count) }
        }
        let tally = Tally(8)
        for thread in 0..<8 {
            try startThread {
                for round in 0..<200 {
                    let number = UInt64(thread * 1000 + round)
                    if (try? client.call(WriteRequest(handle: 1, offset: number)))?.count == UInt32(number) {
                        tally.good.add(1, ordering: .relaxed)
                    }
                }
                _ = try? client.call(FlushRequest(handle: 1))
                if tally.left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { tally.parker.unpark() }
            }
        }
        _ = tally.parker.park(deadline: HostClock.monotonic + 20_000_000_000)
        #expect(tally.good.load(ordering: .relaxed) == 1600)
        client.shutDown()
    }

    private func failure(_ script: @escaping @Sendable (Int32, Frame) throws -> Bool) throws -> String {
        let client = try client(script: script)
        #expect(throws: Errno.EIO) { try client.call(WriteRequest(handle: 1)) }
        #expect(throws: Errno.EIO) { try client.call(WriteRequest(handle: 1)) }
        return client.failureReason ?? "none"
    }

    @Test func aLyingServerBreaksTheConnectionWithAReason() throws {
        #expect(try failure { _, _ in false }.contains("closed"))
        #expect(
            try failure { socket, frame in
                try FrameSender.send(
                    socket, try FrameSender.encode(WriteReply(count: 1), type: frame.header.type, flags: 1, tag: frame.header.tag &+ 9))
                return true
            }.contains("reply to nothing"))
        #expect(
            try failure { socket, frame in
                try FrameSender.send(socket, try FrameSender.encode(WriteReply(count: 1), type: 3, flags: 1, tag: frame.header.tag))
                return true
            }.contains("another request"))
        #expect(
            try failure { socket, frame in
                try FrameSender.send(socket, try FrameSender.encode(WriteReply(count: 1), type: 17, flags: 0, tag: frame.header.tag))
                return true
            }.contains("not a reply"))
        #expect(
            try failure { socket, frame in
                let bytes = try FrameSender.encode(WriteReply(count: 1), type: 17, flags: 1, tag: frame.header.tag, descriptors: 1)
                try FrameSender.send(socket, bytes, descriptors: [socket])
                return true
            }.contains("wrong number of descriptors"))
        #expect(
            try failure { socket, frame in
                try FrameSender.send(socket, [1, 0, 0, 0, 17, 0, 1, 0, UInt8(frame.header.tag), 0, 0, 0, 0, 0, 0, 0, 0])
                return true
            }.contains("reply to write"))
    }

    @Test func errorsOfTheServerReachTheCaller() throws {
        let client = try client { socket, frame in
            try FrameSender.send(
                socket, try FrameSender.encode(Failure(error: 13), type: frame.header.type, flags: 3, tag: frame.header.tag))
            return true
        }
        #expect(throws: Errno.EACCES) { try client.call(WriteRequest(handle: 1)) }
        #expect(client.failureReason == nil)
        // Out of the protocol's bounds: never sent.
        #expect(throws: Errno.EINVAL) { try client.call(WriteRequest(handle: 0)) }
    }
}

internal import Diagnostics
public import Host
public import LinuxABI
public import Wire

/// Why a connection cannot go on.
public enum ConnectionError: Error, Sendable, CustomStringConvertible {
    /// The socket failed.
    case host(Errno)
    /// The peer closed the socket in the middle of a frame, or while an answer was due.
    case closed
    /// A frame broke a rule of the encoding.
    case wire(WireError)
    /// A frame broke a rule of the protocol.
    case protocolViolation(StaticString, UInt64)

    public var description: String {
        switch self {
        case .host(let errno): "socket: \(errno)"
        case .closed: "the peer closed the connection"
        case .wire(let error): "malformed frame: \(error)"
        case .protocolViolation(let what, let value): "\(what) (\(value))"
        }
    }
}

/// A frame as it came from the peer. The descriptors close when nobody keeps them.
public struct Frame: Sendable {
    public let header: FrameHeader
    public let body: [UInt8]
    public let descriptors: [SharedDescriptor]
}

/// Reads frames from a stream socket, several per host call when they are there.
///
/// The kernel delivers a message's descriptors with its first byte, and may glue earlier messages without descriptors in front. So
/// descriptors wait in order of arrival for the frame that announces them; some that nobody has announced when the input is used up
/// break the connection.
public struct FrameReceiver: ~Copyable {
    private let socket: Int32
    private var buffer: [UInt8]
    private var start = 0
    private var end = 0
    private var arrived: [SharedDescriptor] = []
    /// Largest body accepted, bytes.
    public var maximumBody = Int(Hello.smallestFrame)
    /// Most descriptors accepted with one frame.
    public var maximumDescriptors = Int(FileProtocolVersion.maximumDescriptors)

    /// One read takes the descriptors of one message.
    private static let descriptorsAtOnce = Int(FileProtocolVersion.maximumDescriptors)

    /// Reads from `socket`, which the caller keeps open.
    public init(socket: Int32) {
        self.socket = socket
        buffer = [UInt8](repeating: 0, count: 32 << 10)
    }

    fileprivate static let receiving = FaultPoint(
        "files.receive", "a frame of the file protocol that came: error, drop, truncate, flip, close")

    /// The next frame, or nil when the peer closed the socket between two frames. Blocks.
    public mutating func next() throws(ConnectionError) -> Frame? {
        while let frame = try take() {
            guard let fault = Self.receiving.hit() else { return frame }
            var body = frame.body
            switch fault {
            case .error(let errno): throw .host(errno)
            case .close: throw .closed
            case .drop: continue
            case .truncate(let count): body.removeLast(max(0, body.count - count))
            case .flip(let bits): Faults.flip(bits, in: &body)
            case .duplicate, .delay, .kill, .stop: break  // a reader has one frame at a time; the others are done by the point
            }
            return Frame(header: frame.header, body: body, descriptors: frame.descriptors)
        }
        return nil
    }

    private mutating func take() throws(ConnectionError) -> Frame? {
        guard try fill(FrameHeader.size) else { return nil }
        let header: FrameHeader
        do { header = try FrameHeader(decoding: buffer.span.extracting(start..<(start + FrameHeader.size))) } catch { throw .wire(error) }
        guard header.length <= maximumBody else { throw .protocolViolation("frame too long", UInt64(header.length)) }
        guard header.descriptors <= maximumDescriptors else {
            throw .protocolViolation("too many descriptors announced", UInt64(header.descriptors))
        }
        start += FrameHeader.size
        guard try fill(Int(header.length)) else { throw .closed }
        let body = [UInt8](buffer[start..<(start + Int(header.length))])
        start += Int(header.length)
        guard arrived.count >= Int(header.descriptors) else {
            throw .protocolViolation("announced descriptors did not come", UInt64(header.descriptors))
        }
        var descriptors: [SharedDescriptor] = []
        if header.descriptors > 0 {
            descriptors = Array(arrived.prefix(Int(header.descriptors)))
            arrived.removeFirst(Int(header.descriptors))
        }
        if start == end, !arrived.isEmpty { throw .protocolViolation("descriptors that no frame announced", UInt64(arrived.count)) }
        return Frame(header: header, body: body, descriptors: descriptors)
    }

    /// Makes sure that `count` bytes are buffered. False at end of file with nothing buffered.
    private mutating func fill(_ count: Int) throws(ConnectionError) -> Bool {
        if end - start >= count { return true }
        if start == end {
            start = 0
            end = 0
        }
        if start + count > buffer.count {
            // Bodies beyond the first buffer are rare; the buffer then stays as large as the largest of them.
            var larger: [UInt8] = []
            larger.reserveCapacity(max(buffer.count, count))
            larger += buffer[start..<end]
            larger += [UInt8](repeating: 0, count: max(buffer.count, count) - (end - start))
            end -= start
            start = 0
            buffer = larger
        }
        while end - start < count {
            var raw: [Int32] = []
            var received = 0
            var failure: Errno?
            do {
                let from = end, descriptor = socket
                var space = buffer.mutableSpan
                var tail = space._mutatingExtracting(from..<space.count)
                received = try HostCall.receive(descriptor, into: &tail, descriptors: &raw, maximumDescriptors: Self.descriptorsAtOnce)
            } catch { failure = error }
            for descriptor in raw { arrived.append(SharedDescriptor(OwnedDescriptor(adopting: descriptor))) }
            if let failure { throw .host(failure) }
            // What a peer may have under way at once is bounded, so this is too.
            guard arrived.count <= 256 else { throw .protocolViolation("descriptors pile up", UInt64(arrived.count)) }
            if received == 0 {
                if end == start { return false }
                throw .closed
            }
            end += received
        }
        return true
    }
}

/// Encoding and sending of frames.
public enum FrameSender {
    fileprivate static let sending = FaultPoint("files.send", "a frame of the file protocol: error, drop, truncate, flip, duplicate, close")

    /// A whole frame. The tag may be patched in later.
    @inlinable public static func encode<S: WireStructure>(
        _ body: S, type: UInt16, flags: UInt16 = 0, tag: UInt32 = 0, descriptors: Int = 0, minor: UInt16 = FileProtocolVersion.minor
    ) throws(WireError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        var writer = WireWriter(appendingTo: output, minor: minor)
        var header = FrameHeader(length: 0, type: type, flags: flags, tag: tag, descriptors: UInt8(clamping: descriptors))
        try header.visit(&writer)
        var copy = body
        try copy.visit(&writer)
        var frame = writer.finish()
        patch(&frame, at: 0, UInt32(clamping: frame.count - FrameHeader.size))
        return frame
    }

    /// Writes a little-endian number into the header.
    @inlinable static func patch(_ frame: inout [UInt8], at offset: Int, _ value: UInt32) {
        for index in 0..<4 where offset + index < frame.count {
            frame[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
        }
    }

    /// Sends all of a frame. Only one thread may be in here for a socket at a time.
    public static func send(_ socket: Int32, _ frame: [UInt8], descriptors: [Int32] = []) throws(Errno) {
        let noSignal: Int32 = 0x4000  // MSG_NOSIGNAL
        var frame = frame
        if let fault = sending.hit() {
            switch fault {
            case .error(let errno): throw errno
            case .drop: return
            case .truncate(let count): frame.removeLast(max(0, frame.count - count))
            case .flip(let bits): Faults.flip(bits, in: &frame)
            case .duplicate: frame += frame
            case .close: _ = HostCall.raw(.shutdown, Int(socket), 2)
            case .delay, .kill, .stop: break  // done by the point
            }
        }
        var done = try HostCall.send(socket, frame.span, descriptors: descriptors, flags: noSignal)
        while done < frame.count {
            done += try HostCall.send(socket, frame.span.extracting(done..<frame.count), flags: noSignal)
        }
    }
}

/// The fault points of the protocol.
public enum FileProtocolFaults {
    /// Makes them known, so that a list of all points has them before the first frame.
    public static func register() { _ = (FrameSender.sending, FrameReceiver.receiving) }
}

/// The first exchange of a connection.
public enum Handshake {
    /// The client's part: speaks first, then hears the server.
    static func asClient(_ socket: Int32, _ receiver: inout FrameReceiver) throws(ConnectionError) -> Hello.Agreement {
        try say(socket)
        return try hear(&receiver)
    }

    /// The server's part: hears the client, and answers whatever it said, so that both sides can name both versions.
    static func asServer(_ socket: Int32, _ receiver: inout FrameReceiver) throws(ConnectionError) -> Hello.Agreement? {
        guard let frame = try receiver.next() else { return nil }
        try say(socket)
        return try agree(frame, &receiver)
    }

    private static func say(_ socket: Int32) throws(ConnectionError) {
        do {
            try FrameSender.send(socket, try FrameSender.encode(FileProtocolVersion.hello, type: Hello.frameType))
        } catch let error as Errno { throw .host(error) } catch let error as WireError { throw .wire(error) } catch { throw .closed }
    }

    private static func hear(_ receiver: inout FrameReceiver) throws(ConnectionError) -> Hello.Agreement {
        guard let frame = try receiver.next() else { throw .closed }
        return try agree(frame, &receiver)
    }

    private static func agree(_ frame: borrowing Frame, _ receiver: inout FrameReceiver) throws(ConnectionError) -> Hello.Agreement {
        guard frame.header.type == Hello.frameType else { throw .protocolViolation("expected Hello", UInt64(frame.header.type)) }
        do {
            let agreement = try FileProtocolVersion.hello.agree(with: Hello(decoding: frame.body))
            receiver.maximumBody = Int(agreement.maximumFrame)
            receiver.maximumDescriptors = Int(agreement.maximumDescriptors)
            return agreement
        } catch { throw .wire(error) }
    }
}

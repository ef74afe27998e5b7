internal import Diagnostics
internal import Host
internal import LinuxABI
internal import Wire

/// One client of a control server. Used by the control thread only.
final class ControlConnection {
    let id: UInt64
    let socket: OwnedDescriptor
    let session: HTTP2Session
    /// Monotonic nanoseconds of the last byte in either direction.
    var lastActivity: UInt64
    private var output: [UInt8] = []
    private var outputOffset = 0
    /// Descriptors that came and that no request has claimed yet.
    private var unclaimed: [Int32] = []
    /// Requests that announced descriptors, in order of arrival, with how many they still miss.
    private var claims: [(stream: Int32, count: Int)] = []
    private var pending: [Int32: Pending] = [:]
    /// Requests that were handed to a handler and wait for its answer.
    private var open: [Int32: WeakReply] = [:]

    private struct WeakReply { weak var reply: ControlReply? }

    private struct Pending {
        var method = ""
        var target = ""
        var wantsWire = false
        var body: [UInt8] = []
        var announced = 0
        var descriptors: [Int32] = []
        var isComplete = false
    }

    /// A request that is whole.
    struct Whole {
        let stream: Int32
        let method: String
        let target: String
        let wantsWire: Bool
        let body: [UInt8]
        let descriptors: ReceivedDescriptors
    }

    /// Descriptors of one connection that may wait for their requests.
    private static let maximumUnclaimed = 253
    private static let receiving = FaultPoint("control.receive", "bytes of a control client: error, close, drop, truncate, flip")
    private static let sending = FaultPoint("control.send", "bytes for a control client: error, close, drop, flip")
    /// Bytes of answers that may wait for a slow client on one stream.
    private static let maximumBacklog = 4 << 20

    init(id: UInt64, socket: consuming OwnedDescriptor, limits: HTTP2Limits) throws(SandboxError) {
        self.id = id
        session = try HTTP2Session(server: true, limits: limits)
        self.socket = socket
        lastActivity = HostClock.monotonic
    }

    deinit {
        for descriptor in unclaimed { _ = OwnedDescriptor(adopting: descriptor) }
        for entry in pending.values { for descriptor in entry.descriptors { _ = OwnedDescriptor(adopting: descriptor) } }
        for entry in open.values { entry.reply?.cancel() }
    }

    var wantsWrite: Bool { outputOffset < output.count || session.wantsWrite }
    /// No request is open and nothing waits to be sent.
    var isIdle: Bool { session.openStreams == 0 && !wantsWrite }

    func remember(_ reply: ControlReply, stream: Int32) { open[stream] = WeakReply(reply: reply) }

    /// Reads what there is; the requests that became whole. Throws when the peer is gone or broke a rule.
    func readable() throws(SandboxError) -> [Whole] {
        var whole: [Whole] = []
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        lastActivity = HostClock.monotonic
        // Bounded, so that one client cannot keep the thread.
        for _ in 0..<64 {
            var received: [Int32] = []
            let count: Int
            do {
                var span = buffer.mutableSpan
                count = try HostCall.receive(
                    socket.rawValue, into: &span, descriptors: &received, maximumDescriptors: Self.maximumUnclaimed, flags: 0x40)
            } catch .EAGAIN {
                try inputDrained()
                return whole
            } catch {
                throw SandboxError(error, "read from a control client")
            }
            unclaimed += received
            if unclaimed.count > Self.maximumUnclaimed { throw SandboxError(.protocolViolation, "too many descriptors without a request") }
            if count == 0 {
                // What it asked for before it went is done; the next look ends the connection.
                if !whole.isEmpty { return whole }
                throw SandboxError(.unavailable, "the client went away")
            }
            var used = count
            switch Self.receiving.hit() {
            case nil, .duplicate?: break
            case .error(let errno)?: throw SandboxError(errno, "read from a control client")
            case .drop?: continue
            case .truncate(let length)?: used = min(used, length)
            case .flip(let bits)?:
                var bytes = Array(buffer.prefix(used))
                Faults.flip(bits, in: &bytes)
                buffer.replaceSubrange(0..<used, with: bytes)
            default: throw SandboxError(.unavailable, "closed on purpose")
            }
            try session.receive(buffer.span.extracting(0..<used))
            for event in session.takeEvents() { try handle(event) }
            whole += settle()
        }
        return whole
    }

    private func handle(_ event: HTTP2Event) throws(SandboxError) {
        switch event {
        case .headers(let stream, let fields, _):
            var entry = Pending()
            for field in fields {
                switch field.name {
                case ":method": entry.method = field.value
                case ":path": entry.target = field.value
                case "accept": entry.wantsWire = field.value == ControlRequest.wireMediaType
                case "nestbox-descriptors":
                    guard let count = Int(field.value), (0...Self.maximumUnclaimed).contains(count) else {
                        throw SandboxError(.protocolViolation, "nestbox-descriptors: \(field.value)")
                    }
                    entry.announced = count
                default: break
                }
            }
            if pending[stream] != nil { return }  // trailers
            pending[stream] = entry
            if entry.announced > 0 { claims.append((stream: stream, count: entry.announced)) }
        case .data(let stream, let bytes): pending[stream]?.body += bytes
        case .ended(let stream): pending[stream]?.isComplete = true
        case .closed(let stream, _):
            open.removeValue(forKey: stream)?.reply?.cancel()
            // A cancelled request keeps its claim: its descriptors came or will come, and must not go to the next one.
            if let entry = pending[stream], entry.announced == 0 { pending[stream] = nil }
        }
    }

    /// Gives descriptors to the requests that announced them, in order, and takes out the requests that are whole.
    private func settle() -> [Whole] {
        while let claim = claims.first, unclaimed.count >= claim.count {
            pending[claim.stream]?.descriptors = Array(unclaimed.prefix(claim.count))
            unclaimed.removeFirst(claim.count)
            claims.removeFirst()
        }
        var whole: [Whole] = []
        for (stream, entry) in pending.sorted(by: { $0.key < $1.key })
        where entry.isComplete && entry.descriptors.count == entry.announced {
            pending[stream] = nil
            whole.append(
                Whole(
                    stream: stream, method: entry.method, target: entry.target, wantsWire: entry.wantsWire, body: entry.body,
                    descriptors: ReceivedDescriptors(adopting: entry.descriptors)))
        }
        return whole
    }

    /// Nothing is left to read: what is announced must be here, and nothing else.
    private func inputDrained() throws(SandboxError) {
        if let claim = claims.first {
            throw SandboxError(.protocolViolation, "\(claim.count) descriptors announced, \(unclaimed.count) came")
        }
        if !unclaimed.isEmpty { throw SandboxError(.protocolViolation, "\(unclaimed.count) descriptors came that no request announced") }
    }

    /// Answers a request.
    func respond(_ stream: Int32, status: Int, type: String, body: [UInt8], ended: Bool) {
        var fields = [(name: ":status", value: "\(status)")]
        if !type.isEmpty { fields.append((name: "content-type", value: type)) }
        if ended && status != 204 { fields.append((name: "content-length", value: "\(body.count)")) }
        session.respond(stream, fields, body: body, ended: ended)
        if ended { open[stream] = nil }
    }

    /// Adds to a streaming answer; a client that does not read loses it.
    func append(_ stream: Int32, _ bytes: [UInt8], ended: Bool) {
        if session.pendingBytes(stream) + bytes.count > Self.maximumBacklog {
            session.reset(stream)
        } else {
            session.append(stream, bytes, ended: ended)
        }
    }

    /// Sends what the socket takes.
    func flush() throws(SandboxError) {
        while true {
            if outputOffset == output.count {
                output.removeAll(keepingCapacity: true)
                outputOffset = 0
                try session.send(into: &output)
                // Sending may close streams.
                for event in session.takeEvents() { try handle(event) }
                if output.isEmpty { return }
                switch Self.sending.hit() {
                case nil, .duplicate?, .truncate?: break
                case .error(let errno)?: throw SandboxError(errno, "write to a control client")
                case .drop?: outputOffset = output.count
                case .flip(let bits)?: Faults.flip(bits, in: &output)
                default: throw SandboxError(.unavailable, "closed on purpose")
                }
                if outputOffset == output.count { continue }
            }
            do {
                let bytes = output
                outputOffset += try HostCall.send(socket.rawValue, bytes.span.extracting(outputOffset..<bytes.count), flags: 0x40)
                lastActivity = HostClock.monotonic
            } catch .EAGAIN {
                return
            } catch {
                throw SandboxError(error, "write to a control client")
            }
        }
    }

    /// Whether the connection has any use left.
    var isAlive: Bool { session.isAlive || outputOffset < output.count }
}

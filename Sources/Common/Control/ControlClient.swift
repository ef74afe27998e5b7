public import Diagnostics
public import Host
internal import LinuxABI
public import Wire

/// A client of a control server, used by one thread.
///
/// `call` sends a request and waits for its answer. `begin` only sends it: several may be open at once, and `pump` moves all of them on;
/// an event loop waits for `descriptor` to become readable and pumps with a time-out of 0.
public final class ControlClient {
    /// An answer that has come, or is coming in.
    public struct Response: Sendable {
        public internal(set) var status = 0
        public internal(set) var body: [UInt8] = []
        /// The whole body is there.
        public internal(set) var isComplete = false
        var contentType = ""
        /// The stream was cut before its end.
        var failure: SandboxError?
    }

    /// A request that was sent.
    public struct Call: Sendable, Hashable {
        let stream: Int32
    }

    private let socket: OwnedDescriptor
    private let session: HTTP2Session
    private var responses: [Int32: Response] = [:]
    private var broken: SandboxError?
    /// Whom errors name: "the sentry".
    private let peer: String

    /// Bytes of one answer.
    private static let maximumBody = 64 << 20
    /// Seconds that a send may wait for a peer that does not read.
    private static let sendTimeout = 10

    /// A client on a connected socket.
    public init(_ socket: consuming OwnedDescriptor, peer: String) throws(SandboxError) {
        self.socket = socket
        self.peer = peer
        session = try HTTP2Session(server: false, limits: HTTP2Limits(bodyBytes: .max))
        do { try HostCall.setSendTimeout(self.socket.rawValue, seconds: Self.sendTimeout) } catch {
            throw SandboxError(error, "set up the connection to \(peer)")
        }
    }

    /// A client of the server whose socket is at `path`.
    public convenience init(path: [UInt8], peer: String) throws(SandboxError) {
        let socket: OwnedDescriptor
        do { socket = try HostCall.connectUnix(path) } catch {
            throw SandboxError(.unavailable, "\(peer) cannot be reached at \(String(decoding: path, as: UTF8.self)): \(error)")
        }
        try self.init(socket, peer: peer)
    }

    /// Readable when `pump` has something to do.
    public var descriptor: Int32 { socket.rawValue }

    // MARK: Whole calls

    /// Sends a command and waits for its answer, a message. `timeout` is in nanoseconds; nil waits for ever.
    public func call<Body: WireStructure, Reply: WireStructure>(
        _ path: String, _ body: Body, descriptors: [Int32] = [], returning: Reply.Type = Reply.self, timeout: UInt64? = nil
    ) throws(SandboxError) -> Reply {
        let call = try begin(.post, path, encode(body, path), descriptors: descriptors)
        return try decode(try wait(call, timeout: timeout), path)
    }

    /// Sends a command whose answer has no body.
    public func call<Body: WireStructure>(
        _ path: String, _ body: Body, descriptors: [Int32] = [], timeout: UInt64? = nil
    ) throws(SandboxError) {
        let call = try begin(.post, path, encode(body, path), descriptors: descriptors)
        _ = try wait(call, timeout: timeout)
    }

    /// Reads a report.
    public func get<Reply: WireStructure>(
        _ path: String, returning: Reply.Type = Reply.self, timeout: UInt64? = nil
    ) throws(SandboxError) -> Reply {
        try decode(try wait(try begin(.get, path), timeout: timeout), path)
    }

    /// The bytes of any answer, for text (metrics) and for tools. JSON unless `wire`.
    public func raw(
        _ method: ControlMethod, _ path: String, _ body: [UInt8] = [], wire: Bool = false, timeout: UInt64? = nil
    ) throws(SandboxError) -> [UInt8] {
        try wait(try begin(method, path, body, wire: wire), timeout: timeout).body
    }

    // MARK: Calls in flight

    /// Sends a request, with descriptors.
    public func begin(
        _ method: ControlMethod, _ path: String, _ body: [UInt8] = [], descriptors: [Int32] = [], wire: Bool = true
    ) throws(SandboxError) -> Call {
        if let broken { throw broken }
        // What was submitted earlier goes first: descriptors ride with the first byte of their own request.
        try flush([])
        var fields: [(name: String, value: String)] = [
            (name: ":method", value: method.rawValue), (name: ":scheme", value: "http"), (name: ":authority", value: "localhost"),
            (name: ":path", value: path),
        ]
        if wire { fields.append((name: "accept", value: ControlRequest.wireMediaType)) }
        if !descriptors.isEmpty { fields.append((name: "nestbox-descriptors", value: "\(descriptors.count)")) }
        let stream = try session.request(fields, body: body)
        responses[stream] = Response()
        try flush(descriptors)
        return Call(stream: stream)
    }

    /// Sends a command without waiting.
    public func begin<Body: WireStructure>(_ path: String, _ body: Body, descriptors: [Int32] = []) throws(SandboxError) -> Call {
        try begin(.post, path, encode(body, path), descriptors: descriptors)
    }

    /// The answer to `call` once it is complete, else nil. An answer is handed out once; an error answer is thrown.
    public func takeResponse(_ call: Call) throws(SandboxError) -> Response? {
        guard let response = responses[call.stream] else { throw broken ?? SandboxError(.internalError, "the call was answered already") }
        if let failure = response.failure {
            responses[call.stream] = nil
            throw failure
        }
        guard response.isComplete else {
            if let broken { throw broken }
            return nil
        }
        responses[call.stream] = nil
        return try checked(response)
    }

    /// The message in the answer to `call` once it is complete, else nil.
    public func takeResponse<Reply: WireStructure>(_ call: Call, returning: Reply.Type) throws(SandboxError) -> Reply? {
        guard let response = try takeResponse(call) else { return nil }
        return try decode(response, "the call")
    }

    /// The records of a streaming answer that have come in since the last look; nil after the end.
    public func takeRecords<Record: WireStructure>(_ call: Call, of: Record.Type = Record.self) throws(SandboxError) -> [Record]? {
        guard let response = responses[call.stream] else { return nil }
        if response.isComplete && response.status != 200 {
            _ = try checked(response)
        }
        var records: [Record] = []
        var offset = 0
        let body = response.body
        while body.count - offset >= 4 {
            let length = (0..<4).reduce(0) { $0 | Int(body[offset + $1]) << (8 * $1) }
            guard length <= Self.maximumBody else { throw SandboxError(.protocolViolation, "\(peer) sent a record of \(length) bytes") }
            guard body.count - offset - 4 >= length else { break }
            do { records.append(try Record(decoding: Array(body[(offset + 4)..<(offset + 4 + length)]))) } catch {
                throw SandboxError(.protocolViolation, "\(peer) sent a broken record: \(error)")
            }
            offset += 4 + length
        }
        responses[call.stream]?.body.removeFirst(offset)
        if records.isEmpty && (response.isComplete || response.failure != nil || broken != nil) {
            responses[call.stream] = nil
            return nil
        }
        return records
    }

    /// Gives a call up.
    public func cancel(_ call: Call) throws(SandboxError) {
        responses[call.stream] = nil
        session.reset(call.stream)
        try flush([])
    }

    /// Takes what the peer sent, waiting at most `timeout` nanoseconds for the first of it (nil: for ever). False when nothing came in time.
    /// A signal that interrupts the wait returns true, so that the caller can look.
    @discardableResult public func pump(timeout: UInt64?) throws(SandboxError) -> Bool {
        if let broken { throw broken }
        var entries = [PollEntry(socket.rawValue, .POLLIN)]
        do {
            if try HostCall.poll(&entries, timeout: timeout) == 0 { return false }
        } catch .EINTR {
            return true
        } catch {
            throw SandboxError(error, "wait for \(peer)")
        }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var unwanted: [Int32] = []
        defer { for descriptor in unwanted { _ = OwnedDescriptor(adopting: descriptor) } }
        let count: Int
        do {
            var span = buffer.mutableSpan
            count = try HostCall.receive(socket.rawValue, into: &span, descriptors: &unwanted, flags: 0x40)
        } catch .EAGAIN {
            return true
        } catch {
            throw fail(SandboxError(.unavailable, "\(peer) cannot be read: \(error)"))
        }
        if count == 0 { throw fail(SandboxError(.unavailable, "\(peer) closed the connection")) }
        do throws(SandboxError) {
            try session.receive(buffer.span.extracting(0..<count))
            for event in session.takeEvents() { try handle(event) }
            try flush([])
        } catch {
            throw fail(error)
        }
        return true
    }

    /// Waits for the answer to `call`.
    public func wait(_ call: Call, timeout: UInt64? = nil) throws(SandboxError) -> Response {
        let deadline = timeout.map { HostClock.monotonic &+ $0 }
        while true {
            if let response = try takeResponse(call) { return response }
            var left: UInt64?
            if let deadline {
                let now = HostClock.monotonic
                if now >= deadline {
                    try? cancel(call)
                    throw SandboxError(.unavailable, "\(peer) did not answer in time")
                }
                left = deadline - now
            }
            do throws(SandboxError) { try pump(timeout: left) } catch {
                // The answer may have come just before the end.
                if let response = responses[call.stream], response.isComplete {
                    responses[call.stream] = nil
                    return try checked(response)
                }
                throw error
            }
        }
    }

    // MARK: Pieces

    private func fail(_ error: SandboxError) -> SandboxError {
        broken = broken ?? error
        return error
    }

    private func encode<S: WireStructure>(_ body: S, _ path: String) throws(SandboxError) -> [UInt8] {
        do { return try body.encoded() } catch { throw SandboxError(.invalidArgument, "\(path): \(error)") }
    }

    private func decode<S: WireStructure>(_ response: Response, _ path: String) throws(SandboxError) -> S {
        do { return try S(decoding: response.body) } catch {
            throw SandboxError(.protocolViolation, "\(peer) answered \(path) with what is no \(S.self): \(error)")
        }
    }

    private func checked(_ response: Response) throws(SandboxError) -> Response {
        if (200..<300).contains(response.status) { return response }
        if response.contentType == ControlRequest.wireMediaType, let report = try? ProblemReport(decoding: response.body) {
            throw report.error
        }
        let text = String(decoding: response.body.prefix(4096), as: UTF8.self)
        throw SandboxError(.unavailable, "\(peer) answered \(response.status): \(text)")
    }

    private func handle(_ event: HTTP2Event) throws(SandboxError) {
        switch event {
        case .headers(let stream, let fields, _):
            for field in fields {
                if field.name == ":status" { responses[stream]?.status = Int(field.value) ?? 0 }
                if field.name == "content-type" { responses[stream]?.contentType = field.value }
            }
        case .data(let stream, let bytes):
            guard let have = responses[stream]?.body.count else { return }
            if have + bytes.count > Self.maximumBody { throw SandboxError(.protocolViolation, "\(peer) sent an endless answer") }
            responses[stream]?.body += bytes
        case .ended(let stream): responses[stream]?.isComplete = true
        case .closed(let stream, let error):
            if responses[stream]?.isComplete == false {
                responses[stream]?.failure = SandboxError(.unavailable, "\(peer) dropped the call (HTTP/2 error \(error))")
            }
        }
    }

    /// Sends all that the session has to say; `descriptors` ride with the first byte.
    private func flush(_ descriptors: [Int32]) throws(SandboxError) {
        var riders = descriptors
        var output: [UInt8] = []
        while true {
            output.removeAll(keepingCapacity: true)
            try session.send(into: &output)
            if output.isEmpty { return }
            var offset = 0
            while offset < output.count {
                do {
                    offset += try HostCall.send(socket.rawValue, output.span.extracting(offset..<output.count), descriptors: riders)
                } catch .EPIPE where riders.isEmpty {
                    // The peer has left, perhaps right after its answer (a Sentry whose program ended at once): what it said is still to be read,
                    // and the end of the stream comes after it.
                    return
                } catch {
                    throw fail(SandboxError(.unavailable, "\(peer) cannot be written to: \(error)"))
                }
                riders = []
            }
        }
    }
}

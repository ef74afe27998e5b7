internal import CNghttp2
internal import Diagnostics

/// What came in on an HTTP/2 connection, in order.
enum HTTP2Event {
    /// The header block of a request or response; `ended` when no body follows.
    case headers(stream: Int32, fields: [(name: String, value: String)], ended: Bool)
    case data(stream: Int32, bytes: [UInt8])
    /// The peer has said everything on this stream.
    case ended(stream: Int32)
    /// The stream is gone, with an HTTP/2 error code (0: in order).
    case closed(stream: Int32, error: UInt32)
}

/// Bounds of one connection.
struct HTTP2Limits: Sendable {
    /// Bytes of names and values of one header block.
    var headerBytes = 16 << 10
    /// Bytes of a body that are kept.
    var bodyBytes = 16 << 20
    /// Streams open at once.
    var streams: UInt32 = 128
}

/// One HTTP/2 connection without its socket: bytes in, events out; submissions in, bytes out. A safe wrapper of nghttp2's session,
/// used by one thread.
@safe final class HTTP2Session {
    private let session: OpaquePointer
    private let limits: HTTP2Limits
    private var events: [HTTP2Event] = []
    private var incoming: [Int32: Incoming] = [:]
    private var outgoing: [Int32: Outgoing] = [:]

    private struct Incoming {
        var fields: [(name: String, value: String)] = []
        var headerBytes = 0
        var bodyBytes = 0
    }

    private struct Outgoing {
        var bytes: [UInt8] = []
        var offset = 0
        var ended = false
        var deferred = false
    }

    init(server: Bool, limits: HTTP2Limits) throws(SandboxError) {
        self.limits = limits
        var callbacks: OpaquePointer?
        var made: OpaquePointer?
        // SAFETY: nghttp2 fills both pointers or says that it could not.
        guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0, let callbacks = unsafe callbacks else {
            throw SandboxError(.exhausted, "no memory for an HTTP/2 session")
        }
        unsafe Self.set(callbacks)
        let holder = HTTP2SessionReference()
        let context = unsafe Unmanaged.passRetained(holder).toOpaque()
        let result =
            unsafe server
            ? nghttp2_session_server_new(&made, callbacks, context) : nghttp2_session_client_new(&made, callbacks, context)
        unsafe nghttp2_session_callbacks_del(callbacks)
        guard result == 0, let made = unsafe made else { throw SandboxError(.exhausted, "no memory for an HTTP/2 session") }
        unsafe session = made
        reference = holder
        holder.session = self
        var settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: limits.streams),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: UInt32(limits.headerBytes)),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: 1 << 20),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
        ]
        if server { settings.removeLast() }
        // SAFETY: nghttp2 copies the entries.
        _ = unsafe settings.withUnsafeBufferPointer { unsafe nghttp2_submit_settings(session, 0, $0.baseAddress, $0.count) }
    }

    /// What the C callbacks get: a way back that can be cut.
    private let reference: HTTP2SessionReference

    deinit {
        reference.session = nil
        // SAFETY: the session is made once, in init, and no callback runs after this.
        unsafe nghttp2_session_del(session)
        unsafe Unmanaged.passUnretained(reference).release()
    }

    // MARK: Bytes

    /// Takes bytes from the peer; `takeEvents` then has what they meant.
    func receive(_ bytes: Span<UInt8>) throws(SandboxError) {
        // SAFETY: nghttp2 reads the bytes during the call only.
        let taken = unsafe bytes.withUnsafeBufferPointer { unsafe nghttp2_session_mem_recv(session, $0.baseAddress, $0.count) }
        if taken < 0 { throw SandboxError(.protocolViolation, "HTTP/2: \(Self.text(Int32(taken)))") }
    }

    /// What came in since the last call.
    func takeEvents() -> [HTTP2Event] {
        let result = events
        events = []
        return result
    }

    /// Appends bytes for the peer until `output` has about `target`; fewer mean that there is nothing more to say now.
    func send(into output: inout [UInt8], target: Int = 64 << 10) throws(SandboxError) {
        while output.count < target {
            var pointer: UnsafePointer<UInt8>?
            // SAFETY: nghttp2 lends the bytes until its next call; they are copied at once.
            let count = unsafe nghttp2_session_mem_send(session, &pointer)
            if count < 0 { throw SandboxError(.protocolViolation, "HTTP/2: \(Self.text(Int32(count)))") }
            guard count > 0, let pointer = unsafe pointer else { return }
            unsafe output.append(contentsOf: UnsafeBufferPointer(start: pointer, count: count))
        }
    }

    /// Whether there are bytes for the peer.
    var wantsWrite: Bool { unsafe nghttp2_session_want_write(session) != 0 }
    /// Whether the connection has any use left.
    var isAlive: Bool { unsafe nghttp2_session_want_read(session) != 0 || nghttp2_session_want_write(session) != 0 }
    /// Streams that are open.
    var openStreams: Int { incoming.count }

    // MARK: Submissions

    /// Opens a stream; its number.
    func request(_ fields: [(name: String, value: String)], body: [UInt8]) throws(SandboxError) -> Int32 {
        let pending = Outgoing(bytes: body, ended: true)
        let stream = unsafe withFields(fields) { pointer, count in
            // SAFETY: the fields and the provider are copied during the call.
            if body.isEmpty { return unsafe nghttp2_submit_request(session, nil, pointer, count, nil, nil) }
            var provider = unsafe Self.provider
            return unsafe nghttp2_submit_request(session, nil, pointer, count, &provider, nil)
        }
        if stream < 0 { throw SandboxError(.unavailable, "HTTP/2: \(Self.text(stream))") }
        if !body.isEmpty { outgoing[stream] = pending }
        incoming[stream] = Incoming()
        return stream
    }

    /// Answers a stream: header fields, then what `append` and `end` give it.
    func respond(_ stream: Int32, _ fields: [(name: String, value: String)], body: [UInt8], ended: Bool) {
        guard incoming[stream] != nil else { return }
        if body.isEmpty && ended {
            _ = unsafe withFields(fields) { unsafe nghttp2_submit_response(session, stream, $0, $1, nil) }
            return
        }
        outgoing[stream] = Outgoing(bytes: body, ended: ended)
        _ = unsafe withFields(fields) { pointer, count in
            var provider = unsafe Self.provider
            return unsafe nghttp2_submit_response(session, stream, pointer, count, &provider)
        }
    }

    /// Bytes of the body of `stream` that wait to be sent.
    func pendingBytes(_ stream: Int32) -> Int { outgoing[stream].map { $0.bytes.count - $0.offset } ?? 0 }

    /// More of a body.
    func append(_ stream: Int32, _ bytes: [UInt8], ended: Bool) {
        guard outgoing[stream] != nil else { return }
        outgoing[stream]?.bytes += bytes
        if ended { outgoing[stream]?.ended = true }
        if outgoing[stream]?.deferred == true {
            outgoing[stream]?.deferred = false
            _ = unsafe nghttp2_session_resume_data(session, stream)
        }
    }

    /// Gives a stream up.
    func reset(_ stream: Int32, refused: Bool = false) {
        let code = refused ? NGHTTP2_REFUSED_STREAM : NGHTTP2_CANCEL
        _ = unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
    }

    /// Says goodbye; the peer may finish what is open.
    func terminate() { _ = unsafe nghttp2_session_terminate_session(session, NGHTTP2_NO_ERROR.rawValue) }

    // MARK: Pieces

    private static func text(_ code: Int32) -> String {
        // SAFETY: nghttp2_strerror returns a constant string.
        unsafe String(cString: nghttp2_strerror(code))
    }

    /// Calls `body` with the fields as nghttp2 wants them; it copies them.
    private func withFields(
        _ fields: [(name: String, value: String)], _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Int32
    ) -> Int32 {
        var text: [UInt8] = []
        var ranges: [(name: Int, nameLength: Int, valueLength: Int)] = []
        for field in fields {
            ranges.append((name: text.count, nameLength: field.name.utf8.count, valueLength: field.value.utf8.count))
            text += field.name.utf8
            text += field.value.utf8
        }
        text.append(0)
        // SAFETY: every range lies in `text`, which outlives the call.
        return unsafe text.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return -1 }
            let vectors = unsafe ranges.map { range in
                unsafe nghttp2_nv(
                    name: base + range.name, value: base + range.name + range.nameLength, namelen: range.nameLength,
                    valuelen: range.valueLength, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            return unsafe vectors.withUnsafeBufferPointer { unsafe body($0.baseAddress, $0.count) }
        }
    }

    private static var provider: nghttp2_data_provider {
        unsafe nghttp2_data_provider(
            source: nghttp2_data_source(),
            read_callback: { _, stream, buffer, length, flags, _, context in
                guard let session = unsafe HTTP2SessionReference.session(context), let buffer = unsafe buffer else {
                    return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
                }
                // SAFETY: nghttp2 lends `length` bytes at `buffer`.
                let (bytes, ended) = session.nextOutgoing(stream, atMost: length)
                if bytes.isEmpty && !ended { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
                unsafe bytes.withUnsafeBufferPointer { source in
                    if let base = source.baseAddress { unsafe buffer.update(from: base, count: source.count) }
                }
                if ended { unsafe flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
                return bytes.count
            })
    }

    private func nextOutgoing(_ stream: Int32, atMost length: Int) -> (bytes: ArraySlice<UInt8>, ended: Bool) {
        guard var body = outgoing[stream] else { return (bytes: [], ended: true) }
        outgoing[stream] = nil  // so that the array below is the only reference
        let end = min(body.bytes.count, body.offset + length)
        let bytes = body.bytes[body.offset..<end]
        body.offset = end
        let drained = body.offset == body.bytes.count
        let ended = drained && body.ended
        body.deferred = bytes.isEmpty && !ended
        if drained {
            body.bytes = []
            body.offset = 0
        }
        outgoing[stream] = body
        return (bytes: bytes, ended: ended)
    }

    // MARK: Callbacks

    fileprivate func headerArrived(_ stream: Int32, _ name: String, _ value: String) -> Bool {
        guard incoming[stream] != nil else { return true }
        let bytes = (incoming[stream]?.headerBytes ?? 0) + name.utf8.count + value.utf8.count + 32
        if bytes > limits.headerBytes { return false }
        incoming[stream]?.headerBytes = bytes
        incoming[stream]?.fields.append((name: name, value: value))
        return true
    }

    fileprivate func streamOpened(_ stream: Int32) {
        if incoming[stream] == nil { incoming[stream] = Incoming() }
    }

    fileprivate func frameArrived(_ stream: Int32, isHeaders: Bool, ended: Bool) {
        guard incoming[stream] != nil else { return }
        if isHeaders {
            let fields = incoming[stream]?.fields ?? []
            incoming[stream]?.fields = []
            events.append(.headers(stream: stream, fields: fields, ended: ended))
        }
        if ended { events.append(.ended(stream: stream)) }
    }

    fileprivate func dataArrived(_ stream: Int32, _ bytes: [UInt8]) {
        guard incoming[stream] != nil else { return }
        let total = (incoming[stream]?.bodyBytes ?? 0) + bytes.count
        incoming[stream]?.bodyBytes = total
        if total > limits.bodyBytes { reset(stream) } else { events.append(.data(stream: stream, bytes: bytes)) }
    }

    fileprivate func streamClosed(_ stream: Int32, _ error: UInt32) {
        incoming[stream] = nil
        outgoing[stream] = nil
        events.append(.closed(stream: stream, error: error))
    }

    private static func set(_ callbacks: OpaquePointer) {
        // SAFETY: every pointer that nghttp2 hands to a callback is valid during it; what is kept is copied.
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
            if let session = unsafe HTTP2SessionReference.session(context), let frame = unsafe frame {
                unsafe session.streamOpened(frame.pointee.hd.stream_id)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, frame, name, nameLength, value, valueLength, _, context in
            guard let session = unsafe HTTP2SessionReference.session(context), let frame = unsafe frame else { return 0 }
            let name = unsafe String(decoding: UnsafeBufferPointer(start: name, count: nameLength), as: UTF8.self)
            let value = unsafe String(decoding: UnsafeBufferPointer(start: value, count: valueLength), as: UTF8.self)
            return unsafe session.headerArrived(frame.pointee.hd.stream_id, name, value)
                ? 0 : Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            guard let session = unsafe HTTP2SessionReference.session(context), let header = unsafe frame?.pointee.hd else { return 0 }
            let type = UInt32(header.type)
            if type == NGHTTP2_HEADERS.rawValue || type == NGHTTP2_DATA.rawValue {
                session.frameArrived(
                    header.stream_id, isHeaders: type == NGHTTP2_HEADERS.rawValue,
                    ended: UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, bytes, length, context in
            guard let session = unsafe HTTP2SessionReference.session(context) else { return 0 }
            session.dataArrived(stream, unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: length)))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, error, context in
            unsafe HTTP2SessionReference.session(context)?.streamClosed(stream, error)
            return 0
        }
    }
}

/// The way from a C callback to its session.
private final class HTTP2SessionReference {
    weak var session: HTTP2Session?

    static func session(_ context: UnsafeMutableRawPointer?) -> HTTP2Session? {
        guard let context = unsafe context else { return nil }
        // SAFETY: the context is the reference that the session keeps retained until after nghttp2_session_del.
        return unsafe Unmanaged<HTTP2SessionReference>.fromOpaque(context).takeUnretainedValue().session
    }
}

public import Diagnostics
internal import Host
internal import Synchronization
public import Wire

/// How a control request begins: what its path is called with.
public enum ControlMethod: String, Sendable, CaseIterable {
    case get = "GET"
    case post = "POST"
}

/// A whole request, as a handler gets it.
public struct ControlRequest: Sendable {
    public let method: ControlMethod
    /// Without the query: "/v1/tasks".
    public let path: String
    /// `?a=b&c=d`, undecoded.
    public let query: [String: String]
    public let body: [UInt8]
    /// The client reads the wire codec (`Accept: application/x-nestbox`); else JSON.
    public let wantsWire: Bool
    public let descriptors: ReceivedDescriptors

    /// The media type of bodies in the wire codec.
    public static let wireMediaType = "application/x-nestbox"

    /// The body as `S`.
    public func decode<S: WireStructure>(_: S.Type = S.self) throws(SandboxError) -> S {
        do { return try S(decoding: body) } catch {
            throw SandboxError(
                .invalidArgument, "\(path): the body is no \(S.self): \(error)",
                hint: "bodies of commands are in the wire codec (docs/wire-protocol.md)")
        }
    }

    /// The body as text, for commands that take a word.
    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Where the answer to one request goes. May be kept and used later, from any thread; the first answer counts. One that is dropped
/// without an answer answers 500.
public final class ControlReply: Sendable {
    private let mailbox: ControlMailbox
    private let connection: UInt64
    private let stream: Int32
    private let wantsWire: Bool
    private let state = Lock<State>(.open)
    private let cancelled = Atomic<Bool>(false)
    private let cancellation = Lock<(@Sendable () -> Void)?>(nil)

    private enum State { case open, streaming, done }

    init(_ mailbox: ControlMailbox, connection: UInt64, stream: Int32, wantsWire: Bool) {
        self.mailbox = mailbox
        self.connection = connection
        self.stream = stream
        self.wantsWire = wantsWire
    }

    deinit {
        if state.withLock({ $0 == .open }) {
            let error = SandboxError(.internalError, "the request was dropped without an answer")
            post(.respond(status: 500, type: "application/problem+json", body: ProblemObject.json(error), ended: true))
        }
    }

    /// Whether the client has given up; a long job may look.
    public var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
    func cancel() {
        cancelled.store(true, ordering: .sequentiallyConsistent)
        guard state.withLock({ $0 != .done }) else { return }
        let body = cancellation.withLock { body in
            defer { body = nil }
            return body
        }
        body?()
    }

    /// Calls `body` once if the client gives up before the answer (or goes away); at once if it has. On the server's thread: it must not block.
    public func onCancel(_ body: @escaping @Sendable () -> Void) {
        cancellation.withLock { $0 = body }
        if cancelled.load(ordering: .sequentiallyConsistent) { cancel() }
    }

    /// Done, nothing to say: 204.
    public func succeed() { finish(status: 204, type: "", body: []) }

    /// Done: the message, as JSON or in the wire codec as the client asked.
    public func succeed<S: WireStructure>(_ message: S) {
        if wantsWire {
            do { finish(status: 200, type: ControlRequest.wireMediaType, body: try message.encoded()) } catch {
                fail(SandboxError(.internalError, "the reply does not fit its own description: \(error)"))
            }
        } else {
            finish(status: 200, type: "application/json", body: JSONVisitor.json(message) + [0x0a])
        }
    }

    /// Done: text.
    public func succeed(text: String, type: String = "text/plain; charset=utf-8") {
        finish(status: 200, type: type, body: Array(text.utf8))
    }

    /// Done: JSON that the handler wrote itself.
    public func succeed(json: [UInt8]) { finish(status: 200, type: "application/json", body: json) }

    /// It went wrong.
    public func fail(_ error: SandboxError) {
        if wantsWire, let body = try? ProblemReport(error).encoded() {
            finish(status: ProblemObject.status(error.code), type: ControlRequest.wireMediaType, body: body)
        } else {
            finish(status: ProblemObject.status(error.code), type: "application/problem+json", body: ProblemObject.json(error) + [0x0a])
        }
    }

    /// Begins an answer that goes on for long: `send` adds to it.
    public func beginStream() {
        let isFirst = state.withLock { state -> Bool in
            guard state == .open else { return false }
            state = .streaming
            return true
        }
        if isFirst {
            let type = wantsWire ? ControlRequest.wireMediaType : "application/x-ndjson"
            post(.respond(status: 200, type: type, body: [], ended: false))
        }
    }

    /// One more record of a stream: a line of JSON, or a u32 length and the wire bytes.
    public func send<S: WireStructure>(_ record: S) {
        guard state.withLock({ $0 == .streaming }), !isCancelled else { return }
        if wantsWire {
            guard let bytes = try? record.encoded() else { return }
            var writer = WireWriter()
            writer.raw(UInt32(truncatingIfNeeded: bytes.count))
            post(.append(writer.finish() + bytes, ended: false))
        } else {
            post(.append(JSONVisitor.json(record) + [0x0a], ended: false))
        }
    }

    /// The end of a stream.
    public func endStream() {
        let wasStreaming = state.withLock { state -> Bool in
            defer { state = .done }
            return state == .streaming
        }
        if wasStreaming { post(.append([], ended: true)) }
    }

    private func finish(status: Int, type: String, body: [UInt8]) {
        let isFirst = state.withLock { state -> Bool in
            guard state == .open else { return false }
            state = .done
            return true
        }
        if isFirst { post(.respond(status: status, type: type, body: body, ended: true)) }
    }

    private func post(_ action: ControlMailbox.Action) {
        mailbox.post(.init(connection: connection, stream: stream, action: action))
    }
}

/// What other threads want the control thread to do; posting wakes it.
final class ControlMailbox: Sendable {
    enum Action: Sendable {
        case respond(status: Int, type: String, body: [UInt8], ended: Bool)
        case append([UInt8], ended: Bool)
        /// Leave `run` with this status once everything has been sent.
        case finish(Int32)
        /// Look when the process comes to rest.
        case watchForRest
    }
    struct Letter: Sendable {
        let connection: UInt64
        let stream: Int32
        let action: Action
    }

    private let letters = Lock<[Letter]>([])
    private let wake: SharedDescriptor

    init() throws(SandboxError) {
        do { wake = SharedDescriptor(try HostCall.eventDescriptor()) } catch { throw SandboxError(error, "make an eventfd") }
    }

    var descriptor: Int32 { wake.rawValue }

    func post(_ letter: Letter) {
        letters.withLock { $0.append(letter) }
        let one: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
        // A full counter means that the wake-up is already there.
        _ = try? HostCall.write(wake.rawValue, one.span)
    }

    /// Everything posted so far.
    func takeAll() -> [Letter] {
        var counter: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0]
        var span = counter.mutableSpan
        _ = try? HostCall.read(wake.rawValue, into: &span)
        return letters.withLock { letters in
            let all = letters
            letters = []
            return all
        }
    }
}

public import Host
public import LinuxABI
import Synchronization
public import Wire

/// The Sentry's end of a connection to a Gofer. Any number of threads may have requests in flight.
///
/// There is no thread for reading: of the threads that wait, one is the leader and reads the socket. It hands the others their replies, and
/// when its own has come it makes another one the leader. A thread that is alone sends, reads and returns: two host calls.
public final class FileClient: Sendable {
    /// A thread that waits, not as the leader.
    private final class Waiter: Sendable {
        enum Outcome { case none, reply(Frame), lead, failed }
        let parker = Parker()
        let outcome = Lock(Outcome.none)
        func resolve(_ value: consuming Outcome) {
            let value = value
            outcome.withLock { $0 = value }
            parker.unpark()
        }
        func wait() -> Outcome {
            while true {
                _ = parker.park()
                let now = outcome.withLock { state -> Outcome in
                    let value = state
                    state = .none
                    return value
                }
                if case .none = now { continue }
                return now
            }
        }
    }

    private enum Pending {
        /// Its thread has not come to wait yet, or leads.
        case sent
        case parked(Waiter)
        case done(Frame)
        /// Nobody wants the reply.
        case discard
    }

    private struct State {
        var nextTag: UInt32 = 1
        var pending: [UInt32: Pending] = [:]
        var hasLeader = false
        var failure: String?
        /// `failure` is a broken rule, not a closed connection.
        var isViolation = false
        /// Handles to give back with the next batch.
        var closing: [UInt32] = []
    }

    private let socket: SharedDescriptor
    /// The minor version that both sides speak.
    @usableFromInline let minor: UInt16
    private let state = Lock(State())
    private let receiver: Lock<FrameReceiver>
    private let sending = Lock<Void>(())
    private let onFailure: @Sendable (String) -> Void
    /// Requests sent since the start.
    private let requests = Atomic<UInt64>(0)
    /// How many handles wait before a Close goes out by itself.
    private static let closeBatch = 128

    /// Greets the server over `socket`. `onFailure` is called once, from whatever thread notices, when the connection breaks.
    /// - Throws: what went wrong with the greeting.
    public init(
        _ socket: consuming OwnedDescriptor, onFailure: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(ConnectionError) {
        let shared = SharedDescriptor(socket)
        var receiver = FrameReceiver(socket: shared.rawValue)
        minor = try Handshake.asClient(shared.rawValue, &receiver).minor
        self.socket = shared
        self.receiver = Lock(receiver)
        self.onFailure = onFailure
    }

    /// How many requests went out; for tests and metrics.
    public var requestCount: UInt64 { requests.load(ordering: .relaxed) }
    /// Why the connection is broken, if it is.
    public var failureReason: String? { state.withLock { $0.failure } }

    /// Sends a request and waits for the answer.
    /// - Throws: the server's error; EIO when the connection is broken; EINVAL when the request is out of the protocol's bounds.
    @inlinable public func call<R: FileRequest>(_ request: R) throws(Errno) -> R.Reply { try exchange(request).reply }

    /// The same for a request whose answer brings descriptors: one, and perhaps more that the reply tells of.
    @inlinable public func openSeveral<R: FileRequest>(_ request: R) throws(Errno) -> (reply: R.Reply, descriptors: [SharedDescriptor]) {
        let (reply, descriptors) = try exchange(request)
        if descriptors.isEmpty { throw .EIO }
        return (reply, descriptors)
    }

    /// The same for a request whose answer brings a descriptor.
    @inlinable public func open<R: FileRequest>(_ request: R) throws(Errno) -> (reply: R.Reply, descriptor: SharedDescriptor) {
        let (reply, descriptors) = try openSeveral(request)
        return (reply, descriptors[0])
    }

    /// Gives a handle back, some time soon.
    public func close(_ handle: UInt32) {
        let batch = state.withLock { state -> [UInt32] in
            if state.failure != nil { return [] }
            state.closing.append(handle)
            guard state.closing.count >= Self.closeBatch else { return [] }
            let batch = state.closing
            state.closing = []
            return batch
        }
        if !batch.isEmpty { sendClose(batch) }
    }

    /// Gives back every handle that waits for its batch, now.
    public func flushCloses() {
        let batch = state.withLock { state -> [UInt32] in
            let batch = state.closing
            state.closing = []
            return batch
        }
        var rest = batch[...]
        while !rest.isEmpty {
            sendClose(Array(rest.prefix(FileProtocolLimit.handles)))
            rest = rest.dropFirst(FileProtocolLimit.handles)
        }
    }

    /// Sleeps until the connection is broken, whoever broke it; then whoever waits has got EIO. For a thread of its own: nobody else reads the
    /// socket while no request is under way. Returns what rule the server broke, or nil when it is gone or was left on purpose.
    public func waitForEnd() -> String? {
        var entries = [PollEntry(socket.rawValue, .POLLRDHUP)]
        while true {
            do {
                if try HostCall.poll(&entries) > 0 { break }
            } catch { if error != .EINTR { break } }
        }
        fail("the gofer closed the connection")
        return state.withLock { $0.isViolation ? $0.failure : nil }
    }

    /// Ends the connection; whoever waits gets EIO.
    public func shutDown() { fail("closed on purpose", expected: true) }

    // MARK: One round trip

    // Inlinable, so that a caller's code for its messages is made for their types.
    @inlinable func exchange<R: FileRequest>(_ request: R) throws(Errno) -> (reply: R.Reply, descriptors: [SharedDescriptor]) {
        var bytes: [UInt8]
        do { bytes = try FrameSender.encode(request, type: R.type.rawValue, minor: minor) } catch { throw .EINVAL }
        let frame = try roundTrip(&bytes)
        guard frame.header.type == R.type.rawValue else {
            throw violation("reply to another request", UInt64(frame.header.type))
        }
        if frame.header.flags & FrameHeader.errorFlag != 0 {
            guard frame.descriptors.isEmpty else { throw violation("descriptors with an error", UInt64(frame.descriptors.count)) }
            do { throw Errno(rawValue: try Failure(decoding: frame.body).error) } catch let error as Errno { throw error } catch {
                throw violation("malformed failure", 0)
            }
        }
        let reply: R.Reply
        do { reply = try R.Reply(decoding: frame.body) } catch { throw malformed(R.type, error) }
        guard frame.descriptors.count == R.descriptors(with: reply) else {
            throw violation("wrong number of descriptors", UInt64(frame.descriptors.count))
        }
        return (reply, frame.descriptors)
    }

    private func register(_ pending: Pending) -> UInt32? {
        state.withLock { state in
            if state.failure != nil { return nil }
            while state.pending[state.nextTag] != nil { state.nextTag &+= 1 }
            let tag = state.nextTag
            state.nextTag &+= 1
            state.pending[tag] = pending
            return tag
        }
    }

    private func send(_ bytes: inout [UInt8], tag: UInt32) throws(Errno) {
        FrameSender.patch(&bytes, at: 8, tag)
        requests.add(1, ordering: .relaxed)
        let frame = bytes
        do {
            try sending.withLock { _ throws(Errno) in try FrameSender.send(socket.rawValue, frame) }
        } catch {
            fail("sending: \(error)")
            throw .EIO
        }
    }

    private func sendClose(_ handles: [UInt32]) {
        guard var bytes = try? FrameSender.encode(CloseRequest(handles: handles), type: MessageType.close.rawValue),
            let tag = register(.discard)
        else { return }
        try? send(&bytes, tag: tag)
    }

    private enum Step { case have(Frame), failed, lead, wait(Waiter) }

    @usableFromInline func roundTrip(_ bytes: inout [UInt8]) throws(Errno) -> Frame {
        guard let tag = register(.sent) else { throw .EIO }
        try send(&bytes, tag: tag)
        let step = state.withLock { state -> Step in
            if case .done(let frame)? = state.pending[tag] {
                state.pending[tag] = nil
                return .have(frame)
            }
            if state.failure != nil { return .failed }
            if !state.hasLeader {
                state.hasLeader = true
                return .lead
            }
            let waiter = Waiter()
            state.pending[tag] = .parked(waiter)
            return .wait(waiter)
        }
        switch step {
        case .have(let frame): return frame
        case .failed: throw .EIO
        case .lead: return try lead(until: tag)
        case .wait(let waiter):
            switch waiter.wait() {
            case .reply(let frame): return frame
            case .lead: return try lead(until: tag)
            case .failed, .none: throw .EIO
            }
        }
    }

    /// Reads the socket and hands out replies until the one for `tag` has come, then names the next leader.
    private func lead(until tag: UInt32) throws(Errno) -> Frame {
        while true {
            let frame: Frame
            do {
                guard let next = try receiver.withLock({ receiver throws(ConnectionError) in try receiver.next() }) else {
                    throw ConnectionError.closed
                }
                frame = next
            } catch {
                fail("\(error)")
                throw .EIO
            }
            guard frame.header.flags & FrameHeader.replyFlag != 0 else { throw violation("not a reply", UInt64(frame.header.type)) }
            if frame.header.tag == tag {
                promote(after: tag)
                return frame
            }
            guard deliver(frame) else { throw violation("reply to nothing", UInt64(frame.header.tag)) }
        }
    }

    private func deliver(_ frame: Frame) -> Bool {
        let tag = frame.header.tag
        let (known, waiter) = state.withLock { state -> (Bool, Waiter?) in
            switch state.pending[tag] {
            case .sent:
                state.pending[tag] = .done(frame)
                return (true, nil)
            case .parked(let waiter):
                state.pending[tag] = nil
                return (true, waiter)
            case .discard:
                state.pending[tag] = nil
                return (true, nil)
            case .done, nil: return (false, nil)
            }
        }
        waiter?.resolve(.reply(frame))
        return known
    }

    private func promote(after tag: UInt32) {
        let next = state.withLock { state -> Waiter? in
            state.pending[tag] = nil
            for (other, pending) in state.pending {
                guard case .parked(let waiter) = pending else { continue }
                state.pending[other] = .sent
                return waiter
            }
            state.hasLeader = false
            return nil
        }
        next?.resolve(.lead)
    }

    // MARK: Failure

    @usableFromInline func malformed(_ type: MessageType, _ error: WireError) -> Errno {
        fail("reply to \(type): \(error)")
        return .EIO
    }

    @usableFromInline func violation(_ what: StaticString, _ value: UInt64) -> Errno {
        state.withLock { if $0.failure == nil { $0.isViolation = true } }
        fail("\(ConnectionError.protocolViolation(what, value))")
        return .EIO
    }

    private func fail(_ reason: String, expected: Bool = false) {
        let (first, waiters) = state.withLock { state -> (Bool, [Waiter]) in
            let first = state.failure == nil
            if first { state.failure = reason }
            var waiters: [Waiter] = []
            for pending in state.pending.values { if case .parked(let waiter) = pending { waiters.append(waiter) } }
            state.pending = [:]
            return (first, waiters)
        }
        for waiter in waiters { waiter.resolve(.failed) }
        guard first else { return }
        // Wakes a leader that is blocked in the socket.
        _ = HostCall.raw(.shutdown, Int(socket.rawValue), 2)
        if !expected { onFailure(reason) }
    }
}

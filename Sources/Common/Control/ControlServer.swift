public import Diagnostics
public import Host
internal import LinuxABI
public import Wire

/// The HTTP/2 control server of a component: one thread, many clients, handlers that may answer later.
///
/// Register handlers, then call `run` on the thread that shall serve. Handlers run on that thread and must not block for long;
/// they may keep their `ControlReply` and answer from another thread.
public final class ControlServer {
    public typealias Handler = (ControlRequest, ControlReply) throws(SandboxError) -> Void

    private struct Route {
        let method: ControlMethod
        let path: String
        let handler: Handler
    }

    private let listening: OwnedDescriptor
    private let mailbox: ControlMailbox
    private var routes: [Route] = []
    private var connections: [UInt64: ControlConnection] = [:]
    private var nextConnection: UInt64 = 1
    private let limits = HTTP2Limits()
    private var finishing: Int32?
    /// Called when the last client has left.
    public var onLastDisconnect: (() -> Void)?
    /// Through which the process tells of work.
    public let rest: RestSignal
    /// Called once the process has come to rest after work that `rest` was told of.
    public var onRest: (() -> Void)?
    private var restWatch: RestWatch

    /// Clients at once; more wait in the listening socket's queue.
    private static let maximumConnections = 64
    /// A client without an open request is let go after so many nanoseconds.
    private static let idleLimit: UInt64 = 60 * 1_000_000_000
    /// How long leaving waits for slow clients.
    private static let finishLimit: UInt64 = 2 * 1_000_000_000

    private static let requests = Metrics.counter("nestbox_control_requests_total", help: "Requests to the control server.")
    private static let failures = Metrics.counter(
        "nestbox_control_connection_errors_total", help: "Control connections that ended by a broken rule.")

    /// A server on a listening Unix stream socket. Registers the endpoints that every component has: version, metrics, log, faults.
    public init(listening: consuming OwnedDescriptor, version: VersionReport, allowFaults: Bool) throws(SandboxError) {
        self.listening = listening
        mailbox = try ControlMailbox()
        rest = RestSignal(mailbox)
        restWatch = RestWatch(rest)
        registerCommon(version, allowFaults: allowFaults)
    }

    // MARK: Routes

    /// Serves `method` `path`.
    public func on(_ method: ControlMethod, _ path: String, _ handler: @escaping Handler) {
        routes.append(Route(method: method, path: path, handler: handler))
    }

    /// Serves POST `path` with a body of type `S`.
    public func command<S: WireStructure>(
        _ path: String, _: S.Type = S.self, _ handler: @escaping (S, ControlRequest, ControlReply) throws(SandboxError) -> Void
    ) {
        on(.post, path) { request, reply throws(SandboxError) in try handler(try request.decode(S.self), request, reply) }
    }

    /// Serves GET `path` with what `read` returns.
    public func report<S: WireStructure>(_ path: String, _ read: @escaping () throws(SandboxError) -> S) {
        on(.get, path) { _, reply throws(SandboxError) in reply.succeed(try read()) }
    }

    private func dispatch(_ whole: ControlConnection.Whole, on connection: ControlConnection) {
        Self.requests.add()
        let reply = ControlReply(mailbox, connection: connection.id, stream: whole.stream, wantsWire: whole.wantsWire)
        connection.remember(reply, stream: whole.stream)
        let (path, query) = Self.split(whole.target)
        do throws(SandboxError) {
            let route = try route(whole.method, path)
            Log.debug("\(whole.method) \(whole.target)", [("bytes", "\(whole.body.count)"), ("descriptors", "\(whole.descriptors.count)")])
            try route.handler(
                ControlRequest(
                    method: route.method, path: path, query: query, body: whole.body, wantsWire: whole.wantsWire,
                    descriptors: whole.descriptors),
                reply)
        } catch {
            Log.debug("\(whole.method) \(whole.target): \(error)")
            reply.fail(error)
        }
    }

    private func route(_ method: String, _ path: String) throws(SandboxError) -> Route {
        let matching = routes.filter { $0.path == path }
        if let route = matching.first(where: { $0.method.rawValue == method }) { return route }
        if let other = matching.first {
            throw SandboxError(.invalidArgument, "\(path) is called with \(other.method.rawValue), not \(method)")
        }
        let prefix = "/v\(ProtocolVersion.controlMajor)/"
        let served = "this is version \(ProtocolVersion.control) of the control protocol, served under \(prefix)"
        guard path.hasPrefix(prefix) else { throw SandboxError(.incompatibleVersion, "\(path) is not served", hint: served) }
        let names = routes.map { "\($0.method.rawValue) \($0.path)" }.sorted().joined(separator: ", ")
        throw SandboxError(.notFound, "\(path) is not served", hint: "\(served): \(names)")
    }

    private static func split(_ target: String) -> (path: String, query: [String: String]) {
        guard let mark = target.firstIndex(of: "?") else { return (target, [:]) }
        var query: [String: String] = [:]
        for part in target[target.index(after: mark)...].split(separator: "&") {
            let pair = part.split(separator: "=", maxSplits: 1)
            if let name = pair.first { query[String(name)] = pair.count > 1 ? String(pair[1]) : "" }
        }
        return (String(target[..<mark]), query)
    }

    // MARK: The loop

    /// Makes `run` return `status` once what was answered so far has been sent. Any thread may call the closure.
    public var finisher: @Sendable (_ status: Int32) -> Void {
        let mailbox = mailbox
        return { status in mailbox.post(.init(connection: 0, stream: 0, action: .finish(status))) }
    }

    /// Serves until a `finisher` is called; its status.
    public func run() throws(SandboxError) -> Int32 {
        var deadline: UInt64?
        while true {
            if let finishing {
                let now = HostClock.monotonic
                let limit = deadline ?? now &+ Self.finishLimit
                deadline = limit
                if now >= limit || !connections.values.contains(where: { $0.wantsWrite }) { return finishing }
            }
            try turn(deadline: deadline)
        }
    }

    private func turn(deadline: UInt64?) throws(SandboxError) {
        let hadClients = !connections.isEmpty
        defer { if hadClients, connections.isEmpty { onLastDisconnect?() } }
        var entries = [
            PollEntry(mailbox.descriptor, .POLLIN),
            PollEntry(connections.count < Self.maximumConnections && finishing == nil ? listening.rawValue : -1, .POLLIN),
        ]
        let order = connections.keys.sorted()
        var nextDeadline = [deadline, restWatch.deadline].compactMap(\.self).min()
        for id in order {
            guard let connection = connections[id] else { continue }
            entries.append(PollEntry(connection.socket.rawValue, connection.wantsWrite ? [.POLLIN, .POLLOUT] : .POLLIN))
            if connection.isIdle { nextDeadline = min(nextDeadline ?? .max, connection.lastActivity &+ Self.idleLimit) }
        }
        do {
            let now = HostClock.monotonic
            _ = try HostCall.poll(&entries, timeout: nextDeadline.map { $0 > now ? $0 - now : 0 })
        } catch .EINTR {
            return
        } catch {
            throw SandboxError(error, "wait for control clients")
        }
        for (index, id) in order.enumerated() {
            guard let connection = connections[id] else { continue }
            let events = entries[index + 2].result
            if !events.isEmpty { serve(connection, events) }
            if connection.isIdle && HostClock.monotonic >= connection.lastActivity &+ Self.idleLimit { connections[id] = nil }
        }
        if !entries[1].result.isEmpty { accept() }
        for letter in mailbox.takeAll() { deliver(letter) }
        // The processor's clock is a call: only when it is time to look.
        if let time = restWatch.deadline, case let now = HostClock.monotonic, now >= time,
            restWatch.hasEnded(at: now, processorTime: HostClock.processorTime)
        {
            onRest?()
        }
        for (id, connection) in connections {
            do throws(SandboxError) {
                try connection.flush()
                if !connection.isAlive { connections[id] = nil }
            } catch {
                drop(connection, error)
            }
        }
    }

    private func serve(_ connection: ControlConnection, _ events: PollEvents) {
        do throws(SandboxError) {
            if !events.isDisjoint(with: [.POLLIN, .POLLHUP, .POLLERR]) {
                for whole in try connection.readable() { dispatch(whole, on: connection) }
            }
        } catch {
            drop(connection, error)
        }
    }

    private func accept() {
        do throws(SandboxError) {
            let socket: OwnedDescriptor
            do { socket = try HostCall.accept(listening.rawValue, nonBlocking: true) } catch .EAGAIN { return } catch .ECONNABORTED {
                return
            } catch { throw SandboxError(error, "accept a control client") }
            let id = nextConnection
            nextConnection += 1
            connections[id] = try ControlConnection(id: id, socket: socket, limits: limits)
        } catch {
            Log.warning("\(error)")
        }
    }

    private func deliver(_ letter: ControlMailbox.Letter) {
        switch letter.action {
        case .finish(let status): finishing = finishing ?? status
        case .watchForRest: restWatch.begin(at: HostClock.monotonic, processorTime: HostClock.processorTime)
        case .respond, .append: answer(letter)
        }
    }

    private func answer(_ letter: ControlMailbox.Letter) {
        guard let connection = connections[letter.connection] else { return }
        switch letter.action {
        case .respond(let status, let type, let body, let ended):
            connection.respond(letter.stream, status: status, type: type, body: body, ended: ended)
        case .append(let bytes, let ended): connection.append(letter.stream, bytes, ended: ended)
        case .finish, .watchForRest: break
        }
    }

    private func drop(_ connection: ControlConnection, _ error: SandboxError) {
        connections[connection.id] = nil
        if error.code == .protocolViolation {
            Self.failures.add()
            Log.info("a control connection is closed: \(error)")
        }
    }
}

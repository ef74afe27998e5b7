import DequeModule
internal import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS
import Synchronization

/// A Unix-domain socket (unix(7)): stream, datagram or sequenced packets.
///
/// Locks: each socket's state has one; the lock of a socket is never taken while another's is held. A sender reads its peer under its own lock and
/// then appends under the peer's, which checks again what may have changed (shutdown, death). The namespace's lock is innermost.
public final class UnixSocket: Socket, @unchecked Sendable {
    enum Phase {
        case idle, listening, connected
    }
    struct State {
        var phase = Phase.idle
        /// The other end; of a datagram socket, the default destination.
        var peer: UnixSocket?
        var address = UnixAddress.unnamed
        /// Where a bound path was made; keeps the inode alive whose `boundSocket` leads here.
        var boundPath: Path?
        var queue = ReceiveQueue()
        var receiveIsShut = false
        var sendIsShut = false
        /// Pending SO_ERROR.
        var error: Errno?
        /// The last descriptor is gone.
        var isDead = false
        var backlog = 0
        /// Connections that nobody accepted yet.
        var pending: Deque<UnixSocket> = []
        /// SO_PEERCRED: of the connector, of the listener, or of socketpair(2)'s caller.
        var peerCredentials: SocketCredentials?
        var peerGroups: [UInt32] = []
        /// Credentials when listen(2) was called, which connectors get to see.
        var ownCredentials: SocketCredentials?
        var ownGroups: [UInt32] = []
        /// Senders who found this queue full and want to know of room.
        var blocked: [WeakWaiters] = []
        /// SO_PEEK_OFF; negative: off.
        var peekOffset: Int32 = -1
    }
    struct WeakWaiters {
        weak var account: SendAccount?
    }

    let state = Lock(State())
    let waiters: WaitQueue
    let account: SendAccount
    let namespace: UnixNamespace
    /// The number of `socket:[NUMBER]`.
    public let inodeNumber: UInt64

    /// A new socket. `type`: SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET. ENFILE when the namespace holds too many.
    public init(type: Int32, protocolNumber: Int32 = 0, flags: OpenFlags, namespace: UnixNamespace, _ context: any FileContext)
        throws(Errno)
    {
        let credentials = context.credentials
        let inode = AnonymousInode(
            .sockets, mode: FileMode.S_IFSOCK | 0o777, user: credentials.user.fileSystem, group: credentials.group.fileSystem)
        inodeNumber = inode.number
        let path = AnonymousFileSystem.sockets.place(of: inode, name: Array("socket:[\(inode.number)]".utf8))
        waiters = WaitQueue()
        account = SendAccount(waiters: waiters)
        self.namespace = namespace
        super.init(path: path, family: AddressFamily.AF_UNIX, type: type, protocolNumber: protocolNumber, flags: flags)
        try namespace.register(self)
    }

    deinit { namespace.unregister(self) }

    /// socketpair(2): two connected sockets.
    public static func pair(
        type: Int32, flags: OpenFlags, namespace: UnixNamespace, _ context: any FileContext
    ) throws(Errno) -> (UnixSocket, UnixSocket) {
        let first = try UnixSocket(type: type, flags: flags, namespace: namespace, context)
        let second = try UnixSocket(type: type, flags: flags, namespace: namespace, context)
        let credentials = SocketIdentity.of(context)
        first.attach(to: second, credentials, context.credentials.groups)
        second.attach(to: first, credentials, context.credentials.groups)
        return (first, second)
    }

    private func attach(to peer: UnixSocket, _ credentials: SocketCredentials, _ groups: [UInt32]) {
        state.withLock { state in
            state.phase = .connected
            state.peer = peer
            state.peerCredentials = credentials
            state.peerGroups = groups
        }
    }

    /// Whether connections make sense of it: everything but datagrams.
    var isConnectionOriented: Bool { type != SocketType.SOCK_DGRAM }
    var boundAddress: UnixAddress { state.withLock { $0.address } }

    // MARK: Names

    public override func bind(_ address: [UInt8], _ context: any FileContext) throws(Errno) {
        let parsed = try UnixAddress(address)
        switch parsed {
        case .unnamed: try autobind()
        case .abstract(let name):
            if case .unnamed = boundAddress {} else { throw .EINVAL }
            try namespace.bind(name, self)
            state.withLock { $0.address = parsed }
        case .path(let path): try bindPath(path, context)
        }
    }

    /// Binds to a socket inode that was just made for it at `path`.
    func bind(_ address: UnixAddress, at path: Path) throws(Errno) {
        try state.withLock { state throws(Errno) in
            guard case .unnamed = state.address else { throw .EINVAL }
            state.address = address
            state.boundPath = path
        }
        path.dentry.inode?.boundSocket.withLock { $0 = self }
    }

    /// Whether bind(2) may still be called.
    public var isBound: Bool {
        if case .unnamed = boundAddress { return false }
        return true
    }

    /// Takes a free abstract name, unless there is a name already.
    func autobind() throws(Errno) {
        if isBound { return }
        let name = try namespace.autobind(self)
        state.withLock { $0.address = .abstract(name) }
    }

    public override func localAddress() throws(Errno) -> [UInt8] { boundAddress.raw }

    public override func peerAddress() throws(Errno) -> [UInt8] {
        guard let peer = state.withLock({ $0.peer }) else { throw .ENOTCONN }
        return peer.boundAddress.raw
    }

    /// The socket that `address` names, for `context`. ECONNREFUSED, or what walking the path says.
    func resolve(_ address: UnixAddress, _ context: any FileContext) throws(Errno) -> UnixSocket {
        switch address {
        case .unnamed: throw .EINVAL
        case .abstract(let name): return try namespace.lookup(name)
        case .path(let path): return try UnixPaths.socket(at: path, context)
        }
    }

    // MARK: Connections

    public override func listen(backlog: Int32, _ context: any FileContext) throws(Errno) {
        guard isConnectionOriented else { throw .EOPNOTSUPP }
        let maximum = namespace.maximumBacklog.load(ordering: .relaxed)
        let limit = backlog < 0 ? maximum : min(Int(backlog), maximum)
        let credentials = SocketIdentity.of(context)
        let blocked = try state.withLock { state throws(Errno) in
            if case .unnamed = state.address { throw .EINVAL }
            guard state.phase != .connected else { throw .EINVAL }
            state.phase = .listening
            state.backlog = limit
            // SO_PEERCRED of a listener tells of itself.
            state.peerCredentials = credentials
            state.peerGroups = context.credentials.groups
            state.ownCredentials = credentials
            state.ownGroups = context.credentials.groups
            return Self.takeBlocked(&state)
        }
        Self.wake(blocked)
    }

    public override func accept(_ context: any FileContext) throws(Errno) -> Socket {
        guard isConnectionOriented else { throw .EOPNOTSUPP }
        let (socket, blocked) = try state.withLock { state throws(Errno) in
            guard state.phase == .listening else { throw .EINVAL }
            if let socket = state.pending.popFirst() { return (socket, Self.takeBlocked(&state)) }
            if state.receiveIsShut { throw .EINVAL }
            throw .EAGAIN
        }
        Self.wake(blocked)
        return socket
    }

    public override func connect(_ address: [UInt8], _ context: any FileContext) throws(Errno) {
        guard address.count >= 2 else { throw .EINVAL }
        if Int32(address[0]) | Int32(address[1]) << 8 == AddressFamily.AF_UNSPEC {
            guard !isConnectionOriented else { throw .EINVAL }
            disconnectDatagrams(from: nil)
            return
        }
        let parsed = try UnixAddress(address)
        if options.withLock({ $0.passesCredentials }) { try autobind() }
        if isConnectionOriented { try connectStream(parsed, context) } else { try connectDatagram(parsed, context) }
    }

    private func connectStream(_ address: UnixAddress, _ context: any FileContext) throws(Errno) {
        switch state.withLock({ $0.phase }) {
        case .connected: throw .EISCONN
        case .listening: throw .EINVAL
        case .idle: break
        }
        let listener = try resolve(address, context)
        guard listener.type == type else { throw .EPROTOTYPE }
        let credentials = SocketIdentity.of(context)
        let server = try UnixSocket(type: type, protocolNumber: protocolNumber, flags: [], namespace: listener.namespace, context)
        let groups = context.credentials.groups
        // Our side first: the server may answer as soon as it is in the listener's queue.
        let (listenerAddress, listenerCredentials, listenerGroups) = listener.state.withLock {
            ($0.address, $0.ownCredentials, $0.ownGroups)
        }
        server.state.withLock { state in
            state.phase = .connected
            state.peer = self
            state.address = listenerAddress
            state.peerCredentials = credentials
            state.peerGroups = groups
        }
        server.options.withLock { $0.passesCredentials = listener.options.withLock { $0.passesCredentials } }
        try state.withLock { state throws(Errno) in
            guard state.phase == .idle else { throw state.phase == .connected ? .EISCONN : .EINVAL }
            state.phase = .connected
            state.peer = server
            state.peerCredentials = listenerCredentials
            state.peerGroups = listenerGroups
        }
        do {
            try listener.state.withLock { state throws(Errno) in
                guard state.phase == .listening, !state.isDead, !state.receiveIsShut else { throw .ECONNREFUSED }
                // As in Linux one more than the backlog may wait.
                guard state.pending.count <= state.backlog else {
                    Self.block(account, on: &state)
                    throw .EAGAIN
                }
                state.pending.append(server)
            }
        } catch {
            server.state.withLock { $0.peer = nil }
            state.withLock { state in
                state.phase = .idle
                state.peer = nil
                state.peerCredentials = nil
            }
            throw error
        }
        listener.waiters.notify(.readable)
        waiters.notify(.writable)
    }

    private func connectDatagram(_ address: UnixAddress, _ context: any FileContext) throws(Errno) {
        let target = try resolve(address, context)
        guard target.type == type else { throw .EPROTOTYPE }
        guard target.admits(self) else { throw .EPERM }
        disconnectDatagrams(from: target)
    }

    /// Whether a datagram of `sender` may arrive: a connected datagram socket hears only its peer.
    func admits(_ sender: UnixSocket) -> Bool {
        guard let peer = state.withLock({ $0.peer }) else { return true }
        return peer === sender
    }

    /// Makes `new` the default destination, or none.
    private func disconnectDatagrams(from new: UnixSocket?) {
        let (old, dropped) = state.withLock { state -> (UnixSocket?, [UnixMessage]) in
            let old = state.peer
            state.peer = new
            state.phase = new == nil ? .idle : .connected
            guard let old, old !== new else { return (nil, []) }
            // What came from others does not belong to the new association.
            var dropped: [UnixMessage] = []
            while let message = state.queue.popFirst() { dropped.append(message) }
            return (old, dropped)
        }
        for message in dropped { message.account.uncharge(message.charge) }
        UnixRights.drop(dropped.compactMap(\.rights), KernelFileContext.shared)
        guard let old else { return }
        // The former peer, if it was connected to this socket, learns that its partner left.
        let told = old.state.withLock { state -> Bool in
            guard state.peer === self, !dropped.isEmpty else { return false }
            state.error = .ECONNRESET
            return true
        }
        if told { old.waiters.notify([.POLLERR, .POLLIN, .POLLOUT]) }
        waiters.notify(.writable)
    }

    public override func shutdown(_ how: Int32, _ context: any FileContext) throws(Errno) {
        guard how >= ShutdownMode.SHUT_RD, how <= ShutdownMode.SHUT_RDWR else { throw .EINVAL }
        let read = how != ShutdownMode.SHUT_WR, write = how != ShutdownMode.SHUT_RD
        let (peer, blocked) = state.withLock { state in
            if read { state.receiveIsShut = true }
            if write { state.sendIsShut = true }
            return (isConnectionOriented && state.phase == .connected ? state.peer : nil, read ? Self.takeBlocked(&state) : [])
        }
        Self.wake(blocked)
        if let peer {
            peer.state.withLock { state in
                if read { state.sendIsShut = true }
                if write { state.receiveIsShut = true }
            }
            peer.waiters.notify([.POLLIN, .POLLRDNORM, .POLLOUT, .POLLWRNORM, .POLLRDHUP, .POLLHUP])
        }
        waiters.notify([.POLLIN, .POLLRDNORM, .POLLOUT, .POLLWRNORM, .POLLRDHUP, .POLLHUP])
    }

    // MARK: Transfer, readiness, options: UnixSocket+Transfer.swift

    public override func send(_ message: inout OutgoingMessage, _ context: any FileContext) throws(Errno) -> Int {
        try transmit(&message, context)
    }
    public override func receive(
        into buffer: inout IOBuffer, flags: MessageFlags, _ context: any FileContext
    ) throws(Errno) -> IncomingMessage { try take(into: &buffer, flags: flags, context) }
    public override func takeError() -> Int32 { takePendingError()?.rawValue ?? 0 }
    public override func readiness(_ mask: PollEvents) -> PollEvents { currentReadiness(mask) }
    public override func add(_ waiter: Waiter) { waiters.add(waiter) }
    public override func remove(_ waiter: Waiter) { waiters.remove(waiter) }
    public override func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        try control(request, argument, context)
    }
    public override func option(level: Int32, name: Int32, _ context: any FileContext) throws(Errno) -> [UInt8]? {
        try familyOption(level: level, name: name, context)
    }
    public override func setOption(level: Int32, name: Int32, _ value: [UInt8], _ context: any FileContext) throws(Errno) -> Bool {
        try setFamilyOption(level: level, name: name, value, context)
    }

    // MARK: Waiting for room

    static func block(_ account: SendAccount, on state: inout State) {
        state.blocked.removeAll { $0.account == nil || $0.account === account }
        state.blocked.append(WeakWaiters(account: account))
    }
    static func takeBlocked(_ state: inout State) -> [WeakWaiters] {
        if state.blocked.isEmpty { return [] }
        defer { state.blocked = [] }
        return state.blocked
    }
    static func wake(_ blocked: [WeakWaiters]) {
        for entry in blocked { entry.account?.waiters.notify(.writable) }
    }

    // MARK: The end

    public override func released(_ context: any FileContext) {
        struct Remains {
            var peer: UnixSocket?
            var pending: Deque<UnixSocket>
            var messages: Deque<UnixMessage>
            var blocked: [WeakWaiters]
            var boundPath: Path?
        }
        let remains = state.withLock { state -> Remains in
            state.isDead = true
            let remains = Remains(
                peer: state.peer, pending: state.pending, messages: state.queue.messages, blocked: Self.takeBlocked(&state),
                boundPath: state.boundPath)
            state.peer = nil
            state.pending = []
            state.queue = ReceiveQueue()
            state.boundPath = nil
            state.receiveIsShut = true
            state.sendIsShut = true
            return remains
        }
        namespace.unregister(self)
        remains.boundPath?.dentry.inode?.boundSocket.withLock { if $0 === self { $0 = nil } }
        if let peer = remains.peer, isConnectionOriented {
            let hadUnread = !remains.messages.isEmpty
            peer.state.withLock { state in
                guard state.peer === self else { return }
                state.receiveIsShut = true
                state.sendIsShut = true
                if hadUnread { state.error = .ECONNRESET }
            }
            peer.waiters.notify([.POLLIN, .POLLRDNORM, .POLLOUT, .POLLWRNORM, .POLLRDHUP, .POLLHUP, .POLLERR])
        }
        Self.wake(remains.blocked)
        // Never accepted: their other ends see a reset.
        for socket in remains.pending { socket.abandon(context) }
        for message in remains.messages { message.account.uncharge(message.charge) }
        UnixRights.drop(remains.messages.compactMap(\.rights), context)
        UnixRights.socketClosed(context)
    }

    /// Ends a connection that was never given a descriptor.
    private func abandon(_ context: any FileContext) {
        // The connector must see ECONNRESET, as when data was lost.
        state.withLock({ $0.peer })?.state.withLock { $0.error = .ECONNRESET }
        released(context)
    }
}

public import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS

/// A socket of any family (Linux: struct socket), as an open file. As with every file no operation waits: what cannot proceed throws EAGAIN, and
/// the system call waits for readiness, up to `receiveTimeout` or `sendTimeout`. Subclasses add a family.
open class Socket: FileDescription, @unchecked Sendable {  // Subclasses keep their state behind locks.
    /// AF_ of socket(2).
    public let family: Int32
    /// SOCK_ of socket(2), without flags.
    public let type: Int32
    /// The protocol number that was asked for.
    public let protocolNumber: Int32
    /// What socket(7) options hold that every family has.
    public let options = Lock(SocketOptions())

    public init(path: Path, family: Int32, type: Int32, protocolNumber: Int32, flags: OpenFlags) {
        self.family = family
        self.type = type
        self.protocolNumber = protocolNumber
        super.init(path: path, flags: flags.union(.O_RDWR))
    }

    /// bind(2); `address` is the raw struct sockaddr.
    open func bind(_ address: [UInt8], _ context: any FileContext) throws(Errno) { throw .EOPNOTSUPP }
    /// listen(2).
    open func listen(backlog: Int32, _ context: any FileContext) throws(Errno) { throw .EOPNOTSUPP }
    /// accept(2): the next connection, or EAGAIN.
    open func accept(_ context: any FileContext) throws(Errno) -> Socket { throw .EOPNOTSUPP }
    /// connect(2). EAGAIN: wait for the socket to become writable, and call again.
    open func connect(_ address: [UInt8], _ context: any FileContext) throws(Errno) { throw .EOPNOTSUPP }
    /// shutdown(2).
    open func shutdown(_ how: Int32, _ context: any FileContext) throws(Errno) { throw .EOPNOTSUPP }
    /// getsockname(2): the raw address.
    open func localAddress() throws(Errno) -> [UInt8] { throw .EOPNOTSUPP }
    /// getpeername(2); ENOTCONN.
    open func peerAddress() throws(Errno) -> [UInt8] { throw .ENOTCONN }
    /// sendmsg(2): how many bytes went. EAGAIN when none can now. EPIPE raises no signal here; that is the caller's to do.
    open func send(_ message: inout OutgoingMessage, _ context: any FileContext) throws(Errno) -> Int { throw .EOPNOTSUPP }
    /// recvmsg(2). EAGAIN when there is nothing.
    open func receive(into buffer: inout IOBuffer, flags: MessageFlags, _ context: any FileContext) throws(Errno) -> IncomingMessage {
        throw .EOPNOTSUPP
    }
    /// getsockopt(2) of an option that the family knows; nil: not known here.
    open func option(level: Int32, name: Int32, _ context: any FileContext) throws(Errno) -> [UInt8]? { nil }
    /// setsockopt(2) of an option that the family knows; false: not known here.
    open func setOption(level: Int32, name: Int32, _ value: [UInt8], _ context: any FileContext) throws(Errno) -> Bool { false }
    /// Whether shutdown, peers and listeners make sense of bytes as a stream (MSG_WAITALL, partial sends).
    open var isStream: Bool { type == SocketType.SOCK_STREAM }
    /// SO_ERROR: the pending error, which is cleared; 0 when there is none.
    open func takeError() -> Int32 { 0 }

    // MARK: read(2), write(2)

    open override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let message = try receive(into: &buffer, flags: [], context)
        message.discardRights(context)
        return message.count
    }
    open override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        var message = OutgoingMessage(buffer)
        let count = try send(&message, context)
        buffer.skip(count)
        return count
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO.
    open override var readTimeout: UInt64? { options.withLock { $0.receiveTimeout } }
    open override var writeTimeout: UInt64? { options.withLock { $0.sendTimeout } }
    /// A blocking write on a stream goes on until everything is sent.
    open override var writesCompletely: Bool { isStream }
}

/// Values of socket(7) options that are kept and given back.
public struct SocketOptions: Sendable {
    /// Limits of unsent and unread bytes as getsockopt(2) shows them (twice what was set).
    public var sendBuffer = 212_992
    public var receiveBuffer = 212_992
    /// In nanoseconds; nil: none.
    public var receiveTimeout: UInt64?
    public var sendTimeout: UInt64?
    public var passesCredentials = false
    /// SO_REUSEADDR and other options of one number without effect on this family.
    public var numbers: [Int32: Int32] = [:]
    public var linger: (on: Int32, seconds: Int32) = (0, 0)
    public init() {}
}

/// What sendmsg(2) sends.
public struct OutgoingMessage {
    public var buffer: IOBuffer
    /// The raw destination, or nil.
    public var address: [UInt8]?
    public var flags: MessageFlags = []
    /// The files of SCM_RIGHTS; the message takes references of its own.
    public var rights: [FileDescription] = []
    /// SCM_CREDENTIALS, checked by the caller; nil: the sender's own.
    public var credentials: SocketCredentials?
    public init(_ buffer: IOBuffer) { self.buffer = buffer }
}

/// What recvmsg(2) got.
public struct IncomingMessage {
    /// Bytes put into the buffer; with MSG_TRUNC asked for, of a datagram, its real length.
    public var count = 0
    /// MSG_TRUNC, MSG_EOR.
    public var flags: MessageFlags = []
    /// The sender's raw address; empty when it has none.
    public var address: [UInt8] = []
    /// For SCM_CREDENTIALS, when the receiver asked for it.
    public var credentials: SocketCredentials?
    /// Files that came along, one descriptor reference each, which the receiver must install or release.
    public var rights: [FileDescription] = []
    public init() {}

    /// Closes the files that came along.
    public func discardRights(_ context: any FileContext) {
        for file in rights { file.releaseDescriptor(context) }
    }
}

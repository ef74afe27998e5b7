public import Host
import LinuxABI
import SentryVFS
public import Synchronization

/// What Unix sockets share in one network namespace: abstract names, the list behind /proc/net/unix, and net.unix.max_dgram_qlen.
public final class UnixNamespace: Sendable {
    private struct WeakSocket {
        weak var socket: UnixSocket?
    }
    private struct State {
        var abstract: [[UInt8]: WeakSocket] = [:]
        /// Every socket by inode number.
        var sockets: [UInt64: WeakSocket] = [:]
        /// Where the search for a free autobind name goes on.
        var nextAutobind: UInt32 = 0
    }
    private let state = Lock(State())
    /// net.unix.max_dgram_qlen: datagrams that wait at one socket.
    public let maximumDatagrams = Atomic<Int>(512)
    /// net.core.somaxconn.
    public let maximumBacklog = Atomic<Int>(Int(SocketOption.SOMAXCONN))
    /// Most sockets in a namespace; above it socket(2) fails with ENFILE.
    public static let maximumSockets = 262_144

    /// The one of this sandbox: its containers share a network namespace.
    public static let shared = UnixNamespace()

    public init() {}

    func register(_ socket: UnixSocket) throws(Errno) {
        try state.withLock { state throws(Errno) in
            guard state.sockets.count < Self.maximumSockets else { throw .ENFILE }
            state.sockets[socket.inodeNumber] = WeakSocket(socket: socket)
        }
    }
    func unregister(_ socket: UnixSocket) {
        state.withLock { state in
            state.sockets[socket.inodeNumber] = nil
            if case .abstract(let name) = socket.boundAddress, let owner = state.abstract[name],
                owner.socket === socket || owner.socket == nil
            {
                state.abstract[name] = nil
            }
        }
    }

    /// Takes an abstract name. EADDRINUSE.
    func bind(_ name: [UInt8], _ socket: UnixSocket) throws(Errno) {
        try state.withLock { state throws(Errno) in
            if let owner = state.abstract[name]?.socket, owner !== socket { throw .EADDRINUSE }
            state.abstract[name] = WeakSocket(socket: socket)
        }
    }

    /// Takes a free name of five hexadecimal digits (unix(7), "Autobind feature"). ENOSPC when there is none.
    func autobind(_ socket: UnixSocket) throws(Errno) -> [UInt8] {
        try state.withLock { state throws(Errno) in
            for _ in 0..<0x10_0000 {
                let number = state.nextAutobind & 0xf_ffff
                state.nextAutobind = number + 1
                let digits = String(number, radix: 16)
                let name = Array((String(repeating: "0", count: 5 - digits.count) + digits).utf8)
                if state.abstract[name]?.socket == nil {
                    state.abstract[name] = WeakSocket(socket: socket)
                    return name
                }
            }
            throw .ENOSPC
        }
    }

    /// The owner of an abstract name, or ECONNREFUSED.
    func lookup(_ name: [UInt8]) throws(Errno) -> UnixSocket {
        guard let socket = state.withLock({ $0.abstract[name]?.socket }) else { throw .ECONNREFUSED }
        return socket
    }

    /// All sockets by inode number, for /proc/net/unix.
    public func all() -> [UnixSocket] {
        state.withLock { state in state.sockets.sorted { $0.key < $1.key }.compactMap { $0.value.socket } }
    }

    /// The text of /proc/net/unix.
    public func table() -> [UInt8] {
        var text = Array("Num       RefCount Protocol Flags    Type St Inode Path\n".utf8)
        for socket in all() { text += socket.tableLine() }
        return text
    }
}

/// Address families of socket(2) (linux/socket.h).
public enum AddressFamily {
    @inlinable public static var AF_UNSPEC: Int32 { 0 }
    @inlinable public static var AF_UNIX: Int32 { 1 }
    @inlinable public static var AF_INET: Int32 { 2 }
    @inlinable public static var AF_INET6: Int32 { 10 }
    @inlinable public static var AF_NETLINK: Int32 { 16 }
    @inlinable public static var AF_PACKET: Int32 { 17 }
    @inlinable public static var AF_ALG: Int32 { 38 }
    @inlinable public static var AF_VSOCK: Int32 { 40 }
    /// One past the last family.
    @inlinable public static var AF_MAX: Int32 { 46 }
}

/// Types and flags of socket(2).
public enum SocketType {
    @inlinable public static var SOCK_STREAM: Int32 { 1 }
    @inlinable public static var SOCK_DGRAM: Int32 { 2 }
    @inlinable public static var SOCK_RAW: Int32 { 3 }
    @inlinable public static var SOCK_SEQPACKET: Int32 { 5 }
    /// The type proper.
    @inlinable public static var SOCK_TYPE_MASK: Int32 { 0xf }
    @inlinable public static var SOCK_NONBLOCK: Int32 { 0o4000 }
    @inlinable public static var SOCK_CLOEXEC: Int32 { 0o2000000 }
}

/// Flags of send(2) and recv(2), and of msg_flags.
@frozen public struct MessageFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let MSG_OOB = MessageFlags(rawValue: 1)
    public static let MSG_PEEK = MessageFlags(rawValue: 2)
    public static let MSG_DONTROUTE = MessageFlags(rawValue: 4)
    public static let MSG_CTRUNC = MessageFlags(rawValue: 8)
    public static let MSG_TRUNC = MessageFlags(rawValue: 0x20)
    public static let MSG_DONTWAIT = MessageFlags(rawValue: 0x40)
    public static let MSG_EOR = MessageFlags(rawValue: 0x80)
    public static let MSG_WAITALL = MessageFlags(rawValue: 0x100)
    public static let MSG_ERRQUEUE = MessageFlags(rawValue: 0x2000)
    public static let MSG_NOSIGNAL = MessageFlags(rawValue: 0x4000)
    public static let MSG_MORE = MessageFlags(rawValue: 0x8000)
    public static let MSG_WAITFORONE = MessageFlags(rawValue: 0x10000)
    public static let MSG_CMSG_CLOEXEC = MessageFlags(rawValue: 0x4000_0000)
}

/// `how` of shutdown(2).
public enum ShutdownMode {
    @inlinable public static var SHUT_RD: Int32 { 0 }
    @inlinable public static var SHUT_WR: Int32 { 1 }
    @inlinable public static var SHUT_RDWR: Int32 { 2 }
}

/// Options of SOL_SOCKET (socket(7), asm-generic/socket.h), and ancillary message types (cmsg(3)).
public enum SocketOption {
    @inlinable public static var SOL_SOCKET: Int32 { 1 }
    @inlinable public static var SO_DEBUG: Int32 { 1 }
    @inlinable public static var SO_REUSEADDR: Int32 { 2 }
    @inlinable public static var SO_TYPE: Int32 { 3 }
    @inlinable public static var SO_ERROR: Int32 { 4 }
    @inlinable public static var SO_DONTROUTE: Int32 { 5 }
    @inlinable public static var SO_BROADCAST: Int32 { 6 }
    @inlinable public static var SO_SNDBUF: Int32 { 7 }
    @inlinable public static var SO_RCVBUF: Int32 { 8 }
    @inlinable public static var SO_KEEPALIVE: Int32 { 9 }
    @inlinable public static var SO_OOBINLINE: Int32 { 10 }
    @inlinable public static var SO_PRIORITY: Int32 { 12 }
    @inlinable public static var SO_LINGER: Int32 { 13 }
    @inlinable public static var SO_REUSEPORT: Int32 { 15 }
    @inlinable public static var SO_PASSCRED: Int32 { 16 }
    @inlinable public static var SO_PEERCRED: Int32 { 17 }
    @inlinable public static var SO_RCVLOWAT: Int32 { 18 }
    @inlinable public static var SO_SNDLOWAT: Int32 { 19 }
    @inlinable public static var SO_RCVTIMEO: Int32 { 20 }
    @inlinable public static var SO_SNDTIMEO: Int32 { 21 }
    @inlinable public static var SO_TIMESTAMP: Int32 { 29 }
    @inlinable public static var SO_ACCEPTCONN: Int32 { 30 }
    @inlinable public static var SO_PEERSEC: Int32 { 31 }
    @inlinable public static var SO_SNDBUFFORCE: Int32 { 32 }
    @inlinable public static var SO_RCVBUFFORCE: Int32 { 33 }
    @inlinable public static var SO_PASSSEC: Int32 { 34 }
    @inlinable public static var SO_TIMESTAMPNS: Int32 { 35 }
    @inlinable public static var SO_PROTOCOL: Int32 { 38 }
    @inlinable public static var SO_DOMAIN: Int32 { 39 }
    @inlinable public static var SO_PEEK_OFF: Int32 { 42 }
    @inlinable public static var SO_COOKIE: Int32 { 57 }
    @inlinable public static var SO_PEERGROUPS: Int32 { 59 }
    @inlinable public static var SO_RCVTIMEO_NEW: Int32 { 66 }
    @inlinable public static var SO_SNDTIMEO_NEW: Int32 { 67 }
    @inlinable public static var SCM_RIGHTS: Int32 { 1 }
    @inlinable public static var SCM_CREDENTIALS: Int32 { 2 }
    /// Most descriptors in one SCM_RIGHTS message.
    @inlinable public static var SCM_MAX_FD: Int { 253 }
    /// Largest backlog that listen(2) keeps (net.core.somaxconn).
    @inlinable public static var SOMAXCONN: Int32 { 4096 }
    /// Longest sun_path of struct sockaddr_un, in bytes (unix(7)).
    @inlinable public static var UNIX_PATH_MAX: Int { 108 }
    /// sizeof(struct sockaddr_storage).
    @inlinable public static var ADDRESS_MAX: Int { 128 }
    /// Most vectors of sendmmsg(2) and recvmmsg(2), UIO_MAXIOV.
    @inlinable public static var UIO_MAXIOV: Int { 1024 }
}

/// struct ucred (unix(7)): who sent, or who connected; 12 bytes in memory.
@frozen public struct SocketCredentials: Hashable, Sendable {
    public static let size = 12
    public var pid: Int32
    public var uid: UInt32
    public var gid: UInt32
    @inlinable public init(pid: Int32 = 0, uid: UInt32 = 0xffff_fffe, gid: UInt32 = 0xffff_fffe) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }
}

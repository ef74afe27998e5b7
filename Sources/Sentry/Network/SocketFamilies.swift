public import LinuxABI
public import SentryKernel
import SentryVFS

/// socket(2) and socketpair(2) for every family.
public enum SocketFamilies {
    private static func names(_ family: Int32) -> String {
        switch family {
        case AddressFamily.AF_INET: "AF_INET"
        case AddressFamily.AF_INET6: "AF_INET6"
        case AddressFamily.AF_NETLINK: "AF_NETLINK"
        case AddressFamily.AF_PACKET: "AF_PACKET"
        case AddressFamily.AF_ALG: "AF_ALG"
        case AddressFamily.AF_VSOCK: "AF_VSOCK"
        default: "family \(family)"
        }
    }

    /// Checks family, type and protocol: the type without flags, and the file's flags. EAFNOSUPPORT, EINVAL, EPROTONOSUPPORT, ESOCKTNOSUPPORT.
    private static func check(_ family: Int32, _ type: Int32, _ protocolNumber: Int32, _ call: SystemCallNumber, _ task: KernelTask)
        throws(Errno) -> (type: Int32, flags: OpenFlags)
    {
        let flags = type & ~SocketType.SOCK_TYPE_MASK
        guard flags & ~(SocketType.SOCK_NONBLOCK | SocketType.SOCK_CLOEXEC) == 0 else { throw .EINVAL }
        guard family >= 0, family < AddressFamily.AF_MAX else { throw .EAFNOSUPPORT }
        guard family == AddressFamily.AF_UNIX else {
            task.kernel.unsupported(call, "\(names(family)): this sandbox has network mode \"none\"; there is no other mode yet")
            throw .EAFNOSUPPORT
        }
        guard protocolNumber == 0 || protocolNumber == AddressFamily.AF_UNIX else { throw .EPROTONOSUPPORT }
        let base: Int32
        switch type & SocketType.SOCK_TYPE_MASK {
        case SocketType.SOCK_STREAM: base = SocketType.SOCK_STREAM
        // As in Linux raw means datagram here.
        case SocketType.SOCK_DGRAM, SocketType.SOCK_RAW: base = SocketType.SOCK_DGRAM
        case SocketType.SOCK_SEQPACKET: base = SocketType.SOCK_SEQPACKET
        default: throw .ESOCKTNOSUPPORT
        }
        return (base, type & SocketType.SOCK_NONBLOCK != 0 ? .O_NONBLOCK : [])
    }

    /// socket(2).
    public static func make(_ family: Int32, _ type: Int32, _ protocolNumber: Int32, _ task: KernelTask) throws(Errno) -> Socket {
        let (base, flags) = try check(family, type, protocolNumber, .socket, task)
        return try UnixSocket(type: base, protocolNumber: protocolNumber, flags: flags, namespace: .shared, task)
    }

    /// socketpair(2).
    public static func makePair(_ family: Int32, _ type: Int32, _ protocolNumber: Int32, _ task: KernelTask) throws(Errno) -> (
        Socket, Socket
    ) {
        let (base, flags) = try check(family, type, protocolNumber, .socketpair, task)
        return try UnixSocket.pair(type: base, flags: flags, namespace: .shared, task)
    }
}

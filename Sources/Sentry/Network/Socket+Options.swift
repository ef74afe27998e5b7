import Host
public import LinuxABI
public import SentryVFS

/// getsockopt(2) and setsockopt(2) of SOL_SOCKET, which are alike for every family (socket(7)).
extension Socket {
    /// net.core.wmem_max and rmem_max, in bytes: the largest that SO_SNDBUF and SO_RCVBUF set (they are doubled).
    private static let maximumBuffer: Int32 = 212_992
    private static let minimumSendBuffer = 4608
    private static let minimumReceiveBuffer = 2304
    /// The largest that the FORCE variants set.
    private static let maximumForced: Int32 = 64 << 20

    /// getsockopt(2): the whole value, which the caller cuts. ENOPROTOOPT for an unknown option.
    public func getOption(level: Int32, name: Int32, _ context: any FileContext) throws(Errno) -> [UInt8] {
        if let value = try option(level: level, name: name, context) { return value }
        guard level == SocketOption.SOL_SOCKET else { throw .ENOPROTOOPT }
        let options = options.withLock { $0 }
        switch name {
        case SocketOption.SO_TYPE: return SocketBytes.encode(UInt32(bitPattern: type))
        case SocketOption.SO_DOMAIN: return SocketBytes.encode(UInt32(bitPattern: family))
        case SocketOption.SO_PROTOCOL: return SocketBytes.encode(UInt32(bitPattern: protocolNumber))
        case SocketOption.SO_ERROR: return SocketBytes.encode(UInt32(bitPattern: takeError()))
        case SocketOption.SO_SNDBUF: return SocketBytes.encode(UInt32(clamping: options.sendBuffer))
        case SocketOption.SO_RCVBUF: return SocketBytes.encode(UInt32(clamping: options.receiveBuffer))
        case SocketOption.SO_PASSCRED: return SocketBytes.encode(UInt32(options.passesCredentials ? 1 : 0))
        case SocketOption.SO_LINGER:
            return SocketBytes.encode(UInt32(bitPattern: options.linger.on))
                + SocketBytes.encode(UInt32(bitPattern: options.linger.seconds))
        case SocketOption.SO_RCVTIMEO, SocketOption.SO_RCVTIMEO_NEW: return Self.timeval(options.receiveTimeout)
        case SocketOption.SO_SNDTIMEO, SocketOption.SO_SNDTIMEO_NEW: return Self.timeval(options.sendTimeout)
        case SocketOption.SO_RCVLOWAT, SocketOption.SO_SNDLOWAT: return SocketBytes.encode(UInt32(bitPattern: options.numbers[name] ?? 1))
        case SocketOption.SO_COOKIE: return SocketBytes.encode(UInt64(truncatingIfNeeded: ObjectIdentifier(self).hashValue) & 0xffff_ffff)
        case let name where Self.plainFlags.contains(name): return SocketBytes.encode(UInt32(bitPattern: options.numbers[name] ?? 0))
        default: throw .ENOPROTOOPT
        }
    }

    /// Options of one number that are kept and change nothing for local sockets.
    private static let plainFlags: [Int32] = [
        SocketOption.SO_DEBUG, SocketOption.SO_REUSEADDR, SocketOption.SO_DONTROUTE, SocketOption.SO_BROADCAST, SocketOption.SO_KEEPALIVE,
        SocketOption.SO_OOBINLINE, SocketOption.SO_PRIORITY, SocketOption.SO_REUSEPORT, SocketOption.SO_TIMESTAMP,
        SocketOption.SO_TIMESTAMPNS,
        SocketOption.SO_PASSSEC,
    ]

    /// setsockopt(2). EINVAL for a short value, EDOM for a bad time, ENOPROTOOPT for an unknown option.
    public func changeOption(level: Int32, name: Int32, _ value: [UInt8], _ context: any FileContext) throws(Errno) {
        if try setOption(level: level, name: name, value, context) { return }
        guard level == SocketOption.SOL_SOCKET else { throw .ENOPROTOOPT }
        let number = try SocketBytes.int32(value)
        switch name {
        case SocketOption.SO_SNDBUF, SocketOption.SO_SNDBUFFORCE:
            let size = try bufferSize(number, forced: name == SocketOption.SO_SNDBUFFORCE, context)
            options.withLock { $0.sendBuffer = max(Self.minimumSendBuffer, size) }
        case SocketOption.SO_RCVBUF, SocketOption.SO_RCVBUFFORCE:
            let size = try bufferSize(number, forced: name == SocketOption.SO_RCVBUFFORCE, context)
            options.withLock { $0.receiveBuffer = max(Self.minimumReceiveBuffer, size) }
        case SocketOption.SO_PASSCRED: options.withLock { $0.passesCredentials = number != 0 }
        case SocketOption.SO_LINGER:
            let seconds = try SocketBytes.int32(value, at: 4)
            options.withLock { $0.linger = (number != 0 ? 1 : 0, seconds) }
        case SocketOption.SO_RCVTIMEO, SocketOption.SO_RCVTIMEO_NEW:
            let timeout = try Self.nanoseconds(value)
            options.withLock { $0.receiveTimeout = timeout }
        case SocketOption.SO_SNDTIMEO, SocketOption.SO_SNDTIMEO_NEW:
            let timeout = try Self.nanoseconds(value)
            options.withLock { $0.sendTimeout = timeout }
        case SocketOption.SO_RCVLOWAT: options.withLock { $0.numbers[name] = number < 0 ? .max : max(1, number) }
        case SocketOption.SO_PRIORITY:
            guard number >= 0 && number <= 6 || context.credentials.has(.CAP_NET_ADMIN) else { throw .EPERM }
            options.withLock { $0.numbers[name] = number }
        case SocketOption.SO_DEBUG:
            guard number == 0 || context.credentials.has(.CAP_NET_ADMIN) else { throw .EACCES }
            options.withLock { $0.numbers[name] = number != 0 ? 1 : 0 }
        case let name where Self.plainFlags.contains(name): options.withLock { $0.numbers[name] = number != 0 ? 1 : 0 }
        default: throw .ENOPROTOOPT
        }
    }

    private func bufferSize(_ asked: Int32, forced: Bool, _ context: any FileContext) throws(Errno) -> Int {
        if forced {
            guard context.credentials.has(.CAP_NET_ADMIN) else { throw .EPERM }
            return Int(min(max(0, asked), Self.maximumForced)) * 2
        }
        // Negative values are huge unsigned ones to Linux.
        return Int(asked < 0 ? Self.maximumBuffer : min(asked, Self.maximumBuffer)) * 2
    }

    private static func timeval(_ nanoseconds: UInt64?) -> [UInt8] {
        let nanoseconds = nanoseconds ?? 0
        return SocketBytes.encode(nanoseconds / 1_000_000_000) + SocketBytes.encode(nanoseconds % 1_000_000_000 / 1000)
    }

    /// struct timeval to nanoseconds; nil for 0 (no time-out). A negative time is one that has passed.
    private static func nanoseconds(_ value: [UInt8]) throws(Errno) -> UInt64? {
        guard value.count >= 16 else { throw .EINVAL }
        let seconds = try SocketBytes.int64(value, at: 0), micro = try SocketBytes.int64(value, at: 8)
        guard micro >= 0, micro < 1_000_000 else { throw .EDOM }
        if seconds < 0 { return 1 }
        if seconds == 0, micro == 0 { return nil }
        return Timespec(tv_sec: seconds, tv_nsec: micro * 1000).nanoseconds
    }
}

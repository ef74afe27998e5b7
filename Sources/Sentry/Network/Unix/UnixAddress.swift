public import LinuxABI

/// The address of a Unix socket (unix(7)).
@frozen public enum UnixAddress: Hashable, Sendable {
    /// Not bound: only the family is told.
    case unnamed
    /// A path in the file system, without its NUL.
    case path([UInt8])
    /// A name in the network namespace, without the leading NUL.
    case abstract([UInt8])

    /// Reads a raw struct sockaddr_un. EINVAL for another family, or when it is too long.
    public init(_ raw: [UInt8]) throws(Errno) {
        guard raw.count >= 2, raw.count <= 2 + SocketOption.UNIX_PATH_MAX else { throw .EINVAL }
        guard Int32(raw[0]) | Int32(raw[1]) << 8 == AddressFamily.AF_UNIX else { throw .EINVAL }
        if raw.count == 2 {
            self = .unnamed
        } else if raw[2] == 0 {
            self = .abstract([UInt8](raw[3...]))
        } else {
            let path = raw[2...]
            self = .path([UInt8](path.prefix(while: { $0 != 0 })))
        }
    }

    /// The raw struct sockaddr_un, as long as Linux tells it (a path with its NUL).
    public var raw: [UInt8] {
        let family: [UInt8] = [UInt8(truncatingIfNeeded: AddressFamily.AF_UNIX), 0]
        switch self {
        case .unnamed: return family
        case .path(let path): return family + path + [0]
        case .abstract(let name): return family + [0] + name
        }
    }

    /// As /proc/net/unix shows it: '@' for NUL in abstract names.
    public var display: [UInt8] {
        switch self {
        case .unnamed: []
        case .path(let path): path
        case .abstract(let name): [0x40] + name.map { $0 == 0 ? 0x40 : $0 }
        }
    }
}

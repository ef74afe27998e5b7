public import LinuxABI

/// Stream sockets at paths.
extension HostCall {
    /// A listening stream socket bound at `path` with mode 0600; a socket that is there already is replaced.
    public static func listenUnix(_ path: [UInt8], backlog: Int = 64) throws(Errno) -> OwnedDescriptor {
        let socket = try streamSocket()
        try withUnixAddress(path) { address, length throws(Errno) in
            if path.first != 0 { _ = try? withPath(path) { p throws(Errno) in raw(.unlink, p) } }
            _ = try check(raw(.bind, Int(socket.rawValue), address, length))
        }
        _ = try withPath(path) { p throws(Errno) in try check(raw(.chmod, p, 0o600)) }
        _ = try check(raw(.listen, Int(socket.rawValue), backlog))
        return socket
    }

    /// A stream socket connected to the one at `path`.
    public static func connectUnix(_ path: [UInt8]) throws(Errno) -> OwnedDescriptor {
        let socket = try streamSocket()
        try withUnixAddress(path) { address, length throws(Errno) in
            _ = try retrying { raw(.connect, Int(socket.rawValue), address, length) }
        }
        return socket
    }

    /// accept4(2): the next connection of a listening socket.
    public static func accept(_ listening: Int32, nonBlocking: Bool = false) throws(Errno) -> OwnedDescriptor {
        let flags = 0o2000000 | (nonBlocking ? 0o4000 : 0)
        return OwnedDescriptor(adopting: Int32(try retrying { raw(.accept4, Int(listening), 0, 0, flags) }))
    }

    /// An eventfd(2), non-blocking.
    public static func eventDescriptor() throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(adopting: Int32(try check(raw(.eventfd2, 0, 0o2004000))))
    }

    private static func streamSocket() throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(adopting: Int32(try check(raw(.socket, 1, 1 | 0o2000000, 0))))
    }

    /// Calls `body` with a struct sockaddr_un of `path`. A path too long for one is reached through its directory's descriptor.
    private static func withUnixAddress(_ path: [UInt8], _ body: (Int, Int) throws(Errno) -> Void) throws(Errno) {
        if path.isEmpty || path.contains(0) { throw .ENOENT }
        var name = path
        var directory: OwnedDescriptor?
        if path.count > 107 {
            guard let slash = path.lastIndex(of: 0x2f) else { throw .ENAMETOOLONG }
            let opened = try open(Array(path[..<max(slash, 1)]), flags: 0o10200000)  // O_PATH | O_DIRECTORY
            name = Array("/proc/self/fd/\(opened.rawValue)/".utf8) + path[(slash + 1)...]
            directory = consume opened
            if name.count > 107 { throw .ENAMETOOLONG }
        }
        let address: [UInt8] = [1, 0] + name + [0]
        // SAFETY: the address is used only inside the call.
        try unsafe address.withUnsafeBufferPointer { p throws(Errno) in try body(Int(bitPattern: p.baseAddress), p.count) }
        _ = consume directory
    }
}

extension HostCall {
    /// SO_SNDTIMEO: a send that waits longer fails with EAGAIN.
    public static func setSendTimeout(_ socket: Int32, seconds: Int) throws(Errno) {
        let value: [2 of Int] = [seconds, 0]
        // SAFETY: the address is used only inside the call.
        _ = try unsafe withUnsafePointer(to: value) { p throws(Errno) in
            try check(raw(.setsockopt, Int(socket), 1, 21, Int(bitPattern: p), 16))
        }
    }
}

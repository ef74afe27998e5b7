public import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS

/// An open file over a host descriptor: regular files at the offset that they share with whoever else holds them (O_APPEND included), pipes, sockets
/// and terminals. Nothing blocks: readiness is asked first, because O_NONBLOCK would change the file for its other holders.
public final class HostFile: FileDescription, @unchecked Sendable {
    private let host: HostInode
    /// A ready pipe takes this much without blocking, in bytes (pipe(7): PIPE_BUF).
    private static let safeWrite = 4096

    /// Wraps a descriptor. `user`, `group`: who owns it in the guest's eyes. EBADF for a descriptor that is not open.
    public static func wrap(_ descriptor: consuming OwnedDescriptor, user: UInt32 = 0, group: UInt32 = 0) throws(Errno) -> HostFile {
        let inode = try HostInode(SharedDescriptor(descriptor), user: user, group: group)
        let path = AnonymousFileSystem.inodes.place(of: inode, name: inode.displayName)
        return HostFile(inode, path: path, flags: inode.flags.subtracting(.O_NONBLOCK))
    }

    init(_ host: HostInode, path: Path, flags: OpenFlags) {
        self.host = host
        super.init(path: path, flags: flags)
    }

    /// Whether it is a terminal of the host.
    public var isTerminal: Bool { host.isTerminal }
    override public var isSeekable: Bool { !host.canBlock }
    override public var isPollable: Bool { host.type != .regular && host.type != .directory }
    override public var writesCompletely: Bool { host.canBlock }

    // MARK: Data

    override public func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        if host.canBlock, buffer.remaining > 0, host.readiness([.POLLIN, .POLLHUP]).isEmpty { throw .EAGAIN }
        return try fill(&buffer, offset: nil)
    }

    override public func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        if host.canBlock { throw .ESPIPE }
        guard offset >= 0 else { throw .EINVAL }
        return try fill(&buffer, offset: offset)
    }

    private func fill(_ buffer: inout IOBuffer, offset: Int64?) throws(Errno) -> Int {
        do throws(Errno) { return try buffer.fill(fromHost: host.descriptor.rawValue, offset: offset, limit: buffer.remaining) } catch {
            // A signal of the Sentry's own: the guest's call goes on.
            throw error == .EINTR ? .EAGAIN : error
        }
    }

    override public func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let descriptor = host.descriptor.rawValue
        if !host.canBlock { return try buffer.drain(toHost: descriptor, offset: nil, limit: buffer.remaining) }
        var done = 0
        while buffer.remaining > 0 {
            let ready = host.readiness(.POLLOUT)
            if ready.isEmpty {
                if done > 0 { break }
                throw .EAGAIN
            }
            do throws(Errno) {
                let count = try buffer.drain(toHost: descriptor, offset: nil, limit: min(buffer.remaining, Self.safeWrite))
                if count == 0 { break }
                done += count
            } catch {
                if done > 0 { break }
                throw error == .EINTR ? .EAGAIN : error
            }
        }
        return done
    }

    override public func write(at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext) throws(Errno)
        -> Int
    {
        if host.canBlock { throw .ESPIPE }
        if append { offset = try host.attributes(context).size }
        guard offset >= 0 else { throw .EINVAL }
        return try buffer.drain(toHost: host.descriptor.rawValue, offset: offset, limit: buffer.remaining)
    }

    override public func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        if host.canBlock { throw .ESPIPE }
        return try HostCall.seek(host.descriptor.rawValue, to: distance, from: whence)
    }

    override public func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {
        try HostCall.synchronize(host.descriptor.rawValue, dataOnly: dataOnly)
    }

    override public func allocate(mode: UInt32, offset: Int64, length: Int64, _ context: any FileContext) throws(Errno) {
        try HostCall.allocate(host.descriptor.rawValue, mode: Int32(bitPattern: mode), offset: offset, length: length)
    }

    override public func mappable(_ context: any FileContext) throws(Errno) -> any MappableObject {
        guard host.type == .regular else { throw .ENODEV }
        return host
    }

    // MARK: ioctl(2)

    /// The requests that pass to the host. Nothing that takes a terminal over or types into it (TIOCSCTTY, TIOCSTI, TIOCLINUX) is among them.
    override public func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        guard let space = context.addressSpace else { throw .EFAULT }
        if request == IoctlRequest.FIONREAD {
            try space.copyOut(ask(request, size: 4), to: argument)
            return 0
        }
        guard host.isTerminal else { throw .ENOTTY }
        switch request {
        case TerminalRequest.TCGETS: try space.copyOut(ask(request, size: Termios.size), to: argument)
        case TerminalRequest.TCSETS, TerminalRequest.TCSETSW, TerminalRequest.TCSETSF:
            try tell(request, space.copyIn(from: argument, count: Termios.size))
        // The second form has the two speeds at its end, which the host is not asked for.
        case TerminalRequest.TCGETS2:
            let speeds = [UInt8](repeating: 0, count: Termios.size2 - Termios.size)
            try space.copyOut(ask(TerminalRequest.TCGETS, size: Termios.size) + speeds, to: argument)
        case TerminalRequest.TCSETS2, TerminalRequest.TCSETSW2, TerminalRequest.TCSETSF2:
            let plain = TerminalRequest.TCSETS + (request - TerminalRequest.TCSETS2)
            try tell(plain, Array(space.copyIn(from: argument, count: Termios.size2).prefix(Termios.size)))
        case TerminalRequest.TIOCGWINSZ: try space.copyOut(ask(request, size: 8), to: argument)
        case TerminalRequest.TIOCSWINSZ: try tell(request, space.copyIn(from: argument, count: 8))
        case TerminalRequest.TIOCOUTQ: try space.copyOut(ask(request, size: 4), to: argument)
        default: throw .ENOTTY
        }
        return 0
    }

    private func ask(_ request: UInt32, size: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        try HostCall.ioctl(host.descriptor.rawValue, request, &bytes)
        return bytes
    }

    private func tell(_ request: UInt32, _ argument: [UInt8]) throws(Errno) {
        var bytes = argument
        try HostCall.ioctl(host.descriptor.rawValue, request, &bytes)
    }

    // MARK: Readiness

    override public func readiness(_ mask: PollEvents) -> PollEvents { host.readiness(mask) }
    override public func add(_ waiter: Waiter) { host.add(waiter) }
    override public func remove(_ waiter: Waiter) { host.remove(waiter) }
}

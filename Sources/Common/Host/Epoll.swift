public import LinuxABI

/// A host epoll instance (epoll(7)), edge-triggered: one thread of a program sleeps in it for all of its foreign descriptors.
public struct HostEpoll: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    public init() throws(Errno) {
        descriptor = OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.epoll_create1, 0o2000000))))
    }

    /// Watches `target` for input and output edges (not with `onlyEnd`), hang-up and errors. EPERM for regular files, which are always ready.
    public func add(_ target: Int32, token: UInt64, onlyEnd: Bool = false) throws(Errno) {
        // EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLET
        var event: [UInt32] = [
            onlyEnd ? 0x8000_0000 : 0x8000_2007, UInt32(truncatingIfNeeded: token), UInt32(truncatingIfNeeded: token >> 32),
        ]
        // SAFETY: struct epoll_event is packed on x86-64: 12 bytes, as the three words.
        try unsafe event.withUnsafeMutableBufferPointer { p throws(Errno) in
            _ = try HostCall.check(HostCall.raw(.epoll_ctl, Int(descriptor.rawValue), 1, Int(target), Int(bitPattern: p.baseAddress)))
        }
    }

    /// Stops watching.
    public func remove(_ target: Int32) { _ = HostCall.raw(.epoll_ctl, Int(descriptor.rawValue), 2, Int(target)) }

    /// Sleeps until something happens; what, with the tokens.
    public func wait() throws(Errno) -> [(token: UInt64, events: PollEvents)] {
        var words = [UInt32](repeating: 0, count: 3 * 64)
        // SAFETY: room for 64 packed events of three words.
        let count = try unsafe words.withUnsafeMutableBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress)
            return try HostCall.retrying { HostCall.raw(.epoll_pwait, Int(descriptor.rawValue), address, 64, -1, 0) }
        }
        return (0..<count).map { index in
            (UInt64(words[3 * index + 1]) | UInt64(words[3 * index + 2]) << 32, PollEvents(rawValue: words[3 * index]))
        }
    }
}

/// Questions about host descriptors that come from outside.
extension HostCall {
    /// ioctl(2) whose argument is a structure: `buffer` goes in and comes back.
    public static func ioctl(_ descriptor: Int32, _ request: UInt32, _ buffer: inout [UInt8]) throws(Errno) {
        // SAFETY: the caller's buffer is as large as the request's structure.
        try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress)
            _ = try retrying { raw(.ioctl, Int(descriptor), Int(request), address) }
        }
    }

    /// fcntl(F_GETFL).
    public static func statusFlags(_ descriptor: Int32) throws(Errno) -> OpenFlags {
        OpenFlags(rawValue: UInt32(truncatingIfNeeded: try check(raw(.fcntl, Int(descriptor), 3))))
    }

    /// Which of `events` hold for one descriptor now.
    public static func readiness(_ descriptor: Int32, _ events: PollEvents) -> PollEvents {
        var word = UInt64(UInt32(bitPattern: descriptor)) | UInt64(events.rawValue & 0xffff) << 32
        // SAFETY: struct pollfd is eight bytes: descriptor, events, revents.
        let count = unsafe withUnsafeMutablePointer(to: &word) { p in raw(.poll, Int(bitPattern: p), 1, 0) }
        return count > 0 ? PollEvents(rawValue: UInt32(truncatingIfNeeded: word >> 48)) : []
    }
}

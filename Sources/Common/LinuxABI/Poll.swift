/// Events of poll(2) and epoll(7).
@frozen public struct PollEvents: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let POLLIN = PollEvents(rawValue: 0x1)
    public static let POLLPRI = PollEvents(rawValue: 0x2)
    public static let POLLOUT = PollEvents(rawValue: 0x4)
    public static let POLLERR = PollEvents(rawValue: 0x8)
    public static let POLLHUP = PollEvents(rawValue: 0x10)
    public static let POLLNVAL = PollEvents(rawValue: 0x20)
    public static let POLLRDNORM = PollEvents(rawValue: 0x40)
    public static let POLLRDBAND = PollEvents(rawValue: 0x80)
    public static let POLLWRNORM = PollEvents(rawValue: 0x100)
    public static let POLLWRBAND = PollEvents(rawValue: 0x200)
    public static let POLLMSG = PollEvents(rawValue: 0x400)
    public static let POLLRDHUP = PollEvents(rawValue: 0x2000)
    /// What a readable file reports.
    public static let readable: PollEvents = [.POLLIN, .POLLRDNORM]
    /// What a writable file reports.
    public static let writable: PollEvents = [.POLLOUT, .POLLWRNORM]
}

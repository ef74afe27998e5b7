public import LinuxABI

/// One entry of ppoll(2): struct pollfd.
@frozen public struct PollEntry: Sendable {
    public var descriptor: Int32
    /// What to wait for, and what happened; the low 16 bits of `PollEvents`.
    private var wanted: UInt16
    private var happened: UInt16 = 0

    /// Waits for `events` on `descriptor`.
    public init(_ descriptor: Int32, _ events: PollEvents) {
        self.descriptor = descriptor
        wanted = UInt16(truncatingIfNeeded: events.rawValue)
    }

    /// What the last `poll` found; POLLERR and POLLHUP come unasked.
    public var result: PollEvents { PollEvents(rawValue: UInt32(happened)) }
}

extension HostCall {
    /// ppoll(2) without a signal mask: entries with something to report, 0 after `timeout` nanoseconds. EINTR is thrown, not retried.
    public static func poll(_ entries: inout [PollEntry], timeout: UInt64? = nil) throws(Errno) -> Int {
        var time: [2 of Int] = [0, 0]
        if let timeout { time = [Int(timeout / 1_000_000_000), Int(timeout % 1_000_000_000)] }
        // SAFETY: both addresses are of locals that live until the call returns.
        return try unsafe entries.withUnsafeMutableBufferPointer { p throws(Errno) in
            try unsafe withUnsafePointer(to: &time) { t throws(Errno) in
                try check(raw(.ppoll, Int(bitPattern: p.baseAddress), p.count, timeout == nil ? 0 : Int(bitPattern: t)))
            }
        }
    }
}

import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS

/// What eventfd(2) gives: a counter that writes add to and reads take.
public final class EventFile: FileDescription, @unchecked Sendable {
    private let counter: Lock<UInt64>
    private let isSemaphore: Bool
    private let queue = WaitQueue()
    /// The counter never gets above this.
    private static let maximum = UInt64.max - 1

    /// `isSemaphore`: EFD_SEMAPHORE. `flags`: O_NONBLOCK.
    public init(_ initial: UInt64, isSemaphore: Bool, flags: OpenFlags) {
        counter = Lock(initial)
        self.isSemaphore = isSemaphore
        super.init(path: AnonymousFileSystem.place(kind: "[eventfd]"), flags: flags.union(.O_RDWR))
    }

    /// For /proc/PID/fdinfo.
    public var count: UInt64 { counter.withLock { $0 } }

    override public var isPrompt: Bool { queue.isShort }

    override public func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard buffer.remaining >= 8 else { throw .EINVAL }
        if buffer.isPrompt { return try readPromptly(into: &buffer) }
        let value = try counter.withLock { counter throws(Errno) in
            if counter == 0 { throw .EAGAIN }
            let value = isSemaphore ? 1 : counter
            counter -= value
            return value
        }
        queue.notify(.writable)
        return try buffer.copyOut(integer: value)
    }

    /// The counter keeps its value unless the buffer is at hand.
    private func readPromptly(into buffer: inout IOBuffer) throws(Errno) -> Int {
        let done = try counter.withLock { counter throws(Errno) in
            if counter == 0 { throw .EAGAIN }
            let value = isSemaphore ? 1 : counter
            let done = try buffer.copyOut(integer: value)
            counter -= value
            return done
        }
        queue.notify(.writable)
        return done
    }

    override public func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard buffer.remaining >= 8 else { throw .EINVAL }
        // The value is looked at without consuming it, so that a write that must wait finds it again.
        let value = try buffer.peekInteger()
        guard value <= Self.maximum else { throw .EINVAL }
        try counter.withLock { counter throws(Errno) in
            guard value <= Self.maximum - counter else { throw .EAGAIN }
            counter += value
        }
        buffer.skip(8)
        queue.notify(.readable)
        return 8
    }

    /// Adds without waiting, as the kernel itself does (AIO, ...): the counter stays at its maximum.
    public func signal(_ value: UInt64) {
        counter.withLock { $0 = $0 > Self.maximum - value ? Self.maximum : $0 + value }
        queue.notify(.readable)
    }

    override public func readiness(_ mask: PollEvents) -> PollEvents {
        let value = counter.withLock { $0 }
        var events: PollEvents = []
        if value > 0 { events.formUnion(.readable) }
        if value < Self.maximum { events.formUnion(.writable) }
        return events.intersection(mask)
    }
    override public func add(_ waiter: Waiter) { queue.add(waiter) }
    override public func remove(_ waiter: Waiter) { queue.remove(waiter) }
}

extension IOBuffer {
    /// One 64-bit number.
    mutating func copyOut(integer value: UInt64) throws(Errno) -> Int {
        var bytes = InlineArray<8, UInt8>(repeating: 0)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
        guard try copyOut(bytes.span) == 8 else { throw .EFAULT }
        return 8
    }
}

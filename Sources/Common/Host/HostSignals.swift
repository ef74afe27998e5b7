public import LinuxABI

/// Signals read from a descriptor (signalfd(2)) in place of handlers.
public struct SignalDescriptor: ~Copyable, Sendable {
    public let descriptor: OwnedDescriptor

    /// Blocks `signals` in the calling thread and makes a descriptor on which they arrive. Call it before other threads start.
    public init(_ signals: [Int32]) throws(Errno) {
        var mask: UInt64 = 0
        for signal in signals where signal >= 1 && signal <= 64 { mask |= 1 << UInt64(signal - 1) }
        let words: [UInt64] = [mask]
        // SAFETY: both calls read 8 bytes of mask.
        let number = try unsafe words.withUnsafeBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress)
            _ = try HostCall.check(HostCall.raw(.rt_sigprocmask, 0, address, 0, 8))
            return try HostCall.check(HostCall.raw(.signalfd4, -1, address, 8, 0o2000000))
        }
        descriptor = OwnedDescriptor(adopting: Int32(number))
    }

    /// Waits for the next signal. `isFromKernel` says that no process sent it (SI_KERNEL): a key of a terminal, a hang-up.
    public borrowing func next() throws(Errno) -> (signal: Int32, isFromKernel: Bool) {
        var record = [UInt8](repeating: 0, count: 128)
        var span = record.mutableSpan
        let count = try HostCall.read(descriptor.rawValue, into: &span)
        guard count == 128 else { throw .EIO }
        // struct signalfd_siginfo: u32 ssi_signo, i32 ssi_errno, i32 ssi_code.
        let code = Int32(record[8]) | Int32(record[9]) << 8
        return (Int32(record[0]) | Int32(record[1]) << 8, code == 0x80)
    }
}

extension HostCall {
    /// Unblocks all signals in the calling thread: what a program to be started expects.
    public static func unblockAllSignals() {
        let words: [UInt64] = [0]
        // SAFETY: the call reads 8 bytes of mask.
        unsafe words.withUnsafeBufferPointer { p in
            let address = Int(bitPattern: p.baseAddress)
            _ = raw(.rt_sigprocmask, 2, address, 0, 8)
        }
    }

    /// kill(2).
    public static func kill(_ processID: Int32, _ signal: Int32) throws(Errno) { _ = try check(raw(.kill, Int(processID), Int(signal))) }

    /// pidfd_open(2), close-on-exec.
    public static func openProcess(_ processID: Int32) throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(adopting: Int32(try check(raw(.pidfd_open, Int(processID), 0))))
    }

    /// pidfd_send_signal(2).
    public static func sendSignal(_ signal: Int32, to process: Int32) throws(Errno) {
        _ = try check(raw(.pidfd_send_signal, Int(process), Int(signal), 0, 0))
    }

    /// Waits until one of `descriptors` is readable or closed: the index of the first such one, or nil after `milliseconds` (-1: never).
    public static func waitReadable(_ descriptors: [Int32], milliseconds: Int32 = -1) throws(Errno) -> Int? {
        let ready = try pollReadable(descriptors, milliseconds: milliseconds)
        return ready.firstIndex(of: true)
    }

    /// poll(2) for reading: which of `descriptors` are readable, closed or broken; none after `milliseconds` (-1: never).
    public static func pollReadable(_ descriptors: [Int32], milliseconds: Int32 = -1) throws(Errno) -> [Bool] {
        // struct pollfd: int fd, short events, short revents.
        var words: [UInt64] = descriptors.map { UInt64(UInt32(bitPattern: $0)) | 1 << 32 }
        let deadline = milliseconds < 0 ? 0 : HostClock.monotonic &+ UInt64(milliseconds) &* 1_000_000
        while true {
            let left: Int = milliseconds < 0 ? -1 : Int(clamping: (deadline &- min(deadline, HostClock.monotonic) &+ 999_999) / 1_000_000)
            // SAFETY: each element is one struct pollfd.
            let result = unsafe words.withUnsafeMutableBufferPointer { p in
                raw(.poll, Int(bitPattern: p.baseAddress), p.count, left)
            }
            if result == -4 { continue }
            _ = try check(result)
            return words.map { $0 >> 48 != 0 }
        }
    }
}

/// How a child ended.
public struct ChildStatus: Sendable, Equatable {
    /// As wait4(2) gives it.
    public let rawValue: Int32
    /// The exit code, or nil when a signal ended it.
    public var exitCode: Int32? { rawValue & 0x7F == 0 ? (rawValue >> 8) & 0xFF : nil }
    /// The signal that ended it, or nil.
    public var signal: Int32? { rawValue & 0x7F == 0 ? nil : rawValue & 0x7F }
    /// As a shell's $?.
    public var shellStatus: Int32 { exitCode ?? 128 + (rawValue & 0x7F) }

    public init(rawValue: Int32) { self.rawValue = rawValue }
}

extension HostCall {
    /// wait4(2): waits until the child has ended, and reaps it.
    public static func waitForChild(_ processID: Int32) throws(Errno) -> ChildStatus {
        var status: [Int32] = [0]
        // SAFETY: wait4 fills one int.
        try unsafe status.withUnsafeMutableBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress)
            _ = try retrying { raw(.wait4, Int(processID), address, 0, 0) }
        }
        return ChildStatus(rawValue: status[0])
    }
}

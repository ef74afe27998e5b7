internal import CHost
public import LinuxABI

/// The two ends of a socket pair or pipe (`first` is the reading end of a pipe).
@frozen public struct DescriptorPair: ~Copyable, Sendable {
    public var first: OwnedDescriptor
    public var second: OwnedDescriptor

    /// Gives both up; the caller must close them.
    public consuming func release() -> (Int32, Int32) { (first.release(), second.release()) }
    /// The first end; the second is closed.
    public consuming func takeFirst() -> OwnedDescriptor { first }
}

/// Unix sockets with descriptor passing.
extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed buffer and used only inside the closure that borrows it.
    /// socketpair(2) of AF_UNIX. `type` is SOCK_STREAM (1), SOCK_DGRAM (2) or SOCK_SEQPACKET (5), with flags.
    public static func socketPair(type: Int32 = 1) throws(Errno) -> DescriptorPair {
        var pair: [Int32] = [-1, -1]
        try unsafe pair.withUnsafeMutableBufferPointer { p throws(Errno) in
            _ = try check(raw(.socketpair, 1, Int(type | 0o2000000), 0, Int(bitPattern: p.baseAddress)))
        }
        return DescriptorPair(first: OwnedDescriptor(adopting: pair[0]), second: OwnedDescriptor(adopting: pair[1]))
    }

    /// sendmsg(2) with descriptors attached to the first byte; may send less.
    public static func send(_ socket: Int32, _ bytes: Span<UInt8>, descriptors: [Int32] = [], flags: Int32 = 0) throws(Errno) -> Int {
        let result = unsafe bytes.withUnsafeBufferPointer { p in
            unsafe descriptors.withUnsafeBufferPointer { d in
                var result: Int
                repeat {
                    result = unsafe chost_send_descriptors(socket, p.baseAddress, p.count, d.baseAddress, d.count, flags)
                } while result == -4
                return result
            }
        }
        return try check(result)
    }

    /// recvmsg(2). Descriptors that arrive are appended to `descriptors`; more than `maximumDescriptors` of them is EMSGSIZE, and none is kept.
    public static func receive(
        _ socket: Int32, into buffer: inout MutableSpan<UInt8>, descriptors: inout [Int32], maximumDescriptors: Int = 16, flags: Int32 = 0
    ) throws(Errno) -> Int {
        var values = [Int32](repeating: -1, count: maximumDescriptors)
        var count = 0
        let result = unsafe buffer.withUnsafeMutableBufferPointer { p in
            unsafe values.withUnsafeMutableBufferPointer { d in
                var result: Int
                repeat {
                    count = d.count
                    result = unsafe chost_receive_descriptors(socket, p.baseAddress, p.count, d.baseAddress, &count, flags)
                } while result == -4
                return result
            }
        }
        descriptors += values.prefix(result < 0 ? 0 : count)
        return try check(result)
    }
}

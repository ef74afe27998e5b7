public import LinuxABI

extension HostCall {
    /// A resource limit of this process (prlimit(2)). `resource` is an RLIMIT_ number.
    public static func resourceLimit(_ resource: Int) throws(Errno) -> (soft: UInt64, hard: UInt64) {
        var values: [UInt64] = [0, 0]
        // SAFETY: struct rlimit64 is two 64-bit words.
        try unsafe values.withUnsafeMutableBufferPointer { p throws(Errno) in
            _ = try check(raw(.prlimit64, 0, resource, 0, Int(bitPattern: p.baseAddress)))
        }
        return (values[0], values[1])
    }

    /// Raises the soft limit of a resource to its hard limit; what it is now.
    @discardableResult public static func raiseResourceLimit(_ resource: Int) throws(Errno) -> UInt64 {
        let (soft, hard) = try resourceLimit(resource)
        if soft >= hard { return soft }
        let values: [UInt64] = [hard, hard]
        // SAFETY: struct rlimit64 is two 64-bit words.
        try unsafe values.withUnsafeBufferPointer { p throws(Errno) in
            _ = try check(raw(.prlimit64, 0, resource, Int(bitPattern: p.baseAddress), 0))
        }
        return hard
    }
}

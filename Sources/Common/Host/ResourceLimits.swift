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
}

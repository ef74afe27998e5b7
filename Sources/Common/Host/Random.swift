public import LinuxABI

extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed or temporary buffer and used only inside the closure that borrows it.
    /// Fills `buffer` with random bytes of the host (getrandom(2), the urandom source).
    public static func random(into buffer: inout MutableSpan<UInt8>) throws(Errno) {
        try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            var done = 0
            while done < p.count {
                // getrandom hands out whole requests up to 256 bytes, and may be interrupted in longer ones.
                let address = Int(bitPattern: p.baseAddress) + done, count = p.count - done
                done += try retrying { raw(.getrandom, address, count, 0) }
            }
        }
    }

    /// `count` random bytes.
    public static func randomBytes(_ count: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        try random(into: &span)
        return bytes
    }
}

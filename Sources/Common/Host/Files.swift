public import LinuxABI

/// Reading and writing host files, whole buffers at a time; EINTR is retried.
extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed buffer and used only inside the closure that borrows it.
    /// read(2) into `buffer`; 0 means end of file.
    public static func read(_ descriptor: Int32, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int {
        try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress), count = p.count
            return try retrying { raw(.read, Int(descriptor), address, count) }
        }
    }

    /// pread(2).
    public static func read(_ descriptor: Int32, at offset: Int64, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int {
        try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress), count = p.count
            return try retrying { raw(.pread64, Int(descriptor), address, count, Int(offset)) }
        }
    }

    /// write(2); may write less.
    public static func write(_ descriptor: Int32, _ bytes: Span<UInt8>) throws(Errno) -> Int {
        try unsafe bytes.withUnsafeBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress), count = p.count
            return try retrying { raw(.write, Int(descriptor), address, count) }
        }
    }

    /// pwrite(2); may write less.
    public static func write(_ descriptor: Int32, at offset: Int64, _ bytes: Span<UInt8>) throws(Errno) -> Int {
        try unsafe bytes.withUnsafeBufferPointer { p throws(Errno) in
            let address = Int(bitPattern: p.baseAddress), count = p.count
            return try retrying { raw(.pwrite64, Int(descriptor), address, count, Int(offset)) }
        }
    }

    /// Writes all of `bytes`.
    public static func writeAll(_ descriptor: Int32, _ bytes: Span<UInt8>) throws(Errno) {
        var done = 0
        while done < bytes.count {
            let count = try write(descriptor, bytes.extracting(done..<bytes.count))
            if count == 0 { throw .EIO }
            done += count
        }
    }

    /// Runs `body` with the address of a NUL-terminated copy of `path`. A path with a NUL byte is ENOENT.
    public static func withPath<R: ~Copyable>(_ path: [UInt8], _ body: (Int) throws(Errno) -> R) throws(Errno) -> R {
        if path.contains(0) { throw .ENOENT }
        let terminated = path + [0]
        return try unsafe terminated.span.withUnsafeBufferPointer { p throws(Errno) in try body(Int(bitPattern: p.baseAddress)) }
    }

    /// openat(2), close-on-exec always. `directory` -100 is the working directory.
    public static func open(_ path: [UInt8], flags: Int32, mode: UInt32 = 0, at directory: Int32 = -100) throws(Errno) -> OwnedDescriptor {
        try withPath(path) { address throws(Errno) in
            OwnedDescriptor(
                adopting: Int32(try retrying { raw(.openat, Int(directory), address, Int(flags | 0o2000000), Int(mode)) }))
        }
    }
}

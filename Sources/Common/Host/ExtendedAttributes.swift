public import LinuxABI

/// Extended attributes (xattr(7)), in two families: of an open file, whose descriptor must not be an O_PATH one, and, from Linux 6.13, of a
/// path below a directory (ENOSYS before). A symbolic link at the path's end is not followed.
extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed or temporary buffer and used only inside the closure that borrows it.
    /// fgetxattr(2), or getxattrat(2) with `path`: the value, at most `maximum` bytes (ERANGE when it is longer).
    public static func extendedAttribute(
        _ descriptor: Int32, _ name: [UInt8], maximum: Int = 65536, path: [UInt8]? = nil
    ) throws(Errno) -> [UInt8] {
        try withPath(name) { name throws(Errno) in
            try filled(maximum) { value, size throws(Errno) in
                guard let path else { return try retrying { raw(.fgetxattr, Int(descriptor), name, value, size) } }
                return try withArguments(path, value: value, size: size, flags: 0) { path, arguments throws(Errno) in
                    try retrying { raw(.getxattrat, Int(descriptor), path, noFollow, name, arguments, 16) }
                }
            }
        }
    }

    /// fsetxattr(2), or setxattrat(2) with `path`. `flags` are XattrFlag's.
    public static func setExtendedAttribute(
        _ descriptor: Int32, _ name: [UInt8], to value: [UInt8], flags: Int32, path: [UInt8]? = nil
    ) throws(Errno) {
        try withPath(name) { name throws(Errno) in
            try unsafe value.withUnsafeBufferPointer { p throws(Errno) in
                let value = Int(bitPattern: p.baseAddress), size = p.count
                guard let path else {
                    _ = try retrying { raw(.fsetxattr, Int(descriptor), name, value, size, Int(flags)) }
                    return
                }
                try withArguments(path, value: value, size: size, flags: flags) { path, arguments throws(Errno) in
                    _ = try retrying { raw(.setxattrat, Int(descriptor), path, noFollow, name, arguments, 16) }
                }
            }
        }
    }

    /// flistxattr(2), or listxattrat(2) with `path`: the names, each ended by a NUL.
    public static func extendedAttributeNames(
        _ descriptor: Int32, maximum: Int = 65536, path: [UInt8]? = nil
    ) throws(Errno) -> [UInt8] {
        try filled(maximum) { list, size throws(Errno) in
            guard let path else { return try retrying { raw(.flistxattr, Int(descriptor), list, size) } }
            return try withPath(path) { path throws(Errno) in
                try retrying { raw(.listxattrat, Int(descriptor), path, noFollow, list, size) }
            }
        }
    }

    /// fremovexattr(2), or removexattrat(2) with `path`.
    public static func removeExtendedAttribute(_ descriptor: Int32, _ name: [UInt8], path: [UInt8]? = nil) throws(Errno) {
        try withPath(name) { name throws(Errno) in
            guard let path else {
                _ = try retrying { raw(.fremovexattr, Int(descriptor), name) }
                return
            }
            try withPath(path) { path throws(Errno) in
                _ = try retrying { raw(.removexattrat, Int(descriptor), path, noFollow, name) }
            }
        }
    }

    private static var noFollow: Int { Int(AtFlag.AT_SYMLINK_NOFOLLOW) }

    /// An array of what `body` writes at the address it gets, at most `maximum` bytes.
    private static func filled(_ maximum: Int, _ body: (Int, Int) throws(Errno) -> Int) throws(Errno) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: maximum)
        let count = try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            try body(Int(bitPattern: p.baseAddress), p.count)
        }
        buffer.removeLast(maximum - min(count, maximum))
        return buffer
    }

    /// Runs `body` with the addresses of the path and of a struct xattr_args.
    private static func withArguments<R>(
        _ path: [UInt8], value: Int, size: Int, flags: Int32, _ body: (Int, Int) throws(Errno) -> R
    ) throws(Errno) -> R {
        let words: [UInt64] = [UInt64(UInt(bitPattern: value)), UInt64(size) | UInt64(UInt32(bitPattern: flags)) << 32]
        return try withPath(path) { path throws(Errno) in
            // SAFETY: the array outlives the call that reads it.
            try unsafe words.withUnsafeBufferPointer { p throws(Errno) in try body(path, Int(bitPattern: p.baseAddress)) }
        }
    }
}

public import LinuxABI

/// One entry of a directory, as getdents64(2) gives it.
public struct HostDirectoryEntry: Sendable {
    public var inode: UInt64
    /// Where the next entry starts, for lseek(2) on the directory.
    public var nextOffset: Int64
    /// DirectoryEntryType's.
    public var type: UInt8
    public var name: [UInt8]
}

/// The tree of names: looking up, making, linking, renaming and removing files below a directory descriptor.
extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed or temporary buffer and used only inside the closure that borrows it.
    /// openat2(2), close-on-exec always. `resolve` is ResolveFlag's. ENOSYS before Linux 5.6; EAGAIN when the tree changed meanwhile.
    public static func open(
        _ path: [UInt8], flags: Int32, mode: UInt32 = 0, resolve: UInt64, at directory: Int32
    ) throws(Errno) -> OwnedDescriptor {
        try withPath(path) { address throws(Errno) in
            let how: [UInt64] = [UInt64(UInt32(bitPattern: flags | OpenFlag.O_CLOEXEC)), UInt64(mode), resolve]
            return try unsafe how.span.withUnsafeBufferPointer { p throws(Errno) in
                let pointer = Int(bitPattern: p.baseAddress)
                return OwnedDescriptor(adopting: Int32(try retrying { raw(.openat2, Int(directory), address, pointer, 24) }))
            }
        }
    }

    /// mkdirat(2).
    public static func makeDirectory(_ path: [UInt8], mode: UInt32, at directory: Int32) throws(Errno) {
        try withPath(path) { address throws(Errno) in _ = try retrying { raw(.mkdirat, Int(directory), address, Int(mode)) } }
    }

    /// mknodat(2). `mode` has the type in it; `device` is a DeviceNumber.
    public static func makeNode(_ path: [UInt8], mode: UInt32, device: UInt64, at directory: Int32) throws(Errno) {
        try withPath(path) { address throws(Errno) in
            // The call takes 32 bits of device number (new_encode_dev), whose low half equals the low half of st_rdev.
            _ = try retrying { raw(.mknodat, Int(directory), address, Int(mode), Int(UInt32(truncatingIfNeeded: device))) }
        }
    }

    /// symlinkat(2).
    public static func makeSymbolicLink(_ path: [UInt8], target: [UInt8], at directory: Int32) throws(Errno) {
        try withPath(path) { address throws(Errno) in
            try withPath(target) { target throws(Errno) in _ = try retrying { raw(.symlinkat, target, Int(directory), address) } }
        }
    }

    /// linkat(2). AT_EMPTY_PATH with an empty `source` needs CAP_DAC_READ_SEARCH.
    public static func makeLink(
        source: [UInt8], at sourceDirectory: Int32, to path: [UInt8], at directory: Int32, flags: Int32 = 0
    ) throws(Errno) {
        try withPath(source) { source throws(Errno) in
            try withPath(path) { path throws(Errno) in
                _ = try retrying { raw(.linkat, Int(sourceDirectory), source, Int(directory), path, Int(flags)) }
            }
        }
    }

    /// unlinkat(2). `flags` may be AT_REMOVEDIR.
    public static func unlink(_ path: [UInt8], at directory: Int32, flags: Int32 = 0) throws(Errno) {
        try withPath(path) { address throws(Errno) in _ = try retrying { raw(.unlinkat, Int(directory), address, Int(flags)) } }
    }

    /// renameat2(2). `flags` are RenameFlag's.
    public static func rename(
        _ old: [UInt8], at oldDirectory: Int32, to new: [UInt8], at newDirectory: Int32, flags: UInt32 = 0
    ) throws(Errno) {
        try withPath(old) { old throws(Errno) in
            try withPath(new) { new throws(Errno) in
                _ = try retrying { raw(.renameat2, Int(oldDirectory), old, Int(newDirectory), new, Int(flags)) }
            }
        }
    }

    /// readlinkat(2); an empty path reads the link that an O_PATH descriptor holds. At most PATH_MAX bytes.
    public static func readLink(_ path: [UInt8] = [], at directory: Int32) throws(Errno) -> [UInt8] {
        try withPath(path) { address throws(Errno) in
            try unsafe withUnsafeTemporaryAllocation(byteCount: PathLimit.PATH_MAX, alignment: 1) { buffer throws(Errno) in
                let target = Int(bitPattern: buffer.baseAddress), size = buffer.count
                let count = try retrying { raw(.readlinkat, Int(directory), address, target, size) }
                return unsafe [UInt8](buffer.prefix(count))
            }
        }
    }

    /// getdents64(2): the next entries, as many as fit into `bufferSize` bytes of the kernel's layout; none at the end.
    public static func readDirectory(_ descriptor: Int32, bufferSize: Int = 32768) throws(Errno) -> [HostDirectoryEntry] {
        try unsafe withUnsafeTemporaryAllocation(byteCount: bufferSize, alignment: 8) { buffer throws(Errno) in
            let address = Int(bitPattern: buffer.baseAddress), size = buffer.count
            let count = try retrying { raw(.getdents64, Int(descriptor), address, size) }
            var entries: [HostDirectoryEntry] = []
            var position = 0
            // SAFETY: struct linux_dirent64 has 19 bytes of header; lengths are checked against what the kernel wrote.
            while position + 19 <= count {
                let length = Int(unsafe buffer.loadUnaligned(fromByteOffset: position + 16, as: UInt16.self))
                guard length > 19, position + length <= count else { throw .EIO }
                let name = unsafe buffer[(position + 19)..<(position + length)].prefix { $0 != 0 }
                unsafe entries.append(
                    HostDirectoryEntry(
                        inode: buffer.loadUnaligned(fromByteOffset: position, as: UInt64.self),
                        nextOffset: buffer.loadUnaligned(fromByteOffset: position + 8, as: Int64.self),
                        type: buffer[position + 18], name: [UInt8](name)))
                position += length
            }
            return entries
        }
    }
}

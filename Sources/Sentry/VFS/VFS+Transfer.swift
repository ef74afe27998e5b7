public import LinuxABI
public import SentryMemory

/// Reading and writing open files: what the system calls share, whatever the kind of file.
extension VFS {
    /// Throws EBADF unless the file was opened for reading.
    @inline(__always) public static func checkReadable(_ file: FileDescription) throws(Errno) {
        guard file.flags.isReadable, !file.isPathOnly else { throw .EBADF }
    }

    /// Throws EBADF unless the file was opened for writing.
    @inline(__always) public static func checkWritable(_ file: FileDescription) throws(Errno) {
        guard file.flags.isWritable, !file.isPathOnly else { throw .EBADF }
    }

    /// read(2), once: EAGAIN when there is nothing yet. `offset`: pread(2).
    public static func read(_ file: FileDescription, at offset: Int64? = nil, into buffer: inout IOBuffer, _ context: any FileContext)
        throws(Errno) -> Int
    {
        let count: Int
        if let offset {
            count = try file.read(at: offset, into: &buffer, context)
        } else {
            count = try file.read(into: &buffer, context)
        }
        if count > 0, FileWatchers.anyone { file.path.dentry.notify(.access) }
        return count
    }

    /// write(2), once: EAGAIN when nothing can be taken. `offset`: pwrite(2), which an O_APPEND file ignores (pwrite(2), BUGS).
    public static func write(_ file: FileDescription, at offset: Int64? = nil, from buffer: inout IOBuffer, _ context: any FileContext)
        throws(Errno) -> Int
    {
        let count: Int
        if let offset {
            var place = offset
            count = try file.write(at: &place, from: &buffer, append: file.flags.contains(.O_APPEND), context)
        } else {
            count = try file.write(from: &buffer, context)
        }
        if count > 0, FileWatchers.anyone { file.path.dentry.notify(.modify) }
        return count
    }
}

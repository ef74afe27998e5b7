import LinuxABI
import SentryVFS

/// Unix sockets in the file system.
enum UnixPaths {
    /// The socket bound at `path`. ECONNREFUSED when nobody is behind it, EACCES without write permission.
    static func socket(at path: [UInt8], _ context: any FileContext) throws(Errno) -> UnixSocket {
        throw .ECONNREFUSED
    }
}

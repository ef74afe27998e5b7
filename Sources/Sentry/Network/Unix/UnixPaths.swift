import Host
import LinuxABI
import SentryVFS

/// Unix sockets in the file system.
enum UnixPaths {
    /// The socket bound at `path`. ECONNREFUSED when nobody is behind it, EACCES without permission to write.
    static func socket(at path: [UInt8], _ context: any FileContext) throws(Errno) -> UnixSocket {
        if path.isEmpty { throw .ENOENT }
        guard let start = context.fileSystemContext?.workingDirectory else { throw .ECONNREFUSED }
        let place = try VFS.resolve(path.span, at: start, .follow, context)
        guard let inode = place.dentry.inode else { throw .ENOENT }
        try inode.checkAccess(.write, context)
        guard inode.type == .socket, let socket = inode.boundSocket.withLock({ $0 as? UnixSocket }) else { throw .ECONNREFUSED }
        return socket
    }
}

extension UnixSocket {
    /// bind(2) to a path: makes the socket's node. EADDRINUSE when the name exists.
    func bindPath(_ path: [UInt8], _ context: any FileContext) throws(Errno) {
        guard let start = context.fileSystemContext?.workingDirectory else { throw .EINVAL }
        if isBound {
            // Linux makes the name first and takes it back: a name that exists is the error it sees.
            throw (try? VFS.resolve(path.span, at: start, [], context))?.dentry.inode == nil ? .EINVAL : .EADDRINUSE
        }
        let place: Path
        do throws(Errno) {
            place = try VFS.makeNode(path.span, at: start, mode: FileMode.S_IFSOCK | 0o777, device: 0, context)
        } catch { throw error == .EEXIST ? .EADDRINUSE : error }
        try bind(.path(path), at: place)
    }
}

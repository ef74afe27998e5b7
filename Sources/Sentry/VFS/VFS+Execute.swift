public import LinuxABI

extension VFS {
    /// Opens a program for execve(2): it must be a regular file with execute permission on a mount without noexec (EACCES); it need not be readable.
    public static func openExecutable(
        _ path: borrowing Span<UInt8>, at start: Path, _ options: ResolveOptions, _ context: any FileContext
    ) throws(Errno) -> FileDescription {
        try openExecutable(resolve(path, at: start, options, context), context)
    }

    /// The same for a place that is already resolved.
    public static func openExecutable(_ place: Path, _ context: any FileContext) throws(Errno) -> FileDescription {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        if inode.type == .symlink { throw .ELOOP }
        guard inode.type == .regular else { throw .EACCES }
        try checkAccess(place, .execute, context)
        return try inode.open(place, flags: [], context)
    }
}

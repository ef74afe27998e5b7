internal import LinuxABI

extension Errno {
    /// In strerror's words, small first letter, as runc writes them: engines look for some of these texts.
    var text: String {
        switch self {
        case .EPERM: "operation not permitted"
        case .ENOENT: "no such file or directory"
        case .ESRCH: "no such process"
        case .EIO: "input/output error"
        case .E2BIG: "argument list too long"
        case .ENOEXEC: "exec format error"
        case .EBADF: "bad file descriptor"
        case .ENOMEM: "cannot allocate memory"
        case .EACCES: "permission denied"
        case .EBUSY: "device or resource busy"
        case .EEXIST: "file exists"
        case .ENOTDIR: "not a directory"
        case .EISDIR: "is a directory"
        case .EINVAL: "invalid argument"
        case .EMFILE, .ENFILE: "too many open files"
        case .ETXTBSY: "text file busy"
        case .ENOSPC: "no space left on device"
        case .EROFS: "read-only file system"
        case .ENAMETOOLONG: "file name too long"
        case .ENOSYS: "function not implemented"
        case .ELOOP: "too many levels of symbolic links"
        case .EOPNOTSUPP: "operation not supported"
        case .EADDRINUSE: "address already in use"
        case .ECONNREFUSED: "connection refused"
        case .ETIMEDOUT: "connection timed out"
        default: description
        }
    }
}

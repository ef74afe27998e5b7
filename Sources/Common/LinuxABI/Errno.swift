/// A Linux error number (errno(3)). One machine word; throwing it allocates nothing.
@frozen public struct Errno: Error, Hashable, Sendable {
    public let rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// The numbers of asm-generic/errno-base.h and asm-generic/errno.h, under their C names.
extension Errno {
    /// Operation not permitted.
    @inlinable public static var EPERM: Errno { Errno(rawValue: 1) }
    /// No such file or directory.
    @inlinable public static var ENOENT: Errno { Errno(rawValue: 2) }
    /// No such process.
    @inlinable public static var ESRCH: Errno { Errno(rawValue: 3) }
    /// Interrupted system call.
    @inlinable public static var EINTR: Errno { Errno(rawValue: 4) }
    /// I/O error.
    @inlinable public static var EIO: Errno { Errno(rawValue: 5) }
    /// No such device or address.
    @inlinable public static var ENXIO: Errno { Errno(rawValue: 6) }
    /// Argument list too long.
    @inlinable public static var E2BIG: Errno { Errno(rawValue: 7) }
    /// Exec format error.
    @inlinable public static var ENOEXEC: Errno { Errno(rawValue: 8) }
    /// Bad file number.
    @inlinable public static var EBADF: Errno { Errno(rawValue: 9) }
    /// No child processes.
    @inlinable public static var ECHILD: Errno { Errno(rawValue: 10) }
    /// Try again.
    @inlinable public static var EAGAIN: Errno { Errno(rawValue: 11) }
    /// Out of memory.
    @inlinable public static var ENOMEM: Errno { Errno(rawValue: 12) }
    /// Permission denied.
    @inlinable public static var EACCES: Errno { Errno(rawValue: 13) }
    /// Bad address.
    @inlinable public static var EFAULT: Errno { Errno(rawValue: 14) }
    /// Block device required.
    @inlinable public static var ENOTBLK: Errno { Errno(rawValue: 15) }
    /// Device or resource busy.
    @inlinable public static var EBUSY: Errno { Errno(rawValue: 16) }
    /// File exists.
    @inlinable public static var EEXIST: Errno { Errno(rawValue: 17) }
    /// Cross-device link.
    @inlinable public static var EXDEV: Errno { Errno(rawValue: 18) }
    /// No such device.
    @inlinable public static var ENODEV: Errno { Errno(rawValue: 19) }
    /// Not a directory.
    @inlinable public static var ENOTDIR: Errno { Errno(rawValue: 20) }
    /// Is a directory.
    @inlinable public static var EISDIR: Errno { Errno(rawValue: 21) }
    /// Invalid argument.
    @inlinable public static var EINVAL: Errno { Errno(rawValue: 22) }
    /// File table overflow.
    @inlinable public static var ENFILE: Errno { Errno(rawValue: 23) }
    /// Too many open files.
    @inlinable public static var EMFILE: Errno { Errno(rawValue: 24) }
    /// Not a typewriter.
    @inlinable public static var ENOTTY: Errno { Errno(rawValue: 25) }
    /// Text file busy.
    @inlinable public static var ETXTBSY: Errno { Errno(rawValue: 26) }
    /// File too large.
    @inlinable public static var EFBIG: Errno { Errno(rawValue: 27) }
    /// No space left on device.
    @inlinable public static var ENOSPC: Errno { Errno(rawValue: 28) }
    /// Illegal seek.
    @inlinable public static var ESPIPE: Errno { Errno(rawValue: 29) }
    /// Read-only file system.
    @inlinable public static var EROFS: Errno { Errno(rawValue: 30) }
    /// Too many links.
    @inlinable public static var EMLINK: Errno { Errno(rawValue: 31) }
    /// Broken pipe.
    @inlinable public static var EPIPE: Errno { Errno(rawValue: 32) }
    /// Math argument out of domain of func.
    @inlinable public static var EDOM: Errno { Errno(rawValue: 33) }
    /// Math result not representable.
    @inlinable public static var ERANGE: Errno { Errno(rawValue: 34) }
    /// Resource deadlock would occur.
    @inlinable public static var EDEADLK: Errno { Errno(rawValue: 35) }
    /// File name too long.
    @inlinable public static var ENAMETOOLONG: Errno { Errno(rawValue: 36) }
    /// No record locks available.
    @inlinable public static var ENOLCK: Errno { Errno(rawValue: 37) }
    /// Invalid system call number.
    @inlinable public static var ENOSYS: Errno { Errno(rawValue: 38) }
    /// Directory not empty.
    @inlinable public static var ENOTEMPTY: Errno { Errno(rawValue: 39) }
    /// Too many symbolic links encountered.
    @inlinable public static var ELOOP: Errno { Errno(rawValue: 40) }
    /// No message of desired type.
    @inlinable public static var ENOMSG: Errno { Errno(rawValue: 42) }
    /// Identifier removed.
    @inlinable public static var EIDRM: Errno { Errno(rawValue: 43) }
    /// Channel number out of range.
    @inlinable public static var ECHRNG: Errno { Errno(rawValue: 44) }
    /// Level 2 not synchronized.
    @inlinable public static var EL2NSYNC: Errno { Errno(rawValue: 45) }
    /// Level 3 halted.
    @inlinable public static var EL3HLT: Errno { Errno(rawValue: 46) }
    /// Level 3 reset.
    @inlinable public static var EL3RST: Errno { Errno(rawValue: 47) }
    /// Link number out of range.
    @inlinable public static var ELNRNG: Errno { Errno(rawValue: 48) }
    /// Protocol driver not attached.
    @inlinable public static var EUNATCH: Errno { Errno(rawValue: 49) }
    /// No CSI structure available.
    @inlinable public static var ENOCSI: Errno { Errno(rawValue: 50) }
    /// Level 2 halted.
    @inlinable public static var EL2HLT: Errno { Errno(rawValue: 51) }
    /// Invalid exchange.
    @inlinable public static var EBADE: Errno { Errno(rawValue: 52) }
    /// Invalid request descriptor.
    @inlinable public static var EBADR: Errno { Errno(rawValue: 53) }
    /// Exchange full.
    @inlinable public static var EXFULL: Errno { Errno(rawValue: 54) }
    /// No anode.
    @inlinable public static var ENOANO: Errno { Errno(rawValue: 55) }
    /// Invalid request code.
    @inlinable public static var EBADRQC: Errno { Errno(rawValue: 56) }
    /// Invalid slot.
    @inlinable public static var EBADSLT: Errno { Errno(rawValue: 57) }
    /// Bad font file format.
    @inlinable public static var EBFONT: Errno { Errno(rawValue: 59) }
    /// Device not a stream.
    @inlinable public static var ENOSTR: Errno { Errno(rawValue: 60) }
    /// No data available.
    @inlinable public static var ENODATA: Errno { Errno(rawValue: 61) }
    /// Timer expired.
    @inlinable public static var ETIME: Errno { Errno(rawValue: 62) }
    /// Out of streams resources.
    @inlinable public static var ENOSR: Errno { Errno(rawValue: 63) }
    /// Machine is not on the network.
    @inlinable public static var ENONET: Errno { Errno(rawValue: 64) }
    /// Package not installed.
    @inlinable public static var ENOPKG: Errno { Errno(rawValue: 65) }
    /// Object is remote.
    @inlinable public static var EREMOTE: Errno { Errno(rawValue: 66) }
    /// Link has been severed.
    @inlinable public static var ENOLINK: Errno { Errno(rawValue: 67) }
    /// Advertise error.
    @inlinable public static var EADV: Errno { Errno(rawValue: 68) }
    /// Srmount error.
    @inlinable public static var ESRMNT: Errno { Errno(rawValue: 69) }
    /// Communication error on send.
    @inlinable public static var ECOMM: Errno { Errno(rawValue: 70) }
    /// Protocol error.
    @inlinable public static var EPROTO: Errno { Errno(rawValue: 71) }
    /// Multihop attempted.
    @inlinable public static var EMULTIHOP: Errno { Errno(rawValue: 72) }
    /// RFS specific error.
    @inlinable public static var EDOTDOT: Errno { Errno(rawValue: 73) }
    /// Not a data message.
    @inlinable public static var EBADMSG: Errno { Errno(rawValue: 74) }
    /// Value too large for defined data type.
    @inlinable public static var EOVERFLOW: Errno { Errno(rawValue: 75) }
    /// Name not unique on network.
    @inlinable public static var ENOTUNIQ: Errno { Errno(rawValue: 76) }
    /// File descriptor in bad state.
    @inlinable public static var EBADFD: Errno { Errno(rawValue: 77) }
    /// Remote address changed.
    @inlinable public static var EREMCHG: Errno { Errno(rawValue: 78) }
    /// Can not access a needed shared library.
    @inlinable public static var ELIBACC: Errno { Errno(rawValue: 79) }
    /// Accessing a corrupted shared library.
    @inlinable public static var ELIBBAD: Errno { Errno(rawValue: 80) }
    /// .lib section in a.out corrupted.
    @inlinable public static var ELIBSCN: Errno { Errno(rawValue: 81) }
    /// Attempting to link in too many shared libraries.
    @inlinable public static var ELIBMAX: Errno { Errno(rawValue: 82) }
    /// Cannot exec a shared library directly.
    @inlinable public static var ELIBEXEC: Errno { Errno(rawValue: 83) }
    /// Illegal byte sequence.
    @inlinable public static var EILSEQ: Errno { Errno(rawValue: 84) }
    /// Interrupted system call should be restarted.
    @inlinable public static var ERESTART: Errno { Errno(rawValue: 85) }
    /// Streams pipe error.
    @inlinable public static var ESTRPIPE: Errno { Errno(rawValue: 86) }
    /// Too many users.
    @inlinable public static var EUSERS: Errno { Errno(rawValue: 87) }
    /// Socket operation on non-socket.
    @inlinable public static var ENOTSOCK: Errno { Errno(rawValue: 88) }
    /// Destination address required.
    @inlinable public static var EDESTADDRREQ: Errno { Errno(rawValue: 89) }
    /// Message too long.
    @inlinable public static var EMSGSIZE: Errno { Errno(rawValue: 90) }
    /// Protocol wrong type for socket.
    @inlinable public static var EPROTOTYPE: Errno { Errno(rawValue: 91) }
    /// Protocol not available.
    @inlinable public static var ENOPROTOOPT: Errno { Errno(rawValue: 92) }
    /// Protocol not supported.
    @inlinable public static var EPROTONOSUPPORT: Errno { Errno(rawValue: 93) }
    /// Socket type not supported.
    @inlinable public static var ESOCKTNOSUPPORT: Errno { Errno(rawValue: 94) }
    /// Operation not supported on transport endpoint.
    @inlinable public static var EOPNOTSUPP: Errno { Errno(rawValue: 95) }
    /// Protocol family not supported.
    @inlinable public static var EPFNOSUPPORT: Errno { Errno(rawValue: 96) }
    /// Address family not supported by protocol.
    @inlinable public static var EAFNOSUPPORT: Errno { Errno(rawValue: 97) }
    /// Address already in use.
    @inlinable public static var EADDRINUSE: Errno { Errno(rawValue: 98) }
    /// Cannot assign requested address.
    @inlinable public static var EADDRNOTAVAIL: Errno { Errno(rawValue: 99) }
    /// Network is down.
    @inlinable public static var ENETDOWN: Errno { Errno(rawValue: 100) }
    /// Network is unreachable.
    @inlinable public static var ENETUNREACH: Errno { Errno(rawValue: 101) }
    /// Network dropped connection because of reset.
    @inlinable public static var ENETRESET: Errno { Errno(rawValue: 102) }
    /// Software caused connection abort.
    @inlinable public static var ECONNABORTED: Errno { Errno(rawValue: 103) }
    /// Connection reset by peer.
    @inlinable public static var ECONNRESET: Errno { Errno(rawValue: 104) }
    /// No buffer space available.
    @inlinable public static var ENOBUFS: Errno { Errno(rawValue: 105) }
    /// Transport endpoint is already connected.
    @inlinable public static var EISCONN: Errno { Errno(rawValue: 106) }
    /// Transport endpoint is not connected.
    @inlinable public static var ENOTCONN: Errno { Errno(rawValue: 107) }
    /// Cannot send after transport endpoint shutdown.
    @inlinable public static var ESHUTDOWN: Errno { Errno(rawValue: 108) }
    /// Too many references: cannot splice.
    @inlinable public static var ETOOMANYREFS: Errno { Errno(rawValue: 109) }
    /// Connection timed out.
    @inlinable public static var ETIMEDOUT: Errno { Errno(rawValue: 110) }
    /// Connection refused.
    @inlinable public static var ECONNREFUSED: Errno { Errno(rawValue: 111) }
    /// Host is down.
    @inlinable public static var EHOSTDOWN: Errno { Errno(rawValue: 112) }
    /// No route to host.
    @inlinable public static var EHOSTUNREACH: Errno { Errno(rawValue: 113) }
    /// Operation already in progress.
    @inlinable public static var EALREADY: Errno { Errno(rawValue: 114) }
    /// Operation now in progress.
    @inlinable public static var EINPROGRESS: Errno { Errno(rawValue: 115) }
    /// Stale file handle.
    @inlinable public static var ESTALE: Errno { Errno(rawValue: 116) }
    /// Structure needs cleaning.
    @inlinable public static var EUCLEAN: Errno { Errno(rawValue: 117) }
    /// Not a XENIX named type file.
    @inlinable public static var ENOTNAM: Errno { Errno(rawValue: 118) }
    /// No XENIX semaphores available.
    @inlinable public static var ENAVAIL: Errno { Errno(rawValue: 119) }
    /// Is a named type file.
    @inlinable public static var EISNAM: Errno { Errno(rawValue: 120) }
    /// Remote I/O error.
    @inlinable public static var EREMOTEIO: Errno { Errno(rawValue: 121) }
    /// Quota exceeded.
    @inlinable public static var EDQUOT: Errno { Errno(rawValue: 122) }
    /// No medium found.
    @inlinable public static var ENOMEDIUM: Errno { Errno(rawValue: 123) }
    /// Wrong medium type.
    @inlinable public static var EMEDIUMTYPE: Errno { Errno(rawValue: 124) }
    /// Operation Canceled.
    @inlinable public static var ECANCELED: Errno { Errno(rawValue: 125) }
    /// Required key not available.
    @inlinable public static var ENOKEY: Errno { Errno(rawValue: 126) }
    /// Key has expired.
    @inlinable public static var EKEYEXPIRED: Errno { Errno(rawValue: 127) }
    /// Key has been revoked.
    @inlinable public static var EKEYREVOKED: Errno { Errno(rawValue: 128) }
    /// Key was rejected by service.
    @inlinable public static var EKEYREJECTED: Errno { Errno(rawValue: 129) }
    /// Owner died.
    @inlinable public static var EOWNERDEAD: Errno { Errno(rawValue: 130) }
    /// State not recoverable.
    @inlinable public static var ENOTRECOVERABLE: Errno { Errno(rawValue: 131) }
    /// Operation not possible due to RF-kill.
    @inlinable public static var ERFKILL: Errno { Errno(rawValue: 132) }
    /// Memory page has hardware error.
    @inlinable public static var EHWPOISON: Errno { Errno(rawValue: 133) }
    /// Another name of EAGAIN.
    @inlinable public static var EWOULDBLOCK: Errno { .EAGAIN }
    /// Another name of EOPNOTSUPP.
    @inlinable public static var ENOTSUP: Errno { .EOPNOTSUPP }
}

extension Errno: CustomStringConvertible {
    /// The C name, or `errno N` for a number that has none.
    public var description: String {
        switch rawValue {
        case 1: "EPERM"
        case 2: "ENOENT"
        case 3: "ESRCH"
        case 4: "EINTR"
        case 5: "EIO"
        case 6: "ENXIO"
        case 7: "E2BIG"
        case 8: "ENOEXEC"
        case 9: "EBADF"
        case 10: "ECHILD"
        case 11: "EAGAIN"
        case 12: "ENOMEM"
        case 13: "EACCES"
        case 14: "EFAULT"
        case 15: "ENOTBLK"
        case 16: "EBUSY"
        case 17: "EEXIST"
        case 18: "EXDEV"
        case 19: "ENODEV"
        case 20: "ENOTDIR"
        case 21: "EISDIR"
        case 22: "EINVAL"
        case 23: "ENFILE"
        case 24: "EMFILE"
        case 25: "ENOTTY"
        case 26: "ETXTBSY"
        case 27: "EFBIG"
        case 28: "ENOSPC"
        case 29: "ESPIPE"
        case 30: "EROFS"
        case 31: "EMLINK"
        case 32: "EPIPE"
        case 33: "EDOM"
        case 34: "ERANGE"
        case 35: "EDEADLK"
        case 36: "ENAMETOOLONG"
        case 37: "ENOLCK"
        case 38: "ENOSYS"
        case 39: "ENOTEMPTY"
        case 40: "ELOOP"
        case 42: "ENOMSG"
        case 43: "EIDRM"
        case 44: "ECHRNG"
        case 45: "EL2NSYNC"
        case 46: "EL3HLT"
        case 47: "EL3RST"
        case 48: "ELNRNG"
        case 49: "EUNATCH"
        case 50: "ENOCSI"
        case 51: "EL2HLT"
        case 52: "EBADE"
        case 53: "EBADR"
        case 54: "EXFULL"
        case 55: "ENOANO"
        case 56: "EBADRQC"
        case 57: "EBADSLT"
        case 59: "EBFONT"
        case 60: "ENOSTR"
        case 61: "ENODATA"
        case 62: "ETIME"
        case 63: "ENOSR"
        case 64: "ENONET"
        case 65: "ENOPKG"
        case 66: "EREMOTE"
        case 67: "ENOLINK"
        case 68: "EADV"
        case 69: "ESRMNT"
        case 70: "ECOMM"
        case 71: "EPROTO"
        case 72: "EMULTIHOP"
        case 73: "EDOTDOT"
        case 74: "EBADMSG"
        case 75: "EOVERFLOW"
        case 76: "ENOTUNIQ"
        case 77: "EBADFD"
        case 78: "EREMCHG"
        case 79: "ELIBACC"
        case 80: "ELIBBAD"
        case 81: "ELIBSCN"
        case 82: "ELIBMAX"
        case 83: "ELIBEXEC"
        case 84: "EILSEQ"
        case 85: "ERESTART"
        case 86: "ESTRPIPE"
        case 87: "EUSERS"
        case 88: "ENOTSOCK"
        case 89: "EDESTADDRREQ"
        case 90: "EMSGSIZE"
        case 91: "EPROTOTYPE"
        case 92: "ENOPROTOOPT"
        case 93: "EPROTONOSUPPORT"
        case 94: "ESOCKTNOSUPPORT"
        case 95: "EOPNOTSUPP"
        case 96: "EPFNOSUPPORT"
        case 97: "EAFNOSUPPORT"
        case 98: "EADDRINUSE"
        case 99: "EADDRNOTAVAIL"
        case 100: "ENETDOWN"
        case 101: "ENETUNREACH"
        case 102: "ENETRESET"
        case 103: "ECONNABORTED"
        case 104: "ECONNRESET"
        case 105: "ENOBUFS"
        case 106: "EISCONN"
        case 107: "ENOTCONN"
        case 108: "ESHUTDOWN"
        case 109: "ETOOMANYREFS"
        case 110: "ETIMEDOUT"
        case 111: "ECONNREFUSED"
        case 112: "EHOSTDOWN"
        case 113: "EHOSTUNREACH"
        case 114: "EALREADY"
        case 115: "EINPROGRESS"
        case 116: "ESTALE"
        case 117: "EUCLEAN"
        case 118: "ENOTNAM"
        case 119: "ENAVAIL"
        case 120: "EISNAM"
        case 121: "EREMOTEIO"
        case 122: "EDQUOT"
        case 123: "ENOMEDIUM"
        case 124: "EMEDIUMTYPE"
        case 125: "ECANCELED"
        case 126: "ENOKEY"
        case 127: "EKEYEXPIRED"
        case 128: "EKEYREVOKED"
        case 129: "EKEYREJECTED"
        case 130: "EOWNERDEAD"
        case 131: "ENOTRECOVERABLE"
        case 132: "ERFKILL"
        case 133: "EHWPOISON"
        default: "errno \(rawValue)"
        }
    }

    /// The text of strerror(3), lower-case first letter as in shell messages.
    public var message: String {
        switch rawValue {
        case 1: "operation not permitted"
        case 2: "no such file or directory"
        case 3: "no such process"
        case 4: "interrupted system call"
        case 5: "input/output error"
        case 6: "no such device or address"
        case 7: "argument list too long"
        case 8: "exec format error"
        case 9: "bad file descriptor"
        case 10: "no child processes"
        case 11: "resource temporarily unavailable"
        case 12: "cannot allocate memory"
        case 13: "permission denied"
        case 14: "bad address"
        case 15: "block device required"
        case 16: "device or resource busy"
        case 17: "file exists"
        case 18: "invalid cross-device link"
        case 19: "no such device"
        case 20: "not a directory"
        case 21: "is a directory"
        case 22: "invalid argument"
        case 23: "too many open files in system"
        case 24: "too many open files"
        case 25: "inappropriate ioctl for device"
        case 26: "text file busy"
        case 27: "file too large"
        case 28: "no space left on device"
        case 29: "illegal seek"
        case 30: "read-only file system"
        case 31: "too many links"
        case 32: "broken pipe"
        case 33: "numerical argument out of domain"
        case 34: "numerical result out of range"
        case 35: "resource deadlock avoided"
        case 36: "file name too long"
        case 37: "no locks available"
        case 38: "function not implemented"
        case 39: "directory not empty"
        case 40: "too many levels of symbolic links"
        case 42: "no message of desired type"
        case 43: "identifier removed"
        case 44: "channel number out of range"
        case 45: "level 2 not synchronized"
        case 46: "level 3 halted"
        case 47: "level 3 reset"
        case 48: "link number out of range"
        case 49: "protocol driver not attached"
        case 50: "no CSI structure available"
        case 51: "level 2 halted"
        case 52: "invalid exchange"
        case 53: "invalid request descriptor"
        case 54: "exchange full"
        case 55: "no anode"
        case 56: "invalid request code"
        case 57: "invalid slot"
        case 59: "bad font file format"
        case 60: "device not a stream"
        case 61: "no data available"
        case 62: "timer expired"
        case 63: "out of streams resources"
        case 64: "machine is not on the network"
        case 65: "package not installed"
        case 66: "object is remote"
        case 67: "link has been severed"
        case 68: "advertise error"
        case 69: "srmount error"
        case 70: "communication error on send"
        case 71: "protocol error"
        case 72: "multihop attempted"
        case 73: "RFS specific error"
        case 74: "bad message"
        case 75: "value too large for defined data type"
        case 76: "name not unique on network"
        case 77: "file descriptor in bad state"
        case 78: "remote address changed"
        case 79: "can not access a needed shared library"
        case 80: "accessing a corrupted shared library"
        case 81: ".lib section in a.out corrupted"
        case 82: "attempting to link in too many shared libraries"
        case 83: "cannot exec a shared library directly"
        case 84: "invalid or incomplete multibyte or wide character"
        case 85: "interrupted system call should be restarted"
        case 86: "streams pipe error"
        case 87: "too many users"
        case 88: "socket operation on non-socket"
        case 89: "destination address required"
        case 90: "message too long"
        case 91: "protocol wrong type for socket"
        case 92: "protocol not available"
        case 93: "protocol not supported"
        case 94: "socket type not supported"
        case 95: "operation not supported"
        case 96: "protocol family not supported"
        case 97: "address family not supported by protocol"
        case 98: "address already in use"
        case 99: "cannot assign requested address"
        case 100: "network is down"
        case 101: "network is unreachable"
        case 102: "network dropped connection on reset"
        case 103: "software caused connection abort"
        case 104: "connection reset by peer"
        case 105: "no buffer space available"
        case 106: "transport endpoint is already connected"
        case 107: "transport endpoint is not connected"
        case 108: "cannot send after transport endpoint shutdown"
        case 109: "too many references: cannot splice"
        case 110: "connection timed out"
        case 111: "connection refused"
        case 112: "host is down"
        case 113: "no route to host"
        case 114: "operation already in progress"
        case 115: "operation now in progress"
        case 116: "stale file handle"
        case 117: "structure needs cleaning"
        case 118: "not a XENIX named type file"
        case 119: "no XENIX semaphores available"
        case 120: "is a named type file"
        case 121: "remote I/O error"
        case 122: "disk quota exceeded"
        case 123: "no medium found"
        case 124: "wrong medium type"
        case 125: "operation canceled"
        case 126: "required key not available"
        case 127: "key has expired"
        case 128: "key has been revoked"
        case 129: "key was rejected by service"
        case 130: "owner died"
        case 131: "state not recoverable"
        case 132: "operation not possible due to RF-kill"
        case 133: "memory page has hardware error"
        default: "unknown error \(rawValue)"
        }
    }
}

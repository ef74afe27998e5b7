internal import Host
public import LinuxABI
import SentryMemory
public import SentryVFS

/// The memory devices: character devices of major 1 (mem(4), null(4), random(4), full(4)).
public enum MemoryDevice: UInt32, Sendable, CaseIterable {
    case null = 3, zero = 5, full = 7, random = 8, urandom = 9

    /// The major number of all of them.
    public static let major: UInt32 = 1

    /// Opens the device; the file's operations touch nothing shared.
    public func open(_ path: Path, flags: OpenFlags) -> FileDescription {
        switch self {
        case .null: NullFile(path: path, flags: flags)
        case .zero, .full: ZeroFile(path: path, flags: flags, isFull: self == .full)
        case .random, .urandom: RandomFile(path: path, flags: flags)
        }
    }
}

/// /dev/null.
final class NullFile: FileDescription, @unchecked Sendable {
    override var isSeekable: Bool { true }
    override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { 0 }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { 0 }
    override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        // The bytes are not looked at: a bad address is no error here, as in Linux.
        let count = buffer.remaining
        buffer.skip(count)
        return count
    }
    override func write(
        at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext
    ) throws(Errno) -> Int {
        let count = buffer.remaining
        buffer.skip(count)
        return count
    }
    /// null_lseek: the position is always 0.
    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 { 0 }
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) { throw .EINVAL }
}

/// /dev/zero and /dev/full.
final class ZeroFile: FileDescription, @unchecked Sendable {
    private let isFull: Bool
    init(path: Path, flags: OpenFlags, isFull: Bool) {
        self.isFull = isFull
        super.init(path: path, flags: flags)
    }
    override var isSeekable: Bool { true }
    override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { try buffer.zero(buffer.remaining) }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        try buffer.zero(buffer.remaining)
    }
    override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        if isFull { throw .ENOSPC }
        let count = buffer.remaining
        buffer.skip(count)
        return count
    }
    override func write(
        at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext
    ) throws(Errno) -> Int { try write(from: &buffer, context) }
    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 { 0 }
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) { throw .EINVAL }
}

/// /dev/random and /dev/urandom: the host's generator. Writes would stir the host's pool and are taken without effect.
final class RandomFile: FileDescription, @unchecked Sendable {
    /// Bytes asked from the host at a time.
    private static let chunk = 4096

    override var isSeekable: Bool { true }
    override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        var done = 0
        while buffer.remaining > 0 {
            let bytes = try HostCall.randomBytes(min(Self.chunk, buffer.remaining))
            do {
                let count = try buffer.copyOut(bytes)
                done += count
                if count < bytes.count { break }
            } catch {
                if done == 0 { throw error }
                break
            }
        }
        return done
    }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        try read(into: &buffer, context)
    }
    override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let count = buffer.remaining
        buffer.skip(count)
        return count
    }
    override func write(
        at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext
    ) throws(Errno) -> Int { try write(from: &buffer, context) }
    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 { 0 }
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) { throw .EINVAL }

    /// random(4): RNDGETENTCNT reads the pool's size; the others want CAP_SYS_ADMIN and are not for a guest.
    override func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        switch request {
        case 0x8004_5200:  // RNDGETENTCNT
            guard let space = context.addressSpace else { throw .EFAULT }
            try space.store(UInt32(256), to: argument)
            return 0
        case 0x4004_5201, 0x4008_5203, 0x5204, 0x5206, 0x5207:  // RNDADDTOENTCNT, RNDADDENTROPY, RNDZAPENTCNT, RNDCLEARPOOL, RNDRESEEDCRNG
            throw .EPERM
        default: throw .EINVAL
        }
    }
}

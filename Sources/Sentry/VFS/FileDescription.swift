public import Host
public import LinuxABI
public import SentryMemory
public import Synchronization

/// An open file (Linux: struct file): offset, status flags, and the operations of its kind. Shared by every descriptor that dup or fork made.
/// No operation blocks for long: what cannot proceed throws EAGAIN, and the system call waits on `add(_:)`'s queue if the caller may block.
/// Reference counting closes it: `deinit` or `released()` when the last descriptor is gone.
open class FileDescription: @unchecked Sendable {  // Subclasses keep their state behind locks.
    /// How the file was reached; anonymous files (pipes, epoll, ...) have a path on an internal mount.
    public let path: Path
    /// The access mode and creation flags given to open; status flags change by fcntl(F_SETFL).
    private let flagBits: Atomic<UInt32>
    /// The file offset; held while a read or write that uses it runs, as Linux's f_pos lock.
    public let offset = Lock<Int64>(0)
    /// fcntl(F_SETOWN), F_SETSIG: used by O_ASYNC.
    public let owner = Lock<FileOwner>(FileOwner())
    private let references = Atomic<Int>(0)

    public init(path: Path, flags: OpenFlags) {
        self.path = path
        flagBits = Atomic(flags.subtracting([.O_CREAT, .O_EXCL, .O_NOCTTY, .O_TRUNC, .O_CLOEXEC]).rawValue)
    }

    /// Access mode and status flags as F_GETFL tells them.
    public var flags: OpenFlags { OpenFlags(rawValue: flagBits.load(ordering: .relaxed)) }
    /// F_SETFL: replaces O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME, O_NONBLOCK.
    public func setStatusFlags(_ new: OpenFlags) {
        let changeable: OpenFlags = [.O_APPEND, .O_ASYNC, .O_DIRECT, .O_NOATIME, .O_NONBLOCK]
        flagBits.store(flags.subtracting(changeable).union(new.intersection(changeable)).rawValue, ordering: .relaxed)
    }
    /// Opened with O_PATH: every operation on the file itself is EBADF.
    open var isPathOnly: Bool { false }
    /// The open still waits for its other side (a FIFO): the opener waits for `readiness` until this is false.
    open var isOpenPending: Bool { false }
    /// A blocking write(2) goes on until everything is written (pipes, streams, terminals), not only until something is.
    open var writesCompletely: Bool { false }
    /// Whether reading and writing with a prompt `IOBuffer` wait for nothing: not for the host, nor for the Gofer, nor for whoever holds a lock for long.
    open var isPrompt: Bool { false }
    public var isNonblocking: Bool { flags.contains(.O_NONBLOCK) }
    public var inode: Inode? { path.dentry.inode }

    /// Descriptors and messages in flight that refer to this file now; a hint for the collection of unreachable sockets.
    public var descriptorReferences: Int { references.load(ordering: .acquiring) }
    /// A descriptor table (or a message in flight) took or gave up a reference. The last one calls `released`, after the locks of the open file and
    /// whoever observes it (epoll) have let go.
    public func retainDescriptor() { references.add(1, ordering: .relaxed) }
    /// The same for a call that is about to wait for the file, which stays open as long, whatever becomes of the descriptors: false when the last one has gone already.
    public func retainIfOpen() -> Bool {
        var count = references.load(ordering: .relaxed)
        while count > 0 {
            let (exchanged, original) = references.weakCompareExchange(expected: count, desired: count + 1, ordering: .relaxed)
            if exchanged { return true }
            count = original
        }
        return false
    }
    public func releaseDescriptor(_ context: any FileContext) {
        guard references.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        if let locks = inode?.existingLocks { locks.releaseAll(.file(ObjectIdentifier(self))) }
        let observers = releaseObservers.withLock { observers in
            defer { observers = [] }
            return observers
        }
        for observer in observers { observer.fileReleased(self) }
        if FileWatchers.anyone { path.dentry.notify(flags.isWritable ? .closeWrite : .closeNoWrite) }
        released(context)
    }
    private let releaseObservers = Lock<[any FileReleaseObserver]>([])
    /// Tells `observer` when the last descriptor is gone; once per registration.
    public func addReleaseObserver(_ observer: any FileReleaseObserver) { releaseObservers.withLock { $0.append(observer) } }
    public func removeReleaseObserver(_ observer: any FileReleaseObserver) {
        releaseObservers.withLock { list in
            if let index = list.firstIndex(where: { $0 === observer }) { list.remove(at: index) }
        }
    }
    /// close(2) of one descriptor: POSIX locks of the closer were dropped already; what NFS-like systems flush.
    open func flush(_ context: any FileContext) throws(Errno) {}
    /// The last descriptor is gone: peers must see end of file, locks must go.
    open func released(_ context: any FileContext) {}

    // MARK: Data

    /// Whether the file has an offset (lseek works, pread works). Pipes and sockets do not.
    open var isSeekable: Bool { false }
    /// read(2). The default uses `read(at:)` under the offset lock.
    open func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard isSeekable else { throw .EINVAL }
        return try offset.withLock { position throws(Errno) in
            let count = try read(at: position, into: &buffer, context)
            position += Int64(count)
            return count
        }
    }
    /// write(2). The default uses `write(at:)` under the offset lock; an O_APPEND file overrides the position inside `write(at:)` and reports it.
    open func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard isSeekable else { throw .EINVAL }
        return try offset.withLock { position throws(Errno) in
            var place = position
            let count = try write(at: &place, from: &buffer, append: flags.contains(.O_APPEND), context)
            position = place + Int64(count)
            return count
        }
    }
    /// pread(2).
    open func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { throw .ESPIPE }
    /// pwrite(2). With `append` the data goes to the end, and `offset` becomes where it went.
    open func write(at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext) throws(Errno) -> Int {
        throw .ESPIPE
    }
    /// lseek(2). `whence`: SEEK_SET 0, CUR 1, END 2, DATA 3, HOLE 4. The default serves seekable files with a size.
    open func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        guard isSeekable, let inode else { throw .ESPIPE }
        return try offset.withLock { position throws(Errno) in
            let size: Int64 = whence >= 2 ? try inode.attributes(context).size : 0
            let base: Int64
            switch whence {
            case 0: base = 0
            case 1: base = position
            case 2: base = size
            case 3, 4:
                guard distance >= 0, distance < size else { throw .ENXIO }
                position = whence == 3 ? distance : size
                return position
            default: throw .EINVAL
            }
            let (sum, overflow) = base.addingReportingOverflow(distance)
            if overflow { throw .EOVERFLOW }
            if sum < 0 { throw .EINVAL }
            position = sum
            return sum
        }
    }
    /// Directory entries from the current offset on; `emit` returns false when the caller's buffer is full (that entry is not consumed).
    open func readDirectory(_ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) { throw .ENOTDIR }
    /// fsync(2), fdatasync(2).
    open func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) { throw .EINVAL }
    /// fallocate(2).
    open func allocate(mode: UInt32, offset: Int64, length: Int64, _ context: any FileContext) throws(Errno) { throw .ENODEV }
    /// ioctl(2); FIONREAD and the like. FIOCLEX, FIONCLEX, FIONBIO and FIOASYNC are done by the VFS.
    open func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int { throw .ENOTTY }
    /// What mmap maps; ENODEV when the file cannot be mapped.
    open func mappable(_ context: any FileContext) throws(Errno) -> any MappableObject { throw .ENODEV }

    /// How long a blocking read or write waits before it gives up with EAGAIN, in nanoseconds; nil: for ever (SO_RCVTIMEO, SO_SNDTIMEO).
    open var readTimeout: UInt64? { nil }
    open var writeTimeout: UInt64? { nil }

    // MARK: Readiness

    /// Which of `mask` (plus POLLERR and POLLHUP) hold now. Regular files are always ready.
    open func readiness(_ mask: PollEvents) -> PollEvents { mask.intersection(PollEvents.readable.union(.writable)) }
    /// The same for files that are ready for some tasks and not for others (signalfd).
    open func readiness(_ mask: PollEvents, for context: any FileContext) -> PollEvents { readiness(mask) }
    /// Adds or removes a waiter to be woken when readiness may have changed.
    open func add(_ waiter: Waiter) {}
    open func remove(_ waiter: Waiter) {}
    /// Whether epoll_ctl accepts it (EPERM for regular files and directories).
    open var isPollable: Bool { true }

    // MARK: Attributes; anonymous files have their own, others their inode's.

    open func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        guard let inode else { throw .EBADF }
        return try inode.attributes(context)
    }
}

/// Somebody who forgets an open file when its last descriptor is gone.
public protocol FileReleaseObserver: AnyObject, Sendable {
    func fileReleased(_ file: FileDescription)
}

/// Who gets SIGIO of an O_ASYNC file (fcntl F_SETOWN): a process, a process group (negative) or a thread, and the signal to send.
public struct FileOwner: Sendable {
    public var identifier: Int32 = 0
    public var isThread = false
    public var signal: Int32 = 0
    public init() {}
}

/// One entry of a directory.
public struct DirectoryEntry: Sendable {
    public var name: [UInt8]
    public var inode: UInt64
    public var type: FileType
    /// The offset that a later read starts at to continue after this entry (d_off).
    public var nextOffset: Int64
    public init(name: [UInt8], inode: UInt64, type: FileType, nextOffset: Int64) {
        self.name = name
        self.inode = inode
        self.type = type
        self.nextOffset = nextOffset
    }
}

import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS

/// One end of a pipe, or both (a FIFO opened for reading and writing).
public final class PipeFile: FileDescription, @unchecked Sendable {
    public let pipe: Pipe
    private let reads: Bool
    private let writes: Bool
    /// The ends that had come before this one; a FIFO's opener waits for a newer one on the other side.
    private let generations: (readers: Int, writers: Int)
    private let waitsForOther: Bool
    private let isFIFO: Bool

    init(_ pipe: Pipe, path: Path, flags: OpenFlags, isFIFO: Bool) {
        self.pipe = pipe
        self.isFIFO = isFIFO
        reads = flags.isReadable
        writes = flags.isWritable
        waitsForOther = isFIFO && !(flags.isReadable && flags.isWritable) && !flags.contains(.O_NONBLOCK)
        generations = pipe.join(reads: flags.isReadable, writes: flags.isWritable)
        super.init(path: path, flags: flags)
    }

    /// pipe2(2): the reading and the writing end. `flags`: O_NONBLOCK, O_DIRECT.
    public static func makePair(flags: OpenFlags, _ context: any FileContext) -> (reader: PipeFile, writer: PipeFile) {
        let fileSystem = AnonymousFileSystem.pipes
        let inode = AnonymousInode(
            fileSystem, mode: FileMode.S_IFIFO | 0o600, user: context.credentials.user.fileSystem,
            group: context.credentials.group.fileSystem)
        let pipe = Pipe()
        inode.fifo.withLock { $0 = pipe }
        let path = fileSystem.place(of: inode, name: Array("pipe:[\(inode.number)]".utf8))
        let reader = PipeFile(pipe, path: path, flags: flags, isFIFO: false)
        let writer = PipeFile(pipe, path: path, flags: flags.union(.O_WRONLY), isFIFO: false)
        return (reader, writer)
    }

    /// Lets the VFS open FIFOs. Called once at boot.
    public static func registerFIFOs() {
        DeviceRegistry.shared.registerPipe { path, inode, flags, _ throws(Errno) in
            let pipe = inode.fifo.withLock { storage -> Pipe in
                if let pipe = storage as? Pipe { return pipe }
                let pipe = Pipe()
                storage = pipe
                return pipe
            }
            if flags.isWritable, !flags.isReadable, flags.contains(.O_NONBLOCK), !pipe.hasReaders { throw .ENXIO }
            return PipeFile(pipe, path: path, flags: flags, isFIFO: inode.fileSystem !== AnonymousFileSystem.pipes)
        }
    }

    override public var isOpenPending: Bool { waitsForOther && !pipe.hasMet(reads: reads, since: generations) }
    override public var writesCompletely: Bool { true }
    override public var isPrompt: Bool { !isFIFO && pipe.queue.isShort }
    override public func released(_ context: any FileContext) { pipe.leave(reads: reads, writes: writes) }

    override public func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard reads else { throw .EBADF }
        return try pipe.read(into: &buffer)
    }

    override public func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard writes else { throw .EBADF }
        return try pipe.write(from: &buffer, packet: flags.contains(.O_DIRECT))
    }

    override public func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        guard request == IoctlRequest.FIONREAD else { throw .ENOTTY }
        guard let space = context.addressSpace else { throw .EFAULT }
        try space.store(Int32(clamping: pipe.count), to: argument)
        return 0
    }

    override public func readiness(_ mask: PollEvents) -> PollEvents {
        // A FIFO's reader hangs up only once a writer has been there.
        let hadWriter = !isFIFO || pipe.hasMet(reads: true, since: generations)
        return pipe.readiness(reads: reads, writes: writes, hadWriter: hadWriter).intersection(mask.union([.POLLERR, .POLLHUP]))
    }
    override public func add(_ waiter: Waiter) { pipe.queue.add(waiter) }
    override public func remove(_ waiter: Waiter) { pipe.queue.remove(waiter) }
}

internal import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// read(2), write(2) and their many forms.
enum ReadWriteCalls {
    static let calls: [SystemCall] = [
        SystemCall(.read, read), SystemCall(.write, write), SystemCall(.pread64, pread), SystemCall(.pwrite64, pwrite),
        SystemCall(.readv, readv), SystemCall(.writev, writev), SystemCall(.preadv, preadv), SystemCall(.pwritev, pwritev),
        SystemCall(.preadv2, preadv2), SystemCall(.pwritev2, pwritev2),
        SystemCall(.sendfile, TransferCalls.sendfile), SystemCall(.splice, TransferCalls.splice), SystemCall(.tee, TransferCalls.tee),
        SystemCall(.vmsplice, TransferCalls.vmsplice), SystemCall(.copy_file_range, TransferCalls.copyFileRange),
        SystemCall(.readahead, readahead), SystemCall(.fadvise64, fadvise),
    ]

    // MARK: One transfer

    /// Reads once, waiting for the first bytes unless the file (or `nonblocking`) says not to.
    @inline(__always)
    static func read(_ task: KernelTask, _ file: FileDescription, at offset: Int64?, _ buffer: inout IOBuffer, nonblocking: Bool? = nil)
        throws(Errno) -> Int
    {
        var result = 0
        defer { task.noteRead(result) }
        try VFS.checkReadable(file)
        do throws(Errno) {
            result = try VFS.read(file, at: offset, into: &buffer, task)
            return result
        } catch {
            if error != .EAGAIN || nonblocking ?? file.isNonblocking { throw error }
        }
        result = try waitAndRead(task, file, at: offset, &buffer)
        return result
    }

    private static func waitAndRead(_ task: KernelTask, _ file: FileDescription, at offset: Int64?, _ buffer: inout IOBuffer) throws(Errno)
        -> Int
    {
        // The buffer is captured by the attempt, so it moves in and out.
        var moved = buffer
        defer { buffer = moved }
        let timeout = file.readTimeout
        do throws(Errno) {
            return try task.waitFor(file, .readable, deadline: deadline(timeout), nonblocking: false) { () throws(Errno) in
                try VFS.read(file, at: offset, into: &moved, task)
            }
        } catch {
            // With a time-out the call is not restarted (signal(7)).
            throw error == .ERESTARTSYS && timeout != nil ? .EINTR : error
        }
    }

    /// The CLOCK_MONOTONIC time that is `timeout` nanoseconds away.
    private static func deadline(_ timeout: UInt64?) -> UInt64? {
        guard let timeout else { return nil }
        let (sum, overflow) = HostClock.monotonic.addingReportingOverflow(timeout)
        return overflow ? .max : sum
    }

    /// Writes, waiting until something is written, or everything when the file is of that kind. SIGPIPE comes with EPIPE.
    @inline(__always)
    static func write(_ task: KernelTask, _ file: FileDescription, at offset: Int64?, _ buffer: inout IOBuffer, nonblocking: Bool? = nil)
        throws(Errno) -> Int
    {
        var done = 0
        defer { task.noteWrite(done) }
        try VFS.checkWritable(file)
        let mayWait = !(nonblocking ?? file.isNonblocking)
        do throws(Errno) {
            done = try VFS.write(file, at: offset, from: &buffer, task)
            if !mayWait || !file.writesCompletely || buffer.remaining == 0 || done == 0 { return done }
        } catch {
            if error == .EPIPE { task.send(.user(Signal.SIGPIPE, from: task)) }
            if error != .EAGAIN || !mayWait { throw error }
        }
        done = try waitAndWrite(task, file, at: offset, &buffer, done: done)
        return done
    }

    private static func waitAndWrite(
        _ task: KernelTask, _ file: FileDescription, at offset: Int64?, _ buffer: inout IOBuffer, done before: Int
    ) throws(Errno) -> Int {
        var moved = buffer
        defer { buffer = moved }
        let timeout = file.writeTimeout
        var done = before
        repeat {
            do throws(Errno) {
                let count = try task.waitFor(file, .writable, deadline: deadline(timeout), nonblocking: false) { () throws(Errno) in
                    try VFS.write(file, at: offset, from: &moved, task)
                }
                if count == 0 { break }
                done += count
            } catch {
                if error == .EPIPE { task.send(.user(Signal.SIGPIPE, from: task)) }
                if done > 0 { break }
                throw error == .ERESTARTSYS && timeout != nil ? .EINTR : error
            }
        } while file.writesCompletely && moved.remaining > 0
        return done
    }

    /// The guest buffer of read(2) and write(2). EINVAL for a count that is negative as ssize_t.
    @inline(__always) private static func buffer(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> IOBuffer {
        guard arguments.int64(2) >= 0 else { throw .EINVAL }
        return IOBuffer(try task.guestMemory(), address: arguments[1], count: arguments[2])
    }

    @inline(__always) private static func vectors(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> IOBuffer {
        try IOBuffer(task.guestMemory(), vectors: arguments[1], count: arguments[2])
    }

    /// A file for pread(2) and its family: ESPIPE without an offset.
    @inline(__always) private static func seekable(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno)
        -> FileDescription
    {
        let file = try task.file(arguments.int32(0))
        guard arguments.int64(3) >= 0 else { throw .EINVAL }
        guard file.isSeekable else { throw .ESPIPE }
        return file
    }

    // MARK: The calls

    static func read(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.get(arguments.int32(0))
        var buffer = try buffer(task, arguments)
        return try read(task, file, at: nil, &buffer)
    }

    static func write(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.get(arguments.int32(0))
        var buffer = try buffer(task, arguments)
        return try write(task, file, at: nil, &buffer)
    }

    static func pread(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try seekable(task, arguments)
        var buffer = try buffer(task, arguments)
        return try read(task, file, at: arguments.int64(3), &buffer)
    }

    static func pwrite(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try seekable(task, arguments)
        var buffer = try buffer(task, arguments)
        return try write(task, file, at: arguments.int64(3), &buffer)
    }

    static func readv(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.get(arguments.int32(0))
        var buffer = try vectors(task, arguments)
        return try read(task, file, at: nil, &buffer)
    }

    static func writev(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.get(arguments.int32(0))
        var buffer = try vectors(task, arguments)
        return try write(task, file, at: nil, &buffer)
    }

    static func preadv(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try seekable(task, arguments)
        var buffer = try vectors(task, arguments)
        return try read(task, file, at: arguments.int64(3), &buffer)
    }

    static func pwritev(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try seekable(task, arguments)
        var buffer = try vectors(task, arguments)
        return try write(task, file, at: arguments.int64(3), &buffer)
    }

    static func preadv2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(5)
        guard flags & ~(TransferFlag.RWF_HIPRI | TransferFlag.RWF_NOWAIT) == 0 else { throw .EOPNOTSUPP }
        let isCurrent = arguments.int64(3) == -1
        let file = isCurrent ? try task.file(arguments.int32(0)) : try seekable(task, arguments)
        var buffer = try vectors(task, arguments)
        return try read(
            task, file, at: isCurrent ? nil : arguments.int64(3), &buffer, nonblocking: flags & TransferFlag.RWF_NOWAIT != 0 ? true : nil)
    }

    static func pwritev2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(5)
        let known =
            TransferFlag.RWF_HIPRI | TransferFlag.RWF_DSYNC | TransferFlag.RWF_SYNC | TransferFlag.RWF_NOWAIT | TransferFlag.RWF_APPEND
        guard flags & ~known == 0 else { throw .EOPNOTSUPP }
        let isCurrent = arguments.int64(3) == -1
        let file = isCurrent ? try task.file(arguments.int32(0)) : try seekable(task, arguments)
        var buffer = try vectors(task, arguments)
        let count: Int
        if flags & TransferFlag.RWF_APPEND != 0, file.isSeekable {
            // At the end, whatever the offset; with -1 the file's own offset follows.
            try VFS.checkWritable(file)
            var place: Int64 = 0
            count = try file.write(at: &place, from: &buffer, append: true, task)
            if isCurrent { file.offset.withLock { $0 = place + Int64(count) } }
        } else {
            count = try write(
                task, file, at: isCurrent ? nil : arguments.int64(3), &buffer,
                nonblocking: flags & TransferFlag.RWF_NOWAIT != 0 ? true : nil)
        }
        if flags & (TransferFlag.RWF_DSYNC | TransferFlag.RWF_SYNC) != 0, file.isSeekable {
            try file.sync(dataOnly: flags & TransferFlag.RWF_SYNC == 0, task)
        }
        return count
    }

    static func readahead(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        try VFS.checkReadable(file)
        guard file.inode?.type == .regular || file.inode?.type == .block else { throw .EINVAL }
        return 0
    }

    /// posix_fadvise(2): nothing here gains from advice.
    static func fadvise(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        if file.inode?.type == .fifo { throw .ESPIPE }
        guard arguments.int64(2) >= 0, (0...5).contains(arguments.int32(3)) else { throw .EINVAL }
        return 0
    }
}

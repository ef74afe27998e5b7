import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryVFS

/// Moving data from file to file without the guest's memory: sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2).
enum TransferCalls {
    /// How much is carried through the Sentry at a time, in bytes.
    private static let chunk = 256 << 10

    /// Reads up to `limit` bytes at `position` (nil: at the file's own offset) into the Sentry.
    private static func read(_ task: KernelTask, _ file: FileDescription, at position: Int64?, limit: Int) throws(Errno) -> [UInt8] {
        var buffer = IOBuffer.kernel(capacity: limit)
        _ = try ReadWriteCalls.read(task, file, at: position, &buffer)
        return buffer.bytes
    }

    /// An offset argument: the value at `address`, or nil for a null pointer. ESPIPE for a file without offsets.
    private static func offset(_ task: KernelTask, _ file: FileDescription, _ address: UInt64) throws(Errno) -> Int64? {
        if address == 0 { return nil }
        guard file.isSeekable else { throw .ESPIPE }
        let value: Int64 = try task.guestMemory().load(address)
        guard value >= 0 else { throw .EINVAL }
        return value
    }

    /// Where a file stands: its own offset, or for a descriptor that the host shares with others, the host's.
    private static func position(_ task: KernelTask, _ file: FileDescription) throws(Errno) -> Int64 {
        file is HostFile ? try file.seek(0, whence: SeekOrigin.SEEK_CUR, task) : file.offset.withLock { $0 }
    }

    /// Moves it there.
    private static func setPosition(_ task: KernelTask, _ file: FileDescription, _ position: Int64) {
        if file is HostFile {
            _ = try? file.seek(position, whence: SeekOrigin.SEEK_SET, task)
        } else {
            file.offset.withLock { $0 = position }
        }
    }

    static func sendfile(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let output = try task.file(arguments.int32(0)), input = try task.file(arguments.int32(1))
        try VFS.checkReadable(input)
        try VFS.checkWritable(output)
        let start = try offset(task, input, arguments[2])
        guard arguments.int64(3) >= 0 else { throw .EINVAL }
        if output.flags.contains(.O_APPEND) { throw .EINVAL }
        let total = min(Int(arguments[3]), IOBuffer.maximumCount)
        guard input.isSeekable, start != nil || !(input is HostFile) else { return try copyStream(task, from: input, to: output, total) }

        var position: Int64
        if let start { position = start } else { position = try Self.position(task, input) }
        var done = 0
        do throws(Errno) {
            while done < total {
                let bytes = try read(task, input, at: position, limit: min(chunk, total - done))
                if bytes.isEmpty { break }
                var buffer = IOBuffer.kernel(bytes)
                let count = try ReadWriteCalls.write(task, output, at: nil, &buffer)
                done += count
                position += Int64(count)
                if count < bytes.count { break }
            }
        } catch {
            if done == 0 { throw error }
        }
        if start != nil {
            try task.guestMemory().store(position, to: arguments[2])
        } else {
            setPosition(task, input, position)
        }
        return done
    }

    /// sendfile(2) from what has no offset: once what is there.
    private static func copyStream(_ task: KernelTask, from input: FileDescription, to output: FileDescription, _ total: Int) throws(Errno)
        -> Int
    {
        if let pipe = input as? PipeFile { return try drain(task, pipe, to: output, at: nil, min(total, chunk), nonblocking: false) }
        guard input.inode?.type == .character || input is HostFile else { throw .EINVAL }
        var done = 0
        while done < total {
            let bytes = try read(task, input, at: nil, limit: min(chunk, total - done))
            if bytes.isEmpty { break }
            var buffer = IOBuffer.kernel(bytes)
            let count = try ReadWriteCalls.write(task, output, at: nil, &buffer)
            done += count
            if count < bytes.count || task.isInterrupted { break }
        }
        return done
    }

    /// Takes bytes out of a pipe and writes them; what cannot be written goes back.
    private static func drain(
        _ task: KernelTask, _ input: PipeFile, to output: FileDescription, at offset: Int64?, _ limit: Int, nonblocking: Bool
    ) throws(Errno) -> Int {
        let bytes = try task.waitFor(input, .readable, nonblocking: nonblocking || input.isNonblocking) { () throws(Errno) in
            try input.pipe.take(limit)
        }
        if bytes.isEmpty { return 0 }
        var buffer = IOBuffer.kernel(bytes)
        do throws(Errno) {
            let count = try ReadWriteCalls.write(task, output, at: offset, &buffer, nonblocking: nonblocking ? true : nil)
            input.pipe.putBack(bytes[count...])
            return count
        } catch {
            input.pipe.putBack(bytes[...])
            throw error
        }
    }

    static func splice(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(5)
        guard flags & ~0xf == 0 else { throw .EINVAL }
        if arguments[4] == 0 { return 0 }
        let input = try task.file(arguments.int32(0)), output = try task.file(arguments.int32(2))
        try VFS.checkReadable(input)
        try VFS.checkWritable(output)
        let nonblocking = flags & SpliceFlag.SPLICE_F_NONBLOCK != 0
        let limit = Int(min(arguments[4], UInt64(chunk)))
        let inputPipe = input as? PipeFile, outputPipe = output as? PipeFile
        let hasInputOffset = arguments[1] != 0, hasOutputOffset = arguments[3] != 0
        if inputPipe != nil && hasInputOffset || outputPipe != nil && hasOutputOffset { throw .ESPIPE }
        if let inputPipe {
            if let outputPipe, outputPipe.pipe === inputPipe.pipe { throw .EINVAL }
            if output.flags.contains(.O_APPEND), outputPipe == nil { throw .EINVAL }
            let position = try offset(task, output, arguments[3])
            let count = try drain(task, inputPipe, to: output, at: position, limit, nonblocking: nonblocking)
            if let position { try task.guestMemory().store(position + Int64(count), to: arguments[3]) }
            return count
        }
        guard let outputPipe else { throw .EINVAL }
        let position = try offset(task, input, arguments[1])
        let room = try waitForRoom(task, outputPipe, nonblocking: nonblocking)
        let bytes = try read(task, input, at: position, limit: min(limit, room))
        if bytes.isEmpty { return 0 }
        // What was read from a stream must not be lost: it waits for room if another writer was faster.
        var buffer = IOBuffer.kernel(bytes)
        let count = try ReadWriteCalls.write(task, output, at: nil, &buffer, nonblocking: false)
        if let position { try task.guestMemory().store(position + Int64(count), to: arguments[1]) }
        return count
    }

    /// Waits until the pipe takes something: how many bytes. EPIPE with SIGPIPE when nobody reads.
    private static func waitForRoom(_ task: KernelTask, _ output: PipeFile, nonblocking: Bool) throws(Errno) -> Int {
        try task.waitFor(output, .writable, nonblocking: nonblocking || output.isNonblocking) { () throws(Errno) in
            if !output.pipe.hasReaders {
                task.send(.user(Signal.SIGPIPE, from: task))
                throw .EPIPE
            }
            let room = output.pipe.free
            if room == 0 { throw .EAGAIN }
            return room
        }
    }

    static func tee(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.uint32(3) & ~0xf == 0 else { throw .EINVAL }
        if arguments[2] == 0 { return 0 }
        guard let input = try task.file(arguments.int32(0)) as? PipeFile, let output = try task.file(arguments.int32(1)) as? PipeFile,
            input.pipe !== output.pipe
        else { throw .EINVAL }
        try VFS.checkReadable(input)
        try VFS.checkWritable(output)
        let nonblocking = arguments.uint32(3) & SpliceFlag.SPLICE_F_NONBLOCK != 0
        let limit = Int(min(arguments[2], UInt64(chunk)))
        let bytes = try task.waitFor(input, .readable, nonblocking: nonblocking || input.isNonblocking) { () throws(Errno) in
            try input.pipe.peek(limit)
        }
        if bytes.isEmpty { return 0 }
        let room = try waitForRoom(task, output, nonblocking: nonblocking)
        var buffer = IOBuffer.kernel(Array(bytes.prefix(room)))
        return try ReadWriteCalls.write(task, output, at: nil, &buffer, nonblocking: nonblocking ? true : nil)
    }

    /// Guest memory to a pipe, or a pipe to guest memory; the pages are copied, never shared.
    static func vmsplice(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.uint32(3) & ~0xf == 0 else { throw .EINVAL }
        let nonblocking: Bool? = arguments.uint32(3) & SpliceFlag.SPLICE_F_NONBLOCK != 0 ? true : nil
        guard let file = try task.file(arguments.int32(0)) as? PipeFile else { throw .EBADF }
        var buffer = try IOBuffer(task.guestMemory(), vectors: arguments[1], count: arguments[2])
        if buffer.remaining == 0 { return 0 }
        if file.flags.isWritable { return try ReadWriteCalls.write(task, file, at: nil, &buffer, nonblocking: nonblocking) }
        return try ReadWriteCalls.read(task, file, at: nil, &buffer, nonblocking: nonblocking)
    }

    static func copyFileRange(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.uint32(5) == 0 else { throw .EINVAL }
        let input = try task.file(arguments.int32(0)), output = try task.file(arguments.int32(2))
        try VFS.checkReadable(input)
        try VFS.checkWritable(output)
        if output.flags.contains(.O_APPEND) { throw .EBADF }
        if input.inode?.type == .directory || output.inode?.type == .directory { throw .EISDIR }
        guard input.inode?.type == .regular, output.inode?.type == .regular else { throw .EINVAL }
        // Standard streams of the host have their offset at the host, shared with others; programs fall back to read and write.
        if input is HostFile || output is HostFile { throw .EXDEV }
        let inputStart = try offset(task, input, arguments[1]), outputStart = try offset(task, output, arguments[3])
        var from: Int64
        var to: Int64
        if let inputStart { from = inputStart } else { from = try position(task, input) }
        if let outputStart { to = outputStart } else { to = try position(task, output) }
        let total = Int(min(arguments[4], UInt64(IOBuffer.maximumCount)))
        guard !from.addingReportingOverflow(Int64(total)).overflow, !to.addingReportingOverflow(Int64(total)).overflow else {
            throw .EOVERFLOW
        }
        if input.inode === output.inode, from < to + Int64(total), to < from + Int64(total), total > 0 { throw .EINVAL }
        var done = 0
        do throws(Errno) {
            while done < total {
                let bytes = try read(task, input, at: from, limit: min(chunk, total - done))
                if bytes.isEmpty { break }
                var buffer = IOBuffer.kernel(bytes)
                let count = try ReadWriteCalls.write(task, output, at: to, &buffer)
                if count == 0 { break }
                done += count
                from += Int64(count)
                to += Int64(count)
                if task.isInterrupted { break }
            }
        } catch {
            if done == 0 { throw error }
        }
        if inputStart != nil { try task.guestMemory().store(from, to: arguments[1]) } else { setPosition(task, input, from) }
        if outputStart != nil { try task.guestMemory().store(to, to: arguments[3]) } else { setPosition(task, output, to) }
        return done
    }
}

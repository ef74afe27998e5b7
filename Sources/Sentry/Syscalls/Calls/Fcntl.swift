import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryVFS

/// fcntl(2) and its record locks.
enum FcntlCalls {
    static func fcntl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let descriptor = arguments.int32(0), command = arguments.int32(1), argument = arguments[2]
        let file = try task.files.get(descriptor)
        if file.isPathOnly {
            // An O_PATH descriptor can be copied and told about, nothing else.
            switch command {
            case FcntlCommand.F_DUPFD, FcntlCommand.F_DUPFD_CLOEXEC, FcntlCommand.F_GETFD, FcntlCommand.F_SETFD, FcntlCommand.F_GETFL: break
            default: throw .EBADF
            }
        }
        switch command {
        case FcntlCommand.F_DUPFD, FcntlCommand.F_DUPFD_CLOEXEC:
            let minimum = arguments.int32(2)
            guard minimum >= 0, UInt64(minimum) < task.descriptorLimit else { throw .EINVAL }
            let closeOnExec = command == FcntlCommand.F_DUPFD_CLOEXEC
            return Int(try task.files.install(file, closeOnExec: closeOnExec, minimum: minimum, limit: task.descriptorLimit))
        case FcntlCommand.F_GETFD: return try task.files.closeOnExec(descriptor) ? Int(FcntlCommand.FD_CLOEXEC) : 0
        case FcntlCommand.F_SETFD: try task.files.setCloseOnExec(descriptor, arguments.int32(2) & FcntlCommand.FD_CLOEXEC != 0)
        case FcntlCommand.F_GETFL: return Int(file.flags.rawValue)
        case FcntlCommand.F_SETFL: try setStatusFlags(task, file, descriptor, OpenFlags(rawValue: arguments.uint32(2)))
        case FcntlCommand.F_GETLK, FcntlCommand.F_OFD_GETLK: try getLock(task, file, command, argument)
        case FcntlCommand.F_SETLK, FcntlCommand.F_SETLKW, FcntlCommand.F_OFD_SETLK, FcntlCommand.F_OFD_SETLKW:
            try setLock(task, file, command, argument)
        case FcntlCommand.F_SETOWN, FcntlCommand.F_GETOWN, FcntlCommand.F_SETSIG, FcntlCommand.F_GETSIG, FcntlCommand.F_SETOWN_EX,
            FcntlCommand.F_GETOWN_EX:
            return try owner(task, file, command, arguments.int32(2), argument)
        case FcntlCommand.F_GETPIPE_SZ:
            guard let pipe = file as? PipeFile else { throw .EBADF }
            return pipe.pipe.capacity
        case FcntlCommand.F_SETPIPE_SZ:
            guard let pipe = file as? PipeFile else { throw .EBADF }
            return try pipe.pipe.setCapacity(Int64(arguments.int32(2)), privileged: task.credentials.hasGlobally(.CAP_SYS_RESOURCE))
        case FcntlCommand.F_GET_SEALS:
            guard let memory = file.inode as? TmpfsRegular else { throw .EINVAL }
            return Int(memory.seals)
        case FcntlCommand.F_ADD_SEALS:
            guard let memory = file.inode as? TmpfsRegular else { throw .EINVAL }
            guard file.flags.isWritable else { throw .EPERM }
            guard arguments.uint32(2) & ~0x3f == 0 else { throw .EINVAL }
            try memory.addSeals(arguments.uint32(2))
        case FcntlCommand.F_GETLEASE: return Int(RecordLockType.F_UNLCK)
        case FcntlCommand.F_DUPFD_QUERY: return try task.files.get(arguments.int32(2)) === file ? 1 : 0
        case FcntlCommand.F_NOTIFY: try FileSignals.notify(file, events: arguments.uint32(2), descriptor, task)
        case FcntlCommand.F_SETLEASE:
            if arguments.int32(2) == Int32(RecordLockType.F_UNLCK) { return 0 }
            task.kernel.unsupported(.fcntl, "F_SETLEASE")
            throw .EINVAL
        default: throw .EINVAL
        }
        return 0
    }

    static func setStatusFlags(_ task: KernelTask, _ file: FileDescription, _ descriptor: Int32, _ flags: OpenFlags) throws(Errno) {
        if flags.contains(.O_NOATIME), !file.flags.contains(.O_NOATIME) {
            let attributes = try file.attributes(task)
            guard task.credentials.owns(attributes) || task.credentials.has(.CAP_FOWNER, over: attributes) else { throw .EPERM }
        }
        let wasAsynchronous = file.flags.contains(.O_ASYNC)
        file.setStatusFlags(flags)
        let isAsynchronous = flags.contains(.O_ASYNC)
        if isAsynchronous != wasAsynchronous { FileSignals.setAsynchronous(file, isAsynchronous, descriptor, task) }
    }

    /// F_SETOWN and its kin: who gets SIGIO.
    private static func owner(_ task: KernelTask, _ file: FileDescription, _ command: Int32, _ value: Int32, _ address: UInt64)
        throws(Errno) -> Int
    {
        switch command {
        case FcntlCommand.F_SETOWN:
            guard value != .min else { throw .EINVAL }
            file.owner.withLock { owner in
                owner.identifier = value
                owner.isThread = false
            }
        case FcntlCommand.F_GETOWN: return Int(file.owner.withLock { $0.identifier })
        case FcntlCommand.F_SETSIG:
            guard value == 0 || Signal.isValid(value) else { throw .EINVAL }
            file.owner.withLock { $0.signal = value }
        case FcntlCommand.F_GETSIG: return Int(file.owner.withLock { $0.signal })
        case FcntlCommand.F_SETOWN_EX:
            let memory = try task.guestMemory()
            let kind: Int32 = try memory.load(address), identifier: Int32 = try memory.load(address &+ 4)
            guard (0...2).contains(kind), identifier >= 0 else { throw .EINVAL }
            file.owner.withLock { owner in
                owner.identifier = kind == FcntlCommand.F_OWNER_PGRP ? -identifier : identifier
                owner.isThread = kind == FcntlCommand.F_OWNER_TID
            }
        default:
            let owner = file.owner.withLock { $0 }
            let kind =
                owner.isThread ? FcntlCommand.F_OWNER_TID : owner.identifier < 0 ? FcntlCommand.F_OWNER_PGRP : FcntlCommand.F_OWNER_PID
            let memory = try task.guestMemory()
            try memory.store(kind, to: address)
            try memory.store(abs(owner.identifier), to: address &+ 4)
        }
        return 0
    }

    // MARK: Record locks

    /// struct flock: l_type, l_whence, l_start, l_len, l_pid; 32 bytes.
    private static let flockSize = 32

    private struct Request {
        var type: Int16
        var lock: RecordLock
        var raw: StructureBytes
    }

    private static func isOpenFileLock(_ command: Int32) -> Bool {
        command >= FcntlCommand.F_OFD_GETLK && command <= FcntlCommand.F_OFD_SETLKW
    }

    private static func readRequest(_ task: KernelTask, _ file: FileDescription, _ command: Int32, _ address: UInt64) throws(Errno)
        -> Request
    {
        let raw = StructureBytes(try task.guestMemory().copyIn(from: address, count: flockSize))
        let type: Int16 = raw.get(0), whence: Int16 = raw.get(2), start: Int64 = raw.get(8), length: Int64 = raw.get(16),
            process: Int32 = raw.get(24)
        guard (0...2).contains(type) else { throw .EINVAL }
        if isOpenFileLock(command), process != 0 { throw .EINVAL }
        let base: Int64
        switch Int32(whence) {
        case SeekOrigin.SEEK_SET: base = 0
        case SeekOrigin.SEEK_CUR: base = file.offset.withLock { $0 }
        case SeekOrigin.SEEK_END: base = try file.attributes(task).size
        default: throw .EINVAL
        }
        let (sum, overflow) = base.addingReportingOverflow(start)
        if overflow { throw .EOVERFLOW }
        guard sum >= 0 else { throw .EINVAL }
        var first = UInt64(sum)
        var end = UInt64.max
        if length > 0 {
            let (top, overflow) = sum.addingReportingOverflow(length - 1)
            if overflow { throw .EOVERFLOW }
            end = UInt64(top) + 1
        } else if length < 0 {
            let (bottom, overflow) = sum.addingReportingOverflow(length)
            guard !overflow, bottom >= 0 else { throw .EINVAL }
            end = first
            first = UInt64(bottom)
        }
        let owner: LockOwner =
            isOpenFileLock(command)
            ? .file(ObjectIdentifier(file)) : .process(table: task.files.lockOwner, process: task.processID)
        return Request(
            type: type, lock: RecordLock(owner: owner, isExclusive: type == RecordLockType.F_WRLCK, start: first, end: end), raw: raw)
    }

    private static func getLock(_ task: KernelTask, _ file: FileDescription, _ command: Int32, _ address: UInt64) throws(Errno) {
        var request = try readRequest(task, file, command, address)
        guard request.type != RecordLockType.F_UNLCK else { throw .EINVAL }
        if let conflict = file.inode?.existingLocks?.conflict(with: request.lock) {
            request.raw.put(conflict.isExclusive ? RecordLockType.F_WRLCK : RecordLockType.F_RDLCK, at: 0)
            request.raw.put(Int16(0), at: 2)
            request.raw.put(Int64(clamping: conflict.start), at: 8)
            request.raw.put(conflict.end == .max ? Int64(0) : Int64(clamping: conflict.end - conflict.start), at: 16)
            request.raw.put(conflict.owner.processID, at: 24)
        } else {
            request.raw.put(RecordLockType.F_UNLCK, at: 0)
        }
        try task.guestMemory().copyOut(request.raw.bytes, to: address)
    }

    private static func setLock(_ task: KernelTask, _ file: FileDescription, _ command: Int32, _ address: UInt64) throws(Errno) {
        let request = try readRequest(task, file, command, address)
        let lock = request.lock
        guard let locks = file.inode?.locks else { throw .EBADF }
        switch request.type {
        case RecordLockType.F_UNLCK:
            locks.unlock(lock.owner, start: lock.start, end: lock.end)
            return
        case RecordLockType.F_RDLCK: try VFS.checkReadable(file)
        default: try VFS.checkWritable(file)
        }
        if command == FcntlCommand.F_SETLK || command == FcntlCommand.F_OFD_SETLK {
            try locks.set(lock)
            return
        }
        defer { LockDeadlocks.end(lock) }
        _ = try task.waitFor(locks.released) { () throws(Errno) -> Bool? in
            do throws(Errno) { try locks.set(lock) } catch {
                if error != .EAGAIN { throw error }
                try LockDeadlocks.begin(lock, on: locks)
                return nil
            }
            return true
        }
    }
}

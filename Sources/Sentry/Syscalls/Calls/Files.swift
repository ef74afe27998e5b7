import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryVFS

/// Opening, closing and controlling descriptors: open(2), close(2), dup(2), fcntl(2), ioctl(2), flock(2), lseek(2), truncate(2), fallocate(2), fsync(2).
enum FileCalls {
    static let calls: [SystemCall] = [
        SystemCall(.open, open), SystemCall(.openat, openat), SystemCall(.openat2, openat2), SystemCall(.creat, creat),
        SystemCall(.close, close), SystemCall(.close_range, closeRange),
        SystemCall(.dup, dup), SystemCall(.dup2, dup2), SystemCall(.dup3, dup3),
        SystemCall(.fcntl, FcntlCalls.fcntl, .partial("no leases")),
        SystemCall(.ioctl, ioctl), SystemCall(.flock, flock), SystemCall(.lseek, lseek),
        SystemCall(.truncate, truncate), SystemCall(.ftruncate, ftruncate), SystemCall(.fallocate, fallocate),
        SystemCall(.fsync, fsync), SystemCall(.fdatasync, fdatasync), SystemCall(.sync, sync), SystemCall(.syncfs, syncfs),
        SystemCall(.sync_file_range, syncFileRange),
        .refused(.name_to_handle_at, .EOPNOTSUPP, "no file system gives out handles"),
        .refused(.open_by_handle_at, .EPERM, "no file system gives out handles"),
    ]

    // MARK: open(2)

    static func open(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try open(task, AtFlag.AT_FDCWD, arguments[0], flags: arguments.uint32(1), mode: arguments.uint32(2), resolve: [])
    }

    static func openat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try open(task, arguments.int32(0), arguments[1], flags: arguments.uint32(2), mode: arguments.uint32(3), resolve: [])
    }

    static func creat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags: OpenFlags = [.O_CREAT, .O_WRONLY, .O_TRUNC]
        return try open(task, AtFlag.AT_FDCWD, arguments[0], flags: flags.rawValue, mode: arguments.uint32(1), resolve: [])
    }

    /// Every flag that open(2) knows; it ignores the others, openat2(2) refuses them.
    private static let validFlags: OpenFlags = [
        .O_WRONLY, .O_RDWR, .O_CREAT, .O_EXCL, .O_NOCTTY, .O_TRUNC, .O_APPEND, .O_NONBLOCK, .O_DSYNC, .O_ASYNC, .O_DIRECT, .O_LARGEFILE,
        .O_DIRECTORY, .O_NOFOLLOW, .O_NOATIME, .O_CLOEXEC, .O_SYNC, .O_PATH, .O_TMPFILE,
    ]

    private static func open(
        _ task: KernelTask, _ directory: Int32, _ address: UInt64, flags bits: UInt32, mode: UInt32, resolve: ResolveOptions
    ) throws(Errno) -> Int {
        let flags = OpenFlags(rawValue: bits).intersection(validFlags).union(.O_LARGEFILE)
        // __O_TMPFILE without O_DIRECTORY is what old programs would not know to mean anything.
        if bits & 0o20000000 != 0, !flags.contains(.O_TMPFILE) { throw .EINVAL }
        let path = try task.path(at: address)
        try task.files.checkRoom(limit: task.descriptorLimit)
        let file = try VFS.open(path.span, at: task.start(directory, path), flags: flags, mode: mode, resolve: resolve, task)
        if file.isOpenPending { try waitForOther(task, file) }
        return try task.install(file, closeOnExec: flags.contains(.O_CLOEXEC))
    }

    /// A FIFO's opener waits for the other side.
    private static func waitForOther(_ task: KernelTask, _ file: FileDescription) throws(Errno) {
        do {
            try task.waitFor(file, [.POLLIN, .POLLOUT], nonblocking: false) { () throws(Errno) in
                if file.isOpenPending { throw .EAGAIN }
            }
        } catch {
            // No descriptor will close it: this does.
            file.retainDescriptor()
            file.releaseDescriptor(task)
            throw error
        }
    }

    /// struct open_how.
    static func openat2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let size = arguments[3]
        guard size >= 24 else { throw .EINVAL }
        guard size <= 4096 else { throw .E2BIG }
        let how = StructureBytes(try task.guestMemory().copyIn(from: arguments[2], count: Int(size)))
        // Fields of later versions must be zero.
        guard how.bytes.dropFirst(24).allSatisfy({ $0 == 0 }) else { throw .E2BIG }
        let flags: UInt64 = how.get(0), mode: UInt64 = how.get(8), resolve: UInt64 = how.get(16)
        guard flags & ~UInt64(validFlags.rawValue | 3) == 0, mode & ~0o7777 == 0, resolve & ~0x3f == 0 else { throw .EINVAL }
        let open = OpenFlags(rawValue: UInt32(truncatingIfNeeded: flags))
        if mode != 0, !open.contains(.O_CREAT), !open.contains(.O_TMPFILE) { throw .EINVAL }
        if open.contains(.O_PATH), !open.isSubset(of: [.O_PATH, .O_DIRECTORY, .O_NOFOLLOW, .O_CLOEXEC]) { throw .EINVAL }
        var options: ResolveOptions = []
        if resolve & ResolveFlag.RESOLVE_NO_XDEV != 0 { options.insert(.noCrossing) }
        if resolve & ResolveFlag.RESOLVE_NO_MAGICLINKS != 0 { options.insert(.noMagicLinks) }
        if resolve & ResolveFlag.RESOLVE_NO_SYMLINKS != 0 { options.insert(.noSymlinks) }
        if resolve & ResolveFlag.RESOLVE_BENEATH != 0 { options.insert(.beneath) }
        if resolve & ResolveFlag.RESOLVE_IN_ROOT != 0 { options.insert(.inRoot) }
        if options.contains([.beneath, .inRoot]) { throw .EINVAL }
        if resolve & ResolveFlag.RESOLVE_CACHED != 0 {
            if open.contains(.O_CREAT) || open.contains(.O_TRUNC) || open.contains(.O_TMPFILE) { throw .EAGAIN }
            options.insert(.cachedOnly)
        }
        return try self.open(task, arguments.int32(0), arguments[1], flags: open.rawValue, mode: UInt32(mode), resolve: options)
    }

    // MARK: close(2), dup(2)

    static func close(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.remove(arguments.int32(0))
        try release(task, file)
        return 0
    }

    /// Flushes and gives up a descriptor that was taken out of the table.
    private static func release(_ task: KernelTask, _ file: FileDescription) throws(Errno) {
        defer { file.releaseDescriptor(task) }
        try file.flush(task)
    }

    static func closeRange(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let first = arguments.uint32(0), last = arguments.uint32(1), flags = arguments.uint32(2)
        guard first <= last, flags & ~6 == 0 else { throw .EINVAL }
        // CLOSE_RANGE_UNSHARE: a table of one's own first.
        if flags & 2 != 0, task.files.isShared {
            let old = task.files
            task.updateResources { $0.files = old.copy() }
            for file in old.leave() { file.releaseDescriptor(task) }
        }
        if flags & 4 != 0 {
            task.files.setCloseOnExec(in: first...last)
            return 0
        }
        for file in task.files.remove(in: first...last) { try? release(task, file) }
        return 0
    }

    static func dup(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.get(arguments.int32(0))
        return Int(try task.files.install(file, closeOnExec: false, limit: task.descriptorLimit))
    }

    static func dup2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let old = arguments.int32(0), new = arguments.int32(1)
        if old == new {
            _ = try task.files.get(old)
            return Int(new)
        }
        return try duplicate(task, old, new, closeOnExec: false)
    }

    static func dup3(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = OpenFlags(rawValue: arguments.uint32(2))
        guard flags.isSubset(of: .O_CLOEXEC), arguments.int32(0) != arguments.int32(1) else { throw .EINVAL }
        return try duplicate(task, arguments.int32(0), arguments.int32(1), closeOnExec: flags.contains(.O_CLOEXEC))
    }

    private static func duplicate(_ task: KernelTask, _ old: Int32, _ new: Int32, closeOnExec: Bool) throws(Errno) -> Int {
        let file = try task.files.get(old)
        if let replaced = try task.files.replace(new, with: file, closeOnExec: closeOnExec, limit: task.descriptorLimit) {
            try? release(task, replaced)
        }
        return Int(new)
    }

    // MARK: ioctl(2), flock(2), lseek(2)

    static func ioctl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let descriptor = arguments.int32(0), request = arguments.uint32(1), argument = arguments[2]
        let file = try task.file(descriptor)
        switch request {
        case IoctlRequest.FIOCLEX: try task.files.setCloseOnExec(descriptor, true)
        case IoctlRequest.FIONCLEX: try task.files.setCloseOnExec(descriptor, false)
        case IoctlRequest.FIONBIO, IoctlRequest.FIOASYNC:
            let flag: OpenFlags = request == IoctlRequest.FIONBIO ? .O_NONBLOCK : .O_ASYNC
            let value: Int32 = try task.guestMemory().load(argument)
            let flags = value != 0 ? file.flags.union(flag) : file.flags.subtracting(flag)
            try FcntlCalls.setStatusFlags(task, file, descriptor, flags)
        case IoctlRequest.FIONREAD where file.inode?.type == .regular && file.isSeekable:
            let rest = try file.attributes(task).size - file.offset.withLock { $0 }
            try task.guestMemory().store(Int32(clamping: max(0, rest)), to: argument)
        case IoctlRequest.FIOQSIZE where file.isSeekable:
            try task.guestMemory().store(file.attributes(task).size, to: argument)
        default: return try file.ioctl(request, argument, task)
        }
        return 0
    }

    static func flock(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        let operation = arguments.int32(1)
        guard let locks = file.inode?.locks else { throw .EBADF }
        let owner = LockOwner.file(ObjectIdentifier(file))
        switch operation & ~FlockOperation.LOCK_NB {
        case FlockOperation.LOCK_UN: locks.unlockWhole(owner)
        case FlockOperation.LOCK_SH, FlockOperation.LOCK_EX:
            let exclusive = operation & FlockOperation.LOCK_EX != 0
            if operation & FlockOperation.LOCK_NB != 0 {
                try locks.lockWhole(owner, exclusive: exclusive)
            } else {
                _ = try task.waitFor(locks.released) { () throws(Errno) -> Bool? in
                    do throws(Errno) { try locks.lockWhole(owner, exclusive: exclusive) } catch {
                        if error == .EAGAIN { return nil }
                        throw error
                    }
                    return true
                }
            }
        default: throw .EINVAL
        }
        return 0
    }

    static func lseek(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        let whence = arguments.int32(2)
        guard (0...4).contains(whence) else { throw .EINVAL }
        return Int(try file.seek(arguments.int64(1), whence: whence, task))
    }

    // MARK: truncate(2), fallocate(2), sync(2)

    static func truncate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try task.path(at: arguments[0])
        guard arguments.int64(1) >= 0 else { throw .EINVAL }
        let place = try VFS.resolve(path.span, at: task.fileSystem().workingDirectory, .follow, task)
        try VFS.truncate(place, size: arguments.int64(1), task)
        return 0
    }

    static func ftruncate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.int64(1) >= 0 else { throw .EINVAL }
        try VFS.truncate(task.file(arguments.int32(0)), size: arguments.int64(1), task)
        return 0
    }

    static func fallocate(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        let offset = arguments.int64(2), length = arguments.int64(3)
        guard offset >= 0, length > 0 else { throw .EINVAL }
        guard file.flags.isWritable else { throw .EBADF }
        switch file.inode?.type {
        case .regular: break
        case .directory: throw .EISDIR
        case .fifo: throw .ESPIPE
        default: throw .ENODEV
        }
        if offset.addingReportingOverflow(length).overflow { throw .EFBIG }
        try file.allocate(mode: arguments.uint32(1), offset: offset, length: length, task)
        file.path.dentry.notify(.modify)
        return 0
    }

    static func fsync(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try task.file(arguments.int32(0)).sync(dataOnly: false, task)
        return 0
    }

    static func fdatasync(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try task.file(arguments.int32(0)).sync(dataOnly: true, task)
        return 0
    }

    static func sync(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let mounts = try task.fileSystem().root.mount.namespace?.mounts ?? []
        var done: Set<ObjectIdentifier> = []
        for mount in mounts where done.insert(ObjectIdentifier(mount.fileSystem)).inserted { try? mount.fileSystem.sync() }
        return 0
    }

    static func syncfs(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try task.file(arguments.int32(0)).path.mount.fileSystem.sync()
        return 0
    }

    static func syncFileRange(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        let offset = arguments.int64(1), length = arguments.int64(2)
        guard offset >= 0, length >= 0, !offset.addingReportingOverflow(length).overflow, arguments.uint32(3) & ~7 == 0 else {
            throw .EINVAL
        }
        guard file.isSeekable else { throw .ESPIPE }
        if arguments.uint32(3) != 0 { try file.sync(dataOnly: true, task) }
        return 0
    }
}

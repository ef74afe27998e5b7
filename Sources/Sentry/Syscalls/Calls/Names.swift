import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Names: mkdir(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), readlink(2), mknod(2), and where a task stands: chdir(2), chroot(2), getcwd(2), umask(2).
enum NameCalls {
    static let calls: [SystemCall] = [
        SystemCall(.mkdir, mkdir), SystemCall(.mkdirat, mkdirat), SystemCall(.rmdir, rmdir),
        SystemCall(.unlink, unlink), SystemCall(.unlinkat, unlinkat),
        SystemCall(.rename, rename), SystemCall(.renameat, renameat), SystemCall(.renameat2, renameat2),
        SystemCall(.link, link), SystemCall(.linkat, linkat), SystemCall(.symlink, symlink), SystemCall(.symlinkat, symlinkat),
        SystemCall(.readlink, readlink), SystemCall(.readlinkat, readlinkat), SystemCall(.mknod, mknod), SystemCall(.mknodat, mknodat),
        SystemCall(.chdir, chdir), SystemCall(.fchdir, fchdir), SystemCall(.chroot, chroot), SystemCall(.getcwd, getcwd),
        SystemCall(.umask, umask),
    ]

    // MARK: Directories and nodes

    static func mkdir(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try makeDirectory(task, AtFlag.AT_FDCWD, arguments[0], mode: arguments.uint32(1))
    }

    static func mkdirat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try makeDirectory(task, arguments.int32(0), arguments[1], mode: arguments.uint32(2))
    }

    private static func makeDirectory(_ task: KernelTask, _ directory: Int32, _ address: UInt64, mode: UInt32) throws(Errno) -> Int {
        let path = try task.path(at: address)
        try VFS.makeDirectory(path.span, at: task.start(directory, path), mode: mode, task)
        return 0
    }

    static func mknod(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try makeNode(task, AtFlag.AT_FDCWD, arguments[0], mode: arguments.uint32(1), device: arguments.uint32(2))
    }

    static func mknodat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try makeNode(task, arguments.int32(0), arguments[1], mode: arguments.uint32(2), device: arguments.uint32(3))
    }

    private static func makeNode(_ task: KernelTask, _ directory: Int32, _ address: UInt64, mode: UInt32, device: UInt32) throws(Errno)
        -> Int
    {
        let path = try task.path(at: address)
        try VFS.makeNode(path.span, at: task.start(directory, path), mode: mode, device: UInt64(device), task)
        return 0
    }

    static func rmdir(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try task.path(at: arguments[0])
        try VFS.removeDirectory(path.span, at: task.fileSystem().workingDirectory, task)
        return 0
    }

    static func unlink(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try task.path(at: arguments[0])
        try VFS.unlink(path.span, at: task.fileSystem().workingDirectory, task)
        return 0
    }

    static func unlinkat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(2)
        guard flags & ~AtFlag.AT_REMOVEDIR == 0 else { throw .EINVAL }
        let path = try task.path(at: arguments[1])
        let start = try task.start(arguments.int32(0), path)
        if flags != 0 {
            try VFS.removeDirectory(path.span, at: start, task)
        } else {
            try VFS.unlink(path.span, at: start, task)
        }
        return 0
    }

    // MARK: rename(2), link(2), symlink(2)

    static func rename(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try rename(task, (AtFlag.AT_FDCWD, arguments[0]), (AtFlag.AT_FDCWD, arguments[1]), flags: 0)
    }

    static func renameat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try rename(task, (arguments.int32(0), arguments[1]), (arguments.int32(2), arguments[3]), flags: 0)
    }

    static func renameat2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try rename(task, (arguments.int32(0), arguments[1]), (arguments.int32(2), arguments[3]), flags: arguments.uint32(4))
    }

    private static func rename(
        _ task: KernelTask, _ old: (directory: Int32, address: UInt64), _ new: (directory: Int32, address: UInt64), flags: UInt32
    ) throws(Errno) -> Int {
        let oldPath = try task.path(at: old.address), newPath = try task.path(at: new.address)
        let oldStart = try task.start(old.directory, oldPath), newStart = try task.start(new.directory, newPath)
        try VFS.rename(oldPath.span, at: oldStart, to: newPath.span, at: newStart, flags: flags, task)
        return 0
    }

    static func link(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try link(task, (AtFlag.AT_FDCWD, arguments[0]), (AtFlag.AT_FDCWD, arguments[1]), flags: 0)
    }

    static func linkat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try link(task, (arguments.int32(0), arguments[1]), (arguments.int32(2), arguments[3]), flags: arguments.int32(4))
    }

    private static func link(
        _ task: KernelTask, _ old: (directory: Int32, address: UInt64), _ new: (directory: Int32, address: UInt64), flags: Int32
    ) throws(Errno) -> Int {
        guard flags & ~(AtFlag.AT_SYMLINK_FOLLOW | AtFlag.AT_EMPTY_PATH) == 0 else { throw .EINVAL }
        let oldPath = try task.optionalPath(at: old.address, flags)
        let newPath = try task.path(at: new.address)
        var options: ResolveOptions = flags & AtFlag.AT_SYMLINK_FOLLOW != 0 ? .follow : []
        if flags & AtFlag.AT_EMPTY_PATH != 0 {
            if oldPath.isEmpty, !task.credentials.has(.CAP_DAC_READ_SEARCH) { throw .ENOENT }
            options.insert(.emptyPath)
        }
        let source = try VFS.resolve(oldPath.span, at: task.start(old.directory, oldPath), options, task)
        try VFS.link(source, newPath.span, at: task.start(new.directory, newPath), task)
        return 0
    }

    static func symlink(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try symlink(task, arguments[0], AtFlag.AT_FDCWD, arguments[1])
    }

    static func symlinkat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try symlink(task, arguments[0], arguments.int32(1), arguments[2])
    }

    private static func symlink(_ task: KernelTask, _ target: UInt64, _ directory: Int32, _ address: UInt64) throws(Errno) -> Int {
        let target = try task.path(at: target)
        let path = try task.path(at: address)
        try VFS.symlink(target, path.span, at: task.start(directory, path), task)
        return 0
    }

    static func readlink(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try readLink(task, AtFlag.AT_FDCWD, arguments[0], (arguments[1], arguments.int32(2)))
    }

    static func readlinkat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try readLink(task, arguments.int32(0), arguments[1], (arguments[2], arguments.int32(3)))
    }

    private static func readLink(_ task: KernelTask, _ directory: Int32, _ address: UInt64, _ buffer: (address: UInt64, size: Int32))
        throws(Errno)
        -> Int
    {
        guard buffer.size > 0 else { throw .EINVAL }
        let path = try task.path(at: address)
        // An empty path with a descriptor of O_PATH | O_NOFOLLOW reads that link itself.
        let options: ResolveOptions = directory == AtFlag.AT_FDCWD ? [] : .emptyPath
        let target = try VFS.readLink(path.span, at: task.start(directory, path), options, task)
        let count = min(target.count, Int(buffer.size))
        try task.guestMemory().copyOut(target.span.extracting(0..<count), to: buffer.address)
        return count
    }

    // MARK: chdir(2), chroot(2), getcwd(2), umask(2)

    static func chdir(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try task.path(at: arguments[0])
        let context = try task.fileSystem()
        let place = try VFS.resolve(path.span, at: context.workingDirectory, [.follow, .directory], task)
        try VFS.checkAccess(place, .execute, task)
        context.state.withLock { $0.workingDirectory = place }
        return 0
    }

    static func fchdir(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let file = try task.files.get(arguments.int32(0))
        guard file.inode?.type == .directory else { throw .ENOTDIR }
        try VFS.checkAccess(file.path, .execute, task)
        try task.fileSystem().state.withLock { $0.workingDirectory = file.path }
        return 0
    }

    static func chroot(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try task.path(at: arguments[0])
        let context = try task.fileSystem()
        let place = try VFS.resolve(path.span, at: context.workingDirectory, [.follow, .directory], task)
        try VFS.checkAccess(place, .execute, task)
        guard task.credentials.has(.CAP_SYS_CHROOT) else { throw .EPERM }
        context.state.withLock { $0.root = place }
        return 0
    }

    static func getcwd(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try VFS.workingDirectory(task.fileSystem()) + [0]
        guard path.count <= PathLimit.PATH_MAX else { throw .ENAMETOOLONG }
        guard UInt64(path.count) <= arguments[1] else { throw .ERANGE }
        try task.guestMemory().copyOut(path, to: arguments[0])
        return path.count
    }

    static func umask(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let mask = arguments.uint32(0) & 0o777
        return try task.fileSystem().state.withLock { state in
            defer { state.umask = mask }
            return Int(state.umask)
        }
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Looking at files: stat(2), statx(2), statfs(2), access(2), getdents(2).
enum StatCalls {
    static let calls: [SystemCall] = [
        SystemCall(.stat, stat), SystemCall(.lstat, lstat), SystemCall(.fstat, fstat), SystemCall(.newfstatat, newfstatat),
        SystemCall(.statx, statx), SystemCall(.statfs, statfs), SystemCall(.fstatfs, fstatfs),
        SystemCall(.access, access), SystemCall(.faccessat, faccessat), SystemCall(.faccessat2, faccessat2),
        SystemCall(.getdents64, getdents64), SystemCall(.getdents, getdents),
    ]

    // MARK: stat(2)

    static func stat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let attributes = try task.withPath(at: arguments[0]) { (path: borrowing Span<UInt8>) throws(Errno) in
            try VFS.stat(path, at: task.fileSystem().workingDirectory, .follow, task)
        }
        return try store(task, attributes, to: arguments[1])
    }

    static func lstat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let attributes = try task.withPath(at: arguments[0]) { (path: borrowing Span<UInt8>) throws(Errno) in
            try VFS.stat(path, at: task.fileSystem().workingDirectory, [], task)
        }
        return try store(task, attributes, to: arguments[1])
    }

    static func fstat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try store(task, task.files.get(arguments.int32(0)).attributes(task), to: arguments[1])
    }

    static func newfstatat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(3)
        // Whether to ask a remote server is statx(2)'s question, but Linux takes it here too.
        let sync = AtFlag.AT_STATX_FORCE_SYNC | AtFlag.AT_STATX_DONT_SYNC
        guard flags & ~(AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_NO_AUTOMOUNT | AtFlag.AT_EMPTY_PATH | sync) == 0 else { throw .EINVAL }
        return try store(task, attributes(task, arguments.int32(0), arguments[1], flags).0, to: arguments[2])
    }

    /// The attributes behind a descriptor and path, and the mount they were found through.
    private static func attributes(_ task: KernelTask, _ descriptor: Int32, _ address: UInt64, _ flags: Int32) throws(Errno) -> (
        FileAttributes, Mount, isRoot: Bool
    ) {
        if address == 0, flags & AtFlag.AT_EMPTY_PATH != 0 {
            let none: [UInt8] = []
            return try attributes(task, descriptor, none.span, flags)
        }
        return try task.withPath(at: address) { (path: borrowing Span<UInt8>) throws(Errno) in
            try attributes(task, descriptor, path, flags)
        }
    }

    private static func attributes(_ task: KernelTask, _ descriptor: Int32, _ path: borrowing Span<UInt8>, _ flags: Int32) throws(Errno)
        -> (
            FileAttributes, Mount, isRoot: Bool
        )
    {
        if path.isEmpty, flags & AtFlag.AT_EMPTY_PATH != 0, descriptor != AtFlag.AT_FDCWD {
            // The open file itself: sockets and anonymous files have attributes of their own.
            let file = try task.files.get(descriptor)
            return (try file.attributes(task), file.path.mount, file.path.dentry === file.path.mount.root)
        }
        let place = try VFS.resolve(path, at: task.start(descriptor, path), KernelTask.options(flags), task)
        return (try VFS.attributes(of: place, task), place.mount, place.dentry === place.mount.root)
    }

    private static func store(_ task: KernelTask, _ attributes: FileAttributes, to address: UInt64) throws(Errno) -> Int {
        let bytes = attributes.statBytes
        try task.guestMemory().copyOut(bytes.span, to: address)
        return 0
    }

    static func statx(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(2), mask = arguments.uint32(3)
        let sync = AtFlag.AT_STATX_FORCE_SYNC | AtFlag.AT_STATX_DONT_SYNC
        guard mask & StatxMask.STATX__RESERVED == 0, flags & sync != sync,
            flags & ~(AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_NO_AUTOMOUNT | AtFlag.AT_EMPTY_PATH | sync) == 0
        else { throw .EINVAL }
        let (attributes, mount, isRoot) = try attributes(task, arguments.int32(0), arguments[1], flags)
        let bytes = attributes.statxBytes(mount: mount.identifier, isMountRoot: isRoot)
        try task.guestMemory().copyOut(bytes.span, to: arguments[4])
        return 0
    }

    // MARK: statfs(2)

    static func statfs(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let path = try task.path(at: arguments[0])
        let place = try VFS.resolve(path.span, at: task.fileSystem().workingDirectory, .follow, task)
        return try storeStatistics(task, place.mount, to: arguments[1])
    }

    static func fstatfs(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try storeStatistics(task, task.files.get(arguments.int32(0)).path.mount, to: arguments[1])
    }

    private static func storeStatistics(_ task: KernelTask, _ mount: Mount, to address: UInt64) throws(Errno) -> Int {
        let statistics = try mount.fileSystem.statistics(task)
        try task.guestMemory().copyOut(statistics.statfsBytes(mount.flags), to: address)
        return 0
    }

    // MARK: access(2)

    static func access(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try checkAccess(task, AtFlag.AT_FDCWD, arguments[0], mode: arguments.uint32(1), flags: 0)
    }

    static func faccessat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try checkAccess(task, arguments.int32(0), arguments[1], mode: arguments.uint32(2), flags: 0)
    }

    static func faccessat2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try checkAccess(task, arguments.int32(0), arguments[1], mode: arguments.uint32(2), flags: arguments.int32(3))
    }

    private static func checkAccess(_ task: KernelTask, _ descriptor: Int32, _ address: UInt64, mode: UInt32, flags: Int32) throws(Errno)
        -> Int
    {
        guard mode & ~7 == 0, flags & ~(AtFlag.AT_EACCESS | AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH) == 0 else { throw .EINVAL }
        let path = try task.optionalPath(at: address, flags)
        let context = flags & AtFlag.AT_EACCESS != 0 ? task : RealIdentity.context(for: task)
        let place = try VFS.resolve(path.span, at: task.start(descriptor, path), KernelTask.options(flags), context)
        try VFS.checkAccess(place, Access(rawValue: mode), context)
        return 0
    }

    // MARK: getdents(2)

    /// The most bytes of entries handed out by one call; a later one gets the rest.
    private static let maximumEntries = 64 << 10

    static func getdents64(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try readEntries(task, arguments, isOlderForm: false)
    }

    /// The older form: no type in the head, but in the entry's last byte.
    static func getdents(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try readEntries(task, arguments, isOlderForm: true)
    }

    /// Both forms have 19 bytes beside the name and what fills up to a multiple of 8.
    private static func readEntries(_ task: KernelTask, _ arguments: borrowing SyscallArguments, isOlderForm: Bool) throws(Errno) -> Int {
        let file = try task.file(arguments.int32(0))
        guard file.inode?.type == .directory else { throw .ENOTDIR }
        if file.path.dentry.isDeleted { throw .ENOENT }
        let room = min(Int(arguments.uint32(2)), maximumEntries)
        var bytes = [UInt8](repeating: 0, count: min(room, 4096))
        var used = 0
        var isTooSmall = false
        try file.readDirectory(task) { entry in
            let length = (19 + entry.name.count + 1 + 7) & ~7
            if used + length > room {
                isTooSmall = used == 0
                return false
            }
            if used + length > bytes.count { bytes += repeatElement(0, count: min(bytes.count, room - bytes.count)) }
            var all = bytes.mutableSpan
            var place = all._mutatingExtracting(used..<used + length)
            place.store(entry.inode, at: 0)
            place.store(entry.nextOffset, at: 8)
            place.store(UInt16(length), at: 16)
            place.store(entry.name, at: isOlderForm ? 18 : 19)
            place[isOlderForm ? length - 1 : 18] = entry.type.directoryEntryType
            used += length
            return true
        }
        if isTooSmall { throw .EINVAL }
        if used > 0 {
            file.path.dentry.notify(.access)
            try task.guestMemory().copyOut(bytes.span.extracting(0..<used), to: arguments[1])
        }
        return used
    }
}

/// access(2) asks with the real identities, not the effective ones: the task with those for file access.
final class RealIdentity: FileContext {
    private let task: KernelTask
    let credentials: Credentials
    var addressSpace: AddressSpace? { task.addressSpace }
    var fileSystemContext: FileSystemContext? { task.fileSystemContext }
    var fileSizeLimit: UInt64 { task.fileSizeLimit }
    func fileSizeExceeded() { task.fileSizeExceeded() }

    private init(_ task: KernelTask, _ credentials: Credentials) {
        self.task = task
        self.credentials = credentials
    }

    /// The task itself when real and file-access identities are the same and so are its capabilities.
    static func context(for task: KernelTask) -> any FileContext {
        let old = task.credentials
        // Root has what it is permitted, everybody else nothing (Linux: access_override_creds).
        let capabilities: Capabilities =
            old.secureBits & SecureBits.noSetUserIDFixup != 0 ? old.effective : old.user.real == 0 ? old.permitted : []
        if old.user.real == old.user.fileSystem, old.group.real == old.group.fileSystem, capabilities == old.effective { return task }
        var user = old.user, group = old.group
        user.fileSystem = user.real
        group.fileSystem = group.real
        let credentials = Credentials(
            user: user, group: group, groups: old.groups, permitted: old.permitted, effective: capabilities, inheritable: old.inheritable,
            bounding: old.bounding, ambient: old.ambient, secureBits: old.secureBits, noNewPrivileges: old.noNewPrivileges,
            userNamespace: old.userNamespace)
        return RealIdentity(task, credentials)
    }

    private enum SecureBits {
        static let noSetUserIDFixup: UInt32 = 1 << 2
    }
}

import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Attributes of files: chmod(2), chown(2), utime(2), and extended ones (xattr(7)).
enum AttributeCalls {
    static let calls: [SystemCall] = [
        SystemCall(.chmod, chmod), SystemCall(.fchmod, fchmod), SystemCall(.fchmodat, fchmodat), SystemCall(.fchmodat2, fchmodat2),
        SystemCall(.chown, chown), SystemCall(.fchown, fchown), SystemCall(.lchown, lchown), SystemCall(.fchownat, fchownat),
        SystemCall(.utime, utime), SystemCall(.utimes, utimes), SystemCall(.futimesat, futimesat), SystemCall(.utimensat, utimensat),
        SystemCall(.getxattr, getxattr), SystemCall(.lgetxattr, lgetxattr), SystemCall(.fgetxattr, fgetxattr),
        SystemCall(.setxattr, setxattr), SystemCall(.lsetxattr, lsetxattr), SystemCall(.fsetxattr, fsetxattr),
        SystemCall(.listxattr, listxattr), SystemCall(.llistxattr, llistxattr), SystemCall(.flistxattr, flistxattr),
        SystemCall(.removexattr, removexattr), SystemCall(.lremovexattr, lremovexattr), SystemCall(.fremovexattr, fremovexattr),
    ]

    // MARK: chmod(2)

    static func chmod(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try VFS.changeMode(task.resolve(AtFlag.AT_FDCWD, arguments[0], flags: 0), arguments.uint32(1), task)
        return 0
    }

    static func fchmod(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try VFS.changeMode(task.file(arguments.int32(0)).path, arguments.uint32(1), task)
        return 0
    }

    static func fchmodat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try VFS.changeMode(task.resolve(arguments.int32(0), arguments[1], flags: 0), arguments.uint32(2), task)
        return 0
    }

    static func fchmodat2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(3)
        guard flags & ~(AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH) == 0 else { throw .EINVAL }
        try VFS.changeMode(task.resolve(arguments.int32(0), arguments[1], flags: flags), arguments.uint32(2), task)
        return 0
    }

    // MARK: chown(2)

    private static func changeOwner(_ task: KernelTask, _ place: Path, _ user: UInt32, _ group: UInt32) throws(Errno) -> Int {
        try VFS.changeOwner(place, user: user == .max ? nil : user, group: group == .max ? nil : group, task)
        return 0
    }

    static func chown(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try changeOwner(task, task.resolve(AtFlag.AT_FDCWD, arguments[0], flags: 0), arguments.uint32(1), arguments.uint32(2))
    }

    static func lchown(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let place = try task.resolve(AtFlag.AT_FDCWD, arguments[0], flags: AtFlag.AT_SYMLINK_NOFOLLOW)
        return try changeOwner(task, place, arguments.uint32(1), arguments.uint32(2))
    }

    static func fchown(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try changeOwner(task, task.file(arguments.int32(0)).path, arguments.uint32(1), arguments.uint32(2))
    }

    static func fchownat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(4)
        guard flags & ~(AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH) == 0 else { throw .EINVAL }
        let place = try task.resolve(arguments.int32(0), arguments[1], flags: flags)
        return try changeOwner(task, place, arguments.uint32(2), arguments.uint32(3))
    }

    // MARK: utime(2)

    /// utime(2): struct utimbuf, two seconds; null for now.
    static func utime(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var access = AttributeChange.Time.now, modification = AttributeChange.Time.now
        if arguments[1] != 0 {
            let memory = try task.guestMemory()
            access = .at(Timespec(tv_sec: try memory.load(arguments[1]), tv_nsec: 0))
            modification = .at(Timespec(tv_sec: try memory.load(arguments[1] &+ 8), tv_nsec: 0))
        }
        let place = try task.resolve(AtFlag.AT_FDCWD, arguments[0], flags: 0)
        try VFS.changeTimes(place, access: access, modification: modification, task)
        return 0
    }

    static func utimes(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try changeTimes(task, AtFlag.AT_FDCWD, arguments[0], timevals: arguments[1])
    }

    static func futimesat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try changeTimes(task, arguments.int32(0), arguments[1], timevals: arguments[2])
    }

    /// Two struct timeval: seconds and microseconds.
    private static func changeTimes(_ task: KernelTask, _ directory: Int32, _ address: UInt64, timevals: UInt64) throws(Errno) -> Int {
        var times: [AttributeChange.Time] = [.now, .now]
        if timevals != 0 {
            let memory = try task.guestMemory()
            for index in 0..<2 {
                let place = timevals &+ UInt64(index) * 16
                let seconds: Int64 = try memory.load(place), micro: Int64 = try memory.load(place &+ 8)
                guard (0..<1_000_000).contains(micro) else { throw .EINVAL }
                times[index] = .at(Timespec(tv_sec: seconds, tv_nsec: micro * 1000))
            }
        }
        let target = try address == 0 ? task.file(directory).path : task.resolve(directory, address, flags: 0)
        try VFS.changeTimes(target, access: times[0], modification: times[1], task)
        return 0
    }

    static func utimensat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(3)
        guard flags & ~(AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH) == 0 else { throw .EINVAL }
        var access: AttributeChange.Time? = .now, modification: AttributeChange.Time? = .now
        if arguments[2] != 0 {
            access = try time(task, arguments[2])
            modification = try time(task, arguments[2] &+ 16)
            if access == nil, modification == nil { return 0 }
        }
        // A null path means the descriptor itself: futimens(3).
        let place: Path
        if arguments[1] == 0, arguments.int32(0) != AtFlag.AT_FDCWD {
            if flags & ~AtFlag.AT_EMPTY_PATH != 0 { throw .EINVAL }
            place = try task.file(arguments.int32(0)).path
        } else {
            place = try task.resolve(arguments.int32(0), arguments[1], flags: flags)
        }
        try VFS.changeTimes(place, access: access, modification: modification, task)
        return 0
    }

    /// One struct timespec with its special values; nil for UTIME_OMIT.
    private static func time(_ task: KernelTask, _ address: UInt64) throws(Errno) -> AttributeChange.Time? {
        let memory = try task.guestMemory()
        let seconds: Int64 = try memory.load(address), nano: Int64 = try memory.load(address &+ 8)
        switch nano {
        case UtimeSpecial.UTIME_NOW: return .now
        case UtimeSpecial.UTIME_OMIT: return nil
        case 0..<1_000_000_000: return .at(Timespec(tv_sec: seconds, tv_nsec: nano))
        default: throw .EINVAL
        }
    }

    // MARK: xattr(7)

    /// The name of an attribute: ERANGE when it is empty or too long.
    private static func name(_ task: KernelTask, _ address: UInt64) throws(Errno) -> [UInt8] {
        let name: [UInt8]
        do throws(Errno) { name = try task.guestMemory().copyInString(at: address, max: Int(XattrFlag.XATTR_NAME_MAX) + 1) } catch {
            throw error == .ENAMETOOLONG ? .ERANGE : error
        }
        if name.isEmpty { throw .ERANGE }
        return name
    }

    /// Hands out a value or a list: its size when the buffer's is 0, ERANGE when it does not fit.
    private static func give(_ task: KernelTask, _ bytes: [UInt8], to address: UInt64, size: UInt64) throws(Errno) -> Int {
        if size == 0 { return bytes.count }
        guard UInt64(bytes.count) <= size else { throw .ERANGE }
        try task.guestMemory().copyOut(bytes, to: address)
        return bytes.count
    }

    private static func get(_ task: KernelTask, _ place: Path, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let value = try VFS.extendedAttribute(place, name(task, arguments[1]), task)
        return try give(task, value, to: arguments[2], size: arguments[3])
    }

    private static func set(_ task: KernelTask, _ place: Path, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.int32(4)
        guard flags & ~(XattrFlag.XATTR_CREATE | XattrFlag.XATTR_REPLACE) == 0 else { throw .EINVAL }
        let name = try name(task, arguments[1])
        guard arguments[3] <= UInt64(XattrFlag.XATTR_SIZE_MAX) else { throw .E2BIG }
        let value = arguments[3] == 0 ? [] : try task.guestMemory().copyIn(from: arguments[2], count: Int(arguments[3]))
        try VFS.setExtendedAttribute(place, name, value, flags: UInt32(bitPattern: flags), task)
        return 0
    }

    private static func list(_ task: KernelTask, _ place: Path, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var bytes: [UInt8] = []
        for name in try VFS.extendedAttributeNames(place, task) { bytes += name + [0] }
        guard bytes.count <= Int(XattrFlag.XATTR_LIST_MAX) else { throw .E2BIG }
        return try give(task, bytes, to: arguments[1], size: arguments[2])
    }

    private static func remove(_ task: KernelTask, _ place: Path, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try VFS.removeExtendedAttribute(place, name(task, arguments[1]), task)
        return 0
    }

    private static func followed(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Path {
        try task.resolve(AtFlag.AT_FDCWD, arguments[0], flags: 0)
    }
    private static func unfollowed(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Path {
        try task.resolve(AtFlag.AT_FDCWD, arguments[0], flags: AtFlag.AT_SYMLINK_NOFOLLOW)
    }
    private static func opened(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Path {
        try task.file(arguments.int32(0)).path
    }

    static func getxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try get(task, followed(task, arguments), arguments)
    }
    static func lgetxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try get(task, unfollowed(task, arguments), arguments)
    }
    static func fgetxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try get(task, opened(task, arguments), arguments)
    }
    static func setxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try set(task, followed(task, arguments), arguments)
    }
    static func lsetxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try set(task, unfollowed(task, arguments), arguments)
    }
    static func fsetxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try set(task, opened(task, arguments), arguments)
    }
    static func listxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try list(task, followed(task, arguments), arguments)
    }
    static func llistxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try list(task, unfollowed(task, arguments), arguments)
    }
    static func flistxattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try list(task, opened(task, arguments), arguments)
    }
    static func removexattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try remove(task, followed(task, arguments), arguments)
    }
    static func lremovexattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try remove(task, unfollowed(task, arguments), arguments)
    }
    static func fremovexattr(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try remove(task, opened(task, arguments), arguments)
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// User, group and capability identities (credentials(7), capabilities(7)).
enum IdentityCalls {
    static let calls: [SystemCall] = [
        SystemCall(.getuid) { task, _ throws(Errno) in Int(task.credentials.user.real) },
        SystemCall(.geteuid) { task, _ throws(Errno) in Int(task.credentials.user.effective) },
        SystemCall(.getgid) { task, _ throws(Errno) in Int(task.credentials.group.real) },
        SystemCall(.getegid) { task, _ throws(Errno) in Int(task.credentials.group.effective) },
        SystemCall(.getresuid) { task, arguments throws(Errno) in try getThree(task, task.credentials.user, arguments) },
        SystemCall(.getresgid) { task, arguments throws(Errno) in try getThree(task, task.credentials.group, arguments) },
        SystemCall(.setuid, setuid),
        SystemCall(.setreuid, setreuid),
        SystemCall(.setresuid, setresuid),
        SystemCall(.setfsuid, setfsuid),
        SystemCall(.setgid, setgid),
        SystemCall(.setregid, setregid),
        SystemCall(.setresgid, setresgid),
        SystemCall(.setfsgid, setfsgid),
        SystemCall(.getgroups, getgroups),
        SystemCall(.setgroups, setgroups),
        SystemCall(.capget, capget),
        SystemCall(.capset, capset),
    ]

    /// The id that means "leave it".
    private static let unchanged = UInt32.max

    /// EINVAL for an id that is given and that the user namespace does not have.
    private static func check(_ id: UInt32, in map: IdentityMap) throws(Errno) {
        if id != unchanged, !map.contains(id) { throw .EINVAL }
    }

    private static func getThree(_ task: KernelTask, _ identity: Credentials.Identity, _ arguments: borrowing SyscallArguments)
        throws(Errno) -> Int
    {
        let space = try task.space()
        try space.store(identity.real, to: arguments[0])
        try space.store(identity.effective, to: arguments[1])
        try space.store(identity.saved, to: arguments[2])
        return 0
    }

    // MARK: users

    private static func setuid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let id = arguments.uint32(0)
        if id == unchanged { throw .EINVAL }
        let old = task.credentials
        try check(id, in: old.userNamespace.users)
        var user = old.user
        if old.has(.CAP_SETUID) {
            user = .init(id)
        } else {
            guard id == user.real || id == user.saved else { throw .EPERM }
            user.effective = id
            user.fileSystem = id
        }
        task.setUser(user)
        return 0
    }

    private static func setreuid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let real = arguments.uint32(0), effective = arguments.uint32(1)
        let old = task.credentials, isPrivileged = old.has(.CAP_SETUID)
        try check(real, in: old.userNamespace.users)
        try check(effective, in: old.userNamespace.users)
        var user = old.user
        if real != unchanged {
            guard isPrivileged || real == user.real || real == user.effective else { throw .EPERM }
            user.real = real
        }
        if effective != unchanged {
            guard isPrivileged || [old.user.real, old.user.effective, old.user.saved].contains(effective) else { throw .EPERM }
            user.effective = effective
        }
        if real != unchanged || (effective != unchanged && effective != old.user.real) { user.saved = user.effective }
        user.fileSystem = user.effective
        task.setUser(user)
        return 0
    }

    private static func setresuid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let old = task.credentials
        task.setUser(try setThree(old.user, of: old.userNamespace.users, isPrivileged: old.has(.CAP_SETUID), arguments))
        return 0
    }

    private static func setThree(
        _ old: Credentials.Identity, of map: IdentityMap, isPrivileged: Bool, _ arguments: borrowing SyscallArguments
    ) throws(Errno) -> Credentials.Identity {
        let real = arguments.uint32(0), effective = arguments.uint32(1), saved = arguments.uint32(2)
        for id in [real, effective, saved] { try check(id, in: map) }
        for id in [real, effective, saved] where id != unchanged {
            guard isPrivileged || [old.real, old.effective, old.saved].contains(id) else { throw .EPERM }
        }
        var new = old
        if real != unchanged { new.real = real }
        if effective != unchanged { new.effective = effective }
        if saved != unchanged { new.saved = saved }
        new.fileSystem = new.effective
        return new
    }

    private static func setfsuid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let id = arguments.uint32(0), old = task.credentials
        // The old id is the result, whether or not anything changed.
        guard old.userNamespace.users.contains(id) else { return Int(old.user.fileSystem) }
        if old.has(.CAP_SETUID) || [old.user.real, old.user.effective, old.user.saved, old.user.fileSystem].contains(id) {
            var user = old.user
            user.fileSystem = id
            task.setUser(user)
        }
        return Int(old.user.fileSystem)
    }

    // MARK: groups

    private static func setGroup(_ task: KernelTask, _ group: Credentials.Identity) {
        task.changeCredentials { $0.group = group }
    }

    private static func setgid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let id = arguments.uint32(0)
        if id == unchanged { throw .EINVAL }
        let old = task.credentials
        try check(id, in: old.userNamespace.groups)
        var group = old.group
        if old.has(.CAP_SETGID) {
            group = .init(id)
        } else {
            guard id == group.real || id == group.saved else { throw .EPERM }
            group.effective = id
            group.fileSystem = id
        }
        setGroup(task, group)
        return 0
    }

    private static func setregid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let real = arguments.uint32(0), effective = arguments.uint32(1)
        let old = task.credentials, isPrivileged = old.has(.CAP_SETGID)
        try check(real, in: old.userNamespace.groups)
        try check(effective, in: old.userNamespace.groups)
        var group = old.group
        if real != unchanged {
            guard isPrivileged || real == group.real || real == group.effective else { throw .EPERM }
            group.real = real
        }
        if effective != unchanged {
            guard isPrivileged || [old.group.real, old.group.effective, old.group.saved].contains(effective) else { throw .EPERM }
            group.effective = effective
        }
        if real != unchanged || (effective != unchanged && effective != old.group.real) { group.saved = group.effective }
        group.fileSystem = group.effective
        setGroup(task, group)
        return 0
    }

    private static func setresgid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let old = task.credentials
        setGroup(task, try setThree(old.group, of: old.userNamespace.groups, isPrivileged: old.has(.CAP_SETGID), arguments))
        return 0
    }

    private static func setfsgid(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let id = arguments.uint32(0), old = task.credentials
        guard old.userNamespace.groups.contains(id) else { return Int(old.group.fileSystem) }
        if old.has(.CAP_SETGID)
            || [old.group.real, old.group.effective, old.group.saved, old.group.fileSystem].contains(id)
        {
            var group = old.group
            group.fileSystem = id
            setGroup(task, group)
        }
        return Int(old.group.fileSystem)
    }

    private static func getgroups(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let size = arguments.int32(0), groups = task.credentials.groups
        if size < 0 { throw .EINVAL }
        if size == 0 { return groups.count }
        guard Int(size) >= groups.count else { throw .EINVAL }
        var structure = StructureBytes(size: groups.count * 4)
        for (index, group) in groups.enumerated() { structure.put(group, at: index * 4) }
        try task.write(structure, to: arguments[1])
        return groups.count
    }

    private static func setgroups(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard task.credentials.has(.CAP_SETGID) else { throw .EPERM }
        let size = arguments.int32(0)
        guard size >= 0, size <= 65536 else { throw .EINVAL }
        let structure = size == 0 ? StructureBytes(size: 0) : try task.readStructure(arguments[1], size: Int(size) * 4)
        let groups = (0..<Int(size)).map { structure.get($0 * 4, as: UInt32.self) }
        let known = task.credentials.userNamespace.groups
        for group in groups where !known.contains(group) { throw .EINVAL }
        task.changeCredentials { $0.groups = groups.sorted() }
        return 0
    }

    // MARK: capabilities

    /// The number of 32-bit words of each set in the version of a cap_user_header_t; 0: unknown.
    private static func words(_ version: UInt32) -> Int {
        switch version {
        case 0x1998_0330: 1
        case 0x2007_1026, 0x2008_0522: 2
        default: 0
        }
    }

    private static func capget(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let header = try task.readStructure(arguments[0], size: 8)
        let count = words(header.get(0))
        if count == 0 {
            try task.space().store(UInt32(0x2008_0522), to: arguments[0])
            // Asking for the version only is not an error.
            if arguments[1] == 0 { return 0 }
            throw .EINVAL
        }
        let process: Int32 = header.get(4)
        if process < 0 { throw .EINVAL }
        let credentials = process == 0 || process == task.threadID ? task.credentials : try task.findTask(process).credentials
        if arguments[1] == 0 { return 0 }
        var structure = StructureBytes(size: count * 12)
        for (place, set) in [credentials.effective, credentials.permitted, credentials.inheritable].enumerated() {
            for word in 0..<count {
                structure.put(UInt32(truncatingIfNeeded: set.rawValue >> UInt64(32 * word)), at: word * 12 + place * 4)
            }
        }
        try task.write(structure, to: arguments[1])
        return 0
    }

    private static func capset(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let header = try task.readStructure(arguments[0], size: 8)
        let count = words(header.get(0))
        if count == 0 {
            try task.space().store(UInt32(0x2008_0522), to: arguments[0])
            throw .EINVAL
        }
        let process: Int32 = header.get(4)
        if process != 0, process != task.threadID { throw .EPERM }
        let structure = try task.readStructure(arguments[1], size: count * 12)
        func set(_ place: Int) -> Capabilities {
            var value: UInt64 = 0
            for word in 0..<count { value |= UInt64(structure.get(word * 12 + place * 4, as: UInt32.self)) << UInt64(32 * word) }
            return Capabilities(rawValue: value).intersection(.all)
        }
        let effective = set(0), permitted = set(1), inheritable = set(2)
        let old = task.credentials
        // Rules of capabilities(7), "Programmatically adjusting capability sets".
        if !old.has(.CAP_SETPCAP), !inheritable.isSubset(of: old.inheritable.union(old.permitted)) { throw .EPERM }
        guard inheritable.isSubset(of: old.inheritable.union(old.bounding)), permitted.isSubset(of: old.permitted),
            effective.isSubset(of: permitted)
        else { throw .EPERM }
        task.changeCredentials { new in
            new.effective = effective
            new.permitted = permitted
            new.inheritable = inheritable
            new.ambient = new.ambient.intersection(permitted).intersection(inheritable)
        }
        return 0
    }
}

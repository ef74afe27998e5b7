import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Resource limits (getrlimit(2), prlimit(2)).
enum LimitCalls {
    static let calls: [SystemCall] = [
        SystemCall(.getrlimit) { task, arguments throws(Errno) in
            let resource = try resource(arguments[0])
            try task.write(bytes(task.threadGroup.limits.get(resource)), to: arguments[1])
            return 0
        },
        SystemCall(.setrlimit) { task, arguments throws(Errno) in
            _ = try set(task, task, try resource(arguments[0]), arguments[1])
            return 0
        },
        SystemCall(.prlimit64, prlimit),
    ]

    private static func resource(_ argument: UInt64) throws(Errno) -> Int {
        let value = Int(UInt32(truncatingIfNeeded: argument))
        guard value < Resource.RLIM_NLIMITS else { throw .EINVAL }
        return value
    }

    private static func bytes(_ limit: ResourceLimit) -> StructureBytes {
        var structure = StructureBytes(size: 16)
        structure.put(limit.current, at: 0)
        structure.put(limit.maximum, at: 8)
        return structure
    }

    private static func set(_ task: KernelTask, _ target: KernelTask, _ resource: Int, _ address: UInt64) throws(Errno) -> ResourceLimit {
        let structure = try task.readStructure(address, size: 16)
        let old = try target.threadGroup.limits.set(
            resource, to: ResourceLimit(structure.get(0), structure.get(8)), mayRaise: task.credentials.hasGlobally(.CAP_SYS_RESOURCE))
        switch resource {
        case Resource.RLIMIT_CPU: target.threadGroup.cpuLimitChanged()
        case Resource.RLIMIT_AS, Resource.RLIMIT_DATA, Resource.RLIMIT_STACK, Resource.RLIMIT_MEMLOCK:
            target.addressSpace?.setLimits(target.threadGroup.limits.memoryLimits(mayLock: target.credentials.hasGlobally(.CAP_IPC_LOCK)))
        default: break
        }
        return old
    }

    private static func prlimit(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let resource = try resource(arguments[1])
        let target = arguments.int32(0) == 0 ? task : try task.findTask(arguments.int32(0))
        if target.threadGroup !== task.threadGroup, !task.credentials.has(.CAP_SYS_RESOURCE) {
            let mine = task.credentials, theirs = target.credentials
            let users = [theirs.user.real, theirs.user.effective, theirs.user.saved]
            let groups = [theirs.group.real, theirs.group.effective, theirs.group.saved]
            guard users.allSatisfy({ $0 == mine.user.real }), groups.allSatisfy({ $0 == mine.group.real }) else { throw .EPERM }
        }
        var old = target.threadGroup.limits.get(resource)
        if arguments[2] != 0 { old = try set(task, target, resource, arguments[2]) }
        if arguments[3] != 0 { try task.write(bytes(old), to: arguments[3]) }
        return 0
    }
}

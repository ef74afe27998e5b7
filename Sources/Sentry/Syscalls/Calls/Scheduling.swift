import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Scheduling (sched(7)). The host's scheduler decides; what is set here is checked, kept and told as Linux does, but ranks nothing.
enum SchedulingCalls {
    private static let kept = SupportLevel.partial("kept and told, without effect on the host's scheduler")

    static let calls: [SystemCall] = [
        SystemCall(.sched_yield) { task, _ throws(Errno) in
            task.yield()
            return 0
        },
        SystemCall(.sched_setaffinity, setAffinity, kept),
        SystemCall(.sched_getaffinity, getAffinity),
        SystemCall(.sched_setscheduler) { task, arguments throws(Errno) in
            let priority: Int32 = try task.space().load(arguments[2])
            return try setPolicy(task, arguments.int32(0), policy: arguments.int32(1), priority: priority)
        },
        SystemCall(
            .sched_setparam,
            { task, arguments throws(Errno) in
                let priority: Int32 = try task.space().load(arguments[1])
                return try setPolicy(task, arguments.int32(0), policy: nil, priority: priority)
            }, kept),
        SystemCall(.sched_getscheduler) { task, arguments throws(Errno) in
            if arguments.int32(0) < 0 { throw .EINVAL }
            let state = try find(task, arguments.int32(0)).schedulingState
            return Int(state.policy | (state.resetOnFork ? SchedulingPolicy.SCHED_RESET_ON_FORK : 0))
        },
        SystemCall(.sched_getparam) { task, arguments throws(Errno) in
            if arguments.int32(0) < 0 || arguments[1] == 0 { throw .EINVAL }
            try task.space().store(find(task, arguments.int32(0)).schedulingState.priority, to: arguments[1])
            return 0
        },
        SystemCall(.sched_get_priority_max) { _, arguments throws(Errno) in try priorityRange(arguments.int32(0)).upperBound },
        SystemCall(.sched_get_priority_min) { _, arguments throws(Errno) in try priorityRange(arguments.int32(0)).lowerBound },
        SystemCall(.sched_rr_get_interval) { task, arguments throws(Errno) in
            if arguments.int32(0) < 0 { throw .EINVAL }
            let policy = try find(task, arguments.int32(0)).schedulingState.policy
            try task.write(Timespec(nanoseconds: policy == SchedulingPolicy.SCHED_RR ? 100_000_000 : 0), to: arguments[1])
            return 0
        },
        SystemCall(.sched_setattr, setAttributes, kept),
        SystemCall(.sched_getattr, getAttributes),
        SystemCall(.getpriority, getPriority),
        SystemCall(.setpriority, setPriority, kept),
        SystemCall(.ioprio_get, ioprioGet),
        SystemCall(.ioprio_set, ioprioSet, kept),
        SystemCall(.getcpu) { task, arguments throws(Errno) in
            if arguments[0] != 0 { try task.space().store(UInt32(task.virtualProcessor), to: arguments[0]) }
            if arguments[1] != 0 { try task.space().store(UInt32(0), to: arguments[1]) }
            return 0
        },
    ]

    private static func find(_ task: KernelTask, _ identifier: Int32) throws(Errno) -> KernelTask {
        identifier == 0 ? task : try task.findTask(identifier)
    }

    /// Whether `task` may change the scheduling of `target`.
    private static func checkMayChange(_ task: KernelTask, _ target: KernelTask) throws(Errno) {
        let mine = task.credentials, theirs = target.credentials.user
        if target === task || mine.has(.CAP_SYS_NICE) { return }
        guard mine.user.effective == theirs.real || mine.user.effective == theirs.effective else { throw .EPERM }
    }

    // MARK: affinity

    private static func setAffinity(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let target = try find(task, arguments.int32(0))
        let count = task.container.processorCount
        let size = Int(min(arguments[1], 1024))
        let bytes = try task.space().copyIn(from: arguments[2], count: size)
        try checkMayChange(task, target)
        var mask = [UInt64](repeating: 0, count: (count + 63) / 64)
        for processor in 0..<count where processor / 8 < size && bytes[processor / 8] & 1 << UInt8(processor % 8) != 0 {
            mask[processor / 64] |= 1 << UInt64(processor % 64)
        }
        if mask.allSatisfy({ $0 == 0 }) { throw .EINVAL }
        target.changeScheduling { $0.affinity = mask }
        return 0
    }

    private static func getAffinity(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let target = try find(task, arguments.int32(0))
        let mask = target.schedulingState.affinity
        // The result is the size of the kernel's mask, in whole words.
        guard arguments[1] % 8 == 0, arguments[1] >= UInt64(mask.count * 8) else { throw .EINVAL }
        var structure = StructureBytes(size: mask.count * 8)
        for (index, word) in mask.enumerated() { structure.put(word, at: index * 8) }
        try task.write(structure, to: arguments[2])
        return mask.count * 8
    }

    // MARK: policies

    private static func priorityRange(_ policy: Int32) throws(Errno) -> ClosedRange<Int> {
        switch policy {
        case SchedulingPolicy.SCHED_FIFO, SchedulingPolicy.SCHED_RR: 1...99
        case SchedulingPolicy.SCHED_OTHER, SchedulingPolicy.SCHED_BATCH, SchedulingPolicy.SCHED_IDLE, SchedulingPolicy.SCHED_DEADLINE: 0...0
        default: throw .EINVAL
        }
    }

    private static func setPolicy(_ task: KernelTask, _ identifier: Int32, policy wanted: Int32?, priority: Int32) throws(Errno) -> Int {
        if identifier < 0 { throw .EINVAL }
        let target = try find(task, identifier)
        let old = target.schedulingState
        let resetOnFork = wanted.map { $0 & SchedulingPolicy.SCHED_RESET_ON_FORK != 0 } ?? old.resetOnFork
        let policy = wanted.map { $0 & ~SchedulingPolicy.SCHED_RESET_ON_FORK } ?? old.policy
        if policy == SchedulingPolicy.SCHED_DEADLINE {
            task.kernel.unsupported(.sched_setattr, "SCHED_DEADLINE")
            throw .EINVAL
        }
        guard try priorityRange(policy).contains(Int(priority)) else { throw .EINVAL }
        try checkMayChange(task, target)
        if policy == SchedulingPolicy.SCHED_FIFO || policy == SchedulingPolicy.SCHED_RR, !task.credentials.hasGlobally(.CAP_SYS_NICE) {
            let limit = target.threadGroup.limits.current(Resource.RLIMIT_RTPRIO)
            if policy != old.policy, limit == 0 { throw .EPERM }
            if priority > old.priority, UInt64(priority) > limit { throw .EPERM }
        }
        target.changeScheduling { state in
            state.policy = policy
            state.priority = priority
            state.resetOnFork = resetOnFork
        }
        return 0
    }

    /// struct sched_attr: size, policy, flags (8), nice, priority, runtime, deadline, period; 48 bytes at least.
    private static func setAttributes(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.uint32(2) == 0, arguments.int32(0) >= 0, arguments[1] != 0 else { throw .EINVAL }
        let size: UInt32 = try task.space().load(arguments[1])
        guard size == 0 || size >= 48 else { throw .E2BIG }
        guard size <= 4096 else { throw .E2BIG }
        let structure = try task.readStructure(arguments[1], size: max(48, Int(size)))
        if structure.bytes.dropFirst(56).contains(where: { $0 != 0 }) { throw .E2BIG }
        let flags: UInt64 = structure.get(8)
        if flags & ~1 != 0 { throw .EINVAL }
        let nice: Int32 = structure.get(16)
        let policy: Int32 = structure.get(4)
        let target = try find(task, arguments.int32(0))
        if policy == SchedulingPolicy.SCHED_OTHER || policy == SchedulingPolicy.SCHED_BATCH {
            guard nice >= -20, nice <= 19 else { throw .EINVAL }
            try checkMayRenice(task, target, nice)
            target.nice = nice
        }
        return try setPolicy(
            task, arguments.int32(0), policy: policy | (flags & 1 != 0 ? SchedulingPolicy.SCHED_RESET_ON_FORK : 0),
            priority: structure.get(20))
    }

    private static func getAttributes(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let size = arguments[2]
        guard arguments.uint32(3) == 0, size >= 48, size <= 4096, arguments.int32(0) >= 0 else { throw .EINVAL }
        let target = try find(task, arguments.int32(0))
        let state = target.schedulingState
        let used = Int(min(size, 56))
        var structure = StructureBytes(size: used)
        structure.put(UInt32(used), at: 0)
        structure.put(state.policy, at: 4)
        structure.put(UInt64(state.resetOnFork ? 1 : 0), at: 8)
        structure.put(target.nice, at: 16)
        structure.put(state.priority, at: 20)
        try task.write(structure, to: arguments[1])
        return 0
    }

    // MARK: nice

    private static func checkMayRenice(_ task: KernelTask, _ target: KernelTask, _ nice: Int32) throws(Errno) {
        try checkMayChange(task, target)
        guard nice < target.nice, !task.credentials.hasGlobally(.CAP_SYS_NICE) else { return }
        // RLIMIT_NICE: 20 minus the lowest nice value.
        if UInt64(20 - nice) > target.threadGroup.limits.current(Resource.RLIMIT_NICE) { throw .EACCES }
    }

    /// The tasks that which and who of getpriority(2) and ioprio_get(2) name. `base`: 0 for PRIO_PROCESS, 1 for IOPRIO_WHO_PROCESS.
    private static func targets(_ task: KernelTask, which: Int32, who: Int32) throws(Errno) -> [KernelTask] {
        switch which {
        case 0: return [try find(task, who)]
        case 1:
            let groups = task.kernel.tree.withLock { proof -> [ThreadGroup] in
                let identifier = who == 0 ? task.threadGroup.processGroup(proof).identifier : who
                return task.namespace.processGroup(identifier, proof)?.members(proof) ?? []
            }
            return groups.flatMap { $0.threads }
        case 2:
            let user = who == 0 ? task.credentials.user.real : UInt32(bitPattern: who)
            let groups = task.kernel.tree.withLock { task.namespace.threadGroups($0) }
            return groups.flatMap { $0.threads }.filter { $0.credentials.user.real == user }
        default: throw .EINVAL
        }
    }

    private static func getPriority(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let values = try targets(task, which: arguments.int32(0), who: arguments.int32(1)).map { $0.nice }
        guard let least = values.min() else { throw .ESRCH }
        // 20 - nice: the system call has no negative results.
        return Int(20 - least)
    }

    private static func setPriority(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let nice = max(-20, min(19, arguments.int32(2)))
        let all = try targets(task, which: arguments.int32(0), who: arguments.int32(1))
        if all.isEmpty { throw .ESRCH }
        var failure: Errno?
        for target in all {
            do throws(Errno) {
                try checkMayRenice(task, target, nice)
                target.nice = nice
            } catch { failure = error }
        }
        if let failure { throw failure }
        return 0
    }

    // MARK: I/O priorities

    private static func ioprioGet(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let values = try targets(task, which: arguments.int32(0) - 1, who: arguments.int32(1)).map { $0.schedulingState.ioPriority }
        guard let first = values.first else { throw .ESRCH }
        return Int(values.dropFirst().reduce(first) { min($0, $1) })
    }

    private static func ioprioSet(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let value = arguments.int32(2), priorityClass = value >> 13 & 7, level = value & 7
        switch priorityClass {
        case 0: if level != 0 { throw .EINVAL }
        case 1: if !task.credentials.hasGlobally(.CAP_SYS_NICE), !task.credentials.hasGlobally(.CAP_SYS_ADMIN) { throw .EPERM }
        case 2, 3: break
        default: throw .EINVAL
        }
        let all = try targets(task, which: arguments.int32(0) - 1, who: arguments.int32(1))
        if all.isEmpty { throw .ESRCH }
        for target in all {
            try checkMayChange(task, target)
            target.changeScheduling { $0.ioPriority = value }
        }
        return 0
    }
}

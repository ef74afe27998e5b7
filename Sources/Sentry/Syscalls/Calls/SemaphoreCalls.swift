internal import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// System V semaphores (semget(2), semop(2), semctl(2)).
enum SemaphoreCalls {
    static let calls: [SystemCall] = [
        SystemCall(.semget) { task, arguments throws(Errno) in
            Int(try task.semaphoreSet(key: arguments.int32(0), count: arguments.int32(1), flags: arguments.uint32(2)))
        },
        SystemCall(.semop) { task, arguments throws(Errno) in
            try operate(task, arguments.int32(0), arguments[1], count: arguments.uint32(2), timeout: 0)
        },
        SystemCall(.semtimedop) { task, arguments throws(Errno) in
            try operate(task, arguments.int32(0), arguments[1], count: arguments.uint32(2), timeout: arguments[3])
        },
        SystemCall(.semctl, semctl),
    ]

    private static func operate(_ task: KernelTask, _ identifier: Int32, _ address: UInt64, count: UInt32, timeout: UInt64) throws(Errno)
        -> Int
    {
        let time = try task.readTimeout(timeout)
        if count < 1 || identifier < 0 { throw .EINVAL }
        if count > UInt32(Semaphores.SEMOPM) { throw .E2BIG }
        let structure = try task.readStructure(address, size: Int(count) * Semaphores.operationSize)
        let operations = (0..<Int(count)).map { index -> SemaphoreOperation in
            let base = index * Semaphores.operationSize
            return SemaphoreOperation(number: structure.get(base), change: structure.get(base + 2), flags: structure.get(base + 4))
        }
        var deadline: UInt64?
        if let time {
            let (sum, overflow) = HostClock.monotonic.addingReportingOverflow(time)
            deadline = overflow ? .max : sum
        }
        try task.operateSemaphores(identifier, operations, deadline: deadline)
        return 0
    }

    private static func semctl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        typealias S = Semaphores
        let identifier = arguments.int32(0), number = Int(arguments.int32(1)), argument = arguments[3]
        if identifier < 0 { throw .EINVAL }
        switch arguments.int32(2) {
        case IPC.IPC_RMID: try task.removeSemaphores(identifier)
        case IPC.IPC_SET:
            let change = try SystemVIPCCalls.readChange(task, argument, size: S.statusSize)
            if change.user == .max || change.group == .max { throw .EINVAL }
            try task.changeSemaphores(identifier, change)
        case IPC.IPC_STAT, S.SEM_STAT, S.SEM_STAT_ANY:
            let isPlace = arguments.int32(2) != IPC.IPC_STAT
            let access = arguments.int32(2) == S.SEM_STAT_ANY ? 0 : IPC.read
            let set = try task.semaphoreSet(identifier, isPlace: isPlace, access: access)
            let status = set.status
            var structure = StructureBytes(size: S.statusSize)
            SystemVIPCCalls.put(status.permissions, &structure)
            structure.put(status.operationTime, at: 48)
            structure.put(status.changeTime, at: 64)
            structure.put(UInt64(set.count), at: 80)
            try task.write(structure, to: argument)
            return isPlace ? Int(status.permissions.identifier) : 0
        case IPC.IPC_INFO, S.SEM_INFO: return try limits(task, isUsage: arguments.int32(2) == S.SEM_INFO, argument)
        case S.GETVAL: return Int(try task.semaphoreState(identifier, number).value)
        case S.GETPID: return Int(try task.semaphoreState(identifier, number).process)
        case S.GETNCNT: return Int(try task.semaphoreState(identifier, number).increaseWaiters)
        case S.GETZCNT: return Int(try task.semaphoreState(identifier, number).zeroWaiters)
        case S.GETALL:
            let values = try task.semaphoreSet(identifier, isPlace: false, access: IPC.read).values
            var structure = StructureBytes(size: values.count * 2)
            for (index, value) in values.enumerated() { structure.put(value, at: index * 2) }
            try task.write(structure, to: argument)
        case S.SETVAL:
            let value = Int32(truncatingIfNeeded: argument)
            if value < 0 || value > S.SEMVMX { throw .ERANGE }
            try task.setSemaphores(identifier, [value], number: number)
        case S.SETALL:
            let count = try task.semaphoreSet(identifier, isPlace: false, access: IPC.write).count
            let structure = try task.readStructure(argument, size: count * 2)
            try task.setSemaphores(identifier, (0..<count).map { Int32(structure.get($0 * 2, as: UInt16.self)) }, number: nil)
        default: throw .EINVAL
        }
        return 0
    }

    /// struct seminfo: map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem.
    private static func limits(_ task: KernelTask, isUsage: Bool, _ address: UInt64) throws(Errno) -> Int {
        typealias S = Semaphores
        let summary = task.container.ipc.semaphoreSummary
        let values: [Int32] = [
            S.SEMMNS, Int32(S.SEMMNI), S.SEMMNS, S.SEMMNS, Int32(S.SEMMSL), Int32(S.SEMOPM), Int32(S.SEMOPM),
            isUsage ? Int32(summary.count) : 20, S.SEMVMX, isUsage ? Int32(clamping: summary.semaphores) : S.SEMVMX,
        ]
        var structure = StructureBytes(size: S.limitsSize)
        for (index, value) in values.enumerated() { structure.put(value, at: index * 4) }
        try task.write(structure, to: address)
        return summary.highest
    }
}

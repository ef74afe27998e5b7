import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// System V shared memory and message queues, and the layouts that all three kinds share (sysvipc(7)).
enum SystemVIPCCalls {
    static let calls: [SystemCall] = [
        SystemCall(.shmget, shmget, .partial("no huge pages")), SystemCall(.shmat, shmat), SystemCall(.shmdt, shmdt),
        SystemCall(.shmctl, shmctl), SystemCall(.msgget, msgget), SystemCall(.msgsnd, msgsnd), SystemCall(.msgrcv, msgrcv),
        SystemCall(.msgctl, msgctl),
    ]

    // MARK: common layouts

    /// struct ipc64_perm.
    static func put(_ permissions: IPCPermissions, _ structure: inout StructureBytes) {
        structure.put(permissions.key, at: 0)
        structure.put(permissions.user, at: 4)
        structure.put(permissions.group, at: 8)
        structure.put(permissions.creatorUser, at: 12)
        structure.put(permissions.creatorGroup, at: 16)
        structure.put(permissions.mode, at: 20)
        structure.put(UInt16(truncatingIfNeeded: permissions.identifier / IPC.places), at: 24)
    }

    /// What IPC_SET reads of a structure of `size` bytes.
    static func readChange(_ task: KernelTask, _ address: UInt64, size: Int, queueBytesAt offset: Int? = nil) throws(Errno) -> IPCChange {
        let structure = try task.readStructure(address, size: size)
        return IPCChange(
            user: structure.get(4), group: structure.get(8), mode: structure.get(20), queueBytes: offset.map { structure.get($0) } ?? 0)
    }

    /// Ids of processes and users are never negative here.
    private static func checkChange(_ change: IPCChange) throws(Errno) {
        if change.user == .max || change.group == .max { throw .EINVAL }
    }

    // MARK: shared memory

    private static func shmget(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(2)
        if flags & SharedMemory.SHM_HUGETLB != 0 {
            task.kernel.unsupported(.shmget, "SHM_HUGETLB")
            throw .EINVAL
        }
        return Int(try task.sharedMemory(key: arguments.int32(0), size: arguments[1], flags: flags))
    }

    private static func shmat(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        Int(bitPattern: UInt(try task.attachSharedMemory(arguments.int32(0), at: arguments[1], flags: arguments.uint32(2))))
    }

    private static func shmdt(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try task.detachSharedMemory(at: arguments[0])
        return 0
    }

    private static func shmctl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        typealias S = SharedMemory
        let identifier = arguments.int32(0), command = arguments.int32(1), address = arguments[2]
        if identifier < 0 || command < 0 { throw .EINVAL }
        switch command {
        case IPC.IPC_RMID: try task.removeSharedMemory(identifier)
        case IPC.IPC_SET:
            let change = try readChange(task, address, size: S.statusSize)
            try checkChange(change)
            try task.changeSharedMemory(identifier, change)
        case IPC.IPC_STAT, S.SHM_STAT, S.SHM_STAT_ANY:
            let isPlace = command != IPC.IPC_STAT
            let access = command == S.SHM_STAT_ANY ? 0 : IPC.read
            let segment = try task.sharedMemorySegment(identifier, isPlace: isPlace, access: access)
            let status = segment.status
            try task.write(bytes(segment, status), to: address)
            return isPlace ? Int(status.permissions.identifier) : 0
        case S.SHM_LOCK, S.SHM_UNLOCK: try task.lockSharedMemory(identifier, command == S.SHM_LOCK)
        case IPC.IPC_INFO:
            var limits = StructureBytes(size: S.limitsSize)
            for (index, value) in [S.SHMMAX, 1, UInt64(S.SHMMNI), UInt64(S.SHMMNI), S.SHMMAX].enumerated() {
                limits.put(value, at: index * 8)
            }
            try task.write(limits, to: address)
            return task.container.ipc.segmentSummary.highest
        case S.SHM_INFO:
            let summary = task.container.ipc.segmentSummary
            var usage = StructureBytes(size: S.usageSize)
            usage.put(Int32(summary.count), at: 0)
            usage.put(summary.pages, at: 8)
            usage.put(summary.pages, at: 16)
            try task.write(usage, to: address)
            return summary.highest
        default: throw .EINVAL
        }
        return 0
    }

    /// struct shmid64_ds.
    private static func bytes(_ segment: SharedMemorySegment, _ status: SharedMemorySegment.State) -> StructureBytes {
        var structure = StructureBytes(size: SharedMemory.statusSize)
        put(status.permissions, &structure)
        structure.put(segment.size, at: 48)
        structure.put(status.attachTime, at: 56)
        structure.put(status.detachTime, at: 64)
        structure.put(status.changeTime, at: 72)
        structure.put(status.creator, at: 80)
        structure.put(status.lastProcess, at: 84)
        structure.put(segment.attachments, at: 88)
        return structure
    }

    // MARK: message queues

    private static func msgget(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        Int(try task.messageQueue(key: arguments.int32(0), flags: arguments.uint32(1)))
    }

    private static func msgsnd(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let identifier = arguments.int32(0), size = arguments[2]
        let type: Int64 = try task.space().load(arguments[1])
        if size > UInt64(Messages.MSGMAX) || identifier < 0 || type < 1 { throw .EINVAL }
        let text = try task.space().copyIn(from: arguments[1] &+ 8, count: Int(size))
        let message = MessageQueue.Message(type: type, text: text)
        try task.sendMessage(identifier, message, waits: arguments.uint32(3) & IPC.IPC_NOWAIT == 0)
        return 0
    }

    private static func msgrcv(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        typealias M = Messages
        let identifier = arguments.int32(0), size = arguments[2], flags = arguments.uint32(4)
        if identifier < 0 || Int64(bitPattern: size) < 0 { throw .EINVAL }
        if flags & M.MSG_COPY != 0, flags & M.MSG_EXCEPT != 0 || flags & IPC.IPC_NOWAIT == 0 { throw .EINVAL }
        let message = try task.receiveMessage(identifier, type: arguments.int64(3), size: size, flags: flags)
        let count = min(UInt64(message.text.count), size)
        try task.space().store(message.type, to: arguments[1])
        try task.space().copyOut(Array(message.text.prefix(Int(count))), to: arguments[1] &+ 8)
        return Int(count)
    }

    private static func msgctl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        typealias M = Messages
        let identifier = arguments.int32(0), command = arguments.int32(1), address = arguments[2]
        if identifier < 0 || command < 0 { throw .EINVAL }
        switch command {
        case IPC.IPC_RMID: try task.removeMessages(identifier)
        case IPC.IPC_SET:
            let change = try readChange(task, address, size: M.statusSize, queueBytesAt: 88)
            try checkChange(change)
            try task.changeMessages(identifier, change)
        case IPC.IPC_STAT, M.MSG_STAT, M.MSG_STAT_ANY:
            let isPlace = command != IPC.IPC_STAT
            let access = command == M.MSG_STAT_ANY ? 0 : IPC.read
            let status = try task.messageQueue(identifier, isPlace: isPlace, access: access).status
            try task.write(bytes(status), to: address)
            return isPlace ? Int(status.permissions.identifier) : 0
        case IPC.IPC_INFO, M.MSG_INFO:
            let summary = task.container.ipc.messageSummary
            let isUsage = command == M.MSG_INFO
            // struct msginfo: pool, map, max, mnb, mni, ssz, tql, seg.
            var limits = StructureBytes(size: M.limitsSize)
            limits.put(isUsage ? Int32(summary.count) : Int32(M.MSGMNI * M.MSGMNB / 1024), at: 0)
            limits.put(isUsage ? Int32(clamping: summary.messages) : Int32(M.MSGMNB), at: 4)
            limits.put(Int32(M.MSGMAX), at: 8)
            limits.put(Int32(M.MSGMNB), at: 12)
            limits.put(Int32(M.MSGMNI), at: 16)
            limits.put(Int32(16), at: 20)
            limits.put(isUsage ? Int32(clamping: summary.bytes) : Int32(M.MSGMNB), at: 24)
            limits.put(UInt16(0xffff), at: 28)
            try task.write(limits, to: address)
            return summary.highest
        default: throw .EINVAL
        }
        return 0
    }

    /// struct msqid64_ds.
    private static func bytes(_ status: MessageQueue.Status) -> StructureBytes {
        var structure = StructureBytes(size: Messages.statusSize)
        put(status.permissions, &structure)
        for (index, value) in [
            status.sendTime, status.receiveTime, status.changeTime, status.bytes, status.count, status.maximumBytes,
        ].enumerated() { structure.put(value, at: 48 + index * 8) }
        structure.put(status.lastSender, at: 96)
        structure.put(status.lastReceiver, at: 100)
        return structure
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Futexes (futex(2), futex_waitv(2), get_robust_list(2)).
enum FutexCalls {
    static let calls: [SystemCall] = [
        SystemCall(.futex, futex),
        SystemCall(.futex_waitv, waitv),
        SystemCall(.futex_wait, futex2Wait),
        SystemCall(.futex_wake, futex2Wake),
        SystemCall(.futex_requeue, futex2Requeue),
        SystemCall(.set_robust_list) { task, arguments throws(Errno) in
            guard arguments[1] == Futex.robustListHeadSize else { throw .EINVAL }
            task.setRobustList(arguments[0])
            return 0
        },
        SystemCall(.get_robust_list) { task, arguments throws(Errno) in
            let target = arguments.int32(0) == 0 ? task : try task.findTask(arguments.int32(0))
            try task.checkMayInspect(target)
            try task.space().store(Futex.robustListHeadSize, to: arguments[2])
            try task.space().store(target.robustListHead, to: arguments[1])
            return 0
        },
    ]

    /// The host time of an absolute timeout on CLOCK_MONOTONIC or CLOCK_REALTIME.
    private static func deadline(_ time: UInt64, realtime: Bool) -> UInt64 {
        if !realtime { return time }
        return ClockSource.realtime.hostDeadline(time) ?? .max
    }

    private static func futex(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let operation = arguments.int32(1)
        let command = operation & Futex.FUTEX_CMD_MASK
        let shared = operation & Futex.FUTEX_PRIVATE_FLAG == 0
        let isRealtime = operation & Futex.FUTEX_CLOCK_REALTIME != 0
        let address = arguments[0], value = arguments.uint32(2)
        if isRealtime {
            switch command {
            case Futex.FUTEX_WAIT, Futex.FUTEX_WAIT_BITSET, Futex.FUTEX_WAIT_REQUEUE_PI, Futex.FUTEX_LOCK_PI2: break
            default: throw .ENOSYS
            }
        }
        switch command {
        case Futex.FUTEX_WAIT:
            let timeout = try task.readTimeout(arguments[3])
            return try wait(task, address, shared, value, Futex.FUTEX_BITSET_MATCH_ANY, timeout.map(HostClock.deadline(in:)))
        case Futex.FUTEX_WAIT_BITSET:
            let timeout = try task.readTimeout(arguments[3])
            return try wait(task, address, shared, value, arguments.uint32(5), timeout.map { deadline($0, realtime: isRealtime) })
        case Futex.FUTEX_WAKE:
            return try task.futexWake(address, shared: shared, count: arguments.int32(2), bitset: Futex.FUTEX_BITSET_MATCH_ANY)
        case Futex.FUTEX_WAKE_BITSET:
            return try task.futexWake(address, shared: shared, count: arguments.int32(2), bitset: arguments.uint32(5))
        case Futex.FUTEX_REQUEUE:
            return try task.futexRequeue(
                address, to: arguments[4], shared: shared, wake: arguments.int32(2), move: arguments.int32(3), expected: nil
            ).woken
        case Futex.FUTEX_CMP_REQUEUE:
            let done = try task.futexRequeue(
                address, to: arguments[4], shared: shared, wake: arguments.int32(2), move: arguments.int32(3), expected: arguments.uint32(5)
            )
            return done.woken + done.moved
        case Futex.FUTEX_WAKE_OP:
            return try task.futexWakeOperation(
                address, arguments[4], shared: shared, wake: arguments.int32(2), wakeTarget: arguments.int32(3),
                operation: arguments.uint32(5))
        case Futex.FUTEX_LOCK_PI, Futex.FUTEX_LOCK_PI2:
            let timeout = try task.readTimeout(arguments[3])
            // LOCK_PI always measures CLOCK_REALTIME.
            let isRealtime = isRealtime || command == Futex.FUTEX_LOCK_PI
            try task.futexLockPriority(
                address, shared: shared, deadline: timeout.map { deadline($0, realtime: isRealtime) }, tryOnly: false)
            return 0
        case Futex.FUTEX_TRYLOCK_PI:
            try task.futexLockPriority(address, shared: shared, deadline: nil, tryOnly: true)
            return 0
        case Futex.FUTEX_UNLOCK_PI:
            try task.futexUnlockPriority(address, shared: shared)
            return 0
        case Futex.FUTEX_WAIT_REQUEUE_PI:
            let timeout = try task.readTimeout(arguments[3])
            try task.futexWaitRequeuePriority(
                address, arguments[4], shared: shared, expected: value, deadline: timeout.map { deadline($0, realtime: isRealtime) })
            return 0
        case Futex.FUTEX_CMP_REQUEUE_PI:
            return try task.futexRequeuePriority(
                address, to: arguments[4], shared: shared, wake: arguments.int32(2), move: arguments.int32(3), expected: arguments.uint32(5)
            )
        default: throw .ENOSYS
        }
    }

    /// A wait that is restarted with the same end after a signal without handler.
    private static func wait(
        _ task: KernelTask, _ address: UInt64, _ shared: Bool, _ value: UInt32, _ bitset: UInt32, _ deadline: UInt64?
    ) throws(Errno) -> Int {
        do throws(Errno) {
            try task.futexWait(address, shared: shared, expected: value, bitset: bitset, deadline: deadline)
            return 0
        } catch {
            guard error == .ERESTARTSYS, deadline != nil else { throw error }
            task.restartBlock = { task throws(Errno) in try wait(task, address, shared, value, bitset, deadline) }
            throw .ERESTART_RESTARTBLOCK
        }
    }

    // MARK: futex2

    /// Only 32-bit words without NUMA, as in Linux 6.12.
    private static func checkFlags(_ flags: UInt32) throws(Errno) {
        if flags & ~(Futex.FUTEX2_SIZE_MASK | Futex.FUTEX2_NUMA | Futex.FUTEX2_PRIVATE) != 0 { throw .EINVAL }
        if flags & Futex.FUTEX2_NUMA != 0 || flags & Futex.FUTEX2_SIZE_MASK != Futex.FUTEX2_SIZE_U32 { throw .EINVAL }
    }

    private static func clockDeadline(_ task: KernelTask, _ timeout: UInt64, _ clock: Int32) throws(Errno) -> UInt64? {
        guard let time = try task.readTimeout(timeout) else { return nil }
        switch clock {
        case ClockIdentifier.CLOCK_MONOTONIC: return time
        case ClockIdentifier.CLOCK_REALTIME: return deadline(time, realtime: true)
        default: throw .EINVAL
        }
    }

    /// An array of struct futex_waitv: value (8 bytes), address, flags (4), reserved (4).
    private static func readSpecifications(_ task: KernelTask, _ address: UInt64, count: Int) throws(Errno) -> [FutexWaitSpecification] {
        let structure = try task.readStructure(address, size: count * Futex.waitvSize)
        var specifications: [FutexWaitSpecification] = []
        for index in 0..<count {
            let base = index * Futex.waitvSize
            let flags: UInt32 = structure.get(base + 16)
            if structure.get(base + 20, as: UInt32.self) != 0 { throw .EINVAL }
            try checkFlags(flags)
            specifications.append(
                FutexWaitSpecification(
                    address: structure.get(base + 8), expected: UInt32(truncatingIfNeeded: structure.get(base, as: UInt64.self)),
                    isShared: flags & Futex.FUTEX2_PRIVATE == 0))
        }
        return specifications
    }

    private static func waitv(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let count = arguments.uint32(1)
        guard arguments.uint32(2) == 0, count >= 1, count <= UInt32(Futex.FUTEX_WAITV_MAX) else { throw .EINVAL }
        let deadline = try clockDeadline(task, arguments[3], arguments.int32(4))
        let specifications = try readSpecifications(task, arguments[0], count: Int(count))
        return try task.futexWait(specifications, deadline: deadline)
    }

    private static func futex2Wait(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(3), mask = arguments[2]
        try checkFlags(flags)
        guard mask != 0, mask <= UInt64(UInt32.max), arguments[1] <= UInt64(UInt32.max) else { throw .EINVAL }
        let deadline = try clockDeadline(task, arguments[4], arguments.int32(5))
        try task.futexWait(
            arguments[0], shared: flags & Futex.FUTEX2_PRIVATE == 0, expected: arguments.uint32(1), bitset: UInt32(mask), deadline: deadline
        )
        return 0
    }

    private static func futex2Wake(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(3), mask = arguments[1]
        try checkFlags(flags)
        guard mask != 0, mask <= UInt64(UInt32.max) else { throw .EINVAL }
        // Unlike futex(2) this one takes 0 at its word.
        if arguments.int32(2) <= 0 { return 0 }
        return try task.futexWake(
            arguments[0], shared: flags & Futex.FUTEX2_PRIVATE == 0, count: arguments.int32(2), bitset: UInt32(mask))
    }

    private static func futex2Requeue(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        guard arguments.uint32(1) == 0 else { throw .EINVAL }
        let pair = try readSpecifications(task, arguments[0], count: 2)
        let done = try task.futexRequeue(
            pair[0].address, to: pair[1].address, shared: pair[0].isShared, wake: arguments.int32(2), move: arguments.int32(3),
            expected: pair[0].expected)
        return done.woken + done.moved
    }
}

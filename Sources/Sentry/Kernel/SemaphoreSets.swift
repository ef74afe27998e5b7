import Host
public import LinuxABI
import SentryVFS
import Synchronization

/// struct sembuf.
public struct SemaphoreOperation: Sendable {
    public var number: UInt16
    public var change: Int16
    public var flags: UInt16
    public init(number: UInt16, change: Int16, flags: UInt16) {
        self.number = number
        self.change = change
        self.flags = flags
    }
    var waits: Bool { UInt32(flags) & IPC.IPC_NOWAIT == 0 }
    var undoes: Bool { flags & Semaphores.SEM_UNDO != 0 }
}

/// Whose SEM_UNDO adjustments are whose: one for a process, or for those that share with CLONE_SYSVSEM. The adjustments are in the sets.
final class SemaphoreUndo: Sendable {
    let identifier: UInt64
    /// Tasks that share it.
    private let users = Atomic<Int>(1)
    init(identifier: UInt64) { self.identifier = identifier }
    func share() { users.add(1, ordering: .relaxed) }
    /// True for the last one.
    func leave() -> Bool { users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}

/// A set of semaphores (semget(2)).
public final class SemaphoreSet: IPCObject {
    /// What semctl(IPC_STAT) tells. Times in seconds of CLOCK_REALTIME.
    public struct Status: Sendable {
        public internal(set) var permissions: IPCPermissions
        public internal(set) var operationTime: UInt64 = 0
        public internal(set) var changeTime: UInt64
    }
    struct Semaphore: Sendable {
        var value: Int32 = 0
        /// The process that changed it last.
        var process: Int32 = 0
        /// Tasks that wait for an increase, and for zero.
        var increaseWaiters: Int32 = 0
        var zeroWaiters: Int32 = 0
    }
    private struct State: Sendable {
        var status: Status
        var semaphores: [Semaphore]
        /// By `SemaphoreUndo.identifier` and semaphore: what is added when the process ends.
        var undo: [UInt64: [Int: Int32]] = [:]
        var undoCount = 0
        var isRemoved = false
    }
    private let state: Lock<State>
    private let changes = WaitQueue()
    private let namespace: IPCNamespace
    public let count: Int
    private static let undoCost = 64

    fileprivate init(_ task: KernelTask, _ namespace: IPCNamespace, identifier: Int32, key: Int32, count: Int, mode: UInt32) throws(Errno) {
        try namespace.charge(256 + count * MemoryLayout<Semaphore>.size)
        self.namespace = namespace
        self.count = count
        let status = Status(
            permissions: IPCPermissions(task, identifier: identifier, key: key, mode: mode), changeTime: HostClock.realtime / 1_000_000_000)
        state = Lock(State(status: status, semaphores: [Semaphore](repeating: Semaphore(), count: count)))
    }

    deinit { namespace.uncharge(256 + count * MemoryLayout<Semaphore>.size + state.withLock { $0.undoCount } * Self.undoCost) }

    var permissions: IPCPermissions { state.withLock { $0.status.permissions } }
    public var status: Status { state.withLock { $0.status } }

    // MARK: operations

    private enum Attempt {
        case done
        /// The operation that cannot be done yet.
        case blocked(SemaphoreOperation)
    }

    /// All operations or none.
    private func attempt(_ operations: [SemaphoreOperation], undo: SemaphoreUndo?, process: Int32) throws(Errno) -> Attempt {
        try state.withLock { state throws(Errno) in
            if state.isRemoved { throw .EIDRM }
            // Undone one by one, backwards, when a later one cannot be done.
            var done = 0
            func takeBack() {
                for operation in operations[..<done] { state.semaphores[Int(operation.number)].value -= Int32(operation.change) }
            }
            for operation in operations {
                let value = state.semaphores[Int(operation.number)].value
                let result = value + Int32(operation.change)
                if operation.change == 0 ? value != 0 : result < 0 {
                    takeBack()
                    return .blocked(operation)
                }
                if result > Semaphores.SEMVMX {
                    takeBack()
                    throw .ERANGE
                }
                state.semaphores[Int(operation.number)].value = result
                done += 1
            }
            if let undo, operations.contains(where: { $0.undoes }) {
                do throws(Errno) { try noteUndo(operations, undo, &state) } catch {
                    takeBack()
                    throw error
                }
            }
            for operation in operations { state.semaphores[Int(operation.number)].process = process }
            state.status.operationTime = HostClock.realtime / 1_000_000_000
            return .done
        }
    }

    private func noteUndo(_ operations: [SemaphoreOperation], _ undo: SemaphoreUndo, _ state: inout State) throws(Errno) {
        var adjustments = state.undo[undo.identifier] ?? [:]
        let before = adjustments.count
        for operation in operations where operation.undoes {
            let sum = adjustments[Int(operation.number), default: 0] - Int32(operation.change)
            guard (-Semaphores.SEMVMX - 1...Semaphores.SEMVMX).contains(sum) else { throw .ERANGE }
            adjustments[Int(operation.number)] = sum
        }
        let grown = adjustments.count - before
        try namespace.charge(grown * Self.undoCost)
        state.undoCount += grown
        state.undo[undo.identifier] = adjustments
    }

    /// semtimedop(2): EAGAIN when it would wait and may not or no longer, EIDRM when the set goes, EINTR for a signal.
    fileprivate func perform(_ operations: [SemaphoreOperation], _ task: KernelTask, deadline: UInt64?) throws(Errno) {
        let undo = operations.contains { $0.undoes } ? task.semaphoreUndo() : nil
        let process = task.processID
        guard case .blocked(var blocked) = try attempt(operations, undo: undo, process: process) else {
            changes.notify(.POLLIN)
            return
        }
        if !blocked.waits { throw .EAGAIN }
        let waiter = TaskWaiter(task, .POLLIN)
        changes.add(waiter)
        defer { changes.remove(waiter) }
        while true {
            note(blocked, 1)
            defer { note(blocked, -1) }
            // Once more, now that no change is missed.
            guard case .blocked(let still) = try attempt(operations, undo: undo, process: process) else {
                changes.notify(.POLLIN)
                return
            }
            if !still.waits { throw .EAGAIN }
            if still.number != blocked.number || (still.change == 0) != (blocked.change == 0) {
                note(blocked, -1)
                blocked = still
                note(blocked, 1)
            }
            do throws(Errno) {
                if try !task.block(deadline: deadline) { throw .EAGAIN }
            } catch {
                if state.withLock({ $0.isRemoved }) { throw .EIDRM }
                throw error == .ERESTARTSYS ? .EINTR : error
            }
        }
    }

    private func note(_ operation: SemaphoreOperation, _ change: Int32) {
        state.withLock { state in
            if operation.change == 0 {
                state.semaphores[Int(operation.number)].zeroWaiters += change
            } else {
                state.semaphores[Int(operation.number)].increaseWaiters += change
            }
        }
    }

    // MARK: control

    fileprivate func remove() {
        state.withLock { $0.isRemoved = true }
        changes.notify(.POLLIN)
    }

    fileprivate func change(_ change: IPCChange) {
        state.withLock { state in
            state.status.permissions.set(change)
            state.status.changeTime = HostClock.realtime / 1_000_000_000
        }
    }

    func semaphore(_ number: Int) throws(Errno) -> Semaphore {
        guard (0..<count).contains(number) else { throw .EINVAL }
        return state.withLock { $0.semaphores[number] }
    }

    public var values: [UInt16] { state.withLock { $0.semaphores.map { UInt16(truncatingIfNeeded: $0.value) } } }

    /// SETVAL and SETALL: adjustments of those semaphores are forgotten.
    fileprivate func set(_ values: [Int32], from first: Int, process: Int32) throws(Errno) {
        guard values.allSatisfy({ (0...Semaphores.SEMVMX).contains($0) }) else { throw .ERANGE }
        try state.withLock { state throws(Errno) in
            if state.isRemoved { throw .EIDRM }
            for (index, value) in values.enumerated() {
                state.semaphores[first + index].value = value
                state.semaphores[first + index].process = process
                for key in state.undo.keys {
                    guard state.undo[key]?.removeValue(forKey: first + index) != nil else { continue }
                    state.undoCount -= 1
                    namespace.uncharge(Self.undoCost)
                }
            }
            state.status.changeTime = HostClock.realtime / 1_000_000_000
        }
        changes.notify(.POLLIN)
    }

    /// The process of `undo` is gone: its adjustments are made, as far as values allow.
    fileprivate func applyUndo(_ undo: SemaphoreUndo, process: Int32) {
        let isChanged = state.withLock { state -> Bool in
            guard let adjustments = state.undo.removeValue(forKey: undo.identifier) else { return false }
            for (number, adjustment) in adjustments where adjustment != 0 {
                let value = state.semaphores[number].value + adjustment
                state.semaphores[number].value = min(max(value, 0), Semaphores.SEMVMX)
                state.semaphores[number].process = process
            }
            state.undoCount -= adjustments.count
            namespace.uncharge(adjustments.count * Self.undoCost)
            state.status.operationTime = HostClock.realtime / 1_000_000_000
            return true
        }
        if isChanged { changes.notify(.POLLIN) }
    }
}

extension KernelTask {
    private var ipc: IPCNamespace { container.ipc }

    /// semget(2)
    public func semaphoreSet(key: Int32, count: Int32, flags: UInt32) throws(Errno) -> Int32 {
        guard count >= 0, count <= Semaphores.SEMMSL else { throw .EINVAL }
        let set = try ipc.semaphores.withLock { table throws(Errno) in
            try table.get(self, key: key, flags: flags) { set throws(Errno) in
                if Int(count) > set.count { throw .EINVAL }
            } make: { identifier throws(Errno) in
                guard count > 0 else { throw .EINVAL }
                return try SemaphoreSet(self, ipc, identifier: identifier, key: key, count: Int(count), mode: flags)
            }
        }
        return set.permissions.identifier
    }

    /// semtimedop(2) after decoding.
    public func operateSemaphores(_ identifier: Int32, _ operations: [SemaphoreOperation], deadline: UInt64?) throws(Errno) {
        let set = try ipc.semaphores.withLock { table throws(Errno) in try table.find(identifier) }
        guard operations.allSatisfy({ Int($0.number) < set.count }) else { throw .EFBIG }
        try set.permissions.check(self, operations.contains { $0.change != 0 } ? IPC.write : IPC.read)
        try set.perform(operations, self, deadline: deadline)
    }

    /// The set with that identifier, or at that place of the table (SEM_STAT).
    public func semaphoreSet(_ number: Int32, isPlace: Bool, access: UInt32) throws(Errno) -> SemaphoreSet {
        try ipc.semaphores.withLock { table throws(Errno) in
            guard number >= 0 else { throw .EINVAL }
            let set: SemaphoreSet
            if isPlace {
                guard let found = table.at(Int(number % IPC.places)) else { throw .EINVAL }
                set = found
            } else {
                set = try table.find(number)
            }
            try set.permissions.check(self, access)
            return set
        }
    }

    /// semctl(IPC_RMID)
    public func removeSemaphores(_ identifier: Int32) throws(Errno) {
        let set = try ipc.semaphores.withLock { table throws(Errno) in
            let set = try table.find(identifier)
            try set.permissions.checkOwner(self)
            table.remove(set)
            return set
        }
        set.remove()
    }

    /// semctl(IPC_SET)
    public func changeSemaphores(_ identifier: Int32, _ change: IPCChange) throws(Errno) {
        let set = try semaphoreSet(identifier, isPlace: false, access: 0)
        try set.permissions.checkOwner(self)
        set.change(change)
    }

    /// What GETVAL, GETPID, GETNCNT and GETZCNT tell of one semaphore.
    public func semaphoreState(_ identifier: Int32, _ number: Int) throws(Errno) -> (
        value: Int32, process: Int32, increaseWaiters: Int32, zeroWaiters: Int32
    ) {
        let semaphore = try semaphoreSet(identifier, isPlace: false, access: IPC.read).semaphore(number)
        return (semaphore.value, semaphore.process, semaphore.increaseWaiters, semaphore.zeroWaiters)
    }

    /// SETVAL of one semaphore (`number`), SETALL of all with nil.
    public func setSemaphores(_ identifier: Int32, _ values: [Int32], number: Int?) throws(Errno) {
        let set = try semaphoreSet(identifier, isPlace: false, access: IPC.write)
        if let number, !(0..<set.count).contains(number) { throw .EINVAL }
        guard number != nil || values.count == set.count else { throw .EINVAL }
        try set.set(values, from: number ?? 0, process: processID)
    }

    // MARK: undo

    /// Made with the first SEM_UNDO. Own thread.
    fileprivate func semaphoreUndo() -> SemaphoreUndo {
        if let undo = undoOfSemaphores { return undo }
        let undo = ipc.makeUndo()
        undoOfSemaphores = undo
        return undo
    }

    /// CLONE_SYSVSEM: the child's adjustments are the parent's. Own thread of the parent, before the child starts.
    func shareSemaphoreUndo(with child: KernelTask) {
        let undo = semaphoreUndo()
        undo.share()
        child.undoOfSemaphores = undo
    }

    /// Exit, and unshare(CLONE_SYSVSEM): the last task of those that share makes the adjustments. Own thread.
    public func leaveSemaphoreUndo() {
        guard let undo = undoOfSemaphores else { return }
        undoOfSemaphores = nil
        guard undo.leave() else { return }
        for set in ipc.semaphores.withLock({ $0.all }) { set.applyUndo(undo, process: processID) }
    }
}

extension IPCNamespace {
    public var allSemaphoreSets: [SemaphoreSet] { semaphores.withLock { $0.all } }
    /// What semctl(SEM_INFO) tells.
    public var semaphoreSummary: (count: Int, highest: Int, semaphores: Int) {
        semaphores.withLock { table in (table.count, table.highest, table.all.reduce(0) { $0 + $1.count }) }
    }
}

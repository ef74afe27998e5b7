import Host
public import LinuxABI
public import SentryMemory
import SentryVFS
import Synchronization

// Lock order of System V IPC, outermost first: an AddressSpace (attaching and detaching memory), a table, one object, WaitQueue. Nothing calls into an
// address space with one of these locks held.

/// Who may do what with an object (struct ipc64_perm).
public struct IPCPermissions: Sendable {
    public let identifier: Int32
    public internal(set) var key: Int32
    public internal(set) var user, group: UInt32
    public let creatorUser, creatorGroup: UInt32
    /// The low nine bits, and flags of the kind of object.
    public internal(set) var mode: UInt32

    init(_ task: KernelTask, identifier: Int32, key: Int32, mode: UInt32) {
        let credentials = task.credentials
        self.identifier = identifier
        self.key = key
        self.mode = mode & 0o777
        user = credentials.user.effective
        group = credentials.group.effective
        creatorUser = user
        creatorGroup = group
    }

    /// EACCES unless `task` has all of `wanted` (bits as in a mode, in any of the three places).
    func check(_ task: KernelTask, _ wanted: UInt32) throws(Errno) {
        let credentials = task.credentials
        var granted = mode
        if credentials.user.effective == user || credentials.user.effective == creatorUser {
            granted >>= 6
        } else if [group, creatorGroup].contains(where: { credentials.group.effective == $0 || credentials.groups.contains($0) }) {
            granted >>= 3
        }
        let asked = wanted >> 6 | wanted >> 3 | wanted
        if asked & ~granted & 7 != 0, !credentials.has(.CAP_IPC_OWNER) { throw .EACCES }
    }

    /// EPERM unless `task` owns or made the object (IPC_SET, IPC_RMID).
    func checkOwner(_ task: KernelTask) throws(Errno) {
        let credentials = task.credentials
        guard credentials.user.effective == user || credentials.user.effective == creatorUser || credentials.has(.CAP_SYS_ADMIN) else {
            throw .EPERM
        }
    }

    mutating func set(_ change: IPCChange) {
        user = change.user
        group = change.group
        mode = mode & ~0o777 | change.mode & 0o777
    }
}

/// What IPC_SET can change.
public struct IPCChange: Sendable {
    public var user, group, mode: UInt32
    /// msg_qbytes of a message queue.
    public var queueBytes: UInt64
    public init(user: UInt32, group: UInt32, mode: UInt32, queueBytes: UInt64 = 0) {
        self.user = user
        self.group = group
        self.mode = mode
        self.queueBytes = queueBytes
    }
}

protocol IPCObject: AnyObject, Sendable {
    var permissions: IPCPermissions { get }
}

/// The objects of one kind by identifier and key.
struct IPCTable<Object: IPCObject>: Sendable {
    private var places: [Object?] = []
    private var sequence: Int32 = 0
    private var last = -1
    private(set) var count = 0
    let maximum: Int

    init(maximum: Int) { self.maximum = maximum }

    var all: [Object] { places.compactMap { $0 } }
    /// The highest place in use, 0 when there is none.
    var highest: Int { places.lastIndex { $0 != nil } ?? 0 }

    /// Adds what `make` makes of an identifier. ENOSPC when the table is full.
    mutating func insert(_ make: (Int32) throws(Errno) -> Object) throws(Errno) -> Object {
        guard count < maximum else { throw .ENOSPC }
        let place = places.firstIndex { $0 == nil } ?? places.count
        // A place that comes back gets another identifier.
        let next = place <= last ? (sequence + 1) % (Int32.max / IPC.places) : sequence
        let object = try make(next * IPC.places + Int32(place))
        sequence = next
        last = place
        if place == places.count { places.append(object) } else { places[place] = object }
        count += 1
        return object
    }

    /// EINVAL for an identifier that is not in use.
    func find(_ identifier: Int32) throws(Errno) -> Object {
        guard identifier >= 0, let object = at(Int(identifier % IPC.places)), object.permissions.identifier == identifier else {
            throw .EINVAL
        }
        return object
    }

    func at(_ place: Int) -> Object? { places.indices.contains(place) ? places[place] : nil }

    func find(key: Int32) -> Object? { key == IPC.IPC_PRIVATE ? nil : all.first { $0.permissions.key == key } }

    mutating func remove(_ object: Object) {
        let place = Int(object.permissions.identifier % IPC.places)
        guard at(place) === object else { return }
        places[place] = nil
        count -= 1
        while let end = places.last, end == nil { places.removeLast() }
    }

    /// What shmget(2), semget(2) and msgget(2) have in common: the object of `key`, or a new one.
    mutating func get(
        _ task: KernelTask, key: Int32, flags: UInt32, check: (Object) throws(Errno) -> Void, make: (Int32) throws(Errno) -> Object
    ) throws(Errno) -> Object {
        if let object = find(key: key) {
            if flags & IPC.IPC_CREAT != 0, flags & IPC.IPC_EXCL != 0 { throw .EEXIST }
            try check(object)
            try object.permissions.check(task, flags & 0o777)
            return object
        }
        if key != IPC.IPC_PRIVATE, flags & IPC.IPC_CREAT == 0 { throw .ENOENT }
        return try insert(make)
    }
}

/// The System V objects of one container (ipc_namespaces(7)).
public final class IPCNamespace: Sendable {
    let memoryFile: MemoryFile
    /// Where the inodes of shared memory are, as /proc/PID/maps shows them.
    let device = FileSystem.makeDevice()
    let segments = Lock(IPCTable<SharedMemorySegment>(maximum: SharedMemory.SHMMNI))
    let semaphores = Lock(IPCTable<SemaphoreSet>(maximum: Semaphores.SEMMNI))
    let queues = Lock(IPCTable<MessageQueue>(maximum: Messages.MSGMNI))
    /// What the objects cost the Sentry, in bytes: a bound that Linux has in the memory of the container.
    private let cost = Atomic<Int>(0)
    private static let maximumCost = 64 << 20
    private let nextUndo = Atomic<UInt64>(1)

    init(memoryFile: MemoryFile) { self.memoryFile = memoryFile }

    /// ENOMEM over the bound.
    func charge(_ bytes: Int) throws(Errno) {
        if cost.add(bytes, ordering: .relaxed).newValue > Self.maximumCost {
            uncharge(bytes)
            throw .ENOMEM
        }
    }
    func uncharge(_ bytes: Int) { cost.subtract(bytes, ordering: .relaxed) }

    /// The container is gone: so are the objects, which hold this namespace.
    func clear() {
        segments.withLock { $0 = IPCTable(maximum: SharedMemory.SHMMNI) }
        semaphores.withLock { $0 = IPCTable(maximum: Semaphores.SEMMNI) }
        queues.withLock { $0 = IPCTable(maximum: Messages.MSGMNI) }
    }

    func makeUndo() -> SemaphoreUndo { SemaphoreUndo(identifier: nextUndo.add(1, ordering: .relaxed).oldValue) }
}

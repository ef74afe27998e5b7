import Host
public import LinuxABI
public import SentryMemory
import SentryPlatform
import SentryVFS

/// A shared memory segment (shmget(2)).
public final class SharedMemorySegment: IPCObject, MappableObject {
    /// What shmctl(IPC_STAT) tells. Times in seconds of CLOCK_REALTIME.
    public struct State: Sendable {
        public internal(set) var permissions: IPCPermissions
        public internal(set) var attachTime: UInt64 = 0
        public internal(set) var detachTime: UInt64 = 0
        public internal(set) var changeTime: UInt64
        public internal(set) var creator: Int32
        public internal(set) var lastProcess: Int32 = 0
        /// Bytes that are mapped, by all address spaces together.
        var mappedBytes: UInt64 = 0
        /// Attachments that are being made.
        var holds = 0
        var isRemoved = false
    }
    public let size: UInt64
    private let range: Range<UInt64>
    private let state: Lock<State>
    private let namespace: IPCNamespace
    public let mappingIdentity: MappingIdentity
    public let mappingPath: [UInt8]

    fileprivate init(_ task: KernelTask, _ namespace: IPCNamespace, identifier: Int32, key: Int32, size: UInt64, mode: UInt32) throws(Errno)
    {
        let (rounded, overflow) = size.addingReportingOverflow(pageSize - 1)
        if overflow { throw .ENOSPC }
        range = try namespace.memoryFile.allocate(rounded & ~(pageSize - 1))
        self.size = size
        self.namespace = namespace
        mappingIdentity = MappingIdentity(device: namespace.device, inode: UInt64(identifier))
        let digits = String(UInt32(bitPattern: key), radix: 16)
        mappingPath = Array(("/SYSV" + String(repeating: "0", count: 8 - digits.count) + digits + " (deleted)").utf8)
        state = Lock(
            State(
                permissions: IPCPermissions(task, identifier: identifier, key: key, mode: mode),
                changeTime: HostClock.realtime / 1_000_000_000,
                creator: task.processID))
    }

    deinit { namespace.memoryFile.release(range) }

    var permissions: IPCPermissions { state.withLock { $0.permissions } }
    public var status: State { state.withLock { $0 } }

    // MARK: mapping

    public var mappableSize: UInt64 { range.upperBound - range.lowerBound }
    public func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        guard offset < mappableSize else { throw .ENXIO }
        return BackingRange(source: .memoryFile(offset: range.lowerBound + offset), length: min(length, mappableSize - offset))
    }
    public func discardMapping(offset: UInt64, length: UInt64) throws(Errno) {
        guard offset < mappableSize else { return }
        let start = range.lowerBound + offset
        try namespace.memoryFile.discard(start..<start + min(length, mappableSize - offset))
    }
    public func addMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        state.withLock { $0.mappedBytes &+= length }
    }
    public func removeMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        drop { state in
            state.detachTime = HostClock.realtime / 1_000_000_000
            state.mappedBytes -= min(length, state.mappedBytes)
        }
    }

    /// An attachment that is being made: the segment stays meanwhile.
    fileprivate func hold() throws(Errno) {
        try state.withLock { state throws(Errno) in
            if state.isRemoved { throw .EIDRM }
            state.holds += 1
        }
    }

    /// What held the segment does so no longer; the last one takes a segment along that was removed before.
    private func drop(_ body: (inout State) -> Void) {
        let isLast = state.withLock { state -> Bool in
            body(&state)
            guard state.mappedBytes == 0, state.holds == 0, state.permissions.mode & SharedMemory.SHM_DEST != 0 else { return false }
            state.isRemoved = true
            return true
        }
        if isLast { namespace.segments.withLock { $0.remove(self) } }
    }

    /// The attachment that `hold` was for has been made, by `process`, or could not be.
    fileprivate func endHold(attachedBy process: Int32?) {
        drop { state in
            state.holds -= 1
            guard let process else { return }
            state.attachTime = HostClock.realtime / 1_000_000_000
            state.lastProcess = process
        }
    }

    /// How often the segment is attached; pieces of one attachment count together.
    public var attachments: UInt64 {
        let state = status
        return UInt64(state.holds) + (state.mappedBytes &+ mappableSize &- 1) / mappableSize
    }

    fileprivate func noteDetached(_ process: Int32) { state.withLock { $0.lastProcess = process } }

    fileprivate func change(_ body: (inout State) throws(Errno) -> Void) throws(Errno) {
        try state.withLock { state throws(Errno) in try body(&state) }
    }
}

extension KernelTask {
    private var ipc: IPCNamespace { container.ipc }

    /// shmget(2)
    public func sharedMemory(key: Int32, size: UInt64, flags: UInt32) throws(Errno) -> Int32 {
        let segment = try ipc.segments.withLock { table throws(Errno) in
            try table.get(self, key: key, flags: flags) { segment throws(Errno) in
                if segment.size < size { throw .EINVAL }
            } make: { identifier throws(Errno) in
                guard size >= 1, size <= SharedMemory.SHMMAX else { throw .EINVAL }
                return try SharedMemorySegment(self, ipc, identifier: identifier, key: key, size: size, mode: flags)
            }
        }
        return segment.permissions.identifier
    }

    /// shmat(2): the address.
    public func attachSharedMemory(_ identifier: Int32, at wanted: UInt64, flags: UInt32) throws(Errno) -> UInt64 {
        typealias S = SharedMemory
        var address = wanted
        var mapFlags: MapFlags = .MAP_SHARED
        if address != 0 {
            if address % pageSize != 0 {
                guard flags & S.SHM_RND != 0 else { throw .EINVAL }
                address &= ~(pageSize - 1)
                if address == 0, flags & S.SHM_REMAP != 0 { throw .EINVAL }
            }
            mapFlags.insert(flags & S.SHM_REMAP != 0 ? .MAP_FIXED : .MAP_FIXED_NOREPLACE)
        } else if flags & S.SHM_REMAP != 0 {
            throw .EINVAL
        }
        var protection: Protection = flags & S.SHM_RDONLY != 0 ? .read : [.read, .write]
        if flags & S.SHM_EXEC != 0 { protection.insert(.execute) }
        let access = protection.rawValue & 1 == 0 ? 0 : IPC.read | (protection.contains(.write) ? IPC.write : 0)
        guard let space = addressSpace else { throw .ESRCH }
        let segment = try ipc.segments.withLock { table throws(Errno) in
            let segment = try table.find(identifier)
            try segment.permissions.check(self, access | (flags & S.SHM_EXEC != 0 ? 0o111 : 0))
            try segment.hold()
            return segment
        }
        do throws(Errno) {
            let place = try space.map(
                MapRequest(
                    address: address, length: segment.size, protection: protection, flags: mapFlags, object: segment,
                    maximumProtection: flags & S.SHM_RDONLY != 0 ? [.read, .execute] : .all))
            segment.endHold(attachedBy: processID)
            return place
        } catch {
            segment.endHold(attachedBy: nil)
            throw error == .EEXIST ? .EINVAL : error
        }
    }

    /// shmdt(2): EINVAL when no segment begins there.
    public func detachSharedMemory(at address: UInt64) throws(Errno) {
        guard address % pageSize == 0, let space = addressSpace else { throw .EINVAL }
        // The first piece may be gone; all pieces of one attachment have the same distance from their place in the segment.
        let pieces = space.regions().filter {
            $0.identity.device == ipc.device && $0.start >= address && $0.start - address == $0.offset
        }
        guard let first = pieces.first else { throw .EINVAL }
        let segment = ipc.segments.withLock { try? $0.find(Int32(truncatingIfNeeded: first.identity.inode)) }
        for piece in pieces where piece.identity == first.identity { try space.unmap(piece.start, length: piece.end - piece.start) }
        segment?.noteDetached(processID)
    }

    /// The segment with that identifier, or at that place of the table (SHM_STAT), for whom `wanted` access is checked.
    public func sharedMemorySegment(_ number: Int32, isPlace: Bool, access: UInt32) throws(Errno) -> SharedMemorySegment {
        try ipc.segments.withLock { table throws(Errno) in
            guard number >= 0 else { throw .EINVAL }
            let segment: SharedMemorySegment
            if isPlace {
                guard let found = table.at(Int(number % IPC.places)) else { throw .EINVAL }
                segment = found
            } else {
                segment = try table.find(number)
            }
            try segment.permissions.check(self, access)
            return segment
        }
    }

    /// shmctl(IPC_RMID): gone at once, or with the last attachment.
    public func removeSharedMemory(_ identifier: Int32) throws(Errno) {
        try ipc.segments.withLock { table throws(Errno) in
            let segment = try table.find(identifier)
            try segment.permissions.checkOwner(self)
            var isGone = false
            try segment.change { state throws(Errno) in
                if state.mappedBytes == 0, state.holds == 0 {
                    state.isRemoved = true
                    isGone = true
                } else {
                    state.permissions.mode |= SharedMemory.SHM_DEST
                    // Nobody finds it by its key any more.
                    state.permissions.key = IPC.IPC_PRIVATE
                }
            }
            if isGone { table.remove(segment) }
        }
    }

    /// shmctl(IPC_SET)
    public func changeSharedMemory(_ identifier: Int32, _ change: IPCChange) throws(Errno) {
        let segment = try sharedMemorySegment(identifier, isPlace: false, access: 0)
        try segment.permissions.checkOwner(self)
        try segment.change { state throws(Errno) in
            state.permissions.set(change)
            state.changeTime = HostClock.realtime / 1_000_000_000
        }
    }

    /// shmctl(SHM_LOCK) and SHM_UNLOCK: nothing is swapped here, so that only the flag changes. EPERM without ownership and limit.
    public func lockSharedMemory(_ identifier: Int32, _ isLocked: Bool) throws(Errno) {
        let segment = try sharedMemorySegment(identifier, isPlace: false, access: 0)
        let credentials = credentials
        if !credentials.has(.CAP_IPC_LOCK) {
            let permissions = segment.permissions
            guard credentials.user.effective == permissions.user || credentials.user.effective == permissions.creatorUser else {
                throw .EPERM
            }
            if isLocked, threadGroup.limits.current(Resource.RLIMIT_MEMLOCK) == 0 { throw .EPERM }
        }
        try segment.change { state throws(Errno) in
            if isLocked { state.permissions.mode |= SharedMemory.SHM_LOCKED } else { state.permissions.mode &= ~SharedMemory.SHM_LOCKED }
        }
    }
}

extension IPCNamespace {
    /// Every segment, by place.
    public var allSegments: [SharedMemorySegment] { segments.withLock { $0.all } }
    /// What shmctl(SHM_INFO) tells: segments, and the highest place in use.
    public var segmentSummary: (count: Int, highest: Int, pages: UInt64) {
        segments.withLock { table in
            (table.count, table.highest, table.all.reduce(0) { $0 &+ ($1.size &+ pageSize &- 1) / pageSize })
        }
    }
}

import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS

/// The inode behind a host descriptor that was given to the Sentry: the standard streams of a container. Opening it again (/dev/stdin) shares the
/// descriptor.
public final class HostInode: Inode, MappableObject, @unchecked Sendable {
    let descriptor: SharedDescriptor
    let queue = WaitQueue()
    /// As the host opened it.
    let flags: OpenFlags
    /// Whether reads and writes can block, so that readiness matters.
    let canBlock: Bool
    let isTerminal: Bool
    private let device: UInt64
    private let number: UInt64

    private struct State {
        /// Owner and permissions as the guest sees and changes them.
        var attributes: FileAttributes
        /// How many waiters there are, and the poller's token while there are any.
        var waiters = 0
        var token: UInt64?
    }
    private let state: Lock<State>

    init(_ descriptor: SharedDescriptor, user: UInt32, group: UInt32) throws(Errno) {
        self.descriptor = descriptor
        let status = try HostCall.fileStatus(descriptor.rawValue)
        flags = try HostCall.statusFlags(descriptor.rawValue)
        let fileSystem = AnonymousFileSystem.inodes
        device = fileSystem.device
        number = fileSystem.nextInode()
        var attributes = FileAttributes()
        attributes.device = device
        attributes.inode = number
        attributes.mode = status.st_mode
        attributes.user = user
        attributes.group = group
        attributes.specialDevice = status.st_rdev
        let type = attributes.type
        isTerminal = type == .character && HostCall.isTerminal(descriptor.rawValue)
        canBlock = type == .fifo || type == .socket || isTerminal
        state = Lock(State(attributes: attributes))
        super.init(fileSystem: fileSystem, type: type)
    }

    /// What /proc/PID/fd shows.
    var displayName: [UInt8] {
        switch type {
        case .fifo: Array("pipe:[\(number)]".utf8)
        case .socket: Array("socket:[\(number)]".utf8)
        default: Array("host:[\(number)]".utf8)
        }
    }

    override public func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        var attributes = state.withLock { $0.attributes }
        let status = try HostCall.fileStatus(descriptor.rawValue)
        attributes.size = status.st_size
        attributes.blocks = UInt64(clamping: status.st_blocks)
        attributes.blockSize = UInt32(clamping: status.st_blksize)
        attributes.accessTime = status.st_atim
        attributes.modificationTime = status.st_mtim
        attributes.changeTime = status.st_ctim
        return attributes
    }

    override public func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        if let size = change.size {
            guard type == .regular else { throw .EINVAL }
            try HostCall.truncate(descriptor.rawValue, to: size)
        }
        // Owner and mode are the guest's own view: the host's file is not the guest's.
        let now = Timespec(nanoseconds: HostClock.realtime)
        state.withLock { $0.attributes.apply(change, now: now) }
    }

    override public func open(_ path: Path, flags wanted: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        guard !wanted.isReadable || flags.isReadable, !wanted.isWritable || flags.isWritable else { throw .EACCES }
        if wanted.contains(.O_TRUNC), type == .regular { try HostCall.truncate(descriptor.rawValue, to: 0) }
        return HostFile(self, path: path, flags: wanted)
    }

    // MARK: Readiness

    func readiness(_ mask: PollEvents) -> PollEvents {
        guard canBlock else { return mask.intersection(PollEvents.readable.union(.writable)) }
        return HostCall.readiness(descriptor.rawValue, mask)
    }

    /// Watches the host's descriptor while somebody waits for it.
    func add(_ waiter: Waiter) {
        queue.add(waiter)
        guard canBlock else { return }
        state.withLock { state in
            state.waiters += 1
            if state.waiters == 1 { state.token = HostPoller.shared.add(self) }
        }
    }

    func remove(_ waiter: Waiter) {
        queue.remove(waiter)
        guard canBlock else { return }
        state.withLock { state in
            state.waiters -= 1
            guard state.waiters == 0, let token = state.token else { return }
            state.token = nil
            HostPoller.shared.remove(self, token: token)
        }
    }

    // MARK: MappableObject

    public var mappingIdentity: MappingIdentity { MappingIdentity(device: device, inode: number) }
    public var mappingPath: [UInt8] { displayName }
    public var mappableSize: UInt64 { UInt64(clamping: (try? HostCall.fileStatus(descriptor.rawValue).st_size) ?? 0) }
    public func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        if write, !(flags.isWritable && flags.isReadable) { throw .EACCES }
        return BackingRange(source: .descriptor(descriptor, offset: offset), length: length)
    }
    public func syncMapping(offset: UInt64, length: UInt64) throws(Errno) { try HostCall.synchronize(descriptor.rawValue, dataOnly: true) }
}

import DequeModule
import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS
import Synchronization

/// What inotify_init(2) gives: watches on inodes, and the queue of what happened to them (inotify(7)).
public final class InotifyFile: FileDescription, @unchecked Sendable {
    private struct Event: Equatable {
        var watch: Int32
        var mask: UInt32
        var cookie: UInt32
        var name: [UInt8]

        /// Size in the reader's buffer: the name is padded with NULs to a multiple of the head's 16 bytes.
        var size: Int { 16 + paddedName }
        var paddedName: Int { name.isEmpty ? 0 : (name.count + 16) / 16 * 16 }
    }

    /// One watch: reports to its instance.
    fileprivate final class Watch: FileWatcher, @unchecked Sendable {
        let number: Int32
        let inode: Inode
        /// Held so that the cache does not give it up, and with it the inode that the file system would make anew.
        let dentry: Dentry
        weak var instance: InotifyFile?
        let mask: Atomic<UInt32>

        init(_ number: Int32, _ inode: Inode, _ dentry: Dentry, _ mask: UInt32, _ instance: InotifyFile) {
            self.number = number
            self.inode = inode
            self.dentry = dentry
            self.mask = Atomic(mask)
            self.instance = instance
        }

        override func notify(_ events: FileEvents, cookie: UInt32, name: [UInt8], isUnlinked: Bool) {
            let mask = mask.load(ordering: .relaxed)
            if isUnlinked, !name.isEmpty, mask & InotifyFlag.IN_EXCL_UNLINK != 0 { return }
            let happened = events.rawValue & mask & InotifyFlag.IN_ALL_EVENTS
            if happened != 0 {
                instance?.queue(Event(watch: number, mask: happened | events.rawValue & InotifyFlag.IN_ISDIR, cookie: cookie, name: name))
            }
            let isGone = !events.isDisjoint(with: [.deleteSelf, .unmount])
            if isGone || happened != 0 && mask & InotifyFlag.IN_ONESHOT != 0 { instance?.drop(self) }
        }
    }

    private struct State {
        var watches: [Int32: Watch] = [:]
        var numbers: [ObjectIdentifier: Int32] = [:]
        var last: Int32 = 0
        var events: Deque<Event> = []
        /// Bytes of `events` in a reader's buffer, for FIONREAD.
        var size = 0
    }
    private let state = Lock(State())
    private let waiters = WaitQueue()
    /// fs.inotify.max_queued_events and max_user_watches.
    private static let maximumEvents = 16_384
    private static let maximumWatches = 65_536

    public init(flags: OpenFlags) {
        super.init(path: AnonymousFileSystem.place(kind: "inotify"), flags: flags)
    }

    private func queue(_ event: Event) {
        state.withLock { state in
            // The same as the last one that waits: one will do.
            if state.events.last == event { return }
            if state.events.count >= Self.maximumEvents {
                let overflow = Event(watch: -1, mask: InotifyFlag.IN_Q_OVERFLOW, cookie: 0, name: [])
                if state.events.last == overflow { return }
                state.events.append(overflow)
                state.size += overflow.size
                return
            }
            state.events.append(event)
            state.size += event.size
        }
        waiters.notify(.readable)
    }

    /// Ends a watch and says so (IN_IGNORED).
    private func drop(_ watch: Watch) {
        let wasThere = state.withLock { state -> Bool in
            state.numbers.removeValue(forKey: ObjectIdentifier(watch.inode))
            return state.watches.removeValue(forKey: watch.number) != nil
        }
        guard wasThere else { return }
        watch.inode.watchers.remove(watch)
        queue(Event(watch: watch.number, mask: InotifyFlag.IN_IGNORED, cookie: 0, name: []))
    }

    /// inotify_add_watch(2) on what `dentry` names: the watch descriptor. EEXIST with IN_MASK_CREATE when the inode is watched already, ENOSPC at the limit.
    public func addWatch(_ dentry: Dentry, mask: UInt32) throws(Errno) -> Int32 {
        guard let inode = dentry.inode else { throw .ENOENT }
        let kept = mask & (InotifyFlag.IN_ALL_EVENTS | InotifyFlag.IN_EXCL_UNLINK | InotifyFlag.IN_ONESHOT)
        let (number, added) = try state.withLock { state throws(Errno) -> (Int32, Watch?) in
            if let number = state.numbers[ObjectIdentifier(inode)], let watch = state.watches[number] {
                if mask & InotifyFlag.IN_MASK_CREATE != 0 { throw .EEXIST }
                let old = mask & InotifyFlag.IN_MASK_ADD != 0 ? watch.mask.load(ordering: .relaxed) : 0
                watch.mask.store(old | kept, ordering: .relaxed)
                return (number, nil)
            }
            guard state.watches.count < Self.maximumWatches, state.last < .max else { throw .ENOSPC }
            state.last += 1
            let watch = Watch(state.last, inode, dentry, kept, self)
            state.watches[state.last] = watch
            state.numbers[ObjectIdentifier(inode)] = state.last
            return (state.last, watch)
        }
        if let added { inode.watchers.add(added) }
        return number
    }

    /// inotify_rm_watch(2).
    public func removeWatch(_ number: Int32) throws(Errno) {
        guard let watch = state.withLock({ $0.watches[number] }) else { throw .EINVAL }
        drop(watch)
    }

    override public func released(_ context: any FileContext) {
        let watches = state.withLock { state in
            defer { state.watches = [:] }
            return Array(state.watches.values)
        }
        for watch in watches { watch.inode.watchers.remove(watch) }
    }

    override public func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let room = buffer.remaining
        let bytes = try state.withLock { state throws(Errno) -> [UInt8] in
            guard let first = state.events.first else { throw .EAGAIN }
            guard first.size <= room else { throw .EINVAL }
            var bytes: [UInt8] = []
            while let event = state.events.first, bytes.count + event.size <= room {
                state.events.removeFirst()
                state.size -= event.size
                for word in [UInt32(bitPattern: event.watch), event.mask, event.cookie, UInt32(event.paddedName)] {
                    for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
                }
                bytes += event.name
                bytes.append(contentsOf: repeatElement(0, count: event.paddedName - event.name.count))
            }
            return bytes
        }
        return try buffer.copyOut(bytes)
    }

    override public func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        guard request == IoctlRequest.FIONREAD else { throw .ENOTTY }
        guard let space = context.addressSpace else { throw .EFAULT }
        try space.store(Int32(clamping: state.withLock { $0.size }), to: argument)
        return 0
    }

    override public func readiness(_ mask: PollEvents) -> PollEvents {
        state.withLock { $0.events.isEmpty } ? [] : mask.intersection(.readable)
    }
    override public func add(_ waiter: Waiter) { waiters.add(waiter) }
    override public func remove(_ waiter: Waiter) { waiters.remove(waiter) }
}

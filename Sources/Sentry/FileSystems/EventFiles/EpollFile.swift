import DequeModule
import Host
public import LinuxABI
public import SentryVFS
import Synchronization

/// What epoll_create(2) gives (epoll(7)): interest in many files, and the list of those that may be ready. A wake-up of a file puts its item on the
/// list; waiting costs what is on the list, not what is of interest.
///
/// Lock order: `interest`; a file's wait queue; `ready`; this instance's own wait queue. An item is asked for its readiness with none of them held.
public final class EpollFile: FileDescription, FileReleaseObserver, @unchecked Sendable {
    /// An interest is known by descriptor number and open file (epoll(7), Q1).
    private struct Key: Hashable {
        let number: Int32
        let file: ObjectIdentifier
    }

    /// One interest in the form that its file wakes.
    private final class Item: Waiter, @unchecked Sendable {
        let key: Key
        let file: FileDescription
        /// EPOLL bits beyond the poll events.
        let flags: UInt32
        let data: UInt64
        weak var owner: EpollFile?
        /// On the ready list; protected by the owner's `ready` lock.
        let isQueued = Atomic<Bool>(false)
        /// Removed, replaced, or disarmed by EPOLLONESHOT.
        let isDisarmed = Atomic<Bool>(false)

        init(_ key: Key, _ file: FileDescription, events: UInt32, data: UInt64, _ owner: EpollFile) {
            self.key = key
            self.file = file
            flags = events
            self.data = data
            self.owner = owner
            super.init(mask: PollEvents(rawValue: events & 0xffff))
        }

        override var isExclusive: Bool { flags & EpollFlag.EPOLLEXCLUSIVE != 0 }
        override func wake(_ events: PollEvents) -> Parker? { owner?.enqueue(self) }
    }

    private let interest = Lock<[Key: Item]>([:])
    private let ready = Lock<Deque<Item>>([])
    private let waiters = WaitQueue()
    /// fs.epoll.max_user_watches, for one instance.
    private static let maximumItems = 1_000_000
    /// How deep instances may lie in one another (Linux: EP_MAX_NESTS).
    private static let maximumDepth = 4
    /// Serialises the additions that could close a circle of instances.
    private static let nesting = Lock<Void>(())

    public init(flags: OpenFlags) {
        super.init(path: AnonymousFileSystem.place(kind: "[eventpoll]"), flags: flags.union(.O_RDWR))
    }

    /// Puts an item on the ready list: whom to ring for it. Called under the wait queue's lock of its file.
    private func enqueue(_ item: Item) -> Parker? {
        if item.isDisarmed.load(ordering: .relaxed) { return nil }
        let isNew = ready.withLock { ready -> Bool in
            if item.isQueued.exchange(true, ordering: .relaxed) { return false }
            ready.append(item)
            return true
        }
        return isNew ? waiters.post(.readable) : nil
    }

    // MARK: epoll_ctl(2)

    /// EPOLL_CTL_ADD. EEXIST; EPERM for a file that cannot be waited for; EINVAL for itself; ELOOP for a circle of instances.
    public func add(_ number: Int32, _ file: FileDescription, events: UInt32, data: UInt64) throws(Errno) {
        if file === self { throw .EINVAL }
        guard file.isPollable else { throw .EPERM }
        if events & EpollFlag.EPOLLEXCLUSIVE != 0 {
            let allowed = EpollFlag.EPOLLEXCLUSIVE | EpollFlag.EPOLLET | EpollFlag.EPOLLWAKEUP | 0x1f
            guard events & ~allowed == 0, !(file is EpollFile) else { throw .EINVAL }
        }
        let key = Key(number: number, file: ObjectIdentifier(file))
        let item = Item(key, file, events: events, data: data, self)
        if let inner = file as? EpollFile {
            try Self.nesting.withLock { _ throws(Errno) in
                try inner.checkNesting(of: self, depth: 1)
                try insert(item)
            }
        } else {
            try insert(item)
        }
        file.addReleaseObserver(self)
        arm(item)
    }

    private func insert(_ item: Item) throws(Errno) {
        try interest.withLock { interest throws(Errno) in
            if interest[item.key] != nil { throw .EEXIST }
            guard interest.count < Self.maximumItems else { throw .ENOSPC }
            interest[item.key] = item
        }
    }

    /// Registers with the file, and looks whether it is ready now.
    private func arm(_ item: Item) {
        item.file.add(item)
        if !item.file.readiness(item.mask).isEmpty { enqueue(item)?.ring() }
    }

    private func checkNesting(of outer: EpollFile, depth: Int) throws(Errno) {
        if self === outer || depth > Self.maximumDepth { throw .ELOOP }
        for item in interest.withLock({ Array($0.values) }) {
            if let inner = item.file as? EpollFile { try inner.checkNesting(of: outer, depth: depth + 1) }
        }
    }

    /// EPOLL_CTL_MOD. ENOENT.
    public func modify(_ number: Int32, _ file: FileDescription, events: UInt32, data: UInt64) throws(Errno) {
        let key = Key(number: number, file: ObjectIdentifier(file))
        let (old, item) = try interest.withLock { interest throws(Errno) -> (Item, Item) in
            guard let old = interest[key] else { throw .ENOENT }
            if (old.flags | events) & EpollFlag.EPOLLEXCLUSIVE != 0 { throw .EINVAL }
            let item = Item(key, file, events: events, data: data, self)
            interest[key] = item
            return (old, item)
        }
        retire(old)
        arm(item)
    }

    /// EPOLL_CTL_DEL. ENOENT.
    public func delete(_ number: Int32, _ file: FileDescription) throws(Errno) {
        let key = Key(number: number, file: ObjectIdentifier(file))
        guard let item = interest.withLock({ $0.removeValue(forKey: key) }) else { throw .ENOENT }
        retire(item)
        file.removeReleaseObserver(self)
    }

    private func retire(_ item: Item) {
        item.isDisarmed.store(true, ordering: .relaxed)
        item.file.remove(item)
        ready.withLock { ready in
            guard item.isQueued.exchange(false, ordering: .relaxed) else { return }
            // Usually near the front or not there at all; retired items elsewhere are skipped when their turn comes.
            if ready.first === item { ready.removeFirst() }
        }
    }

    /// The last descriptor of a file is gone: so is every interest in it.
    public func fileReleased(_ file: FileDescription) {
        let identifier = ObjectIdentifier(file)
        let items = interest.withLock { interest -> [Item] in
            let keys = interest.keys.filter { $0.file == identifier }
            return keys.compactMap { interest.removeValue(forKey: $0) }
        }
        for item in items { retire(item) }
    }

    override public func released(_ context: any FileContext) {
        let items = interest.withLock { interest in
            defer { interest = [:] }
            return Array(interest.values)
        }
        for item in items {
            retire(item)
            item.file.removeReleaseObserver(self)
        }
        ready.withLock { $0 = [] }
    }

    // MARK: epoll_wait(2)

    /// Up to `limit` events that hold now, in the order in which they arrived: what and the user's data.
    public func collect(limit: Int, _ context: any FileContext) -> EpollEvents {
        var result = EpollEvents()
        // Items that go back on the list wait for the next call.
        var left = ready.withLock { $0.count }
        // Mostly it is one.
        var again: Item?, others: [Item] = []
        while left > 0, result.count < limit {
            left -= 1
            guard let item = take() else { break }
            if item.isDisarmed.load(ordering: .relaxed) { continue }
            let events = item.file.readiness(item.mask, for: context)
            if events.isEmpty { continue }
            if item.flags & EpollFlag.EPOLLONESHOT != 0 {
                if item.isDisarmed.exchange(true, ordering: .relaxed) { continue }
            } else if item.flags & EpollFlag.EPOLLET == 0 {
                if again == nil { again = item } else { others.append(item) }
            }
            result.append(events.rawValue, item.data)
        }
        if let again { enqueue(again)?.ring() }
        for item in others { enqueue(item)?.ring() }
        return result
    }

    private func take() -> Item? {
        ready.withLock { ready in
            // From now on a wake-up queues it anew, so nothing that happens after its readiness was asked is lost.
            let item = ready.popFirst()
            item?.isQueued.store(false, ordering: .relaxed)
            return item
        }
    }

    /// Whether an item on the list is really ready; those that are not are taken off.
    private var hasReady: Bool {
        var left = ready.withLock { $0.count }
        while left > 0 {
            left -= 1
            guard let item = take() else { return false }
            if item.isDisarmed.load(ordering: .relaxed) || item.file.readiness(item.mask).isEmpty { continue }
            // It goes to the front again: looking must not change the order.
            ready.withLock { ready in
                if !item.isQueued.exchange(true, ordering: .relaxed) { ready.prepend(item) }
            }
            return true
        }
        return false
    }

    override public func readiness(_ mask: PollEvents) -> PollEvents {
        mask.isDisjoint(with: .readable) || !hasReady ? [] : mask.intersection(.readable)
    }
    override public func add(_ waiter: Waiter) { waiters.add(waiter) }
    override public func remove(_ waiter: Waiter) { waiters.remove(waiter) }

    /// The interests, for /proc/PID/fdinfo.
    public var items: [(number: Int32, events: UInt32, data: UInt64)] {
        interest.withLock { $0.values.map { (number: $0.key.number, events: $0.flags, data: $0.data) } }
    }
}

/// What an instance has found. Mostly it is one event, for which no array is made.
public struct EpollEvents: RandomAccessCollection, Sendable {
    public typealias Element = (events: UInt32, data: UInt64)
    private var first: Element = (0, 0)
    private var others: [Element] = []
    public private(set) var endIndex = 0

    public var startIndex: Int { 0 }
    public subscript(position: Int) -> Element { position == 0 ? first : others[position - 1] }

    mutating func append(_ events: UInt32, _ data: UInt64) {
        if endIndex == 0 { first = (events, data) } else { others.append((events, data)) }
        endIndex += 1
    }
}

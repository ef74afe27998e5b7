import Host
import Synchronization

/// What happened to a file: the IN_ bits of inotify(7).
public struct FileEvents: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let access = FileEvents(rawValue: 0x1)
    public static let modify = FileEvents(rawValue: 0x2)
    public static let attributes = FileEvents(rawValue: 0x4)
    public static let closeWrite = FileEvents(rawValue: 0x8)
    public static let closeNoWrite = FileEvents(rawValue: 0x10)
    public static let open = FileEvents(rawValue: 0x20)
    public static let movedFrom = FileEvents(rawValue: 0x40)
    public static let movedTo = FileEvents(rawValue: 0x80)
    public static let create = FileEvents(rawValue: 0x100)
    public static let delete = FileEvents(rawValue: 0x200)
    public static let deleteSelf = FileEvents(rawValue: 0x400)
    public static let moveSelf = FileEvents(rawValue: 0x800)
    public static let unmount = FileEvents(rawValue: 0x2000)
    /// The subject is a directory.
    public static let isDirectory = FileEvents(rawValue: 0x4000_0000)
}

/// Somebody who watches an inode. `notify` is called with no VFS lock but those of the directories that change, and must not call back into the VFS.
open class FileWatcher: @unchecked Sendable {  // Subclasses keep what they change behind a lock.
    public init() {}
    /// `name`: of the entry of the watched directory that the event is about; empty for the watched inode itself. `cookie` joins the two halves of a
    /// move. `isUnlinked`: the subject has lost its last name (IN_EXCL_UNLINK).
    open func notify(_ events: FileEvents, cookie: UInt32, name: [UInt8], isUnlinked: Bool) {}
}

/// The watchers of one inode.
public final class FileWatchers: Sendable {
    private let watchers = Lock<[FileWatcher]>([])
    private let count = Atomic<Int>(0)
    /// How many watches there are at all: nobody pays for events while there are none.
    private static let total = Atomic<Int>(0)
    private static let lastCookie = Atomic<UInt32>(0)

    public init() {}

    /// Whether any inode is watched.
    @inline(__always) public static var anyone: Bool { total.load(ordering: .relaxed) > 0 }
    static func nextCookie() -> UInt32 { lastCookie.add(1, ordering: .relaxed).newValue }

    public func add(_ watcher: FileWatcher) {
        watchers.withLock { $0.append(watcher) }
        count.add(1, ordering: .relaxed)
        Self.total.add(1, ordering: .relaxed)
    }

    public func remove(_ watcher: FileWatcher) {
        let isRemoved = watchers.withLock { list -> Bool in
            guard let index = list.firstIndex(where: { $0 === watcher }) else { return false }
            list.remove(at: index)
            return true
        }
        guard isRemoved else { return }
        count.subtract(1, ordering: .relaxed)
        Self.total.subtract(1, ordering: .relaxed)
    }

    func notify(_ events: FileEvents, cookie: UInt32 = 0, name: [UInt8] = [], isUnlinked: Bool = false) {
        if count.load(ordering: .relaxed) == 0 { return }
        for watcher in watchers.withLock({ $0 }) { watcher.notify(events, cookie: cookie, name: name, isUnlinked: isUnlinked) }
    }
}

extension Dentry {
    /// Tells the watchers of the file and of its directory that something happened to the file.
    public func notify(_ events: FileEvents) {
        guard FileWatchers.anyone, let inode else { return }
        let events = inode.type == .directory ? events.union(.isDirectory) : events
        let (parent, name, isDeleted) = state.withLock { ($0.parent, $0.name, $0.isDeleted) }
        parent?.inode?.existingWatchers?.notify(events, name: name, isUnlinked: isDeleted)
        inode.existingWatchers?.notify(events, isUnlinked: isDeleted)
    }

    /// Tells the watchers of this directory that something happened to an entry of it.
    func notifyEntry(_ events: FileEvents, _ name: [UInt8], isDirectory: Bool, cookie: UInt32 = 0) {
        guard FileWatchers.anyone, let inode else { return }
        inode.existingWatchers?.notify(isDirectory ? events.union(.isDirectory) : events, cookie: cookie, name: name)
    }
}

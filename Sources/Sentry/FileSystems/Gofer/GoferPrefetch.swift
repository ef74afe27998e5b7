import FileProtocol
import Host
import SentryVFS
import Synchronization

/// What listings of directories brought beyond what was asked for, waiting to be wanted. Programs that list a directory mostly ask for the attributes of
/// each entry next, go into its directories, or open its files one after the other; with these they need no trips of their own.
///
/// Only trees that cache at all use it. What nobody asks for costs, so each kind has a credit that grows with what was of use and shrinks with what
/// was brought: without any, nothing is brought but a little now and then, to see whether it would be of use again.
final class GoferPrefetch: Sendable {
    /// Where a listing had an inode.
    struct Place {
        var directory: ObjectIdentifier
        var index: Int
    }
    /// What came of one directory.
    struct Portion {
        /// The entries that came with attributes.
        var inodes: [(name: [UInt8], inode: GoferInode)] = []
        /// It is the beginning of the directory.
        var isStart: Bool
        /// All entries of a directory that was read ahead; nil when somebody asked for them and has them.
        var entries: [NodeEntry]?
        /// The directory's count of changes when it was read.
        var changes: UInt64
    }
    private struct Listing {
        /// Inodes that were not looked up yet.
        var inodes: [NameKey: GoferInode] = [:]
        /// All that came, in the order of the listing; nil where a name has changed its meaning.
        var order: [GoferInode?] = []
        /// Where the directory itself was listed.
        var place: Place?
        /// All entries, until somebody reads the directory.
        var entries: [NodeEntry]?
        /// The directory's count of changes when it was listed.
        var changes: UInt64
        /// Until when it passes for true, where it does not for ever (CLOCK_MONOTONIC, nanoseconds).
        var expiry: UInt64?
        var size: Int { order.count + (entries?.count ?? 0) }
    }
    private struct State {
        var listings: [ObjectIdentifier: Listing] = [:]
        /// Of the listings, as they came.
        var order: [ObjectIdentifier] = []
        /// Entries of all listings.
        var count = 0
        var attributes = Credit(1024, limit: 8192)
        var directories = Credit(16, limit: 512)
        var files = Credit(8, limit: 128)
    }
    /// How much of one kind is brought unasked.
    private struct Credit {
        private(set) var amount: Int
        private let limit: Int
        /// With less nothing is brought.
        private static let least = 4
        init(_ amount: Int, limit: Int) {
            self.amount = amount
            self.limit = limit
        }
        var isEnough: Bool { amount >= Self.least }
        mutating func brought(_ count: Int) { amount = max(0, amount - count) }
        mutating func used() { amount = min(limit, amount + 2) }
        /// What was not there would have been of use.
        mutating func missed() { amount = min(limit, amount + 1) }
    }
    private let state = Lock(State())
    /// Most entries that are kept.
    private static let limit = 16384
    /// How many entries of listings a look ahead passes.
    private static let sight = 1024

    // MARK: Attributes

    /// Whether the next listing should bring attributes of all entries.
    var isWorthwhile: Bool { state.withLock { $0.attributes.isEnough } }

    /// Keeps what a listing of `directory` brought, unless names of it changed meanwhile.
    func add(_ portion: Portion, of directory: GoferInode, expiry: UInt64?) {
        let key = ObjectIdentifier(directory)
        let released = state.withLock { state -> [Listing] in
            var released: [Listing] = []
            guard directory.state.withLock({ $0.changes }) == portion.changes else { return released }
            var listing = Listing(changes: portion.changes)
            if let old = state.listings.removeValue(forKey: key) {
                // It goes on, or begins again: the newer look counts.
                state.count -= old.size
                if portion.isStart { released.append(old) } else { listing = old }
            } else {
                state.order.append(key)
            }
            listing.place = directory.listedPlace
            listing.changes = portion.changes
            listing.expiry = expiry
            var others = 0
            for (name, inode) in portion.inodes {
                listing.inodes[NameKey(name)] = inode
                inode.listedPlace = Place(directory: key, index: listing.order.count)
                listing.order.append(inode)
                if inode.type != .directory { others += 1 }
            }
            state.attributes.brought(others)
            if let entries = portion.entries {
                listing.entries = entries
                state.directories.brought(1)
            }
            if listing.order.isEmpty, listing.entries == nil {
                state.order.removeAll { $0 == key }
                return released
            }
            state.count += listing.size
            state.listings[key] = listing
            while state.count > Self.limit, let oldest = state.order.first {
                state.order.removeFirst()
                if let old = state.listings.removeValue(forKey: oldest) {
                    state.count -= old.size
                    released.append(old)
                }
            }
            return released
        }
        _ = released
    }

    /// The inode of an entry, if a listing brought it. It is given out once.
    func take(_ name: [UInt8], of directory: GoferInode) -> GoferInode? {
        let key = ObjectIdentifier(directory), name = NameKey(name)
        return state.withLock { state in
            if let expiry = state.listings[key]?.expiry, HostClock.monotonic >= expiry { return nil }
            guard let inode = state.listings[key]?.inodes.removeValue(forKey: name) else { return nil }
            if inode.type != .directory { state.attributes.used() }
            return inode
        }
    }

    /// A single name of a directory that was listed had to be asked for: a listing with attributes would have helped.
    func missed() { state.withLock { $0.attributes.missed() } }

    // MARK: Entries

    /// All entries of a directory that was read ahead, if they are still true. They are given out once.
    func takeEntries(of directory: GoferInode) -> [NodeEntry]? {
        let key = ObjectIdentifier(directory)
        return state.withLock { state in
            guard let listing = state.listings[key], let entries = listing.entries else { return nil }
            state.listings[key]?.entries = nil
            state.count -= entries.count
            if let expiry = listing.expiry, HostClock.monotonic >= expiry { return nil }
            guard directory.state.withLock({ $0.changes }) == listing.changes else { return nil }
            state.directories.used()
            return entries
        }
    }

    /// How many directories to read besides one that is about to be read, and which after those below it. Who reads a directory that a listing has shown
    /// seems to walk the tree.
    func directoriesAhead(of directory: GoferInode) -> (count: Int, along: [GoferInode]) {
        state.withLock { state in
            guard let place = directory.listedPlace else { return (0, []) }
            state.directories.missed()
            guard state.directories.isEnough else { return (0, []) }
            let count = min(state.directories.amount, FileProtocolLimit.directoriesAhead)
            let along = Self.following(state, place, count, descending: false) { inode in
                inode.type == .directory && !inode.wasListed.load(ordering: .relaxed) && state.listings[ObjectIdentifier(inode)] == nil
            }
            return (count, along)
        }
    }

    // MARK: Files

    /// Which files to open besides one that is about to be opened: those that come after it for who reads the tree from one end to the other.
    func filesAhead(of file: GoferInode) -> [GoferInode] {
        state.withLock { state in
            guard let place = file.listedPlace else { return [] }
            state.files.missed()
            guard state.files.isEnough else { return [] }
            let files = Self.following(state, place, min(state.files.amount, FileProtocolLimit.filesAhead), descending: true) { inode in
                inode.type == .regular && inode.wantsDescriptor
            }
            state.files.brought(files.count)
            return files
        }
    }

    /// A file that had been opened ahead is used.
    func usedFile() { state.withLock { $0.files.used() } }

    /// What the listings have behind `place`, in the order of a walk that visits each directory when it comes to it.
    private static func following(_ state: State, _ place: Place, _ count: Int, descending: Bool, _ isWanted: (GoferInode) -> Bool)
        -> [GoferInode]
    {
        var found: [GoferInode] = []
        var current: Place? = place
        var passed = 0
        while let here = current, let listing = state.listings[here.directory], passed < sight, found.count < count {
            passed += 1
            let next = here.index + 1
            guard next < listing.order.count else {
                current = listing.place
                continue
            }
            current = Place(directory: here.directory, index: next)
            guard let inode = listing.order[next] else { continue }
            if isWanted(inode) { found.append(inode) }
            if descending, inode.type == .directory, state.listings[ObjectIdentifier(inode)]?.place?.directory == here.directory {
                current = Place(directory: ObjectIdentifier(inode), index: -1)
            }
        }
        return found
    }

    // MARK: Forgetting

    /// The name means something else now than `inode`, where that is known.
    func forget(_ name: [UInt8], _ inode: GoferInode?, of directory: GoferInode) {
        let key = ObjectIdentifier(directory), name = NameKey(name)
        let released = state.withLock { state -> [GoferInode?] in
            guard let count = state.listings[key]?.order.count else { return [] }
            let waiting = state.listings[key]?.inodes.removeValue(forKey: name)
            if let place = (inode ?? waiting)?.listedPlace, place.directory == key, place.index < count {
                let listed = state.listings[key]?.order[place.index]
                if listed === (inode ?? waiting) { state.listings[key]?.order[place.index] = nil }
            }
            return [waiting, inode]
        }
        _ = released
    }

    /// The directory is gone: another one may come to have its identity.
    func forget(directory: GoferInode) {
        let key = ObjectIdentifier(directory)
        let released = state.withLock { state -> Listing? in
            guard let old = state.listings.removeValue(forKey: key) else { return nil }
            state.count -= old.size
            if let index = state.order.firstIndex(of: key) { state.order.remove(at: index) }
            return old
        }
        _ = released
    }

    func clear() {
        let released = state.withLock { state in
            defer { state = State() }
            return state
        }
        _ = released
    }
}

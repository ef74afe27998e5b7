import Host
import LinuxABI
import Synchronization

/// How a path is resolved (path_resolution(7), openat2(2)).
public struct ResolveOptions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// A symbolic link in the last component is followed. One before a slash always is.
    public static let follow = ResolveOptions(rawValue: 1)
    /// The result must be a directory (ENOTDIR).
    public static let directory = ResolveOptions(rawValue: 2)
    /// An empty path means the start itself (AT_EMPTY_PATH); otherwise it is ENOENT.
    public static let emptyPath = ResolveOptions(rawValue: 4)
    /// RESOLVE_NO_XDEV: EXDEV when a mount is crossed.
    public static let noCrossing = ResolveOptions(rawValue: 8)
    /// RESOLVE_NO_MAGICLINKS: ELOOP at a magic link.
    public static let noMagicLinks = ResolveOptions(rawValue: 16)
    /// RESOLVE_NO_SYMLINKS: ELOOP at any link.
    public static let noSymlinks = ResolveOptions(rawValue: 32)
    /// RESOLVE_BENEATH: EXDEV when the path leaves the start.
    public static let beneath = ResolveOptions(rawValue: 64)
    /// RESOLVE_IN_ROOT: the start is the root for this resolution.
    public static let inRoot = ResolveOptions(rawValue: 128)
    /// RESOLVE_CACHED: EAGAIN when a file system would have to be asked.
    public static let cachedOnly = ResolveOptions(rawValue: 256)
}

/// The last component of a path whose parent was resolved.
struct LastComponent {
    enum Kind {
        /// A name in the directory.
        case normal
        /// ".", "..", or no component at all ("/").
        case dot, dotDot, root
    }
    var kind: Kind
    var name: [UInt8]
    /// Slashes follow it: it must be, or become, a directory.
    var hasTrailingSlash: Bool
}

/// One resolution of a path: the only place that walks. It starts at `place`, which moves along.
struct PathResolver: ~Copyable {
    let context: any FileContext
    let options: ResolveOptions
    /// Where RESOLVE_BENEATH and RESOLVE_IN_ROOT hold the walk; nil without them.
    private let start: Path?
    var place: Path
    /// `root`, once it was asked for: most relative paths do without.
    private var knownRoot: Path?
    private var links = 0
    /// The count of renames at the start: ".." under RESOLVE_BENEATH is safe only while nothing moves.
    private let renames = Dentry.renames.load(ordering: .acquiring)
    /// How many of the coming components were just looked up and need no revalidation.
    private var fresh = 0

    init(at start: consuming Path, options: ResolveOptions, _ context: any FileContext) {
        self.context = context
        self.options = options
        if options.isDisjoint(with: [.beneath, .inRoot]) {
            self.start = nil
        } else {
            self.start = start
            if options.contains(.inRoot) { knownRoot = start }
        }
        place = start
    }

    /// Where absolute paths start and ".." stops.
    private var root: Path {
        mutating get {
            if let knownRoot { return knownRoot }
            let found = currentRoot
            knownRoot = found
            return found
        }
    }

    /// Without a task it is that of the namespace, or of a mount that is in none.
    private var currentRoot: Path {
        context.fileSystemContext?.root ?? place.mount.namespace?.root ?? Path(mount: place.mount, dentry: place.mount.root)
    }

    /// Resolves a whole path: `place` is the result, which exists.
    mutating func resolve(_ path: borrowing Span<UInt8>) throws(Errno) {
        if path.isEmpty {
            guard options.contains(.emptyPath) else { throw .ENOENT }
            return
        }
        if case .link(var rest) = try walk(path, parent: false) {
            while case .link(let next) = try walk(rest.span, parent: false) { rest = next }
        }
        if options.contains(.directory), place.dentry.inode?.type != .directory { throw .ENOTDIR }
    }

    /// Resolves all but the last component: `place` is the directory that holds it.
    mutating func resolveParent(_ path: borrowing Span<UInt8>) throws(Errno) -> LastComponent {
        if path.isEmpty { throw .ENOENT }
        var step = try walk(path, parent: true)
        while case .link(let rest) = step { step = try walk(rest.span, parent: true) }
        guard case .last(let last) = step else { return LastComponent(kind: .root, name: [], hasTrailingSlash: true) }
        return last
    }

    /// Goes on from a symbolic link that is the last component, found by the caller in `place`, to the parent of where it leads. Nil: the link was a
    /// magic one, and `place` is the target itself.
    mutating func followLast(_ link: Inode, trailingSlash: Bool) throws(Errno) -> LastComponent? {
        guard let target = try follow(link) else { return nil }
        return try resolveParent((trailingSlash ? target + [slash] : target).span)
    }

    private enum Step {
        /// The path is at its end and `place` is the result.
        case done
        case last(LastComponent)
        /// A link was met: the bytes to go on with from `place`.
        case link([UInt8])
    }

    private mutating func walk(_ path: borrowing Span<UInt8>, parent: Bool) throws(Errno) -> Step {
        let count = path.count
        if count >= PathLimit.PATH_MAX, links == 0 { throw .ENAMETOOLONG }
        fresh = 0
        var position = 0
        if path[0] == slash {
            if options.contains(.beneath) { throw .EXDEV }
            // Mostly it is not asked for again.
            let root = knownRoot ?? currentRoot
            if options.contains(.noCrossing), place.mount !== root.mount { throw .EXDEV }
            place = root
            position = skipSlashes(path, 0)
        }
        while position < count {
            var end = position &+ 1
            while end < count, path[end] != slash { end &+= 1 }
            let name = position..<end
            position = skipSlashes(path, end)
            let isLast = position == count

            let here = place.dentry
            guard let directory = here.inode, directory.type == .directory else { throw .ENOTDIR }
            try directory.checkAccess(.execute, context)
            let isDot = path[name.lowerBound] == dot && name.count == 1
            let isDotDot = !isDot && name.count == 2 && path[name.lowerBound] == dot && path[name.lowerBound &+ 1] == dot
            if parent, isLast {
                if name.count > PathLimit.NAME_MAX { throw .ENAMETOOLONG }
                let kind: LastComponent.Kind = isDot ? .dot : isDotDot ? .dotDot : .normal
                return .last(LastComponent(kind: kind, name: bytes(of: path, name), hasTrailingSlash: position > end))
            }
            if isDot { continue }
            if isDotDot {
                try up()
                continue
            }
            if name.count > PathLimit.NAME_MAX { throw .ENAMETOOLONG }
            let next = try child(path, name, in: directory, of: here)
            if next.isMountPoint {
                let top = try cross(next)
                if let rest = try enter(top.dentry, of: top.mount, path, end: end, next: position) { return .link(rest) }
            } else if let rest = try enter(next, of: nil, path, end: end, next: position) {
                return .link(rest)
            }
            if isLast, position > end, place.dentry.inode?.type != .directory { throw .ENOTDIR }
        }
        return .done
    }

    /// Moves `place` to a component that ends before `end`, of the mount that lies there if any, or follows it when it is a link to be followed: the bytes to go on
    /// with then. `position`: where the next component begins.
    @inline(__always) private mutating func enter(
        _ dentry: Dentry, of mount: Mount?, _ path: borrowing Span<UInt8>, end: Int, next position: Int
    ) throws(Errno) -> [UInt8]? {
        guard let type = dentry.inode?.type else { throw .ENOENT }
        let isLast = position == path.count
        guard type == .symlink, !isLast || position > end || options.contains(.follow) else {
            if let mount { place.mount = mount }
            place.dentry = dentry
            return nil
        }
        if (mount ?? place.mount).flags.contains(.noSymlinkFollow) { throw .ELOOP }
        // The link's own directory stays the place that its text starts from.
        guard let link = dentry.inode, let target = try follow(link) else { return nil }
        return isLast ? (position > end ? target + [slash] : target) : target + bytes(of: path, end..<path.count)
    }

    /// Follows a link: its text, or nil for a magic link, which moved `place`.
    private mutating func follow(_ link: Inode) throws(Errno) -> [UInt8]? {
        links += 1
        if links > PathLimit.MAXSYMLINKS || options.contains(.noSymlinks) { throw .ELOOP }
        switch try link.followLink(context) {
        case .path(let target):
            if target.isEmpty { throw .ENOENT }
            return target
        case .place(let target):
            if options.contains(.noMagicLinks) { throw .ELOOP }
            if !options.isDisjoint(with: [.beneath, .inRoot]) { throw .EXDEV }
            if options.contains(.noCrossing), target.mount !== place.mount { throw .EXDEV }
            place = target
            return nil
        }
    }

    /// "..": the parent, across mounts, stopping at the root.
    private mutating func up() throws(Errno) {
        if options.contains(.beneath), let start, place === start { throw .EXDEV }
        let root = root
        if !options.isDisjoint(with: [.beneath, .inRoot]), Dentry.renames.load(ordering: .acquiring) != renames { throw .EAGAIN }
        while true {
            if place === root { return }
            if place.dentry !== place.mount.root { break }
            guard let covered = place.mount.covered else { return }
            if options.contains(.noCrossing) { throw .EXDEV }
            place = covered
        }
        guard let parent = place.dentry.parent else { return }
        let next = Path(mount: place.mount, dentry: parent)
        let top = next.topmost()
        if options.contains(.noCrossing), top.mount !== next.mount { throw .EXDEV }
        place = top
    }

    /// What is mounted on a child of `place`.
    private func cross(_ dentry: Dentry) throws(Errno) -> Path {
        let here = Path(mount: place.mount, dentry: dentry)
        let top = here.topmost()
        if options.contains(.noCrossing), top.mount !== here.mount { throw .EXDEV }
        return top
    }

    /// One component of `place`, which is `parent`: from the cache if it may be used, else from the file system; without what is mounted on it.
    private mutating func child(_ path: borrowing Span<UInt8>, _ name: Range<Int>, in directory: Inode, of parent: Dentry) throws(Errno)
        -> Dentry
    {
        let hash = NameHash.hash(path, name)
        if let found = parent.child(path, name, hash: hash) {
            if fresh > 0 {
                fresh -= 1
                return found
            }
            if directory.cachesNames || found.isMountPoint || directory.revalidate(bytes(of: path, name), found.inode, context) {
                return found
            }
        }
        if options.contains(.cachedOnly) { throw .EAGAIN }
        return try lookUp(path, name, hash, in: directory)
    }

    /// Asks the file system for a component, and with it for as many of the following ones as it takes at once.
    private mutating func lookUp(_ path: borrowing Span<UInt8>, _ name: Range<Int>, _ hash: UInt64, in directory: Inode) throws(Errno)
        -> Dentry
    {
        var names = [bytes(of: path, name)]
        let depth = directory.walkDepth
        var position = skipSlashes(path, name.upperBound)
        while names.count < depth, position < path.count {
            var end = position
            while end < path.count, path[end] != slash { end &+= 1 }
            let next = bytes(of: path, position..<end)
            if next == [dot] || next == [dot, dot] || next.count > PathLimit.NAME_MAX { break }
            names.append(next)
            position = skipSlashes(path, end)
        }
        let (dentry, count) = try Self.lookUp(names, in: place.dentry, directory, context)
        fresh = count
        return dentry
    }

    /// Looks `names` up below `parent`, one inside the other, and caches what is found: the dentry of the first (negative when there is none), and
    /// how many further ones were found too.
    private static func lookUp(_ names: [[UInt8]], in parent: Dentry, _ directory: Inode, _ context: any FileContext) throws(Errno)
        -> (Dentry, Int)
    {
        let fileSystem = directory.fileSystem
        return try directory.directoryLock.withLock { _ throws(Errno) in
            let cached = parent.child(names[0])
            if let cached, directory.cachesNames { return (cached, 0) }
            if parent.isDeleted { return (Dentry(parent: parent, name: names[0], inode: nil), 0) }
            let changes = fileSystem.nameChanges.load(ordering: .acquiring)
            let inodes: [Inode]
            do throws(Errno) { inodes = try directory.walk(names[...], context) } catch {
                if error == .ENOENT { inodes = [] } else { throw error }
            }
            let first = remember(names[0], inodes.first, in: parent, cached)
            var dentry = first
            var known = 0
            // What lies deeper was seen without those directories' locks: it is good only if no name changed meanwhile.
            guard names.count > 1, !inodes.isEmpty, fileSystem.nameChanges.load(ordering: .acquiring) == changes else { return (first, 0) }
            while known + 1 < names.count, !dentry.isMountPoint, let inode = dentry.inode, inode.type == .directory {
                let next = known + 1
                let found = next < inodes.count ? inodes[next] : nil
                dentry = remember(names[next], found, in: dentry, dentry.child(names[next]))
                known = next
                if found == nil { break }
            }
            return (first, known)
        }
    }

    /// The cached dentry if it still says the same, else a new one.
    static func remember(_ name: [UInt8], _ inode: Inode?, in parent: Dentry, _ cached: Dentry?) -> Dentry {
        if let cached {
            if cached.inode === inode || cached.isMountPoint { return cached }
            parent.drop(cached, deleted: true)
        }
        return parent.addChild(name, inode)
    }

    /// The child called `name` of `parent`, looked up with the directory's lock held by the caller; negative when there is none.
    static func lookUpLocked(_ name: [UInt8], in parent: Dentry, _ directory: Inode, _ context: any FileContext) throws(Errno) -> Dentry {
        let cached = parent.child(name)
        if let cached, directory.cachesNames || cached.isMountPoint || directory.revalidate(name, cached.inode, context) { return cached }
        if parent.isDeleted { throw .ENOENT }
        let inode: Inode?
        do throws(Errno) { inode = try directory.lookup(name, context) } catch { if error == .ENOENT { inode = nil } else { throw error } }
        return remember(name, inode, in: parent, cached)
    }

    /// The child called `name` of `place`, by the cache if it may be used.
    func child(_ name: [UInt8]) throws(Errno) -> Path {
        guard let directory = place.dentry.inode else { throw .ENOTDIR }
        let dentry: Dentry
        if directory.cachesNames, let cached = place.dentry.child(name) {
            dentry = cached
        } else {
            if options.contains(.cachedOnly) { throw .EAGAIN }
            let parent = place.dentry
            dentry = try directory.directoryLock.withLock { _ throws(Errno) in
                try Self.lookUpLocked(name, in: parent, directory, context)
            }
        }
        return dentry.isMountPoint ? try cross(dentry) : Path(mount: place.mount, dentry: dentry)
    }

    @inline(__always) private func skipSlashes(_ path: borrowing Span<UInt8>, _ start: Int) -> Int {
        var position = start
        while position < path.count, path[position] == slash { position &+= 1 }
        return position
    }

    private func bytes(of path: borrowing Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(range.count)
        for index in range { result.append(path[index]) }
        return result
    }
}

private let slash = UInt8(ascii: "/")
private let dot = UInt8(ascii: ".")

import Host
public import LinuxABI
import Synchronization

/// The operations on paths. Each takes where relative paths start, the path's bytes, and on whose behalf it runs; and does everything Linux does
/// above its file systems: walking, permissions, mount flags, the dentry cache, inotify events.
public enum VFS {
    /// Resolves `path`; the result exists.
    public static func resolve(
        _ path: borrowing Span<UInt8>, at start: consuming Path, _ options: ResolveOptions, _ context: any FileContext
    )
        throws(Errno)
        -> Path
    {
        var resolver = PathResolver(at: start, options: options, context)
        try resolver.resolve(path)
        return resolver.place
    }

    /// open(2), openat(2), openat2(2). `mode`: permission bits of a new file, before the umask. `resolve`: the RESOLVE_ bits only.
    public static func open(
        _ path: borrowing Span<UInt8>, at start: Path, flags: OpenFlags, mode: UInt32 = 0, resolve: ResolveOptions = [],
        _ context: any FileContext
    ) throws(Errno) -> FileDescription {
        var options = resolve
        if !flags.contains(.O_NOFOLLOW) { options.insert(.follow) }
        if flags.contains(.O_PATH) {
            if flags.contains(.O_DIRECTORY) { options.insert(.directory) }
            let place = try self.resolve(path, at: start, options, context)
            return PathFile(path: place, flags: flags.intersection([.O_PATH, .O_DIRECTORY, .O_NOFOLLOW]))
        }
        if flags.contains(.O_TMPFILE) {
            guard flags.isWritable else { throw .EINVAL }
            let directory = try self.resolve(path, at: start, options.union(.directory), context)
            return try openUnnamed(in: directory, flags: flags, mode: mode, context)
        }
        if flags.contains(.O_CREAT) { return try openCreating(path, at: start, flags: flags, mode: mode, options, context) }
        if flags.contains(.O_DIRECTORY) { options.insert(.directory) }
        // With O_NOFOLLOW and O_DIRECTORY a link is ENOTDIR, without O_DIRECTORY it is ELOOP.
        let place = try self.resolve(path, at: start, options, context)
        return try open(place, flags: flags, context)
    }

    /// Opens what a path led to: open(2) without its path.
    public static func open(_ place: Path, flags: OpenFlags, isNew: Bool = false, _ context: any FileContext) throws(Errno)
        -> FileDescription
    {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        switch inode.type {
        case .symlink: throw .ELOOP
        case .directory:
            if flags.isWritable || flags.contains(.O_CREAT) || flags.contains(.O_TRUNC) { throw .EISDIR }
        case .block, .character:
            if place.mount.flags.contains(.noDevices) { throw .EACCES }
        case .regular:
            if flags.isWritable || flags.contains(.O_TRUNC), !isNew, place.mount.isReadOnly { throw .EROFS }
        case .fifo, .socket: break
        }
        if !isNew {
            var access: Access = []
            if flags.isReadable { access.insert(.read) }
            if flags.isWritable || flags.contains(.O_TRUNC) { access.insert(.write) }
            try inode.checkAccess(access, context)
            if flags.contains(.O_NOATIME) {
                let attributes = try inode.attributes(context)
                guard context.credentials.owns(attributes) || context.credentials.has(.CAP_FOWNER, over: attributes) else { throw .EPERM }
            }
        }
        // Only regular files are truncated; O_TRUNC means nothing to the others.
        let flags = inode.type == .regular && !isNew ? flags : flags.subtracting(.O_TRUNC)
        let file = try inode.open(place, flags: flags, context)
        if FileWatchers.anyone {
            if flags.contains(.O_TRUNC) { place.dentry.notify(.modify) }
            place.dentry.notify(.open)
        }
        return file
    }

    private static func openCreating(
        _ path: borrowing Span<UInt8>, at start: Path, flags: OpenFlags, mode: UInt32, _ options: ResolveOptions, _ context: any FileContext
    ) throws(Errno) -> FileDescription {
        if flags.contains(.O_DIRECTORY) { throw .EINVAL }
        var resolver = PathResolver(at: start, options: options, context)
        var last = try resolver.resolveParent(path)
        while true {
            guard last.kind == .normal else { throw flags.contains(.O_EXCL) ? .EEXIST : .EISDIR }
            if last.hasTrailingSlash { throw .EISDIR }
            var place = try resolver.child(last.name)
            if place.dentry.inode == nil {
                let parent = resolver.place
                let (dentry, isNew) = try createIfMissing(last.name, in: parent, mode: mode, context)
                if isNew { return try open(Path(mount: parent.mount, dentry: dentry), flags: flags, isNew: true, context) }
                place = Path(mount: parent.mount, dentry: dentry).topmost()
            }
            guard let inode = place.dentry.inode else { throw .ENOENT }
            if flags.contains(.O_EXCL) { throw .EEXIST }
            if inode.type == .symlink {
                guard options.contains(.follow), !place.mount.flags.contains(.noSymlinkFollow) else { throw .ELOOP }
                guard let next = try resolver.followLast(inode, trailingSlash: false) else {
                    return try open(resolver.place, flags: flags, context)
                }
                last = next
                continue
            }
            if inode.type == .directory { throw .EISDIR }
            return try open(place, flags: flags, context)
        }
    }

    /// Makes a regular file unless the name exists by now.
    private static func createIfMissing(_ name: [UInt8], in parent: Path, mode: UInt32, _ context: any FileContext) throws(Errno)
        -> (Dentry, Bool)
    {
        guard let directory = parent.dentry.inode else { throw .ENOENT }
        return try directory.directoryLock.withLock { _ throws(Errno) in
            let found = try PathResolver.lookUpLocked(name, in: parent.dentry, directory, context)
            if found.inode != nil { return (found, false) }
            if directory.fileSystem.refusesNewNames { throw .ENOENT }
            try checkCreation(in: parent, directory, context)
            let inode: Inode
            do throws(Errno) {
                inode = try changingNames(directory) { () throws(Errno) in
                    try directory.create(name, mode: permissions(mode, context), context)
                }
            } catch {
                // Somebody outside the sandbox was faster: what he made is opened.
                guard error == .EEXIST else { throw error }
                return (PathResolver.remember(name, try directory.lookup(name, context), in: parent.dentry, found), false)
            }
            return (established(name, inode, in: parent.dentry), true)
        }
    }

    private static func openUnnamed(in directory: Path, flags: OpenFlags, mode: UInt32, _ context: any FileContext) throws(Errno)
        -> FileDescription
    {
        guard let inode = directory.dentry.inode, inode.type == .directory else { throw .ENOTDIR }
        if directory.mount.isReadOnly { throw .EROFS }
        try inode.checkAccess([.write, .execute], context)
        let file = try inode.createUnnamed(mode: permissions(mode, context), context)
        let number = try file.attributes(context).inode
        let dentry = Dentry(parent: directory.dentry, name: Array("#\(number)".utf8), inode: file)
        dentry.state.withLock { $0.isDeleted = true }
        let flags = flags.subtracting(.O_TMPFILE)
        return try open(Path(mount: directory.mount, dentry: dentry), flags: flags, isNew: true, context)
    }

    // MARK: Shared by the operations that change names

    /// The mode of a new file.
    static func permissions(_ mode: UInt32, _ context: any FileContext) -> UInt32 {
        mode & 0o7777 & ~(context.fileSystemContext?.umask ?? 0)
    }

    /// What creating an entry needs: a writable mount, a living directory, permission to write and search it.
    static func checkCreation(in parent: Path, _ directory: Inode, _ context: any FileContext) throws(Errno) {
        if parent.mount.isReadOnly { throw .EROFS }
        if parent.dentry.isDeleted { throw .ENOENT }
        try directory.checkAccess([.write, .execute], context)
    }

    /// Runs a change of names of `directory`'s file system, telling concurrent look-ups of several components.
    static func changingNames<R: ~Copyable>(_ directory: Inode, _ body: () throws(Errno) -> sending R) throws(Errno) -> R {
        let counter = directory.fileSystem
        counter.nameChanges.add(1, ordering: .acquiringAndReleasing)
        defer { counter.nameChanges.add(1, ordering: .acquiringAndReleasing) }
        return try body()
    }

    /// The dentry of an entry that was just made, over the negative one.
    static func established(_ name: [UInt8], _ inode: Inode, in parent: Dentry) -> Dentry {
        let dentry = parent.addChild(name, inode)
        parent.notifyEntry(.create, name, isDirectory: inode.type == .directory)
        return dentry
    }
}

/// A file opened with O_PATH: a place that the calls with a directory descriptor start from, and nothing else.
public final class PathFile: FileDescription, @unchecked Sendable {
    override public var isPathOnly: Bool { true }
    override public func readiness(_ mask: PollEvents) -> PollEvents { .POLLNVAL }
    override public var isPollable: Bool { false }
}

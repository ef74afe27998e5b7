import Host
public import LinuxABI

extension VFS {
    /// Resolves the parent of a name that is to be made and runs `make` with the directory's lock held. EEXIST when the name exists.
    private static func makeEntry(
        _ path: borrowing Span<UInt8>, at start: Path, isDirectory: Bool, _ context: any FileContext,
        _ make: (Inode, [UInt8]) throws(Errno) -> Inode
    ) throws(Errno) -> Path {
        var resolver = PathResolver(at: start, options: [], context)
        let last = try resolver.resolveParent(path)
        guard last.kind == .normal else { throw .EEXIST }
        let parent = resolver.place
        guard let directory = parent.dentry.inode else { throw .ENOENT }
        let dentry = try directory.directoryLock.withLock { _ throws(Errno) in
            let found = try PathResolver.lookUpLocked(last.name, in: parent.dentry, directory, context)
            if found.inode != nil { throw .EEXIST }
            if directory.fileSystem.refusesNewNames { throw .ENOENT }
            if last.hasTrailingSlash, !isDirectory { throw .ENOENT }
            try checkCreation(in: parent, directory, context)
            let inode = try changingNames(directory) { () throws(Errno) in try make(directory, last.name) }
            return established(last.name, inode, in: parent.dentry)
        }
        return Path(mount: parent.mount, dentry: dentry)
    }

    /// mkdir(2). The result is the new directory.
    @discardableResult
    public static func makeDirectory(_ path: borrowing Span<UInt8>, at start: Path, mode: UInt32, _ context: any FileContext) throws(Errno)
        -> Path
    {
        try makeEntry(path, at: start, isDirectory: true, context) { directory, name throws(Errno) in
            try directory.makeDirectory(name, mode: permissions(mode & 0o1777, context), context)
        }
    }

    /// mknod(2): `mode` with its type bits; a type of 0 is a regular file. Device nodes need CAP_MKNOD.
    @discardableResult
    public static func makeNode(_ path: borrowing Span<UInt8>, at start: Path, mode: UInt32, device: UInt64, _ context: any FileContext)
        throws(Errno) -> Path
    {
        let bits = mode & FileMode.S_IFMT
        guard let type = bits == 0 ? .regular : FileType(rawValue: bits) else { throw .EINVAL }
        switch type {
        case .directory: throw .EPERM
        case .symlink: throw .EINVAL
        case .regular, .fifo, .socket, .character, .block: break
        }
        return try makeEntry(path, at: start, isDirectory: false, context) { directory, name throws(Errno) in
            // After the directory's own permissions: those are asked first. 0:0 is overlayfs's whiteout, which anybody may make.
            if type == .block || type == .character && device != 0, !context.credentials.hasGlobally(.CAP_MKNOD) { throw .EPERM }
            let permissions = permissions(mode, context)
            if type == .regular { return try directory.create(name, mode: permissions, context) }
            return try directory.makeNode(name, type: type, mode: permissions, device: device, context)
        }
    }

    /// symlink(2).
    @discardableResult
    public static func symlink(_ target: [UInt8], _ path: borrowing Span<UInt8>, at start: Path, _ context: any FileContext) throws(Errno)
        -> Path
    {
        if target.isEmpty { throw .ENOENT }
        return try makeEntry(path, at: start, isDirectory: false, context) { directory, name throws(Errno) in
            try directory.symlink(name, target: target, context)
        }
    }

    /// link(2): a further name for `source`.
    public static func link(_ source: Path, _ path: borrowing Span<UInt8>, at start: Path, _ context: any FileContext) throws(Errno) {
        guard let target = source.dentry.inode else { throw .ENOENT }
        var resolver = PathResolver(at: start, options: [], context)
        let last = try resolver.resolveParent(path)
        guard last.kind == .normal else { throw .EEXIST }
        let parent = resolver.place
        guard let directory = parent.dentry.inode else { throw .ENOENT }
        try directory.directoryLock.withLock { _ throws(Errno) in
            let found = try PathResolver.lookUpLocked(last.name, in: parent.dentry, directory, context)
            if found.inode != nil { throw .EEXIST }
            if directory.fileSystem.refusesNewNames { throw .ENOENT }
            if last.hasTrailingSlash { throw .ENOENT }
            guard
                source.mount === parent.mount
                    || source.mount.fileSystem === parent.mount.fileSystem && source.mount.root === parent.mount.root,
                target.fileSystem === directory.fileSystem
            else { throw .EXDEV }
            try checkHardLink(target, context)
            try checkCreation(in: parent, directory, context)
            if target.type == .directory { throw .EPERM }
            try changingNames(directory) { () throws(Errno) in try directory.link(last.name, to: target, context) }
            _ = parent.dentry.addChild(last.name, target)
        }
        parent.dentry.notifyEntry(.create, last.name, isDirectory: false)
        source.dentry.notify(.attributes)
    }

    /// fs.protected_hardlinks: only the owner links a file that he could not read and write, or that is not regular, or set-ID.
    private static func checkHardLink(_ target: Inode, _ context: any FileContext) throws(Errno) {
        let attributes = try target.attributes(context)
        if context.credentials.owns(attributes) || context.credentials.has(.CAP_FOWNER, over: attributes) { return }
        let isSetGroup = attributes.mode & (FileMode.S_ISGID | FileMode.S_IXGRP) == FileMode.S_ISGID | FileMode.S_IXGRP
        guard attributes.type == .regular, attributes.mode & FileMode.S_ISUID == 0, !isSetGroup else { throw .EPERM }
        do throws(Errno) { try target.checkAccess([.read, .write], context) } catch { throw .EPERM }
    }

    /// unlink(2).
    public static func unlink(_ path: borrowing Span<UInt8>, at start: Path, _ context: any FileContext) throws(Errno) {
        var resolver = PathResolver(at: start, options: [], context)
        let last = try resolver.resolveParent(path)
        guard last.kind == .normal else { throw .EISDIR }
        let parent = resolver.place
        guard let directory = parent.dentry.inode else { throw .ENOENT }
        let victim = try directory.directoryLock.withLock { _ throws(Errno) in
            let victim = try PathResolver.lookUpLocked(last.name, in: parent.dentry, directory, context)
            guard let child = victim.inode else { throw .ENOENT }
            if last.hasTrailingSlash { throw child.type == .directory ? .EISDIR : .ENOTDIR }
            try checkRemoval(of: victim, child, from: parent, directory, context)
            if child.type == .directory { throw .EISDIR }
            try changingNames(directory) { () throws(Errno) in try directory.unlink(last.name, child, context) }
            parent.dentry.removed(victim, remember: directory.cachesNames)
            return victim
        }
        notifyRemoval(of: victim, last.name, from: parent.dentry, isDirectory: false, context)
    }

    /// rmdir(2).
    public static func removeDirectory(_ path: borrowing Span<UInt8>, at start: Path, _ context: any FileContext) throws(Errno) {
        var resolver = PathResolver(at: start, options: [], context)
        let last = try resolver.resolveParent(path)
        switch last.kind {
        case .normal: break
        case .dot: throw .EINVAL
        case .dotDot: throw .ENOTEMPTY
        case .root: throw .EBUSY
        }
        let parent = resolver.place
        guard let directory = parent.dentry.inode else { throw .ENOENT }
        let victim = try directory.directoryLock.withLock { _ throws(Errno) in
            let victim = try PathResolver.lookUpLocked(last.name, in: parent.dentry, directory, context)
            guard let child = victim.inode else { throw .ENOENT }
            try checkRemoval(of: victim, child, from: parent, directory, context)
            guard child.type == .directory else { throw .ENOTDIR }
            // The victim's own lock keeps new entries out while it goes.
            try child.directoryLock.withLock { _ throws(Errno) in
                try changingNames(directory) { () throws(Errno) in try directory.removeDirectory(last.name, child, context) }
                victim.state.withLock { $0.isDeleted = true }
            }
            victim.dropTree()
            parent.dentry.removed(victim, remember: directory.cachesNames)
            return victim
        }
        notifyRemoval(of: victim, last.name, from: parent.dentry, isDirectory: true, context)
    }

    private static func notifyRemoval(
        of victim: Dentry, _ name: [UInt8], from parent: Dentry, isDirectory: Bool, _ context: any FileContext
    ) {
        guard FileWatchers.anyone, let inode = victim.inode else { return }
        if let watchers = inode.existingWatchers {
            let isGone = isDirectory || ((try? inode.attributes(context).links) ?? 0) == 0
            watchers.notify(isGone ? .deleteSelf : .attributes)
        }
        parent.notifyEntry(.delete, name, isDirectory: isDirectory)
    }

    /// What removing an entry needs (Linux: may_delete).
    private static func checkRemoval(of victim: Dentry, _ child: Inode, from parent: Path, _ directory: Inode, _ context: any FileContext)
        throws(Errno)
    {
        if parent.mount.isReadOnly { throw .EROFS }
        try directory.checkAccess([.write, .execute], context)
        try checkSticky(directory, child, context)
        if victim.isMountPoint { throw .EBUSY }
    }

    /// The restricted deletion flag: in a sticky directory only the owner of the entry or of the directory removes or renames it.
    private static func checkSticky(_ directory: Inode, _ child: Inode, _ context: any FileContext) throws(Errno) {
        let attributes = try directory.attributes(context)
        guard attributes.mode & FileMode.S_ISVTX != 0 else { return }
        if context.credentials.owns(attributes) { return }
        let victim = try child.attributes(context)
        guard context.credentials.owns(victim) || context.credentials.has(.CAP_FOWNER, over: victim) else { throw .EPERM }
    }

    /// renameat2(2). `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT.
    public static func rename(
        _ oldPath: borrowing Span<UInt8>, at oldStart: Path, to newPath: borrowing Span<UInt8>, at newStart: Path, flags: UInt32 = 0,
        _ context: any FileContext
    ) throws(Errno) {
        let exchange = flags & RenameFlag.RENAME_EXCHANGE != 0
        let noReplace = flags & RenameFlag.RENAME_NOREPLACE != 0
        let whiteout = flags & RenameFlag.RENAME_WHITEOUT != 0
        guard flags & ~7 == 0, !exchange || !noReplace && !whiteout else { throw .EINVAL }
        if whiteout, !context.credentials.hasGlobally(.CAP_MKNOD) { throw .EPERM }

        var oldResolver = PathResolver(at: oldStart, options: [], context)
        let oldLast = try oldResolver.resolveParent(oldPath)
        var newResolver = PathResolver(at: newStart, options: [], context)
        let newLast = try newResolver.resolveParent(newPath)
        let source = oldResolver.place, target = newResolver.place
        guard source.mount === target.mount else { throw .EXDEV }
        guard oldLast.kind == .normal else { throw .EBUSY }
        guard newLast.kind == .normal else { throw noReplace ? .EEXIST : .EBUSY }
        let change = Renaming(
            source: source, oldName: oldLast.name, target: target, newName: newLast.name, exchange: exchange, noReplace: noReplace,
            whiteout: whiteout, needsDirectory: (oldLast.hasTrailingSlash, newLast.hasTrailingSlash))
        guard let oldDirectory = source.dentry.inode, let newDirectory = target.dentry.inode else { throw .ENOENT }

        if oldDirectory === newDirectory {
            try oldDirectory.directoryLock.withLock { _ throws(Errno) in try change.run(oldDirectory, newDirectory, context) }
            return
        }
        // Two directories: one such rename at a time in the file system, then the ancestor's lock first.
        try oldDirectory.fileSystem.renameLock.withLock { _ throws(Errno) in
            let newIsAbove = source.dentry.isBelow(target.dentry)
            let (first, second) = newIsAbove ? (newDirectory, oldDirectory) : (oldDirectory, newDirectory)
            try first.directoryLock.withLock { _ throws(Errno) in
                try second.directoryLock.withLock { _ throws(Errno) in try change.run(oldDirectory, newDirectory, context) }
            }
        }
    }

    /// A rename whose directories are locked.
    private struct Renaming {
        let source: Path
        let oldName: [UInt8]
        let target: Path
        let newName: [UInt8]
        let exchange, noReplace, whiteout: Bool
        /// A trailing slash stood after the old and the new name.
        let needsDirectory: (old: Bool, new: Bool)

        func run(_ oldDirectory: Inode, _ newDirectory: Inode, _ context: any FileContext) throws(Errno) {
            let moved = try PathResolver.lookUpLocked(oldName, in: source.dentry, oldDirectory, context)
            guard let child = moved.inode else { throw .ENOENT }
            let replaced = try PathResolver.lookUpLocked(newName, in: target.dentry, newDirectory, context)
            let victim = replaced.inode
            if noReplace, victim != nil { throw .EEXIST }
            if victim == nil, exchange || newDirectory.fileSystem.refusesNewNames { throw .ENOENT }
            let isDirectory = child.type == .directory
            if !isDirectory, needsDirectory.old || !exchange && needsDirectory.new { throw .ENOTDIR }
            if exchange, needsDirectory.new, victim?.type != .directory { throw .ENOTDIR }
            // Neither may lie inside the other.
            if isDirectory, target.dentry.isBelow(moved) { throw .EINVAL }
            if victim?.type == .directory, source.dentry.isBelow(replaced) { throw exchange ? .EINVAL : .ENOTEMPTY }
            if let victim, victim === child, !exchange || moved === replaced { return }

            try VFS.checkRemoval(of: moved, child, from: source, oldDirectory, context)
            if let victim {
                try VFS.checkRemoval(of: replaced, victim, from: target, newDirectory, context)
                if !exchange {
                    if isDirectory, victim.type != .directory { throw .ENOTDIR }
                    if !isDirectory, victim.type == .directory { throw .EISDIR }
                }
            } else {
                try VFS.checkCreation(in: target, newDirectory, context)
            }
            // Moving a directory to another parent rewrites its "..".
            if oldDirectory !== newDirectory {
                if isDirectory { try child.checkAccess(.write, context) }
                if exchange, let victim, victim.type == .directory { try victim.checkAccess(.write, context) }
            }

            if let victim, victim.type == .directory, !exchange {
                // Its own lock keeps new entries out while it goes.
                try victim.directoryLock.withLock { _ throws(Errno) in
                    try rename(oldDirectory, child, newDirectory, victim, context)
                    replaced.state.withLock { $0.isDeleted = true }
                }
            } else {
                try rename(oldDirectory, child, newDirectory, victim, context)
            }
            source.dentry.move(moved, to: target.dentry, name: newName, exchanged: exchange ? replaced : nil)
            if !exchange {
                if victim?.type == .directory { replaced.dropTree() }
                if oldDirectory.cachesNames, !whiteout { _ = source.dentry.addChild(oldName, nil) }
            }
            notify(moved, child, replaced, context)
        }

        private func rename(_ oldDirectory: Inode, _ child: Inode, _ newDirectory: Inode, _ victim: Inode?, _ context: any FileContext)
            throws(Errno)
        {
            try VFS.changingNames(oldDirectory) { () throws(Errno) in
                try oldDirectory.rename(
                    oldName, child, to: newDirectory, newName, replacing: victim, exchange: exchange, whiteout: whiteout, context)
            }
        }

        private func notify(_ moved: Dentry, _ child: Inode, _ replaced: Dentry, _ context: any FileContext) {
            guard FileWatchers.anyone else { return }
            let cookie = FileWatchers.nextCookie()
            let isDirectory = child.type == .directory
            source.dentry.notifyEntry(.movedFrom, oldName, isDirectory: isDirectory, cookie: cookie)
            target.dentry.notifyEntry(.movedTo, newName, isDirectory: isDirectory, cookie: cookie)
            child.existingWatchers?.notify(.moveSelf)
            guard let victim = replaced.inode else { return }
            if exchange {
                let second = FileWatchers.nextCookie()
                target.dentry.notifyEntry(.movedFrom, newName, isDirectory: victim.type == .directory, cookie: second)
                source.dentry.notifyEntry(.movedTo, oldName, isDirectory: victim.type == .directory, cookie: second)
                victim.existingWatchers?.notify(.moveSelf)
            } else if let watchers = victim.existingWatchers {
                let isGone = victim.type == .directory || ((try? victim.attributes(context).links) ?? 0) == 0
                watchers.notify(isGone ? .deleteSelf : .attributes)
            }
        }
    }

    /// readlink(2): EINVAL for what is no link. `path` may be empty when `options` has `.emptyPath`.
    public static func readLink(_ path: borrowing Span<UInt8>, at start: Path, _ options: ResolveOptions = [], _ context: any FileContext)
        throws(Errno) -> [UInt8]
    {
        let place = try resolve(path, at: start, options.subtracting(.follow), context)
        guard let inode = place.dentry.inode else { throw .ENOENT }
        guard inode.type == .symlink else { throw path.isEmpty ? .ENOENT : .EINVAL }
        return try inode.readLink(context)
    }
}

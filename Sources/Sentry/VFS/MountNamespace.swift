import Host
public import LinuxABI
import Synchronization

/// A tree of mounts (mount_namespaces(7)). All mounts are private: nothing propagates. Lock order: the namespace's lock, then a mount's, then a dentry's.
public final class MountNamespace: Sendable {
    private struct Tree {
        var rootMount: Mount
        /// How many mounts there are.
        var count = 1
    }
    /// Serialises changes.
    private let tree: Lock<Tree>
    /// The root of the tree.
    public var rootMount: Mount { tree.withLock { $0.rootMount } }
    public var root: Path {
        let mount = rootMount
        return Path(mount: mount, dentry: mount.root)
    }
    /// The most mounts of one namespace (fs.mount-max).
    public static let maximumMounts = 100_000
    /// Changes of the tree: pollers of /proc/PID/mounts watch it.
    public let changes = WaitQueue()
    private let generation = Atomic<UInt64>(0)

    /// A namespace whose root is `fileSystem`'s.
    public init(root fileSystem: FileSystem, source: [UInt8], flags: MountFlags = []) throws(Errno) {
        let mount = Mount(fileSystem: fileSystem, root: try fileSystem.rootDentry(), source: source, flags: flags)
        tree = Lock(Tree(rootMount: mount))
        mount.state.withLock { $0.namespace = self }
    }

    private init(rootMount: Mount) {
        tree = Lock(Tree(rootMount: rootMount))
        rootMount.state.withLock { $0.namespace = self }
    }

    deinit {
        // Break the cycles of parents and children, iteratively.
        var pending = [rootMount]
        while let mount = pending.popLast() { pending += detach(mount) }
    }

    /// How often the tree has changed.
    public var changeCount: UInt64 { generation.load(ordering: .acquiring) }

    private func changed() {
        generation.add(1, ordering: .acquiringAndReleasing)
        changes.notify([.POLLERR, .POLLPRI])
    }

    /// Mounts `fileSystem` on `target`: a directory on a directory, a file on a file.
    @discardableResult
    public func mount(_ fileSystem: FileSystem, at target: Path, source: [UInt8], flags: MountFlags = []) throws(Errno) -> Mount {
        let mount = Mount(fileSystem: fileSystem, root: try fileSystem.rootDentry(), source: source, flags: flags)
        try attach(mount, at: target)
        return mount
    }

    /// mount(2) with MS_BIND: shows `source` at `target` too. `recursive`: with what is mounted below it.
    @discardableResult
    public func bind(_ source: Path, at target: Path, recursive: Bool = false, flags: MountFlags? = nil) throws(Errno) -> Mount {
        let copy = Self.copy(of: source.mount, root: source.dentry, flags: flags)
        if recursive { try copyChildren(of: source, to: copy) }
        try attach(copy, at: target)
        return copy
    }

    private static func copy(of mount: Mount, root: Dentry, flags: MountFlags? = nil) -> Mount {
        Mount(fileSystem: mount.fileSystem, root: root, source: mount.source, flags: flags ?? mount.flags)
    }

    /// Copies what is mounted below `source` onto `copy`, which is not attached yet.
    private func copyChildren(of source: Path, to copy: Mount) throws(Errno) {
        var pending = [(source.mount, copy, source.dentry as Dentry?)]
        while let (from, to, below) = pending.popLast() {
            for child in from.state.withLock({ Array($0.children.values) }) {
                guard let point = child.mountPoint, child !== copy else { continue }
                if let below, !point.isBelow(below) { continue }
                let childCopy = Self.copy(of: child, root: child.root)
                try tree.withLock { tree throws(Errno) in try link(childCopy, on: Path(mount: to, dentry: point), &tree.count) }
                pending.append((child, childCopy, nil))
            }
        }
    }

    /// Attaches a mount. ENOENT when the target was removed, ENOTDIR when the kinds differ.
    public func attach(_ mount: Mount, at target: Path) throws(Errno) {
        let isDirectory = mount.root.inode?.type == .directory
        try tree.withLock { tree throws(Errno) in
            let place = target.topmost()
            guard let inode = place.dentry.inode, !place.dentry.isDeleted else { throw .ENOENT }
            guard (inode.type == .directory) == isDirectory else { throw .ENOTDIR }
            try link(mount, on: place, &tree.count)
        }
        changed()
    }

    private func link(_ mount: Mount, on place: Path, _ count: inout Int) throws(Errno) {
        guard count < Self.maximumMounts else { throw .ENOSPC }
        count += 1
        mount.state.withLock { state in
            state.parent = place.mount
            state.mountPoint = place.dentry
            state.namespace = self
        }
        place.mount.state.withLock { $0.children[ObjectIdentifier(place.dentry)] = mount }
        place.dentry.mountCount.add(1, ordering: .acquiringAndReleasing)
    }

    /// mount(2) with MS_REMOUNT|MS_BIND: new per-mount flags for the mount whose root is `place`. EINVAL when it is none.
    public func remount(_ place: Path, flags: MountFlags) throws(Errno) {
        guard place.dentry === place.mount.root else { throw .EINVAL }
        place.mount.setFlags(flags)
        changed()
    }

    /// mount(2) with MS_MOVE.
    public func move(_ source: Path, to target: Path) throws(Errno) {
        guard source.dentry === source.mount.root, source.mount !== rootMount, source.mount.namespace === self else { throw .EINVAL }
        var ancestor: Mount? = target.mount
        while let mount = ancestor {
            if mount === source.mount { throw .ELOOP }
            ancestor = mount.parent
        }
        guard (source.dentry.inode?.type == .directory) == (target.dentry.inode?.type == .directory) else { throw .ENOTDIR }
        try tree.withLock { tree throws(Errno) in
            unlink(source.mount, &tree.count)
            try link(source.mount, on: target.topmost(), &tree.count)
        }
        changed()
    }

    /// Takes one mount off its place; its own children stay on it.
    private func unlink(_ mount: Mount, _ count: inout Int) {
        guard let place = mount.covered else { return }
        count -= 1
        place.mount.state.withLock { _ = $0.children.removeValue(forKey: ObjectIdentifier(place.dentry)) }
        place.dentry.mountCount.subtract(1, ordering: .acquiringAndReleasing)
        mount.state.withLock { state in
            state.parent = nil
            state.mountPoint = nil
            state.namespace = nil
        }
    }

    /// Unhooks the children of a mount that goes away; they are returned.
    private func detach(_ mount: Mount) -> [Mount] {
        let children = mount.state.withLock { state -> [Mount] in
            defer { state.children = [:] }
            state.namespace = nil
            return Array(state.children.values)
        }
        for child in children {
            child.state.withLock { state in
                state.mountPoint?.mountCount.subtract(1, ordering: .acquiringAndReleasing)
                state.parent = nil
                state.mountPoint = nil
                state.namespace = nil
            }
        }
        return children
    }

    /// umount2(2). EINVAL when `place` is not the root of a mount here; EBUSY when something is mounted on it or uses it, unless `lazily`.
    public func unmount(_ place: consuming Path, lazily: Bool) throws(Errno) {
        var mount: Mount? = place.mount
        guard place.dentry === place.mount.root, place.mount !== rootMount, place.mount.namespace === self else { throw .EINVAL }
        _ = consume place
        try unmount(&mount, lazily: lazily)
        changed()
    }

    private func unmount(_ mount: inout Mount?, lazily: Bool) throws(Errno) {
        guard let covered = mount?.covered else { throw .EINVAL }
        if !lazily {
            guard mount?.state.withLock({ $0.children.isEmpty }) == true else { throw .EBUSY }
        }
        try tree.withLock { tree throws(Errno) in
            if let taken = mount { unlink(taken, &tree.count) }
            if lazily {
                var pending = mount.map { [$0] } ?? []
                while let gone = pending.popLast() {
                    let children = detach(gone)
                    tree.count -= children.count
                    pending += children
                }
            } else if !Self.isSole(&mount), let used = mount {
                try link(used, on: covered, &tree.count)
                throw .EBUSY
            }
        }
    }

    private static func isSole(_ mount: inout Mount?) -> Bool { isKnownUniquelyReferenced(&mount) }

    /// pivot_root(2): `newRoot`, the root of a mount, becomes the root of the tree, and the old one is put on `oldPlace` at or below it. Moving tasks
    /// whose root or working directory was the old root is up to the caller. EBUSY when `newRoot` is the root already.
    public func pivot(to newRoot: Path, puttingOldAt oldPlace: Path) throws(Errno) {
        guard newRoot.dentry === newRoot.mount.root, newRoot.mount.namespace === self else { throw .EINVAL }
        let isReachable =
            oldPlace.mount === newRoot.mount && oldPlace.dentry.isBelow(newRoot.dentry) || oldPlace.mount.isMounted(below: newRoot.mount)
        guard isReachable else { throw .EINVAL }
        try tree.withLock { tree throws(Errno) in
            let oldRoot = tree.rootMount
            if newRoot.mount === oldRoot { throw .EBUSY }
            unlink(newRoot.mount, &tree.count)
            tree.rootMount = newRoot.mount
            newRoot.mount.state.withLock { $0.namespace = self }
            try link(oldRoot, on: oldPlace.topmost(), &tree.count)
        }
        changed()
    }

    /// A copy of the whole tree for CLONE_NEWNS, and a function that finds the place in it that corresponds to one here.
    public func copy() throws(Errno) -> (namespace: MountNamespace, translate: @Sendable (Path) -> Path) {
        let oldRoot = rootMount
        let root = Self.copy(of: oldRoot, root: oldRoot.root)
        let namespace = MountNamespace(rootMount: root)
        var copies: [ObjectIdentifier: Mount] = [ObjectIdentifier(oldRoot): root]
        var pending = [(oldRoot, root)]
        while let (from, to) = pending.popLast() {
            for child in from.state.withLock({ Array($0.children.values) }) {
                guard let point = child.mountPoint else { continue }
                let childCopy = Self.copy(of: child, root: child.root)
                try namespace.tree.withLock { tree throws(Errno) in
                    try namespace.link(childCopy, on: Path(mount: to, dentry: point), &tree.count)
                }
                copies[ObjectIdentifier(child)] = childCopy
                pending.append((child, childCopy))
            }
        }
        let map = copies
        return (namespace, { place in map[ObjectIdentifier(place.mount)].map { Path(mount: $0, dentry: place.dentry) } ?? place })
    }

    /// Every mount, a parent before its children, in the order of their identifiers below it.
    public var mounts: [Mount] {
        var result: [Mount] = []
        var pending = [rootMount]
        while let mount = pending.popLast() {
            result.append(mount)
            pending += mount.state.withLock { Array($0.children.values) }.sorted { $0.identifier > $1.identifier }
        }
        return result
    }
}

/// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
public struct MountListing: Sendable {
    public var identifier: UInt32
    public var parentIdentifier: UInt32
    public var device: UInt64
    /// The root of the mount within its file system.
    public var root: [UInt8]
    /// Where it is mounted, seen from the reader's root.
    public var mountPoint: [UInt8]
    /// `rw,nosuid,relatime`.
    public var mountOptions: String
    public var typeName: String
    public var source: [UInt8]
    /// `rw,size=65536k`.
    public var fileSystemOptions: String

    /// The line of /proc/PID/mounts, with its newline. Blanks in names are written in octal.
    public var mountsLine: [UInt8] {
        var line = Self.escape(source) + [0x20] + Self.escape(mountPoint) + [0x20] + Array(typeName.utf8) + [0x20]
        line += Array(mountOptions.utf8)
        let extra = fileSystemOptions.split(separator: ",").dropFirst()
        for option in extra { line += [0x2c] + Array(option.utf8) }
        return line + Array(" 0 0\n".utf8)
    }

    /// The line of /proc/PID/mountinfo, with its newline.
    public var mountInfoLine: [UInt8] {
        var line = Array("\(identifier) \(parentIdentifier) \(DeviceNumber.major(device)):\(DeviceNumber.minor(device)) ".utf8)
        line += Self.escape(root) + [0x20] + Self.escape(mountPoint) + [0x20] + Array(mountOptions.utf8)
        line += Array(" - \(typeName) ".utf8) + Self.escape(source) + [0x20] + Array(fileSystemOptions.utf8) + [0x0a]
        return line
    }

    /// Space, tab, newline, backslash and # as \ooo.
    static func escape(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.isEmpty { return Array("none".utf8) }
        var result: [UInt8] = []
        for byte in bytes {
            switch byte {
            case 0x20, 0x09, 0x0a, 0x5c, 0x23: result += [0x5c, 0x30 + (byte >> 6), 0x30 + (byte >> 3 & 7), 0x30 + (byte & 7)]
            default: result.append(byte)
            }
        }
        return result
    }
}

extension MountNamespace {
    /// The mounts that can be seen from `root` (a task's root directory).
    public func listing(from root: Path) -> [MountListing] {
        mounts.compactMap { mount in
            let place = Path(mount: mount, dentry: mount.root)
            guard let point = VFS.pathBytes(of: place, root: root) else { return nil }
            let parent = mount.parent?.identifier ?? mount.identifier
            return MountListing(
                identifier: mount.identifier, parentIdentifier: parent, device: mount.fileSystem.device,
                root: VFS.bytesWithinFileSystem(mount.root), mountPoint: point, mountOptions: Self.options(mount.flags),
                typeName: mount.fileSystem.typeName, source: mount.source,
                fileSystemOptions: (mount.fileSystem.isReadOnly ? "ro" : "rw")
                    + (mount.fileSystem.mountOptions.isEmpty ? "" : "," + mount.fileSystem.mountOptions))
        }
    }

    private static func options(_ flags: MountFlags) -> String {
        var text = flags.contains(.readOnly) ? "ro" : "rw"
        if flags.contains(.noSetUserID) { text += ",nosuid" }
        if flags.contains(.noDevices) { text += ",nodev" }
        if flags.contains(.noExecute) { text += ",noexec" }
        if flags.contains(.noAccessTime) { text += ",noatime" }
        if flags.contains(.noDirectoryAccessTime) { text += ",nodiratime" }
        if flags.isDisjoint(with: [.noAccessTime, .strictAccessTime]) { text += ",relatime" }
        if flags.contains(.noSymlinkFollow) { text += ",nosymfollow" }
        return text
    }
}

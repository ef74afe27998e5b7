import Host
public import LinuxABI
import Synchronization

extension VFS {
    /// The path of a place as seen from `root`, for getcwd(2) and /proc: nil when it cannot be reached from there. " (deleted)" is appended to what was
    /// unlinked. Places of anonymous files (pipes, sockets, ...) are their names: `pipe:[17]`.
    public static func pathBytes(of place: Path, root: Path) -> [UInt8]? {
        for _ in 0..<8 {
            let before = Dentry.renames.load(ordering: .acquiring)
            let result = walkUp(place, root)
            if before & 1 == 0, Dentry.renames.load(ordering: .acquiring) == before { return result }
        }
        return walkUp(place, root)
    }

    private static func walkUp(_ place: Path, _ root: Path) -> [UInt8]? {
        var components: [[UInt8]] = []
        var length = 0
        var mount = place.mount
        var dentry = place.dentry
        let isDeleted = dentry.isDeleted
        while !(dentry === root.dentry && mount === root.mount) {
            if dentry === mount.root {
                guard let covered = mount.covered else { return nil }
                mount = covered.mount
                dentry = covered.dentry
                continue
            }
            let (parent, name) = dentry.state.withLock { ($0.parent, $0.name) }
            guard let parent else { return mount.namespace == nil && components.isEmpty ? name : nil }
            components.append(name)
            length += name.count + 1
            dentry = parent
        }
        var path: [UInt8] = []
        path.reserveCapacity(length + 10)
        for component in components.reversed() {
            path.append(UInt8(ascii: "/"))
            path += component
        }
        if path.isEmpty { path = [UInt8(ascii: "/")] }
        if isDeleted { path += Array(" (deleted)".utf8) }
        return path
    }

    /// The path of a dentry within its file system.
    static func bytesWithinFileSystem(_ dentry: Dentry) -> [UInt8] {
        var components: [[UInt8]] = []
        var next: Dentry? = dentry
        while let current = next {
            let (parent, name) = current.state.withLock { ($0.parent, $0.name) }
            if parent != nil { components.append(name) }
            next = parent
        }
        if components.isEmpty { return [UInt8(ascii: "/")] }
        return Array(components.reversed().map { [UInt8(ascii: "/")] + $0 }.joined())
    }

    /// getcwd(2): "(unreachable)" comes before a directory that the root does not hold; ENOENT when it was removed.
    public static func workingDirectory(_ context: FileSystemContext) throws(Errno) -> [UInt8] {
        let (root, directory) = context.state.withLock { ($0.root, $0.workingDirectory) }
        if directory.dentry.isDeleted { throw .ENOENT }
        if let path = pathBytes(of: directory, root: root) { return path }
        return Array("(unreachable)".utf8) + bytesWithinFileSystem(directory.dentry)
    }

    /// What /proc/PID/fd shows for a place: its path as seen from `root`, or from the top of its tree when `root` does not hold it.
    public static func displayPath(of place: Path, root: Path) -> [UInt8] {
        pathBytes(of: place, root: root) ?? bytesWithinFileSystem(place.dentry)
    }
}

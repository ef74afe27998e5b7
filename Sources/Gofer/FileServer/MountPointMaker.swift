import Control
import Diagnostics
import FileProtocol
import Host
import LinuxABI

/// Makes the places that a container's mounts go to, in a tree that becomes read-only afterwards.
///
/// Paths are walked component by component from the root's descriptor, and links are followed by hand, so that nothing in the tree leads outside. The walk
/// ends where an earlier mount will be: what lies below is made in that file system, by the one who mounts it.
struct MountPointMaker {
    private let root: Int32
    /// What is made belongs to the container's root.
    private let owner: (user: UInt32, group: UInt32)?
    /// The places that will be covered.
    private var covered: Set<FileIdentity> = []
    /// As many as Linux follows (path_resolution(7)).
    private static let linkLimit = 40
    /// Components that one path may have, its links' included.
    private static let componentLimit = 4096

    init(root: Int32, identities: Identities = .same) {
        self.root = root
        owner = identities.users.host(0).flatMap { user in identities.groups.host(0).map { (user, $0) } }
    }

    /// Makes `point` unless it exists.
    mutating func make(_ point: MountPointSpecification) throws(SandboxError) {
        do {
            if let place = try walk(point) { covered.insert(place) }
        } catch {
            throw SandboxError(
                error, "make the mount point \(String(decoding: point.path, as: UTF8.self)) in the container's root",
                hint: error == .EROFS ? "the root lies on a read-only file system of the host, and has no such place" : "")
        }
    }

    /// What the path leads to, made as needed; nil where it enters an earlier mount.
    private func walk(_ point: MountPointSpecification) throws(Errno) -> FileIdentity? {
        // The directories walked through, for "..".
        var stack: [SharedDescriptor] = []
        var names = Self.components(point.path)
        names.reverse()
        var links = 0, steps = 0
        while let name = names.popLast() {
            steps += 1
            if steps > Self.componentLimit { throw .ENAMETOOLONG }
            if name == [0x2e, 0x2e] {
                _ = stack.popLast()
                continue
            }
            let directory = stack.last?.rawValue ?? root
            let isLast = names.isEmpty
            let next = try open(name, at: directory, asFile: isLast && point.isFile)
            let attributes = NodeAttributes(try HostCall.statx(at: next.rawValue))
            switch attributes.type {
            case FileMode.S_IFLNK:
                links += 1
                if links > Self.linkLimit { throw .ELOOP }
                let target = try HostCall.readLink(at: next.rawValue)
                if target.first == 0x2f { stack.removeAll() }
                names += Self.components(target).reversed()
            case FileMode.S_IFDIR:
                if covered.contains(FileIdentity(attributes)) { return nil }
                stack.append(next)
            default:
                guard isLast else { throw .ENOTDIR }
                return FileIdentity(attributes)
            }
        }
        return FileIdentity(NodeAttributes(try HostCall.statx(at: stack.last?.rawValue ?? root)))
    }

    /// An O_PATH descriptor of `name` itself, which is made when there is nothing.
    private func open(_ name: [UInt8], at directory: Int32, asFile: Bool) throws(Errno) -> SharedDescriptor {
        let flags = OpenFlag.O_PATH | OpenFlag.O_NOFOLLOW
        do { return SharedDescriptor(try HostCall.open(name, flags: flags, at: directory)) } catch {
            guard error == .ENOENT else { throw error }
        }
        do throws(Errno) {
            // A race with the host's own processes may end with the owner of what they made changed; they are as privileged as this.
            if asFile {
                let made = OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_NOFOLLOW
                _ = try HostCall.open(name, flags: made, mode: 0o755, at: directory)
            } else {
                try HostCall.makeDirectory(name, mode: 0o755, at: directory)
            }
        } catch {
            // Somebody else was faster.
            if error != .EEXIST { throw error }
        }
        let made = SharedDescriptor(try HostCall.open(name, flags: flags, at: directory))
        if let owner, owner != (0, 0) {
            try HostCall.changeOwner(at: made.rawValue, user: owner.user, group: owner.group, flags: AtFlag.AT_EMPTY_PATH)
        }
        return made
    }

    private static func components(_ path: [UInt8]) -> [[UInt8]] {
        path.split(separator: 0x2f).filter { $0 != [0x2e] }.map(Array.init)
    }
}

import FileProtocol
import GoferFileServer
import Host
import LinuxABI
import SentryVFS
import Testing

@testable import SentryFileSystems

/// Files whose owner the container's user namespace does not know belong to nobody in it, not even to who has the id they are shown with.
@Suite(.serialized) struct GoferIdentityTests {
    private static let map = IdentityMap([.init(container: 0, host: 100_000, count: 65_536)])
    private static let namespace = UserNamespace(users: map, groups: map)

    private func who(_ id: UInt32, _ capabilities: Capabilities = [], _ mount: GoferMount) -> TestContext {
        TestContext(
            Credentials(
                user: .init(id), group: .init(id), permitted: capabilities, effective: capabilities, userNamespace: Self.namespace),
            FileSystemContext(root: mount.root, workingDirectory: mount.root, umask: 0))
    }

    private func makeMount() throws -> GoferMount {
        try GoferMount(identities: Identities(users: Self.map, groups: Self.map)) { host in
            for (name, user, group) in [("mine", 100_005, 100_006), ("foreign", 0, 0), ("half", 100_005, 0)] as [(String, UInt32, UInt32)] {
                try host.file(name, "text")
                let file = try HostCall.open(Array(name.utf8), flags: OpenFlag.O_RDONLY, at: host.directory.rawValue)
                try HostCall.changeOwner(at: file.rawValue, user: user, group: group, flags: AtFlag.AT_EMPTY_PATH)
                try HostCall.changeMode(file.rawValue, to: 0o640)
            }
            try HostCall.changeOwner(at: host.directory.rawValue, user: 100_000, group: 100_000, flags: AtFlag.AT_EMPTY_PATH)
        }
    }

    private func place(_ name: String, _ mount: GoferMount) throws(Errno) -> Path {
        try VFS.resolve(Array(name.utf8).span, at: mount.root, [], mount.context)
    }

    @Test func ownersAreTheContainers() throws {
        let mount = try makeMount()
        let mine = try mount.stat("/mine"), foreign = try mount.stat("/foreign"), half = try mount.stat("/half")
        #expect(mine.user == 5 && mine.group == 6 && !mine.isUserForeign)
        #expect(foreign.user == 65534 && foreign.group == 65534 && foreign.isUserForeign && foreign.isGroupForeign)
        #expect(half.user == 5 && half.group == 65534 && !half.isUserForeign && half.isGroupForeign)
    }

    @Test func nobodyIsTheOwnerOfAForeignFile() throws {
        let mount = try makeMount()
        let foreign = try place("/foreign", mount)
        let nobody = who(65534, [], mount), root = who(0, .all, mount)
        for context in [nobody, root] {
            #expect(errno { () throws(Errno) in try VFS.checkAccess(foreign, .read, context) } == .EACCES)
            #expect(errno { () throws(Errno) in try VFS.changeMode(foreign, 0o666, context) } == .EPERM)
            #expect(errno { () throws(Errno) in try VFS.changeOwner(foreign, user: 0, group: 0, context) } == .EPERM)
            #expect(
                errno { () throws(Errno) in try VFS.changeTimes(foreign, access: .now, modification: .now, context) } == .EACCES)
        }
        // Capabilities reach a file only if owner and group are both known; its owner has what the mode says.
        let half = try place("/half", mount)
        #expect(errno { () throws(Errno) in try VFS.checkAccess(half, .execute, root) } == .EACCES)
        #expect(errno { () throws(Errno) in try VFS.changeOwner(half, user: 5, group: 6, root) } == .EPERM)
        #expect(throws: Never.self) { try VFS.checkAccess(half, [.read, .write], who(5, [], mount)) }
        #expect(throws: Never.self) { try VFS.changeMode(half, 0o600, who(5, [], mount)) }
        let mine = try place("/mine", mount)
        #expect(throws: Never.self) { try VFS.checkAccess(mine, [.read, .write], root) }
    }

    @Test func ownersMustBeMapped() throws {
        let mount = try makeMount()
        let mine = try place("/mine", mount), root = who(0, .all, mount)
        #expect(errno { () throws(Errno) in try VFS.changeOwner(mine, user: 70_000, group: nil, root) } == .EINVAL)
        #expect(errno { () throws(Errno) in try VFS.changeOwner(mine, user: nil, group: 70_000, root) } == .EINVAL)
        try VFS.changeOwner(mine, user: 7, group: 8, root)
        #expect(try mount.stat("/mine").user == 7)
        let status = try HostCall.statx(at: mount.directory.rawValue, Array("mine".utf8), flags: 0)
        #expect(status.stx_uid == 100_007 && status.stx_gid == 100_008)
    }

    @Test func whatOnlyTheHostsRootMayIsRefused() throws {
        let mount = try makeMount()
        let root = who(0, .all, mount)
        #expect(root.credentials.has(.CAP_MKNOD) && !root.credentials.hasGlobally(.CAP_MKNOD))
        #expect(
            errno { () throws(Errno) in
                _ = try VFS.makeNode(
                    Array("/null".utf8).span, at: mount.root, mode: FileMode.S_IFCHR | 0o666, device: DeviceNumber.make(major: 1, minor: 3),
                    root)
            } == .EPERM)
        #expect(
            errno { () throws(Errno) in
                try VFS.setExtendedAttribute(try place("/mine", mount), Array("trusted.overlay.x".utf8), [1], flags: 0, root)
            } == .EPERM)
        _ = try VFS.makeNode(Array("/fifo".utf8).span, at: mount.root, mode: FileMode.S_IFIFO | 0o666, device: 0, root)
        _ = try VFS.makeDirectory(Array("/made".utf8).span, at: mount.root, mode: 0o755, who(0, .all, mount))
        let status = try HostCall.statx(at: mount.directory.rawValue, Array("made".utf8), flags: 0)
        #expect(status.stx_uid == 100_000 && status.stx_gid == 100_000)
    }
}

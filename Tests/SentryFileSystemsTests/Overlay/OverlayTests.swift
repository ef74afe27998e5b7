import FileProtocol
import Host
import LinuxABI
import SentryMemory
import SentryVFS
import Testing

@testable import SentryFileSystems

/// An overlay of a tmpfs over a read-only tree of the host.
private final class OverlayMount {
    let lower: GoferMount
    let overlay: OverlayFileSystem
    let namespace: MountNamespace
    var root: Path { namespace.root }
    let context = KernelFileContext.shared

    init(_ prepare: (GoferMount.Preparation) throws -> Void) throws {
        lower = try GoferMount(flags: .readOnly, prepare: prepare)
        let upper = TmpfsFileSystem(memory: try MemoryFile.anonymous())
        overlay = try OverlayFileSystem(lower: lower.fileSystem, upper: upper)
        namespace = try MountNamespace(root: overlay, source: Array("overlay".utf8))
    }

    func open(_ path: String, _ flags: OpenFlags = [], mode: UInt32 = 0o644) throws(Errno) -> FileDescription {
        try VFS.open(Array(path.utf8).span, at: root, flags: flags, mode: mode, context)
    }
    func stat(_ path: String) throws(Errno) -> FileAttributes { try VFS.stat(Array(path.utf8).span, at: root, [], context) }
    func unlink(_ path: String) throws(Errno) { try VFS.unlink(Array(path.utf8).span, at: root, context) }
    func removeDirectory(_ path: String) throws(Errno) { try VFS.removeDirectory(Array(path.utf8).span, at: root, context) }
    func makeDirectory(_ path: String) throws(Errno) { _ = try VFS.makeDirectory(Array(path.utf8).span, at: root, mode: 0o755, context) }
    func rename(_ old: String, _ new: String, flags: UInt32 = 0) throws(Errno) {
        try VFS.rename(Array(old.utf8).span, at: root, to: Array(new.utf8).span, at: root, flags: flags, context)
    }
    func text(_ file: FileDescription) throws(Errno) -> String { try lower.text(file) }
    func text(_ path: String) throws(Errno) -> String { try lower.text(open(path)) }
    func write(_ path: String, _ text: String, _ flags: OpenFlags = [.O_CREAT, .O_WRONLY, .O_TRUNC]) throws(Errno) {
        try lower.write(open(path, flags), text)
    }
    func entries(_ path: String) throws(Errno) -> [String: DirectoryEntry] {
        let file = try open(path, [.O_DIRECTORY])
        var result: [String: DirectoryEntry] = [:]
        try file.readDirectory(context) { entry in
            result[String(decoding: entry.name, as: UTF8.self)] = entry
            return true
        }
        return result
    }
    func names(_ path: String) throws(Errno) -> [String] { try entries(path).keys.filter { $0 != "." && $0 != ".." }.sorted() }
}

@Suite(.serialized) struct OverlayTests {
    @Test func writesGoToTheUpperLayerAlone() throws {
        let mount = try OverlayMount { host in
            try host.directory("d")
            try host.directory("d/e")
            try host.file("d/e/f", "lower")
        }
        #expect(try mount.text("/d/e/f") == "lower")
        let before = try mount.stat("/d/e/f")
        let reader = try mount.open("/d/e/f")
        let writer = try mount.open("/d/e/f", [.O_RDWR])
        try mount.lower.write(writer, "UP")
        #expect(try mount.text("/d/e/f") == "UPwer")
        // Linux would go on showing the old content here.
        #expect(try mount.text(reader) == "UPwer")
        let after = try mount.stat("/d/e/f")
        #expect(after.inode == before.inode && after.device == before.device)
        #expect(after.permissions == before.permissions && after.user == before.user)
        #expect(try mount.lower.text(mount.lower.open("/d/e/f")) == "lower")
    }

    @Test func mergedDirectories() throws {
        let mount = try OverlayMount { host in
            try host.directory("d")
            try host.file("d/a", "a")
            try host.file("d/b", "b")
            try host.link("d/l", "a")
        }
        try mount.write("/d/c", "c")
        try mount.write("/d/a", "A")
        try mount.unlink("/d/b")
        #expect(try mount.names("/d") == ["a", "c", "l"])
        for (name, entry) in try mount.entries("/d") where name != ".." && name != "." {
            let place = try VFS.resolve(Array("/d/\(name)".utf8).span, at: mount.root, [], mount.context)
            #expect(try place.dentry.inode?.attributes(mount.context).inode == entry.inode)
            #expect(place.dentry.inode?.type == entry.type)
        }
        #expect(throws: Errno.ENOENT) { try mount.stat("/d/b") }
        try mount.write("/d/b", "new b")
        #expect(try mount.text("/d/b") == "new b")
        #expect(try mount.names("/d") == ["a", "b", "c", "l"])
    }

    @Test func whiteoutsAndOpaqueDirectories() throws {
        let mount = try OverlayMount { host in
            try host.directory("d")
            try host.file("d/old", "x")
        }
        #expect(throws: Errno.ENOTEMPTY) { try mount.removeDirectory("/d") }
        try mount.unlink("/d/old")
        try mount.removeDirectory("/d")
        #expect(throws: Errno.ENOENT) { try mount.stat("/d") }
        #expect(try mount.names("/").isEmpty)
        try mount.makeDirectory("/d")
        #expect(try mount.names("/d").isEmpty)
        #expect(throws: Errno.ENOENT) { try mount.stat("/d/old") }
        try mount.write("/d/old", "again")
        #expect(try mount.text("/d/old") == "again")
        // What a guest cannot do: make a whiteout.
        #expect(throws: Errno.EPERM) {
            try VFS.makeNode(Array("/w".utf8).span, at: mount.root, mode: FileMode.S_IFCHR, device: 0, mount.context)
        }
    }

    @Test func renamesFilesAndLowerDirectories() throws {
        let mount = try OverlayMount { host in
            try host.directory("d")
            try host.directory("d/sub")
            try host.file("d/sub/f", "deep")
            try host.file("g", "file")
            try host.file("h", "other")
        }
        try mount.rename("/g", "/h")
        #expect(try mount.text("/h") == "file")
        #expect(throws: Errno.ENOENT) { try mount.stat("/g") }
        try mount.rename("/d", "/moved")
        #expect(try mount.text("/moved/sub/f") == "deep")
        #expect(throws: Errno.ENOENT) { try mount.stat("/d") }
        #expect(try mount.names("/") == ["h", "moved"])
        try mount.write("/moved/sub/f", "changed")
        #expect(try mount.text("/moved/sub/f") == "changed")
        try mount.makeDirectory("/d")
        #expect(try mount.names("/d").isEmpty)
        try mount.rename("/d", "/moved", flags: RenameFlag.RENAME_EXCHANGE)
        #expect(try mount.names("/d") == ["sub"])
        #expect(try mount.names("/moved").isEmpty)
        #expect(try mount.text("/d/sub/f") == "changed")
    }

    @Test func hardLinksStayTogether() throws {
        let mount = try OverlayMount { host in
            try host.file("a", "shared")
            try HostCall.makeLink(
                source: Array("a".utf8), at: host.directory.rawValue, to: Array("b".utf8), at: host.directory.rawValue)
        }
        #expect(try mount.stat("/a").links == 2)
        try mount.write("/a", "changed")
        #expect(try mount.text("/b") == "changed")
        #expect(try mount.stat("/a").inode == mount.stat("/b").inode)
        let source = try VFS.resolve(Array("/b".utf8).span, at: mount.root, [], mount.context)
        try VFS.link(source, Array("/c".utf8).span, at: mount.root, mount.context)
        #expect(try mount.stat("/c").links == 3)
        try mount.unlink("/a")
        #expect(try mount.stat("/b").links == 2)
        #expect(try mount.text("/b") == "changed")
        #expect(try mount.text("/c") == "changed")
        try mount.rename("/b", "/e")
        #expect(try mount.text("/e") == "changed")
        try mount.unlink("/e")
        #expect(try mount.text("/c") == "changed")
        #expect(try mount.names("/") == ["c"])
    }

    @Test func metadataIsCopiedUp() throws {
        let mount = try OverlayMount { host in
            try host.file("f", "content")
            try HostCall.changeOwner(at: host.directory.rawValue, Array("f".utf8), user: 17, group: 18, flags: 0)
        }
        let old = try mount.stat("/f")
        let place = try VFS.resolve(Array("/f".utf8).span, at: mount.root, [], mount.context)
        try VFS.changeMode(place, 0o4711, mount.context)
        let new = try mount.stat("/f")
        #expect(new.permissions == 0o4711 && new.user == 17 && new.group == 18)
        #expect(new.size == 7 && new.modificationTime == old.modificationTime)
        #expect(try mount.text("/f") == "content")
    }

    @Test func unlinkedFilesLiveOn() throws {
        let mount = try OverlayMount { try $0.file("f", "content") }
        let reader = try mount.open("/f")
        try mount.unlink("/f")
        #expect(try mount.text(reader) == "content")
        #expect(try reader.attributes(mount.context).links == 0)
        try VFS.changeMode(reader.path, 0o600, mount.context)
        #expect(try reader.attributes(mount.context).permissions == 0o600)
        #expect(throws: Errno.ENOENT) { try mount.stat("/f") }
    }

    @Test func manyComponentsInOneTripThroughTheOverlay() throws {
        let mount = try OverlayMount { host in
            try host.directory("a")
            try host.directory("a/b")
            try host.directory("a/b/c")
            try host.file("a/b/c/f", "x")
        }
        let before = mount.lower.client.requestCount
        #expect(try mount.stat("/a/b/c/f").size == 1)
        #expect(mount.lower.client.requestCount == before + 1)
        _ = try mount.stat("/a/b/c/f")
        #expect(mount.lower.client.requestCount == before + 1)
    }
}

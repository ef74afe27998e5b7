import Host
import LinuxABI
import SentryFileSystems
import SentryVFS
import Testing

// Serialized: the cache is one for all, and two of these fill it.
@Suite(.serialized) struct PathResolutionTests {
    let files: FileFixture

    init() throws {
        files = try FileFixture()
        try files.mkdir("/a")
        try files.mkdir("/a/b")
        try files.mkdir("/a/b/c")
        try files.create("/a/b/f", "data")
        try files.symlink("b", "/a/link")
        try files.symlink("/a/b/f", "/a/absolute")
        try files.symlink("loop", "/loop")
        try files.symlink("missing", "/dangling")
    }

    @Test(arguments: [
        ("/", "/"), ("/a", "/a"), ("a", "/a"), ("/a/b/../b/./c", "/a/b/c"), ("/a//b///c/", "/a/b/c"), ("/../../a", "/a"),
        ("/a/link/c", "/a/b/c"),
        ("/a/link", "/a/b"), ("/a/link/", "/a/b"), ("/a/absolute", "/a/b/f"), (".", "/"), ("..", "/"), ("/a/link/..", "/a"), ("/a/.", "/a"),
    ])
    func found(_ path: String, _ expected: String) throws {
        #expect(files.path(of: try files.resolve(path)) == expected)
    }

    @Test(arguments: [
        ("", Errno.ENOENT), ("/missing", .ENOENT), ("/missing/x", .ENOENT), ("/a/b/f/", .ENOTDIR), ("/a/b/f/x", .ENOTDIR),
        ("/a/b/f/..", .ENOTDIR),
        ("/loop", .ELOOP), ("/loop/x", .ELOOP), ("/dangling", .ENOENT), ("/dangling/", .ENOENT),
        (String(repeating: "x", count: 256), .ENAMETOOLONG),
        ("/" + String(repeating: "x/", count: 2048), .ENAMETOOLONG), ("/a/" + String(repeating: "x", count: 256) + "/y", .ENAMETOOLONG),
    ])
    func notFound(_ path: String, _ expected: Errno) {
        #expect(errno { () throws(Errno) in _ = try files.resolve(path) } == expected)
    }

    @Test func finalLinkIsNotFollowed() throws {
        #expect(try files.stat("/a/link", []).type == .symlink)
        #expect(try files.stat("/a/link/", []).type == .directory)
        #expect(errno { () throws(Errno) in _ = try files.open("/a/link", .O_NOFOLLOW) } == .ELOOP)
        #expect(errno { () throws(Errno) in _ = try files.open("/a/link", [.O_NOFOLLOW, .O_DIRECTORY]) } == .ENOTDIR)
        #expect(try files.open("/a/link", [.O_NOFOLLOW, .O_PATH]).inode?.type == .symlink)
    }

    @Test func fortyLinksAreFollowed() throws {
        try files.create("/l0")
        for index in 1...41 { try files.symlink("l\(index - 1)", "/l\(index)") }
        #expect(files.path(of: try files.resolve("/l40")) == "/l0")
        #expect(errno { () throws(Errno) in _ = try files.resolve("/l41") } == .ELOOP)
    }

    @Test func negativeEntriesGoWhenTheNameIsMade() throws {
        #expect(errno { () throws(Errno) in _ = try files.stat("/new") } == .ENOENT)
        try files.create("/new")
        #expect(try files.stat("/new").type == .regular)
        try files.unlink("/new")
        #expect(errno { () throws(Errno) in _ = try files.stat("/new") } == .ENOENT)
        try files.mkdir("/new")
        #expect(try files.stat("/new").type == .directory)
    }

    @Test func searchPermission() throws {
        try files.mkdir("/closed", 0o700)
        try files.create("/closed/f")
        #expect(errno { () throws(Errno) in _ = try files.resolve("/closed/f", as: files.user) } == .EACCES)
        #expect(errno { () throws(Errno) in _ = try files.resolve("/closed/..", as: files.user) } == .EACCES)
        #expect(errno { () throws(Errno) in _ = try files.open("/nothere", [.O_CREAT, .O_WRONLY], as: files.user) } == .EACCES)
    }

    @Test func mountsAreCrossed() throws {
        let other = TmpfsFileSystem(memory: files.memory)
        try files.namespace.mount(other, at: files.resolve("/a/b"), source: [])
        try files.mkdir("/a/b/inner")
        #expect(files.path(of: try files.resolve("/a/b/inner")) == "/a/b/inner")
        #expect(files.path(of: try files.resolve("/a/b/inner/../..")) == "/a")
        #expect(errno { () throws(Errno) in _ = try files.resolve("/a/b/c") } == .ENOENT)
        #expect(errno { () throws(Errno) in _ = try files.resolve("/a/b", .noCrossing) } == .EXDEV)
        #expect(errno { () throws(Errno) in try files.rmdir("/a/b") } == .EBUSY)
        #expect(errno { () throws(Errno) in try files.rename("/a/b/inner", "/inner") } == .EXDEV)
        // Somebody stands in it.
        let inside = try files.resolve("/a/b/inner")
        #expect(errno { () throws(Errno) in try files.namespace.unmount(files.resolve("/a/b"), lazily: false) } == .EBUSY)
        try files.namespace.unmount(files.resolve("/a/b"), lazily: true)
        #expect(files.path(of: try files.resolve("/a/b/c")) == "/a/b/c")
        #expect(files.path(of: inside) == nil)
    }

    @Test func unmountWithoutUsers() throws {
        try files.namespace.mount(TmpfsFileSystem(memory: files.memory), at: files.resolve("/a"), source: [])
        #expect(files.namespace.mounts.count == 2)
        try files.namespace.unmount(files.resolve("/a"), lazily: false)
        #expect(files.namespace.mounts.count == 1)
        #expect(errno { () throws(Errno) in try files.namespace.unmount(files.resolve("/a"), lazily: false) } == .EINVAL)
    }

    @Test func bindsAndReadOnly() throws {
        try files.mkdir("/view")
        try files.namespace.bind(files.resolve("/a/b"), at: files.resolve("/view"))
        try files.namespace.remount(files.resolve("/view"), flags: .readOnly)
        #expect(try files.read("/view/f") == "data")
        #expect(errno { () throws(Errno) in try files.create("/view/g") } == .EROFS)
        #expect(errno { () throws(Errno) in _ = try files.open("/view/f", .O_WRONLY) } == .EROFS)
        #expect(errno { () throws(Errno) in try files.unlink("/view/f") } == .EROFS)
        try files.create("/a/b/g", "seen")
        #expect(try files.read("/view/g") == "seen")
        let lines = files.namespace.listing(from: files.context.root).map { String(decoding: $0.mountInfoLine, as: UTF8.self) }
        #expect(lines.contains { $0.contains(" /a/b /view ro,relatime - tmpfs tmpfs rw,mode=755\n") })
    }

    @Test func beneathAndInRoot() throws {
        func resolve(_ path: String, _ options: ResolveOptions) throws(Errno) -> Path {
            let bytes = Array(path.utf8)
            return try VFS.resolve(bytes.span, at: files.resolve("/a"), options.union(.follow), files.root)
        }
        #expect(files.path(of: try resolve("b/../b/c", .beneath)) == "/a/b/c")
        #expect(errno { () throws(Errno) in _ = try resolve("..", .beneath) } == .EXDEV)
        #expect(errno { () throws(Errno) in _ = try resolve("b/../../a", .beneath) } == .EXDEV)
        #expect(errno { () throws(Errno) in _ = try resolve("/a", .beneath) } == .EXDEV)
        #expect(errno { () throws(Errno) in _ = try resolve("absolute", .beneath) } == .EXDEV)
        #expect(files.path(of: try resolve("../../b", .inRoot)) == "/a/b")
        #expect(files.path(of: try resolve("/b/c", .inRoot)) == "/a/b/c")
        #expect(errno { () throws(Errno) in _ = try resolve("link", .noSymlinks) } == .ELOOP)
        #expect(errno { () throws(Errno) in _ = try resolve("b/unknown", .cachedOnly) } == .EAGAIN)
    }

    @Test func deletedAndUnreachable() throws {
        let directory = try files.resolve("/a/b/c")
        try files.rmdir("/a/b/c")
        #expect(files.path(of: directory) == "/a/b/c (deleted)")
        let bytes = Array("x".utf8)
        #expect(errno { () throws(Errno) in try VFS.makeDirectory(bytes.span, at: directory, mode: 0o755, files.root) } == .ENOENT)
        files.context.state.withLock { $0.workingDirectory = directory }
        #expect(errno { () throws(Errno) in _ = try VFS.workingDirectory(files.context) } == .ENOENT)
    }

    @Test func theCacheIsBounded() throws {
        DentryCache.shared.setLimit(2000)
        defer { DentryCache.shared.setLimit(65_536) }
        try files.mkdir("/many")
        let held = try files.resolve("/a/b/f")
        for index in 0..<12_000 { try files.create("/many/\(index)") }
        #expect(DentryCache.shared.count < 6000)
        #expect(try files.stat("/many/17").type == .regular)
        #expect(try files.list("/many").count == 12_000)
        #expect(files.path(of: held) == "/a/b/f")
        #expect(try files.resolve("/a/b/f").dentry === held.dentry)
    }

    @Test func createRules() throws {
        #expect(errno { () throws(Errno) in _ = try files.open("/a/b/f", [.O_CREAT, .O_EXCL, .O_WRONLY]) } == .EEXIST)
        #expect(errno { () throws(Errno) in _ = try files.open("/dangling", [.O_CREAT, .O_EXCL, .O_WRONLY]) } == .EEXIST)
        #expect(errno { () throws(Errno) in _ = try files.open("/a", [.O_CREAT, .O_WRONLY]) } == .EISDIR)
        #expect(errno { () throws(Errno) in _ = try files.open("/new/", [.O_CREAT, .O_WRONLY]) } == .EISDIR)
        #expect(errno { () throws(Errno) in _ = try files.open("/a/.", [.O_CREAT, .O_WRONLY]) } == .EISDIR)
        // Through a dangling link the target is made.
        _ = try files.open("/dangling", [.O_CREAT, .O_WRONLY])
        #expect(try files.stat("/missing").type == .regular)
        #expect(try files.stat("/missing").permissions == 0o644)
        #expect(errno { () throws(Errno) in try files.mkdir("/a/.") } == .EEXIST)
        #expect(errno { () throws(Errno) in try files.rmdir("/a/.") } == .EINVAL)
        #expect(errno { () throws(Errno) in try files.rmdir("/a/..") } == .ENOTEMPTY)
        #expect(errno { () throws(Errno) in try files.rmdir("/a") } == .ENOTEMPTY)
        #expect(errno { () throws(Errno) in try files.unlink("/a") } == .EISDIR)
        #expect(errno { () throws(Errno) in try files.rmdir("/a/b/f") } == .ENOTDIR)
        #expect(errno { () throws(Errno) in try files.unlink("/a/b/f/") } == .ENOTDIR)
    }

    @Test func pivot() throws {
        try files.mkdir("/new")
        try files.namespace.mount(TmpfsFileSystem(memory: files.memory), at: files.resolve("/new"), source: [])
        try files.mkdir("/new/old")
        let newRoot = try files.resolve("/new")
        try files.namespace.pivot(to: newRoot, puttingOldAt: files.resolve("/new/old"))
        files.context.state.withLock { state in
            state.root = newRoot
            state.workingDirectory = newRoot
        }
        #expect(try files.list("/") == ["old"])
        #expect(try files.read("/old/a/b/f") == "data")
        #expect(files.path(of: try files.resolve("/old/a")) == "/old/a")
    }

    @Test func deepTreesComeApart() throws {
        var fixture: FileFixture? = try FileFixture()
        try fixture?.mkdir("/d")
        let context = try #require(fixture?.context)
        for _ in 0..<20_000 {
            let start = context.workingDirectory
            let name = Array("d".utf8)
            _ = errno { () throws(Errno) in try VFS.makeDirectory(name.span, at: start, mode: 0o755, files.root) }
            let next = try VFS.resolve(name.span, at: start, [], KernelFileContext.shared)
            context.state.withLock { $0.workingDirectory = next }
        }
        context.state.withLock { $0.workingDirectory = $0.root }
        fixture = nil
    }
}

import LinuxABI
import SentryFileSystems
import SentryMemory
import SentryVFS
import Testing

@Suite struct TmpfsTests {
    let files: FileFixture
    init() throws { files = try FileFixture() }

    private func write(_ file: FileDescription, _ text: String, at offset: Int64) throws(Errno) -> Int {
        var buffer = IOBuffer.kernel(Array(text.utf8))
        return try VFS.write(file, at: offset, from: &buffer, files.root)
    }
    private func read(_ file: FileDescription, _ count: Int, at offset: Int64) throws(Errno) -> [UInt8] {
        var buffer = IOBuffer.kernel(capacity: count)
        _ = try VFS.read(file, at: offset, into: &buffer, files.root)
        return buffer.bytes
    }

    @Test func sparseFiles() throws {
        let file = try files.open("/f", [.O_CREAT, .O_RDWR])
        _ = try write(file, "end", at: 1_000_000)
        #expect(try files.stat("/f").size == 1_000_003)
        #expect(try files.stat("/f").blocks == 8)
        #expect(try read(file, 4, at: 999_999) == [0] + Array("end".utf8))
        #expect(try file.seek(0, whence: SeekOrigin.SEEK_DATA, files.root) == 1_000_000 / 4096 * 4096)
        #expect(try file.seek(0, whence: SeekOrigin.SEEK_HOLE, files.root) == 0)
        #expect(errno { () throws(Errno) in _ = try file.seek(2_000_000, whence: SeekOrigin.SEEK_DATA, files.root) } == .ENXIO)
        _ = try write(file, "begin", at: 0)
        #expect(try read(file, 8, at: 0) == Array("begin".utf8) + [0, 0, 0])
        try file.allocate(mode: 3, offset: 0, length: 4096, files.root)
        #expect(try read(file, 5, at: 0) == [0, 0, 0, 0, 0])
        try VFS.truncate(file, size: 3, files.root)
        try VFS.truncate(file, size: 10, files.root)
        #expect(try read(file, 20, at: 0) == [UInt8](repeating: 0, count: 10))
        #expect(try files.stat("/f").blocks <= 8)
    }

    @Test func truncationZeroesTheTail() throws {
        let file = try files.open("/f", [.O_CREAT, .O_RDWR])
        _ = try write(file, "abcdef", at: 0)
        try VFS.truncate(file, size: 2, files.root)
        try VFS.truncate(file, size: 6, files.root)
        #expect(try read(file, 6, at: 0) == [0x61, 0x62, 0, 0, 0, 0])
    }

    /// mount(8): relatime is what a mount without another option has.
    @Test func readingMovesTheAccessTime() throws {
        try files.create("/f", "text")
        func isMoved(access: Int64, modification: Int64, flags: OpenFlags = [], mount: MountFlags = []) throws -> Bool {
            try files.namespace.remount(files.namespace.root, flags: mount)
            let place = try files.resolve("/f")
            try VFS.changeTimes(
                place, access: .at(Timespec(tv_sec: access)), modification: .at(Timespec(tv_sec: modification)), files.root)
            let file = try files.open("/f", flags)
            _ = try read(file, 1, at: 0)
            let attributes = try files.stat("/f")
            #expect(attributes.modificationTime == Timespec(tv_sec: modification))
            return attributes.accessTime != Timespec(tv_sec: access)
        }
        let future: Int64 = 4_000_000_000
        #expect(try isMoved(access: 1, modification: 100))
        // Not later than the change of the times itself.
        #expect(try isMoved(access: 100, modification: 1))
        #expect(try !isMoved(access: future, modification: 1))
        #expect(try isMoved(access: future, modification: future))
        #expect(try isMoved(access: future, modification: 1, mount: .strictAccessTime))
        #expect(try !isMoved(access: 1, modification: 100, mount: .noAccessTime))
        #expect(try !isMoved(access: 1, modification: 100, flags: .O_NOATIME))
        // Having moved once, it stays until the next change.
        let file = try files.open("/f")
        _ = try read(file, 1, at: 0)
        let first = try files.stat("/f").accessTime
        _ = try read(file, 1, at: 0)
        #expect(try files.stat("/f").accessTime == first)
    }

    /// cp -a and tar set the mode by an access list and fall back to chmod(2) only where it is refused.
    @Test func accessListsAreRefused() throws {
        try files.mkdir("/d")
        let place = try files.resolve("/d")
        let list: [UInt8] = [2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255]
        for name in ["system.posix_acl_access", "system.posix_acl_default"].map({ Array($0.utf8) }) {
            #expect(errno { () throws(Errno) in try VFS.setExtendedAttribute(place, name, list, flags: 0, files.root) } == .EOPNOTSUPP)
            #expect(errno { () throws(Errno) in _ = try VFS.extendedAttribute(place, name, files.root) } == .EOPNOTSUPP)
            #expect(errno { () throws(Errno) in try VFS.removeExtendedAttribute(place, name, files.root) } == .EOPNOTSUPP)
        }
        #expect(try files.stat("/d").permissions == 0o755)
        #expect(try VFS.extendedAttributeNames(place, files.root).isEmpty)
    }

    @Test func nothingIsMadeInADirectoryThatARenameReplaced() throws {
        try files.mkdir("/old")
        try files.mkdir("/new")
        let replaced = try files.resolve("/new")
        try files.rename("/old", "/new")
        #expect(errno { () throws(Errno) in try VFS.makeDirectory(Array("x".utf8).span, at: replaced, mode: 0o755, files.root) } == .ENOENT)
        #expect(
            errno { () throws(Errno) in
                _ = try VFS.open(Array("x".utf8).span, at: replaced, flags: [.O_CREAT, .O_RDWR], mode: 0o600, files.root)
            } == .ENOENT)
        #expect(try files.list("/") == ["new"])
        // One with something in it is not replaced.
        try files.mkdir("/other")
        try files.create("/new/f")
        #expect(errno { () throws(Errno) in try files.rename("/other", "/new") } == .ENOTEMPTY)
    }

    @Test func errorsComeInLinuxsOrder() throws {
        try files.mkdir("/d")
        try files.create("/f")
        // An existing name before what the target is, a missing one before both.
        #expect(errno { () throws(Errno) in try files.link("/d", "/f") } == .EEXIST)
        #expect(errno { () throws(Errno) in try files.link("/d", "/none/x") } == .ENOENT)
        #expect(errno { () throws(Errno) in try files.link("/d", "/new") } == .EPERM)
        #expect(errno { () throws(Errno) in try files.link("/f", "/new/") } == .ENOENT)
        func open(_ path: String, _ flags: OpenFlags) -> Errno? { errno { () throws(Errno) in _ = try files.open(path, flags) } }
        for path in ["/", "/.", "/d/..", "/d"] { #expect(open(path, [.O_CREAT, .O_EXCL, .O_RDWR]) == .EEXIST, "\(path)") }
        for path in ["/", "/.", "/d/..", "/d", "/d/", "/none/"] { #expect(open(path, [.O_CREAT, .O_RDWR]) == .EISDIR, "\(path)") }
        #expect(open("/none/", [.O_CREAT, .O_EXCL, .O_RDWR]) == .EISDIR)
        #expect(open("/f/x", [.O_CREAT, .O_EXCL, .O_RDWR]) == .ENOTDIR)
    }

    @Test func manyAppendsReadBack() throws {
        let one = try files.open("/one", [.O_CREAT, .O_RDWR, .O_APPEND]), two = try files.open("/two", [.O_CREAT, .O_RDWR, .O_APPEND])
        var expected: [UInt8] = []
        for index in 0..<300 {
            let text = [UInt8](repeating: UInt8(index % 251), count: 777)
            expected += text
            for file in [one, two] {
                var buffer = IOBuffer.kernel(text)
                #expect(try VFS.write(file, from: &buffer, files.root) == 777)
            }
        }
        #expect(try read(one, expected.count, at: 0) == expected)
        #expect(try read(two, expected.count, at: 0) == expected)
    }

    @Test func sizeLimit() throws {
        var options = TmpfsFileSystem.Options()
        options.size = 3 * 4096
        let small = try FileFixture(options: options)
        let file = try small.open("/f", [.O_CREAT, .O_RDWR])
        var buffer = IOBuffer.kernel([UInt8](repeating: 1, count: 5 * 4096))
        #expect(try VFS.write(file, from: &buffer, small.root) == 3 * 4096)
        #expect(errno { () throws(Errno) in _ = try VFS.write(file, from: &buffer, small.root) } == .ENOSPC)
        #expect(try small.namespace.rootMount.fileSystem.statistics(small.root).freeBlocks == 0)
        try VFS.truncate(file, size: 0, small.root)
        #expect(try small.namespace.rootMount.fileSystem.statistics(small.root).freeBlocks == 3)
    }

    @Test func fileSizeLimit() throws {
        let limited = TestContext(.root, files.context, fileSizeLimit: 10)
        let file = try files.open("/f", [.O_CREAT, .O_RDWR])
        var buffer = IOBuffer.kernel([UInt8](repeating: 1, count: 20))
        #expect(try VFS.write(file, from: &buffer, limited) == 10)
        #expect(errno { () throws(Errno) in _ = try VFS.write(file, from: &buffer, limited) } == .EFBIG)
        #expect(errno { () throws(Errno) in try VFS.truncate(file, size: 11, limited) } == .EFBIG)
    }

    @Test func linksAndUnlinkedFiles() throws {
        try files.create("/f", "text")
        try files.link("/f", "/g")
        #expect(try files.stat("/g").links == 2)
        #expect(try files.stat("/g").inode == files.stat("/f").inode)
        let open = try files.open("/f")
        try files.unlink("/f")
        try files.unlink("/g")
        #expect(try open.attributes(files.root).links == 0)
        #expect(try read(open, 4, at: 0) == Array("text".utf8))
        #expect(files.path(of: open.path) == "/f (deleted)")
        try files.mkdir("/d")
        #expect(errno { () throws(Errno) in try files.link("/d", "/e") } == .EPERM)
        #expect(try files.stat("/").links == 3)
    }

    @Test func temporaryFilesCanBeLinked() throws {
        let file = try files.open("/", [.O_TMPFILE, .O_RDWR])
        #expect(try file.attributes(files.root).links == 0)
        let name = Array("/named".utf8)
        try VFS.link(file.path, name.span, at: files.start, files.root)
        #expect(try files.stat("/named").links == 1)
    }

    @Test func rename() throws {
        try files.mkdir("/d")
        try files.mkdir("/d/sub")
        try files.mkdir("/e")
        try files.create("/f", "f")
        try files.create("/g", "g")
        try files.rename("/f", "/g")
        #expect(try files.read("/g") == "f")
        #expect(errno { () throws(Errno) in _ = try files.stat("/f") } == .ENOENT)
        #expect(errno { () throws(Errno) in try files.rename("/d", "/d/sub/x") } == .EINVAL)
        #expect(errno { () throws(Errno) in try files.rename("/d/sub", "/d") } == .ENOTEMPTY)
        #expect(errno { () throws(Errno) in try files.rename("/g", "/d") } == .EISDIR)
        #expect(errno { () throws(Errno) in try files.rename("/d", "/g") } == .ENOTDIR)
        #expect(errno { () throws(Errno) in try files.rename("/e", "/d") } == .ENOTEMPTY)
        #expect(errno { () throws(Errno) in try files.rename("/g", "/e", flags: RenameFlag.RENAME_NOREPLACE) } == .EEXIST)
        #expect(errno { () throws(Errno) in try files.rename("/g/", "/h") } == .ENOTDIR)
        let sub = try files.resolve("/d/sub")
        try files.rename("/d/sub", "/e/moved")
        #expect(files.path(of: sub) == "/e/moved")
        #expect(try files.stat("/d").links == 2)
        #expect(try files.stat("/e").links == 3)
        try files.rename("/d", "/e/moved")
        #expect(try files.list("/e") == ["moved"])
        try files.rename("/g", "/e", flags: RenameFlag.RENAME_EXCHANGE)
        #expect(try files.stat("/e").type == .regular)
        #expect(try files.list("/g") == ["moved"])
        #expect(files.path(of: try files.resolve("/g/moved")) == "/g/moved")
        try files.rename("/e", "/h", flags: RenameFlag.RENAME_WHITEOUT)
        #expect(try files.stat("/e").type == .character)
        // Two names of one file: nothing happens.
        try files.link("/h", "/i")
        try files.rename("/h", "/i")
        #expect(try files.stat("/h").links == 2)
    }

    @Test func stickyDirectories() throws {
        try files.mkdir("/tmp", 0o777)
        try VFS.changeMode(files.resolve("/tmp"), 0o1777, files.root)
        try files.create("/tmp/roots")
        try files.create("/tmp/users", as: files.user)
        #expect(errno { () throws(Errno) in try files.unlink("/tmp/roots", as: files.user) } == .EPERM)
        #expect(errno { () throws(Errno) in try files.rename("/tmp/roots", "/tmp/x", as: files.user) } == .EPERM)
        try files.unlink("/tmp/users", as: files.user)
    }

    @Test func setGroupDirectories() throws {
        try files.mkdir("/d")
        try VFS.changeOwner(files.resolve("/d"), user: nil, group: 77, files.root)
        try VFS.changeMode(files.resolve("/d"), 0o2777, files.root)
        try files.mkdir("/d/e", as: files.user)
        try files.create("/d/f", as: files.user)
        #expect(try files.stat("/d/e").group == 77)
        #expect(try files.stat("/d/e").permissions == 0o2755)
        #expect(try files.stat("/d/f").group == 77)
        #expect(try files.stat("/d/f").user == 1000)
    }

    @Test func owners() throws {
        try files.create("/f")
        #expect(errno { () throws(Errno) in try VFS.changeMode(files.resolve("/f"), 0o777, files.user) } == .EPERM)
        #expect(errno { () throws(Errno) in try VFS.changeOwner(files.resolve("/f"), user: 1000, group: nil, files.user) } == .EPERM)
        try VFS.changeMode(files.resolve("/f"), 0o6755, files.root)
        try VFS.changeOwner(files.resolve("/f"), user: 1000, group: 1000, files.root)
        #expect(try files.stat("/f").permissions == 0o755)
        try VFS.changeMode(files.resolve("/f"), 0o600, files.user)
        #expect(errno { () throws(Errno) in try VFS.changeOwner(files.resolve("/f"), user: nil, group: 5, files.user) } == .EPERM)
        #expect(
            errno { () throws(Errno) in try VFS.changeTimes(files.resolve("/"), access: .now, modification: .now, files.user) } == .EACCES)
        #expect(
            errno { () throws(Errno) in
                try VFS.changeTimes(files.resolve("/"), access: .at(Timespec()), modification: .now, files.user)
            } == .EPERM)
    }

    @Test func extendedAttributes() throws {
        try files.create("/f")
        let place = try files.resolve("/f")
        let name = Array("user.key".utf8)
        try VFS.setExtendedAttribute(place, name, [1, 2], flags: 0, files.root)
        #expect(try VFS.extendedAttribute(place, name, files.root) == [1, 2])
        #expect(errno { () throws(Errno) in try VFS.setExtendedAttribute(place, name, [], flags: 1, files.root) } == .EEXIST)
        #expect(try VFS.extendedAttributeNames(place, files.root) == [name])
        #expect(
            errno { () throws(Errno) in try VFS.setExtendedAttribute(place, Array("other.x".utf8), [], flags: 0, files.root) }
                == .EOPNOTSUPP)
        #expect(
            errno { () throws(Errno) in try VFS.setExtendedAttribute(place, Array("trusted.x".utf8), [], flags: 0, files.user) } == .EPERM)
        try VFS.removeExtendedAttribute(place, name, files.root)
        #expect(errno { () throws(Errno) in _ = try VFS.extendedAttribute(place, name, files.root) } == .ENODATA)
    }

    @Test func readingADirectoryWhileItShrinks() throws {
        try files.mkdir("/d")
        for index in 0..<100 { try files.create("/d/\(index)") }
        let directory = try files.open("/d", .O_DIRECTORY)
        var seen: Set<[UInt8]> = []
        while true {
            var batch: [[UInt8]] = []
            try directory.readDirectory(files.root) { entry in
                guard batch.count < 7 else { return false }
                batch.append(entry.name)
                return true
            }
            if batch.isEmpty { break }
            for name in batch where name.first != 0x2e {
                #expect(seen.insert(name).inserted)
                try files.unlink("/d/" + String(decoding: name, as: UTF8.self))
            }
        }
        #expect(seen.count == 100)
        try files.rmdir("/d")
    }
}

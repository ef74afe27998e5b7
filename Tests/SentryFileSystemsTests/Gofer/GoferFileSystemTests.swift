import FileProtocol
import Host
import LinuxABI
import SentryVFS
import Testing

@testable import SentryFileSystems

@Suite(.serialized) struct GoferFileSystemTests {
    private func span(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func oneTripForAPathAndNoneForTheNextTime() throws {
        let mount = try GoferMount { host in
            try host.directory("a")
            try host.directory("a/b")
            try host.directory("a/b/c")
            try host.file("a/b/c/f", "text")
        }
        var before = mount.client.requestCount
        func trips() -> UInt64 {
            defer { before = mount.client.requestCount }
            return mount.client.requestCount - before
        }
        #expect(try mount.stat("/a/b/c/f").size == 4)
        #expect(trips() == 1)
        #expect(try mount.stat("/a/b/c/f").size == 4)
        #expect(trips() == 0)
        #expect(throws: Errno.ENOENT) { try mount.stat("/a/b/none/x") }
        #expect(trips() == 1)
        #expect(throws: Errno.ENOENT) { try mount.stat("/a/b/none") }
        #expect(trips() == 0)
        // The first open brings the descriptor, later ones share it.
        #expect(try mount.text(mount.open("/a/b/c/f")) == "text")
        #expect(trips() == 1)
        #expect(try mount.text(mount.open("/a/b/c/f")) == "text")
        #expect(trips() == 0)
    }

    @Test func followsLinksWithinTheGuest() throws {
        let mount = try GoferMount { host in
            try host.directory("dir")
            try host.file("dir/target", "here")
            try host.link("link", "/dir")
        }
        #expect(try mount.text(mount.open("/link/target")) == "here")
        #expect(throws: Errno.ENOENT) { try mount.open("/link/../etc/passwd") }
        #expect(try VFS.readLink(span("/link").span, at: mount.root, [], mount.context) == span("/dir"))
    }

    @Test func createsAndChanges() throws {
        let mount = try GoferMount()
        let file = try mount.open("/new", [.O_CREAT, .O_EXCL, .O_RDWR], mode: 0o4755)
        #expect(try file.attributes(mount.context).permissions == 0o4755)
        #expect(throws: Errno.EEXIST) { try mount.open("/new", [.O_CREAT, .O_EXCL, .O_RDWR]) }
        try VFS.truncate(file, size: 1000, mount.context)
        #expect(try mount.stat("/new").size == 1000)
        let place = try VFS.resolve(span("/new").span, at: mount.root, [], mount.context)
        try VFS.changeOwner(place, user: 12, group: 34, mount.context)
        try VFS.changeMode(place, 0o600, mount.context)
        let attributes = try mount.stat("/new")
        #expect(attributes.user == 12 && attributes.group == 34 && attributes.permissions == 0o600)
        try VFS.changeTimes(place, access: .at(Timespec(tv_sec: 5)), modification: .at(Timespec(tv_sec: 6)), mount.context)
        #expect(try mount.stat("/new").modificationTime == Timespec(tv_sec: 6))
        #expect(try mount.stat("/new").device == 77)
    }

    @Test func setGroupIDDirectoriesHandDownTheirGroup() throws {
        let mount = try GoferMount()
        let directory = try VFS.makeDirectory(span("/d").span, at: mount.root, mode: 0o755, mount.context)
        try VFS.changeOwner(directory, user: nil, group: 50, mount.context)
        try VFS.changeMode(directory, 0o2775, mount.context)
        _ = try VFS.makeDirectory(span("/d/inner").span, at: mount.root, mode: 0o755, mount.context)
        #expect(try mount.stat("/d/inner").group == 50)
        #expect(try mount.stat("/d/inner").permissions == 0o2755)
        _ = try mount.open("/d/f", [.O_CREAT, .O_WRONLY])
        #expect(try mount.stat("/d/f").group == 50)
    }

    @Test func unlinkedFilesLiveOn() throws {
        let mount = try GoferMount { try $0.file("f", "content") }
        let file = try mount.open("/f", [.O_RDWR])
        try VFS.unlink(span("/f").span, at: mount.root, mount.context)
        #expect(throws: Errno.ENOENT) { try mount.stat("/f") }
        #expect(try mount.text(file) == "content")
        #expect(try file.attributes(mount.context).links == 0)
        try VFS.truncate(file, size: 3, mount.context)
        #expect(try mount.text(file) == "con")
        try VFS.changeMode(file.path, 0o640, mount.context)
        #expect(try file.attributes(mount.context).permissions == 0o640)
        // A new file of the same name is another file.
        let other = try mount.open("/f", [.O_CREAT, .O_RDWR])
        #expect(try mount.text(other) == "")
    }

    @Test func hardLinksShareTheInode() throws {
        let mount = try GoferMount { try $0.file("a", "x") }
        let source = try VFS.resolve(span("/a").span, at: mount.root, [], mount.context)
        try VFS.link(source, span("/b").span, at: mount.root, mount.context)
        let second = try VFS.resolve(span("/b").span, at: mount.root, [], mount.context)
        #expect(source.dentry.inode === second.dentry.inode)
        #expect(try mount.stat("/b").links == 2)
        // git's way: the first name goes, the file is opened by the second.
        try VFS.unlink(span("/a").span, at: mount.root, mount.context)
        #expect(try mount.stat("/b").links == 1)
        #expect(try mount.text(mount.open("/b")) == "x")
    }

    @Test func hardLinksOfTheHostShareTheInode() throws {
        let mount = try GoferMount { host in
            try host.file("a", "x")
            try HostCall.makeLink(
                source: Array("a".utf8), at: host.directory.rawValue, to: Array("b".utf8), at: host.directory.rawValue)
        }
        let a = try VFS.resolve(span("/a").span, at: mount.root, [], mount.context)
        let b = try VFS.resolve(span("/b").span, at: mount.root, [], mount.context)
        #expect(a.dentry.inode === b.dentry.inode)
        try VFS.unlink(span("/a").span, at: mount.root, mount.context)
        #expect(try mount.text(mount.open("/b")) == "x")
    }

    @Test func renames() throws {
        let mount = try GoferMount { host in
            try host.directory("d")
            try host.file("d/f", "one")
            try host.file("g", "two")
        }
        let open = try mount.open("/d/f")
        let replaced = try mount.open("/g")
        try VFS.rename(span("/d/f").span, at: mount.root, to: span("/g").span, at: mount.root, mount.context)
        #expect(try mount.text(mount.open("/g")) == "one")
        #expect(try mount.text(open) == "one")
        #expect(try mount.text(replaced) == "two")
        #expect(try mount.stat("/g").inode == open.attributes(mount.context).inode)
        try VFS.rename(span("/d").span, at: mount.root, to: span("/e").span, at: mount.root, mount.context)
        _ = try mount.open("/e/new", [.O_CREAT, .O_RDWR])
        try VFS.rename(
            span("/e").span, at: mount.root, to: span("/g").span, at: mount.root, flags: RenameFlag.RENAME_EXCHANGE, mount.context)
        #expect(try mount.names("/g").sorted() == [".", "..", "new"])
        #expect(try mount.text(mount.open("/e")) == "one")
    }

    @Test func readsDirectoriesStably() throws {
        let mount = try GoferMount { host in for index in 0..<1500 { try host.file("f\(index)") } }
        let directory = try mount.open("/", [.O_DIRECTORY])
        var seen: Set<[UInt8]> = []
        var count = 0
        var done = false
        // A hundred at a time, while names come and go behind the reader.
        while !done {
            var here = 0
            var last: [UInt8] = []
            try directory.readDirectory(mount.context) { entry in
                if here == 100 { return false }
                here += 1
                count += 1
                seen.insert(entry.name)
                last = entry.name
                return true
            }
            done = here == 0
            if last.count > 2 { try VFS.unlink(([0x2f] + last).span, at: mount.root, mount.context) }
        }
        #expect(count == 1502)
        #expect(seen.count == 1502)
        _ = try directory.seek(0, whence: 0, mount.context)
        var again = 0
        try directory.readDirectory(mount.context) { _ in
            again += 1
            return true
        }
        #expect(again < 1502)
    }

    @Test func sharedTreesSeeTheHostsChanges() throws {
        let mount = try GoferMount(shared: true) { host in
            try host.directory("d")
            try host.file("d/f", "old")
        }
        #expect(try mount.stat("/d/f").size == 3)
        try mount.host.file("d/f", "longer now")
        #expect(try mount.stat("/d/f").size == 10)
        #expect(throws: Errno.ENOENT) { try mount.stat("/d/new") }
        try mount.host.file("d/new", "x")
        #expect(try mount.stat("/d/new").size == 1)
        try HostCall.unlink(span("d/new"), at: mount.directory.rawValue)
        #expect(throws: Errno.ENOENT) { try mount.stat("/d/new") }
    }

    /// What was seen of a shared tree that is read-only here passes for true until its lease ends, and no longer.
    @Test func readOnlySharedTreesHaveLeases() throws {
        let hour: UInt64 = 3_600_000_000_000
        for lease in [hour, 1] {
            let mount = try GoferMount(shared: true, flags: .readOnly, lease: lease) { host in
                try host.directory("d")
                try host.file("d/f", "old")
                try host.file("d/other", "x")
            }
            let isLeased = lease == hour
            #expect(try mount.stat("/d/f").size == 3)
            #expect(throws: Errno.ENOENT) { try mount.stat("/d/new") }
            let before = mount.client.requestCount
            for _ in 0..<5 {
                #expect(try mount.stat("/d/f").size == 3)
                #expect(throws: Errno.ENOENT) { try mount.stat("/d/new") }
            }
            #expect(isLeased ? mount.client.requestCount == before : mount.client.requestCount >= before + 10)
            try mount.host.file("d/f", "longer now")
            try mount.host.file("d/new", "y")
            #expect(try mount.stat("/d/f").size == (isLeased ? 3 : 10))
            #expect((try? mount.stat("/d/new").size) == (isLeased ? nil : 1))
            try HostCall.unlink(span("d/other"), at: mount.directory.rawValue)
            // What was not looked at has no lease.
            #expect(throws: Errno.ENOENT) { try mount.stat("/d/other") }
        }
    }

    /// A listing says again what its names mean: no look-up has to ask. A file that has taken another's name is noticed.
    @Test func listingsRenewLeases() throws {
        let hour: UInt64 = 3_600_000_000_000
        let mount = try GoferMount(shared: true, flags: .readOnly, lease: hour) { host in
            try host.directory("d")
            for index in 0..<20 { try host.file("d/f\(index)", "x") }
        }
        for index in 0..<20 { #expect(try mount.stat("/d/f\(index)").size == 1) }
        try mount.host.file("d/new", "four")
        try HostCall.rename(span("d/new"), at: mount.directory.rawValue, to: span("d/f3"), at: mount.directory.rawValue, flags: 0)
        #expect(try mount.names("/d").count == 22)
        #expect(try mount.stat("/d/f3").size == 4)
        let before = mount.client.requestCount
        for index in 0..<20 where index != 3 { #expect(try mount.stat("/d/f\(index)").size == 1) }
        #expect(mount.client.requestCount == before)
    }

    /// ls -l asks for every file's access control list: that there is none is remembered until the file changes.
    @Test func absentAccessListsAreRemembered() throws {
        let mount = try GoferMount { try $0.file("f", "x") }
        let name = span("system.posix_acl_access")
        func ask() throws -> Errno? {
            let place = try VFS.resolve(span("/f").span, at: mount.root, [], mount.context)
            return errno { () throws(Errno) in _ = try VFS.extendedAttribute(place, name, mount.context) }
        }
        // Where the host's file system keeps no such lists, each answer is its own.
        guard try ask() == .ENODATA else { return }
        let before = mount.client.requestCount
        for _ in 0..<5 { #expect(try ask() == .ENODATA) }
        #expect(mount.client.requestCount == before)
        // user::rw-, user:5:r--, group::r--, mask::r--, other::r--
        let list: [UInt8] =
            [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 5, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255]
            + [16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255]
        let place = try VFS.resolve(span("/f").span, at: mount.root, [], mount.context)
        try VFS.setExtendedAttribute(place, name, list, flags: 0, mount.context)
        #expect(try VFS.extendedAttribute(place, name, mount.context) == list)
        try VFS.removeExtendedAttribute(place, name, mount.context)
        #expect(try ask() == .ENODATA)
    }

    /// Listings whose files nobody looks at stop bringing them, but bring the directories still.
    @Test func listingsBringWhatIsOfUse() throws {
        let mount = try GoferMount { host in
            for directory in 0..<300 {
                try host.directory("d\(directory)")
                for file in 0..<60 { try host.file("d\(directory)/f\(file)") }
            }
            try host.directory("x")
            try host.directory("x/inner")
            try host.file("x/file")
        }
        func trips(_ body: () throws -> Void) throws -> UInt64 {
            let before = mount.client.requestCount
            try body()
            return mount.client.requestCount - before
        }
        _ = try mount.names("/d0")
        #expect(try trips { for file in 0..<60 { _ = try mount.stat("/d0/f\(file)") } } == 0)
        for directory in 1..<300 { _ = try mount.names("/d\(directory)") }
        _ = try mount.names("/x")
        #expect(try trips { _ = try mount.stat("/x/inner") } == 0)
        #expect(try trips { _ = try mount.stat("/x/file") } == 1)
    }

    @Test func leasesAreForReadOnlySharedTrees() throws {
        #expect(try GoferMount(shared: true, flags: .readOnly).fileSystem.lease == 1_000_000_000)
        #expect(try GoferMount(shared: true).fileSystem.lease == 0)
        #expect(try GoferMount(flags: .readOnly).fileSystem.lease == 0)
    }

    @Test func readOnlyTrees() throws {
        let mount = try GoferMount(flags: .readOnly) { try $0.file("f", "x") }
        #expect(throws: Errno.EROFS) { try mount.open("/f", [.O_RDWR]) }
        #expect(throws: Errno.EROFS) { try mount.open("/n", [.O_CREAT, .O_RDWR]) }
        #expect(throws: Errno.EROFS) { try VFS.unlink(span("/f").span, at: mount.root, mount.context) }
        #expect(try mount.text(mount.open("/f")) == "x")
    }

    @Test func donatedDescriptorsAreBounded() throws {
        let mount = try GoferMount { host in for index in 0..<100 { try host.file("f\(index)", "\(index)") } }
        GoferFileSystem.setDescriptorLimit(16)
        defer { GoferFileSystem.setDescriptorLimit(2048) }
        var files: [FileDescription] = []
        for index in 0..<100 { files.append(try mount.open("/f\(index)")) }
        #expect(GoferFileSystem.descriptors.count <= 17)
        for index in 0..<100 { #expect(try mount.text(files[index]) == "\(index)") }
        #expect(GoferFileSystem.descriptors.count <= 17)
    }

    @Test func aBrokenConnectionIsAnInputOutputError() throws {
        let mount = try GoferMount { try $0.file("f") }
        mount.client.shutDown()
        #expect(throws: Errno.EIO) { try mount.stat("/f") }
    }

    @Test func statistics() throws {
        let mount = try GoferMount()
        let statistics = try mount.fileSystem.statistics(mount.context)
        #expect(statistics.blocks > 0)
        #expect(statistics.maximumName == 255)
    }

    @Test func unnamedFiles() throws {
        let mount = try GoferMount()
        let file = try mount.open("/", [.O_TMPFILE, .O_RDWR], mode: 0o600)
        #expect(try file.attributes(mount.context).links == 0)
        try VFS.truncate(file, size: 5, mount.context)
        #expect(try file.attributes(mount.context).size == 5)
    }

    @Test func writesKeepSizeAndTimesTrue() throws {
        let mount = try GoferMount()
        let file = try mount.open("/f", [.O_CREAT, .O_RDWR])
        var place = try VFS.resolve(span("/f").span, at: mount.root, [], mount.context)
        try VFS.changeTimes(place, access: .at(Timespec()), modification: .at(Timespec()), mount.context)
        #expect(try mount.stat("/f").modificationTime == Timespec())
        #expect(try mount.write(file, "hello") == 5)
        #expect(try mount.stat("/f").size == 5)
        #expect(try mount.stat("/f").modificationTime > Timespec(tv_sec: 1))
        #expect(try mount.write(file, " world") == 6)
        #expect(try mount.text(file) == "hello world")
        let appending = try mount.open("/f", [.O_WRONLY, .O_APPEND])
        #expect(try mount.write(appending, "!") == 1)
        #expect(try mount.text(file) == "hello world!")
        #expect(try appending.seek(0, whence: 1, mount.context) == 12)
        _ = try mount.open("/f", [.O_WRONLY, .O_TRUNC])
        #expect(try mount.stat("/f").size == 0)
        #expect(try mount.text(file) == "")
        try file.allocate(mode: 0, offset: 0, length: 8192, mount.context)
        #expect(try mount.stat("/f").size == 8192)
        try file.sync(dataOnly: false, mount.context)
        place = try VFS.resolve(span("/f").span, at: mount.root, [], mount.context)
        #expect(place.dentry.inode === file.inode)
    }

    @Test func listingsBringAttributesAlong() throws {
        let mount = try GoferMount { host in
            try host.directory("d")
            for index in 0..<50 { try host.file("d/f\(index)", "\(index)") }
        }
        let names = try mount.names("/d").filter { $0.count > 2 || $0.hasPrefix("f") }
        let before = mount.client.requestCount
        for name in names { #expect(try mount.stat("/d/\(name)").size == Int64(name.utf8.count - 1)) }
        #expect(mount.client.requestCount == before)
        // Names that changed since the listing are not answered from it.
        _ = try mount.names("/d")
        try VFS.unlink(span("/d/f1").span, at: mount.root, mount.context)
        #expect(throws: Errno.ENOENT) { try mount.stat("/d/f1") }
        try VFS.rename(span("/d/f2").span, at: mount.root, to: span("/d/f3").span, at: mount.root, mount.context)
        #expect(throws: Errno.ENOENT) { try mount.stat("/d/f2") }
        #expect(try mount.text(mount.open("/d/f3")) == "2")
    }
}

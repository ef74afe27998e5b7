import FileProtocol
import Glibc
import GoferFileServer
import Host
import LinuxABI
import Testing

@Suite(.serialized) struct FileServerTests {
    @Test func walksManyComponentsInOneTrip() throws {
        let pair = try Pair()
        try pair.directory.makeDirectory("a")
        try pair.directory.makeDirectory("a/b")
        try pair.directory.makeFile("a/b/c", "hello")
        let before = pair.client.requestCount
        let reply = try pair.walk("a/b/c")
        #expect(pair.client.requestCount == before + 1)
        #expect(reply.error == 0)
        #expect(reply.nodes.count == 3)
        #expect(reply.nodes.last?.attributes.size == 5)
        #expect(reply.nodes.last?.attributes.type == FileMode.S_IFREG)
        let missing = try pair.walk("a/x/y")
        #expect(missing.nodes.count == 1)
        #expect(missing.error == Errno.ENOENT.rawValue)
    }

    @Test func walkStopsAtSymlinksAndRefusesDots() throws {
        let pair = try Pair()
        try pair.directory.makeLink("out", to: "/")
        let reply = try pair.walk("out/etc/passwd")
        #expect(reply.nodes.count == 1)
        #expect(reply.error == 0)
        #expect(reply.nodes.first?.attributes.type == FileMode.S_IFLNK)
        #expect(try pair.client.call(ReadLinkRequest(handle: reply.nodes[0].handle)).target == Array("/".utf8))
        for name in ["..", ".", "a/b", "", "x\0y", String(repeating: "n", count: 256)] {
            let request = WalkRequest(directory: pair.root, names: [Array(name.utf8)])
            if name.utf8.count > 255 {
                #expect(throws: Errno.EINVAL) { try pair.client.call(request) }
            } else {
                #expect(try pair.client.call(request).error != 0)
            }
        }
        #expect(throws: Errno.EINVAL) {
            try pair.client.open(CreateRequest(directory: pair.root, name: Array("../x".utf8), mode: 0o644, user: 0, group: 0))
        }
    }

    @Test func opensOnlyRegularFilesWithTheAccessAskedFor() throws {
        let pair = try Pair()
        try pair.directory.makeFile("f", "data")
        try pair.directory.makeDirectory("d")
        try HostCall.makeNode(Array("fifo".utf8), mode: FileMode.S_IFIFO | 0o666, device: 0, at: pair.directory.descriptor.rawValue)
        let file = try pair.client.open(OpenRequest(handle: try pair.handle("f"), access: .read))
        #expect(try GoferFileServerTests.read(file.descriptor.rawValue) == "data")
        #expect(throws: Errno.EBADF) { try HostCall.write(file.descriptor.rawValue, at: 0, [1].span) }
        #expect(throws: Errno.EISDIR) { try pair.client.open(OpenRequest(handle: try pair.handle("d"), access: .read)) }
        #expect(throws: Errno.ENXIO) { try pair.client.open(OpenRequest(handle: try pair.handle("fifo"), access: .read)) }
    }

    @Test func createsWithOwnerAndModeAsAsked() throws {
        let pair = try Pair()
        let (reply, descriptor) = try pair.client.open(
            CreateRequest(directory: pair.root, name: Array("new".utf8), mode: 0o6751, user: 1234, group: 4321))
        #expect(reply.node.attributes.mode == FileMode.S_IFREG | 0o6751)
        #expect(reply.node.attributes.user == 1234)
        #expect(reply.node.attributes.group == 4321)
        try HostCall.writeAll(descriptor.rawValue, Array("written".utf8).span)
        #expect(try pair.directory.content("new") == "written")
        #expect(throws: Errno.EEXIST) {
            try pair.client.open(CreateRequest(directory: pair.root, name: Array("new".utf8), mode: 0o644, user: 0, group: 0))
        }
        let made = try pair.client.call(
            MakeDirectoryRequest(directory: pair.root, name: Array("dir".utf8), mode: 0o2775, user: 7, group: 8))
        #expect(made.node.attributes.mode == FileMode.S_IFDIR | 0o2775)
        #expect(made.node.attributes.user == 7)
        let link = try pair.client.call(
            SymlinkRequest(directory: made.node.handle, name: Array("l".utf8), target: Array("../new".utf8), user: 9, group: 10))
        #expect(link.node.attributes.user == 9)
        #expect(throws: Errno.EPERM) {
            try pair.client.call(
                MakeNodeRequest(
                    directory: pair.root, name: Array("null".utf8), mode: FileMode.S_IFCHR | 0o666,
                    device: DeviceNumber.make(major: 1, minor: 3), user: 0, group: 0))
        }
    }

    @Test func changesAttributes() throws {
        let pair = try Pair()
        try pair.directory.makeFile("f", "0123456789")
        let handle = try pair.handle("f")
        var request = SetStatRequest(handle: handle)
        request.valid = [.mode, .size, .user, .accessed, .modified]
        request.mode = 0o4711
        request.size = 4
        request.user = 55
        request.accessed = WireTime(Timespec(tv_sec: 100, tv_nsec: 5))
        request.modified = WireTime(Timespec(tv_sec: -3, tv_nsec: 7))
        let after = try pair.client.call(request).attributes
        #expect(after.mode == FileMode.S_IFREG | 0o4711)
        #expect(after.size == 4)
        #expect(after.user == 55)
        #expect(after.accessed.timespec == Timespec(tv_sec: 100, tv_nsec: 5))
        #expect(after.modified.timespec == Timespec(tv_sec: -3, tv_nsec: 7))
        #expect(try pair.directory.content("f") == "0123")
    }

    @Test func extendedAttributes() throws {
        let pair = try Pair()
        try pair.directory.makeFile("f")
        let handle = try pair.handle("f")
        let name = Array("user.test".utf8)
        do { _ = try pair.client.call(SetExtendedAttributeRequest(handle: handle, name: name, value: [1, 2, 3], flags: 1)) } catch {
            if error as? Errno == .EOPNOTSUPP { return }  // The host's /tmp has none.
            throw error
        }
        #expect(try pair.client.call(GetExtendedAttributeRequest(handle: handle, name: name)).value == [1, 2, 3])
        #expect(try pair.client.call(ListExtendedAttributesRequest(handle: handle)).names == name + [0])
        #expect(throws: Errno.EEXIST) {
            try pair.client.call(SetExtendedAttributeRequest(handle: handle, name: name, value: [], flags: 1))
        }
        _ = try pair.client.call(RemoveExtendedAttributeRequest(handle: handle, name: name))
        #expect(throws: Errno.ENODATA) { try pair.client.call(GetExtendedAttributeRequest(handle: handle, name: name)) }
        #expect(throws: Errno.EOPNOTSUPP) {
            try pair.client.call(SetExtendedAttributeRequest(handle: handle, name: Array("security.selinux".utf8), value: [1]))
        }
    }

    @Test func readOnlyTreesRefuseEveryChange() throws {
        let pair = try Pair(flags: .readOnly)
        try pair.directory.makeFile("f", "x")
        let f = try pair.handle("f")
        let name = Array("n".utf8)
        #expect(throws: Errno.EROFS) { try pair.client.open(OpenRequest(handle: f, access: .readWrite)) }
        #expect(throws: Errno.EROFS) { try pair.client.open(CreateRequest(directory: pair.root, name: name)) }
        #expect(throws: Errno.EROFS) { try pair.client.call(MakeDirectoryRequest(directory: pair.root, name: name)) }
        #expect(throws: Errno.EROFS) { try pair.client.call(SetStatRequest(handle: f)) }
        #expect(throws: Errno.EROFS) { try pair.client.call(UnlinkRequest(directory: pair.root, name: Array("f".utf8))) }
        #expect(throws: Errno.EROFS) { try pair.client.call(LinkRequest(directory: pair.root, name: name, target: f)) }
        #expect(throws: Errno.EROFS) { try pair.client.call(WriteRequest(handle: f, offset: 0, data: [1])) }
    }

    @Test func unlinkedFilesLiveOn() throws {
        let pair = try Pair()
        try pair.directory.makeFile("f", "still here")
        let handle = try pair.handle("f")
        _ = try pair.client.call(UnlinkRequest(directory: pair.root, name: Array("f".utf8), keep: handle))
        let file = try pair.client.open(OpenRequest(handle: handle, access: .read))
        #expect(try GoferFileServerTests.read(file.descriptor.rawValue) == "still here")
        #expect(try pair.client.call(StatRequest(handle: handle)).attributes.links == 0)
        // Without a wish to keep it, the handle is stale.
        try pair.directory.makeFile("g")
        let other = try pair.handle("g")
        _ = try pair.client.call(UnlinkRequest(directory: pair.root, name: Array("g".utf8)))
        #expect(throws: Errno.ENOENT) { try pair.client.open(OpenRequest(handle: other, access: .read)) }
    }

    @Test func unnamedFilesCanBeLinked() throws {
        let pair = try Pair()
        let (reply, descriptor) = try pair.client.open(CreateUnnamedRequest(directory: pair.root, mode: 0o600, user: 1, group: 2))
        try HostCall.writeAll(descriptor.rawValue, Array("temporary".utf8).span)
        _ = try pair.client.call(LinkRequest(directory: pair.root, name: Array("named".utf8), target: reply.node.handle))
        #expect(try pair.directory.content("named") == "temporary")
    }

    @Test func renameKeepsHandlesTrue() throws {
        let pair = try Pair(descriptorLimit: 16)
        try pair.directory.makeDirectory("a")
        try pair.directory.makeDirectory("b")
        try pair.directory.makeFile("a/f", "one")
        try pair.directory.makeFile("b/g", "two")
        let a = try pair.handle("a")
        let b = try pair.handle("b")
        let f = try pair.handle("a/f")
        let g = try pair.handle("b/g")
        _ = try pair.client.call(
            RenameRequest(
                oldDirectory: a, oldName: Array("f".utf8), newDirectory: b, newName: Array("g".utf8), moved: f, replaced: g))
        #expect(try read(pair, f) == "one")
        #expect(try read(pair, g) == "two")
        #expect(throws: Errno.EEXIST) {
            try pair.directory.makeFile("a/h")
            return try pair.client.call(
                RenameRequest(oldDirectory: a, oldName: Array("h".utf8), newDirectory: b, newName: Array("g".utf8), flags: 1))
        }
        // A client that lies about what it moved gets stale handles, not a loop.
        _ = try pair.client.call(
            RenameRequest(oldDirectory: a, oldName: Array("h".utf8), newDirectory: b, newName: Array("i".utf8), moved: b))
        #expect(try pair.client.call(StatRequest(handle: b)).attributes.type == FileMode.S_IFDIR)
    }

    @Test func readsDirectoriesInPieces() throws {
        let pair = try Pair()
        for index in 0..<3000 { try pair.directory.makeFile("file-\(index)") }
        var names: Set<[UInt8]> = []
        var position: Int64 = 0
        var trips = 0
        while true {
            let reply = try pair.client.call(ReadDirectoryRequest(directory: pair.root, position: position))
            trips += 1
            for entry in reply.entries {
                #expect(names.insert(entry.name).inserted)
                #expect(entry.type == DirectoryEntryType.DT_REG)
                position = entry.next
            }
            if reply.end { break }
        }
        #expect(names.count == 3000)
        #expect(trips < 10)
        let start = try pair.client.call(ReadDirectoryRequest(directory: pair.root, position: 0, withAttributes: true))
        #expect(start.entries.first?.node?.attributes.size == 0)
    }

    @Test func bringsDirectoriesAloneIfAsked() throws {
        let pair = try Pair()
        try pair.directory.makeDirectory("directory")
        try pair.directory.makeFile("file")
        try pair.directory.makeLink("link", to: "directory")
        let all = try pair.client.call(ReadDirectoryRequest(directory: pair.root, withAttributes: true))
        #expect(all.entries.allSatisfy { $0.node != nil } && all.entries.count == 3)
        let some = try pair.client.call(ReadDirectoryRequest(directory: pair.root, withAttributes: true, onlyDirectories: true))
        #expect(some.entries.count == 3 && some.entries.filter { $0.node != nil }.map(\.name) == [Array("directory".utf8)])
        let none = try pair.client.call(ReadDirectoryRequest(directory: pair.root, onlyDirectories: true))
        #expect(none.entries.allSatisfy { $0.node == nil })
    }

    @Test func manyNamesFewDescriptors() throws {
        let pair = try Pair(descriptorLimit: 32, handleLimit: 5000)
        for outer in 0..<20 {
            try pair.directory.makeDirectory("d\(outer)")
            for inner in 0..<20 { try pair.directory.makeDirectory("d\(outer)/e\(inner)") }
        }
        let before = try openDescriptorCount()
        var handles: [UInt32] = []
        for outer in 0..<20 {
            for inner in 0..<20 {
                let handle = try pair.handle("d\(outer)/e\(inner)")
                _ = try pair.client.call(StatFileSystemRequest(handle: handle))
                handles.append(handle)
            }
        }
        #expect(try openDescriptorCount() - before <= 40)
        for handle in handles { _ = try pair.client.call(StatFileSystemRequest(handle: handle)) }
    }

    @Test func handlesRunOutWithAnError() throws {
        let pair = try Pair(handleLimit: 10)
        try pair.directory.makeFile("f")
        var handles: [UInt32] = []
        for _ in 0..<9 { handles.append(try pair.handle("f")) }
        #expect(throws: Errno.ENFILE) { try pair.handle("f") }
        for handle in handles { pair.client.close(handle) }
        pair.client.flushCloses()
        #expect(try pair.handle("f") > 0)
        #expect(throws: Errno.EBADF) { try pair.client.call(StatRequest(handle: 4_000_000_000)) }
    }

    @Test func descriptorsDoNotLeak() throws {
        let before = try openDescriptorCount()
        do {
            let pair = try Pair()
            try pair.directory.makeFile("f", "x")
            try pair.directory.makeDirectory("d")
            for _ in 0..<50 {
                let handle = try pair.handle("f")
                _ = try pair.client.open(OpenRequest(handle: handle, access: .readWrite))
                #expect(throws: Errno.EISDIR) { try pair.client.open(OpenRequest(handle: pair.root, access: .read)) }
                #expect(throws: Errno.EEXIST) { try pair.client.open(CreateRequest(directory: pair.root, name: Array("d".utf8))) }
                pair.client.close(try pair.client.open(CreateUnnamedRequest(directory: pair.root, mode: 0o600)).reply.node.handle)
                pair.client.flushCloses()
                _ = try pair.client.call(ReadDirectoryRequest(directory: try pair.handle("d"), position: 0))
                pair.client.close(handle)
            }
            pair.client.shutDown()
            _ = pair.ended.wait()
        }
        #expect(try openDescriptorCount() <= before)
    }

    @Test func filesOpenAhead() throws {
        let pair = try Pair()
        for name in ["a", "b", "c"] { try pair.directory.makeFile(name, name) }
        try pair.directory.makeDirectory("d")
        let handles = try ["a", "b", "c", "d"].map { try pair.handle($0) }
        let (reply, descriptors) = try pair.client.openSeveral(
            OpenRequest(handle: handles[0], ahead: [handles[2], handles[3], 4000, handles[1]]))
        // Not the directory, and not what is no handle.
        #expect(reply.ahead == [handles[2], handles[1]])
        #expect(try descriptors.map { try GoferFileServerTests.read($0.rawValue) } == ["a", "c", "b"])
        // Without the file itself nothing comes.
        #expect(throws: Errno.EISDIR) { try pair.client.openSeveral(OpenRequest(handle: handles[3], ahead: [handles[0]])) }
    }

    @Test func directoriesReadAhead() throws {
        let pair = try Pair()
        for name in ["one", "one/inner", "two", "other"] { try pair.directory.makeDirectory(name) }
        for name in ["one/f", "one/inner/g", "two/h", "other/i"] { try pair.directory.makeFile(name) }
        let one = try pair.handle("one"), other = try pair.handle("other"), two = try pair.handle("two")
        func names(_ entries: [NodeEntry]) -> [String] { entries.map { String(decoding: $0.name, as: UTF8.self) }.sorted() }
        var request = ReadDirectoryRequest(directory: one, withAttributes: true, ahead: 8, along: [two, 4000, other])
        let reply = try pair.client.call(request)
        #expect(reply.end && names(reply.entries) == ["f", "inner"])
        let inner = try #require(reply.entries.first { $0.name == Array("inner".utf8) }?.node?.handle)
        // What is below comes first, then what was named.
        #expect(reply.ahead.map(\.directory) == [inner, two, other])
        #expect(reply.ahead.map { names($0.entries) } == [["g"], ["h"], ["i"]])
        #expect(reply.ahead.allSatisfy { $0.entries.allSatisfy { $0.node != nil } })
        request.ahead = 1
        #expect(try pair.client.call(request).ahead.count == 1)
        request.ahead = 0
        #expect(try pair.client.call(request).ahead.isEmpty)
    }

    @Test func directoriesReadAheadAreWholeOrAbsent() throws {
        let pair = try Pair(handleLimit: 1 << 16)
        for name in ["first", "small", "large"] { try pair.directory.makeDirectory(name) }
        for number in 0..<20 { try pair.directory.makeFile("small/\(number)") }
        for number in 0..<FileProtocolLimit.entries { try pair.directory.makeFile("large/\(number)") }
        let small = try pair.handle("small"), large = try pair.handle("large")
        let reply = try pair.client.call(
            ReadDirectoryRequest(directory: try pair.handle("first"), withAttributes: true, ahead: 8, along: [small, large]))
        #expect(reply.ahead.map(\.directory) == [small])
        #expect(reply.ahead.first?.entries.count == 20)
    }

    @Test func singleFileTree() throws {
        let directory = try TemporaryDirectory()
        try directory.makeFile("hosts", "127.0.0.1 localhost")
        let path = SharedDescriptor(try HostCall.open(Array("\(directory.path)/hosts".utf8), flags: OpenFlag.O_PATH))
        let tree = try ServedTree.open("hosts", descriptor: path, flags: [])
        let server = FileServer(trees: [tree])
        let attached = try server.serve(AttachRequest(tree: 0))
        let opened = try open(server, OpenRequest(handle: attached.node.handle, access: .readWrite))
        #expect(try GoferFileServerTests.read(opened.rawValue) == "127.0.0.1 localhost")
        #expect(throws: Errno.ENOENT) { try server.serve(AttachRequest(tree: 1)) }
    }

    private func read(_ pair: Pair, _ handle: UInt32) throws -> String {
        let (_, descriptor) = try pair.client.open(OpenRequest(handle: handle, access: .read))
        return try GoferFileServerTests.read(descriptor.rawValue)
    }

    private func open(_ server: FileServer, _ request: OpenRequest) throws -> SharedDescriptor {
        var donated: OwnedDescriptor? = nil
        var more: [SharedDescriptor] = []
        _ = try server.serve(request, donating: &donated, &more)
        guard let descriptor = donated.take() else { throw Errno.EBADF }
        return SharedDescriptor(descriptor)
    }
}

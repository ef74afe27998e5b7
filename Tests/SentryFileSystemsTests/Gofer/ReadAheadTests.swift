import FileProtocol
import LinuxABI
import SentryVFS
import Testing

@testable import SentryFileSystems

/// Who reads a tree from one end to the other is served ahead, and sees what is true.
@Suite(.serialized) struct ReadAheadTests {
    /// `count` directories, each with a directory in it, each with a file.
    private func makeTree(_ host: GoferMount.Preparation, _ count: Int) throws {
        for number in 0..<count {
            try host.directory("d\(number)")
            try host.file("d\(number)/f", "outer \(number)")
            try host.directory("d\(number)/e")
            try host.file("d\(number)/e/g", "inner \(number)")
        }
    }

    /// All paths below `path`, as find(1) meets them.
    private func walk(_ mount: GoferMount, _ path: String, _ visit: (String) throws -> Void = { _ in }) throws -> [String] {
        var found: [String] = []
        for name in try mount.names(path) where name != "." && name != ".." {
            let inner = path == "/" ? "/" + name : path + "/" + name
            found.append(inner)
            try visit(inner)
            if try mount.stat(inner).type == .directory { found += try walk(mount, inner, visit) }
        }
        return found
    }

    @Test func aWalkTakesFewTrips() throws {
        let count = 60
        let mount = try GoferMount { try makeTree($0, count) }
        let before = mount.client.requestCount
        let found = try walk(mount, "/")
        #expect(found.count == 4 * count && Set(found).count == found.count)
        #expect(Set(found) == Set((0..<count).flatMap { ["/d\($0)", "/d\($0)/f", "/d\($0)/e", "/d\($0)/e/g"] }))
        // Of 121 directories.
        #expect(mount.client.requestCount - before <= 16)
    }

    @Test func aSharedTreeWithoutLeaseIsNotReadAhead() throws {
        let mount = try GoferMount(shared: true) { try makeTree($0, 20) }
        _ = try walk(mount, "/")
        try mount.host.file("d7/e/new")
        #expect(try mount.names("/d7/e").sorted() == [".", "..", "g", "new"])
    }

    @Test func whatChangedMeanwhileIsReadAnew() throws {
        let count = 30
        let mount = try GoferMount { try makeTree($0, count) }
        var done = 0
        let found = try walk(mount, "/") { path in
            done += 1
            guard done == 38 else { return }
            // By now the rest was read ahead.
            for number in 0..<count {
                _ = try mount.open("/d\(number)/e/made", [.O_CREAT, .O_RDWR])
                try VFS.unlink(Array("/d\(number)/e/g".utf8).span, at: mount.root, mount.context)
            }
        }
        for number in 0..<count {
            let inner = "/d\(number)/e"
            #expect(try mount.names(inner).sorted() == [".", "..", "made"])
            #expect(found.contains(inner + "/made") || found.contains(inner + "/g"))
        }
        // Most were met after the change.
        #expect(found.filter { $0.hasSuffix("/made") }.count >= count / 2)
    }

    @Test func removedAndReplacedDirectories() throws {
        let mount = try GoferMount { try makeTree($0, 20) }
        _ = try walk(mount, "/")
        for number in 0..<20 {
            try VFS.unlink(Array("/d\(number)/e/g".utf8).span, at: mount.root, mount.context)
            try VFS.removeDirectory(Array("/d\(number)/e".utf8).span, at: mount.root, mount.context)
            try VFS.makeDirectory(Array("/d\(number)/e".utf8).span, at: mount.root, mode: 0o755, mount.context)
        }
        for number in 0..<20 { #expect(try mount.names("/d\(number)/e") == [".", ".."]) }
    }

    @Test func readingFilesInOrderTakesFewTrips() throws {
        let count = 40
        let mount = try GoferMount { try makeTree($0, count) }
        let before = mount.client.requestCount
        var contents: [String] = []
        _ = try walk(mount, "/") { path in
            if path.hasSuffix("/f") || path.hasSuffix("/g") { contents.append(try mount.text(mount.open(path))) }
        }
        #expect(Set(contents) == Set((0..<count).flatMap { ["outer \($0)", "inner \($0)"] }))
        // Of 81 directories and 80 files.
        #expect(mount.client.requestCount - before <= 40)
    }

    @Test func filesOpenedAheadAreTheRightOnes() throws {
        let count = 64
        let mount = try GoferMount { host in for number in 0..<count { try host.file("f\(number)", "old \(number)") } }
        let names = try mount.names("/").dropFirst(2)
        for name in names.prefix(8) { #expect(try mount.text(mount.open("/" + name)).hasPrefix("old")) }
        // Those after these are open by now. One is replaced, one removed and made again, one written to.
        let rest = Array(names.dropFirst(8))
        let other = try mount.open("/other", [.O_CREAT, .O_RDWR])
        try mount.write(other, "replaced")
        try VFS.rename(Array("/other".utf8).span, at: mount.root, to: Array("/\(rest[0])".utf8).span, at: mount.root, mount.context)
        try VFS.unlink(Array("/\(rest[1])".utf8).span, at: mount.root, mount.context)
        try mount.write(mount.open("/" + rest[1], [.O_CREAT, .O_RDWR]), "made again")
        try mount.write(mount.open("/" + rest[2], [.O_WRONLY]), "new")
        #expect(try mount.text(mount.open("/" + rest[0])) == "replaced")
        #expect(try mount.text(mount.open("/" + rest[1])) == "made again")
        #expect(try mount.text(mount.open("/" + rest[2])).hasPrefix("new "))
        for name in rest.dropFirst(3) { #expect(try mount.text(mount.open("/" + name)) == "old " + name.dropFirst()) }
    }
}

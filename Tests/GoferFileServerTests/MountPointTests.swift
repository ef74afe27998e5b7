import Control
import Diagnostics
import Host
import LinuxABI
import Testing

@testable import GoferFileServer

/// The places for a container's mounts are made in its root and nowhere else.
@Suite struct MountPointTests {
    private func make(in directory: TemporaryDirectory, _ paths: [(String, isFile: Bool)]) throws {
        var maker = MountPointMaker(root: directory.descriptor.rawValue)
        for (path, isFile) in paths { try maker.make(MountPointSpecification(path: Array(path.utf8), isFile: isFile)) }
    }

    private func type(_ path: String, in directory: TemporaryDirectory) -> UInt32? {
        let attributes = try? HostCall.statx(
            at: directory.descriptor.rawValue, Array(path.utf8), flags: AtFlag.AT_SYMLINK_NOFOLLOW, mask: StatxMask.STATX_BASIC_STATS)
        return attributes.map { UInt32($0.stx_mode) & FileMode.S_IFMT }
    }

    @Test func makesWhatIsMissing() throws {
        let directory = try TemporaryDirectory()
        try directory.makeFile("there", "kept")
        try make(in: directory, [("/a/b/c", false), ("/a/file", true), ("/there", true), ("//a/./b/", false), ("/", false)])
        #expect(type("a/b/c", in: directory) == FileMode.S_IFDIR && type("a/file", in: directory) == FileMode.S_IFREG)
        #expect(try directory.content("there") == "kept" && directory.content("a/file").isEmpty)
    }

    @Test func linksStayInside() throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("d")
        try directory.makeLink("d/absolute", to: "/tmp/nestbox-mount-point-test")
        try directory.makeLink("d/up", to: "../../../../../../etc")
        try directory.makeLink("d/dangling", to: "gone/further")
        try make(
            in: directory,
            [("/d/absolute/x", false), ("/d/up/nestbox-file", true), ("/d/dangling", false), ("/../../d/../e", false)])
        #expect(type("tmp/nestbox-mount-point-test/x", in: directory) == FileMode.S_IFDIR)
        #expect(type("etc/nestbox-file", in: directory) == FileMode.S_IFREG)
        #expect(type("d/gone/further", in: directory) == FileMode.S_IFDIR && type("e", in: directory) == FileMode.S_IFDIR)
        for path in ["/tmp/nestbox-mount-point-test", "/etc/nestbox-file"] {
            #expect(throws: Errno.ENOENT) { _ = try HostCall.statx(at: AtFlag.AT_FDCWD, Array(path.utf8), flags: 0) }
        }
    }

    @Test func leavesToAMountWhatLiesInIt() throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("real")
        try directory.makeLink("alias", to: "real")
        try make(in: directory, [("/alias", false), ("/real/inside", false), ("/new", false), ("/new/a/b", true), ("/newer", false)])
        #expect(type("real/inside", in: directory) == nil && type("new/a", in: directory) == nil)
        #expect(type("newer", in: directory) == FileMode.S_IFDIR)
    }

    @Test func refusesWhatCannotBe() throws {
        let directory = try TemporaryDirectory()
        try directory.makeFile("file")
        try directory.makeLink("one", to: "two")
        try directory.makeLink("two", to: "one")
        for (path, code) in [
            ("/file/x", Errno.ENOTDIR), ("/one/x", .ELOOP), ("/" + String(repeating: "n", count: 256), .ENAMETOOLONG),
            (String(repeating: "/..", count: 5000), .ENAMETOOLONG),
        ] {
            do {
                try make(in: directory, [(path, false)])
                Issue.record("made \(path.prefix(40))")
            } catch let error as SandboxError {
                #expect(error.message.hasSuffix("\(code)"), "\(path.prefix(40)): \(error)")
            }
        }
    }
}

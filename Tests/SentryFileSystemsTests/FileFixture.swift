import LinuxABI
import SentryFileSystems
import SentryMemory
import SentryVFS

/// On whose behalf the tests act.
final class TestContext: FileContext {
    let credentials: Credentials
    let fileSystemContext: FileSystemContext?
    var addressSpace: AddressSpace? { nil }
    let fileSizeLimit: UInt64
    func fileSizeExceeded() {}
    init(_ credentials: Credentials, _ context: FileSystemContext?, fileSizeLimit: UInt64 = .max) {
        self.credentials = credentials
        fileSystemContext = context
        self.fileSizeLimit = fileSizeLimit
    }
}

/// A namespace over a tmpfs, with the operations by path in the form that tests read well in.
struct FileFixture {
    let memory: MemoryFile
    let namespace: MountNamespace
    let context: FileSystemContext
    let root: TestContext
    let user: TestContext

    init(options: TmpfsFileSystem.Options = TmpfsFileSystem.Options()) throws {
        memory = try MemoryFile.anonymous()
        var options = options
        options.mode = 0o755
        namespace = try MountNamespace(root: TmpfsFileSystem(memory: memory, options: options), source: Array("tmpfs".utf8))
        context = FileSystemContext(root: namespace.root, workingDirectory: namespace.root, umask: 0o022)
        root = TestContext(.root, context)
        user = TestContext(Credentials(user: .init(1000), group: .init(1000)), context)
    }

    var start: Path { context.workingDirectory }
    func resolve(_ path: String, _ options: ResolveOptions = .follow, as who: TestContext? = nil) throws(Errno) -> Path {
        let bytes = Array(path.utf8)
        return try VFS.resolve(bytes.span, at: start, options, who ?? root)
    }
    func mkdir(_ path: String, _ mode: UInt32 = 0o755, as who: TestContext? = nil) throws(Errno) {
        let bytes = Array(path.utf8)
        try VFS.makeDirectory(bytes.span, at: start, mode: mode, who ?? root)
    }
    func symlink(_ target: String, _ path: String, as who: TestContext? = nil) throws(Errno) {
        let bytes = Array(path.utf8)
        try VFS.symlink(Array(target.utf8), bytes.span, at: start, who ?? root)
    }
    func open(_ path: String, _ flags: OpenFlags = [], _ mode: UInt32 = 0o644, as who: TestContext? = nil) throws(Errno) -> FileDescription
    {
        let bytes = Array(path.utf8)
        return try VFS.open(bytes.span, at: start, flags: flags, mode: mode, who ?? root)
    }
    func create(_ path: String, _ content: String = "", as who: TestContext? = nil) throws(Errno) {
        let file = try open(path, [.O_CREAT, .O_WRONLY, .O_TRUNC], as: who)
        var buffer = IOBuffer.kernel(Array(content.utf8))
        _ = try VFS.write(file, from: &buffer, root)
    }
    func read(_ path: String) throws(Errno) -> String {
        let file = try open(path)
        var buffer = IOBuffer.kernel(capacity: 1 << 16)
        _ = try VFS.read(file, into: &buffer, root)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }
    func unlink(_ path: String, as who: TestContext? = nil) throws(Errno) {
        let bytes = Array(path.utf8)
        try VFS.unlink(bytes.span, at: start, who ?? root)
    }
    func rmdir(_ path: String, as who: TestContext? = nil) throws(Errno) {
        let bytes = Array(path.utf8)
        try VFS.removeDirectory(bytes.span, at: start, who ?? root)
    }
    func rename(_ old: String, _ new: String, flags: UInt32 = 0, as who: TestContext? = nil) throws(Errno) {
        let from = Array(old.utf8), to = Array(new.utf8)
        try VFS.rename(from.span, at: start, to: to.span, at: start, flags: flags, who ?? root)
    }
    func link(_ old: String, _ new: String) throws(Errno) {
        let to = Array(new.utf8)
        try VFS.link(resolve(old, []), to.span, at: start, root)
    }
    func stat(_ path: String, _ options: ResolveOptions = .follow) throws(Errno) -> FileAttributes {
        try VFS.attributes(of: resolve(path, options), root)
    }
    func list(_ path: String) throws(Errno) -> [String] {
        var names: [String] = []
        try open(path, .O_DIRECTORY).readDirectory(root) { entry in
            names.append(String(decoding: entry.name, as: UTF8.self))
            return true
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }
    func path(of place: Path) -> String? { VFS.pathBytes(of: place, root: context.root).map { String(decoding: $0, as: UTF8.self) } }
}

/// The errno that `body` throws, or nil.
func errno(_ body: () throws(Errno) -> Void) -> Errno? {
    do { try body() } catch { return error }
    return nil
}

import LinuxABI
import SentryMemory
import SentryVFS

/// Small path operations that building a container needs, all on behalf of the kernel itself and inside the container's root.
struct PathTools {
    let context: any FileContext
    let root: Path

    /// The place that `path` (absolute) leads to, links followed.
    func resolve(_ path: [UInt8], _ options: ResolveOptions = .follow) throws(Errno) -> Path {
        try VFS.resolve(path.span, at: root, options.union(.inRoot), context)
    }

    /// The same, or nil when it does not exist.
    func existing(_ path: [UInt8]) -> Path? { try? resolve(path) }

    /// mkdir -p. Directories that exist are left as they are.
    func makeDirectories(_ path: [UInt8], mode: UInt32 = 0o755) throws(Errno) {
        var prefix: [UInt8] = []
        for component in path.split(separator: UInt8(ascii: "/")) {
            prefix += [UInt8(ascii: "/")] + component
            if existing(prefix) != nil { continue }
            do { try VFS.makeDirectory(prefix.span, at: root, mode: mode, context) } catch { if error != .EEXIST { throw error } }
        }
    }

    /// The place to mount on: made when it does not exist, as an empty file for a file mount, else as a directory.
    func mountPoint(_ path: [UInt8], isFile: Bool) throws(Errno) -> Path {
        if let place = existing(path) { return place }
        let parts = path.split(separator: UInt8(ascii: "/"))
        if isFile {
            let parent = parts.dropLast().reduce(into: [UInt8]()) { $0 += [UInt8(ascii: "/")] + $1 }
            try makeDirectories(parent)
            _ = try VFS.open(path.span, at: root, flags: [.O_CREAT, .O_WRONLY], mode: 0o644, context)
        } else {
            try makeDirectories(path)
        }
        return try resolve(path)
    }

    /// Writes a whole small file (sysctls).
    func write(_ bytes: [UInt8], to path: [UInt8]) throws(Errno) {
        let file = try VFS.open(path.span, at: root, flags: .O_WRONLY, context)
        file.retainDescriptor()
        defer { file.releaseDescriptor(context) }
        var buffer = IOBuffer.kernel(bytes)
        _ = try file.write(from: &buffer, context)
    }

    /// A whole file of at most `limit` bytes, or nil when it cannot be read.
    func read(_ path: [UInt8], limit: Int) -> [UInt8]? {
        guard let file = try? VFS.open(path.span, at: root, flags: [], context) else { return nil }
        file.retainDescriptor()
        defer { file.releaseDescriptor(context) }
        return try? ImageMapper.read(file, at: 0, count: limit, context)
    }
}

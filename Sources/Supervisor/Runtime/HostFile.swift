internal import Diagnostics
internal import Host
public import LinuxABI

/// Small host files, read and written whole.
enum HostFile {
    /// The bytes of `path`, at most `maximum` of them; more is EFBIG.
    static func read(_ path: String, maximum: Int = 1 << 20, at directory: Int32 = AtFlag.AT_FDCWD) throws(Errno) -> [UInt8] {
        let file = try HostCall.open(Array(path.utf8), flags: OpenFlag.O_RDONLY, at: directory)
        return try read(file.rawValue, maximum: maximum)
    }

    /// The bytes of an open file from its present offset, at most `maximum` of them; more is EFBIG.
    static func read(_ descriptor: Int32, maximum: Int = 1 << 20) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            var span = buffer.mutableSpan
            let count = try HostCall.read(descriptor, into: &span)
            if count == 0 { return bytes }
            if bytes.count + count > maximum { throw .EFBIG }
            bytes += buffer.prefix(count)
        }
    }

    /// The text of `path` without trailing white space; nil when it cannot be read.
    static func text(_ path: String) -> String? {
        guard let bytes = try? read(path) else { return nil }
        let end = bytes.lastIndex { $0 != 0x0A && $0 != 0x20 } ?? -1
        return String(decoding: bytes[...end], as: UTF8.self)
    }

    /// Writes `text` in one write(2) into an existing file, as control files of the kernel want it.
    static func write(_ path: String, _ text: String) throws(Errno) {
        let file = try HostCall.open(Array(path.utf8), flags: OpenFlag.O_WRONLY)
        try HostCall.writeAll(file.rawValue, Array(text.utf8).span)
    }

    /// Replaces `path` at once: readers see the old bytes or the new ones, never a part.
    static func replace(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o600) throws(Errno) {
        let temporary = path + ".new"
        do throws(Errno) {
            let file = try HostCall.open(
                Array(temporary.utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_TRUNC | OpenFlag.O_NOFOLLOW, mode: mode)
            try HostCall.writeAll(file.rawValue, bytes.span)
            try HostCall.rename(Array(temporary.utf8), at: AtFlag.AT_FDCWD, to: Array(path.utf8), at: AtFlag.AT_FDCWD)
        } catch {
            remove(temporary)
            throw error
        }
    }

    /// Removes a file; that it is not there is no error.
    static func remove(_ path: String) { _ = try? HostCall.unlink(Array(path.utf8), at: AtFlag.AT_FDCWD) }

    /// Removes an empty directory.
    static func removeDirectory(_ path: String) throws(Errno) {
        try HostCall.unlink(Array(path.utf8), at: AtFlag.AT_FDCWD, flags: AtFlag.AT_REMOVEDIR)
    }

    /// Makes a directory and those above it; those that exist are left alone. Returns the ones that were made, outermost first.
    @discardableResult static func makeDirectories(_ path: String, mode: UInt32) throws(Errno) -> [String] {
        var made: [String] = []
        // Another process may remove an empty parent between two steps: again, a bounded number of times.
        for _ in 0..<8 {
            do throws(Errno) {
                try HostCall.makeDirectory(Array(path.utf8), mode: mode, at: AtFlag.AT_FDCWD)
                return made + [path]
            } catch {
                if error == .EEXIST { return made }
                guard error == .ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { throw error }
                made += try makeDirectories(String(path[..<slash]), mode: mode)
            }
        }
        throw .ENOENT
    }

    /// The names in a directory, without `.` and `..`, sorted.
    static func names(_ path: String) throws(Errno) -> [String] {
        let directory = try HostCall.open(Array(path.utf8), flags: OpenFlag.O_RDONLY | OpenFlag.O_DIRECTORY)
        var names: [String] = []
        while true {
            let entries = try HostCall.readDirectory(directory.rawValue)
            if entries.isEmpty { return names.sorted() }
            for entry in entries where entry.name != [0x2E] && entry.name != [0x2E, 0x2E] {
                names.append(String(decoding: entry.name, as: UTF8.self))
            }
        }
    }

    /// True when `path` exists, symbolic links followed.
    static func exists(_ path: String) -> Bool { (try? HostCall.open(Array(path.utf8), flags: OpenFlag.O_PATH)) != nil }

    /// True when `path` is a directory, symbolic links followed.
    static func isDirectory(_ path: String) -> Bool {
        (try? HostCall.open(Array(path.utf8), flags: OpenFlag.O_PATH | OpenFlag.O_DIRECTORY)) != nil
    }
}

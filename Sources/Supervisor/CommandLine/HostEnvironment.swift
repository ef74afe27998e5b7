internal import Glibc
internal import Host
internal import LinuxABI

/// What the command line takes from the process it runs in.
enum HostEnvironment {
    static var userID: UInt32 { geteuid() }

    /// The environment. Later entries of a repeated name count, as in a shell.
    static var variables: [String: String] {
        var result: [String: String] = [:]
        for entry in entries {
            guard let equals = entry.firstIndex(of: "=") else { continue }
            result[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
        return result
    }

    /// The environment as NAME=VALUE entries, read from the kernel: no C pointers.
    static var entries: [String] {
        guard let file = try? HostCall.open(Array("/proc/self/environ".utf8), flags: OpenFlag.O_RDONLY) else { return [] }
        guard let bytes = try? readAll(file.rawValue, maximum: 4 << 20) else { return [] }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    static var workingDirectory: String {
        (try? HostCall.readLink(Array("/proc/self/cwd".utf8), at: AtFlag.AT_FDCWD)).map { String(decoding: $0, as: UTF8.self) } ?? "/"
    }

    /// `path`, from the working directory when it is relative.
    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        let directory = workingDirectory
        if path == "." { return directory }
        return (directory == "/" ? "" : directory) + "/" + path
    }

    /// All bytes of a descriptor, at most `maximum`; more is EFBIG.
    static func readAll(_ descriptor: Int32, maximum: Int) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            var span = buffer.mutableSpan
            let count = try HostCall.read(descriptor, into: &span)
            if count == 0 { return bytes }
            if bytes.count + count > maximum { throw .EFBIG }
            bytes += buffer.prefix(count)
        }
    }

    /// Writes a line to standard output.
    static func print(_ text: String) { _ = try? HostCall.writeAll(1, Array((text + "\n").utf8).span) }

    /// Ends the process at once.
    static func exit(_ status: Int32) -> Never { Glibc.exit(status) }
}

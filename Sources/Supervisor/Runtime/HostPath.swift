internal import Host
internal import LinuxABI

/// Paths on the host.
enum HostPath {
    /// `path`, taken from `base` when it is relative, without `.`, empty and `..` components.
    static func absolute(_ path: String, from base: String) -> String {
        let full = path.hasPrefix("/") ? path : base + "/" + path
        var parts: [Substring] = []
        for part in full.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The path with every symbolic link followed, as the kernel sees it; nil when it does not exist.
    static func resolved(_ path: String) -> String? {
        guard let file = try? HostCall.open(Array(path.utf8), flags: OpenFlag.O_PATH),
            let link = try? HostCall.readLink(Array("/proc/self/fd/\(file.rawValue)".utf8), at: AtFlag.AT_FDCWD)
        else { return nil }
        return String(decoding: link, as: UTF8.self)
    }

    /// The caller's working directory.
    static func workingDirectory() -> String {
        (try? HostCall.readLink(Array("/proc/self/cwd".utf8), at: AtFlag.AT_FDCWD)).map { String(decoding: $0, as: UTF8.self) } ?? "/"
    }
}

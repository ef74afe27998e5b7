public import LinuxABI
public import SentryVFS

/// What stands in a container's /dev (OCI runtime specification, "Default Devices" and "Dev symbolic links").
public enum DeviceNodes {
    /// A character device node.
    public struct Node: Sendable {
        public let name: String
        public let major, minor: UInt32
        public let permissions: UInt32
    }

    public static let nodes: [Node] = [
        Node(name: "null", major: 1, minor: 3, permissions: 0o666),
        Node(name: "zero", major: 1, minor: 5, permissions: 0o666),
        Node(name: "full", major: 1, minor: 7, permissions: 0o666),
        Node(name: "random", major: 1, minor: 8, permissions: 0o666),
        Node(name: "urandom", major: 1, minor: 9, permissions: 0o666),
        Node(name: "kmsg", major: 1, minor: 11, permissions: 0o644),
        Node(name: "tty", major: 5, minor: 0, permissions: 0o666),
    ]
    public static let links: [(name: String, target: String)] = [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"), ("ptmx", "pts/ptmx"),
    ]
    /// Mount points of devpts, and of two tmpfs.
    public static let directories = ["pts", "shm", "mqueue"]

    /// Makes whatever is missing of all that in `directory`, the root of a file system that can hold nodes (a tmpfs).
    public static func populate(_ directory: Inode, _ context: any FileContext) throws(Errno) {
        for node in nodes {
            let device = DeviceNumber.make(major: node.major, minor: node.minor)
            try unlessPresent { () throws(Errno) in
                let inode = try directory.makeNode(
                    Array(node.name.utf8), type: .character, mode: node.permissions, device: device, context)
                // The umask of whoever asks does not count here.
                var change = AttributeChange()
                change.permissions = node.permissions
                try inode.setAttributes(change, context)
            }
        }
        for link in links {
            try unlessPresent { () throws(Errno) in
                _ = try directory.symlink(Array(link.name.utf8), target: Array(link.target.utf8), context)
            }
        }
        for name in directories {
            try unlessPresent { () throws(Errno) in _ = try directory.makeDirectory(Array(name.utf8), mode: 0o755, context) }
        }
    }

    private static func unlessPresent(_ body: () throws(Errno) -> Void) throws(Errno) {
        do { try body() } catch { if error != .EEXIST { throw error } }
    }
}

import Foundation
import LinuxABI
import Synchronization

/// Folders and names of this run's own.
enum Workspace {
    private static let counter = Atomic<Int>(0)

    /// Names this run among those that run at the same time, whose tests may have the same process id in PID namespaces of their own.
    static let run: String = {
        let namespace = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? ""
        let number = UInt64(namespace.filter(\.isNumber)) ?? 0
        return "\(TestEnvironment.prefix)-\(String(number &* 100_000 &+ UInt64(getpid()), radix: 36))"
    }()

    /// The folder of this run: on a file system where mounts and sockets work, with a short name (a socket's path has 107 bytes).
    static let folder: String = {
        let path = (TestEnvironment.variables["NESTBOX_SCRATCH"] ?? "/var/tmp") + "/\(run)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }()

    static func unique(_ name: String) -> String {
        "\(run)-\(counter.add(1, ordering: .relaxed).newValue)-\(name)"
    }

    static func makeFolder(_ name: String) throws -> String {
        let path = folder + "/" + unique(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// A writable view of the root file system: an overlay whose upper layer is thrown away.
    static func withWritableRoot<R>(_ body: (String) throws -> R) throws -> R {
        let folder = try makeFolder("root")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let mount = try execute(
            [
                "sh", "-ec",
                """
                mount -t tmpfs -o mode=755 layer "$1"
                mkdir "$1/upper" "$1/work" "$1/root"
                mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
                """,
                "sh", folder, TestEnvironment.rootFileSystem,
            ])
        guard mount.status == 0 else { throw HarnessError("no writable root: \(mount.errors)") }
        defer { _ = try? execute(["sh", "-c", "umount \"$1/root\"; umount \"$1\"", "sh", folder]) }
        return try body(folder + "/root")
    }
}

/// The harness itself failed.
struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

import Foundation
import Testing

/// podman with the runtime under test, and with storage of its own that holds one small image, `nest`.
final class Podman: Sendable {
    static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/podman")

    let folder: String

    private init() throws { folder = try Workspace.makeFolder("podman") }

    /// Makes the storage, hands it to `body`, and removes all of it.
    static func with<R>(_ body: (Podman) throws -> R) throws -> R {
        let podman = try Podman()
        defer { podman.remove() }
        let made = try execute(["sh", "-ec", Self.imageScript, "sh", TestEnvironment.rootFileSystem, podman.folder + "/image.tar"])
        guard made.status == 0 else { throw HarnessError("no image: \(made.errors)") }
        let imported = try podman(["import", podman.folder + "/image.tar", "nest"], timeout: 120)
        guard imported.status == 0 else { throw HarnessError("podman import: \(imported.errors)") }
        return try body(podman)
    }

    /// A shell, the tools that the tests use, and their libraries.
    private static let imageScript = """
        cd "$1"
        for name in sh dash bash cat ls echo id pwd sleep touch stat head tail wc env grep sed ps mount free nproc hostname true false mkdir rm dd \\
            tty stty seq chmod ln; do
            [ -e "usr/bin/$name" ] && echo "usr/bin/$name"
        done >"$2.list"
        ls -d bin lib lib64 sbin etc/passwd etc/group root tmp usr/lib64/ld-linux-x86-64.so.2 >>"$2.list" 2>/dev/null || true
        for name in ld-linux c m tinfo selinux pcre2-8 proc2 systemd lzma zstd lz4 cap gcrypt gpg-error mount blkid acl attr nss_files; do
            ls -d usr/lib/x86_64-linux-gnu/lib$name.so* usr/lib/x86_64-linux-gnu/$name-*.so* 2>/dev/null || true
        done >>"$2.list"
        tar -cf "$2" --no-recursion -T "$2.list"
        """

    /// podman bounds the length of some of its paths: 50 bytes.
    func command(_ arguments: [String]) -> [String] {
        [
            "/usr/bin/podman", "--root", folder + "/root", "--runroot", Workspace.folder + "/r", "--tmpdir", Workspace.folder + "/t",
            "--cgroup-manager",
            "cgroupfs", "--events-backend", "file", "--runtime", TestEnvironment.nestbox,
        ] + arguments
    }

    @discardableResult
    func callAsFunction(_ arguments: [String], input: [UInt8]? = nil, timeout: Double = 60) throws -> Outcome {
        // What podman leaves running must not keep descriptors of this process: the test would wait for it.
        let closing = "for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -le 2 ] || eval \"exec $n>&-\"; done; exec \"$@\""
        return try execute(["/bin/bash", "-c", closing, "bash"] + command(arguments), input: input, directory: folder, timeout: timeout)
    }

    /// `podman run` of the image without a network.
    @discardableResult
    func run(_ options: [String] = [], _ program: [String], input: [UInt8]? = nil) throws -> Outcome {
        try self(
            ["run", "--network", "none", "--cgroup-parent", "/" + Workspace.run + "-podman"] + options + ["nest"] + program,
            input: input)
    }

    private func remove() {
        _ = try? self(["rm", "--all", "--force", "--time", "0"])
        // Mounts of containers and of the storage itself, the network namespaces of `--network none`, and what podman keeps of cgroups.
        let script = """
            for folder in "$@"; do
                awk -v f="$folder" 'index($5, f) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l
            done
            find /sys/fs/cgroup -depth -type d -path '*/\(Workspace.run)-podman*' -exec rmdir {} \\; 2>/dev/null
            rm -rf "$@"
            """
        _ = try? execute(["sh", "-c", script, "sh", folder, Workspace.folder + "/r", Workspace.folder + "/t"])
    }
}

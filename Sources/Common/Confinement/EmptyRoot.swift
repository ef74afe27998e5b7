internal import Diagnostics
internal import Host
internal import LinuxABI

/// Leaving the host's file tree.
enum EmptyRoot {
    private static let MS_RDONLY = 1
    private static let MS_NOSUID = 2
    private static let MS_NODEV = 4
    private static let MS_NOEXEC = 8
    private static let MS_REMOUNT = 32
    private static let MS_REC = 16384
    private static let MS_PRIVATE = 1 << 18
    private static let MNT_DETACH = 2

    /// Makes an empty, read-only tmpfs the root of this mount namespace, and lets go of all that was mounted. Descriptors that are open
    /// (trees of detached mounts too) stay usable. A process that nobody put into namespaces (one started by hand) makes itself a mount
    /// namespace first: pivoting in the host's would take the host down.
    ///
    /// `covering`, a detached mount, is put over the new root: whoever joins this mount namespace later (an engine that looks into the container)
    /// arrives there. This process stays below it, in the empty one.
    static func enter(covering: Int32? = nil) throws(SandboxError) {
        // The first process of a PID namespace was put there by ProcessSpawner, with a mount namespace of its own.
        if HostCall.raw(.getpid) != 1 {
            let result = HostCall.raw(.unshare, Int(CloneFlags.CLONE_NEWNS.rawValue))
            if result < 0 {
                throw SandboxError(
                    Errno(rawValue: Int32(-result)), "make a mount namespace", hint: "by hand: run as root, or with --confinement none")
            }
        }
        try mount("make the mounts private", source: nil, target: "/", type: nil, flags: MS_REC | MS_PRIVATE, data: nil)
        // Any directory that every host has will do: it disappears with the rest.
        let place = "/proc"
        try mount(
            "mount an empty root", source: "nestbox", target: place, type: "tmpfs", flags: MS_NOSUID | MS_NODEV | MS_NOEXEC,
            data: "size=4096,nr_inodes=2,mode=0555")
        try path("enter the empty root", place) { HostCall.raw(.chdir, $0) }
        // Old and new root at the same place: the old one ends up on top and is taken away (pivot_root(2), "pivot_root(".", ".")").
        try path("make it the root", ".") { HostCall.raw(.pivot_root, $0, $0) }
        try path("let go of the host's mounts", ".") { HostCall.raw(.umount2, $0, MNT_DETACH) }
        try path("enter the root", "/") { HostCall.raw(.chdir, $0) }
        try mount(
            "make the root read-only", source: nil, target: "/", type: nil,
            flags: MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, data: "size=4096,nr_inodes=2,mode=0555")
        if let covering {
            do { try HostCall.attachMount(covering, at: Array("/".utf8)) } catch { throw SandboxError(error, "cover the empty root") }
        }
    }

    private static func path(_ what: String, _ path: String, _ body: (Int) -> Int) throws(SandboxError) {
        do { _ = try HostCall.withPath(Array(path.utf8)) { p throws(Errno) in try HostCall.check(body(p)) } } catch {
            throw SandboxError(error, what)
        }
    }

    private static func mount(
        _ what: String, source: String?, target: String, type: String?, flags: Int, data: String?
    ) throws(SandboxError) {
        func optional(_ text: String?, _ body: (Int) throws(Errno) -> Int) throws(Errno) -> Int {
            guard let text else { return try body(0) }
            return try HostCall.withPath(Array(text.utf8)) { p throws(Errno) in try body(p) }
        }
        do {
            _ = try optional(source) { s throws(Errno) in
                try optional(target) { t throws(Errno) in
                    try optional(type) { y throws(Errno) in
                        try optional(data) { d throws(Errno) in try HostCall.check(HostCall.raw(.mount, s, t, y, flags, d)) }
                    }
                }
            }
        } catch {
            throw SandboxError(error, what)
        }
    }
}

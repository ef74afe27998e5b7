public import Diagnostics
public import Host
internal import LinuxABI

/// Spawns the Sentry and the Gofer into the namespaces that the isolation table gives them.
///
/// The child stops at a gate once its namespaces exist: the caller puts it into its cgroup, then calls `proceed`. A child that is
/// dropped at the gate is ended and reaped.
public struct ProcessSpawner: Sendable {
    /// Which row of the isolation table the process gets.
    public enum Role: Sendable {
        /// A new user namespace that maps only nobody; pid, ipc, uts, mount: new.
        case sentry
        /// pid, ipc, uts, mount: new. Stays root, to open what the container's root may; drops the rest of its capabilities itself.
        case gofer
    }

    private static let spawning = FaultPoint("supervisor.spawn", "a Sentry or Gofer is about to be started: error")

    public var role: Role
    /// Absolute path of the program.
    public var program: [UInt8]
    /// Arguments after the program's name.
    public var arguments: [[UInt8]] = []
    /// Element i becomes descriptor i; nothing else is open in the child.
    public var descriptors: [Int32] = []
    /// The network namespace to join. Nil: a Sentry stays in the caller's, a Gofer makes an empty one of its own.
    public var networkNamespace: Int32?

    public init(role: Role, program: [UInt8]) {
        self.role = role
        self.program = program
    }

    /// The user and group id of the Sentry and of every stub.
    public static let nobody: UInt32 = 65534
    /// What a static Swift program needs in a root without /proc.
    public static let environment: [[UInt8]] = [Array("SWIFT_ROOT=/".utf8)]
    /// What the Sentry keeps through exec, to confine itself with; `SentryConfinement` drops all but SYS_PTRACE.
    static let sentryStartCapabilities: UInt64 =
        HostCapability.CAP_SYS_PTRACE | HostCapability.CAP_SYS_ADMIN | HostCapability.CAP_SETPCAP | HostCapability.CAP_SYS_CHROOT

    /// Makes the process and leaves it at the gate, with its user-namespace maps written.
    public func spawn() throws(SandboxError) -> GatedChild {
        let executable: OwnedDescriptor
        do {
            executable = try HostCall.open(program, flags: OpenFlag.O_PATH)
        } catch {
            throw SandboxError(
                error, "open \(String(decoding: program, as: UTF8.self))", hint: "install all three executables in one directory")
        }
        let separate = CloneFlags.CLONE_NEWNS.rawValue | CloneFlags.CLONE_NEWIPC.rawValue | CloneFlags.CLONE_NEWUTS.rawValue
        var request = SpawnRequest(executable: executable.rawValue)
        request.arguments = [program.split(separator: 0x2f).last.map(Array.init) ?? program] + arguments
        request.environment = Self.environment
        request.descriptors = descriptors
        request.networkNamespace = networkNamespace
        request.cloneNamespaces = CloneFlags.CLONE_NEWPID.rawValue
        switch role {
        case .sentry:
            request.newUser = true
            request.unshareNamespaces = separate
            request.identity = (uid: Self.nobody, gid: Self.nobody)
            request.ambientCapabilities = Self.sentryStartCapabilities
        case .gofer:
            // By the child itself: its parent has more to do meanwhile.
            request.unshareNamespaces = networkNamespace == nil ? separate | CloneFlags.CLONE_NEWNET.rawValue : separate
        }
        let name = role == .sentry ? "sentry" : "gofer"
        if case .error(let errno)? = Self.spawning.hit() { throw SandboxError(errno, "start the \(name)") }
        let child: GatedChild
        do {
            child = try HostSpawn.start(request)
        } catch {
            throw SandboxError(
                .hostFailure, "start the \(name): \(error)",
                hint: error.errno == .EPERM || error.errno == .ENOSPC
                    ? "Nestbox needs root and the right to make namespaces (see /proc/sys/user/max_*_namespaces)" : "")
        }
        if role == .sentry { try Self.mapNobody(child.pid) }
        return child
    }

    /// Maps nobody to nobody, and nothing else, in the user namespace of `pid`.
    private static func mapNobody(_ pid: Int32) throws(SandboxError) {
        for (file, text) in [("setgroups", "deny"), ("uid_map", "65534 65534 1"), ("gid_map", "65534 65534 1")] {
            do {
                let descriptor = try HostCall.open(Array("/proc/\(pid)/\(file)".utf8), flags: OpenFlag.O_WRONLY)
                try HostCall.writeAll(descriptor.rawValue, Array(text.utf8).span)
            } catch {
                throw SandboxError(error, "write /proc/\(pid)/\(file)")
            }
        }
    }
}

/// Network namespaces.
public enum NetworkNamespace {
    /// A descriptor of the network namespace at `path` (a namespace file, as `linux.namespaces` names it).
    public static func open(_ path: [UInt8]) throws(SandboxError) -> OwnedDescriptor {
        do { return try HostCall.open(path, flags: OpenFlag.O_RDONLY) } catch {
            throw SandboxError(error, "open the network namespace \(String(decoding: path, as: UTF8.self))")
        }
    }

    /// A new, empty network namespace. It lives as long as a process in it, a bind mount or this descriptor.
    public static func makeEmpty() throws(SandboxError) -> OwnedDescriptor {
        do { return try newNamespace() } catch { throw SandboxError(error, "make an empty network namespace") }
    }

    private static func newNamespace() throws(Errno) -> OwnedDescriptor {
        let mine = Array("/proc/thread-self/ns/net".utf8)
        let home = try HostCall.open(mine, flags: OpenFlag.O_RDONLY)
        _ = try HostCall.check(HostCall.raw(.unshare, Int(CloneFlags.CLONE_NEWNET.rawValue)))
        let result: Result<Int32, Errno>
        do throws(Errno) { result = .success(try HostCall.open(mine, flags: OpenFlag.O_RDONLY).release()) } catch {
            result = .failure(error)
        }
        // A thread that cannot come home must not go on in the empty one.
        guard HostCall.raw(.setns, Int(home.rawValue), Int(CloneFlags.CLONE_NEWNET.rawValue)) == 0 else { exitProcess(1) }
        return OwnedDescriptor(adopting: try result.get())
    }
}

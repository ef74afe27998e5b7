internal import CHost
public import LinuxABI

/// Ends the process at once (exit_group(2)), without running exit handlers.
public func exitProcess(_ status: Int32) -> Never {
    while true { _ = HostCall.raw(.exit_group, Int(status)) }
}

/// A program to start in namespaces of its own; see `HostSpawn.start`.
public struct SpawnRequest: Sendable {
    /// Descriptor of the program file.
    public var executable: Int32
    public var arguments: [[UInt8]] = []
    /// NAME=value each.
    public var environment: [[UInt8]] = []
    /// The child gets element i as descriptor i, and nothing else; -1 leaves it closed.
    public var descriptors: [Int32] = []
    /// CLONE_NEW* bits made at once, owned by the caller's user namespace.
    public var cloneNamespaces: UInt64 = 0
    /// CLONE_NEW* bits made inside the new user namespace, owned by it.
    public var unshareNamespaces: UInt64 = 0
    /// Makes a user namespace. The caller writes its maps while the child is at the gate.
    public var newUser = false
    /// A network namespace to join.
    public var networkNamespace: Int32?
    /// User and group to become; the supplementary groups go.
    public var identity: (uid: UInt32, gid: UInt32)?
    /// Capabilities that survive the exec of a user other than 0.
    public var ambientCapabilities: UInt64 = 0
    /// Leads a session of its own.
    public var newSession = true

    public init(executable: Int32) { self.executable = executable }
}

/// Why a program did not start: the step and its errno.
public struct SpawnError: Error, Sendable, CustomStringConvertible {
    public let step: String
    public let errno: Errno
    public var description: String { "\(step): \(errno)" }
}

/// A child that waits at the gate, between its namespaces and its program. Dropping it ends the child.
public struct GatedChild: ~Copyable {
    public let pid: Int32
    private let gate: Int32
    private let report: Int32

    fileprivate init(pid: Int32, gate: Int32, report: Int32) {
        self.pid = pid
        self.gate = gate
        self.report = report
    }

    deinit {
        var spawned = chost_spawned(pid: pid, gate: gate, report: report)
        // SAFETY: the structure is a local; both descriptors belong to this value.
        unsafe chost_spawn_abandon(&spawned)
    }

    /// Lets the child go on to its program.
    public consuming func open() throws(SpawnError) -> StartingChild {
        var spawned = chost_spawned(pid: pid, gate: gate, report: report)
        discard self
        // SAFETY: the structure is a local; the call closes the gate, and the report too when it fails.
        let result = unsafe chost_spawn_open_gate(&spawned)
        if result < 0 { throw SpawnError(step: HostSpawn.name(Int32(CHOST_SPAWN_AT_GATE.rawValue)), errno: Errno(rawValue: -result)) }
        return StartingChild(pid: spawned.pid, report: spawned.report)
    }

    /// Lets the child go on, and waits until its program runs. When it does not, the child is reaped.
    public consuming func proceed() throws(SpawnError) { try open().confirm() }
}

/// A child that is on its way to its program. Dropping it leaves the child alone.
public struct StartingChild: ~Copyable {
    public let pid: Int32
    private let report: Int32

    fileprivate init(pid: Int32, report: Int32) {
        self.pid = pid
        self.report = report
    }

    deinit { _ = OwnedDescriptor(adopting: report) }

    /// Waits until the program runs. When it does not, the child is reaped.
    public consuming func confirm() throws(SpawnError) {
        var spawned = chost_spawned(pid: pid, gate: -1, report: report)
        discard self
        var step: Int32 = 0
        // SAFETY: both are locals; the call closes the descriptor that this value owned.
        let result = unsafe chost_spawn_confirm(&spawned, &step)
        if result < 0 { throw SpawnError(step: HostSpawn.name(step), errno: Errno(rawValue: -result)) }
    }
}

/// Starting processes.
public enum HostSpawn {
    /// Makes the child of `request` and leaves it at the gate.
    public static func start(_ request: SpawnRequest) throws(SpawnError) -> GatedChild {
        let arguments = flattened(request.arguments)
        let environment = flattened(request.environment)
        var spawned = chost_spawned()
        var step: Int32 = 0
        // SAFETY: all pointers are to arrays that live until the call returns; the child has copies of them by then.
        let result = unsafe arguments.withUnsafeBufferPointer { a in
            unsafe environment.withUnsafeBufferPointer { e in
                unsafe request.descriptors.withUnsafeBufferPointer { d in
                    var raw = chost_spawn_request()
                    raw.executable = request.executable
                    raw.arguments = UInt(bitPattern: a.baseAddress)
                    raw.argument_count = request.arguments.count
                    raw.environment = UInt(bitPattern: e.baseAddress)
                    raw.environment_count = request.environment.count
                    raw.descriptors = UInt(bitPattern: d.baseAddress)
                    raw.descriptor_count = d.count
                    raw.clone_namespaces = request.cloneNamespaces
                    raw.unshare_namespaces = request.unshareNamespaces
                    raw.new_user = request.newUser ? 1 : 0
                    raw.network_namespace = request.networkNamespace ?? -1
                    raw.set_identity = request.identity == nil ? 0 : 1
                    raw.uid = request.identity?.uid ?? 0
                    raw.gid = request.identity?.gid ?? 0
                    raw.ambient_capabilities = request.ambientCapabilities
                    raw.new_session = request.newSession ? 1 : 0
                    return unsafe chost_spawn(&raw, &spawned, &step)
                }
            }
        }
        if result < 0 { throw SpawnError(step: name(step), errno: Errno(rawValue: -result)) }
        return GatedChild(pid: spawned.pid, gate: spawned.gate, report: spawned.report)
    }

    private static func flattened(_ strings: [[UInt8]]) -> [UInt8] {
        var result: [UInt8] = []
        for string in strings { result += string.prefix { $0 != 0 } + [0] }
        return result + [0]
    }

    fileprivate static func name(_ step: Int32) -> String {
        switch chost_spawn_step(UInt32(bitPattern: step)) {
        case CHOST_SPAWN_AT_GATE: "wait for the parent"
        case CHOST_SPAWN_PIPE: "make pipes"
        case CHOST_SPAWN_CLONE: "clone"
        case CHOST_SPAWN_GROUPS: "setgroups"
        case CHOST_SPAWN_JOIN_NETWORK: "join the network namespace"
        case CHOST_SPAWN_NEW_USER: "make a user namespace"
        case CHOST_SPAWN_IDENTITY: "setresuid"
        case CHOST_SPAWN_UNSHARE: "make namespaces"
        case CHOST_SPAWN_SESSION: "make a session"
        case CHOST_SPAWN_CAPABILITIES: "keep capabilities"
        case CHOST_SPAWN_DESCRIPTORS: "place descriptors"
        case CHOST_SPAWN_EXEC: "execute the program"
        default: "step \(step)"
        }
    }
}

extension HostCall {
    /// From now on a call that a trapping filter stops is reported to `descriptor` before SIGSYS ends the process.
    public static func reportForbiddenCalls(to descriptor: Int32) throws(Errno) {
        _ = try check(Int(chost_report_forbidden_calls(descriptor)))
    }
}

extension HostCall {
    /// When glibc first gives memory of a thread's arena back to the kernel, it opens /proc/sys/vm/overcommit_memory: a call that a confined
    /// process dies of, at some late moment. So arenas are not shrunk; blocks of a MiB and more come from mmap and go back at once.
    public static func keepAllocatorFromFiles() { chost_keep_allocator_from_files() }
}

extension HostCall {
    /// Gives back what this process does not need while it rests: free memory of the allocator, and the code that only its start or its last burst has
    /// used. What is needed again comes back by page faults, a few hundred microseconds of them.
    public static func releaseMemory() { chost_release_memory() }
}

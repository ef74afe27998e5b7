internal import Control
public import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI

/// What `do` is asked for. Paths are absolute.
public struct DoRequestOptions: Sendable {
    public struct Bind: Sendable, Equatable {
        public var source: String
        public var destination: String
        public var isReadOnly: Bool
        public init(source: String, destination: String, isReadOnly: Bool) {
            self.source = source
            self.destination = destination
            self.isReadOnly = isReadOnly
        }
    }

    public var arguments: [String]
    public var environment: [String]
    /// Nil is the machine's own root.
    public var rootfs: String?
    public var isWritable = false
    public var binds: [Bind] = []
    public var workingDirectory = "/"
    public var hostname = "nestbox"
    /// Bytes; nil is as much as the machine has.
    public var memoryLimit: UInt64?
    public var userID: UInt32 = 0
    public var groupID: UInt32 = 0
    /// Tell on standard error where the time of the start-up went.
    public var timing = false

    public init(arguments: [String], environment: [String]) {
        self.arguments = arguments
        self.environment = environment
    }
}

extension ContainerRuntime {
    /// `do`: runs one command in a sandbox of its own. The result is its status.
    public func runCommand(_ request: DoRequestOptions) throws(SandboxError) -> Int32 {
        try requireRoot()
        let spec = Self.specification(for: request)
        do throws(ConfigurationError) { try spec.process.validate(path: "") } catch {
            throw SandboxError(.invalidArgument, "\(error)")
        }
        var plan = try plan(spec, request: CreateRequestOptions(identifier: Self.commandIdentifier(), bundle: "/"))
        plan.translation.container.rootOverlay = request.isWritable ? .none : .memory
        plan.translation.container.rootReadOnly = false
        plan.translation.container.rootShared = request.rootfs == nil
        if !plan.translation.gofer.trees.isEmpty {
            plan.translation.gofer.trees[0].readOnly = !request.isWritable
            plan.translation.gofer.trees[0].recursive = true
            // What is missing is made in the layer above.
            if !request.isWritable { plan.translation.gofer.trees[0].mountPoints = [] }
        }
        if spec.process.terminal { plan.terminal = .own }
        plan.endsWithCreator = true
        plan.timing = request.timing
        sweep()
        return try runInForeground(plan, keep: false)
    }

    /// Removes what a killed `nestbox do` has left: nobody else knows those names.
    private func sweep() {
        for identifier in store.identifiers() where identifier.hasPrefix("do-") {
            guard let record = try? store.load(identifier), let creator = record.creator, !HostProcess.isAlive(creator) else { continue }
            try? delete(identifier, force: true)
        }
    }

    /// A name that no other `do` has at the same time.
    private static func commandIdentifier() -> String { "do-\(HostProcess.own)-\(String(HostClock.realtime, radix: 36))" }

    static func specification(for request: DoRequestOptions) -> RuntimeSpec {
        var process = ProcessSpec()
        process.arguments = request.arguments
        // Entries that are no variables (an odd caller's) would be refused later; a command must not fail for them.
        process.environment = request.environment.filter { $0.utf8.dropFirst().contains(UInt8(ascii: "=")) }
        process.workingDirectory = request.workingDirectory
        process.user.userID = request.userID
        process.user.groupID = request.groupID
        // In a pipeline, or in the background, the terminal belongs to somebody else: the command gets plain descriptors.
        process.terminal = HostCall.isTerminal(0) && HostCall.isTerminal(1) && HostCall.isForeground(0)
        if request.userID == 0 {
            var capabilities = ProcessSpec.Capabilities()
            capabilities.bounding = CapabilityName.all
            capabilities.effective = CapabilityName.all
            capabilities.permitted = CapabilityName.all
            process.capabilities = capabilities
        } else {
            var capabilities = ProcessSpec.Capabilities()
            capabilities.bounding = CapabilityName.all
            process.capabilities = capabilities
        }
        var spec = RuntimeSpec(process: process, root: RuntimeSpec.Root(path: request.rootfs ?? "/", isReadOnly: !request.isWritable))
        spec.hostname = request.hostname
        spec.linux.namespaces = LinuxSpec.NamespaceKind.allCases.filter { $0 != .user && $0 != .time }.map { LinuxSpec.Namespace($0) }
        if let limit = request.memoryLimit { spec.linux.resources.memory.limit = Int64(clamping: limit) }
        spec.mounts = [
            MountSpec(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            MountSpec(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
            MountSpec(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "ro"]),
            MountSpec(destination: "/dev", type: "devtmpfs", source: "devtmpfs", options: ["nosuid", "mode=755"]),
            MountSpec(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            MountSpec(destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "nodev", "mode=1777"]),
            MountSpec(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
        ]
        if HostFile.isDirectory((request.rootfs ?? "") + "/run") {
            spec.mounts.append(MountSpec(destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=755"]))
        }
        for bind in request.binds {
            spec.mounts.append(
                MountSpec(
                    destination: bind.destination, type: "bind", source: bind.source, options: ["rbind", bind.isReadOnly ? "ro" : "rw"]))
        }
        return spec
    }
}

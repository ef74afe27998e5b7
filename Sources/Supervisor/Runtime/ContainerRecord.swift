public import Diagnostics
public import SupervisorOCI

/// A host process, named so that a later one with the same number is not taken for it.
public struct ProcessIdentity: Sendable, Equatable {
    public var processID: Int32
    /// Field 22 of /proc/PID/stat: clock ticks since boot.
    public var startTime: UInt64

    public init(processID: Int32, startTime: UInt64) {
        self.processID = processID
        self.startTime = startTime
    }

    var json: JSON { .object([.init("pid", .integer(processID)), .init("startTime", .integer(startTime))]) }

    init(reading fields: FieldReader) throws(ConfigurationError) {
        processID = try fields.integer("pid") ?? 0
        startTime = try fields.integer("startTime") ?? 0
    }
}

/// All that must be known about a container after `create` has returned: the state file.
public struct ContainerRecord: Sendable, Equatable {
    /// What the Supervisor itself has done; what the processes do meanwhile is asked of them.
    public enum Phase: String, Sendable { case creating, created, started, paused }

    /// Changes when the file's meaning changes; an older `nestbox` refuses a newer file.
    public static let formatVersion = 1

    public var identifier: String
    public var phase: Phase
    public var bundle: String
    public var rootfs: String
    /// RFC 3339.
    public var created: String
    public var annotations: [String: String]
    public var sentry = ProcessIdentity(processID: 0, startTime: 0)
    public var gofer = ProcessIdentity(processID: 0, startTime: 0)
    public var cgroupDirectories: [CgroupDirectoryRecord] = []
    /// Directories made for the container, its cgroups' ancestors included.
    public var cgroupMade: [String] = []
    public var resources = ResourcesSpec()
    public var poststart: [HookSpec] = []
    public var poststop: [HookSpec] = []
    public var startContainer: [HookSpec] = []
    public var hasTerminal = false
    /// The `nestbox` that makes the container, while it does.
    public var creator: ProcessIdentity?
    /// `delete --force` killed the processes.
    public var killRequested = false
    /// Device and inode of the root directory of the memory file system; `update` finds it by them among the Sentry's descriptors.
    public var memoryRoot: MemoryRoot?
    /// The filter that `exec` applies too, as the configuration has it.
    public var seccomp: JSON?
    /// The user namespace, in which `exec` must find its user.
    public var userMappings: [LinuxSpec.IDMapping] = []
    public var groupMappings: [LinuxSpec.IDMapping] = []
    /// The user, groups, environment, directory and capabilities that `exec` starts from.
    public var process = ProcessTemplate()

    public init(identifier: String, bundle: String, rootfs: String, created: String, annotations: [String: String]) {
        self.identifier = identifier
        phase = .creating
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.annotations = annotations
    }

    /// Identity of a directory.
    public struct MemoryRoot: Sendable, Equatable {
        public var device: UInt64
        public var inode: UInt64
    }

    /// One cgroup directory.
    public struct CgroupDirectoryRecord: Sendable, Equatable {
        public var path: String
        public var controllers: [String]
        public var isUnified: Bool
    }

    /// What an `exec` without `--process` inherits from the container's own process.
    public struct ProcessTemplate: Sendable, Equatable {
        public var user = ProcessSpec.User()
        public var environment: [String] = []
        public var workingDirectory = "/"
        public var capabilities: ProcessSpec.Capabilities?
        public var noNewPrivileges = false
        public init() {}
    }

    public var json: JSON {
        func hooks(_ hooks: [HookSpec]) -> JSON { .array(hooks.map(\.json)) }
        return .object([
            .init("format", .integer(Self.formatVersion)),
            .init("id", .string(identifier)),
            .init("phase", .string(phase.rawValue)),
            .init("bundle", .string(bundle)),
            .init("rootfs", .string(rootfs)),
            .init("created", .string(created)),
            .init("annotations", .strings(annotations)),
            .init("sentry", sentry.json),
            .init("gofer", gofer.json),
            .init(
                "cgroups",
                .array(
                    cgroupDirectories.map {
                        .object([
                            .init("path", .string($0.path)), .init("controllers", .strings($0.controllers)),
                            .init("unified", .bool($0.isUnified)),
                        ])
                    })),
            .init("cgroupMade", .strings(cgroupMade)),
            .init("resources", resources.json),
            .init(
                "hooks",
                .object([
                    .init("startContainer", hooks(startContainer)), .init("poststart", hooks(poststart)),
                    .init("poststop", hooks(poststop)),
                ])),
            .init("terminal", .bool(hasTerminal)),
            .init("process", process.json),
            .init("creator", creator?.json ?? .null),
            .init("killRequested", .bool(killRequested)),
            .init(
                "memoryRoot",
                memoryRoot.map { .object([.init("device", .integer($0.device)), .init("inode", .integer($0.inode))]) } ?? .null),
            .init("seccomp", seccomp ?? .null),
            .init("uidMappings", .array(userMappings.map(\.json))),
            .init("gidMappings", .array(groupMappings.map(\.json))),
        ])
    }

    init(parsing bytes: [UInt8], identifier: String) throws(SandboxError) {
        do throws(ConfigurationError) {
            try self.init(reading: FieldReader(JSON(document: bytes)))
        } catch {
            throw SandboxError(
                .internalError, "the state file of container \"\(identifier)\" is damaged: \(error)",
                hint: "nestbox delete --force \(identifier) removes what is left")
        }
        if self.identifier != identifier {
            throw SandboxError(.internalError, "the state file of container \"\(identifier)\" belongs to \"\(self.identifier)\"")
        }
    }

    private init(reading fields: FieldReader) throws(ConfigurationError) {
        let format = try fields.integer("format") ?? 0
        if format != Self.formatVersion {
            throw ConfigurationError("format", "version \(format), this nestbox reads \(Self.formatVersion)")
        }
        self.init(
            identifier: try fields.string("id") ?? "", bundle: try fields.string("bundle") ?? "", rootfs: try fields.string("rootfs") ?? "",
            created: try fields.string("created") ?? "", annotations: try fields.dictionary("annotations"))
        guard let phase = Phase(rawValue: try fields.string("phase") ?? "") else { throw ConfigurationError("phase", "unknown") }
        self.phase = phase
        if let sentry = try fields.object("sentry", ProcessIdentity.init(reading:)) { self.sentry = sentry }
        if let gofer = try fields.object("gofer", ProcessIdentity.init(reading:)) { self.gofer = gofer }
        cgroupDirectories = try fields.objects("cgroups", maximum: 64) { entry throws(ConfigurationError) in
            CgroupDirectoryRecord(
                path: try entry.string("path") ?? "", controllers: try entry.strings("controllers"), isUnified: try entry.bool("unified"))
        }
        cgroupMade = try fields.strings("cgroupMade")
        if let resources = try fields.object("resources", ResourcesSpec.init(reading:)) { self.resources = resources }
        if let hooks = try fields.object("hooks", { $0 }) {
            startContainer = try hooks.objects("startContainer", HookSpec.init(reading:))
            poststart = try hooks.objects("poststart", HookSpec.init(reading:))
            poststop = try hooks.objects("poststop", HookSpec.init(reading:))
        }
        hasTerminal = try fields.bool("terminal")
        if let process = try fields.object("process", ProcessTemplate.init(reading:)) { self.process = process }
        creator = try fields.object("creator", ProcessIdentity.init(reading:))
        killRequested = try fields.bool("killRequested")
        memoryRoot = try fields.object("memoryRoot") { root throws(ConfigurationError) in
            MemoryRoot(device: try root.integer("device") ?? 0, inode: try root.integer("inode") ?? 0)
        }
        seccomp = fields.value("seccomp")
        userMappings = try fields.objects("uidMappings", maximum: 340, LinuxSpec.IDMapping.init(reading:))
        groupMappings = try fields.objects("gidMappings", maximum: 340, LinuxSpec.IDMapping.init(reading:))
    }
}

extension ContainerRecord.ProcessTemplate {
    init(_ process: ProcessSpec) {
        user = process.user
        environment = process.environment
        workingDirectory = process.workingDirectory
        capabilities = process.capabilities
        noNewPrivileges = process.noNewPrivileges
    }

    var json: JSON {
        var user: [JSON.Member] = [
            .init("uid", .integer(user.userID)), .init("gid", .integer(user.groupID)),
            .init("additionalGids", .array(user.additionalGroupIDs.map { JSON.integer($0) })),
        ]
        if let umask = self.user.umask { user.append(.init("umask", .integer(umask))) }
        var members: [JSON.Member] = [
            .init("user", .object(user)), .init("env", .strings(environment)), .init("cwd", .string(workingDirectory)),
            .init("noNewPrivileges", .bool(noNewPrivileges)),
        ]
        if let capabilities {
            members.append(
                .init(
                    "capabilities",
                    .object([
                        .init("bounding", .strings(capabilities.bounding)), .init("effective", .strings(capabilities.effective)),
                        .init("inheritable", .strings(capabilities.inheritable)), .init("permitted", .strings(capabilities.permitted)),
                        .init("ambient", .strings(capabilities.ambient)),
                    ])))
        }
        return .object(members)
    }

    init(reading fields: FieldReader) throws(ConfigurationError) {
        if let user = try fields.object("user", ProcessSpec.User.init(reading:)) { self.user = user }
        environment = try fields.strings("env", maximum: 65536, bytes: ConfigurationLimit.argumentBytes)
        workingDirectory = try fields.string("cwd") ?? "/"
        capabilities = try fields.object("capabilities", ProcessSpec.Capabilities.init(reading:))
        noNewPrivileges = try fields.bool("noNewPrivileges")
    }
}

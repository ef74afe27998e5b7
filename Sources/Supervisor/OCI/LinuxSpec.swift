public import Host

/// The `linux` object of config.json.
/// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md
public struct LinuxSpec: Sendable, Equatable {
    public enum NamespaceKind: String, Sendable, CaseIterable {
        case pid, network, mount, ipc, uts, user, cgroup, time
    }

    public struct Namespace: Sendable, Equatable {
        public var kind: NamespaceKind
        /// An existing namespace to join; nil for a new one.
        public var path: String?
        public init(_ kind: NamespaceKind, path: String? = nil) {
            self.kind = kind
            self.path = path
        }
    }

    public struct IDMapping: Sendable, Equatable {
        public var containerID: UInt32
        public var hostID: UInt32
        public var size: UInt32
    }

    public struct Device: Sendable, Equatable {
        public var path: String
        /// `c`, `u`, `b` or `p`.
        public var type: String
        public var major: Int64
        public var minor: Int64
        public var fileMode: UInt32?
        public var userID: UInt32
        public var groupID: UInt32
    }

    public var namespaces: [Namespace] = []
    public var userMappings: [IDMapping] = []
    public var groupMappings: [IDMapping] = []
    public var devices: [Device] = []
    public var cgroupsPath = ""
    public var resources = ResourcesSpec()
    public var rootfsPropagation = ""
    public var seccomp: SeccompSpec?
    public var sysctl: [String: String] = [:]
    public var maskedPaths: [String] = []
    public var readonlyPaths: [String] = []
    public var mountLabel = ""

    public init() {}

    init(reading fields: FieldReader) throws(ConfigurationError) {
        namespaces = try fields.objects("namespaces", maximum: 32, Namespace.init(reading:))
        userMappings = try fields.objects("uidMappings", maximum: 340, IDMapping.init(reading:))
        groupMappings = try fields.objects("gidMappings", maximum: 340, IDMapping.init(reading:))
        devices = try fields.objects("devices", maximum: 1024, Device.init(reading:))
        cgroupsPath = try fields.string("cgroupsPath", maximum: ConfigurationLimit.pathBytes) ?? ""
        if let resources = try fields.object("resources", ResourcesSpec.init(reading:)) { self.resources = resources }
        rootfsPropagation = try fields.string("rootfsPropagation", maximum: 64) ?? ""
        seccomp = try fields.object("seccomp", SeccompSpec.init(reading:))
        sysctl = try fields.dictionary("sysctl", maximum: 1024)
        maskedPaths = try fields.strings("maskedPaths", bytes: ConfigurationLimit.pathBytes)
        readonlyPaths = try fields.strings("readonlyPaths", bytes: ConfigurationLimit.pathBytes)
        mountLabel = try fields.string("mountLabel") ?? ""
        if let personality = try fields.object("personality", { p throws(ConfigurationError) in try p.string("domain") ?? "" }),
            personality != "LINUX"
        {
            throw ConfigurationError(fields.name("personality.domain"), "\"\(personality)\" is not served", advice: "only LINUX is")
        }
        try validate(path: fields.path)
    }

    /// The namespace of `kind`, or nil when the configuration shares the host's.
    public func namespace(_ kind: NamespaceKind) -> Namespace? { namespaces.first { $0.kind == kind } }

    private func validate(path: String) throws(ConfigurationError) {
        var seen: Set<NamespaceKind> = []
        for namespace in namespaces where !seen.insert(namespace.kind).inserted {
            throw ConfigurationError(path + ".namespaces", "malformed spec file: duplicated namespace \"\(namespace.kind.rawValue)\"")
        }
        if !seen.contains(.user), !userMappings.isEmpty || !groupMappings.isEmpty {
            throw ConfigurationError(
                path + ".uidMappings", "User namespace mappings specified, but user namespace isn't enabled in the config",
                advice: "add {\"type\": \"user\"} to linux.namespaces")
        }
        try Self.validate(userMappings, path + ".uidMappings")
        try Self.validate(groupMappings, path + ".gidMappings")
        if let user = namespace(.user) { try validate(user, path: path) }
        if cgroupsPath.split(separator: "/").contains("..") {
            throw ConfigurationError(path + ".cgroupsPath", "\"\(cgroupsPath)\" contains \"..\"")
        }
        if !["", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"].contains(rootfsPropagation) {
            throw ConfigurationError(path + ".rootfsPropagation", "rootfsPropagation=\(rootfsPropagation) is not supported")
        }
        for name in sysctl.keys.sorted() { try validateSysctl(name, path: path) }
        for (index, masked) in maskedPaths.enumerated() where !masked.hasPrefix("/") {
            throw ConfigurationError(path + ".maskedPaths[\(index)]", "\"\(masked)\" is not absolute")
        }
        for (index, readonly) in readonlyPaths.enumerated() where !readonly.hasPrefix("/") {
            throw ConfigurationError(path + ".readonlyPaths[\(index)]", "\"\(readonly)\" is not absolute")
        }
    }

    /// The texts are those of runc.
    private func validate(_ user: Namespace, path: String) throws(ConfigurationError) {
        if let place = user.path {
            throw ConfigurationError(
                path + ".namespaces", "joining the user namespace \(place) is not served",
                advice: "leave the path out, and give uidMappings and gidMappings")
        }
        let name = "User namespaces enabled, but no "
        if userMappings.isEmpty { throw ConfigurationError(path + ".uidMappings", name + "uid mappings found") }
        if groupMappings.isEmpty { throw ConfigurationError(path + ".gidMappings", name + "gid mappings found") }
        if !users.contains(0) {
            throw ConfigurationError(path + ".uidMappings", name + "user mapping found", advice: "map containerID 0")
        }
        if !groups.contains(0) {
            throw ConfigurationError(path + ".gidMappings", name + "group mapping found", advice: "map containerID 0")
        }
    }

    /// Which ids of the host those of the container stand for.
    public var users: IdentityMap { IdentityMap(userMappings.map(\.extent)) }
    public var groups: IdentityMap { IdentityMap(groupMappings.map(\.extent)) }

    private static func validate(_ mappings: [IDMapping], _ name: String) throws(ConfigurationError) {
        for (index, mapping) in mappings.enumerated() {
            if mapping.size == 0 { throw ConfigurationError("\(name)[\(index)]", "maps no ids", advice: "size must be above 0") }
            if mapping.containerID.addingReportingOverflow(mapping.size - 1).overflow
                || mapping.hostID.addingReportingOverflow(mapping.size - 1).overflow
            {
                throw ConfigurationError("\(name)[\(index)]", "reaches beyond the largest id")
            }
            for (other, earlier) in mappings[..<index].enumerated() {
                func overlap(_ a: UInt32, _ b: UInt32) -> Bool { a <= b + (earlier.size - 1) && b <= a + (mapping.size - 1) }
                if overlap(mapping.containerID, earlier.containerID) || overlap(mapping.hostID, earlier.hostID) {
                    throw ConfigurationError("\(name)[\(index)]", "overlaps \(name)[\(other)]")
                }
            }
        }
    }

    /// Only what a namespace of its own makes private to a container may be set, as runc has it.
    private func validateSysctl(_ name: String, path: String) throws(ConfigurationError) {
        let canonical = String(name.map { $0 == "/" ? "." : $0 })
        let ipc = [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ]
        let kind: NamespaceKind? =
            if ipc.contains(canonical) || canonical.hasPrefix("fs.mqueue.") {
                .ipc
            } else if canonical.hasPrefix("net.") {
                .network
            } else if canonical == "kernel.domainname" || canonical == "kernel.hostname" {
                .uts
            } else {
                nil
            }
        guard let kind else {
            throw ConfigurationError(
                path + ".sysctl", "sysctl \"\(name)\" is not in a separate kernel namespace",
                advice: "only kernel.msg*, kernel.shm*, kernel.sem, fs.mqueue.*, net.* and kernel.domainname can be set")
        }
        if canonical == "kernel.hostname" {
            throw ConfigurationError(
                path + ".sysctl", "sysctl \"kernel.hostname\" conflicts with the hostname field", advice: "set hostname instead")
        }
        if namespace(kind) == nil {
            throw ConfigurationError(
                path + ".sysctl", "sysctl \"\(name)\" is not allowed without a \(kind.rawValue) namespace of the container's own")
        }
    }
}

extension LinuxSpec.Namespace {
    init(reading fields: FieldReader) throws(ConfigurationError) {
        let type = try fields.string("type", maximum: 64) ?? ""
        guard let kind = LinuxSpec.NamespaceKind(rawValue: type) else {
            throw ConfigurationError(
                fields.name("type"), "namespace \"\(type)\" does not exist",
                advice: "one of " + LinuxSpec.NamespaceKind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        self.kind = kind
        let path = try fields.string("path", maximum: ConfigurationLimit.pathBytes) ?? ""
        if !path.isEmpty, !path.hasPrefix("/") {
            throw ConfigurationError(fields.name("path"), "namespace path \"\(path)\" is not absolute")
        }
        self.path = path.isEmpty ? nil : path
    }
}

extension LinuxSpec.IDMapping {
    fileprivate var extent: IdentityMap.Extent { .init(container: containerID, host: hostID, count: size) }

    public var json: JSON {
        .object([
            .init("containerID", .integer(containerID)), .init("hostID", .integer(hostID)), .init("size", .integer(size)),
        ])
    }

    public init(reading fields: FieldReader) throws(ConfigurationError) {
        containerID = try fields.integer("containerID") ?? 0
        hostID = try fields.integer("hostID") ?? 0
        size = try fields.integer("size") ?? 0
    }
}

extension LinuxSpec.Device {
    init(reading fields: FieldReader) throws(ConfigurationError) {
        path = try fields.string("path", maximum: ConfigurationLimit.pathBytes) ?? ""
        type = try fields.string("type", maximum: 1) ?? ""
        major = try fields.integer("major") ?? 0
        minor = try fields.integer("minor") ?? 0
        fileMode = try fields.integer("fileMode")
        userID = try fields.integer("uid") ?? 0
        groupID = try fields.integer("gid") ?? 0
        if !path.hasPrefix("/") { throw ConfigurationError(fields.name("path"), "device path \"\(path)\" is not absolute") }
        if !["c", "u", "b", "p"].contains(type) { throw ConfigurationError(fields.name("type"), "\"\(type)\" is not c, u, b or p") }
    }
}

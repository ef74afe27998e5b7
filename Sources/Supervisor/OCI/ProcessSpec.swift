public import Host

/// The `process` object of config.json, and the whole of the file that `exec --process` names.
/// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md#process
public struct ProcessSpec: Sendable, Equatable {
    public struct ConsoleSize: Sendable, Equatable {
        public var width: UInt16
        public var height: UInt16
        public init(width: UInt16, height: UInt16) {
            self.width = width
            self.height = height
        }
    }

    public struct User: Sendable, Equatable {
        public var userID: UInt32 = 0
        public var groupID: UInt32 = 0
        /// File mode creation mask; nil leaves 0022.
        public var umask: UInt32?
        public var additionalGroupIDs: [UInt32] = []
        public init() {}
    }

    public struct ResourceLimit: Sendable, Equatable {
        /// The RLIMIT_ name.
        public var type: String
        public var soft: UInt64
        public var hard: UInt64
        public init(type: String, soft: UInt64, hard: UInt64) {
            self.type = type
            self.soft = soft
            self.hard = hard
        }
    }

    /// Capability names (CAP_...), as written.
    public struct Capabilities: Sendable, Equatable {
        public var bounding: [String] = []
        public var effective: [String] = []
        public var inheritable: [String] = []
        public var permitted: [String] = []
        public var ambient: [String] = []
        public init() {}
    }

    public var terminal = false
    public var consoleSize: ConsoleSize?
    public var user = User()
    public var arguments: [String] = []
    public var environment: [String] = []
    public var workingDirectory = "/"
    /// Nil means no capabilities at all.
    public var capabilities: Capabilities?
    public var resourceLimits: [ResourceLimit] = []
    public var noNewPrivileges = false
    public var apparmorProfile = ""
    public var selinuxLabel = ""
    public var oomScoreAdjustment: Int32?

    public init() {}

    /// Reads the object and checks it.
    public init(reading fields: FieldReader) throws(ConfigurationError) {
        terminal = try fields.bool("terminal")
        consoleSize = try fields.object("consoleSize") { size throws(ConfigurationError) in
            ConsoleSize(width: try size.integer("width") ?? 0, height: try size.integer("height") ?? 0)
        }
        if let user = try fields.object("user", User.init(reading:)) { self.user = user }
        arguments = try fields.strings("args", maximum: 65536, bytes: ConfigurationLimit.argumentBytes)
        environment = try fields.strings("env", maximum: 65536, bytes: ConfigurationLimit.argumentBytes)
        workingDirectory = try fields.string("cwd", maximum: ConfigurationLimit.pathBytes) ?? ""
        capabilities = try fields.object("capabilities", Capabilities.init(reading:))
        resourceLimits = try fields.objects("rlimits", maximum: 64, ResourceLimit.init(reading:))
        noNewPrivileges = try fields.bool("noNewPrivileges")
        apparmorProfile = try fields.string("apparmorProfile") ?? ""
        selinuxLabel = try fields.string("selinuxLabel") ?? ""
        oomScoreAdjustment = try fields.integer("oomScoreAdj")
        try validate(path: fields.path)
    }

    /// Checks what types alone do not say.
    public func validate(path: String) throws(ConfigurationError) {
        func name(_ field: String) -> String { path.isEmpty ? field : path + "." + field }
        if workingDirectory.isEmpty { throw ConfigurationError(name("cwd"), "Cwd property must not be empty", advice: "set it to /") }
        if !workingDirectory.hasPrefix("/") {
            throw ConfigurationError(name("cwd"), "Cwd must be an absolute path, found \"\(workingDirectory)\"")
        }
        if arguments.isEmpty { throw ConfigurationError(name("args"), "args must not be empty", advice: "name the program to run") }
        if arguments[0].isEmpty {
            throw ConfigurationError(name("args[0]"), "args[0] must not be empty", advice: "name the program to run")
        }
        var total = 0
        for text in arguments { total += text.utf8.count + 9 }
        for text in environment { total += text.utf8.count + 9 }
        if total > ConfigurationLimit.argumentTotalBytes {
            throw ConfigurationError(
                name("args"),
                "arguments and environment take \(total) bytes together, the limit is \(ConfigurationLimit.argumentTotalBytes)")
        }
        for (index, variable) in environment.enumerated() where !variable.utf8.dropFirst().contains(UInt8(ascii: "=")) {
            throw ConfigurationError(name("env[\(index)]"), "\"\(variable.prefix(64))\" is not of the form NAME=VALUE")
        }
        if let adjustment = oomScoreAdjustment, adjustment < -1000 || adjustment > 1000 {
            throw ConfigurationError(name("oomScoreAdj"), "\(adjustment) is not between -1000 and 1000")
        }
        if let umask = user.umask, umask > 0o777 {
            throw ConfigurationError(name("user.umask"), "\(umask) is not between 0 and 511 (0777)")
        }
        var seen: Set<String> = []
        for limit in resourceLimits where !seen.insert(limit.type).inserted {
            throw ConfigurationError(name("rlimits"), "\(limit.type) is given twice")
        }
    }
}

extension ProcessSpec.User {
    /// Refuses ids that the container's user namespace does not have, in runc's words.
    public func validate(users: IdentityMap, groups: IdentityMap) throws(ConfigurationError) {
        let name = "process.user"
        if !users.contains(userID) {
            throw ConfigurationError(
                name + ".uid", "cannot set uid to unmapped user in user namespace", advice: "\(userID) is not in uidMappings")
        }
        if !groups.contains(groupID) {
            throw ConfigurationError(
                name + ".gid", "cannot set gid to unmapped user in user namespace", advice: "\(groupID) is not in gidMappings")
        }
        for id in additionalGroupIDs where !groups.contains(id) {
            throw ConfigurationError(name + ".additionalGids", "setgroups: invalid argument", advice: "\(id) is not in gidMappings")
        }
    }

    public init(reading fields: FieldReader) throws(ConfigurationError) {
        userID = try fields.integer("uid") ?? 0
        groupID = try fields.integer("gid") ?? 0
        umask = try fields.integer("umask")
        additionalGroupIDs = try fields.integers("additionalGids", maximum: 65536)
    }
}

extension ProcessSpec.Capabilities {
    public init(reading fields: FieldReader) throws(ConfigurationError) {
        bounding = try fields.strings("bounding", maximum: 256, bytes: 64)
        effective = try fields.strings("effective", maximum: 256, bytes: 64)
        inheritable = try fields.strings("inheritable", maximum: 256, bytes: 64)
        permitted = try fields.strings("permitted", maximum: 256, bytes: 64)
        ambient = try fields.strings("ambient", maximum: 256, bytes: 64)
    }
}

extension ProcessSpec.ResourceLimit {
    /// The names of getrlimit(2), in the order of their numbers.
    public static let names = [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
        "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO",
        "RLIMIT_RTTIME",
    ]

    /// The number of the limit in getrlimit(2).
    public var number: Int32? { Self.names.firstIndex(of: type).map { Int32($0) } }

    public init(reading fields: FieldReader) throws(ConfigurationError) {
        type = try fields.string("type", maximum: 64) ?? ""
        soft = try fields.integer("soft") ?? 0
        hard = try fields.integer("hard") ?? 0
        if number == nil {
            throw ConfigurationError(fields.name("type"), "invalid rlimit type: \"\(type)\"", advice: "see getrlimit(2) for the names")
        }
        if soft > hard { throw ConfigurationError(fields.path, "\(type): the soft limit \(soft) is above the hard limit \(hard)") }
    }
}

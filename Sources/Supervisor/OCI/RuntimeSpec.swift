/// A whole config.json, read and checked.
/// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
public struct RuntimeSpec: Sendable, Equatable {
    public struct Root: Sendable, Equatable {
        public var path: String
        public var isReadOnly: Bool
        public init(path: String, isReadOnly: Bool) {
            self.path = path
            self.isReadOnly = isReadOnly
        }
    }

    public var version: String
    public var process: ProcessSpec
    public var root: Root
    public var hostname: String
    public var domainname: String
    public var mounts: [MountSpec]
    public var hooks: HooksSpec
    public var annotations: [String: String]
    public var linux: LinuxSpec
    /// `linux.seccomp` as it was written, to be kept for `exec`.
    public var seccompDocument: JSON?

    /// A configuration made by hand, as `nestbox do` needs one.
    public init(process: ProcessSpec, root: Root) {
        version = Self.implementedVersion
        self.process = process
        self.root = root
        hostname = ""
        domainname = ""
        mounts = []
        hooks = HooksSpec()
        annotations = [:]
        linux = LinuxSpec()
    }

    /// The version of the runtime specification that this code follows.
    public static let implementedVersion = "1.2.0"

    /// Reads config.json from its bytes. Every check that needs no host is made here.
    public init(parsing bytes: [UInt8]) throws(ConfigurationError) {
        try self.init(reading: FieldReader(JSON(document: bytes)))
    }

    public init(reading fields: FieldReader) throws(ConfigurationError) {
        version = try fields.string("ociVersion", maximum: 64) ?? ""
        guard let process = try fields.object("process", ProcessSpec.init(reading:)) else {
            throw ConfigurationError("process", "process property must not be empty", advice: "nestbox spec writes a complete example")
        }
        self.process = process
        guard
            let root = try fields.object(
                "root",
                { root throws(ConfigurationError) in
                    Root(path: try root.string("path", maximum: ConfigurationLimit.pathBytes) ?? "", isReadOnly: try root.bool("readonly"))
                })
        else {
            throw ConfigurationError("root", "root must not be empty", advice: "set root.path to the directory of the root file system")
        }
        self.root = root
        hostname = try fields.string("hostname", maximum: 256) ?? ""
        domainname = try fields.string("domainname", maximum: 256) ?? ""
        mounts = try fields.objects("mounts", maximum: 4096, MountSpec.init(reading:))
        hooks = try fields.object("hooks", HooksSpec.init(reading:)) ?? HooksSpec()
        annotations = try fields.dictionary("annotations", maximum: 4096)
        linux = try fields.object("linux", LinuxSpec.init(reading:)) ?? LinuxSpec()
        seccompDocument = fields.value("linux")?["seccomp"].flatMap { $0 == .null ? nil : $0 }
        try validate()
    }

    private func validate() throws(ConfigurationError) {
        try process.user.validate(users: linux.users, groups: linux.groups)
        if version.isEmpty {
            throw ConfigurationError("ociVersion", "ociVersion must not be empty", advice: "set it to \"\(Self.implementedVersion)\"")
        }
        guard let major = version.split(separator: ".").first, version.split(separator: ".").count >= 3, let number = Int(major),
            number <= 1
        else {
            throw ConfigurationError(
                "ociVersion", "\"\(version)\" is not a version this runtime knows", advice: "it follows \(Self.implementedVersion)")
        }
        if root.path.isEmpty {
            throw ConfigurationError("root.path", "root.path must not be empty", advice: "name the directory of the root file system")
        }
        if hostname.utf8.count > 64 { throw ConfigurationError("hostname", "longer than 64 bytes") }
        if domainname.utf8.count > 64 { throw ConfigurationError("domainname", "longer than 64 bytes") }
        if !hostname.isEmpty, linux.namespace(.uts) == nil {
            throw ConfigurationError("hostname", "unable to set hostname without a private UTS namespace")
        }
        if !domainname.isEmpty, linux.namespace(.uts) == nil {
            throw ConfigurationError("domainname", "unable to set domainname without a private UTS namespace")
        }
        for (index, mount) in mounts.enumerated() {
            if mount.isBind, mount.source.isEmpty { throw ConfigurationError("mounts[\(index)].source", "a bind mount must have a source") }
            if mount.hasIDMappings {
                throw ConfigurationError(
                    "mounts[\(index)]", "id-mapped mounts are not served (\(mount.destination))",
                    advice: "leave uidMappings, gidMappings, idmap and ridmap out; linux.uidMappings hold for all mounts")
            }
        }
    }
}

extension JSON {
    /// Reads a bounded document, and says what is wrong in the terms of a configuration.
    public init(document bytes: [UInt8]) throws(ConfigurationError) {
        if bytes.count > ConfigurationLimit.documentBytes {
            throw ConfigurationError("", "has \(bytes.count) bytes, the limit is \(ConfigurationLimit.documentBytes)")
        }
        do {
            self = try JSON(parsing: bytes)
        } catch {
            throw ConfigurationError("", error.description)
        }
    }
}

/// One hook.
public struct HookSpec: Sendable, Equatable {
    public var path: String
    /// argv, the program's name included; empty means the path alone.
    public var arguments: [String]
    public var environment: [String]
    /// Seconds; nil means no limit.
    public var timeout: Int?
}

/// The six kinds of hook, in the order of a container's life.
public struct HooksSpec: Sendable, Equatable {
    public var prestart: [HookSpec] = []
    public var createRuntime: [HookSpec] = []
    public var createContainer: [HookSpec] = []
    public var startContainer: [HookSpec] = []
    public var poststart: [HookSpec] = []
    public var poststop: [HookSpec] = []
    public init() {}

    init(reading fields: FieldReader) throws(ConfigurationError) {
        prestart = try fields.objects("prestart", maximum: 256, HookSpec.init(reading:))
        createRuntime = try fields.objects("createRuntime", maximum: 256, HookSpec.init(reading:))
        createContainer = try fields.objects("createContainer", maximum: 256, HookSpec.init(reading:))
        startContainer = try fields.objects("startContainer", maximum: 256, HookSpec.init(reading:))
        poststart = try fields.objects("poststart", maximum: 256, HookSpec.init(reading:))
        poststop = try fields.objects("poststop", maximum: 256, HookSpec.init(reading:))
    }
}

extension HookSpec {
    /// Reads and checks one hook.
    public init(reading fields: FieldReader) throws(ConfigurationError) {
        path = try fields.string("path", maximum: ConfigurationLimit.pathBytes) ?? ""
        arguments = try fields.strings("args", maximum: 4096, bytes: ConfigurationLimit.argumentBytes)
        environment = try fields.strings("env", maximum: 4096, bytes: ConfigurationLimit.argumentBytes)
        timeout = try fields.integer("timeout")
        if !path.hasPrefix("/") { throw ConfigurationError(fields.name("path"), "hook path \"\(path)\" is not absolute") }
        if let timeout, timeout <= 0 { throw ConfigurationError(fields.name("timeout"), "\(timeout) is not above 0 seconds") }
    }

    /// The hook as JSON, as the state directory keeps poststop hooks.
    public var json: JSON {
        var members = [
            JSON.Member("path", .string(path)), JSON.Member("args", .strings(arguments)), JSON.Member("env", .strings(environment)),
        ]
        if let timeout { members.append(JSON.Member("timeout", .integer(timeout))) }
        return .object(members)
    }
}

/// One entry of `mounts` in config.json.
public struct MountSpec: Sendable, Equatable {
    public var destination: String
    public var type: String
    public var source: String
    public var options: [String]
    /// Whether ids are mapped for this mount alone, which is not served.
    public var hasIDMappings = false

    public init(destination: String, type: String = "", source: String = "", options: [String] = []) {
        self.destination = destination
        self.type = type
        self.source = source
        self.options = options
    }

    init(reading fields: FieldReader) throws(ConfigurationError) {
        destination = try fields.string("destination", maximum: ConfigurationLimit.pathBytes) ?? ""
        type = try fields.string("type", maximum: 64) ?? ""
        source = try fields.string("source", maximum: ConfigurationLimit.pathBytes) ?? ""
        options = try fields.strings("options", maximum: 256, bytes: 4096)
        let mappings =
            try fields.objects("uidMappings", maximum: 340, LinuxSpec.IDMapping.init(reading:))
            + fields.objects("gidMappings", maximum: 340, LinuxSpec.IDMapping.init(reading:))
        hasIDMappings = !mappings.isEmpty || options.contains("idmap") || options.contains("ridmap")
        if destination.isEmpty { throw ConfigurationError(fields.name("destination"), "a mount must have a destination") }
        // Older configurations have relative destinations; the specification reads them from the root.
        if !destination.hasPrefix("/") { destination = "/" + destination }
    }

    /// True for a bind mount: by option, whatever `type` says, or by type.
    public var isBind: Bool { type == "bind" || options.contains("bind") || options.contains("rbind") }
    /// True when submounts of a bind's source come along.
    public var isRecursive: Bool { options.contains("rbind") }
    /// True when the last of `ro` and `rw` is `ro`.
    public var isReadOnly: Bool {
        options.last { $0 == "ro" || $0 == "rw" || $0 == "rro" || $0 == "rrw" }.map { $0 == "ro" || $0 == "rro" } ?? false
    }
}

/// The parsed form of a mount's options.
public struct MountOptions: Sendable, Equatable {
    /// MS_ flags of mount(2) that the guest's mount carries.
    public var flags: UInt64 = 0
    /// Flags that apply to submounts too (rro, rnoexec ...).
    public var recursiveFlags: UInt64 = 0
    /// What is left for the file system: `size=64k` and the like.
    public var data: [String] = []
    /// MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE, perhaps with MS_REC.
    public var propagation: UInt64 = 0
    /// True for `tmpcopyup`: the directory below a tmpfs is copied into it.
    public var copiesUp = false

    /// The option names of mount(8), with the flags that they set and clear.
    private static let table: [String: (set: UInt64, clear: UInt64)] = [
        "ro": (1, 0), "rw": (0, 1), "nosuid": (2, 0), "suid": (0, 2), "nodev": (4, 0), "dev": (0, 4), "noexec": (8, 0), "exec": (0, 8),
        "sync": (16, 0), "async": (0, 16), "remount": (32, 0), "mand": (64, 0), "nomand": (0, 64), "dirsync": (128, 0),
        "nosymfollow": (256, 0), "symfollow": (0, 256), "noatime": (1024, 0), "atime": (0, 1024), "nodiratime": (2048, 0),
        "diratime": (0, 2048),
        "bind": (4096, 0), "rbind": (4096 | 16384, 0), "silent": (32768, 0), "loud": (0, 32768), "relatime": (1 << 21, 0),
        "norelatime": (0, 1 << 21),
        "iversion": (1 << 23, 0), "noiversion": (0, 1 << 23), "strictatime": (1 << 24, 0), "nostrictatime": (0, 1 << 24),
        "lazytime": (1 << 25, 0), "nolazytime": (0, 1 << 25), "defaults": (0, 0),
    ]
    private static let propagations: [String: UInt64] = [
        "unbindable": 1 << 17, "private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20,
        "runbindable": 1 << 17 | 16384, "rprivate": 1 << 18 | 16384, "rslave": 1 << 19 | 16384, "rshared": 1 << 20 | 16384,
    ]

    /// The names of all options that every mount understands.
    public static var names: [String] { (Array(table.keys) + Array(propagations.keys) + ["tmpcopyup"]).sorted() }

    /// Sorts options into flags, propagation and data, in order: later ones win.
    public init(_ options: [String]) {
        for option in options {
            if let entry = Self.table[option] {
                flags = flags & ~entry.clear | entry.set
            } else if let kind = Self.propagations[option] {
                propagation = kind
            } else if option.hasPrefix("r"), let entry = Self.table[String(option.dropFirst())] {
                flags = flags & ~entry.clear | entry.set
                recursiveFlags = recursiveFlags & ~entry.clear | entry.set
            } else if option == "tmpcopyup" {
                copiesUp = true
            } else if !option.isEmpty {
                data.append(option)
            }
        }
    }
}

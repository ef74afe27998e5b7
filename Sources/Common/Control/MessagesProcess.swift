public import Wire

/// One rlimit: struct rlimit64 of `resource` (RLIMIT_*).
public struct ResourceLimit: WireStructure, Equatable {
    /// RLIMIT_*, 0 to 15.
    public var resource: UInt32 = 0
    /// UInt64.max is RLIM_INFINITY.
    public var soft: UInt64 = 0
    public var hard: UInt64 = 0

    public init() {}
    public init(resource: UInt32, soft: UInt64, hard: UInt64) {
        self.resource = resource
        self.soft = soft
        self.hard = hard
    }

    public static var summary: String { "One resource limit of a process (setrlimit(2))." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("resource", &resource, in: 0...15, "RLIMIT_*")
        try v.integer("soft", &soft, "2^64-1 is infinity")
        try v.integer("hard", &hard, "2^64-1 is infinity")
    }
}

/// The five capability sets of a process, bit n for capability n (capabilities(7)).
public struct CapabilitySets: WireStructure, Equatable {
    public var effective: UInt64 = 0
    public var permitted: UInt64 = 0
    public var inheritable: UInt64 = 0
    public var bounding: UInt64 = 0
    public var ambient: UInt64 = 0

    public init() {}

    public static var summary: String { "The capability sets of a process; bit n is capability n (capabilities(7))." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("effective", &effective)
        try v.integer("permitted", &permitted)
        try v.integer("inheritable", &inheritable)
        try v.integer("bounding", &bounding)
        try v.integer("ambient", &ambient)
    }
}

/// A program to start and the identity it starts with: `process` of the OCI configuration.
public struct ProcessSpecification: WireStructure, Equatable {
    /// argv; the first names the program, found along PATH of `environment` when it has no slash.
    public var arguments: [[UInt8]] = []
    /// NAME=value each.
    public var environment: [[UInt8]] = []
    /// Absolute, in the container.
    public var workingDirectory: [UInt8] = Array("/".utf8)
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    public var additionalGids: [UInt32] = []
    /// Permission bits to clear from new files.
    public var umask: UInt32 = 0o022
    public var capabilities = CapabilitySets()
    public var rlimits: [ResourceLimit] = []
    public var noNewPrivileges = false
    /// The process leads a session whose controlling terminal is the `console` descriptor.
    public var terminal = false
    /// Columns and rows; 0 leaves the terminal's size alone.
    public var consoleWidth: UInt16 = 0
    public var consoleHeight: UInt16 = 0
    public var oomScoreAdj: Int32 = 0
    /// The filter of linux.seccomp, installed just before the program starts.
    public var seccomp: SeccompProgram?

    public init() {}

    public static var summary: String { "A program to start and the identity it starts with (`process` of the OCI configuration)." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.byteStrings("arguments", &arguments, maximum: MessageLimits.strings, each: MessageLimits.string, "argv")
        try v.byteStrings("environment", &environment, maximum: MessageLimits.strings, each: MessageLimits.string, "NAME=value")
        try v.bytes("workingDirectory", &workingDirectory, maximum: MessageLimits.path, "absolute, in the container")
        try v.integer("uid", &uid)
        try v.integer("gid", &gid)
        try v.integers("additionalGids", &additionalGids, maximum: MessageLimits.groups)
        try v.integer("umask", &umask, in: 0...0o777)
        try v.structure("capabilities", &capabilities)
        try v.inlines("rlimits", &rlimits, maximum: 16)
        try v.boolean("noNewPrivileges", &noNewPrivileges)
        try v.boolean("terminal", &terminal, "leads a session on the console descriptor")
        try v.integer("consoleWidth", &consoleWidth, "columns; 0 leaves the size alone")
        try v.integer("consoleHeight", &consoleHeight, "rows")
        try v.integer("oomScoreAdj", &oomScoreAdj, in: -1000...1000)
        try v.optional("seccomp", &seccomp, "the guest's filter")
    }
}

/// What a descriptor that rides with a request is for.
public enum DescriptorRole: UInt8, WireEnumeration {
    /// A standard stream or a preserved descriptor of the guest: `number` is its number there.
    case guest = 0
    /// The terminal (the slave of a host pseudoterminal): becomes the guest's 0, 1, 2 and controlling terminal.
    case console = 1
    /// The Sentry's end of the file-protocol socket of this container's Gofer.
    case gofer = 2
    /// The memory file of the container: a hole in a tmpfs of its own, whose `size=` is the container's limit.
    case memory = 3
    /// A file that holds a writable layer; `number` is the mount index, UInt32.max for the root.
    case overlay = 4
    /// Where the Sentry writes the OCI `seccomp` listener or other notifications; reserved.
    case notification = 5
    /// A file in the state directory: the Sentry writes the `ExitReport` of the container's first process there (wire codec, from offset 0)
    /// before it exits, so that the reason outlives all processes.
    case exitReport = 6
    /// The root directory of the tmpfs that holds `memory` (O_PATH): the Sentry only keeps it open; `update` resizes the file system by it.
    case memoryFileSystem = 7
}

/// One descriptor of a request. The list is in the order in which they were sent.
public struct DescriptorAssignment: WireStructure, Equatable {
    public var role = DescriptorRole.guest
    /// See `DescriptorRole`.
    public var number: UInt32 = 0

    public init() {}
    public init(_ role: DescriptorRole, number: UInt32 = 0) {
        self.role = role
        self.number = number
    }

    public static var summary: String {
        "What one of the descriptors that ride with the request is for, in the order in which they were sent."
    }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.enumeration("role", &role)
        try v.integer("number", &number, "the guest's descriptor number, or a mount index")
    }
}

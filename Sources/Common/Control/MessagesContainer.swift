public import Host
public import Wire

/// A name and a value (sysctl, annotation).
public struct NamedValue: WireStructure, Equatable {
    public var name: [UInt8] = []
    public var value: [UInt8] = []

    public init() {}
    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    public static var summary: String { "A name and its value." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("name", &name, maximum: MessageLimits.path)
        try v.bytes("value", &value, maximum: MessageLimits.data)
    }
}

/// Which file system a mount shows.
public enum MountKind: UInt8, WireEnumeration {
    /// A tree of the Gofer: `tree` is its index there.
    case bind = 0
    case tmpfs = 1
    case proc = 2
    case sysfs = 3
    /// The sandbox's own /dev.
    case devtmpfs = 4
    case devpts = 5
    case mqueue = 6
    case cgroup = 7
}

/// Where writes to a tree go.
public enum OverlayMode: UInt8, WireEnumeration {
    /// To the host's files (unless read-only).
    case none = 0
    /// To memory of the sandbox; lost with it.
    case memory = 1
    /// To the file that rides along as `overlay`.
    case file = 2
}

/// One mount of the container, in the order in which they are mounted.
public struct MountSpecification: WireStructure, Equatable {
    /// Absolute path in the container.
    public var destination: [UInt8] = []
    public var kind = MountKind.bind
    /// The Gofer's tree of a bind mount.
    public var tree: UInt32 = 0
    /// The source of a bind mount is a single file, not a directory.
    public var isFile = false
    /// MS_* bits that the file system honours: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME ... and propagation.
    public var flags: UInt64 = 0
    /// File-system options as mount(2) takes them: "size=65536k,mode=755".
    public var data: [UInt8] = []
    public var overlay = OverlayMode.none
    /// Others on the host change the tree while the container runs: names and attributes are revalidated.
    public var shared = false
    /// What /proc/mounts shows as the device.
    public var source: [UInt8] = []

    public init() {}

    public static var summary: String { "One mount of the container; the list is in mounting order." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("destination", &destination, maximum: MessageLimits.path, "absolute, in the container")
        try v.enumeration("kind", &kind)
        try v.integer("tree", &tree, "the Gofer's tree of a bind mount")
        try v.boolean("isFile", &isFile, "the source is a single file")
        try v.integer("flags", &flags, "MS_*")
        try v.bytes("data", &data, maximum: MessageLimits.data, "options of the file system, as mount(2) takes them")
        try v.enumeration("overlay", &overlay)
        try v.boolean("shared", &shared, "others change the tree: revalidate")
        try v.bytes("source", &source, maximum: MessageLimits.path, "shown in /proc/mounts")
    }
}

/// A device node under the container's /dev (`linux.devices`).
public struct DeviceSpecification: WireStructure, Equatable {
    public enum Kind: UInt8, WireEnumeration {
        case character = 0
        case block = 1
        case fifo = 2
    }
    public var path: [UInt8] = []
    public var kind = Kind.character
    public var major: UInt32 = 0
    public var minor: UInt32 = 0
    /// Permission bits.
    public var mode: UInt32 = 0o666
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0

    public init() {}

    public static var summary: String { "A device node of the container (`linux.devices`)." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.bytes("path", &path, maximum: MessageLimits.path)
        try v.enumeration("kind", &kind)
        try v.integer("major", &major)
        try v.integer("minor", &minor)
        try v.integer("mode", &mode, in: 0...0o7777)
        try v.integer("uid", &uid)
        try v.integer("gid", &gid)
    }
}

/// One line of a user namespace's uid_map or gid_map.
public struct IdentityMapping: WireStructure, Equatable {
    public var containerID: UInt32 = 0
    public var hostID: UInt32 = 0
    public var count: UInt32 = 0

    public init() {}
    public init(containerID: UInt32, hostID: UInt32, count: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.count = count
    }

    public static var summary: String { "One line of a uid_map or gid_map (user_namespaces(7))." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("containerID", &containerID)
        try v.integer("hostID", &hostID)
        try v.integer("count", &count)
    }
}

extension IdentityMap {
    public init(_ mappings: [IdentityMapping]) {
        self.init(mappings.map { Extent(container: $0.containerID, host: $0.hostID, count: $0.count) })
    }
}

/// A namespace that the container shares with another container of the sandbox.
public struct SharedNamespace: WireStructure, Equatable {
    public enum Kind: UInt8, WireEnumeration {
        case pid = 0
        case network = 1
        case ipc = 2
        case uts = 3
        case user = 4
    }
    public var kind = Kind.pid
    /// The container whose namespace it joins.
    public var container = ""

    public init() {}

    public static var summary: String { "A namespace shared with another container of the same sandbox." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.enumeration("kind", &kind)
        try v.text("container", &container, maximum: MessageLimits.identifier)
    }
}

/// What a container may use; 0 means no limit of its own.
public struct ResourceSpecification: WireStructure, Equatable {
    /// Bytes of guest memory; the memory file has this size.
    public var memoryLimit: UInt64 = 0
    /// Guest tasks.
    public var pidsLimit: UInt64 = 0
    /// CPUs the guest sees (sched_getaffinity, /proc/cpuinfo); 0: as many as the sandbox has.
    public var cpuCount: UInt32 = 0
    /// cgroup cpu.weight and quota, for the guest's cgroup view.
    public var cpuShares: UInt64 = 0
    public var cpuQuota: Int64 = 0
    public var cpuPeriod: UInt64 = 0

    public init() {}

    public static var summary: String { "What a container may use; 0 means no limit of its own." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("memoryLimit", &memoryLimit, "bytes")
        try v.integer("pidsLimit", &pidsLimit, "tasks")
        try v.integer("cpuCount", &cpuCount, "CPUs the guest sees")
        try v.integer("cpuShares", &cpuShares, "shown in the guest's cgroup view")
        try v.integer("cpuQuota", &cpuQuota, "microseconds a period; below 1 means none")
        try v.integer("cpuPeriod", &cpuPeriod, "microseconds")
    }
}

/// Everything the Sentry must know of a container: the checked and decoded OCI configuration.
public struct ContainerSpecification: WireStructure, Equatable {
    public var id = ""
    /// The first process; absent for a container that only `exec` fills.
    public var process = ProcessSpecification()
    public var hostname: [UInt8] = []
    public var domainname: [UInt8] = []
    public var sysctls: [NamedValue] = []
    /// The Gofer's tree that is the container's root.
    public var rootTree: UInt32 = 0
    public var rootReadOnly = false
    public var rootOverlay = OverlayMode.none
    /// Others on the host change the root while the container runs.
    public var rootShared = false
    public var mounts: [MountSpecification] = []
    public var maskedPaths: [[UInt8]] = []
    public var readOnlyPaths: [[UInt8]] = []
    public var devices: [DeviceSpecification] = []
    public var resources = ResourceSpecification()
    public var uidMappings: [IdentityMapping] = []
    public var gidMappings: [IdentityMapping] = []
    public var sharedNamespaces: [SharedNamespace] = []
    /// The guest's cgroup path as /proc/self/cgroup shows it.
    public var cgroupPath: [UInt8] = Array("/".utf8)
    public var annotations: [NamedValue] = []
    /// The descriptors that ride with the request, in order.
    public var descriptors: [DescriptorAssignment] = []

    public init() {}

    public static var summary: String { "Everything the Sentry must know of a container: the checked and decoded OCI configuration." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("id", &id, maximum: MessageLimits.identifier)
        try v.structure("process", &process)
        try v.bytes("hostname", &hostname, maximum: 64)
        try v.bytes("domainname", &domainname, maximum: 64)
        try v.inlines("sysctls", &sysctls, maximum: MessageLimits.entries)
        try v.integer("rootTree", &rootTree, "the Gofer's tree that is the root")
        try v.boolean("rootReadOnly", &rootReadOnly)
        try v.enumeration("rootOverlay", &rootOverlay)
        try v.boolean("rootShared", &rootShared, "others change the root: revalidate")
        try v.structures("mounts", &mounts, maximum: MessageLimits.entries)
        try v.byteStrings("maskedPaths", &maskedPaths, maximum: MessageLimits.entries, each: MessageLimits.path)
        try v.byteStrings("readOnlyPaths", &readOnlyPaths, maximum: MessageLimits.entries, each: MessageLimits.path)
        try v.structures("devices", &devices, maximum: MessageLimits.entries)
        try v.structure("resources", &resources)
        try v.inlines("uidMappings", &uidMappings, maximum: 340)
        try v.inlines("gidMappings", &gidMappings, maximum: 340)
        try v.inlines("sharedNamespaces", &sharedNamespaces, maximum: 8)
        try v.bytes("cgroupPath", &cgroupPath, maximum: MessageLimits.path)
        try v.inlines("annotations", &annotations, maximum: MessageLimits.entries)
        try v.inlines("descriptors", &descriptors, maximum: MessageLimits.descriptors)
    }
}

/// A capability set of capabilities(7): bit N is capability N.
@frozen public struct Capabilities: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let CAP_CHOWN = Capabilities(rawValue: 1 << 0)
    public static let CAP_DAC_OVERRIDE = Capabilities(rawValue: 1 << 1)
    public static let CAP_DAC_READ_SEARCH = Capabilities(rawValue: 1 << 2)
    public static let CAP_FOWNER = Capabilities(rawValue: 1 << 3)
    public static let CAP_FSETID = Capabilities(rawValue: 1 << 4)
    public static let CAP_KILL = Capabilities(rawValue: 1 << 5)
    public static let CAP_SETGID = Capabilities(rawValue: 1 << 6)
    public static let CAP_SETUID = Capabilities(rawValue: 1 << 7)
    public static let CAP_SETPCAP = Capabilities(rawValue: 1 << 8)
    public static let CAP_LINUX_IMMUTABLE = Capabilities(rawValue: 1 << 9)
    public static let CAP_NET_BIND_SERVICE = Capabilities(rawValue: 1 << 10)
    public static let CAP_NET_ADMIN = Capabilities(rawValue: 1 << 12)
    public static let CAP_NET_RAW = Capabilities(rawValue: 1 << 13)
    public static let CAP_IPC_LOCK = Capabilities(rawValue: 1 << 14)
    public static let CAP_IPC_OWNER = Capabilities(rawValue: 1 << 15)
    public static let CAP_SYS_CHROOT = Capabilities(rawValue: 1 << 18)
    public static let CAP_SYS_PTRACE = Capabilities(rawValue: 1 << 19)
    public static let CAP_SYS_ADMIN = Capabilities(rawValue: 1 << 21)
    public static let CAP_SYS_BOOT = Capabilities(rawValue: 1 << 22)
    public static let CAP_SYS_NICE = Capabilities(rawValue: 1 << 23)
    public static let CAP_SYS_RESOURCE = Capabilities(rawValue: 1 << 24)
    public static let CAP_SYS_TIME = Capabilities(rawValue: 1 << 25)
    public static let CAP_SYS_TTY_CONFIG = Capabilities(rawValue: 1 << 26)
    public static let CAP_MKNOD = Capabilities(rawValue: 1 << 27)
    public static let CAP_LEASE = Capabilities(rawValue: 1 << 28)
    public static let CAP_SETFCAP = Capabilities(rawValue: 1 << 31)
    public static let CAP_SYSLOG = Capabilities(rawValue: 1 << 34)
    /// All 41 capabilities that the kernel we present knows (CAP_LAST_CAP is 40).
    public static let all = Capabilities(rawValue: (1 << 41) - 1)
}

/// The subjective identity of a task (credentials(7), capabilities(7)). Immutable: a change makes a new object, so readers need no lock.
public final class Credentials: Sendable {
    /// User identities: real, effective, saved, and the one for file access.
    public struct Identity: Hashable, Sendable {
        public var real, effective, saved, fileSystem: UInt32
        public init(_ id: UInt32) { (real, effective, saved, fileSystem) = (id, id, id, id) }
    }
    public let user, group: Identity
    /// Supplementary groups, at most 65,536 (NGROUPS_MAX).
    public let groups: [UInt32]
    public let permitted, effective, inheritable, bounding, ambient: Capabilities
    /// SECBIT_* of prctl(2).
    public let secureBits: UInt32
    public let noNewPrivileges: Bool
    public let userNamespace: UserNamespace

    public init(
        user: Identity, group: Identity, groups: [UInt32] = [], permitted: Capabilities = [], effective: Capabilities = [],
        inheritable: Capabilities = [], bounding: Capabilities = .all, ambient: Capabilities = [], secureBits: UInt32 = 0,
        noNewPrivileges: Bool = false, userNamespace: UserNamespace = .initial
    ) {
        self.user = user
        self.group = group
        self.groups = groups
        self.permitted = permitted
        self.effective = effective
        self.inheritable = inheritable
        self.bounding = bounding
        self.ambient = ambient
        self.secureBits = secureBits
        self.noNewPrivileges = noNewPrivileges
        self.userNamespace = userNamespace
    }

    /// The kernel's own identity: root with every capability.
    public static let root = Credentials(user: .init(0), group: .init(0), permitted: .all, effective: .all)

    /// Whether the effective set holds `capability`.
    @inlinable public func has(_ capability: Capabilities) -> Bool { effective.contains(capability) }

    /// The same for what concerns more than the container: in a user namespace of its own nobody has that.
    @inlinable public func hasGlobally(_ capability: Capabilities) -> Bool { effective.contains(capability) && userNamespace.isInitial }

    /// Whether `id` is the file-access group or a supplementary one.
    public func isMember(ofGroup id: UInt32) -> Bool { group.fileSystem == id || groups.contains(id) }
}

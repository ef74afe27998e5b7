/// Bounds of what the control messages may carry. They are part of the protocol: `docs/wire-protocol.md` prints them.
public enum MessageLimits {
    /// Bytes of a container or exec identifier.
    public static let identifier = 1024
    /// Bytes of a path, as PATH_MAX of Linux.
    public static let path = 4096
    /// Arguments or environment entries of a program.
    public static let strings = 65_536
    /// Bytes of one argument or environment entry, as MAX_ARG_STRLEN of Linux.
    public static let string = 131_072
    /// Entries of a list of the configuration (mounts, devices, masked paths, sysctls, annotations).
    public static let entries = 4096
    /// Bytes of a mount's data or an annotation.
    public static let data = 65_535
    /// Supplementary groups, as NGROUPS_MAX of Linux.
    public static let groups = 65_536
    /// Rules of a seccomp program, and calls of one rule.
    public static let seccompRules = 4096
    /// Descriptors that ride with one request.
    public static let descriptors = 253
    /// Tasks in one listing.
    public static let tasks = 32_768
}

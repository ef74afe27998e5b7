public import Diagnostics
internal import Host
internal import LinuxABI

/// Closes the doors of the calling process behind it, as docs/isolation.md says. Call while single-threaded, after everything that needs
/// the host has been opened: neither can be undone.
public enum Confinement {
    /// Which process is being confined.
    public enum Role: Sendable {
        case sentry
        /// `makeNodes`: the configuration lets the container make device nodes.
        case gofer(makeNodes: Bool)

        var filter: FilterDescription {
            switch self {
            case .sentry: SentryFilter.description
            case .gofer: GoferFilter.description
            }
        }

        /// The capabilities that stay.
        var capabilities: UInt64 {
            switch self {
            case .sentry: HostCapability.CAP_SYS_PTRACE
            case .gofer(let makeNodes):
                HostCapability.CAP_CHOWN | HostCapability.CAP_DAC_OVERRIDE | HostCapability.CAP_DAC_READ_SEARCH | HostCapability.CAP_FOWNER
                    | HostCapability.CAP_FSETID | HostCapability.CAP_SETFCAP | (makeNodes ? HostCapability.CAP_MKNOD : 0)
            }
        }
    }

    /// Empty read-only root, capabilities, secure bits, not dumpable, limits, no_new_privs, system-call filter; in this order.
    /// - Parameters:
    ///   - mode: `.none` does nothing, for debuggers.
    ///   - covering: a detached mount for those who join the mount namespace later; see `EmptyRoot`.
    ///   - logDescriptor: where `.trap` reports the call that the filter stopped.
    public static func apply(_ role: Role, mode: ConfinementMode, covering: Int32? = nil, logDescriptor: Int32 = 2) throws(SandboxError) {
        HostCall.keepAllocatorFromFiles()
        if mode == .none { return }
        try EmptyRoot.enter(covering: covering)
        try Privileges.limit(4 /* RLIMIT_CORE */, 0)
        Privileges.makeUndumpable()
        try Privileges.keepOnly(role.capabilities)
        try Privileges.setNoNewPrivileges()
        if mode == .trap {
            do { try HostCall.reportForbiddenCalls(to: logDescriptor) } catch { throw SandboxError(error, "install the SIGSYS handler") }
        }
        try SystemCallFilter.install(role.filter, otherwise: mode == .trap ? .trap : .kill)
    }
}

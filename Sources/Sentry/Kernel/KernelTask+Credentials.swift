import Host
import LinuxABI
public import SentryVFS
import Synchronization

/// The fields of `Credentials`, to be changed.
public struct CredentialsChange: Sendable {
    public var user, group: Credentials.Identity
    public var groups: [UInt32]
    public var permitted, effective, inheritable, bounding, ambient: Capabilities
    public var secureBits: UInt32
    public var noNewPrivileges: Bool
    let userNamespace: UserNamespace

    init(_ old: Credentials) {
        user = old.user
        group = old.group
        groups = old.groups
        permitted = old.permitted
        effective = old.effective
        inheritable = old.inheritable
        bounding = old.bounding
        ambient = old.ambient
        secureBits = old.secureBits
        noNewPrivileges = old.noNewPrivileges
        userNamespace = old.userNamespace
    }
    var credentials: Credentials {
        Credentials(
            user: user, group: group, groups: groups, permitted: permitted, effective: effective, inheritable: inheritable,
            bounding: bounding, ambient: ambient, secureBits: secureBits, noNewPrivileges: noNewPrivileges, userNamespace: userNamespace)
    }
}

extension KernelTask {
    /// Replaces the credentials. A change of the effective identity makes the process undumpable, as Linux does. Own thread.
    public func changeCredentials(_ body: (inout CredentialsChange) -> Void) {
        let old = credentials
        var change = CredentialsChange(old)
        body(&change)
        let new = change.credentials
        if new.user.effective != old.user.effective || new.group.effective != old.group.effective
            || new.user.fileSystem != old.user.fileSystem || new.group.fileSystem != old.group.fileSystem
            || !new.permitted.isSubset(of: old.permitted)
        {
            memory?.dumpable.store(0, ordering: .relaxed)
            parentDeathSignal.store(0, ordering: .relaxed)
        }
        updateResources { $0.credentials = new }
        areFactsStale = true
    }

    /// New user ids with what they do to the capabilities (capabilities(7), "Effect of user ID changes"). Own thread.
    public func setUser(_ user: Credentials.Identity) {
        changeCredentials { change in
            let old = change.user
            change.user = user
            if change.secureBits & SecureBit.SECBIT_NO_SETUID_FIXUP != 0 { return }
            let hadRoot = old.real == 0 || old.effective == 0 || old.saved == 0
            let hasRoot = user.real == 0 || user.effective == 0 || user.saved == 0
            if hadRoot, !hasRoot {
                if change.secureBits & SecureBit.SECBIT_KEEP_CAPS == 0 {
                    change.permitted = []
                    change.effective = []
                }
                change.ambient = []
            }
            if old.effective == 0, user.effective != 0 { change.effective = [] }
            if old.effective != 0, user.effective == 0 { change.effective = change.permitted }
            let fileCapabilities: Capabilities = [
                .CAP_CHOWN, .CAP_DAC_OVERRIDE, .CAP_DAC_READ_SEARCH, .CAP_FOWNER, .CAP_FSETID, .CAP_LINUX_IMMUTABLE, .CAP_MKNOD,
                Capabilities(rawValue: 1 << 32),
            ]
            if old.effective == user.effective {
                if old.fileSystem == 0, user.fileSystem != 0 { change.effective.subtract(fileCapabilities) }
                if old.fileSystem != 0, user.fileSystem == 0 {
                    change.effective.formUnion(change.permitted.intersection(fileCapabilities))
                }
            }
        }
    }

    /// PR_SET_PDEATHSIG; 0 for none.
    public var parentDeathSignalNumber: Int32 {
        get { parentDeathSignal.load(ordering: .relaxed) }
        set { parentDeathSignal.store(newValue, ordering: .relaxed) }
    }

    /// comm, cut to 15 bytes. Own thread.
    public func setName(_ name: [UInt8]) { updateResources { $0.name = Array(name.prefix(15)) } }
}

extension ThreadGroup {
    /// PR_SET_CHILD_SUBREAPER. Descendants made from now on, and those there are, know that there is one.
    public var isSubreaper: Bool {
        get { kernel.tree.withLock { tree[$0].isSubreaper } }
        set {
            kernel.tree.withLock { proof in
                tree[proof].isSubreaper = newValue
                guard newValue else { return }
                var pending = tree[proof].children
                while let child = pending.popLast() {
                    if child.tree[proof].hasSubreaper { continue }
                    child.tree[proof].hasSubreaper = true
                    pending += child.tree[proof].children
                }
            }
        }
    }
}

import Host
public import LinuxABI

/// What the tty layer sets as a session's controlling terminal. The kernel only keeps it and tells it when the session ends.
public protocol ControllingTerminal: AnyObject, Sendable {
    /// The device number for /proc/PID/stat (makedev encoding).
    var deviceNumber: UInt64 { get }
    /// A session was made with this terminal (a process that is started on a terminal). Called with the tree lock held: only remembers.
    func sessionStarted(_ session: Session)
    /// The session's leader has exited or given the terminal up; the kernel has already forgotten the terminal and sent SIGHUP and SIGCONT to
    /// the foreground group. No kernel lock is held.
    func sessionEnded(_ session: Session)
}

/// A session (setsid(2), credentials(7)).
public final class Session: Sendable {
    /// The id: that of the process that made it.
    public let identifier: Int32
    public let namespace: PIDNamespace

    public struct State: Sendable {
        public var terminal: (any ControllingTerminal)?
        /// The foreground process group of the terminal.
        public var foreground: ProcessGroup?
        /// The process that made the session; nil once it is gone.
        public weak var leader: ThreadGroup?
    }
    public let tree: TreeProtected<State>

    init(identifier: Int32, namespace: PIDNamespace) {
        self.identifier = identifier
        self.namespace = namespace
        tree = TreeProtected(State())
    }
}

/// A process group (setpgid(2)).
public final class ProcessGroup: Sendable {
    /// The id: that of the process that made it.
    public let identifier: Int32
    public let session: Session

    struct State: Sendable {
        var members: [ThreadGroup] = []
    }
    let tree: TreeProtected<State>

    init(identifier: Int32, session: Session) {
        self.identifier = identifier
        self.session = session
        tree = TreeProtected(State())
    }

    /// The processes in it that have not been reaped.
    public func members(_ proof: TreeLocked) -> [ThreadGroup] { tree[proof].members }

    /// Whether no member's parent is in another group of the same session (POSIX: orphaned). `ignoring` counts as gone.
    public func isOrphaned(_ proof: TreeLocked, ignoring: ThreadGroup? = nil) -> Bool {
        for member in tree[proof].members where member !== ignoring {
            let state = member.tree[proof]
            if state.exit != nil { continue }
            guard let parent = state.parent else { continue }
            let parentGroup = parent.tree[proof].processGroup
            if parentGroup !== self, parentGroup.session === session { return false }
        }
        return true
    }

    /// Whether a member is stopped by job control.
    func hasStoppedMember(_ proof: TreeLocked) -> Bool {
        tree[proof].members.contains { $0.signals.withLock { $0.isStopped } }
    }

    /// Sends a signal to every member.
    public func send(_ info: SignalInfo, _ proof: TreeLocked) {
        for member in tree[proof].members { member.send(info) }
    }
}

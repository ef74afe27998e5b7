import Host
public import LinuxABI

/// What a signal does when nobody handles it (signal(7)).
public enum DefaultAction: Sendable, Hashable {
    case ignore, terminate, core, stop, `continue`

    /// The default action of `signal`.
    public init(_ signal: Int32) {
        let set = SignalSet(signal)
        if signal == Signal.SIGCONT {
            self = .continue
        } else if set.isSubset(of: .stopping) {
            self = .stop
        } else if set.isSubset(of: .ignoredByDefault) {
            self = .ignore
        } else if set.isSubset(of: .coreByDefault) {
            self = .core
        } else {
            self = .terminate
        }
    }
}

/// The handlers of a process (Linux: struct sighand_struct), shared by CLONE_SIGHAND.
public final class SignalActions: Sendable {
    private let table: Lock<[SignalAction]>

    public init() { table = Lock([SignalAction](repeating: SignalAction(), count: 64)) }
    private init(_ actions: [SignalAction]) { table = Lock(actions) }

    /// The action of a valid signal; the default action for any other number.
    public func get(_ signal: Int32) -> SignalAction {
        guard Signal.isValid(signal) else { return SignalAction() }
        return table.withLock { $0[Int(signal) - 1] }
    }

    /// Sets the action of a valid signal; the old one.
    @discardableResult func set(_ signal: Int32, _ action: SignalAction) -> SignalAction {
        guard Signal.isValid(signal) else { return SignalAction() }
        return table.withLock { table in
            let old = table[Int(signal) - 1]
            table[Int(signal) - 1] = action
            return old
        }
    }

    /// A copy for a child without CLONE_SIGHAND, or for execve of a process that shares.
    func copy() -> SignalActions { SignalActions(table.withLock { $0 }) }

    /// execve(2): handled signals go back to their default; ignored ones stay ignored. CLONE_CLEAR_SIGHAND keeps those too.
    func resetHandlers() {
        table.withLock { table in
            for index in table.indices {
                let ignored = table[index].sa_handler == SignalHandler.SIG_IGN
                table[index] = SignalAction()
                if ignored { table[index].sa_handler = SignalHandler.SIG_IGN }
            }
        }
    }

    /// Whether `signal` has no effect when it is sent: ignored, or by default of no consequence.
    func ignores(_ signal: Int32) -> Bool {
        let handler = get(signal).sa_handler
        if handler == SignalHandler.SIG_IGN { return true }
        return handler == SignalHandler.SIG_DFL && DefaultAction(signal) == .ignore
    }

    /// The sets of /proc/PID/status: SigIgn and SigCgt.
    public var summary: (ignored: SignalSet, caught: SignalSet) {
        table.withLock { table in
            var ignored: SignalSet = [], caught: SignalSet = []
            for (index, action) in table.enumerated() {
                if action.sa_handler == SignalHandler.SIG_IGN {
                    ignored.insert(SignalSet(Int32(index) + 1))
                } else if action.sa_handler != SignalHandler.SIG_DFL {
                    caught.insert(SignalSet(Int32(index) + 1))
                }
            }
            return (ignored, caught)
        }
    }
}

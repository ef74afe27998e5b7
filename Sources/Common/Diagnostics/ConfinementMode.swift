/// How far a process confines itself.
public enum ConfinementMode: String, Sendable, CaseIterable {
    /// Everything; an offending call kills the process. What the Supervisor always asks for.
    case full
    /// Everything, but an offending call first prints its number and arguments to the log, then the process dies of the same signal.
    /// For developers: a signal handler of ours runs.
    case trap
    /// Nothing. For debuggers; warned about in the log.
    case none
}

/// Why a container, or the process that carried it, ended. Goes into the OCI state, the log and the exit report; the
/// numbers are on the wire and never change.
public enum DeathReason: UInt16, Sendable, CaseIterable {
    /// It has not ended.
    case alive = 0
    /// The program returned or called exit.
    case exited = 1
    /// A signal that the program did not handle ended it.
    case signaled = 2
    /// `kill` or `delete --force` asked for it.
    case killRequested = 3
    /// The container reached its memory limit and the guest's own out-of-memory killer chose this task.
    case guestOutOfMemory = 4
    /// The program could not be loaded or started.
    case startFailed = 5
    /// A stub (the host process that runs guest code) died from outside.
    case stubDied = 10
    /// A stub answered nonsense: guest code tampered with shared memory.
    case stubViolation = 11
    /// A stub did not acknowledge an interrupt in time.
    case stubUnresponsive = 12
    /// The Gofer died; the container's files are gone.
    case goferDied = 20
    /// The Gofer broke a rule of the file protocol.
    case goferViolation = 21
    /// The Sentry died of a signal from outside (or of a defect).
    case sentryDied = 30
    /// The Sentry made a host call that its filter forbids.
    case sentryFilterViolation = 31
    /// The Sentry stopped at a broken invariant of its own.
    case sentryInternalError = 32
    /// The Gofer made a host call that its filter forbids.
    case goferFilterViolation = 33
    /// The host's out-of-memory killer took a component.
    case hostOutOfMemory = 40
    /// The Supervisor gave up during creation.
    case creationAborted = 41

    /// A sentence for people.
    public var explanation: String {
        switch self {
        case .alive: "running"
        case .exited: "the program exited"
        case .signaled: "a signal ended the program"
        case .killRequested: "killed on request"
        case .guestOutOfMemory: "out of memory: the container's limit was reached"
        case .startFailed: "the program could not be started"
        case .stubDied: "a stub process was killed from outside"
        case .stubViolation: "a stub process answered nonsense (guest code tampered with it)"
        case .stubUnresponsive: "a stub process did not answer an interrupt"
        case .goferDied: "the gofer died"
        case .goferViolation: "the gofer broke the file protocol"
        case .sentryDied: "the sentry died"
        case .sentryFilterViolation: "the sentry made a host call that its filter forbids"
        case .sentryInternalError: "the sentry stopped at an internal error"
        case .goferFilterViolation: "the gofer made a host call that its filter forbids"
        case .hostOutOfMemory: "the host ran out of memory"
        case .creationAborted: "creation was aborted"
        }
    }
}

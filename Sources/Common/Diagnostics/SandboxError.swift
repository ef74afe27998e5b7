public import LinuxABI

/// An error for people: what happened and where (`message`), and what to do about it (`hint`).
public struct SandboxError: Error, Sendable, CustomStringConvertible {
    /// The kind of an error, stable across releases; its raw value is what JSON problem objects carry.
    public enum Code: String, Sendable, CaseIterable {
        case invalidArgument = "invalid-argument"
        case notFound = "not-found"
        case alreadyExists = "already-exists"
        /// The request is right, the object's state is not (a kill of a stopped container).
        case wrongState = "wrong-state"
        case permissionDenied = "permission-denied"
        case unsupported = "unsupported"
        /// A limit was reached.
        case exhausted = "exhausted"
        /// The peer broke a rule of its protocol.
        case protocolViolation = "protocol-violation"
        case incompatibleVersion = "incompatible-version"
        /// A component is gone or does not answer.
        case unavailable = "unavailable"
        /// The host refused something; the message names the call and its errno.
        case hostFailure = "host-failure"
        /// A defect of Nestbox.
        case internalError = "internal-error"
    }

    public let code: Code
    public let message: String
    /// What to do; empty where there is nothing to say.
    public let hint: String

    public init(_ code: Code, _ message: String, hint: String = "") {
        self.code = code
        self.message = message
        self.hint = hint
    }

    /// A host call that failed while doing `what`.
    public init(_ errno: Errno, _ what: String, hint: String = "") {
        self.init(.hostFailure, "\(what): \(errno)", hint: hint)
    }

    public var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }
}

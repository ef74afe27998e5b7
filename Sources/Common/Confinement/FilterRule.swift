public import LinuxABI

/// A condition on one argument of a system call.
public struct ArgumentCheck: Sendable {
    public enum Comparison: Sendable {
        /// Argument & mask == value.
        case masked(mask: UInt64, value: UInt64)
        /// Argument <= value.
        case atMost(UInt64)
    }
    /// 0 to 5.
    public let index: Int
    public let comparison: Comparison
    /// In words, for the documentation.
    public let text: String

    /// The low 32 bits are exactly `value`: for arguments that the kernel takes as int.
    public static func int(_ index: Int, _ value: UInt64, _ text: String) -> ArgumentCheck {
        ArgumentCheck(index: index, comparison: .masked(mask: 0xffff_ffff, value: value), text: text)
    }
    /// None of `bits` is set.
    public static func without(_ index: Int, _ bits: UInt64, _ text: String) -> ArgumentCheck {
        ArgumentCheck(index: index, comparison: .masked(mask: bits, value: 0), text: text)
    }
    /// The bits of `mask` are exactly `value`.
    public static func bits(_ index: Int, mask: UInt64, _ value: UInt64, _ text: String) -> ArgumentCheck {
        ArgumentCheck(index: index, comparison: .masked(mask: mask, value: value), text: text)
    }
}

/// One line of a filter: a call, under which conditions, and why.
public struct FilterRule: Sendable {
    public enum Outcome: Sendable {
        case allow
        /// Fails with this errno instead of killing: for calls that libraries try and do without.
        case fail(Errno)
    }
    public let call: SystemCallNumber
    /// All must hold. Several rules of one call are alternatives.
    public let checks: [ArgumentCheck]
    public let outcome: Outcome
    public let reason: String

    private init(_ call: SystemCallNumber, _ checks: [ArgumentCheck], _ outcome: Outcome, _ reason: String) {
        self.call = call
        self.checks = checks
        self.outcome = outcome
        self.reason = reason
    }
    /// Allowed, whatever its arguments.
    public init(_ call: SystemCallNumber, _ reason: String) { self.init(call, [], .allow, reason) }
    /// Allowed under conditions.
    public init(_ call: SystemCallNumber, _ checks: [ArgumentCheck], _ reason: String) { self.init(call, checks, .allow, reason) }
    /// Not allowed under these conditions, but survived.
    public init(_ call: SystemCallNumber, _ checks: [ArgumentCheck], outcome: Outcome, _ reason: String) {
        self.init(call, checks, outcome, reason)
    }
    /// Not allowed, but survived.
    public init(_ call: SystemCallNumber, outcome: Outcome, _ reason: String) { self.init(call, [], outcome, reason) }
}

/// The calls that a process may make once it is confined, most frequent first. Any other call kills it.
public struct FilterDescription: Sendable {
    /// "sentry", "gofer".
    public let name: String
    public let rules: [FilterRule]
}

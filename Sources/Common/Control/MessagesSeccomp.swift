public import Wire

/// What a seccomp rule does (SCMP_ACT_*).
public enum SeccompActionKind: UInt8, WireEnumeration {
    case killProcess = 0
    case killThread = 1
    case trap = 2
    /// Fail with the errno in `value`.
    case errno = 3
    /// Stop for a tracer with the number in `value`.
    case trace = 4
    case log = 5
    case allow = 6
    case notify = 7
}

/// An action with its 16-bit value.
public struct SeccompAction: WireStructure, Equatable {
    public var kind = SeccompActionKind.allow
    /// The errno of `errno`, the message of `trace`.
    public var value: UInt16 = 0

    public init() {}
    public init(_ kind: SeccompActionKind, value: UInt16 = 0) {
        self.kind = kind
        self.value = value
    }

    public static var summary: String { "What a seccomp rule does (SCMP_ACT_*)." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.enumeration("kind", &kind)
        try v.integer("value", &value, "errno, or the tracer's message")
    }
}

/// How an argument is compared (SCMP_CMP_*).
public enum SeccompOperator: UInt8, WireEnumeration {
    case notEqual = 1
    case lessThan = 2
    case lessOrEqual = 3
    case equal = 4
    case greaterOrEqual = 5
    case greaterThan = 6
    /// argument & `value` == `valueTwo`.
    case maskedEqual = 7
}

/// A condition on one argument of a call.
public struct SeccompArgument: WireStructure, Equatable {
    public var index: UInt8 = 0
    public var comparison = SeccompOperator.equal
    public var value: UInt64 = 0
    public var valueTwo: UInt64 = 0

    public init() {}
    public init(index: UInt8, comparison: SeccompOperator, value: UInt64, valueTwo: UInt64 = 0) {
        self.index = index
        self.comparison = comparison
        self.value = value
        self.valueTwo = valueTwo
    }

    public static var summary: String { "A condition on one argument of a call." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("index", &index, in: 0...5, "which argument")
        try v.enumeration("comparison", &comparison)
        try v.integer("value", &value, "the mask of `maskedEqual`")
        try v.integer("valueTwo", &valueTwo, "what the masked argument must equal")
    }
}

/// Calls that share an action and conditions, all of which must hold.
public struct SeccompRule: WireStructure, Equatable {
    /// Numbers of the calls on x86-64; names that the architecture does not have are left out by the sender.
    public var calls: [UInt32] = []
    public var action = SeccompAction()
    public var arguments: [SeccompArgument] = []

    public init() {}
    public init(calls: [UInt32], action: SeccompAction, arguments: [SeccompArgument] = []) {
        self.calls = calls
        self.action = action
        self.arguments = arguments
    }

    public static var summary: String { "Calls that share an action and conditions, all of which must hold." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integers("calls", &calls, maximum: MessageLimits.seccompRules, "system call numbers of x86-64")
        try v.inline("action", &action)
        try v.inlines("arguments", &arguments, maximum: 64)
    }
}

/// `linux.seccomp` of the OCI configuration, decoded; the Sentry compiles it for its own interpreter.
public struct SeccompProgram: WireStructure, Equatable {
    public var defaultAction = SeccompAction()
    /// AUDIT_ARCH_* values and `x32`; empty means the native one only.
    public var architectures: [UInt32] = []
    /// SECCOMP_FILTER_FLAG_* bits.
    public var flags: UInt32 = 0
    public var rules: [SeccompRule] = []

    /// Among `architectures`: calls with the x32 bit are calls of the profile. (What libseccomp calls SCMP_ARCH_X32.)
    public static let x32: UInt32 = 0x4000_003e

    public init() {}

    public static var summary: String {
        "`linux.seccomp` of the OCI configuration, decoded; the Sentry compiles it for its own interpreter."
    }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.inline("defaultAction", &defaultAction)
        try v.integers("architectures", &architectures, maximum: 64, "AUDIT_ARCH_*")
        try v.integer("flags", &flags, "SECCOMP_FILTER_FLAG_*")
        try v.structures("rules", &rules, maximum: MessageLimits.seccompRules)
    }
}

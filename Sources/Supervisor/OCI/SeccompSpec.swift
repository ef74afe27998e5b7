/// `linux.seccomp` of config.json: the filter that the Sentry's own interpreter applies to the guest.
public struct SeccompSpec: Sendable, Equatable {
    public enum Action: String, Sendable, CaseIterable {
        case kill = "SCMP_ACT_KILL"
        case killProcess = "SCMP_ACT_KILL_PROCESS"
        case killThread = "SCMP_ACT_KILL_THREAD"
        case trap = "SCMP_ACT_TRAP"
        case error = "SCMP_ACT_ERRNO"
        case trace = "SCMP_ACT_TRACE"
        case allow = "SCMP_ACT_ALLOW"
        case log = "SCMP_ACT_LOG"
        case notify = "SCMP_ACT_NOTIFY"
    }

    public enum Comparison: String, Sendable, CaseIterable {
        case notEqual = "SCMP_CMP_NE"
        case lessThan = "SCMP_CMP_LT"
        case lessOrEqual = "SCMP_CMP_LE"
        case equal = "SCMP_CMP_EQ"
        case greaterOrEqual = "SCMP_CMP_GE"
        case greaterThan = "SCMP_CMP_GT"
        case maskedEqual = "SCMP_CMP_MASKED_EQ"
    }

    public struct Argument: Sendable, Equatable {
        public var index: UInt32
        public var value: UInt64
        public var valueTwo: UInt64
        public var comparison: Comparison
    }

    public struct Rule: Sendable, Equatable {
        public var names: [String]
        public var action: Action
        public var errno: UInt32?
        public var arguments: [Argument]
    }

    public var defaultAction: Action
    public var defaultErrno: UInt32?
    public var architectures: [String] = []
    public var flags: [String] = []
    public var rules: [Rule] = []

    public init(reading fields: FieldReader) throws(ConfigurationError) {
        defaultAction = try Self.action(fields, "defaultAction")
        defaultErrno = try fields.integer("defaultErrnoRet")
        architectures = try fields.strings("architectures", maximum: 64, bytes: 64)
        flags = try fields.strings("flags", maximum: 16, bytes: 128)
        rules = try fields.objects("syscalls", maximum: 4096, Rule.init(reading:))
        if defaultAction == .notify {
            throw ConfigurationError(fields.name("defaultAction"), "SCMP_ACT_NOTIFY is not served", advice: "use SCMP_ACT_ERRNO")
        }
        for (index, architecture) in architectures.enumerated() where !architecture.hasPrefix("SCMP_ARCH_") {
            throw ConfigurationError(fields.name("architectures[\(index)]"), "string \"\(architecture)\" is not a valid arch for seccomp")
        }
    }

    fileprivate static func action(_ fields: FieldReader, _ key: String) throws(ConfigurationError) -> Action {
        let text = try fields.string(key, maximum: 64) ?? ""
        guard let action = Action(rawValue: text) else {
            throw ConfigurationError(fields.name(key), "string \"\(text)\" is not a valid action for seccomp")
        }
        return action
    }
}

extension SeccompSpec.Rule {
    init(reading fields: FieldReader) throws(ConfigurationError) {
        names = try fields.strings("names", maximum: 4096, bytes: 64)
        action = try SeccompSpec.action(fields, "action")
        errno = try fields.integer("errnoRet")
        arguments = try fields.objects("args", maximum: 6, SeccompSpec.Argument.init(reading:))
        if names.isEmpty { throw ConfigurationError(fields.name("names"), "a rule must name at least one system call") }
        if action == .notify {
            throw ConfigurationError(fields.name("action"), "SCMP_ACT_NOTIFY is not served", advice: "use SCMP_ACT_ERRNO")
        }
    }
}

extension SeccompSpec.Argument {
    init(reading fields: FieldReader) throws(ConfigurationError) {
        index = try fields.integer("index") ?? 0
        value = try fields.integer("value") ?? 0
        valueTwo = try fields.integer("valueTwo") ?? 0
        let text = try fields.string("op", maximum: 64) ?? ""
        guard let comparison = SeccompSpec.Comparison(rawValue: text) else {
            throw ConfigurationError(fields.name("op"), "string \"\(text)\" is not a valid operator for seccomp")
        }
        self.comparison = comparison
        if index > 5 { throw ConfigurationError(fields.name("index"), "\(index) is not between 0 and 5") }
    }
}

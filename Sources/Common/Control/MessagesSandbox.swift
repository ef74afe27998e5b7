public import Diagnostics
public import Wire

/// What holds for a whole sandbox; rides with the first `create` of a Sentry.
///
/// What the Sentry needs before it is confined (platform, log, whether faults are allowed) are command-line options; they are
/// repeated here so that the Sentry can refuse a Supervisor that meant something else.
public struct SandboxConfiguration: WireStructure, Equatable {
    /// "auto", "ptrace", "systrap", "kvm"; empty takes what the command line says.
    public var platform = ""
    /// Name of the sandbox in logs: the id of its first container.
    public var id = ""
    /// `Log.Level` and `Log.Format` raw values; changeable later.
    public var logLevel: UInt8 = 3
    public var logFormat: UInt8 = 0
    /// Log every guest system call with its arguments and result.
    public var strace = false
    public var allowFaults = false
    /// Host CPUs the sandbox may use and shows; 0: as many as the Sentry may run on.
    public var cpuCount: UInt32 = 0
    /// Bytes of guest memory for all containers together; 0: no limit.
    public var memoryLimit: UInt64 = 0
    /// Bytes the Sentry's own process may use beyond guest memory; 0: its default.
    public var memoryOverhead: UInt64 = 0
    /// "none" or later "sandbox", "host"; today only "none".
    public var network = "none"

    public init() {}

    public static var summary: String { "What holds for a whole sandbox; rides with the first create of a Sentry." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("platform", &platform, maximum: 64)
        try v.text("id", &id, maximum: MessageLimits.identifier)
        try v.integer("logLevel", &logLevel, in: 0...5, "0 trace to 5 none")
        try v.integer("logFormat", &logFormat, in: 0...1, "0 text, 1 JSON")
        try v.boolean("strace", &strace, "log every guest system call")
        try v.boolean("allowFaults", &allowFaults)
        try v.integer("cpuCount", &cpuCount, "host CPUs shown; 0: all")
        try v.integer("memoryLimit", &memoryLimit, "bytes, all containers together; 0: none")
        try v.integer("memoryOverhead", &memoryOverhead, "bytes of the Sentry itself; 0: default")
        try v.text("network", &network, maximum: 64)
    }
}

/// `POST /v1/create`: makes a container; its program is loaded but does not run yet.
public struct CreateRequest: WireStructure, Equatable {
    /// Present with the first container of a Sentry only.
    public var sandbox: SandboxConfiguration?
    public var container = ContainerSpecification()

    public init() {}

    public static var summary: String { "`POST /v1/create`: makes a container; its program is loaded but does not run yet." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.optional("sandbox", &sandbox, "with the first container only")
        try v.structure("container", &container)
    }
}

/// Names a container: body of start, pause, resume, destroy.
public struct ContainerReference: WireStructure, Equatable {
    public var container = ""

    public init() {}
    public init(_ container: String) { self.container = container }

    public static var summary: String { "Names a container: the body of start, pause, resume and destroy." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
    }
}

/// A task of a container: the reply of create and exec, the body of wait.
public struct TaskReference: WireStructure, Equatable {
    public var container = ""
    /// Process id in the container's root PID namespace; 0 is the container's first process.
    public var pid: Int32 = 0

    public init() {}
    public init(container: String, pid: Int32) {
        self.container = container
        self.pid = pid
    }

    public static var summary: String { "A process of a container: the reply of create and exec, the body of wait." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.integer("pid", &pid, in: 0...Int32.max, "in the container; 0 is its first process")
    }
}

/// `POST /v1/exec`: starts another process in a running container.
public struct ExecSpecification: WireStructure, Equatable {
    public var container = ""
    public var process = ProcessSpecification()
    public var descriptors: [DescriptorAssignment] = []

    public init() {}

    public static var summary: String { "`POST /v1/exec`: starts another process in a running container. Replies TaskReference." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.structure("process", &process)
        try v.inlines("descriptors", &descriptors, maximum: MessageLimits.descriptors)
    }
}

/// `POST /v1/signal`.
public struct SignalRequest: WireStructure, Equatable {
    public enum Target: UInt8, WireEnumeration {
        /// The process `pid`.
        case process = 0
        /// Every process of the container.
        case all = 1
        /// The foreground process group of the terminal of `pid` (Ctrl-C of an interactive exec).
        case foreground = 2
    }
    public var container = ""
    /// 0 is the container's first process.
    public var pid: Int32 = 0
    public var target = Target.process
    public var signal: UInt32 = 15

    public init() {}
    public init(container: String, pid: Int32 = 0, target: Target = .process, signal: UInt32) {
        self.container = container
        self.pid = pid
        self.target = target
        self.signal = signal
    }

    public static var summary: String { "`POST /v1/signal`: sends a signal into a container." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.integer("pid", &pid, in: 0...Int32.max, "0 is the container's first process")
        try v.enumeration("target", &target)
        try v.integer("signal", &signal, in: 0...64, "0 only checks")
    }
}

/// What a process used, as struct rusage.
public struct ResourceUsage: WireStructure, Equatable {
    /// Nanoseconds.
    public var userTime: UInt64 = 0
    public var systemTime: UInt64 = 0
    /// Bytes.
    public var maximumResidentSize: UInt64 = 0
    public var minorFaults: UInt64 = 0
    public var majorFaults: UInt64 = 0

    public init() {}

    public static var summary: String { "What a process used (struct rusage)." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("userTime", &userTime, "ns")
        try v.integer("systemTime", &systemTime, "ns")
        try v.integer("maximumResidentSize", &maximumResidentSize, "bytes")
        try v.integer("minorFaults", &minorFaults)
        try v.integer("majorFaults", &majorFaults)
    }
}

/// How a process ended: the reply of wait, which stays open until then.
public struct ExitReport: WireStructure, Equatable {
    public var container = ""
    public var pid: Int32 = 0
    /// As a shell's $?: the exit code, or 128 plus the signal.
    public var status: UInt32 = 0
    /// The signal that ended it, 0 if none.
    public var signal: UInt32 = 0
    public var reason = DeathReason.alive
    /// More about `reason`, for people.
    public var message = ""
    public var usage = ResourceUsage()

    public init() {}

    public static var summary: String { "How a process ended: the reply of wait, which stays open until then." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.integer("pid", &pid, in: 0...Int32.max)
        try v.integer("status", &status, in: 0...255, "as a shell's $?")
        try v.integer("signal", &signal, in: 0...64, "0 if none")
        try v.enumeration("reason", &reason)
        try v.text("message", &message, maximum: 4096)
        try v.structure("usage", &usage)
    }
}

/// `POST /v1/update`: changes limits of a running container; 0 leaves a limit alone, UInt64.max removes it.
public struct UpdateRequest: WireStructure, Equatable {
    public var container = ""
    public var resources = ResourceSpecification()

    public init() {}

    public static var summary: String {
        "`POST /v1/update`: changes limits of a running container; 0 leaves one alone, all ones remove it."
    }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.structure("resources", &resources)
    }
}

/// `POST /v1/resize`: the size of a process's terminal.
public struct ResizeRequest: WireStructure, Equatable {
    public var container = ""
    public var pid: Int32 = 0
    public var width: UInt16 = 0
    public var height: UInt16 = 0

    public init() {}

    public static var summary: String { "`POST /v1/resize`: sets the size of a process's terminal; its foreground group gets SIGWINCH." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.integer("pid", &pid, in: 0...Int32.max)
        try v.integer("width", &width, "columns")
        try v.integer("height", &height, "rows")
    }
}

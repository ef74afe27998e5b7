public import Diagnostics
public import Wire

/// `GET /v1/version` of every component.
public struct VersionReport: WireStructure, Equatable {
    /// "sentry", "gofer", "supervisor".
    public var component = ""
    /// The release.
    public var version = ""
    /// Of the control protocol: paths start with /v<major>/.
    public var controlMajor: UInt16 = 0
    public var controlMinor: UInt16 = 0
    /// Of the file protocol.
    public var fileMajor: UInt16 = 0
    public var fileMinor: UInt16 = 0
    /// The process id as the component sees it.
    public var pid: Int32 = 0

    public init() {}

    public static var summary: String { "`GET /v1/version` of every component." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("component", &component, maximum: 64)
        try v.text("version", &version, maximum: 64)
        try v.integer("controlMajor", &controlMajor)
        try v.integer("controlMinor", &controlMinor)
        try v.integer("fileMajor", &fileMajor)
        try v.integer("fileMinor", &fileMinor)
        try v.integer("pid", &pid)
    }
}

/// One step of a start-up.
public struct TimelineStep: WireStructure, Equatable {
    public var step = ""
    /// CLOCK_MONOTONIC nanoseconds.
    public var time: UInt64 = 0

    public init() {}

    public static var summary: String { "One step of a start-up." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("step", &step, maximum: 64)
        try v.integer("time", &time, "its end: CLOCK_MONOTONIC, ns")
    }
}

/// `GET /v1/timeline` of every component, `GET /v1/timeline/complete` of the Sentry.
public struct TimelineReport: WireStructure, Equatable {
    /// "sentry", "gofer".
    public var component = ""
    public var steps: [TimelineStep] = []

    public init() {}

    /// What `timeline` has so far.
    public init(component: String, _ timeline: Timeline = .startup) {
        self.component = component
        steps = timeline.marks.map { mark in
            var step = TimelineStep()
            step.step = mark.step
            step.time = mark.time
            return step
        }
    }

    public static var summary: String { "`GET /v1/timeline` of every component: the steps of its start-up." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("component", &component, maximum: 64)
        try v.structures("steps", &steps, maximum: Timeline.maximum, "in the order of their ends")
    }
}

/// One task in a listing.
public struct TaskEntry: WireStructure, Equatable {
    public var container = ""
    public var pid: Int32 = 0
    public var tid: Int32 = 0
    public var parent: Int32 = 0
    public var group: Int32 = 0
    public var session: Int32 = 0
    public var uid: UInt32 = 0
    /// The letter of /proc/PID/stat: R, S, D, T, Z, X.
    public var state: UInt8 = 0x3f
    /// Of the host process or thread that runs it, 0 if none.
    public var hostThread: Int32 = 0
    /// comm.
    public var name: [UInt8] = []
    /// Arguments, joined by spaces.
    public var command: [UInt8] = []
    /// Nanoseconds of CPU.
    public var cpuTime: UInt64 = 0
    /// Bytes.
    public var residentSize: UInt64 = 0
    /// Nanoseconds since 1970.
    public var startTime: UInt64 = 0
    /// The name of the controlling terminal, empty if none.
    public var terminal: [UInt8] = []

    public init() {}

    public static var summary: String { "One task in a listing." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.integer("pid", &pid)
        try v.integer("tid", &tid)
        try v.integer("parent", &parent)
        try v.integer("group", &group)
        try v.integer("session", &session)
        try v.integer("uid", &uid)
        try v.integer("state", &state, "letter of /proc/PID/stat")
        try v.integer("hostThread", &hostThread, "host thread that runs it")
        try v.bytes("name", &name, maximum: 16)
        try v.bytes("command", &command, maximum: 4096)
        try v.integer("cpuTime", &cpuTime, "ns")
        try v.integer("residentSize", &residentSize, "bytes")
        try v.integer("startTime", &startTime, "ns since 1970")
        try v.bytes("terminal", &terminal, maximum: 64)
    }
}

/// `GET /v1/tasks`.
public struct TaskList: WireStructure, Equatable {
    public var tasks: [TaskEntry] = []

    public init() {}

    public static var summary: String { "`GET /v1/tasks`: every task of the sandbox." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structures("tasks", &tasks, maximum: MessageLimits.tasks)
    }
}

/// What a container does.
public enum ContainerStatus: UInt8, WireEnumeration {
    case creating = 0
    case created = 1
    case running = 2
    case paused = 3
    case stopped = 4
}

/// One container in a listing, also one line of the events stream when it changes.
public struct ContainerEntry: WireStructure, Equatable {
    public var id = ""
    public var status = ContainerStatus.creating
    /// Live tasks.
    public var tasks: UInt32 = 0
    /// Bytes of guest memory in use.
    public var memory: UInt64 = 0
    /// The highest that `memory` was.
    public var memoryPeak: UInt64 = 0
    /// Nanoseconds of CPU of all its tasks, live and gone.
    public var cpuTime: UInt64 = 0
    /// How its first process ended; meaningful once `status` is stopped.
    public var exit = ExitReport()
    /// Times the guest's out-of-memory killer acted.
    public var outOfMemoryKills: UInt64 = 0

    public init() {}

    public static var summary: String { "One container of a sandbox." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("id", &id, maximum: MessageLimits.identifier)
        try v.enumeration("status", &status)
        try v.integer("tasks", &tasks, "live tasks")
        try v.integer("memory", &memory, "bytes in use")
        try v.integer("memoryPeak", &memoryPeak, "bytes")
        try v.integer("cpuTime", &cpuTime, "ns")
        try v.structure("exit", &exit, "once stopped")
        try v.integer("outOfMemoryKills", &outOfMemoryKills)
    }
}

/// `GET /v1/containers`.
public struct ContainerList: WireStructure, Equatable {
    public var containers: [ContainerEntry] = []

    public init() {}

    public static var summary: String { "`GET /v1/containers`: every container of the sandbox." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.structures("containers", &containers, maximum: MessageLimits.entries)
    }
}

/// One record of `GET /v1/events`, which stays open.
public struct EventRecord: WireStructure, Equatable {
    public enum Kind: UInt8, WireEnumeration {
        case created = 0
        case started = 1
        case exited = 2
        case paused = 3
        case resumed = 4
        case outOfMemory = 5
        case destroyed = 6
    }
    /// Nanoseconds since 1970.
    public var time: UInt64 = 0
    public var kind = Kind.created
    public var container = ""
    public var pid: Int32 = 0
    public var exit: ExitReport?

    public init() {}

    public static var summary: String { "One record of `GET /v1/events`, which stays open." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("time", &time, "ns since 1970")
        try v.enumeration("kind", &kind)
        try v.text("container", &container, maximum: MessageLimits.identifier)
        try v.integer("pid", &pid)
        try v.optional("exit", &exit, "with `exited`")
    }
}

/// `POST /v1/exit` of the Gofer: the guest's status, which the Gofer exits with (the engine waits for it).
public struct GoferExit: WireStructure, Equatable {
    public var status: UInt32 = 0
    public var reason = DeathReason.exited

    public init() {}

    public static var summary: String { "`POST /v1/exit` of the Gofer: the status it exits with, because the engine waits for it." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.integer("status", &status, in: 0...255)
        try v.enumeration("reason", &reason)
    }
}

internal import Host
internal import Synchronization

/// The levelled log of a process: one line per event, written at once to a descriptor, as text or JSON.
///
/// A level that is off costs one load: the message is not built. Set up once by `configure`, before other threads start;
/// level and descriptor may be changed later.
public enum Log {
    public enum Level: UInt8, Sendable, Comparable, CaseIterable {
        case trace, debug, info, warning, error
        /// Nothing is written.
        case none

        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }

        /// The word in options and log lines.
        public var name: String {
            switch self {
            case .trace: "trace"
            case .debug: "debug"
            case .info: "info"
            case .warning: "warning"
            case .error: "error"
            case .none: "none"
            }
        }

        /// The level of that name; `warn` is understood too.
        public init?(name: String) {
            if name == "warn" {
                self = .warning
                return
            }
            guard let level = Level.allCases.first(where: { $0.name == name }) else { return nil }
            self = level
        }
    }

    public enum Format: UInt8, Sendable, CaseIterable {
        case text, json

        /// The format of that name.
        public init?(name: String) {
            switch name {
            case "text": self = .text
            case "json": self = .json
            default: return nil
            }
        }
    }

    /// A named value beside the message.
    public typealias Field = (name: StaticString, value: String)

    private static let minimumLevel = Atomic<UInt8>(Level.warning.rawValue)
    private static let outputDescriptor = Atomic<Int32>(2)
    private static let outputFormat = Atomic<UInt8>(Format.text.rawValue)
    private static let identity = Lock<(component: String, sandbox: String)>((component: "nestbox", sandbox: ""))

    /// Sets everything. `descriptor` stays the caller's; it must outlive the process's last line.
    public static func configure(level: Level, format: Format, descriptor: Int32, component: String, sandbox: String = "") {
        identity.withLock { $0 = (component: component, sandbox: sandbox) }
        outputFormat.store(format.rawValue, ordering: .relaxed)
        outputDescriptor.store(descriptor, ordering: .relaxed)
        minimumLevel.store(level.rawValue, ordering: .relaxed)
    }

    /// The lowest level that is written.
    public static var level: Level {
        get { Level(rawValue: minimumLevel.load(ordering: .relaxed)) ?? .warning }
        set { minimumLevel.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// The descriptor lines go to.
    public static var descriptor: Int32 { outputDescriptor.load(ordering: .relaxed) }

    /// Whether lines of `level` are written; for callers that gather something expensive first.
    @inline(__always) public static func isEnabled(_ level: Level) -> Bool {
        level.rawValue >= minimumLevel.load(ordering: .relaxed)
    }

    public static func trace(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> [Field] = []) {
        if isEnabled(.trace) { write(.trace, message(), fields()) }
    }
    public static func debug(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> [Field] = []) {
        if isEnabled(.debug) { write(.debug, message(), fields()) }
    }
    public static func info(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> [Field] = []) {
        if isEnabled(.info) { write(.info, message(), fields()) }
    }
    public static func warning(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> [Field] = []) {
        if isEnabled(.warning) { write(.warning, message(), fields()) }
    }
    public static func error(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> [Field] = []) {
        if isEnabled(.error) { write(.error, message(), fields()) }
    }

    /// One line, in one write(2): lines of several processes on one descriptor opened with O_APPEND do not mix.
    @inline(never) private static func write(_ level: Level, _ message: String, _ fields: [Field]) {
        let format = Format(rawValue: outputFormat.load(ordering: .relaxed)) ?? .text
        let (component, sandbox) = identity.withLock { $0 }
        let line = render(format, level, message, fields, component: component, sandbox: sandbox, nanoseconds: HostClock.realtime)
        // A log that cannot be written must not stop the sandbox.
        _ = try? HostCall.write(descriptor, line.span)
    }

    /// The bytes of one line, newline included. JSON uses runc's names (`level`, `msg`, `time`), which engines read.
    static func render(
        _ format: Format, _ level: Level, _ message: String, _ fields: [Field], component: String, sandbox: String, nanoseconds: UInt64
    ) -> [UInt8] {
        let time = Timestamp.rfc3339(nanoseconds: nanoseconds)
        var line: [UInt8] = []
        line.reserveCapacity(128)
        switch format {
        case .json:
            line += Array("{\"level\":\"\(level.name)\",\"msg\":".utf8)
            JSONText.appendQuoted(message, to: &line)
            line += Array(",\"time\":\"\(time)\",\"component\":".utf8)
            JSONText.appendQuoted(component, to: &line)
            if !sandbox.isEmpty {
                line += Array(",\"sandbox\":".utf8)
                JSONText.appendQuoted(sandbox, to: &line)
            }
            for field in fields {
                line += Array(",\"\(field.name)\":".utf8)
                JSONText.appendQuoted(field.value, to: &line)
            }
            line += Array("}\n".utf8)
        case .text:
            line += Array("\(time) \(level.name) \(component)".utf8)
            if !sandbox.isEmpty { line += Array("[\(sandbox)]".utf8) }
            line += Array(": ".utf8)
            // A hostile name in a message must not forge a line of its own.
            line += message.utf8.map { $0 < 0x20 || $0 == 0x7f ? 0x3f : $0 }
            for field in fields {
                line += Array(" \(field.name)=".utf8)
                JSONText.appendQuoted(field.value, to: &line)
            }
            line.append(0x0a)
        }
        return line
    }
}

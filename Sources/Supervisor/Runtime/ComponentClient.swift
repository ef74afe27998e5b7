internal import Control
internal import Diagnostics
internal import Host
internal import LinuxABI
internal import Wire

/// A connection to the Sentry or the Gofer of a container.
struct ComponentClient {
    enum Kind: String {
        case sentry, gofer
        var socket: String { "/\(rawValue).sock" }
    }

    /// Nanoseconds that a command may take. A Sentry that is stopped or stuck must not hang an engine.
    static let patience: UInt64 = 30_000_000_000

    let client: ControlClient

    /// `directory` is the container's state directory.
    init(directory: String, _ kind: Kind) throws(SandboxError) {
        client = try ControlClient(path: Array((directory + kind.socket).utf8), peer: "the \(kind.rawValue)")
    }

    /// A command with a message as answer.
    func post<Body: WireStructure, Reply: WireStructure>(
        _ path: String, _ body: Body, descriptors: [Int32] = []
    ) throws(SandboxError) -> Reply {
        try client.call(path, body, descriptors: descriptors, returning: Reply.self, timeout: Self.patience)
    }

    /// A command without an answer.
    func post<Body: WireStructure>(_ path: String, _ body: Body) throws(SandboxError) {
        try client.call(path, body, timeout: Self.patience)
    }
}

public import Diagnostics
public import SupervisorOCI

/// What can be asked of a container.
public enum LifecycleOperation: String, Sendable, CaseIterable {
    case start, exec, kill, delete, forcedDelete, pause, resume, update, list, wait
}

/// Which operation is allowed in which status, and where it leads. Errors are in runc's words, since engines look for them.
public enum Lifecycle {
    /// The status after `operation`, or nil when it may not be done in `status`.
    public static func next(_ status: LifecycleStatus, _ operation: LifecycleOperation) -> LifecycleStatus? {
        switch (operation, status) {
        case (.start, .created): .running
        case (.exec, .created), (.exec, .running): status
        case (.kill, .created), (.kill, .running), (.kill, .paused): status
        case (.delete, .stopped), (.delete, .created): .stopped
        case (.forcedDelete, _): .stopped
        case (.pause, .created), (.pause, .running): .paused
        case (.resume, .paused): .running
        case (.update, .created), (.update, .running), (.update, .paused): status
        case (.list, _), (.wait, _): status
        default: nil
        }
    }

    /// Checks that `operation` may be done.
    public static func require(_ operation: LifecycleOperation, of identifier: String, in status: LifecycleStatus) throws(SandboxError) {
        if next(status, operation) != nil { return }
        let message: String
        var hint = ""
        switch (operation, status) {
        case (.start, .stopped): message = "cannot start a container that has stopped"
        case (.start, .running), (.start, .paused):
            message = "cannot start an already running container"
        case (.exec, .stopped): message = "cannot exec in a stopped container"
        case (.exec, .paused):
            message = "cannot exec in a paused container"
            hint = "nestbox resume \(identifier)"
        case (.delete, _):
            message = "cannot delete container \(identifier) that is not stopped: \(status.rawValue)"
            hint = "stop it with nestbox kill, or delete it with --force"
        case (.resume, _): message = "container not paused"
        case (.kill, _), (.pause, _), (.update, _): message = "container not running"
        default: message = "container is \(status.rawValue): \(operation.rawValue) is not possible"
        }
        throw SandboxError(.wrongState, message, hint: hint)
    }
}

/// Names of containers.
public enum ContainerIdentifier {
    /// The longest name, in bytes: it must fit into a socket's path and a directory's name.
    public static let maximumBytes = 128

    /// Letters, digits and `_ + - .` only, as runc has it, and never `.` or `..`.
    public static func check(_ identifier: String) throws(SandboxError) {
        if identifier.isEmpty { throw SandboxError(.invalidArgument, "container id cannot be empty") }
        let allowed = identifier.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
            default: false
            }
        }
        if !allowed || identifier == "." || identifier == ".." {
            throw SandboxError(
                .invalidArgument, "invalid container ID format: \"\(identifier)\"", hint: "letters, digits and _ + - . are allowed")
        }
        if identifier.utf8.count > maximumBytes {
            throw SandboxError(.invalidArgument, "container id has \(identifier.utf8.count) bytes, the limit is \(maximumBytes)")
        }
    }
}

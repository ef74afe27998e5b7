internal import Control
internal import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI
internal import Wire

/// Why and how a container ended, from what outlives its processes: the report that the Sentry writes as its last act, and, when it could
/// not, the status that the host's kernel keeps.
struct ExitRecord: Sendable, Equatable {
    var reason: DeathReason
    /// As a shell's $?.
    var status: Int32
    var message: String

    var summary: (reason: String, status: Int32) {
        (message.isEmpty || message == reason.explanation ? reason.explanation : "\(reason.explanation): \(message)", status)
    }

    static func path(_ identifier: String, store: StateStore) -> String { store.directory(identifier) + "/exit" }

    /// Of a container whose Sentry has gone.
    static func read(_ record: ContainerRecord, store: StateStore) -> ExitRecord {
        if let bytes = try? HostFile.read(path(record.identifier, store: store), maximum: 65536), !bytes.isEmpty,
            let report = try? ExitReport(decoding: bytes)
        {
            return ExitRecord(reason: report.reason, status: Int32(report.status), message: report.message)
        }
        if record.phase == .creating { return ExitRecord(reason: .creationAborted, status: 1, message: "") }
        if record.killRequested { return ExitRecord(reason: .killRequested, status: 137, message: "") }
        return ExitRecord(reason: .sentryDied, status: 137, message: "")
    }

    /// The record's reason for a Sentry that ended with `status` and left no report.
    static func reason(for status: ChildStatus) -> DeathReason {
        switch status.signal {
        case 31: .sentryFilterViolation
        case 4, 5, 6, 7, 8, 11: .sentryInternalError
        default: .sentryDied
        }
    }
}

public import Control
public import Diagnostics
internal import Host
internal import LinuxABI
public import SupervisorOCI

/// What holds for every operation of one run of `nestbox`.
public struct RuntimeSettings: Sendable {
    public var store: StateStore
    /// File that the log is appended to; nil is standard error.
    public var logPath: String?
    public var logFormat = Log.Format.text
    public var logLevel = Log.Level.warning
    public var platform = "auto"
    public var strace = false
    public var allowFaults = false
    public var confinement = ConfinementMode.full

    public init(store: StateStore) { self.store = store }
}

/// The OCI runtime: every verb is one method. A value lives for one run of `nestbox`.
public struct ContainerRuntime: Sendable {
    let settings: RuntimeSettings
    /// Where this process's log goes.
    let logDescriptor: Int32

    var store: StateStore { settings.store }

    /// Opens the log.
    public init(_ settings: RuntimeSettings) throws(SandboxError) {
        self.settings = settings
        if let path = settings.logPath {
            do throws(Errno) {
                // Open for the rest of the process's life.
                logDescriptor = try HostCall.open(
                    Array(path.utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_APPEND, mode: 0o644
                ).release()
            } catch {
                throw SandboxError(error, "open the log file \(path)")
            }
        } else {
            logDescriptor = 2
        }
        // A reader of our output that goes away (`nestbox ... | head`) is an error to clean up after, not an end without a word: blocked for good.
        _ = try? SignalDescriptor([13])
        Log.configure(level: settings.logLevel, format: settings.logFormat, descriptor: logDescriptor, component: "nestbox")
    }

    /// Making sandboxes needs namespaces, mounts and cgroups.
    func requireRoot() throws(SandboxError) {
        if HostCall.raw(.geteuid) != 0 {
            throw SandboxError(
                .permissionDenied, "nestbox needs root for now: this process runs as user \(HostCall.raw(.geteuid))",
                hint: "run it with sudo, or from an engine that runs as root")
        }
    }

    // MARK: - State

    /// A record with what the host says about its processes now.
    struct Observed {
        var record: ContainerRecord
        var status: LifecycleStatus
    }

    func observe(_ identifier: String) throws(SandboxError) -> Observed {
        let record = try store.load(identifier)
        return Observed(record: record, status: Self.status(of: record))
    }

    static func status(of record: ContainerRecord) -> LifecycleStatus {
        if record.phase == .creating, record.sentry.processID == 0 {
            return record.creator.map { HostProcess.isAlive($0) } ?? false ? .creating : .stopped
        }
        if !HostProcess.isAlive(record.sentry) { return .stopped }
        switch record.phase {
        case .creating: return .creating
        case .created: return .created
        case .started: return .running
        case .paused: return .paused
        }
    }

    func document(_ observed: Observed) -> StateDocument {
        let record = observed.record
        let stopped = observed.status == .stopped
        var document = StateDocument(
            identifier: record.identifier, status: observed.status, processID: stopped ? 0 : record.sentry.processID, bundle: record.bundle,
            annotations: record.annotations)
        document.rootfs = record.rootfs
        document.created = record.created
        if stopped { document.exit = ExitRecord.read(record, store: store).summary }
        return document
    }

    /// What `state` prints.
    public func state(_ identifier: String) throws(SandboxError) -> StateDocument { document(try observe(identifier)) }

    /// Every container, sorted by name. Damaged ones are logged and left out.
    public func list() -> [StateDocument] {
        var documents: [StateDocument] = []
        for identifier in store.identifiers() {
            do throws(SandboxError) {
                documents.append(try state(identifier))
            } catch {
                Log.warning("container \(identifier) is left out: \(error)")
            }
        }
        return documents
    }

    // MARK: - Documents without a container

    /// Writes the example configuration; one that is there already is left alone.
    public static func writeTemplate(bundle: String) throws(SandboxError) {
        let path = bundle + "/config.json"
        do throws(Errno) {
            let file = try HostCall.open(
                Array(path.utf8), flags: OpenFlag.O_WRONLY | OpenFlag.O_CREAT | OpenFlag.O_EXCL, mode: 0o644)
            try HostCall.writeAll(file.rawValue, Array((RuntimeSpec.template().text(indented: true) + "\n").utf8).span)
        } catch {
            if error == .EEXIST { throw SandboxError(.alreadyExists, "File config.json exists. Remove it first", hint: path) }
            throw SandboxError(error, "write \(path)")
        }
    }

    public static func features() -> JSON { RuntimeSpec.features(version: ProtocolVersion.release) }
}

/// The status of a container in the words of the runtime specification, plus `paused` as runc has it.
public enum LifecycleStatus: String, Sendable, CaseIterable {
    case creating, created, running, paused, stopped
}

/// What `state` prints and hooks get on standard input.
/// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/runtime.md#state
public struct StateDocument: Sendable, Equatable {
    public var version = RuntimeSpec.implementedVersion
    public var identifier: String
    public var status: LifecycleStatus
    /// The host process that carries the container; 0 when it has stopped.
    public var processID: Int32
    public var bundle: String
    public var annotations: [String: String]
    /// The root file system on the host; empty leaves it out, as in a hook's document.
    public var rootfs = ""
    /// RFC 3339, UTC; empty leaves it out.
    public var created = ""
    /// Why and how a stopped container ended; nil leaves it out.
    public var exit: (reason: String, status: Int32)?

    public init(identifier: String, status: LifecycleStatus, processID: Int32, bundle: String, annotations: [String: String]) {
        self.identifier = identifier
        self.status = status
        self.processID = processID
        self.bundle = bundle
        self.annotations = annotations
    }

    public var json: JSON {
        var members = [
            JSON.Member("ociVersion", .string(version)),
            JSON.Member("id", .string(identifier)),
            JSON.Member("pid", .integer(processID)),
            JSON.Member("status", .string(status.rawValue)),
            JSON.Member("bundle", .string(bundle)),
        ]
        if !rootfs.isEmpty { members.append(JSON.Member("rootfs", .string(rootfs))) }
        if !created.isEmpty { members.append(JSON.Member("created", .string(created))) }
        var annotations = annotations
        if let exit {
            annotations["dev.nestbox.exit.reason"] = exit.reason
            annotations["dev.nestbox.exit.status"] = String(exit.status)
        }
        if !annotations.isEmpty { members.append(JSON.Member("annotations", .strings(annotations))) }
        return .object(members)
    }

    public static func == (a: StateDocument, b: StateDocument) -> Bool { a.json == b.json }
}

import Foundation

/// One of a sandbox's processes on the host, read through /proc.
struct HostProcess: Sendable {
    let identifier: Int32
    var name: String
    var parent: Int32

    init?(_ identifier: Int32) {
        guard let stat = MachineState.readText("/proc/\(identifier)/stat"), let open = stat.firstIndex(of: "("),
            let close = stat.lastIndex(of: ")")
        else {
            return nil
        }
        let rest = stat[stat.index(after: close)...].split(separator: " ")
        guard rest.count > 1, rest[0] != "Z", let parent = Int32(rest[1]) else { return nil }
        self.identifier = identifier
        name = String(stat[stat.index(after: open)..<close])
        self.parent = parent
    }

    static func all() -> [HostProcess] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap(Int32.init).compactMap(HostProcess.init)
    }

    /// A field of /proc/PID/status.
    func status(_ field: String) -> String {
        for line in (MachineState.readText("/proc/\(identifier)/status") ?? "").split(separator: "\n") where line.hasPrefix(field + ":") {
            return line.dropFirst(field.count + 1).trimmingCharacters(in: .whitespaces)
        }
        return ""
    }

    /// The identity of a namespace, as in `net:[4026531840]`.
    func namespace(_ kind: String) -> String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(identifier)/ns/\(kind)")) ?? ""
    }

    /// What each descriptor is.
    var descriptors: [String] {
        let folder = "/proc/\(identifier)/fd"
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + $0)
        }
    }

    /// Guest code runs where the container's memory file is.
    var holdsGuestMemory: Bool {
        name != "nestbox-source" && descriptors.contains { $0.contains("deleted") || $0.contains("memory") || $0.hasPrefix("/#") }
    }

    /// The names in its root directory.
    var rootEntries: [String]? { try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/root/") }

    /// Lines of /proc/PID/maps that are executable and writable at once.
    var writableCode: [String] {
        (MachineState.readText("/proc/\(identifier)/maps") ?? "").split(separator: "\n").filter { line in
            line.split(separator: " ").dropFirst().first?.contains("wx") == true
        }.map(String.init)
    }
}

/// The processes of one sandbox.
struct Components: Sendable {
    var sentry: HostProcess
    var gofer: HostProcess
    /// Where guest code runs: the source and every stub.
    var stubs: [HostProcess]

    /// The processes that came since `before`, sorted by their part.
    init?(since before: MachineState) {
        let new = HostProcess.all().filter { before.processes[$0.identifier] == nil }
        guard let sentry = new.first(where: { $0.name.hasPrefix("nestbox-sentry") }),
            let gofer = new.first(where: { $0.name.hasPrefix("nestbox-gofer") })
        else { return nil }
        self.sentry = sentry
        self.gofer = gofer
        // The Sentry's child is their source, its children are the stubs.
        let sources = new.filter { $0.parent == sentry.identifier }
        stubs = sources + new.filter { process in sources.contains { $0.identifier == process.parent } }
    }
}

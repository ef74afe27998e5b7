/// How the host's cgroup hierarchies are mounted: v1, v2, both, or none.
public struct CgroupLayout: Sendable, Equatable {
    /// One mounted hierarchy.
    public struct Hierarchy: Sendable, Equatable {
        /// The v1 controllers on it (`memory`, `cpu`; `name=systemd` for a named one); empty for the unified one.
        public var controllers: [String]
        public var isUnified: Bool
        public var mountPoint: String
        /// What of the hierarchy is seen at `mountPoint`.
        public var mountRoot: String
        /// The caller's own cgroup, seen from the hierarchy's root.
        public var ownPath: String
    }

    public enum Kind: String, Sendable { case none, v1, v2, hybrid }

    public var hierarchies: [Hierarchy]

    public var kind: Kind {
        let unified = hierarchies.contains { $0.isUnified }
        let legacy = hierarchies.contains { !$0.isUnified && !$0.controllers.allSatisfy { $0.hasPrefix("name=") } }
        return unified ? (legacy ? .hybrid : .v2) : (legacy ? .v1 : .none)
    }

    public init(hierarchies: [Hierarchy]) { self.hierarchies = hierarchies }

    /// Reads the layout from the texts of /proc/self/mountinfo and /proc/self/cgroup (cgroups(7)).
    public init(mountInfo: String, ownCgroups: String) {
        var own: [String: String] = [:]
        for line in ownCgroups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            if parts.count != 3 { continue }
            if parts[1].isEmpty {
                own[""] = String(parts[2])
            } else {
                for controller in parts[1].split(separator: ",") { own[String(controller)] = String(parts[2]) }
            }
        }
        hierarchies = []
        for line in mountInfo.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let separator = fields.firstIndex(of: "-"), separator >= 5, fields.count > separator + 3 else { continue }
            let root = Self.unescape(fields[3])
            let point = Self.unescape(fields[4])
            if hierarchies.contains(where: { $0.mountPoint == point }) { continue }
            switch fields[separator + 1] {
            case "cgroup2":
                if hierarchies.contains(where: { $0.isUnified }) { continue }
                hierarchies.append(Hierarchy(controllers: [], isUnified: true, mountPoint: point, mountRoot: root, ownPath: own[""] ?? "/"))
            case "cgroup":
                let controllers = fields[separator + 3].split(separator: ",").map(String.init).filter { own[$0] != nil }
                if controllers.isEmpty || hierarchies.contains(where: { $0.controllers == controllers }) { continue }
                hierarchies.append(
                    Hierarchy(
                        controllers: controllers, isUnified: false, mountPoint: point, mountRoot: root,
                        ownPath: own[controllers[0]] ?? "/"))
            default: continue
            }
        }
    }

    /// mountinfo writes space, tab, newline and backslash as three octal digits.
    private static func unescape(_ text: Substring) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 3)], as: UTF8.self), radix: 8)
            {
                result.append(value)
                index += 4
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Where `cgroupsPath` of a configuration lies in `hierarchy`: absolute from the mount point, relative from the caller's own cgroup.
    public static func directory(_ cgroupsPath: String, in hierarchy: Hierarchy) -> String {
        let clean = cgroupsPath.split(separator: "/").filter { $0 != "." && $0 != ".." }.joined(separator: "/")
        if cgroupsPath.hasPrefix("/") { return hierarchy.mountPoint + "/" + clean }
        var own = hierarchy.ownPath
        // Inside a container the mount shows only a part of the hierarchy; own paths are then given from its real root.
        if hierarchy.mountRoot != "/", own.hasPrefix(hierarchy.mountRoot) { own = String(own.dropFirst(hierarchy.mountRoot.count)) }
        // A path that climbs out of the cgroup namespace cannot be expressed at the mount point: use the top of what is seen.
        let parts = own.split(separator: "/")
        if parts.contains("..") { own = "/" }
        let base = own.split(separator: "/").joined(separator: "/")
        return hierarchy.mountPoint + (base.isEmpty ? "" : "/" + base) + (clean.isEmpty ? "" : "/" + clean)
    }
}

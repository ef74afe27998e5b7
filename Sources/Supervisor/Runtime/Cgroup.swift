internal import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI

/// The cgroups of one container, made and written through the file system (the "cgroupfs" manager), one directory a hierarchy.
///
/// The guest's own limits are kept by the Sentry; what is written here is the backstop around it: the container's limit plus a stated
/// overhead for the Sentry, the Gofer and the stubs.
struct Cgroup: Sendable {
    /// One directory, and what its hierarchy controls.
    struct Directory: Sendable, Equatable {
        var path: String
        var controllers: [String]
        var isUnified: Bool
    }

    var directories: [Directory]

    /// Where containers without a cgroupsPath go.
    static let commonParent = "/nestbox"

    /// Memory that the sandbox itself may take beside the guest's.
    static let memoryOverhead: Int64 = 96 << 20

    /// Host tasks that `limit` guest tasks may need: a stub thread and a Sentry thread each, twice that for pools, and a fixed part.
    static func hostTasks(_ limit: Int64) -> Int64 { limit > (1 << 40) ? limit : limit * 4 + 256 }

    /// The layout of this host.
    static func hostLayout() -> CgroupLayout {
        let mounts = (try? HostFile.read("/proc/self/mountinfo")) ?? []
        let own = (try? HostFile.read("/proc/self/cgroup")) ?? []
        return CgroupLayout(mountInfo: String(decoding: mounts, as: UTF8.self), ownCgroups: String(decoding: own, as: UTF8.self))
    }

    /// Where the container at `cgroupsPath` lives in each hierarchy.
    init(cgroupsPath: String, layout: CgroupLayout) {
        directories = layout.hierarchies.map {
            Directory(path: CgroupLayout.directory(cgroupsPath, in: $0), controllers: $0.controllers, isUnified: $0.isUnified)
        }
    }

    /// The directories that the state file remembers.
    init(directories: [Directory]) { self.directories = directories }

    /// Makes the directories. Returns those that were made here, ancestors included, outermost first.
    func create() throws(SandboxError) -> [String] {
        var made: [String] = []
        for directory in directories {
            do throws(Errno) {
                made += try HostFile.makeDirectories(directory.path, mode: 0o755)
                if directory.isUnified { Self.enableControllers(above: directory.path) }
                if directory.controllers.contains("cpuset") { try Self.inheritCPUSet(directory.path) }
            } catch {
                for path in made.reversed() { try? HostFile.removeDirectory(path) }
                throw SandboxError(error, "create cgroup \(directory.path)", hint: "is the cgroup file system mounted writable?")
            }
        }
        return made
    }

    /// v2: a controller works in a directory when its parent passes it on. What the parent does not have stays off.
    private static func enableControllers(above path: String) {
        var ancestors: [String] = []
        var current = path
        while let slash = current.lastIndex(of: "/"), slash != current.startIndex {
            current = String(current[..<slash])
            if !HostFile.exists(current + "/cgroup.subtree_control") { break }
            ancestors.append(current)
        }
        for ancestor in ancestors.reversed() {
            let available = (HostFile.text(ancestor + "/cgroup.controllers") ?? "").split(separator: " ")
            let enabled = (HostFile.text(ancestor + "/cgroup.subtree_control") ?? "").split(separator: " ")
            for controller in available where !enabled.contains(controller) {
                do throws(Errno) {
                    try HostFile.write(ancestor + "/cgroup.subtree_control", "+\(controller)")
                } catch {
                    Log.debug("cgroup controller \(controller) is not passed on by \(ancestor): \(error)")
                }
            }
        }
    }

    /// v1: a new cpuset has no CPUs and no memory nodes; nothing may join before it has. Take the parent's, from the top.
    private static func inheritCPUSet(_ path: String) throws(Errno) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let parent = String(path[..<slash])
        guard HostFile.exists(parent + "/cpuset.cpus") else { return }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let present = HostFile.text(path + "/" + file), !present.isEmpty { continue }
            if HostFile.text(parent + "/" + file)?.isEmpty ?? true { try inheritCPUSet(parent) }
            try HostFile.write(path + "/" + file, HostFile.text(parent + "/" + file) ?? "")
        }
    }

    /// Moves a process, with all its threads, into every hierarchy.
    func add(_ processID: Int32) throws(SandboxError) {
        for directory in directories {
            do throws(Errno) {
                try HostFile.write(directory.path + "/cgroup.procs", String(processID))
            } catch {
                throw SandboxError(error, "put process \(processID) into cgroup \(directory.path)")
            }
        }
    }

    /// Writes the limits. With `isUpdate`, only what is set in `resources` is touched, and an impossible one is an error all the same.
    func apply(_ resources: ResourcesSpec) throws(SandboxError) {
        for directory in directories {
            for (file, value) in Self.settings(resources, for: directory) {
                do throws(Errno) {
                    try HostFile.write(directory.path + "/" + file, value)
                } catch {
                    throw SandboxError(
                        error, "write \"\(value)\" to \(directory.path)/\(file)",
                        hint: error == .ENOENT ? "the controller of \(file) is not available here" : "")
                }
            }
        }
    }

    /// The files to write and their values, in order, for one hierarchy.
    static func settings(_ resources: ResourcesSpec, for directory: Directory) -> [(file: String, value: String)] {
        directory.isUnified ? unifiedSettings(resources, directory) : legacySettings(resources, directory.controllers)
    }

    private static func withOverhead(_ limit: Int64) -> String {
        limit <= 0 || limit > Int64.max - memoryOverhead ? "-1" : String(limit + memoryOverhead)
    }

    private static func legacySettings(_ resources: ResourcesSpec, _ controllers: [String]) -> [(file: String, value: String)] {
        var settings: [(String, String)] = []
        if controllers.contains("memory") {
            if let limit = resources.memory.limit, limit != 0 { settings.append(("memory.limit_in_bytes", withOverhead(limit))) }
            if let reservation = resources.memory.reservation, reservation != 0 {
                settings.append(("memory.soft_limit_in_bytes", withOverhead(reservation)))
            }
        }
        if controllers.contains("cpu") {
            if let shares = resources.cpu.shares, shares != 0 { settings.append(("cpu.shares", String(shares))) }
            if let period = resources.cpu.period, period != 0 { settings.append(("cpu.cfs_period_us", String(period))) }
            if let quota = resources.cpu.quota, quota != 0 { settings.append(("cpu.cfs_quota_us", String(quota))) }
        }
        if controllers.contains("cpuset") {
            if let cpus = resources.cpu.cpus, !cpus.isEmpty { settings.append(("cpuset.cpus", cpus)) }
            if let mems = resources.cpu.mems, !mems.isEmpty { settings.append(("cpuset.mems", mems)) }
        }
        if controllers.contains("pids"), let limit = resources.pidsLimit {
            settings.append(("pids.max", limit > 0 ? String(hostTasks(limit)) : "max"))
        }
        return settings
    }

    private static func unifiedSettings(_ resources: ResourcesSpec, _ directory: Directory) -> [(file: String, value: String)] {
        let controllers = (HostFile.text(directory.path + "/cgroup.controllers") ?? "").split(separator: " ").map(String.init)
        return unifiedSettings(resources, controllers: controllers)
    }

    /// cgroup v2's files. The conversion of shares is runc's: [2, 262144] becomes [1, 10000].
    static func unifiedSettings(_ resources: ResourcesSpec, controllers: [String]) -> [(file: String, value: String)] {
        var settings: [(String, String)] = []
        if controllers.contains("memory") {
            if let limit = resources.memory.limit, limit != 0 {
                let value = withOverhead(limit)
                settings.append(("memory.max", value == "-1" ? "max" : value))
            }
            if let swap = resources.memory.swap, swap != 0 {
                let limit = resources.memory.limit ?? 0
                if swap < 0 {
                    settings.append(("memory.swap.max", "max"))
                } else if limit > 0, swap >= limit {
                    settings.append(("memory.swap.max", String(swap - limit)))
                }
            }
            if let reservation = resources.memory.reservation, reservation > 0 { settings.append(("memory.low", String(reservation))) }
        }
        if controllers.contains("cpu") {
            if let shares = resources.cpu.shares, shares != 0 {
                let clamped = min(max(shares, 2), 262_144)
                settings.append(("cpu.weight", String(1 + (clamped - 2) * 9999 / 262_142)))
            }
            if resources.cpu.quota ?? 0 != 0 || resources.cpu.period ?? 0 != 0 {
                let quota = resources.cpu.quota ?? 0
                settings.append(("cpu.max", (quota > 0 ? String(quota) : "max") + " " + String(resources.cpu.period ?? 100_000)))
            }
            if let idle = resources.cpu.idle { settings.append(("cpu.idle", String(idle))) }
        }
        if controllers.contains("cpuset") {
            if let cpus = resources.cpu.cpus, !cpus.isEmpty { settings.append(("cpuset.cpus", cpus)) }
            if let mems = resources.cpu.mems, !mems.isEmpty { settings.append(("cpuset.mems", mems)) }
        }
        if controllers.contains("pids"), let limit = resources.pidsLimit {
            settings.append(("pids.max", limit > 0 ? String(hostTasks(limit)) : "max"))
        }
        for (file, value) in resources.unified.sorted(by: { $0.key < $1.key }) { settings.append((file, value)) }
        return settings
    }

    /// The host processes inside.
    func processes() -> [Int32] {
        for directory in directories {
            if let text = HostFile.text(directory.path + "/cgroup.procs") {
                return text.split(separator: "\n").compactMap { Int32($0) }
            }
        }
        return []
    }

    /// The number in a control file of the first hierarchy that has it.
    func number(_ files: [String]) -> UInt64? {
        for directory in directories {
            for file in files {
                if let text = HostFile.text(directory.path + "/" + file), let value = UInt64(text) { return value }
            }
        }
        return nil
    }

    /// Kills what is still inside, waits until it has gone, and removes the directories with the ancestors in `made` that are empty then.
    func remove(made: [String]) {
        for directory in directories where HostFile.exists(directory.path) {
            Self.removeTree(directory.path)
        }
        for path in made.reversed() { try? HostFile.removeDirectory(path) }
        // The common parent of containers without a cgroupsPath goes with the last of them.
        for directory in directories {
            guard let slash = directory.path.lastIndex(of: "/"), directory.path[..<slash].hasSuffix(Self.commonParent) else { continue }
            try? HostFile.removeDirectory(String(directory.path[..<slash]))
        }
    }

    private static func removeTree(_ path: String, depth: Int = 0) {
        if depth < 16, let names = try? HostFile.names(path) {
            for name in names where HostFile.isDirectory(path + "/" + name) { removeTree(path + "/" + name, depth: depth + 1) }
        }
        // A fork that races with the kill leaves a new process behind: look again, a bounded number of times.
        for _ in 0..<64 {
            do throws(Errno) {
                try HostFile.removeDirectory(path)
                return
            } catch {
                if error != .EBUSY { return }
            }
            let processes = (HostFile.text(path + "/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
            HostProcess.killAndWait(processes, milliseconds: 2000)
        }
        Log.warning("cgroup \(path) cannot be removed: processes stay in it")
    }
}

import Host
import LinuxABI
public import SentryKernel
import SentryMemory
import SentryVFS

/// The limits of a container that only its cgroup shows: the host keeps them, the guest looks them up.
public final class CgroupLimits: Sendable {
    /// Nil or 0 in a field: not limited.
    public struct Values: Sendable {
        /// Microseconds of CPU time in each period.
        public var cpuQuota: Int64 = 0
        /// Microseconds.
        public var cpuPeriod: UInt64 = 0
        /// The weight in cgroup v1's terms, 2 to 262144.
        public var cpuShares: UInt64 = 0
        public init() {}
    }
    private let values: Lock<Values>
    public init(_ values: Values) { self.values = Lock(values) }

    public var current: Values { values.withLock { $0 } }

    /// Takes over what is set in `change`.
    public func update(_ change: Values) {
        values.withLock { values in
            if change.cpuQuota != 0 { values.cpuQuota = change.cpuQuota }
            if change.cpuPeriod != 0 { values.cpuPeriod = change.cpuPeriod }
            if change.cpuShares != 0 { values.cpuShares = change.cpuShares }
        }
    }
}

extension Container {
    /// What its processes have used: the live ones, and those that were waited for.
    public var usage: Usage {
        var sum = Usage()
        for group in threadGroups {
            sum.add(group.usage)
            sum.add(group.childrenUsage)
        }
        return sum
    }
}

/// cgroup2 as a container with a cgroup namespace of its own sees it (cgroups(7), Documentation/admin-guide/cgroup-v2): one cgroup, its own, whose limits
/// are those of the container. It cannot be changed from inside: engines mount it read-only.
public final class CgroupFileSystem: SyntheticFileSystem, @unchecked Sendable {  // Immutable once built.
    private let container: Container
    private let limits: CgroupLimits

    public init(_ container: Container, limits: CgroupLimits, device: UInt64) {
        self.container = container
        self.limits = limits
        super.init(typeName: "cgroup2", device: device, magic: FileSystemMagic.CGROUP2_SUPER_MAGIC)
        let root = StaticDirectory(self, number: 1)
        setRoot(root)
        addCore(root)
        addMemory(root)
        addTasks(root)
        addProcessor(root)
    }

    private func file(_ directory: StaticDirectory, _ name: String, _ text: @escaping @Sendable () -> String) {
        directory.add(name, SyntheticFile(self, content: { _ throws(Errno) in Array((text() + "\n").utf8) }))
    }

    private func fixed(_ directory: StaticDirectory, _ pairs: KeyValuePairs<String, String>) {
        for (name, value) in pairs { directory.add(name, SyntheticFile(self, text: value.isEmpty ? "" : value + "\n")) }
    }

    private static func text(_ limit: UInt64) -> String { limit == .max || limit == 0 ? "max" : String(limit) }

    private func addCore(_ root: StaticDirectory) {
        let container = container
        fixed(
            root,
            [
                "cgroup.controllers": "cpuset cpu io memory pids", "cgroup.subtree_control": "", "cgroup.type": "domain",
                "cgroup.max.depth": "max", "cgroup.max.descendants": "max", "cgroup.stat": "nr_descendants 0\nnr_dying_descendants 0",
                "io.stat": "",
            ])
        file(root, "cgroup.freeze") { container.state.withLock { $0.isPaused } ? "1" : "0" }
        file(root, "cgroup.events") { "populated 1\nfrozen \(container.state.withLock { $0.isPaused } ? 1 : 0)" }
        for (name, withThreads) in [("cgroup.procs", false), ("cgroup.threads", true)] {
            root.add(
                name,
                SyntheticFile(
                    self,
                    content: { _ throws(Errno) in
                        var numbers: [Int32] = []
                        for group in container.threadGroups {
                            if withThreads { numbers += group.threads.map(\.threadID) } else { numbers.append(group.processID) }
                        }
                        return Array(numbers.sorted().map { "\($0)\n" }.joined().utf8)
                    }))
        }
    }

    private func addMemory(_ root: StaticDirectory) {
        let container = container
        let memory = container.memoryFile
        fixed(
            root,
            [
                "memory.high": "max", "memory.low": "0", "memory.min": "0", "memory.oom.group": "0", "memory.swap.current": "0",
                "memory.swap.max": "0", "memory.swap.high": "max", "memory.swap.events": "high 0\nmax 0\nfail 0",
            ])
        file(root, "memory.max") { Self.text(memory.limit) }
        file(root, "memory.current") { String(memory.usage) }
        for name in ["memory.events", "memory.events.local"] {
            file(root, name) {
                let kills = container.state.withLock { $0.outOfMemoryKills }
                return "low 0\nhigh 0\nmax \(kills)\noom \(kills)\noom_kill \(kills)\noom_group_kill 0"
            }
        }
        // Guest memory is all one kind here: private pages and tmpfs files lie in the same memory file. Pages of other files are the host's.
        file(root, "memory.stat") {
            let usage = memory.usage
            return "anon \(usage)\nfile 0\nkernel 0\nkernel_stack 0\npagetables 0\nsock 0\nshmem 0\nfile_mapped 0\nfile_dirty 0\n"
                + "file_writeback 0\nswapcached 0\nanon_thp 0\ninactive_anon 0\nactive_anon \(usage)\ninactive_file 0\nactive_file 0\n"
                + "unevictable 0\nslab_reclaimable 0\nslab_unreclaimable 0\nslab 0"
        }
    }

    private func addTasks(_ root: StaticDirectory) {
        let container = container
        file(root, "pids.max") { container.state.withLock { $0.tasksLimit }.map { String($0) } ?? "max" }
        file(root, "pids.current") { String(container.liveTasks) }
        fixed(root, ["pids.events": "max 0"])
    }

    private func addProcessor(_ root: StaticDirectory) {
        let (container, limits) = (container, limits)
        file(root, "cpu.max") {
            let values = limits.current
            return "\(values.cpuQuota > 0 ? String(values.cpuQuota) : "max") \(values.cpuPeriod == 0 ? 100_000 : values.cpuPeriod)"
        }
        // runc's conversion: [2, 262144] becomes [1, 10000].
        file(root, "cpu.weight") {
            let shares = limits.current.cpuShares
            return shares == 0 ? "100" : String(1 + (min(max(shares, 2), 262_144) - 2) * 9999 / 262_142)
        }
        fixed(root, ["cpu.weight.nice": "0", "cpu.idle": "0", "cpu.max.burst": "0", "cpuset.mems": "", "cpuset.mems.effective": "0"])
        let range = ProcText.processorRange(container.processorCount)
        fixed(root, ["cpuset.cpus": "", "cpuset.cpus.effective": range, "cpuset.cpus.partition": "member"])
        file(root, "cpu.stat") {
            let usage = container.usage
            let (user, system) = (usage.userTime / 1000, usage.systemTime / 1000)
            return "usage_usec \(user &+ system)\nuser_usec \(user)\nsystem_usec \(system)\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0"
        }
    }
}

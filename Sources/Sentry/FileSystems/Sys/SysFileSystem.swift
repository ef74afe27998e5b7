import LinuxABI
public import SentryKernel
import SentryVFS

/// sysfs (sysfs(5)): the small part of it that programs look at. No devices, no buses, no modules.
public final class SysFileSystem: SyntheticFileSystem, @unchecked Sendable {  // Immutable once built.
    public init(_ container: Container, device: UInt64) {
        super.init(typeName: "sysfs", device: device, magic: FileSystemMagic.SYSFS_MAGIC)
        let root = StaticDirectory(self, number: 1)
        setRoot(root)
        for name in [
            "block", "bus", "class/block", "class/mem", "class/net", "class/tty", "class/power_supply", "class/thermal", "class/hwmon",
        ] {
            root.directory(name)
        }
        for name in [
            "dev/block", "dev/char", "devices/virtual/net", "firmware", "fs/cgroup", "fs/fuse/connections", "fs/bpf", "fs/pstore",
            "hypervisor",
        ] {
            root.directory(name)
        }
        for name in ["kernel/debug", "kernel/tracing", "kernel/security", "kernel/config", "module", "power"] { root.directory(name) }
        addProcessors(root.directory("devices/system/cpu"), container.processorCount)
        let node = root.directory("devices/system/node")
        for name in ["online", "possible", "has_cpu", "has_memory", "has_normal_memory"] { text(node, name, "0") }
        let first = root.directory("devices/system/node/node0")
        text(first, "cpulist", ProcText.processorRange(container.processorCount))
        text(first, "cpumap", mask(container.processorCount))
        text(first, "distance", "10")
        let pages = root.directory("kernel/mm/transparent_hugepage")
        text(pages, "enabled", "always [madvise] never")
        text(pages, "defrag", "always defer defer+madvise [madvise] never")
        text(pages, "shmem_enabled", "always within_size advise [never] deny force")
        text(pages, "use_zero_page", "1")
        text(pages, "hpage_pmd_size", "2097152")
        root.directory("kernel/mm/hugepages")
        root.directory("kernel/mm/ksm")
        let kernel = root.directory("kernel")
        text(kernel, "uevent_seqnum", "0")
        text(kernel, "profiling", "0")
        text(kernel, "rcu_expedited", "0")
        // No notes: no build identifier of a kernel that is not there.
        root.directory("kernel/irq")
        let power = root.directory("power")
        text(power, "state", "")
    }

    private func text(_ directory: StaticDirectory, _ name: String, _ value: String) {
        directory.add(name, SyntheticFile(self, text: value.isEmpty ? "" : value + "\n"))
    }

    private func mask(_ count: Int) -> String {
        var words: [String] = []
        var left = count
        while left > 0 {
            let bits = min(left, 32)
            words.insert(String(bits == 32 ? UInt32.max : UInt32(1) << UInt32(bits) &- 1, radix: 16), at: 0)
            left -= bits
        }
        return words.joined(separator: ",")
    }

    /// The mask of one processor, as wide as that of all.
    private func bit(_ index: Int, of count: Int) -> String {
        let words = (count + 31) / 32
        return (0..<words).reversed().map { word in
            let value = word == index / 32 ? UInt32(1) << UInt32(index % 32) : 0
            let digits = String(value, radix: 16)
            return word == words - 1 ? digits : String(repeating: "0", count: 8 - digits.count) + digits
        }.joined(separator: ",")
    }

    private func addProcessors(_ directory: StaticDirectory, _ count: Int) {
        let range = ProcText.processorRange(count)
        for name in ["online", "possible", "present"] { text(directory, name, range) }
        text(directory, "offline", "")
        text(directory, "isolated", "")
        text(directory, "kernel_max", "8191")
        let vulnerabilities = directory.directory("vulnerabilities")
        for name in [
            "itlb_multihit", "l1tf", "mds", "meltdown", "mmio_stale_data", "retbleed", "spec_store_bypass", "spectre_v1", "spectre_v2",
            "srbds",
        ] {
            text(vulnerabilities, name, "Not affected")
        }
        for index in 0..<count {
            let processor = directory.directory("cpu\(index)")
            if index > 0 { text(processor, "online", "1") }
            let topology = processor.directory("topology")
            text(topology, "core_id", "\(index)")
            text(topology, "physical_package_id", "0")
            for name in ["core_cpus_list", "thread_siblings_list"] { text(topology, name, "\(index)") }
            for name in ["package_cpus_list", "core_siblings_list"] { text(topology, name, range) }
            for name in ["core_cpus", "thread_siblings"] { text(topology, name, bit(index, of: count)) }
            text(topology, "package_cpus", mask(count))
            text(topology, "core_siblings", mask(count))
        }
    }
}

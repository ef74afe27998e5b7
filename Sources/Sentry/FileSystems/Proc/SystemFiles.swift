internal import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// The files right below /proc that tell of the whole system, which here is the container (proc(5)).
struct SystemFiles {
    private let proc: ProcFileSystem
    init(_ proc: ProcFileSystem) { self.proc = proc }

    func fill(_ root: StaticDirectory) {
        file(root, "cpuinfo", Self.cpuInformation)
        file(root, "meminfo", Self.memoryInformation)
        file(root, "stat", Self.statistics)
        file(root, "uptime", Self.uptime)
        file(root, "loadavg", Self.load)
        file(root, "version") { _ in
            Array("\(KernelRelease.name) version \(KernelRelease.release) (nestbox@nestbox) (swift) \(KernelRelease.version)\n".utf8)
        }
        file(root, "vmstat", Self.memoryCounters)
        file(root, "interrupts") { proc in
            Array(("           " + (0..<proc.container.processorCount).map { "CPU\($0)       " }.joined() + "\n").utf8)
        }
        file(root, "softirqs") { proc in
            Array(("                    " + (0..<proc.container.processorCount).map { "CPU\($0)       " }.joined() + "\n").utf8)
        }
        for (name, text) in Self.fixed { root.add(name, SyntheticFile(proc, unwritable: .EIO, text: text)) }
        for (name, target) in [("mounts", "self/mounts"), ("net", "self/net")] { root.add(name, SyntheticLink(proc, to: target)) }
        let proc = proc
        root.add(
            "kmsg",
            SyntheticFile(
                proc, permissions: 0o400, unwritable: .EIO,
                content: { [weak proc] context throws(Errno) in
                    guard let proc, context.credentials.hasGlobally(.CAP_SYSLOG) || context.credentials.hasGlobally(.CAP_SYS_ADMIN) else {
                        throw .EPERM
                    }
                    return proc.kernel.log.text(sinceClear: false)
                }))
        root.directory("fs")
        root.directory("driver")
        root.directory("bus")
        root.directory("irq")
        root.directory("tty").add("drivers", SyntheticFile(proc, unwritable: .EIO, text: Self.terminalDrivers))
        let ipc = root.directory("sysvipc")
        file(ipc, "shm", IPCFiles.segments)
        file(ipc, "sem", IPCFiles.semaphores)
        file(ipc, "msg", IPCFiles.queues)
        root.directory("pressure")
        for resource in ["cpu", "io", "memory"] {
            let line = "avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
            root.directory("pressure").add(resource, SyntheticFile(proc, text: "some \(line)full \(line)"))
        }
    }

    private func file(_ root: StaticDirectory, _ name: String, _ content: @escaping @Sendable (ProcFileSystem) -> [UInt8]) {
        root.add(
            name,
            SyntheticFile(
                proc, unwritable: .EIO,
                content: { [weak proc] _ throws(Errno) in
                    guard let proc else { throw .EIO }
                    return content(proc)
                }))
    }

    private static let terminalDrivers = """
        /dev/tty             /dev/tty        5       0 system:/dev/tty
        /dev/console         /dev/console    5       1 system:console
        /dev/ptmx            /dev/ptmx       5       2 system
        pty_slave            /dev/pts      136 0-1048575 pty:slave
        pty_master           /dev/ptm      128 0-1048575 pty:master

        """

    private static let fixed: [(String, String)] = [
        (
            "filesystems",
            "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup2\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\tmqueue\nnodev\toverlay\n\text4\n"
        ),
        (
            "devices",
            "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n 10 misc\n128 ptm\n136 pts\n\nBlock devices:\n"
        ),
        ("partitions", "major minor  #blocks  name\n\n"), ("diskstats", ""),
        ("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
        ("modules", ""), ("cmdline", "console=nestbox\n"), ("key-users", ""), ("keys", ""), ("consoles", ""), ("locks", ""), ("misc", ""),
        ("dma", ""), ("fb", ""), ("iomem", ""), ("ioports", ""), ("crypto", ""), ("mdstat", "Personalities : \nunused devices: <none>\n"),
        ("execdomains", "0-0\tLinux           \t[kernel]\n"), ("buddyinfo", ""), ("pagetypeinfo", ""), ("zoneinfo", ""),
        ("slabinfo", "slabinfo - version: 2.1\n"),
        (
            "cgroups",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\ncpu\t0\t1\t1\nio\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n"
        ),
        ("timer_list", ""), ("kallsyms", ""), ("schedstat", "version 15\ntimestamp 0\n"),
    ]

    // MARK: Memory

    /// What the container may use and uses, in bytes.
    static func memory(_ proc: ProcFileSystem) -> (total: UInt64, used: UInt64) {
        let file = proc.container.memoryFile
        let total = min(file.limit, proc.facts.totalMemory)
        return (total, min(file.usage, total))
    }

    private static func memoryInformation(_ proc: ProcFileSystem) -> [UInt8] {
        let (total, used) = memory(proc)
        let free = total - used
        let rows: [(String, UInt64)] = [
            ("MemTotal:", total), ("MemFree:", free), ("MemAvailable:", free), ("Buffers:", 0), ("Cached:", 0), ("SwapCached:", 0),
            ("Active:", used), ("Inactive:", 0), ("Active(anon):", used), ("Inactive(anon):", 0), ("Active(file):", 0),
            ("Inactive(file):", 0),
            ("Unevictable:", 0), ("Mlocked:", 0), ("SwapTotal:", 0), ("SwapFree:", 0), ("Dirty:", 0), ("Writeback:", 0),
            ("AnonPages:", used),
            ("Mapped:", 0), ("Shmem:", 0), ("KReclaimable:", 0), ("Slab:", 0), ("SReclaimable:", 0), ("SUnreclaim:", 0),
            ("KernelStack:", 0),
            ("PageTables:", 0), ("NFS_Unstable:", 0), ("Bounce:", 0), ("WritebackTmp:", 0), ("CommitLimit:", total),
            ("Committed_AS:", used),
            ("VmallocTotal:", 0x1fff_ffff_fc00), ("VmallocUsed:", 0), ("VmallocChunk:", 0), ("AnonHugePages:", 0), ("ShmemHugePages:", 0),
            ("ShmemPmdMapped:", 0), ("FileHugePages:", 0), ("FilePmdMapped:", 0),
        ]
        var text = ProcText()
        for (label, bytes) in rows { text.addKilobytes(label, bytes, labelWidth: 16) }
        text.add(
            "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n"
        )
        return text.bytes
    }

    private static func memoryCounters(_ proc: ProcFileSystem) -> [UInt8] {
        let (total, used) = memory(proc)
        let pages = (total - used) / 4096, usedPages = used / 4096
        var faults: UInt64 = 0
        for group in proc.processes(from: 0) { faults &+= group.usage.minorFaults }
        return Array(
            """
            nr_free_pages \(pages)
            nr_inactive_anon 0
            nr_active_anon \(usedPages)
            nr_inactive_file 0
            nr_active_file 0
            nr_anon_pages \(usedPages)
            nr_mapped 0
            nr_file_pages 0
            nr_dirty 0
            nr_writeback 0
            nr_shmem 0
            pgpgin 0
            pgpgout 0
            pswpin 0
            pswpout 0
            pgfault \(faults)
            pgmajfault 0
            oom_kill \(proc.container.state.withLock { $0.outOfMemoryKills })

            """.utf8)
    }

    // MARK: Processors and time

    private static func cpuInformation(_ proc: ProcFileSystem) -> [UInt8] {
        let count = proc.container.processorCount
        var text = ProcText()
        for index in 0..<count {
            row("processor", "\(index)", &text)
            for (name, value) in proc.facts.processor {
                row(name, value, &text)
                if name == "cache size" {
                    row("physical id", "0", &text)
                    row("siblings", "\(count)", &text)
                    row("core id", "\(index)", &text)
                    row("cpu cores", "\(count)", &text)
                    row("apicid", "\(index)", &text)
                    row("initial apicid", "\(index)", &text)
                }
            }
            text.newline()
        }
        return text.bytes
    }

    /// `name<TAB(s)>: value`: a tab, and a second one for names of under eight bytes.
    private static func row(_ name: String, _ value: String, _ text: inout ProcText) {
        text.add(name)
        text.add(name.utf8.count < 8 ? "\t\t: " : "\t: ")
        text.add(value)
        text.newline()
    }

    /// What the container's processes have used. Those that are gone live on in who waited for them.
    private static func usage(_ proc: ProcFileSystem) -> Usage {
        var sum = Usage()
        for group in proc.processes(from: 0) {
            sum.add(group.usage)
            sum.add(group.childrenUsage)
        }
        return sum
    }

    /// CPU time of the container's processes, in clock ticks, and how often they switched.
    private static func processorTime(_ proc: ProcFileSystem) -> (user: UInt64, system: UInt64, switches: UInt64) {
        let sum = usage(proc)
        return (
            TaskStatusFiles.ticks(sum.userTime), TaskStatusFiles.ticks(sum.systemTime), sum.voluntarySwitches &+ sum.involuntarySwitches
        )
    }

    private static func elapsed(_ proc: ProcFileSystem) -> UInt64 { HostClock.monotonic &- proc.kernel.bootTime }

    private static func statistics(_ proc: ProcFileSystem) -> [UInt8] {
        let count = UInt64(proc.container.processorCount)
        let (user, system, switches) = processorTime(proc)
        let total = TaskStatusFiles.ticks(elapsed(proc)) &* count
        let idle = total > user &+ system ? total - user - system : 0
        var text = ProcText()
        text.add("cpu  \(user) 0 \(system) \(idle) 0 0 0 0 0 0\n")
        for index in 0..<count { text.add("cpu\(index) \(user / count) 0 \(system / count) \(idle / count) 0 0 0 0 0 0\n") }
        let (running, newest) = counts(proc)
        let bootSeconds = (HostClock.realtime &- elapsed(proc)) / 1_000_000_000
        text.add("intr 0\nctxt \(switches)\nbtime \(bootSeconds)\nprocesses \(newest)\nprocs_running \(max(1, running))\nprocs_blocked 0\n")
        text.add("softirq 0 0 0 0 0 0 0 0 0 0 0\n")
        return text.bytes
    }

    /// Threads that run now, and the highest process id: about how many there have been.
    private static func counts(_ proc: ProcFileSystem) -> (running: Int, newest: Int32) {
        var running = 0
        var newest: Int32 = 0
        for group in proc.processes(from: 0) {
            newest = max(newest, group.processID)
            for thread in group.threads where thread.state == .running && !group.isStopped { running += 1 }
        }
        return (running, newest)
    }

    private static func uptime(_ proc: ProcFileSystem) -> [UInt8] {
        let hundredths = elapsed(proc) / 10_000_000
        let (user, system, _) = processorTime(proc)
        let total = hundredths &* UInt64(proc.container.processorCount)
        let idle = total > user &+ system ? total - user - system : 0
        var text = ProcText()
        text.add("\(hundredths / 100).")
        text.add(hundredths % 100, width: 2, fill: 0x30)
        text.add(" \(idle / 100).")
        text.add(idle % 100, width: 2, fill: 0x30)
        text.newline()
        return text.bytes
    }

    private static func load(_ proc: ProcFileSystem) -> [UInt8] {
        let (running, newest) = counts(proc)
        let total = proc.processes(from: 0).reduce(0) { $0 + max(1, $1.threadCount) }
        let sum = usage(proc)
        let averages = proc.container.load.averages(now: HostClock.monotonic, used: sum.userTime &+ sum.systemTime)
        var text = ProcText()
        for index in 0..<3 {
            text.add("\(averages[index] / 100).")
            text.add(averages[index] % 100, width: 2, fill: 0x30)
            text.add(" ")
        }
        text.add("\(max(1, running))/\(total) \(newest)\n")
        return text.bytes
    }
}

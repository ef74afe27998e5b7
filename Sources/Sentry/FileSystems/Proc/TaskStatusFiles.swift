import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// stat, statm, status and their kin: numbers about a task (proc_pid_stat(5), proc_pid_status(5)).
enum TaskStatusFiles {
    static let entries: [TaskEntry] = [
        .file("stat") { _, task, context throws(Errno) in stat(task, context) },
        .file("statm") { _, task, _ throws(Errno) in statm(task) },
        .file("status") { _, task, _ throws(Errno) in status(task) },
        .file("schedstat") { _, task, _ throws(Errno) in
            let usage = task.isThread ? task.task.usage : task.group.usage
            return Array("\(usage.userTime &+ usage.systemTime) 0 \(usage.voluntarySwitches &+ usage.involuntarySwitches)\n".utf8)
        },
        .file("wchan") { _, task, context throws(Errno) in Array((task.isReadable(context) ? task.task.waitChannel ?? "0" : "0").utf8) },
        .file("stack", permissions: 0o400, isPrivate: true) { _, _, _ throws(Errno) in [] },
        .file("syscall", permissions: 0o400, isPrivate: true) { _, task, _ throws(Errno) in systemCall(task.task) },
        .file("personality", permissions: 0o400, isPrivate: true) { _, task, _ throws(Errno) in
            var text = ProcText()
            text.addHex(UInt64(task.task.personality), width: 8)
            text.newline()
            return text.bytes
        },
        .file("io", permissions: 0o400, isPrivate: true) { _, task, _ throws(Errno) in transfers(task) },
        .file("limits") { _, task, _ throws(Errno) in limits(task) },
        .file("timers", isProcessOnly: true) { _, _, _ throws(Errno) in [] },
        .file("children") { _, task, _ throws(Errno) in
            let children = task.task.kernel.tree.withLock { proof in task.group.tree[proof].children.map(\.processID) }
            return Array(children.map { "\($0) " }.joined().utf8)
        },
    ]

    private static func systemCall(_ task: KernelTask) -> [UInt8] {
        guard let sleep = task.whereItSleeps else { return Array("running\n".utf8) }
        var text = ProcText()
        if let number = sleep.number {
            text.add("\(number.rawValue)")
            for index in 0..<6 {
                text.add(" 0x")
                text.addHex(sleep.arguments[index])
            }
        } else {
            text.add("-1")
        }
        text.add(" 0x")
        text.addHex(sleep.stackPointer)
        text.add(" 0x")
        text.addHex(sleep.instructionPointer)
        text.newline()
        return text.bytes
    }

    /// What calls moved; what storage moved is the host's knowledge. A process counts the children that it waited for.
    private static func transfers(_ subject: ProcTask) -> [UInt8] {
        var usage = subject.isThread ? subject.task.usage : subject.group.usage
        if !subject.isThread { usage.add(subject.group.childrenUsage) }
        let calls = "rchar: \(usage.readBytes)\nwchar: \(usage.writtenBytes)\nsyscr: \(usage.readCalls)\nsyscw: \(usage.writeCalls)\n"
        return Array((calls + "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n").utf8)
    }

    /// Clock ticks of 10 ms (USER_HZ 100).
    static func ticks(_ nanoseconds: UInt64) -> UInt64 { nanoseconds / 10_000_000 }

    /// Ids that need the process tree.
    private struct Relations {
        var parent: Int32 = 0
        var group: Int32 = 0
        var session: Int32 = 0
        var terminal: UInt64 = 0
        var foreground: Int32 = -1
    }

    private static func relations(_ task: ProcTask) -> Relations {
        task.task.kernel.tree.withLock { proof in
            let state = task.group.tree[proof]
            var relations = Relations()
            relations.parent = state.parent?.processID ?? 0
            relations.group = state.processGroup.identifier
            let session = state.processGroup.session
            relations.session = session.identifier
            if let terminal = session.tree[proof].terminal {
                relations.terminal = terminal.deviceNumber
                relations.foreground = session.tree[proof].foreground?.identifier ?? -1
            }
            return relations
        }
    }

    private static func stat(_ subject: ProcTask, _ context: any FileContext) -> [UInt8] {
        let task = subject.task, group = subject.group
        let relations = relations(subject)
        let inspection = task.inspection
        let usage = subject.isThread ? task.usage : group.usage
        let children = group.childrenUsage
        let memory = task.memory
        let statistics = memory?.space.statistics() ?? MemoryStatistics()
        let layout = memory?.layout.withLock { $0 }
        let isReadable = subject.isReadable(context)
        let actions = group.actions.summary
        let pending = subject.isThread ? task.pendingSignals : group.pendingSignals.set
        let isRealTime = inspection.scheduling.priority > 0
        let priority = isRealTime ? -1 - inspection.scheduling.priority : 20 + inspection.nice
        let start = max(task.startTime, task.kernel.bootTime) - task.kernel.bootTime
        let limit = group.limits.current(Resource.RLIMIT_RSS)
        func shown(_ value: UInt64?) -> UInt64 { isReadable ? value ?? 0 : 0 }
        func low(_ set: SignalSet) -> UInt64 { set.rawValue & 0x7fff_ffff }

        var text = ProcText()
        text.add(subject.identifier)
        text.add(" (")
        text.add(ProcText.escape(task.name))
        text.add(") \(subject.stateLetter.letter) \(relations.parent) \(relations.group) \(relations.session) \(relations.terminal)")
        text.add(
            " \(relations.foreground) 4194304 \(usage.minorFaults) \(children.minorFaults) \(usage.majorFaults) \(children.majorFaults)")
        text.add(" \(ticks(usage.userTime)) \(ticks(usage.systemTime)) \(ticks(children.userTime)) \(ticks(children.systemTime))")
        text.add(
            " \(priority) \(inspection.nice) \(max(1, group.threadCount)) 0 \(ticks(start)) \(statistics.total) \(statistics.resident / 4096)"
        )
        text.add(" \(limit) \(shown(layout?.startCode)) \(shown(layout?.endCode)) \(shown(layout?.startStack)) 0 0")
        text.add(
            " \(low(pending)) \(low(task.signalMask)) \(low(actions.ignored)) \(low(actions.caught)) 0 0 0 17 \(task.virtualProcessor)")
        text.add(" \(inspection.scheduling.priority) \(inspection.scheduling.policy) 0 0 0")
        text.add(" \(shown(layout?.endCode)) \(shown(layout?.endCode)) \(shown(layout?.endCode))")
        text.add(" \(shown(layout?.arguments.lowerBound)) \(shown(layout?.arguments.upperBound))")
        text.add(" \(shown(layout?.environment.lowerBound)) \(shown(layout?.environment.upperBound)) 0\n")
        return text.bytes
    }

    private static func statm(_ subject: ProcTask) -> [UInt8] {
        guard let memory = subject.task.memory else { return Array("0 0 0 0 0 0 0\n".utf8) }
        let s = memory.space.statistics()
        let line = "\(s.total / 4096) \(s.resident / 4096) \(s.sharedResident / 4096) \(s.text / 4096) 0 \((s.data &+ s.stack) / 4096) 0\n"
        return Array(line.utf8)
    }

    private static func status(_ subject: ProcTask) -> [UInt8] {
        let task = subject.task, group = subject.group
        let credentials = task.credentials
        let relations = relations(subject)
        let inspection = task.inspection
        var text = ProcText()
        text.add("Name:\t")
        text.add(ProcText.escape(task.name))
        text.newline()
        if let umask = task.fileSystemContext?.umask {
            let digits = String(umask, radix: 8)
            text.add("Umask:\t" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "\n")
        }
        let state = subject.stateLetter
        text.add("State:\t\(state.letter) (\(state.word))\n")
        text.add(
            "Tgid:\t\(group.processID)\nNgid:\t0\nPid:\t\(subject.identifier)\nPPid:\t\(relations.parent)\nTracerPid:\t\(task.tracerID)\n")
        for (label, identity) in [("Uid", credentials.user), ("Gid", credentials.group)] {
            text.add("\(label):\t\(identity.real)\t\(identity.effective)\t\(identity.saved)\t\(identity.fileSystem)\n")
        }
        let highest = task.files.all().last.map { Int($0.number) + 1 } ?? 0
        text.add("FDSize:\t\(max(64, (highest + 63) / 64 * 64))\nGroups:\t")
        for group in credentials.groups { text.add("\(group) ") }
        text.add(
            "\nNStgid:\t\(group.processID)\nNSpid:\t\(subject.identifier)\nNSpgid:\t\(relations.group)\nNSsid:\t\(relations.session)\n")
        if let memory = task.memory { addMemory(memory.space.statistics(), &text) }
        text.add("CoreDumping:\t0\nTHP_enabled:\t1\n")
        let shared = group.pendingSignals
        text.add("Threads:\t\(max(1, group.threadCount))\n")
        text.add("SigQ:\t\(shared.count)/\(group.limits.current(Resource.RLIMIT_SIGPENDING))\n")
        let actions = group.actions.summary
        let sets: [(String, UInt64)] = [
            ("SigPnd", task.pendingSignals.rawValue), ("ShdPnd", shared.set.rawValue), ("SigBlk", task.signalMask.rawValue),
            ("SigIgn", actions.ignored.rawValue), ("SigCgt", actions.caught.rawValue), ("CapInh", credentials.inheritable.rawValue),
            ("CapPrm", credentials.permitted.rawValue), ("CapEff", credentials.effective.rawValue),
            ("CapBnd", credentials.bounding.rawValue), ("CapAmb", credentials.ambient.rawValue),
        ]
        for (label, value) in sets {
            text.add("\(label):\t")
            text.addHex(value, width: 16)
            text.newline()
        }
        text.add("NoNewPrivs:\t\(credentials.noNewPrivileges ? 1 : 0)\nSeccomp:\t\(inspection.seccompMode)\n")
        text.add("Seccomp_filters:\t\(inspection.seccompFilters)\n")
        text.add("Speculation_Store_Bypass:\tnot vulnerable\nSpeculationIndirectBranch:\tnot affected\n")
        addAffinity(inspection.scheduling.affinity, &text)
        text.add("Mems_allowed:\t1\nMems_allowed_list:\t0\n")
        let usage = task.usage
        text.add("voluntary_ctxt_switches:\t\(usage.voluntarySwitches)\nnonvoluntary_ctxt_switches:\t\(usage.involuntarySwitches)\n")
        return text.bytes
    }

    private static func addMemory(_ s: MemoryStatistics, _ text: inout ProcText) {
        let anonymous = s.resident > s.sharedResident ? s.resident - s.sharedResident : 0
        let rows: [(String, UInt64)] = [
            ("VmPeak:\t", s.peakTotal), ("VmSize:\t", s.total), ("VmLck:\t", s.locked), ("VmPin:\t", 0), ("VmHWM:\t", s.peakResident),
            ("VmRSS:\t", s.resident), ("RssAnon:\t", anonymous), ("RssFile:\t", s.sharedResident), ("RssShmem:\t", 0),
            ("VmData:\t", s.data),
            ("VmStk:\t", s.stack), ("VmExe:\t", s.text), ("VmLib:\t", 0), ("VmPTE:\t", UInt64(s.regionCount) * 4096), ("VmSwap:\t", 0),
            ("HugetlbPages:\t", 0),
        ]
        for (label, bytes) in rows { text.addKilobytes(label, bytes) }
    }

    /// Cpus_allowed and Cpus_allowed_list.
    private static func addAffinity(_ words: [UInt64], _ text: inout ProcText) {
        text.add("Cpus_allowed:\t")
        var isFirst = true
        for word in words.reversed() {
            for half in [word >> 32, word & 0xffff_ffff] {
                if isFirst, half == 0 { continue }
                if isFirst {
                    text.addHex(half)
                } else {
                    text.add(",")
                    text.addHex(half, width: 8)
                }
                isFirst = false
            }
        }
        if isFirst { text.add("0") }
        text.add("\nCpus_allowed_list:\t\(processorList(words))\n")
    }

    /// `0-3,8`
    static func processorList(_ words: [UInt64]) -> String {
        var ranges: [String] = []
        var start: Int?
        for processor in 0...(words.count * 64) {
            let isSet = processor < words.count * 64 && words[processor / 64] & (1 << UInt64(processor % 64)) != 0
            if isSet, start == nil { start = processor }
            if !isSet, let first = start {
                ranges.append(first == processor - 1 ? "\(first)" : "\(first)-\(processor - 1)")
                start = nil
            }
        }
        return ranges.joined(separator: ",")
    }

    private static let limitNames: [(name: String, unit: String)] = [
        ("Max cpu time", "seconds"), ("Max file size", "bytes"), ("Max data size", "bytes"), ("Max stack size", "bytes"),
        ("Max core file size", "bytes"), ("Max resident set", "bytes"), ("Max processes", "processes"), ("Max open files", "files"),
        ("Max locked memory", "bytes"), ("Max address space", "bytes"), ("Max file locks", "locks"), ("Max pending signals", "signals"),
        ("Max msgqueue size", "bytes"), ("Max nice priority", ""), ("Max realtime priority", ""), ("Max realtime timeout", "us"),
    ]

    private static func limits(_ subject: ProcTask) -> [UInt8] {
        func column(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.utf8.count)) }
        func value(_ limit: UInt64) -> String { limit == .max ? "unlimited" : String(limit) }
        var text = ProcText()
        text.add("Limit                     Soft Limit           Hard Limit           Units     \n")
        for (index, row) in limitNames.enumerated() {
            let limit = subject.group.limits.get(index)
            text.add(column(row.name, 25) + " " + column(value(limit.current), 20) + " " + column(value(limit.maximum), 20) + " ")
            text.add(row.unit.isEmpty ? "\n" : column(row.unit, 10) + "\n")
        }
        return text.bytes
    }
}

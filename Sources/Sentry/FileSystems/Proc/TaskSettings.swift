import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS
import Synchronization

/// Small files that tell a setting of a task, and some that change it.
enum TaskSettings {
    static let entries: [TaskEntry] = [
        .file("comm", permissions: 0o644, store: storeName) { _, task, _ throws(Errno) in task.task.name + [0x0a] },
        .file("oom_score") { _, task, _ throws(Errno) in Array("\(score(task))\n".utf8) },
        .file(
            "oom_score_adj", permissions: 0o644,
            store: { _, task, bytes, context throws(Errno) in
                let value = try SettingText.integer(bytes)
                guard value >= -1000, value <= 1000 else { throw .EINVAL }
                try adjust(task, Int32(value), context)
            }
        ) { _, task, _ throws(Errno) in Array("\(task.group.oomScoreAdjustment.load(ordering: .relaxed))\n".utf8) },
        .file(
            "oom_adj", permissions: 0o644,
            store: { _, task, bytes, context throws(Errno) in
                let value = try SettingText.integer(bytes)
                guard value >= -17, value <= 15 else { throw .EINVAL }
                try adjust(task, value == 15 ? 1000 : Int32(value) * 1000 / 17, context)
            }
        ) { _, task, _ throws(Errno) in
            let value = task.group.oomScoreAdjustment.load(ordering: .relaxed)
            return Array("\(value == 1000 ? 15 : value * 17 / 1000)\n".utf8)
        },
        .file("loginuid", permissions: 0o444) { _, _, _ throws(Errno) in Array("4294967295".utf8) },
        .file("sessionid") { _, _, _ throws(Errno) in Array("4294967295".utf8) },
        .file("uid_map") { _, task, _ throws(Errno) in Array(task.task.credentials.userNamespace.users.text.utf8) },
        .file("gid_map") { _, task, _ throws(Errno) in Array(task.task.credentials.userNamespace.groups.text.utf8) },
        .file("projid_map") { _, _, _ throws(Errno) in Array("         0          0 4294967295\n".utf8) },
        .file("setgroups") { _, _, _ throws(Errno) in Array("allow\n".utf8) },
        .file("cgroup") { _, _, _ throws(Errno) in Array("0::/\n".utf8) },
        .file("cpuset") { _, _, _ throws(Errno) in Array("/\n".utf8) },
        .file("coredump_filter") { _, _, _ throws(Errno) in Array("00000033\n".utf8) },
        .file("timerslack_ns", isProcessOnly: true) { _, task, _ throws(Errno) in Array("\(task.task.timerSlack)\n".utf8) },
        TaskEntry("attr", .directory) { proc, task, number in
            // No security module is there to answer: as on a kernel without one, reading is EINVAL.
            let directory = StaticDirectory(proc, number: number)
            for name in ["current", "exec", "fscreate", "keycreate", "prev", "sockcreate"] {
                directory.add(name, SyntheticFile(proc, permissions: 0o444, content: { _ throws(Errno) in throw .EINVAL }))
            }
            return directory
        },
    ]

    /// comm may be written by threads of the same process.
    private static func storeName(_ proc: ProcFileSystem, _ task: ProcTask, _ bytes: [UInt8], _ context: any FileContext) throws(Errno) {
        guard let writer = context as? KernelTask, writer.threadGroup === task.group else { throw .EINVAL }
        let name = Array(bytes.prefix(while: { $0 != 0 && $0 != 0x0a }).prefix(15))
        guard writer === task.task else {
            proc.kernel.unsupported("writing /proc/PID/task/TID/comm of another thread")
            throw .EINVAL
        }
        writer.updateResources { $0.name = name }
    }

    private static func adjust(_ task: ProcTask, _ value: Int32, _ context: any FileContext) throws(Errno) {
        let old = task.group.oomScoreAdjustment.load(ordering: .relaxed)
        // Lowering makes the process safer than it was: a privilege.
        if value < old, !context.credentials.hasGlobally(.CAP_SYS_RESOURCE) { throw .EACCES }
        task.group.oomScoreAdjustment.store(value, ordering: .relaxed)
    }

    /// Thousandths of the container's memory, plus the adjustment.
    private static func score(_ task: ProcTask) -> Int {
        guard let memory = task.task.memory else { return 0 }
        let limit = task.task.container.memoryFile.limit
        let resident = memory.space.statistics().resident
        let share = limit == 0 || limit == .max ? 0 : Int(clamping: min(resident, limit) / max(1, limit / 1000))
        return max(0, min(2000, 666 + (share + Int(task.group.oomScoreAdjustment.load(ordering: .relaxed))) * 2 / 3))
    }
}

/// Numbers that are written to files.
enum SettingText {
    /// One decimal, octal (0) or hexadecimal (0x) number with blanks around it. EINVAL.
    static func integer(_ bytes: [UInt8]) throws(Errno) -> Int64 {
        let words = words(bytes)
        guard words.count == 1, let value = parse(words[0]) else { throw .EINVAL }
        return value
    }

    /// The words of a line.
    static func words(_ bytes: [UInt8]) -> [String] {
        bytes.prefix(while: { $0 != 0 }).split(whereSeparator: { $0 == 0x20 || $0 == 0x09 || $0 == 0x0a }).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    static func parse(_ word: String) -> Int64? {
        let isNegative = word.hasPrefix("-")
        let digits = isNegative ? String(word.dropFirst()) : word
        guard let first = digits.first, first != "+", first != "-" else { return nil }
        let magnitude: UInt64?
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
            magnitude = UInt64(digits.dropFirst(2), radix: 16)
        } else if digits.hasPrefix("0"), digits.count > 1 {
            magnitude = UInt64(digits.dropFirst(), radix: 8)
        } else {
            magnitude = UInt64(digits)
        }
        guard let magnitude else { return nil }
        if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int64(exactly: magnitude) ?? (magnitude > UInt64(Int64.max) ? Int64.max : nil)
    }
}

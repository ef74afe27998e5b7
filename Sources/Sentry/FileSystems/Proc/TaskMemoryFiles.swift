import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

/// Files about the memory of a task: maps, smaps, mem, and what lies in memory (cmdline, environ, auxv).
enum TaskMemoryFiles {
    static let entries: [TaskEntry] = [
        .file("maps", isPrivate: true) { _, task, _ throws(Errno) in
            var text = ProcText()
            for region in regions(task, measured: false) { addLine(region, &text) }
            return text.bytes
        },
        .file("smaps", isPrivate: true) { _, task, _ throws(Errno) in
            var text = ProcText()
            for region in regions(task, measured: true) {
                addLine(region, &text)
                addDetails(region, &text)
            }
            return text.bytes
        },
        .file("smaps_rollup", isPrivate: true) { _, task, _ throws(Errno) in rollup(regions(task, measured: true)) },
        .file("numa_maps", isPrivate: true) { _, task, _ throws(Errno) in
            var text = ProcText()
            for region in regions(task, measured: false) {
                text.addHex(region.start, width: 8)
                text.add(" default\n")
            }
            return text.bytes
        },
        .file("cmdline") { _, task, _ throws(Errno) in try commandLine(task) },
        .file("environ", permissions: 0o400, isPrivate: true) { _, task, _ throws(Errno) in
            guard let memory = task.task.memory else { return [] }
            return strings(memory.space, memory.layout.withLock { $0.environment })
        },
        .file("auxv", permissions: 0o400, isPrivate: true) { _, task, _ throws(Errno) in
            task.task.memory?.layout.withLock { $0.auxiliaryVector } ?? []
        },
        TaskEntry("mem") { proc, task, number in TaskMemoryInode(proc, task, number: number) },
        TaskEntry("pagemap") { proc, task, number in
            // Physical frame numbers are nothing a guest may know, and there are none.
            SyntheticFile(
                proc, permissions: 0o400, number: number, owner: { task.fileOwner }, gate: { _ throws(Errno) in throw .EPERM }, content: nil
            )
        },
        TaskEntry("clear_refs") { proc, task, number in
            SyntheticFile(
                proc, permissions: 0o200, number: number, owner: { task.fileOwner },
                store: { _, _ throws(Errno) in
                    proc.kernel.unsupported("/proc/PID/clear_refs")
                    throw .EINVAL
                }, content: nil)
        },
    ]

    private static func regions(_ task: ProcTask, measured: Bool) -> [Region] {
        task.task.memory?.space.regions(measured: measured) ?? []
    }

    /// The most bytes of argument or environment strings that are shown; the loader's own limit is of that order.
    private static let maximumStrings: UInt64 = 4 << 20

    private static func strings(_ space: AddressSpace, _ range: Range<UInt64>) -> [UInt8] {
        let count = Int(min(UInt64(range.count), maximumStrings))
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        guard let done = try? space.forceCopyIn(from: range.lowerBound, into: &span) else { return [] }
        return done == count ? bytes : Array(bytes.prefix(done))
    }

    /// The arguments, or what the program wrote over them: if the last byte is no longer NUL, the string goes on into the environment (setproctitle).
    private static func commandLine(_ task: ProcTask) throws(Errno) -> [UInt8] {
        guard let memory = task.task.memory else { return [] }
        let layout = memory.layout.withLock { $0 }
        let arguments = strings(memory.space, layout.arguments)
        guard let last = arguments.last, last != 0 else { return arguments }
        let more = layout.environment.lowerBound == layout.arguments.upperBound ? strings(memory.space, layout.environment) : []
        let title = arguments + more
        return Array(title.prefix(while: { $0 != 0 }))
    }

    /// One line of maps: the path stands in column 73.
    static func addLine(_ region: Region, _ text: inout ProcText) {
        let start = text.bytes.count
        text.addHex(region.start, width: 8)
        text.add("-")
        text.addHex(region.end, width: 8)
        text.add(" ")
        text.add(region.protection.contains(.read) ? "r" : "-")
        text.add(region.protection.contains(.write) ? "w" : "-")
        text.add(region.protection.contains(.execute) ? "x" : "-")
        text.add(region.isShared ? "s " : "p ")
        text.addHex(region.offset, width: 8)
        text.add(" ")
        text.addHex(UInt64(DeviceNumber.major(region.identity.device)), width: 2)
        text.add(":")
        text.addHex(UInt64(DeviceNumber.minor(region.identity.device)), width: 2)
        text.add(" \(region.identity.inode)")
        if region.name.isEmpty {
            text.add(" ")
        } else {
            text.pad(to: 73, from: start)
            if text.bytes.last != 0x20 { text.add(" ") }
            text.add(escapePath(region.name))
        }
        text.newline()
    }

    /// Newlines in a path as \012.
    private static func escapePath(_ path: [UInt8]) -> [UInt8] {
        guard path.contains(0x0a) else { return path }
        return path.flatMap { $0 == 0x0a ? Array("\\012".utf8) : [$0] }
    }

    private static func rows(_ r: (resident: UInt64, shared: UInt64, anonymous: UInt64, locked: UInt64, isWritable: Bool)) -> [(
        String, UInt64
    )] {
        let own = r.resident > r.shared ? r.resident - r.shared : 0
        // Shared pages belong to several; with two owners as the estimate, half of them counts here.
        let proportional = own + r.shared / 2
        return [
            ("Rss:", r.resident), ("Pss:", proportional), ("Pss_Dirty:", r.isWritable ? proportional : 0),
            ("Shared_Clean:", r.isWritable ? 0 : r.shared), ("Shared_Dirty:", r.isWritable ? r.shared : 0),
            ("Private_Clean:", r.isWritable ? 0 : own), ("Private_Dirty:", r.isWritable ? own : 0), ("Referenced:", r.resident),
            ("Anonymous:", r.anonymous), ("LazyFree:", 0), ("AnonHugePages:", 0), ("ShmemPmdMapped:", 0), ("FilePmdMapped:", 0),
            ("Shared_Hugetlb:", 0), ("Private_Hugetlb:", 0), ("Swap:", 0), ("SwapPss:", 0), ("Locked:", r.locked),
        ]
    }

    private static func addDetails(_ region: Region, _ text: inout ProcText) {
        text.addKilobytes("Size:", region.end &- region.start, labelWidth: 16)
        text.addKilobytes("KernelPageSize:", 4096, labelWidth: 16)
        text.addKilobytes("MMUPageSize:", 4096, labelWidth: 16)
        let locked = region.isLocked ? region.resident : 0
        for (label, value) in rows((region.resident, region.sharedResident, region.anonymous, locked, region.protection.contains(.write))) {
            text.addKilobytes(label, value, labelWidth: 16)
        }
        text.add("THPeligible:           0\nVmFlags: ")
        text.add(region.flagCodes)
        text.add(region.flagCodes.last == 0x20 ? "\n" : " \n")
    }

    private static func rollup(_ regions: [Region]) -> [UInt8] {
        var text = ProcText()
        let start = text.bytes.count
        text.addHex(regions.first?.start ?? 0, width: 8)
        text.add("-")
        text.addHex(regions.last?.end ?? 0, width: 8)
        text.add(" ---p 00000000 00:00 0 ")
        text.pad(to: 73, from: start)
        text.add("[rollup]\n")
        var sums: [(String, UInt64)] = []
        for region in regions {
            let locked = region.isLocked ? region.resident : 0
            let rows = rows((region.resident, region.sharedResident, region.anonymous, locked, region.protection.contains(.write)))
            if sums.isEmpty { sums = rows } else { for index in rows.indices { sums[index].1 &+= rows[index].1 } }
        }
        for (label, value) in sums { text.addKilobytes(label, value, labelWidth: 16) }
        return text.bytes
    }
}

/// /proc/PID/mem: the task's memory as a file.
private final class TaskMemoryInode: SyntheticInode, @unchecked Sendable {
    private let subject: ProcTask

    init(_ proc: ProcFileSystem, _ subject: ProcTask, number: UInt64) {
        self.subject = subject
        super.init(proc, type: .regular, permissions: 0o600, number: number)
    }
    override func owner() -> (user: UInt32, group: UInt32) { subject.fileOwner }
    override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        try subject.checkReadable(context)
        return TaskMemoryFile(subject.task.memory?.space, path: path, flags: flags)
    }
}

private final class TaskMemoryFile: FileDescription, @unchecked Sendable {  // Immutable, or atomic.
    /// The address space at the time of opening: execve does not give access to the new one.
    private let space: AddressSpace?
    private static let chunk = 65_536

    init(_ space: AddressSpace?, path: Path, flags: OpenFlags) {
        self.space = space
        super.init(path: path, flags: flags)
    }
    override var isSeekable: Bool { true }

    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard let space else { return 0 }
        var address = UInt64(bitPattern: offset)
        var done = 0
        while buffer.remaining > 0 {
            var bytes = [UInt8](repeating: 0, count: min(buffer.remaining, Self.chunk))
            let count: Int
            do throws(Errno) {
                var span = bytes.mutableSpan
                count = try space.forceCopyIn(from: address, into: &span)
            } catch {
                if done > 0 { return done }
                throw .EIO
            }
            let copied = try buffer.copyOut(bytes.span.extracting(0..<count))
            done += copied
            address = address &+ UInt64(copied)
            if count < bytes.count || copied < count { break }
        }
        return done
    }

    override func write(
        at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext
    ) throws(Errno) -> Int {
        guard let space else { return 0 }
        var done = 0
        while buffer.remaining > 0 {
            let bytes = try buffer.copyIn(limit: min(buffer.remaining, Self.chunk))
            do throws(Errno) {
                let count = try space.forceCopyOut(bytes.span, to: UInt64(bitPattern: offset))
                done += count
                offset = offset &+ Int64(count)
                if count < bytes.count { break }
            } catch {
                if done > 0 { return done }
                throw .EIO
            }
        }
        return done
    }

    /// Addresses above 2^63 are places too; only SEEK_SET and SEEK_CUR make sense.
    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        try offset.withLock { position throws(Errno) in
            switch whence {
            case SeekOrigin.SEEK_SET: position = distance
            case SeekOrigin.SEEK_CUR: position = position &+ distance
            default: throw .EINVAL
            }
            return position
        }
    }
}

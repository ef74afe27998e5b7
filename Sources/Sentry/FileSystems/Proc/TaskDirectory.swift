import LinuxABI
import SentryKernel
import SentryVFS

/// /proc/PID and /proc/PID/task/TID.
final class TaskDirectory: SyntheticDirectory, @unchecked Sendable {
    let subject: ProcTask
    private let proc: ProcFileSystem

    init(_ proc: ProcFileSystem, _ subject: ProcTask) {
        self.proc = proc
        self.subject = subject
        super.init(proc, permissions: 0o555, number: ProcFileSystem.inodeNumber(subject, 0))
    }

    override func owner() -> (user: UInt32, group: UInt32) { subject.owner }
    override var cachesNames: Bool { false }
    override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool {
        guard subject.isPresent() else { return false }
        return (child == nil) == (TaskEntry.index[name] == nil)
    }

    override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        guard let index = TaskEntry.index[name], subject.isPresent() else { throw .ENOENT }
        let entry = TaskEntry.all[index]
        guard !(subject.isThread && entry.isProcessOnly) else { throw .ENOENT }
        return entry.make(proc, subject, ProcFileSystem.inodeNumber(subject, index + 1))
    }

    override func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
        guard subject.isPresent() else { throw .ENOENT }
        var index = Int(clamping: position)
        while index < TaskEntry.all.count {
            let entry = TaskEntry.all[index]
            if !(subject.isThread && entry.isProcessOnly) {
                let record = DirectoryEntry(
                    name: entry.name, inode: ProcFileSystem.inodeNumber(subject, index + 1), type: entry.type, nextOffset: Int64(index) + 1)
                guard emit(record) else { return }
            }
            index += 1
        }
    }
}

/// One name in a task's directory.
struct TaskEntry: Sendable {
    typealias Maker = @Sendable (ProcFileSystem, ProcTask, UInt64) -> SyntheticInode
    typealias Content = @Sendable (ProcFileSystem, ProcTask, any FileContext) throws(Errno) -> [UInt8]
    typealias Store = @Sendable (ProcFileSystem, ProcTask, [UInt8], any FileContext) throws(Errno) -> Void
    let name: [UInt8]
    let type: FileType
    /// Not below task/TID.
    let isProcessOnly: Bool
    let make: Maker

    init(_ name: String, _ type: FileType = .regular, isProcessOnly: Bool = false, make: @escaping Maker) {
        self.name = Array(name.utf8)
        self.type = type
        self.isProcessOnly = isProcessOnly
        self.make = make
    }

    static let all: [TaskEntry] = TaskStatusFiles.entries + TaskMemoryFiles.entries + TaskPlaces.entries + TaskSettings.entries
    static let index: [[UInt8]: Int] = Dictionary(all.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// A read-only file with made content. `isPrivate`: only for those who may trace the task.
    static func file(
        _ name: String, permissions: UInt32 = 0o444, isPrivate: Bool = false, isProcessOnly: Bool = false,
        store: Store? = nil, _ content: @escaping Content
    ) -> TaskEntry {
        TaskEntry(name, isProcessOnly: isProcessOnly) { proc, task, number in
            made(proc, task, number, permissions, isPrivate, store, content)
        }
    }

    private static func made(
        _ proc: ProcFileSystem, _ task: ProcTask, _ number: UInt64, _ permissions: UInt32, _ isPrivate: Bool, _ store: Store?,
        _ content: @escaping Content
    ) -> SyntheticInode {
        var storing: SyntheticFile.Store?
        if let store {
            storing = { bytes, context throws(Errno) in
                guard task.isPresent() else { throw .ESRCH }
                try store(proc, task, bytes, context)
            }
        }
        var gate: SyntheticFile.Gate?
        if isPrivate { gate = { context throws(Errno) in try task.checkReadable(context) } }
        let making: SyntheticFile.Content = { context throws(Errno) in
            guard task.isPresent() else { throw .ESRCH }
            return try content(proc, task, context)
        }
        return SyntheticFile(
            proc, permissions: permissions, number: number, owner: { task.fileOwner }, gate: gate, store: storing, content: making)
    }
}

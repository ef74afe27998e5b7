import Host
import LinuxABI
import SentryKernel
import SentryVFS

/// /proc/PID/fd and /proc/PID/fdinfo.
final class DescriptorDirectory: SyntheticDirectory, @unchecked Sendable {
    private let proc: ProcFileSystem
    private let subject: ProcTask
    private let showsInfo: Bool

    init(_ proc: ProcFileSystem, _ subject: ProcTask, showsInfo: Bool, number: UInt64) {
        self.proc = proc
        self.subject = subject
        self.showsInfo = showsInfo
        super.init(proc, permissions: showsInfo ? 0o555 : 0o500, number: number)
    }

    override func owner() -> (user: UInt32, group: UInt32) { subject.fileOwner }
    override var cachesNames: Bool { false }
    override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool {
        guard let number = DecimalName.parseSigned(name) else { return child == nil }
        let file = try? subject.task.files.get(number)
        if let child = child as? DescriptorLink { return child.file === file }
        return child == nil && file == nil
    }

    /// A process may always look at its own descriptors, whatever the directory's mode (proc_fd_permission).
    override func checkAccess(_ access: Access, _ context: any FileContext) throws(Errno) {
        if let task = context as? KernelTask, task.threadGroup === subject.group { return }
        try super.checkAccess(access, context)
    }

    private func inodeNumber(_ descriptor: Int32) -> UInt64 {
        (showsInfo ? 3 : 2) << 60 | UInt64(UInt32(bitPattern: subject.identifier)) << 32 | UInt64(UInt32(bitPattern: descriptor))
    }

    override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        guard let number = DecimalName.parseSigned(name) else { throw .ENOENT }
        try subject.checkReadable(context)
        let task = subject.task
        let file: FileDescription
        do throws(Errno) { file = try task.files.get(number) } catch { throw .ENOENT }
        if showsInfo {
            let subject = subject
            return SyntheticFile(
                proc, permissions: 0o400, number: inodeNumber(number), owner: { subject.fileOwner },
                content: { _ throws(Errno) in try Self.info(task, number) })
        }
        return DescriptorLink(proc, subject, file, number: inodeNumber(number))
    }

    override func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
        try subject.checkReadable(context)
        var next = Int32(clamping: position)
        while let number = subject.task.files.next(from: next) {
            let entry = DirectoryEntry(
                name: Array(String(number).utf8), inode: inodeNumber(number), type: showsInfo ? .regular : .symlink,
                nextOffset: Int64(number) + 1)
            guard emit(entry) else { return }
            if number == .max { return }
            next = number + 1
        }
    }

    /// proc_pid_fdinfo(5).
    private static func info(_ task: KernelTask, _ number: Int32) throws(Errno) -> [UInt8] {
        let file: FileDescription
        let closesOnExec: Bool
        do throws(Errno) {
            file = try task.files.get(number)
            closesOnExec = try task.files.closeOnExec(number)
        } catch { throw .ENOENT }
        // A read that is under way holds the offset's lock; it need not be waited for.
        let offset = file.offset.withLockIfAvailable { $0 } ?? 0
        var flags = file.flags
        if closesOnExec { flags.insert(.O_CLOEXEC) }
        let inode = (try? file.attributes(KernelFileContext.shared))?.inode ?? 0
        let octal = String(flags.rawValue, radix: 8)
        let padded = String(repeating: "0", count: max(0, 7 - octal.count)) + octal
        return Array("pos:\t\(offset)\nflags:\t\(padded)\nmnt_id:\t\(file.path.mount.identifier)\nino:\t\(inode)\n".utf8)
    }
}

/// /proc/PID/fd/N: a link that leads to the open file's place.
final class DescriptorLink: SyntheticInode, @unchecked Sendable {
    private let subject: ProcTask
    let file: FileDescription

    init(_ proc: ProcFileSystem, _ subject: ProcTask, _ file: FileDescription, number: UInt64) {
        self.subject = subject
        self.file = file
        // The mode tells how the file was opened.
        let permissions: UInt32 = (file.flags.isReadable ? 0o500 : 0o100) | (file.flags.isWritable ? 0o300 : 0o100)
        super.init(proc, type: .symlink, permissions: permissions, number: number)
    }

    override func owner() -> (user: UInt32, group: UInt32) { subject.fileOwner }
    override var size: Int64 { 64 }
    override func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] {
        try subject.checkReadable(context)
        return TaskPlaces.text(file.path, context)
    }
    override func followLink(_ context: any FileContext) throws(Errno) -> LinkTarget {
        try subject.checkReadable(context)
        return .place(file.path)
    }
}

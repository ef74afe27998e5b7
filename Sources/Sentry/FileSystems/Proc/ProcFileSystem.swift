import Host
import LinuxABI
public import SentryKernel
public import SentryVFS

/// proc (proc(5)) of one container: its tasks, its limits, its settings, and nothing of the host's.
public final class ProcFileSystem: SyntheticFileSystem, @unchecked Sendable {  // What changes is behind locks.
    public let container: Container
    public var kernel: Kernel { container.kernel }
    let facts: HostFacts
    public let sysctls: Sysctls
    /// The text of /proc/net/unix.
    let unixSockets: @Sendable () -> [UInt8]

    /// `device`: st_dev. `unixSockets`: makes the text of /proc/net/unix (the network layer knows it).
    public init(
        _ container: Container, device: UInt64, facts: HostFacts, sysctls: Sysctls, unixSockets: @escaping @Sendable () -> [UInt8]
    ) {
        self.container = container
        self.facts = facts
        self.sysctls = sysctls
        self.unixSockets = unixSockets
        super.init(typeName: "proc", device: device, magic: FileSystemMagic.PROC_SUPER_MAGIC)
        let root = RootDirectory(self)
        setRoot(root)
        SystemFiles(self).fill(root)
        sysctls.fill(root.add("sys", StaticDirectory(self)), self)
    }

    public override var refusesNewNames: Bool { true }

    /// The process or thread called `identifier`: a thread's number is found here too, though not listed.
    func find(_ identifier: Int32) -> ProcTask? {
        let namespace = container.namespace
        return kernel.tree.withLock { proof in
            if let group = namespace.threadGroup(identifier, proof) {
                guard let leader = group.tree[proof].leader else { return nil }
                return ProcTask(task: leader, isThread: false)
            }
            guard let task = namespace.task(identifier, proof), let leader = task.threadGroup.tree[proof].leader else { return nil }
            _ = leader
            return ProcTask(task: task, isThread: false)
        }
    }

    /// Processes from `identifier` on, in order.
    func processes(from identifier: Int32) -> [ThreadGroup] {
        let namespace = container.namespace
        return kernel.tree.withLock { proof in namespace.threadGroups(proof).filter { $0.processID >= identifier } }
    }

    /// A stable inode number for file `index` of a task's directory.
    static func inodeNumber(_ task: ProcTask, _ index: Int) -> UInt64 {
        1 << 32 | UInt64(UInt32(bitPattern: task.identifier)) << 9 | (task.isThread ? 1 << 8 : 0) | UInt64(index & 0xff)
    }

    /// The process whose directory in proc `file` is an open descriptor of; nil for other files (pidfd_send_signal(2) takes both).
    public static func process(of file: FileDescription) -> ThreadGroup? {
        guard let directory = file.inode as? TaskDirectory, !directory.subject.isThread else { return nil }
        return directory.subject.group
    }

    /// The calling task's directory name; ENOENT for the kernel itself, or a task of elsewhere.
    func selfTask(_ context: any FileContext) throws(Errno) -> KernelTask {
        guard let task = context as? KernelTask, task.namespace === container.namespace else { throw .ENOENT }
        return task
    }

    /// /proc: fixed names, then the processes.
    final class RootDirectory: StaticDirectory, @unchecked Sendable {
        private var proc: ProcFileSystem? { fileSystem as? ProcFileSystem }

        init(_ fileSystem: ProcFileSystem) {
            super.init(fileSystem, number: 1)
            add(
                "self",
                SyntheticLink(fileSystem) { [weak fileSystem] context throws(Errno) in
                    guard let fileSystem else { throw .ENOENT }
                    return Array(String(try fileSystem.selfTask(context).processID).utf8)
                })
            add(
                "thread-self",
                SyntheticLink(fileSystem) { [weak fileSystem] context throws(Errno) in
                    guard let fileSystem else { throw .ENOENT }
                    let task = try fileSystem.selfTask(context)
                    return Array("\(task.processID)/task/\(task.threadID)".utf8)
                })
        }

        override var linkCount: UInt32 { UInt32(truncatingIfNeeded: super.linkCount &+ UInt32(proc?.processes(from: 0).count ?? 0)) }
        override var cachesNames: Bool { false }

        override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool {
            if let fixed = self.child(name) { return fixed === child }
            guard let directory = child as? TaskDirectory else { return child == nil ? DecimalName.parse(name) == nil : false }
            return directory.subject.isPresent()
        }

        override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
            if let fixed = child(name) { return fixed }
            guard let proc, let identifier = DecimalName.parseSigned(name), let task = proc.find(identifier) else { throw .ENOENT }
            return TaskDirectory(proc, task)
        }

        override func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
            var isFull = false
            if position < fixedCount {
                try super.entries(from: position, context) { entry in
                    let isTaken = emit(entry)
                    if !isTaken { isFull = true }
                    return isTaken
                }
            }
            if isFull { return }
            let first = max(0, position - fixedCount)
            guard let first = Int32(exactly: first), let proc else { return }
            for group in proc.processes(from: first) {
                let identifier = group.processID
                let number = 1 << 32 | UInt64(UInt32(bitPattern: identifier)) << 9
                let entry = DirectoryEntry(
                    name: Array(String(identifier).utf8), inode: number, type: .directory, nextOffset: fixedCount + Int64(identifier) + 1)
                guard emit(entry) else { return }
            }
        }
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryVFS
import Synchronization

/// Where a task is and what it has open: links, descriptors, mounts, namespaces, threads.
enum TaskPlaces {
    static let entries: [TaskEntry] = [
        link("exe") { task in task.memory?.layout.withLock { $0.executable } },
        link("cwd") { task in task.fileSystemContext?.workingDirectory },
        link("root") { task in task.fileSystemContext?.root },
        TaskEntry("fd", .directory) { proc, task, number in DescriptorDirectory(proc, task, showsInfo: false, number: number) },
        TaskEntry("fdinfo", .directory) { proc, task, number in DescriptorDirectory(proc, task, showsInfo: true, number: number) },
        TaskEntry("task", .directory, isProcessOnly: true) { proc, task, number in ThreadsDirectory(proc, task, number: number) },
        TaskEntry("ns", .directory) { proc, task, number in namespaces(proc, task, number: number) },
        TaskEntry("net", .directory) { proc, task, number in
            let directory = StaticDirectory(proc, number: number)
            NetworkFiles.fill(directory, proc)
            return directory
        },
        TaskEntry("mounts") { proc, task, number in MountsInode(proc, task, number: number) { $0.mountsLine } },
        TaskEntry("mountinfo") { proc, task, number in MountsInode(proc, task, number: number) { $0.mountInfoLine } },
        .file("mountstats", permissions: 0o400, isPrivate: true) { _, task, _ throws(Errno) in
            var text = ProcText()
            for mount in listing(task) {
                text.add("device ")
                text.add(mount.source.isEmpty ? Array("none".utf8) : mount.source)
                text.add(" mounted on ")
                text.add(mount.mountPoint)
                text.add(" with fstype \(mount.typeName)\n")
            }
            return text.bytes
        },
    ]

    /// The mounts that the task sees.
    static func listing(_ subject: ProcTask) -> [MountListing] {
        guard let root = subject.task.fileSystemContext?.root else { return [] }
        return root.mount.namespace?.listing(from: root) ?? []
    }

    /// How a place is called, as seen by whoever asks.
    static func text(_ place: Path, _ context: any FileContext) -> [UInt8] {
        guard let root = context.fileSystemContext?.root else { return place.dentry.name }
        return VFS.displayPath(of: place, root: root)
    }

    /// A magic link to a place of the task.
    private static func link(_ name: String, _ place: @escaping @Sendable (KernelTask) -> Path?) -> TaskEntry {
        TaskEntry(name, .symlink) { proc, task, number in
            TaskLink(proc, task, number: number, permissions: 0o777) { place(task.task) }
        }
    }

    /// A magic link that only those may follow who may trace the task.
    final class TaskLink: SyntheticInode, @unchecked Sendable {
        private let subject: ProcTask
        private let place: @Sendable () -> Path?

        init(_ proc: ProcFileSystem, _ subject: ProcTask, number: UInt64, permissions: UInt32, place: @escaping @Sendable () -> Path?) {
            self.subject = subject
            self.place = place
            super.init(proc, type: .symlink, permissions: permissions, number: number)
        }
        override func owner() -> (user: UInt32, group: UInt32) { subject.fileOwner }
        private func target(_ context: any FileContext) throws(Errno) -> Path {
            try subject.checkReadable(context)
            guard let place = place() else { throw .ENOENT }
            return place
        }
        override func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] { TaskPlaces.text(try target(context), context) }
        override func followLink(_ context: any FileContext) throws(Errno) -> LinkTarget { .place(try target(context)) }
    }

    // MARK: Namespaces

    private static let internalNamespaces = NamespaceFiles()

    private static func namespaces(_ proc: ProcFileSystem, _ task: ProcTask, number: UInt64) -> SyntheticInode {
        let directory = StaticDirectory(proc, number: number)
        let container = task.task.container
        let shared = container.namespaceIdentifier
        let process = task.task.namespace.identifier
        let kinds: [(String, String, UInt64)] = [
            ("cgroup", "cgroup", shared), ("ipc", "ipc", shared + 1_000_000), ("mnt", "mnt", shared + 2_000_000),
            ("net", "net", 4_026_531_840), ("pid", "pid", process), ("pid_for_children", "pid", process), ("time", "time", 4_026_531_834),
            ("time_for_children", "time", 4_026_531_834), ("user", "user", 4_026_531_837), ("uts", "uts", shared + 3_000_000),
        ]
        for (name, kind, identifier) in kinds {
            let place = internalNamespaces.place(kind, identifier)
            directory.add(
                name,
                SyntheticLink(
                    proc,
                    target: { context throws(Errno) in
                        try task.checkReadable(context)
                        return Array("\(kind):[\(identifier)]".utf8)
                    },
                    place: { context throws(Errno) in
                        try task.checkReadable(context)
                        return .place(place)
                    }))
        }
        return directory
    }

    /// nsfs: what the links in ns/ lead to. The files carry an identity and nothing else; setns(2) is refused elsewhere.
    private final class NamespaceFiles: Sendable {
        private final class NamespaceFileSystem: SyntheticFileSystem, @unchecked Sendable {  // Immutable, or atomic.
            init() { super.init(typeName: "nsfs", device: DeviceNumber.make(major: 0, minor: 4), magic: 0x6e73_6673) }
        }
        private let fileSystem = NamespaceFileSystem()
        private let mount: Mount
        init() {
            mount = Mount(
                identifier: 0, fileSystem: fileSystem, root: Dentry(parent: nil, name: [], inode: nil), source: Array("nsfs".utf8),
                flags: [])
        }
        func place(_ kind: String, _ identifier: UInt64) -> Path {
            let inode = SyntheticFile(fileSystem, permissions: 0o444, number: identifier, content: nil)
            return Path(mount: mount, dentry: Dentry(parent: nil, name: Array("\(kind):[\(identifier)]".utf8), inode: inode))
        }
    }

    // MARK: Threads

    /// /proc/PID/task.
    private final class ThreadsDirectory: SyntheticDirectory, @unchecked Sendable {
        private let proc: ProcFileSystem
        private let subject: ProcTask

        init(_ proc: ProcFileSystem, _ subject: ProcTask, number: UInt64) {
            self.proc = proc
            self.subject = subject
            super.init(proc, permissions: 0o555, number: number)
        }
        override func owner() -> (user: UInt32, group: UInt32) { subject.owner }
        override var linkCount: UInt32 { UInt32(truncatingIfNeeded: 2 + subject.group.threadCount) }
        override var cachesNames: Bool { false }
        override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool {
            (child as? TaskDirectory)?.subject.isPresent() ?? false
        }
        private func thread(_ identifier: Int32) -> KernelTask? {
            // The leader of a zombie, too, which is no longer among the threads that live.
            if identifier == subject.group.processID, let leader = subject.group.leader { return leader }
            return subject.group.threads.first { $0.threadID == identifier }
        }
        override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
            guard let identifier = DecimalName.parseSigned(name), let task = thread(identifier) else { throw .ENOENT }
            return TaskDirectory(proc, ProcTask(task: task, isThread: true))
        }
        override func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
            var identifiers = Set(subject.group.threads.map(\.threadID))
            if let leader = subject.group.leader { identifiers.insert(leader.threadID) }
            for identifier in identifiers.sorted() where Int64(identifier) >= position {
                let number = 1 << 32 | UInt64(UInt32(bitPattern: identifier)) << 9 | 1 << 8
                let entry = DirectoryEntry(
                    name: Array(String(identifier).utf8), inode: number, type: .directory, nextOffset: Int64(identifier) + 1)
                guard emit(entry) else { return }
            }
        }
    }

    // MARK: Mounts

    /// mounts and mountinfo: poll(2) tells of changes (POLLERR and POLLPRI).
    private final class MountsInode: SyntheticInode, @unchecked Sendable {
        private let subject: ProcTask
        private let line: @Sendable (MountListing) -> [UInt8]
        init(_ proc: ProcFileSystem, _ subject: ProcTask, number: UInt64, line: @escaping @Sendable (MountListing) -> [UInt8]) {
            self.subject = subject
            self.line = line
            super.init(proc, type: .regular, permissions: 0o444, number: number)
        }
        override func owner() -> (user: UInt32, group: UInt32) { subject.fileOwner }
        override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
            if flags.isWritable { throw .EACCES }
            guard let root = subject.task.fileSystemContext?.root, let namespace = root.mount.namespace else { throw .EINVAL }
            let line = line
            return MountsFile(namespace, path: path, flags: flags) { namespace.listing(from: root).flatMap(line) }
        }
    }

    private final class MountsFile: SyntheticOpenFile, @unchecked Sendable {  // Immutable, or atomic.
        private let namespace: MountNamespace
        private let seen: Atomic<UInt64>
        init(_ namespace: MountNamespace, path: Path, flags: OpenFlags, _ content: @escaping @Sendable () -> [UInt8]) {
            self.namespace = namespace
            seen = Atomic(namespace.changeCount)
            super.init(path: path, flags: flags, content: { _ throws(Errno) in content() }, store: nil)
        }
        override func readiness(_ mask: PollEvents) -> PollEvents {
            var events = PollEvents.readable
            let now = namespace.changeCount
            if seen.exchange(now, ordering: .acquiringAndReleasing) != now { events.formUnion([.POLLERR, .POLLPRI]) }
            return events.intersection(mask.union([.POLLERR, .POLLHUP]))
        }
        override func add(_ waiter: Waiter) { namespace.changes.add(waiter) }
        override func remove(_ waiter: Waiter) { namespace.changes.remove(waiter) }
    }
}

public import Host
public import LinuxABI
public import SentryKernel
public import SentryVFS

/// devpts (pts(4)): the slaves of pseudo-terminals, and the master multiplexer ptmx. Every instance has terminals of its own.
public final class DevptsFileSystem: SyntheticFileSystem, @unchecked Sendable {  // State is behind a lock.
    /// Mount options (Linux: Documentation/filesystems/devpts.rst).
    public struct Options: Sendable {
        /// Group of slaves; nil: the opener's.
        public var group: UInt32?
        public var mode: UInt32 = 0o620
        public var masterMode: UInt32 = 0o666
        /// Terminals at once.
        public var maximum = 1024
        public init() {}
    }
    private let kernel: Kernel
    public let options: Options
    private struct State {
        var slaves: [UInt32: SlaveInode] = [:]
    }
    private let state = Lock(State())

    public init(kernel: Kernel, device: UInt64, options: Options = Options()) {
        self.kernel = kernel
        self.options = options
        super.init(typeName: "devpts", device: device, magic: FileSystemMagic.DEVPTS_SUPER_MAGIC)
        setRoot(RootDirectory(self))
    }

    public override var mountOptions: String {
        let group = options.group.map { "gid=\($0)," } ?? ""
        return "\(group)mode=\(String(options.mode, radix: 8)),ptmxmode=\(String(options.masterMode, radix: 8))"
    }

    /// A new terminal at the lowest free number, owned by `user`. ENOSPC when there are too many.
    private func makeTerminal(user: UInt32, group: UInt32) throws(Errno) -> Terminal {
        try state.withLock { state throws(Errno) in
            guard state.slaves.count < options.maximum else { throw .ENOSPC }
            var index: UInt32 = 0
            while state.slaves[index] != nil { index += 1 }
            let terminal = Terminal(kernel: kernel, index: index)
            let inode = SlaveInode(self, terminal)
            inode.assign(user: user, group: options.group ?? group)
            state.slaves[index] = inode
            return terminal
        }
    }

    private func remove(_ terminal: Terminal) {
        state.withLock { if $0.slaves[terminal.index]?.terminal === terminal { $0.slaves[terminal.index] = nil } }
    }

    /// Opens ptmx: a new terminal's master.
    public func openMaster(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        let terminal = try makeTerminal(user: context.credentials.user.fileSystem, group: context.credentials.group.fileSystem)
        let mount = path.mount
        return TerminalMasterFile(
            terminal, path: path, flags: flags, onClose: { [weak self] in self?.remove(terminal) },
            openPeer: { [weak self] flags, context throws(Errno) in
                guard let self else { throw .EIO }
                let name = Array(String(terminal.index).utf8)
                guard mount.fileSystem === self, let inode = self.slave(name) else { throw .EIO }
                let place = Path(mount: mount, dentry: Dentry(parent: mount.root, name: name, inode: inode))
                return try inode.open(place, flags: flags, context)
            })
    }

    /// A terminal whose other side is the host's: it appears here like every other, to be opened by its path. The caller starts it.
    public func makeHostTerminal(input: SharedDescriptor, output: SharedDescriptor, user: UInt32, group: UInt32) throws(Errno)
        -> HostTerminal
    {
        let terminal = try makeTerminal(user: user, group: group)
        terminal.state.withLock { $0.isLocked = false }
        return HostTerminal(terminal, input: input, output: output)
    }

    /// The inode of a host terminal's slave side, to be opened.
    public func inode(of host: HostTerminal) -> Inode? { state.withLock { $0.slaves[host.terminal.index] } }

    /// Takes a host terminal's name away, after `HostTerminal.close`.
    public func removeHostTerminal(_ host: HostTerminal) { remove(host.terminal) }

    fileprivate func slave(_ name: [UInt8]) -> SlaveInode? {
        guard let index = DecimalName.parse(name) else { return nil }
        return state.withLock { $0.slaves[index] }
    }

    fileprivate func slaves(from index: Int64) -> [SlaveInode] {
        state.withLock { state in state.slaves.values.filter { Int64($0.terminal.index) >= index } }.sorted {
            $0.terminal.index < $1.terminal.index
        }
    }

    /// /dev/pts/N.
    fileprivate final class SlaveInode: SyntheticInode, @unchecked Sendable {
        let terminal: Terminal
        init(_ fileSystem: DevptsFileSystem, _ terminal: Terminal) {
            self.terminal = terminal
            super.init(fileSystem, type: .character, permissions: fileSystem.options.mode, number: UInt64(terminal.index) + 3)
        }
        override var specialDevice: UInt64 { terminal.deviceNumber }
        override var allowsAttributeChange: Bool { true }
        override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
            try TerminalFile(terminal, path: path, flags: flags, context)
        }
    }

    /// /dev/pts/ptmx.
    private final class MasterInode: SyntheticInode, @unchecked Sendable {
        init(_ fileSystem: DevptsFileSystem) {
            super.init(fileSystem, type: .character, permissions: fileSystem.options.masterMode, number: 2)
        }
        override var specialDevice: UInt64 { DeviceNumber.make(major: 5, minor: 2) }
        override var allowsAttributeChange: Bool { true }
        override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
            guard let fileSystem = fileSystem as? DevptsFileSystem else { throw .EIO }
            return try fileSystem.openMaster(path, flags: flags, context)
        }
    }

    private final class RootDirectory: SyntheticDirectory, @unchecked Sendable {  // Immutable, or atomic.
        private let master: MasterInode
        private var devpts: DevptsFileSystem? { fileSystem as? DevptsFileSystem }
        private static let masterName = Array("ptmx".utf8)

        init(_ fileSystem: DevptsFileSystem) {
            master = MasterInode(fileSystem)
            super.init(fileSystem, permissions: 0o755, number: 1)
        }
        override var cachesNames: Bool { false }
        override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool {
            (try? lookup(name, context)) === child
        }
        override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
            if name == Self.masterName { return master }
            guard let inode = devpts?.slave(name) else { throw .ENOENT }
            return inode
        }
        override func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
            if position == 0 {
                guard emit(DirectoryEntry(name: Self.masterName, inode: master.number, type: .character, nextOffset: 1)) else { return }
            }
            for inode in devpts?.slaves(from: max(0, position - 1)) ?? [] {
                let index = inode.terminal.index
                let entry = DirectoryEntry(
                    name: Array(String(index).utf8), inode: inode.number, type: .character, nextOffset: Int64(index) + 2)
                guard emit(entry) else { return }
            }
        }
    }
}

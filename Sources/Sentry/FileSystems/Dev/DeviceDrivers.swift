import Host
import LinuxABI
public import SentryKernel
public import SentryVFS

/// Registers what stands behind the device numbers a container may have nodes of.
public enum DeviceDrivers {
    private static let consoles = Lock<[ObjectIdentifier: Terminal]>([:])

    /// Registers memory devices, terminals and the kernel's log with the registry. Once, at boot.
    public static func register(_ kernel: Kernel, _ registry: DeviceRegistry = .shared) {
        FileSystemTypes.register()
        PipeFile.registerFIFOs()
        for device in MemoryDevice.allCases {
            registry.register(major: MemoryDevice.major, minors: device.rawValue...device.rawValue) { path, _, flags, _ throws(Errno) in
                device.open(path, flags: flags)
            }
        }
        registry.register(major: MemoryDevice.major, minors: 11...11) { path, _, flags, _ throws(Errno) in
            KernelMessageFile(kernel, path: path, flags: flags)
        }
        // /dev/tty: the controlling terminal of whoever opens it.
        registry.register(major: 5, minors: 0...0) { path, _, flags, context throws(Errno) in
            guard let task = context as? KernelTask else { throw .ENXIO }
            let terminal = kernel.tree.withLock { proof in
                task.threadGroup.tree[proof].processGroup.session.tree[proof].terminal as? Terminal
            }
            guard let terminal else { throw .ENXIO }
            return try TerminalFile(terminal, path: path, flags: flags, attaching: false, context)
        }
        registry.register(major: 5, minors: 1...1) { path, _, flags, context throws(Errno) in
            guard let task = context as? KernelTask, let terminal = consoles.withLock({ $0[ObjectIdentifier(task.container)] }) else {
                throw .ENXIO
            }
            return try TerminalFile(terminal, path: path, flags: flags, context)
        }
        // /dev/ptmx as a node: the devpts that is mounted beside it (Linux: devpts_mntget).
        registry.register(major: 5, minors: 2...2) { path, _, flags, context throws(Errno) in
            guard let parent = path.dentry.parent else { throw .ENODEV }
            let name = Array("pts".utf8)
            let place: Path
            do throws(Errno) {
                place = try VFS.resolve(name.span, at: Path(mount: path.mount, dentry: parent), [.follow], KernelFileContext.shared)
            } catch { throw .ENODEV }
            guard let devpts = place.mount.fileSystem as? DevptsFileSystem else { throw .ENODEV }
            let master = Path(mount: place.mount, dentry: path.dentry)
            return try devpts.openMaster(master, flags: flags, context)
        }
    }

    /// What /dev/console (5:1) is in a container; nil: nothing.
    public static func setConsole(_ terminal: Terminal?, for container: Container) {
        consoles.withLock { $0[ObjectIdentifier(container)] = terminal }
    }
}

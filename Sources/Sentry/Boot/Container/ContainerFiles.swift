import Control
import Diagnostics
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryNetwork
import SentryVFS

/// Builds the mount namespace of a container: its root, the mounts of its configuration in order, /dev, masked and read-only paths.
struct ContainerFiles {
    let specification: ContainerSpecification
    let kernel: Kernel
    let container: Container
    let memoryFile: MemoryFile
    let facts: HostFacts
    let sysctls: Sysctls
    let cgroup: CgroupLimits
    /// The file system of one of the Gofer's trees.
    let tree: (_ index: UInt32, _ isShared: Bool, _ isLowerLayer: Bool) throws(Errno) -> FileSystem

    /// The namespace as the container's first process sees it.
    func build() throws(SandboxError) -> MountNamespace {
        let namespace: MountNamespace
        do throws(Errno) {
            let root = try overlaid(specification.rootTree, shared: specification.rootShared, specification.rootOverlay)
            namespace = try MountNamespace(root: root, source: Array("rootfs".utf8))
        } catch {
            throw SandboxError(error, "mount the container's root")
        }
        let tools = PathTools(context: KernelFileContext.shared, root: namespace.root)
        for (index, mount) in specification.mounts.enumerated() {
            do throws(Errno) { try add(mount, to: namespace, tools) } catch {
                let destination = String(decoding: mount.destination, as: UTF8.self)
                throw SandboxError(error, "mounts[\(index)]: mount \(mount.kind) on \(destination)")
            }
        }
        // Before readonlyPaths, which usually cover /proc/sys.
        try applySysctls(tools)
        do throws(Errno) {
            try finishDevices(namespace, tools)
            try restrict(namespace, tools)
            if specification.rootReadOnly {
                try namespace.remount(namespace.root, flags: namespace.rootMount.flags.union(.readOnly))
            }
        } catch {
            throw SandboxError(error, "prepare /dev and the masked and read-only paths")
        }
        return namespace
    }

    /// A tree of the Gofer's, below a writable layer in memory if the mode says so.
    private func overlaid(_ index: UInt32, shared: Bool, _ mode: OverlayMode) throws(Errno) -> FileSystem {
        let lower = try tree(index, shared, mode != .none)
        switch mode {
        case .none: return lower
        case .memory: return try OverlayFileSystem(lower: lower, upper: TmpfsFileSystem(memory: memoryFile, options: layerOptions()))
        case .file: throw .EOPNOTSUPP
        }
    }

    private func layerOptions() -> TmpfsFileSystem.Options {
        var options = TmpfsFileSystem.Options()
        options.mode = 0o755
        return options
    }

    private func add(_ mount: MountSpecification, to namespace: MountNamespace, _ tools: PathTools) throws(Errno) {
        let flags = MountFlags(systemCall: mount.flags)
        let fileSystem: FileSystem
        switch mount.kind {
        case .bind:
            fileSystem = try overlaid(mount.tree, shared: mount.shared, mount.overlay)
        case .tmpfs, .devtmpfs, .mqueue:
            var options = try TmpfsFileSystem.Options(parsing: mount.data)
            if mount.kind != .tmpfs, mount.data.isEmpty { options.mode = mount.kind == .devtmpfs ? 0o755 : 0o1777 }
            fileSystem = TmpfsFileSystem(memory: memoryFile, options: options, typeName: mount.kind == .mqueue ? "mqueue" : "tmpfs")
        case .proc:
            fileSystem = ProcFileSystem(
                container, device: FileSystem.makeDevice(), facts: facts, sysctls: sysctls, unixSockets: { UnixNamespace.shared.table() })
        case .sysfs: fileSystem = SysFileSystem(container, device: FileSystem.makeDevice())
        case .devpts:
            fileSystem = DevptsFileSystem(
                kernel: kernel, device: FileSystem.makeDevice(), options: try DevptsFileSystem.Options(parsing: mount.data))
        case .cgroup: fileSystem = CgroupFileSystem(container, limits: cgroup, device: FileSystem.makeDevice())
        }
        let isFile = try fileSystem.root.type != .directory
        let place = try tools.mountPoint(mount.destination, isFile: isFile)
        _ = try namespace.mount(fileSystem, at: place, source: mount.source, flags: flags)
        if mount.destination == Array("/dev".utf8), mount.kind == .tmpfs || mount.kind == .devtmpfs {
            try DeviceNodes.populate(fileSystem.root, tools.context)
        }
    }

    /// A container without a /dev of its own gets one if its root has the directory; then the devices of its configuration.
    private func finishDevices(_ namespace: MountNamespace, _ tools: PathTools) throws(Errno) {
        let path = Array("/dev".utf8)
        let isMounted = specification.mounts.contains { $0.destination == path }
        if !isMounted, let place = tools.existing(path) {
            let fileSystem = TmpfsFileSystem(memory: memoryFile, options: layerOptions())
            _ = try namespace.mount(fileSystem, at: place, source: Array("dev".utf8), flags: [.noSetUserID])
            try DeviceNodes.populate(fileSystem.root, tools.context)
        }
        for device in specification.devices {
            if tools.existing(device.path) != nil { continue }
            let type: FileType
            switch device.kind {
            case .character: type = .character
            case .block: type = .block
            case .fifo: type = .fifo
            }
            let parent = device.path.split(separator: UInt8(ascii: "/")).dropLast().reduce(into: [UInt8]()) {
                $0 += [UInt8(ascii: "/")] + $1
            }
            try tools.makeDirectories(parent)
            try VFS.makeNode(
                device.path.span, at: tools.root, mode: type.rawValue | device.mode,
                device: DeviceNumber.make(major: device.major, minor: device.minor), tools.context)
            let place = try tools.resolve(device.path, [])
            try VFS.changeOwner(place, user: device.uid, group: device.gid, tools.context)
            try VFS.changeMode(place, device.mode, tools.context)
        }
    }

    /// maskedPaths: /dev/null over files, an empty read-only directory over directories; readonlyPaths: a read-only bind mount of themselves.
    private func restrict(_ namespace: MountNamespace, _ tools: PathTools) throws(Errno) {
        for path in specification.readOnlyPaths {
            guard let place = tools.existing(path) else { continue }
            let mount = try namespace.bind(place, at: place, recursive: true)
            try namespace.remount(Path(mount: mount, dentry: mount.root), flags: mount.flags.union(.readOnly))
        }
        for path in specification.maskedPaths {
            guard let place = tools.existing(path), let inode = place.dentry.inode else { continue }
            if inode.type == .directory {
                let empty = TmpfsFileSystem(memory: memoryFile, options: layerOptions())
                _ = try namespace.mount(empty, at: place, source: Array("tmpfs".utf8), flags: [.readOnly])
            } else if let null = tools.existing(Array("/dev/null".utf8)) {
                _ = try namespace.bind(null, at: place)
            }
        }
    }

    /// linux.sysctl, written to the container's own /proc/sys.
    private func applySysctls(_ tools: PathTools) throws(SandboxError) {
        for sysctl in specification.sysctls {
            let path = Array("/proc/sys/".utf8) + sysctl.name.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "/") : $0 }
            do { try tools.write(sysctl.value, to: path) } catch {
                // Engines set some always (net.ipv4.ping_group_range); without a network stack there is nothing to set.
                if sysctl.name.starts(with: Array("net.".utf8)) {
                    Log.info("sysctl \(String(decoding: sysctl.name, as: UTF8.self)) is left out: there is no network stack yet")
                    continue
                }
                throw SandboxError(
                    error == .ENOENT ? .unsupported : .invalidArgument,
                    "sysctl \(String(decoding: sysctl.name, as: UTF8.self)): \(error.message)")
            }
        }
    }
}

extension MountFlags {
    /// The per-mount bits among the MS_* flags of mount(2).
    init(systemCall flags: UInt64) {
        var result: MountFlags = []
        for (bit, flag) in [
            (MountFlag.MS_RDONLY, MountFlags.readOnly), (MountFlag.MS_NOSUID, .noSetUserID), (MountFlag.MS_NODEV, .noDevices),
            (MountFlag.MS_NOEXEC, .noExecute), (MountFlag.MS_NOATIME, .noAccessTime), (MountFlag.MS_NODIRATIME, .noDirectoryAccessTime),
            (MountFlag.MS_RELATIME, .relativeAccessTime), (MountFlag.MS_STRICTATIME, .strictAccessTime),
        ] where flags & bit != 0 { result.insert(flag) }
        self = result
    }
}

extension DevptsFileSystem.Options {
    /// Parses the data string of mount(2). EINVAL for what it does not know.
    init(parsing data: [UInt8]) throws(Errno) {
        self.init()
        for option in data.split(separator: UInt8(ascii: ",")) {
            let text = String(decoding: option, as: UTF8.self)
            let parts = text.split(separator: "=", maxSplits: 1)
            let value = parts.count > 1 ? String(parts[1]) : ""
            switch parts[0] {
            case "gid":
                guard let number = UInt32(value) else { throw .EINVAL }
                group = number
            case "mode":
                guard let number = UInt32(value, radix: 8) else { throw .EINVAL }
                mode = number & 0o777
            case "ptmxmode":
                guard let number = UInt32(value, radix: 8) else { throw .EINVAL }
                masterMode = number & 0o777
            case "max":
                guard let number = Int(value), number >= 0 else { throw .EINVAL }
                maximum = min(number, 4096)
            case "uid", "newinstance", "rw", "ro", "relatime", "nosuid", "noexec", "nodev": break
            default: throw .EINVAL
            }
        }
    }
}

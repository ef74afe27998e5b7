import LinuxABI
import SentryKernel
public import SentryVFS

/// The file systems that a guest may mount itself, and what opens FIFOs.
public enum FileSystemTypes {
    /// Registers them. Once, at boot.
    public static func register(_ registry: FileSystemRegistry = .shared) {
        PipeFile.registerFIFOs()
        for name in ["tmpfs", "ramfs"] {
            registry.register(name) { _, data, context throws(Errno) in
                guard let task = context as? KernelTask else { throw .EPERM }
                let options = try TmpfsFileSystem.Options(parsing: data)
                return TmpfsFileSystem(memory: task.container.memoryFile, options: options, typeName: name)
            }
        }
        // Those that the container was given can be mounted once more, wherever the guest wants them.
        for name in ["proc", "sysfs", "devpts", "mqueue", "cgroup2"] {
            registry.register(name) { _, _, context throws(Errno) in
                let mounts = context.fileSystemContext?.root.mount.namespace?.mounts ?? []
                guard let mount = mounts.first(where: { $0.fileSystem.typeName == name }) else { throw .EPERM }
                return mount.fileSystem
            }
        }
        registry.register("overlay", nil)
    }
}

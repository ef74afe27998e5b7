import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// mount(2), umount2(2), pivot_root(2). All need CAP_SYS_ADMIN, as on Linux, and change the namespace of the caller only.
enum MountCalls {
    static let calls: [SystemCall] = [
        SystemCall(.mount, mount, .partial("all mounts are private: MS_SHARED and MS_UNBINDABLE are refused")),
        SystemCall(.umount2, umount2, .partial("MNT_EXPIRE is refused")), SystemCall(.pivot_root, pivotRoot),
        .refused(.fsopen, .ENOSYS, "mount(2) does it"), .refused(.fsconfig, .ENOSYS, "mount(2) does it"),
        .refused(.fsmount, .ENOSYS, "mount(2) does it"), .refused(.fspick, .ENOSYS, "mount(2) does it"),
        .refused(.move_mount, .ENOSYS, "mount(2) does it"), .refused(.open_tree, .ENOSYS, "mount(2) does it"),
        .refused(.mount_setattr, .ENOSYS, "mount(2) does it"),
    ]

    private static func namespace(_ task: KernelTask) throws(Errno) -> MountNamespace {
        guard task.credentials.has(.CAP_SYS_ADMIN) else { throw .EPERM }
        guard let namespace = try task.fileSystem().root.mount.namespace else { throw .EINVAL }
        return namespace
    }

    /// A string argument that may be null: at most a page.
    private static func string(_ task: KernelTask, _ address: UInt64) throws(Errno) -> [UInt8] {
        address == 0 ? [] : try task.guestMemory().copyInString(at: address, max: 4096)
    }

    static func mount(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let source = try string(task, arguments[0])
        let path = try task.path(at: arguments[1])
        let type = try string(task, arguments[2])
        var flags = arguments[3]
        // MS_MGC_VAL: what very old programs put into the upper half.
        if flags & 0xffff_0000 == 0xc0ed_0000 { flags &= 0xffff }
        let context = try task.fileSystem()
        let target = try VFS.resolve(path.span, at: context.workingDirectory, .follow, task)
        let namespace = try namespace(task)
        guard target.mount.namespace === namespace else { throw .EINVAL }

        if flags & MountFlag.MS_REMOUNT != 0 {
            // Without MS_BIND the file system's own options would change too: those of the mount are what there is.
            if flags & MountFlag.MS_BIND == 0 { _ = try string(task, arguments[4]) }
            try namespace.remount(target, flags: mountFlags(flags))
        } else if flags & MountFlag.MS_BIND != 0 {
            if source.isEmpty { throw .EINVAL }
            let from = try VFS.resolve(source.span, at: context.workingDirectory, .follow, task)
            guard from.mount.namespace === namespace else { throw .EINVAL }
            try namespace.bind(from, at: target, recursive: flags & MountFlag.MS_REC != 0)
        } else if flags & (MountFlag.MS_SHARED | MountFlag.MS_UNBINDABLE) != 0 {
            task.kernel.unsupported(.mount, flags & MountFlag.MS_SHARED != 0 ? "MS_SHARED" : "MS_UNBINDABLE")
            throw .EINVAL
        } else if flags & (MountFlag.MS_PRIVATE | MountFlag.MS_SLAVE) != 0 {
            // Every mount is private, which the slave of nothing is too.
            guard target.dentry === target.mount.root else { throw .EINVAL }
        } else if flags & MountFlag.MS_MOVE != 0 {
            if source.isEmpty { throw .EINVAL }
            let from = try VFS.resolve(source.span, at: context.workingDirectory, .follow, task)
            try namespace.move(from, to: target)
        } else {
            let data = try string(task, arguments[4])
            let fileSystem = try FileSystemRegistry.shared.make(type, source: source, data: data, task)
            try namespace.mount(fileSystem, at: target, source: source, flags: mountFlags(flags))
        }
        return 0
    }

    private static func mountFlags(_ flags: UInt64) -> MountFlags {
        var result: MountFlags = []
        if flags & MountFlag.MS_RDONLY != 0 { result.insert(.readOnly) }
        if flags & MountFlag.MS_NOSUID != 0 { result.insert(.noSetUserID) }
        if flags & MountFlag.MS_NODEV != 0 { result.insert(.noDevices) }
        if flags & MountFlag.MS_NOEXEC != 0 { result.insert(.noExecute) }
        if flags & MountFlag.MS_NOSYMFOLLOW != 0 { result.insert(.noSymlinkFollow) }
        if flags & MountFlag.MS_NOATIME != 0 { result.insert(.noAccessTime) }
        if flags & MountFlag.MS_NODIRATIME != 0 { result.insert(.noDirectoryAccessTime) }
        if flags & MountFlag.MS_STRICTATIME != 0 { result.insert(.strictAccessTime) }
        return result
    }

    static func umount2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments[1]
        guard flags & ~(MountFlag.MNT_FORCE | MountFlag.MNT_DETACH | MountFlag.MNT_EXPIRE | MountFlag.UMOUNT_NOFOLLOW) == 0 else {
            throw .EINVAL
        }
        if flags & MountFlag.MNT_EXPIRE != 0 {
            task.kernel.unsupported(.umount2, "MNT_EXPIRE")
            throw .EINVAL
        }
        let path = try task.path(at: arguments[0])
        let namespace = try namespace(task)
        let options: ResolveOptions = flags & MountFlag.UMOUNT_NOFOLLOW != 0 ? [] : .follow
        let start = try task.fileSystem().workingDirectory
        try namespace.unmount(VFS.resolve(path.span, at: start, options, task), lazily: flags & MountFlag.MNT_DETACH != 0)
        return 0
    }

    static func pivotRoot(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let newPath = try task.path(at: arguments[0]), oldPath = try task.path(at: arguments[1])
        let namespace = try namespace(task)
        let context = try task.fileSystem()
        let options: ResolveOptions = [.follow, .directory]
        let newRoot = try VFS.resolve(newPath.span, at: context.workingDirectory, options, task)
        let oldPlace = try VFS.resolve(oldPath.span, at: context.workingDirectory, options, task)
        let oldRoot = namespace.root
        guard context.root === oldRoot else { throw .EINVAL }
        try namespace.pivot(to: newRoot, puttingOldAt: oldPlace)
        // Whoever stood on the old root stands on the new one.
        for thread in task.container.threadGroups.flatMap({ $0.threads }) {
            thread.fileSystemContext?.state.withLock { state in
                if state.root === oldRoot { state.root = newRoot }
                if state.workingDirectory === oldRoot { state.workingDirectory = newRoot }
            }
        }
        return 0
    }
}

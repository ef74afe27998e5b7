public import LinuxABI
public import SentryVFS

extension DevptsFileSystem {
    /// Where a host terminal's slave side is in `namespace`: below the mount of this file system, so that ttyname(3) finds it, or, when there is none, at
    /// an internal place called `console`. Open it to get the standard descriptors of a process.
    public func place(of host: HostTerminal, in namespace: MountNamespace) throws(Errno) -> Path {
        let name = Array(String(host.terminal.index).utf8)
        if let mount = namespace.mounts.first(where: { $0.fileSystem === self }) {
            return try VFS.resolve(name.span, at: Path(mount: mount, dentry: mount.root), [], KernelFileContext.shared)
        }
        let inode = try root.lookup(name, KernelFileContext.shared)
        return Path(mount: namespace.rootMount, dentry: Dentry(parent: nil, name: Array("console".utf8), inode: inode))
    }
}

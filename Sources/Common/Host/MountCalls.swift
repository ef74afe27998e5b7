public import LinuxABI

/// Mounts as objects: detached copies of trees, and their attributes (open_tree(2), mount_setattr(2); Linux 5.2 and 5.12).
extension HostCall {
    // SAFETY: in this file an address is taken from a borrowed or temporary buffer and used only inside the closure that borrows it.
    /// A detached copy of the mount at `path` (and of those below it, if `recursive`), as a directory or file descriptor. Needs CAP_SYS_ADMIN.
    public static func cloneTree(_ path: [UInt8], recursive: Bool, at directory: Int32 = AtFlag.AT_FDCWD) throws(Errno) -> OwnedDescriptor {
        let clone: Int32 = 1  // OPEN_TREE_CLONE
        let flags = clone | OpenFlag.O_CLOEXEC | (recursive ? AtFlag.AT_RECURSIVE : 0)
        return try withPath(path) { address throws(Errno) in
            OwnedDescriptor(adopting: Int32(try retrying { raw(.open_tree, Int(directory), address, Int(flags)) }))
        }
    }

    /// Sets and clears MountAttribute bits of the mount behind a descriptor. `propagation` is MountFlag.MS_PRIVATE and its kin, or 0.
    public static func setMountAttributes(
        _ descriptor: Int32, set: UInt64, clear: UInt64 = 0, propagation: UInt64 = 0, recursive: Bool
    ) throws(Errno) {
        let attributes: [UInt64] = [set, clear, propagation, 0]
        let flags = AtFlag.AT_EMPTY_PATH | (recursive ? AtFlag.AT_RECURSIVE : 0)
        try withPath([]) { empty throws(Errno) in
            try unsafe attributes.withUnsafeBufferPointer { p throws(Errno) in
                let pointer = Int(bitPattern: p.baseAddress)
                _ = try retrying { raw(.mount_setattr, Int(descriptor), empty, Int(flags), pointer, 32) }
            }
        }
    }
}

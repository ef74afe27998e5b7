public import LinuxABI

/// Discretionary access control (path_resolution(7), capabilities(7)).
public enum Permissions {
    /// Throws EACCES unless the mode bits or a capability grant all of `access`.
    public static func check(_ attributes: FileAttributes, _ access: Access, _ credentials: Credentials) throws(Errno) {
        var bits = attributes.permissions
        if credentials.owns(attributes) {
            bits >>= 6
        } else if credentials.isInGroup(of: attributes) {
            bits >>= 3
        }
        if bits & access.rawValue == access.rawValue { return }
        if attributes.type == .directory {
            if credentials.has(.CAP_DAC_OVERRIDE, over: attributes) { return }
            if !access.contains(.write), credentials.has(.CAP_DAC_READ_SEARCH, over: attributes) { return }
        } else {
            // Execution needs at least one execute bit, whoever asks.
            if credentials.has(.CAP_DAC_OVERRIDE, over: attributes), !access.contains(.execute) || attributes.permissions & 0o111 != 0 {
                return
            }
            if access == .read, credentials.has(.CAP_DAC_READ_SEARCH, over: attributes) { return }
        }
        throw .EACCES
    }
}

extension Credentials {
    /// Whether the file is owned by who has these credentials.
    public func owns(_ attributes: FileAttributes) -> Bool { user.fileSystem == attributes.user && !attributes.isUserForeign }
    /// Whether the file's group is one of these credentials.
    public func isInGroup(of attributes: FileAttributes) -> Bool { !attributes.isGroupForeign && isMember(ofGroup: attributes.group) }
    /// Whether the effective set holds `capability` for this file: it reaches only files whose owner and group the user namespace knows.
    public func has(_ capability: Capabilities, over attributes: FileAttributes) -> Bool {
        has(capability) && !attributes.isUserForeign && !attributes.isGroupForeign
    }
}

extension Permissions {
    /// Owner, group and mode of a file made in a directory with these attributes: a set-group-ID directory gives its group, and directories in it
    /// inherit the bit (inode(7)).
    public static func ofNewFile(in directory: FileAttributes, mode: UInt32, isDirectory: Bool, _ credentials: Credentials) -> (
        user: UInt32, group: UInt32, permissions: UInt32
    ) {
        var permissions = mode & 0o7777
        var group = credentials.group.fileSystem
        if directory.mode & FileMode.S_ISGID != 0 {
            group = directory.group
            if isDirectory {
                permissions |= FileMode.S_ISGID
            } else if permissions & (FileMode.S_ISGID | FileMode.S_IXGRP) == FileMode.S_ISGID | FileMode.S_IXGRP,
                !credentials.isMember(ofGroup: group), !credentials.has(.CAP_FSETID)
            {
                permissions &= ~FileMode.S_ISGID
            }
        }
        return (credentials.user.fileSystem, group, permissions)
    }
}

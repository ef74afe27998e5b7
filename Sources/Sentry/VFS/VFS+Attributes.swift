internal import Host
public import LinuxABI

extension VFS {
    /// What stat(2) tells of the inode behind `place`.
    public static func attributes(of place: Path, _ context: any FileContext) throws(Errno) -> FileAttributes {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        return try inode.attributes(context)
    }

    /// stat(2), lstat(2), fstatat(2).
    public static func stat(_ path: borrowing Span<UInt8>, at start: consuming Path, _ options: ResolveOptions, _ context: any FileContext)
        throws(Errno)
        -> FileAttributes
    {
        var resolver = PathResolver(at: start, options: options, context)
        try resolver.resolve(path)
        guard let inode = resolver.place.dentry.inode else { throw .ENOENT }
        return try inode.attributes(context)
    }

    /// access(2) on a place, with the identity that `context` has.
    public static func checkAccess(_ place: Path, _ access: Access, _ context: any FileContext) throws(Errno) {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        if access.contains(.execute), inode.type == .regular, place.mount.flags.contains(.noExecute) { throw .EACCES }
        if access.contains(.write), place.mount.isReadOnly {
            switch inode.type {
            case .regular, .directory, .symlink: throw .EROFS
            case .block, .character, .fifo, .socket: break
            }
        }
        if !access.isEmpty { try inode.checkAccess(access, context) }
    }

    private static func writable(_ place: Path) throws(Errno) -> Inode {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        if place.mount.isReadOnly { throw .EROFS }
        return inode
    }

    private static func isOwner(_ attributes: FileAttributes, _ context: any FileContext) -> Bool {
        context.credentials.owns(attributes) || context.credentials.has(.CAP_FOWNER, over: attributes)
    }

    /// chmod(2).
    public static func changeMode(_ place: Path, _ mode: UInt32, _ context: any FileContext) throws(Errno) {
        let inode = try writable(place)
        if inode.type == .symlink { throw .EOPNOTSUPP }
        let attributes = try inode.attributes(context)
        guard isOwner(attributes, context) else { throw .EPERM }
        var change = AttributeChange()
        var permissions = mode & 0o7777
        // Who is not in the file's group cannot make it set-group-ID.
        if !context.credentials.isInGroup(of: attributes), !context.credentials.has(.CAP_FSETID, over: attributes) {
            permissions &= ~FileMode.S_ISGID
        }
        change.permissions = permissions
        try inode.setAttributes(change, context)
        place.dentry.notify(.attributes)
    }

    /// chown(2); nil leaves an identity.
    public static func changeOwner(_ place: Path, user: UInt32?, group: UInt32?, _ context: any FileContext) throws(Errno) {
        let inode = try writable(place)
        let attributes = try inode.attributes(context)
        let credentials = context.credentials
        // What the user namespace has no id for is no owner.
        if let user, !credentials.userNamespace.users.contains(user) { throw .EINVAL }
        if let group, !credentials.userNamespace.groups.contains(group) { throw .EINVAL }
        let isPrivileged = credentials.has(.CAP_CHOWN, over: attributes)
        let isOwner = credentials.owns(attributes)
        if let user, !isPrivileged, !isOwner || user != attributes.user { throw .EPERM }
        if let group, !isPrivileged {
            let isSame = group == attributes.group && !attributes.isGroupForeign
            if !isOwner || !isSame && !credentials.isMember(ofGroup: group) { throw .EPERM }
        }
        var change = AttributeChange()
        change.user = user
        change.group = group
        // Set-ID bits do not survive a change of owner, except on directories.
        if attributes.type != .directory {
            var permissions = attributes.permissions & ~FileMode.S_ISUID
            if permissions & FileMode.S_IXGRP != 0 { permissions &= ~FileMode.S_ISGID }
            if permissions != attributes.permissions { change.permissions = permissions }
        }
        try inode.setAttributes(change, context)
        place.dentry.notify(.attributes)
    }

    /// utimensat(2). Nil leaves a time; both nil does nothing.
    public static func changeTimes(
        _ place: Path, access: AttributeChange.Time?, modification: AttributeChange.Time?, _ context: any FileContext
    )
        throws(Errno)
    {
        if access == nil, modification == nil { return }
        let inode = try writable(place)
        let attributes = try inode.attributes(context)
        if !isOwner(attributes, context) {
            // Both times to now needs only permission to write.
            guard access == .now, modification == .now else { throw .EPERM }
            try inode.checkAccess(.write, context)
        }
        var change = AttributeChange()
        change.accessTime = access
        change.modificationTime = modification
        try inode.setAttributes(change, context)
        place.dentry.notify(.attributes)
    }

    /// truncate(2).
    public static func truncate(_ place: Path, size: Int64, _ context: any FileContext) throws(Errno) {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        if inode.type == .directory { throw .EISDIR }
        guard inode.type == .regular else { throw .EINVAL }
        if place.mount.isReadOnly { throw .EROFS }
        try inode.checkAccess(.write, context)
        try setSize(place, inode, size: size, context)
    }

    /// ftruncate(2).
    public static func truncate(_ file: FileDescription, size: Int64, _ context: any FileContext) throws(Errno) {
        guard file.flags.isWritable, let inode = file.inode, inode.type == .regular else { throw .EINVAL }
        try setSize(file.path, inode, size: size, context)
    }

    private static func setSize(_ place: Path, _ inode: Inode, size: Int64, _ context: any FileContext) throws(Errno) {
        guard size >= 0 else { throw .EINVAL }
        if UInt64(size) > context.fileSizeLimit {
            context.fileSizeExceeded()
            throw .EFBIG
        }
        var change = AttributeChange()
        change.size = size
        try inode.setAttributes(change, context)
        place.dentry.notify(.modify)
    }

    // MARK: Extended attributes (xattr(7))

    private static let user = Array("user.".utf8), trusted = Array("trusted.".utf8), system = Array("system.".utf8),
        security = Array("security.".utf8), capability = Array("security.capability".utf8)

    /// Applies the rules of the name spaces.
    private static func checkAttributeName(_ name: [UInt8], of inode: Inode, writing: Bool, _ context: any FileContext) throws(Errno) {
        if name.isEmpty || name.count > Int(XattrFlag.XATTR_NAME_MAX) { throw .ERANGE }
        if name.starts(with: user) {
            if name.count == user.count { throw .EINVAL }
            // Only regular files and directories have user attributes; a sticky directory's belong to its owner.
            guard inode.type == .regular || inode.type == .directory else { throw writing ? .EPERM : .ENODATA }
            if writing, inode.type == .directory {
                let attributes = try inode.attributes(context)
                if attributes.mode & FileMode.S_ISVTX != 0, !isOwner(attributes, context) { throw .EPERM }
            }
            try inode.checkAccess(writing ? .write : .read, context)
        } else if name.starts(with: trusted) {
            guard context.credentials.hasGlobally(.CAP_SYS_ADMIN) else { throw writing ? .EPERM : .ENODATA }
        } else if name == Self.capability {
            if writing, !context.credentials.has(.CAP_SETFCAP, over: try inode.attributes(context)) { throw .EPERM }
        } else if name.starts(with: security) {
            if writing, !context.credentials.hasGlobally(.CAP_SYS_ADMIN) { throw .EPERM }
        } else if name.starts(with: system) {
            if writing, !isOwner(try inode.attributes(context), context) { throw .EPERM }
        } else {
            throw .EOPNOTSUPP
        }
    }

    /// getxattr(2): ENODATA when there is none.
    public static func extendedAttribute(_ place: Path, _ name: [UInt8], _ context: any FileContext) throws(Errno) -> [UInt8] {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        try checkAttributeName(name, of: inode, writing: false, context)
        return try inode.extendedAttribute(name, context)
    }

    /// listxattr(2): the names that the caller may see.
    public static func extendedAttributeNames(_ place: Path, _ context: any FileContext) throws(Errno) -> [[UInt8]] {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        let names: [[UInt8]]
        do throws(Errno) { names = try inode.extendedAttributeNames(context) } catch {
            if error == .EOPNOTSUPP { return [] } else { throw error }
        }
        return context.credentials.hasGlobally(.CAP_SYS_ADMIN) ? names : names.filter { !$0.starts(with: trusted) }
    }

    /// setxattr(2).
    public static func setExtendedAttribute(_ place: Path, _ name: [UInt8], _ value: [UInt8], flags: UInt32, _ context: any FileContext)
        throws(Errno)
    {
        let inode = try writable(place)
        try checkAttributeName(name, of: inode, writing: true, context)
        try inode.setExtendedAttribute(name, value, flags: flags, context)
        place.dentry.notify(.attributes)
    }

    /// removexattr(2).
    public static func removeExtendedAttribute(_ place: Path, _ name: [UInt8], _ context: any FileContext) throws(Errno) {
        let inode = try writable(place)
        try checkAttributeName(name, of: inode, writing: true, context)
        try inode.removeExtendedAttribute(name, context)
        place.dentry.notify(.attributes)
    }
}

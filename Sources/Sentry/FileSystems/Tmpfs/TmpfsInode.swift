import Host
public import LinuxABI
public import SentryVFS

extension Timespec {
    /// CLOCK_REALTIME of the host.
    static var now: Timespec { Timespec(nanoseconds: HostClock.realtime) }
}

/// What all inodes of tmpfs have: attributes and extended attributes.
public class TmpfsInode: Inode, @unchecked Sendable {
    struct Metadata: Sendable {
        var attributes: FileAttributes
        var extended: [[UInt8]: [UInt8]] = [:]
        /// Bytes of the names and values of `extended`.
        var extendedSize = 0
    }
    let metadata: Lock<Metadata>
    let tmpfs: TmpfsFileSystem
    /// The inode number.
    let number: UInt64
    /// The most bytes of extended attributes of one inode.
    private static let maximumExtendedSize = 1 << 20

    init(_ fileSystem: TmpfsFileSystem, attributes: FileAttributes) {
        tmpfs = fileSystem
        number = attributes.inode
        metadata = Lock(Metadata(attributes: attributes))
        super.init(fileSystem: fileSystem, type: attributes.type)
    }

    deinit { tmpfs.releaseInode() }

    override public func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes { metadata.withLock { $0.attributes } }

    override public func checkAccess(_ access: Access, _ context: any FileContext) throws(Errno) {
        let credentials = context.credentials
        try metadata.withLock { data throws(Errno) in try Permissions.check(data.attributes, access, credentials) }
    }

    override public func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        if change.size != nil { throw type == .directory ? .EISDIR : .EINVAL }
        let now = Timespec.now
        metadata.withLock { $0.attributes.apply(change, now: now) }
    }

    /// Modified now: mtime and ctime.
    func touch(_ now: Timespec = .now) {
        metadata.withLock { data in
            data.attributes.modificationTime = now
            data.attributes.changeTime = now
        }
    }

    /// A name was added (1) or removed (-1). EMLINK when there are too many.
    func changeLinks(_ difference: Int, _ now: Timespec = .now) throws(Errno) {
        try metadata.withLock { data throws(Errno) in
            let links = Int(data.attributes.links) + difference
            guard links >= 0, links < 1 << 31 else { throw .EMLINK }
            data.attributes.links = UInt32(links)
            data.attributes.changeTime = now
        }
    }

    // MARK: Extended attributes

    /// Access control lists (`system.posix_acl_access`) are not kept. Taking one as a plain attribute would be a lie: cp -a and tar set a
    /// file's mode by it, and fall back to chmod(2) where it is refused.
    private static func checkNameSpace(_ name: [UInt8]) throws(Errno) {
        if name.starts(with: Array("system.".utf8)) { throw .EOPNOTSUPP }
    }

    override public func extendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> [UInt8] {
        try Self.checkNameSpace(name)
        guard let value = metadata.withLock({ $0.extended[name] }) else { throw .ENODATA }
        return value
    }

    override public func extendedAttributeNames(_ context: any FileContext) throws(Errno) -> [[UInt8]] {
        metadata.withLock { Array($0.extended.keys) }
    }

    override public func setExtendedAttribute(_ name: [UInt8], _ value: [UInt8], flags: UInt32, _ context: any FileContext) throws(Errno) {
        try Self.checkNameSpace(name)
        let now = Timespec.now
        try metadata.withLock { data throws(Errno) in
            let old = data.extended[name]
            if flags & UInt32(XattrFlag.XATTR_CREATE) != 0, old != nil { throw .EEXIST }
            if flags & UInt32(XattrFlag.XATTR_REPLACE) != 0, old == nil { throw .ENODATA }
            let size = data.extendedSize - (old.map { $0.count + name.count } ?? 0) + value.count + name.count
            guard size <= Self.maximumExtendedSize else { throw .ENOSPC }
            data.extended[name] = value
            data.extendedSize = size
            data.attributes.changeTime = now
        }
    }

    override public func removeExtendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) {
        try Self.checkNameSpace(name)
        let now = Timespec.now
        try metadata.withLock { data throws(Errno) in
            guard let old = data.extended.removeValue(forKey: name) else { throw .ENODATA }
            data.extendedSize -= old.count + name.count
            data.attributes.changeTime = now
        }
    }
}

/// A symbolic link.
final class TmpfsSymlink: TmpfsInode, @unchecked Sendable {
    private let target: [UInt8]

    init(_ fileSystem: TmpfsFileSystem, attributes: FileAttributes, target: [UInt8]) {
        self.target = target
        super.init(fileSystem, attributes: attributes)
    }

    override func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] { target }
}

/// A device node, FIFO or socket: opened by what the base class finds for it.
final class TmpfsSpecial: TmpfsInode, @unchecked Sendable {}

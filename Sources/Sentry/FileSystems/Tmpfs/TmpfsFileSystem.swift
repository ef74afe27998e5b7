import Host
public import LinuxABI
public import SentryMemory
import SentryPlatform
public import SentryVFS
import Synchronization

/// A file system in memory (tmpfs(5)): names and attributes in the Sentry, file contents in pages of the container's memory file.
public final class TmpfsFileSystem: FileSystem, @unchecked Sendable {
    /// The mount options.
    public struct Options: Sendable {
        /// `size=`, in bytes; nil: only the container's memory limit.
        public var size: UInt64?
        /// `nr_inodes=`.
        public var inodes: UInt64?
        /// `mode=` of the root directory.
        public var mode: UInt32 = 0o1777
        public var user: UInt32 = 0
        public var group: UInt32 = 0
        public init() {}

        /// Parses the data string of mount(2). EINVAL for what it does not know.
        public init(parsing data: [UInt8]) throws(Errno) {
            for option in data.split(separator: UInt8(ascii: ",")) {
                let parts = option.split(separator: UInt8(ascii: "="), maxSplits: 1)
                let name = String(decoding: parts[0], as: UTF8.self)
                let value = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
                switch name {
                case "size": size = try Self.parseSize(value)
                case "nr_blocks": size = try Self.parseSize(value).multipliedReportingOverflow(by: pageSize).partialValue
                case "nr_inodes": inodes = try Self.parseSize(value)
                case "mode":
                    guard let number = UInt32(value, radix: 8) else { throw .EINVAL }
                    mode = number & 0o7777
                case "uid":
                    guard let number = UInt32(value) else { throw .EINVAL }
                    user = number
                case "gid":
                    guard let number = UInt32(value) else { throw .EINVAL }
                    group = number
                case "huge", "mpol", "inode32", "inode64", "noswap", "rw", "ro", "relatime", "nosuid", "nodev", "noexec": break
                default: throw .EINVAL
                }
            }
            // 0 means no limit.
            if size == 0 { size = nil }
            if inodes == 0 { inodes = nil }
        }

        /// A number with an optional k, m or g. Percentages of memory are not limited here: the container's limit holds.
        private static func parseSize(_ text: String) throws(Errno) -> UInt64 {
            if text.hasSuffix("%") { return 0 }
            var digits = Substring(text)
            var shift: UInt64 = 0
            switch text.last {
            case "k", "K": shift = 10
            case "m", "M": shift = 20
            case "g", "G": shift = 30
            case "t", "T": shift = 40
            default: break
            }
            if shift > 0 { digits = digits.dropLast() }
            guard let number = UInt64(digits), number <= .max >> shift else { throw .EINVAL }
            return number << shift
        }
    }

    let memory: MemoryFile
    private let options: Options
    /// What statfs(2) tells of a file system without a limit, in bytes.
    private static let unlimitedSize: UInt64 = 1 << 40
    /// The most pages that files may hold, and how many they do.
    private let pageLimit: UInt64
    private let pagesUsed = Atomic<UInt64>(0)
    private let inodesUsed = Atomic<UInt64>(0)
    private let lastInode = Atomic<UInt64>(0)
    private let rootStorage = Lock<TmpfsDirectory?>(nil)
    private let magic: UInt64
    /// Gives inode numbers that are unique beyond this instance.
    private let numbering: AnonymousFileSystem?

    /// `memory`: where file contents live.
    public init(
        memory: MemoryFile, options: Options = Options(), typeName: String = "tmpfs", device: UInt64 = FileSystem.makeDevice(),
        numbering: AnonymousFileSystem? = nil
    ) {
        self.numbering = numbering
        self.memory = memory
        self.options = options
        pageLimit = options.size.map { $0 / pageSize + ($0 % pageSize == 0 ? 0 : 1) } ?? .max
        magic = UInt64(FileSystemMagic.TMPFS_MAGIC)
        super.init(typeName: typeName, device: device)
    }

    override public var root: Inode {
        get throws(Errno) {
            rootStorage.withLock { storage in
                if let storage { return storage }
                let root = TmpfsDirectory(
                    self, parent: nil,
                    attributes: makeAttributes(.directory, permissions: options.mode, user: options.user, group: options.group))
                _ = inodesUsed.add(1, ordering: .relaxed)
                storage = root
                return root
            }
        }
    }

    func makeAttributes(_ type: FileType, permissions: UInt32, user: UInt32, group: UInt32) -> FileAttributes {
        var attributes = FileAttributes(type: type, permissions: permissions)
        attributes.device = device
        attributes.inode = numbering?.nextInode() ?? lastInode.add(1, ordering: .relaxed).newValue
        attributes.links = type == .directory ? 2 : 1
        attributes.user = user
        attributes.group = group
        attributes.blockSize = UInt32(pageSize)
        let now = Timespec.now
        attributes.accessTime = now
        attributes.modificationTime = now
        attributes.changeTime = now
        attributes.birthTime = now
        return attributes
    }

    /// Counts a new inode; ENOSPC at nr_inodes.
    func reserveInode() throws(Errno) {
        let used = inodesUsed.add(1, ordering: .relaxed).newValue
        if let limit = options.inodes, used > limit {
            inodesUsed.subtract(1, ordering: .relaxed)
            throw .ENOSPC
        }
    }

    func releaseInode() { inodesUsed.subtract(1, ordering: .relaxed) }

    /// Counts pages before they are allocated; ENOSPC at the size limit.
    func reservePages(_ count: UInt64) throws(Errno) {
        let used = pagesUsed.add(count, ordering: .relaxed).newValue
        if used > pageLimit {
            pagesUsed.subtract(count, ordering: .relaxed)
            throw .ENOSPC
        }
    }

    func releasePages(_ count: UInt64) { pagesUsed.subtract(count, ordering: .relaxed) }

    override public func statistics(_ context: any FileContext) throws(Errno) -> FileSystemStatistics {
        var result = FileSystemStatistics(magic: magic)
        result.blockSize = pageSize
        let used = pagesUsed.load(ordering: .relaxed)
        // Without a limit there is still a number: programs look for room before they write.
        let total = pageLimit == .max ? min(memory.limit, Self.unlimitedSize) / pageSize : pageLimit
        result.blocks = total
        result.freeBlocks = total > used ? total - used : 0
        result.availableBlocks = result.freeBlocks
        if let limit = options.inodes {
            let inodes = inodesUsed.load(ordering: .relaxed)
            result.files = limit
            result.freeFiles = limit > inodes ? limit - inodes : 0
        }
        result.identifier = device
        return result
    }

    override public var mountOptions: String {
        var parts: [String] = []
        if let size = options.size { parts.append("size=\(size >> 10)k") }
        if let inodes = options.inodes { parts.append("nr_inodes=\(inodes)") }
        if options.mode != 0o1777 { parts.append("mode=\(String(options.mode, radix: 8))") }
        if options.user != 0 { parts.append("uid=\(options.user)") }
        if options.group != 0 { parts.append("gid=\(options.group)") }
        return parts.joined(separator: ",")
    }

    override public func unmounted() {
        let root = rootStorage.withLock { storage in
            defer { storage = nil }
            return storage
        }
        // Take the tree apart iteratively: a deep one would overflow the stack if it fell by itself.
        var pending: [TmpfsDirectory] = root.map { [$0] } ?? []
        while let directory = pending.popLast() { pending += directory.takeApart() }
    }

    /// A regular file without a name in this file system: memfd_create(2), O_TMPFILE.
    public func makeUnnamed(permissions: UInt32, user: UInt32, group: UInt32) throws(Errno) -> TmpfsRegular {
        try reserveInode()
        var attributes = makeAttributes(.regular, permissions: permissions, user: user, group: group)
        attributes.links = 0
        return TmpfsRegular(self, attributes: attributes)
    }

    /// memfd_create(2): an open file in memory that nothing names. `seals`: those that it begins with.
    public static func makeMemoryFile(_ name: [UInt8], memory: MemoryFile, seals: UInt32, permissions: UInt32, _ context: any FileContext)
        throws(Errno) -> FileDescription
    {
        let anonymous = AnonymousFileSystem.memory
        let fileSystem = TmpfsFileSystem(memory: memory, device: anonymous.device, numbering: anonymous)
        let credentials = context.credentials
        let inode = try fileSystem.makeUnnamed(
            permissions: permissions, user: credentials.user.fileSystem, group: credentials.group.fileSystem)
        inode.setInitialSeals(seals)
        let place = anonymous.place(of: inode, name: Array("/memfd:".utf8) + name + Array(" (deleted)".utf8))
        return try inode.open(place, flags: [.O_RDWR, .O_LARGEFILE], context)
    }
}

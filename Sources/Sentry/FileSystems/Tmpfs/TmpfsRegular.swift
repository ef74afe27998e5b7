import Host
public import LinuxABI
public import SentryMemory
import SentryPlatform
public import SentryVFS

/// A regular file of tmpfs, or a memfd.
///
/// Lock order: `writing`, then an address space (while guest memory is copied, or told of a truncation), then `data`, then `metadata`.
public final class TmpfsRegular: TmpfsInode, MappableObject, @unchecked Sendable {
    private struct Data {
        var size: UInt64 = 0
        var pages = PageMap()
        /// Reads and writes that use pages without holding the lock: pages that go meanwhile are released by the last one.
        var transfers = 0
        var deferred: [Range<UInt64>] = []
        /// Address spaces that map the file, with how many mappings, and how many of them are shared and writable.
        var mappings: [ObjectIdentifier: (space: AddressSpace, count: Int)] = [:]
        var writableMappings = 0
        /// Bytes behind the end may have been stored through a mapping.
        var wasMapped = false
        /// F_SEAL_ bits of fcntl(2).
        var seals: UInt32 = SealFlags.F_SEAL_SEAL
        var isLinkable = false
        /// How it was reached by whoever mapped it last. An object that somebody points to weakly is slower to hold: no open does that.
        weak var dentry: Dentry?
        weak var mount: Mount?
    }
    private let data = Lock(Data())
    /// Serialises writes, truncation and fallocate, so that appends are atomic.
    private let writing = Lock<Void>(())
    /// The largest file: what fits a signed 64-bit number in whole pages.
    static let maximumSize = UInt64(Int64.max) & ~(pageSize - 1)
    /// How many bytes are copied between looks at the page map, and allocated at a time.
    private static let chunk = 1 << 20

    override init(_ fileSystem: TmpfsFileSystem, attributes: FileAttributes) {
        super.init(fileSystem, attributes: attributes)
    }

    deinit {
        let memory = tmpfs.memory
        let count = data.withLock { data -> UInt64 in
            let count = data.pages.count
            for range in data.pages.remove(0..<(.max)) + data.deferred { memory.release(range) }
            data.pages.releaseSpare(memory)
            return count
        }
        tmpfs.releasePages(count)
    }

    override public func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        var attributes = metadata.withLock { $0.attributes }
        let (size, pages) = data.withLock { ($0.size, $0.pages.count) }
        attributes.size = Int64(clamping: size)
        attributes.blocks = pages * (pageSize / 512)
        return attributes
    }

    override public func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        if let size = change.size {
            guard size >= 0 else { throw .EINVAL }
            try truncate(to: UInt64(size))
        }
        var rest = change
        rest.size = nil
        let now = Timespec.now
        metadata.withLock { data in
            data.attributes.apply(rest, now: now)
            if change.size != nil { data.attributes.modificationTime = now }
        }
    }

    override public func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        if flags.contains(.O_TRUNC) { try setAttributes(Self.toEmpty, context) }
        return TmpfsFile(self, path: path, flags: flags)
    }

    private static let toEmpty: AttributeChange = {
        var change = AttributeChange()
        change.size = 0
        return change
    }()

    public var size: UInt64 { data.withLock { $0.size } }

    // MARK: Names

    /// Whether link(2) may give it a first name (O_TMPFILE without O_EXCL).
    var isLinkable: Bool {
        get { data.withLock { $0.isLinkable } }
        set { data.withLock { $0.isLinkable = newValue } }
    }

    /// A name was removed: without any left it cannot come back.
    func lostName() { data.withLock { $0.isLinkable = false } }

    // MARK: Seals (memfd)

    public var seals: UInt32 { data.withLock { $0.seals } }

    /// For memfd_create(2): the seals that it begins with.
    public func setInitialSeals(_ seals: UInt32) { data.withLock { $0.seals = seals } }

    /// fcntl(2) F_ADD_SEALS: EPERM when sealed against it, EBUSY for F_SEAL_WRITE while a writable mapping exists.
    public func addSeals(_ seals: UInt32) throws(Errno) {
        try data.withLock { data throws(Errno) in
            if data.seals & SealFlags.F_SEAL_SEAL != 0 { throw .EPERM }
            if seals & SealFlags.F_SEAL_WRITE != 0, data.seals & SealFlags.F_SEAL_WRITE == 0, data.writableMappings > 0 { throw .EBUSY }
            data.seals |= seals
        }
    }

    // MARK: Reading

    /// How a read moves the access time (mount(8)).
    enum Touch {
        case never
        /// When it is not later than the last change, or a day old.
        case relative
        case always
    }

    func read(at offset: Int64, into buffer: inout IOBuffer, touch: Touch) throws(Errno) -> Int {
        guard offset >= 0 else { throw .EINVAL }
        var position = UInt64(offset)
        var done = 0
        data.withLock { $0.transfers += 1 }
        defer { endTransfer() }
        while buffer.remaining > 0 {
            let (memory, count) = data.withLock { data -> (UInt64?, Int) in
                guard position < data.size else { return (nil, 0) }
                let (memory, pages) = data.pages.find(position / pageSize)
                let inPage = position % pageSize
                let length = min(
                    pages.multipliedReportingOverflow(by: pageSize).overflow ? .max : pages * pageSize - inPage, data.size - position)
                return (memory.map { $0 + inPage }, Int(min(length, UInt64(buffer.remaining))))
            }
            if count == 0 { break }
            let copied: Int
            do throws(Errno) {
                if let memory {
                    copied = try buffer.fill(from: tmpfs.memory, offset: memory, count: count)
                } else {
                    copied = try buffer.zero(count)
                }
            } catch {
                if done > 0 { break }
                throw error
            }
            done += copied
            position += UInt64(copied)
            if copied < count { break }
        }
        // At the end of the file too.
        if touch != .never { wasRead(touch) }
        return done
    }

    private func wasRead(_ touch: Touch) {
        let day: Int64 = 86_400
        let now = Timespec.now
        metadata.withLock { data in
            let accessed = data.attributes.accessTime
            let isStale =
                accessed <= data.attributes.modificationTime || accessed <= data.attributes.changeTime
                || now.tv_sec.subtractingReportingOverflow(accessed.tv_sec).partialValue >= day
            if touch == .always || isStale { data.attributes.accessTime = now }
        }
    }

    private func endTransfer() {
        let released = data.withLock { data -> [Range<UInt64>] in
            data.transfers -= 1
            guard data.transfers == 0, !data.deferred.isEmpty else { return [] }
            defer { data.deferred = [] }
            return data.deferred
        }
        for range in released { tmpfs.memory.release(range) }
    }

    // MARK: Writing

    func write(at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext) throws(Errno) -> Int {
        guard offset >= 0 else { throw .EINVAL }
        return try writing.withLock { _ throws(Errno) in
            let seals = data.withLock { $0.seals }
            if seals & (SealFlags.F_SEAL_WRITE | SealFlags.F_SEAL_FUTURE_WRITE) != 0 { throw .EPERM }
            if append { offset = Int64(clamping: size) }
            let start = UInt64(offset)
            if buffer.remaining == 0 { return 0 }
            var limit = min(Self.maximumSize, context.fileSizeLimit)
            if start >= limit {
                if start >= context.fileSizeLimit { context.fileSizeExceeded() }
                throw .EFBIG
            }
            if seals & SealFlags.F_SEAL_GROW != 0 {
                limit = min(limit, size)
                if start >= limit { throw .EPERM }
            }
            let total = Int(min(UInt64(buffer.remaining), limit - start))
            var done = 0
            data.withLock { $0.transfers += 1 }
            defer { endTransfer() }
            while done < total {
                let count: Int
                do throws(Errno) {
                    count = try writeSome(at: start + UInt64(done), from: &buffer, limit: total - done)
                } catch {
                    if done > 0 { break }
                    throw error
                }
                if count == 0 { break }
                done += count
            }
            if done > 0 { wasWritten(context) }
            return done
        }
    }

    /// New times, and no set-ID bits any more unless the writer may keep them.
    private func wasWritten(_ context: any FileContext) {
        let now = Timespec.now
        let mayKeep = context.credentials.has(.CAP_FSETID)
        metadata.withLock { data in
            data.attributes.modificationTime = now
            data.attributes.changeTime = now
            if mayKeep { return }
            data.attributes.mode &= ~FileMode.S_ISUID
            if data.attributes.mode & FileMode.S_IXGRP != 0 { data.attributes.mode &= ~FileMode.S_ISGID }
        }
    }

    /// Writes into one run of pages, making them first.
    private func writeSome(at position: UInt64, from buffer: inout IOBuffer, limit: Int) throws(Errno) -> Int {
        let inPage = position % pageSize
        let wanted = (inPage + UInt64(min(limit, Self.chunk)) + pageSize - 1) / pageSize
        let (place, pages) = try data.withLock { data throws(Errno) in
            try prepareGrowth(&data, to: position)
            return try self.pages(&data, at: position / pageSize, wanted: wanted)
        }
        let count = Int(min(UInt64(limit), pages * pageSize - inPage))
        let copied = try buffer.drain(into: tmpfs.memory, offset: place + inPage, count: count)
        data.withLock { $0.size = max($0.size, position + UInt64(copied)) }
        return copied
    }

    /// The pages at `page`, made when there are none: where they are, and how many lie together (at least one, at most `wanted`).
    private func pages(_ data: inout Data, at page: UInt64, wanted: UInt64) throws(Errno) -> (UInt64, UInt64) {
        let (found, count) = data.pages.find(page)
        if let found { return (found, min(count, wanted)) }
        var needed = min(count, wanted)
        do throws(Errno) { try tmpfs.reservePages(needed) } catch {
            // Nearly full: what still fits.
            if needed == 1 { throw error }
            needed = 1
            try tmpfs.reservePages(1)
        }
        do throws(Errno) {
            let (memory, filled) = try data.pages.fill(page, wanted: needed, tmpfs.memory)
            if filled < needed { tmpfs.releasePages(needed - filled) }
            return (memory, filled)
        } catch {
            tmpfs.releasePages(needed)
            throw error
        }
    }

    /// Zeroes what a mapping may have stored behind the end, before the end moves beyond it.
    private func prepareGrowth(_ data: inout Data, to position: UInt64) throws(Errno) {
        guard data.wasMapped, position > data.size, data.size % pageSize != 0 else { return }
        let (memory, _) = data.pages.find(data.size / pageSize)
        if let memory { try tmpfs.memory.zero((memory + data.size % pageSize)..<(memory + pageSize)) }
    }

    // MARK: Size

    private func truncate(to size: UInt64) throws(Errno) {
        guard size <= Self.maximumSize else { throw .EFBIG }
        try writing.withLock { _ throws(Errno) in
            let spaces = try data.withLock { data throws(Errno) -> [AddressSpace] in
                if size < data.size, data.seals & SealFlags.F_SEAL_SHRINK != 0 { throw .EPERM }
                if size > data.size, data.seals & SealFlags.F_SEAL_GROW != 0 { throw .EPERM }
                if size >= data.size {
                    try prepareGrowth(&data, to: size)
                    data.size = size
                    return []
                }
                data.size = size
                return data.mappings.values.map { $0.space }
            }
            let firstGone = (size + pageSize - 1) / pageSize
            for space in spaces { space.invalidate(self, (firstGone * pageSize)..<(.max & ~(pageSize - 1))) }
            try data.withLock { data throws(Errno) in
                drop(&data, firstGone..<(.max / pageSize))
                // The rest of the last page reads zero when the file grows again.
                if size % pageSize != 0, let memory = data.pages.find(size / pageSize).memory {
                    try tmpfs.memory.zero((memory + size % pageSize)..<(memory + pageSize))
                }
            }
        }
    }

    /// Takes pages out of the file.
    private func drop(_ data: inout Data, _ range: Range<UInt64>) {
        let removed = data.pages.remove(range)
        var count: UInt64 = 0
        for range in removed { count += UInt64(range.count) / pageSize }
        tmpfs.releasePages(count)
        if data.transfers > 0 {
            data.deferred += removed
        } else {
            for range in removed { tmpfs.memory.release(range) }
        }
    }

    /// fallocate(2): allocation and holes; EOPNOTSUPP for the rest, as Linux's tmpfs.
    func allocate(mode: UInt32, offset: Int64, length: Int64, _ context: any FileContext) throws(Errno) {
        let keepSize = UInt32(FallocateMode.FALLOC_FL_KEEP_SIZE), punch = UInt32(FallocateMode.FALLOC_FL_PUNCH_HOLE)
        guard mode & ~(keepSize | punch) == 0, mode & punch == 0 || mode & keepSize != 0 else { throw .EOPNOTSUPP }
        guard offset >= 0, length > 0 else { throw .EINVAL }
        let (sum, overflow) = offset.addingReportingOverflow(length)
        guard !overflow, UInt64(sum) <= Self.maximumSize else { throw .EFBIG }
        let start = UInt64(offset), end = UInt64(sum)
        try writing.withLock { _ throws(Errno) in
            if mode & punch != 0 {
                try punchHole(start, end)
            } else {
                try allocate(start, end, keepSize: mode & keepSize != 0, context)
            }
            touch()
        }
    }

    private func allocate(_ start: UInt64, _ end: UInt64, keepSize: Bool, _ context: any FileContext) throws(Errno) {
        if !keepSize, end > size {
            if end > context.fileSizeLimit {
                context.fileSizeExceeded()
                throw .EFBIG
            }
            if seals & SealFlags.F_SEAL_GROW != 0 { throw .EPERM }
        }
        let last = (end + pageSize - 1) / pageSize
        var page = start / pageSize
        while page < last {
            page += try data.withLock { data throws(Errno) in
                let (found, count) = data.pages.find(page)
                if found != nil { return min(count, last - page) }
                let needed = min(count, last - page)
                // All or nothing at the size limit.
                try tmpfs.reservePages(needed)
                do throws(Errno) {
                    let filled = try data.pages.fill(page, wanted: needed, tmpfs.memory).count
                    tmpfs.releasePages(needed - filled)
                    return filled
                } catch {
                    tmpfs.releasePages(needed)
                    throw error
                }
            }
        }
        if !keepSize {
            try data.withLock { data throws(Errno) in
                try prepareGrowth(&data, to: end)
                data.size = max(data.size, end)
            }
        }
    }

    private func punchHole(_ start: UInt64, _ end: UInt64) throws(Errno) {
        if seals & (SealFlags.F_SEAL_WRITE | SealFlags.F_SEAL_FUTURE_WRITE) != 0 { throw .EPERM }
        let first = (start + pageSize - 1) / pageSize, last = end / pageSize
        if first < last {
            let spaces = data.withLock { $0.mappings.values.map { $0.space } }
            for space in spaces { space.invalidate(self, (first * pageSize)..<(last * pageSize)) }
        }
        try data.withLock { data throws(Errno) in
            if first < last { drop(&data, first..<last) }
            // The parts of pages at both ends are zeroed.
            let head = start..<min(end, first * pageSize)
            let tail = max(start, last * pageSize)..<max(end, last * pageSize)
            for part in head == tail ? [head] : [head, tail] where !part.isEmpty {
                guard let memory = data.pages.find(part.lowerBound / pageSize).memory else { continue }
                let place = memory + part.lowerBound % pageSize
                try tmpfs.memory.zero(place..<(place + UInt64(part.count)))
            }
        }
    }

    /// lseek(2) SEEK_DATA and SEEK_HOLE: ENXIO at or behind the end.
    func seek(to offset: Int64, data wantsData: Bool) throws(Errno) -> Int64 {
        try data.withLock { data throws(Errno) in
            guard offset >= 0, UInt64(offset) < data.size else { throw .ENXIO }
            var position = UInt64(offset)
            while position < data.size {
                let (memory, count) = data.pages.find(position / pageSize)
                if (memory != nil) == wantsData { return Int64(position) }
                let (end, overflow) = (position / pageSize).addingReportingOverflow(count)
                if overflow || end >= .max / pageSize { break }
                position = end * pageSize
            }
            if wantsData { throw .ENXIO }
            return Int64(data.size)
        }
    }

    // MARK: MappableObject

    public var mappingIdentity: MappingIdentity {
        MappingIdentity(device: tmpfs.device, inode: metadata.withLock { $0.attributes.inode })
    }

    /// It is about to be mapped through an open file of this path.
    fileprivate func setMappingPath(_ path: Path) {
        data.withLock { data in
            data.dentry = path.dentry
            data.mount = path.mount
        }
    }

    public var mappingPath: [UInt8] {
        let (dentry, mount) = data.withLock { ($0.dentry, $0.mount) }
        guard let dentry, let mount else { return [] }
        // Anonymous files are called as they are.
        guard let root = mount.namespace?.root else { return dentry.name }
        return VFS.displayPath(of: Path(mount: mount, dentry: dentry), root: root)
    }

    public var mappableSize: UInt64 { size }

    public func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        try data.withLock { data throws(Errno) in
            let end = (data.size + pageSize - 1) / pageSize
            let page = offset / pageSize
            guard page < end else { throw .ENXIO }
            // Holes are filled some pages at a time: touching one page of a large file must not allocate all of it.
            let asked = min(max(length / pageSize, 1), end - page)
            let isHole = data.pages.find(page).memory == nil
            let (memory, count) = try pages(&data, at: page, wanted: isHole ? min(asked, 16) : asked)
            return BackingRange(source: .memoryFile(offset: memory), length: count * pageSize)
        }
    }

    public func addMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        data.withLock { data in
            data.mappings[ObjectIdentifier(space), default: (space, 0)].count += 1
            if shared, writable { data.writableMappings += 1 }
            if shared { data.wasMapped = true }
        }
    }

    public func removeMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        data.withLock { data in
            if shared, writable { data.writableMappings -= 1 }
            guard var entry = data.mappings[ObjectIdentifier(space)] else { return }
            entry.count -= 1
            data.mappings[ObjectIdentifier(space)] = entry.count == 0 ? nil : entry
        }
    }
}

/// An open regular file of tmpfs.
final class TmpfsFile: FileDescription, @unchecked Sendable {
    private let file: TmpfsRegular

    init(_ file: TmpfsRegular, path: Path, flags: OpenFlags) {
        self.file = file
        super.init(path: path, flags: flags)
    }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { false }

    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let mount = path.mount.flags
        let isSpared = flags.contains(.O_NOATIME) || !mount.isDisjoint(with: [.noAccessTime, .readOnly])
        return try file.read(at: offset, into: &buffer, touch: isSpared ? .never : mount.contains(.strictAccessTime) ? .always : .relative)
    }

    override func write(at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext) throws(Errno) -> Int
    {
        try file.write(at: &offset, from: &buffer, append: append, context)
    }

    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        guard whence == SeekOrigin.SEEK_DATA || whence == SeekOrigin.SEEK_HOLE else {
            return try super.seek(distance, whence: whence, context)
        }
        return try offset.withLock { position throws(Errno) in
            position = try file.seek(to: distance, data: whence == SeekOrigin.SEEK_DATA)
            return position
        }
    }

    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {}

    override func allocate(mode: UInt32, offset: Int64, length: Int64, _ context: any FileContext) throws(Errno) {
        try file.allocate(mode: mode, offset: offset, length: length, context)
    }

    override func mappable(_ context: any FileContext) throws(Errno) -> any MappableObject {
        file.setMappingPath(path)
        return file
    }
}

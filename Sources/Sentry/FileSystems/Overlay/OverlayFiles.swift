import Host
import LinuxABI
import SentryMemory
import SentryVFS

extension OverlayInode {
    /// What the directory shows: the upper entries, and the lower ones that they do not hide.
    func mergedEntries() throws(Errno) -> [DirectoryEntry] {
        let context = KernelFileContext.shared
        let upper = upper
        var entries: [DirectoryEntry] = []
        var seen: Set<[UInt8]> = []
        if let upper {
            for entry in try overlay.entries(upper, isUpper: true) {
                seen.insert(entry.name)
                var shown = entry
                if let inode = try? upper.lookup(entry.name, context) {
                    if OverlayFileSystem.isWhiteout(inode) { continue }
                    // The same number as stat(2) gives.
                    let child = overlay.known(upper: inode) ?? (try? self.child(entry.name, context))
                    shown.inode = (try? child?.attributes(context).inode) ?? OverlayInode.upperNumber(entry.inode)
                }
                entries.append(shown)
            }
        }
        if let lower = visibleLower {
            for entry in try overlay.entries(lower, isUpper: false) where !seen.contains(entry.name) { entries.append(entry) }
        }
        return entries
    }
}

/// An open directory: what it showed when reading began, so that offsets stay with their entries.
final class OverlayDirectoryFile: FileDescription, @unchecked Sendable {
    private let directory: OverlayInode
    private let entries = Lock<[DirectoryEntry]?>(nil)

    init(_ directory: OverlayInode, path: Path, flags: OpenFlags) {
        self.directory = directory
        super.init(path: path, flags: flags)
    }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { false }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { throw .EISDIR }
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {}

    override func readDirectory(_ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
        let own = try directory.attributes(context).inode
        let parent = try path.dentry.parent?.inode?.attributes(context).inode ?? own
        try offset.withLock { position throws(Errno) in
            if position < 0 { throw .EINVAL }
            if position == 0 {
                // From the start: the directory as it is now.
                entries.withLock { $0 = nil }
                guard emit(DirectoryEntry(name: [0x2e], inode: own, type: .directory, nextOffset: 1)) else { return }
                position = 1
            }
            if position == 1 {
                guard emit(DirectoryEntry(name: [0x2e, 0x2e], inode: parent, type: .directory, nextOffset: 2)) else { return }
                position = 2
            }
            var list = entries.withLock { $0 }
            if list == nil {
                list = try directory.mergedEntries()
                entries.withLock { $0 = list }
            }
            guard let list else { return }
            while position - 2 < list.count {
                var entry = list[Int(position - 2)]
                entry.nextOffset = position + 1
                guard emit(entry) else { return }
                position += 1
            }
        }
    }
}

/// A regular file of the lower tree, open for reading. Once the file is copied up, the copy is what is read.
final class OverlayLowerFile: FileDescription, @unchecked Sendable {
    private let file: OverlayInode
    private struct State {
        var real: FileDescription
        var isUpper: Bool
    }
    private let state: Lock<State>

    init(_ file: OverlayInode, path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) {
        self.file = file
        guard let lower = file.lower else { throw .EIO }
        let real = try lower.open(path, flags: flags, context)
        state = Lock(State(real: real, isUpper: false))
        super.init(path: path, flags: flags)
    }

    private func real(_ context: any FileContext) throws(Errno) -> FileDescription {
        let (real, isUpper) = state.withLock { ($0.real, $0.isUpper) }
        guard !isUpper, let upper = file.upper else { return real }
        let copy = try upper.open(path, flags: flags, context)
        state.withLock { $0 = State(real: copy, isUpper: true) }
        return copy
    }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { false }
    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        try real(context).read(at: offset, into: &buffer, context)
    }
    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        guard whence == SeekOrigin.SEEK_DATA || whence == SeekOrigin.SEEK_HOLE else {
            return try super.seek(distance, whence: whence, context)
        }
        let found = try real(context).seek(distance, whence: whence, context)
        offset.withLock { $0 = found }
        return found
    }
    /// Nothing of it was ever written through here.
    override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) {}
    override func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        try real(context).ioctl(request, argument, context)
    }
    override func mappable(_ context: any FileContext) throws(Errno) -> any MappableObject { try real(context).mappable(context) }
}

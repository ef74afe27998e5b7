import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS

/// A directory of a synthetic file system. Subclasses say what is in it; nobody can add to it from outside.
///
/// Entries have positions: a position is where reading goes on, so it must grow from entry to entry and stay with its entry while others come and go
/// (the index of a fixed child, a process number, a descriptor number).
open class SyntheticDirectory: SyntheticInode, @unchecked Sendable {
    public init(_ fileSystem: SyntheticFileSystem, permissions: UInt32 = 0o555, number: UInt64? = nil) {
        super.init(fileSystem, type: .directory, permissions: permissions, number: number)
    }

    /// The child called `name`, or ENOENT.
    open override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode { throw .ENOENT }

    /// Entries at positions >= `position`, in order, until `emit` returns false. `nextOffset` of an entry is a position greater than its own.
    /// "." and ".." are not among them.
    open func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {}

    open override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        if flags.isWritable { throw .EISDIR }
        return SyntheticDirectoryFile(self, path: path, flags: flags)
    }
}

/// An open synthetic directory.
public final class SyntheticDirectoryFile: FileDescription, @unchecked Sendable {
    private let directory: SyntheticDirectory
    /// Positions of a directory begin after "." (0) and ".." (1).
    private static let base: Int64 = 2

    init(_ directory: SyntheticDirectory, path: Path, flags: OpenFlags) {
        self.directory = directory
        super.init(path: path, flags: flags)
    }

    public override var isSeekable: Bool { true }
    public override var isPollable: Bool { false }
    public override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { throw .EISDIR }
    public override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        throw .EISDIR
    }
    public override func sync(dataOnly: Bool, _ context: any FileContext) throws(Errno) { throw .EINVAL }

    public override func readDirectory(_ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
        let parentNumber: UInt64
        if let parent = path.dentry.parent?.inode as? SyntheticInode {
            parentNumber = parent.number
        } else {
            parentNumber = directory.number
        }
        try offset.withLock { position throws(Errno) in
            if position == 0 {
                guard emit(DirectoryEntry(name: [0x2e], inode: directory.number, type: .directory, nextOffset: 1)) else { return }
                position = 1
            }
            if position == 1 {
                guard emit(DirectoryEntry(name: [0x2e, 0x2e], inode: parentNumber, type: .directory, nextOffset: 2)) else { return }
                position = 2
            }
            let start = position - Self.base
            guard start >= 0 else { return }
            var reached = position
            try directory.entries(from: start, context) { entry in
                var entry = entry
                entry.nextOffset = entry.nextOffset.addingReportingOverflow(Self.base).partialValue
                guard emit(entry) else { return false }
                reached = entry.nextOffset
                return true
            }
            position = reached
        }
    }
}

/// A directory with a fixed list of children, made when the file system is built.
public class StaticDirectory: SyntheticDirectory, @unchecked Sendable {
    private struct Children {
        var list: [(name: [UInt8], inode: SyntheticInode)] = []
        var index: [[UInt8]: Int] = [:]
    }
    private let children = Lock(Children())

    /// Adds a child; a name that is there already is replaced. Only while the file system is built.
    @discardableResult public func add<Child: SyntheticInode>(_ name: String, _ inode: Child) -> Child {
        let bytes = Array(name.utf8)
        children.withLock { children in
            if let index = children.index[bytes] {
                children.list[index].inode = inode
            } else {
                children.index[bytes] = children.list.count
                children.list.append((name: bytes, inode: inode))
            }
        }
        return inode
    }

    /// The directory at `path` below this one, made as needed.
    @discardableResult public func directory(_ path: String) -> StaticDirectory {
        var current = self
        for component in path.split(separator: "/") {
            let name = String(component)
            if let next = current.child(Array(name.utf8)) as? StaticDirectory {
                current = next
            } else if let fileSystem = fileSystem as? SyntheticFileSystem {
                current = current.add(name, StaticDirectory(fileSystem))
            }
        }
        return current
    }

    /// The fixed child of that name.
    public func child(_ name: [UInt8]) -> SyntheticInode? {
        children.withLock { children in children.index[name].map { children.list[$0].inode } }
    }

    /// How many fixed children there are: the first position of what a subclass adds.
    public var fixedCount: Int64 { Int64(children.withLock { $0.list.count }) }

    public override var linkCount: UInt32 {
        UInt32(
            truncatingIfNeeded: 2 + children.withLock { children in children.list.reduce(0) { $0 + ($1.inode.type == .directory ? 1 : 0) } }
        )
    }

    public override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        guard let inode = child(name) else { throw .ENOENT }
        return inode
    }

    public override func entries(from position: Int64, _ context: any FileContext, _ emit: (DirectoryEntry) -> Bool) throws(Errno) {
        let list = children.withLock { $0.list }
        var index = position
        while index < Int64(list.count) {
            let child = list[Int(index)]
            guard emit(DirectoryEntry(name: child.name, inode: child.inode.number, type: child.inode.type, nextOffset: index + 1)) else {
                return
            }
            index += 1
        }
    }
}

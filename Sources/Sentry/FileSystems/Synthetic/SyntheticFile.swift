import Host
public import LinuxABI
import SentryMemory
public import SentryVFS

/// A file whose content is made when it is read.
public final class SyntheticFile: SyntheticInode, @unchecked Sendable {
    /// Makes the whole content, on behalf of the reader.
    public typealias Content = @Sendable (any FileContext) throws(Errno) -> [UInt8]
    /// Takes what one write(2) at the start of the file gave, at most a page. EINVAL when it makes no sense.
    public typealias Store = @Sendable ([UInt8], any FileContext) throws(Errno) -> Void
    /// Checked when the file is opened, before anything else (ptrace access rules); throws what open(2) says.
    public typealias Gate = @Sendable (any FileContext) throws(Errno) -> Void

    private let content: Content?
    private let store: Store?
    private let gate: Gate?
    private let ownerSource: (@Sendable () -> (user: UInt32, group: UInt32))?
    private let access: AccessRule
    private let unwritable: Errno

    /// How the mode bits bind.
    public enum AccessRule: Sendable {
        /// As those of any file.
        case usual
        /// No capability overrides them (sysctl files).
        case strict
    }

    /// `unwritable`: what write(2) says when there is no `store`.
    public init(
        _ fileSystem: SyntheticFileSystem, permissions: UInt32 = 0o444, number: UInt64? = nil,
        owner: (@Sendable () -> (user: UInt32, group: UInt32))? = nil, gate: Gate? = nil, access: AccessRule = .usual,
        unwritable: Errno = .EINVAL, store: Store? = nil, content: Content?
    ) {
        self.access = access
        self.unwritable = unwritable
        self.content = content
        self.store = store
        self.gate = gate
        ownerSource = owner
        super.init(fileSystem, type: .regular, permissions: permissions, number: number)
    }

    /// A file with text that never changes.
    public convenience init(_ fileSystem: SyntheticFileSystem, permissions: UInt32 = 0o444, unwritable: Errno = .EINVAL, text: String) {
        let bytes = Array(text.utf8)
        self.init(fileSystem, permissions: permissions, unwritable: unwritable, content: { _ throws(Errno) in bytes })
    }

    public override func owner() -> (user: UInt32, group: UInt32) { ownerSource?() ?? super.owner() }

    public override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        try gate?(context)
        return SyntheticOpenFile(path: path, flags: flags, content: content, store: store, unwritable: unwritable)
    }

    public override func checkAccess(_ access: Access, _ context: any FileContext) throws(Errno) {
        switch self.access {
        case .usual: try super.checkAccess(access, context)
        case .strict:
            let attributes = try attributes(context)
            var bits = attributes.permissions
            if context.credentials.user.effective == attributes.user {
                bits >>= 6
            } else if context.credentials.isMember(ofGroup: attributes.group) {
                bits >>= 3
            }
            if bits & access.rawValue != access.rawValue { throw .EACCES }
        }
    }
}

/// An open file with made content. The content is made by the first read and again by every read at offset 0, so that one pass through the file sees
/// one state, and rewinding sees the present one, as Linux's seq_file does.
class SyntheticOpenFile: FileDescription, @unchecked Sendable {
    private let content: SyntheticFile.Content?
    private let store: SyntheticFile.Store?
    private let unwritable: Errno
    private let snapshot = Lock<[UInt8]?>(nil)
    /// The longest write, in bytes; Linux's sysctl and attribute files take a page.
    private static let maximumWrite = 4096

    init(path: Path, flags: OpenFlags, content: SyntheticFile.Content?, store: SyntheticFile.Store?, unwritable: Errno = .EINVAL) {
        self.unwritable = unwritable
        self.content = content
        self.store = store
        super.init(path: path, flags: flags)
    }

    override var isSeekable: Bool { true }
    override var isPollable: Bool { true }

    override func read(at offset: Int64, into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard offset >= 0 else { throw .EINVAL }
        guard let make = content else { throw .EINVAL }
        let bytes = try current(rewound: offset == 0, make, context)
        guard offset < Int64(bytes.count) else { return 0 }
        let start = Int(offset)
        let count = min(bytes.count - start, buffer.remaining)
        return try buffer.copyOut(bytes.span.extracting(start..<start + count))
    }

    private func current(rewound: Bool, _ make: SyntheticFile.Content, _ context: any FileContext) throws(Errno) -> [UInt8] {
        if !rewound, let kept = snapshot.withLock({ $0 }) { return kept }
        let bytes = try make(context)
        snapshot.withLock { $0 = bytes }
        return bytes
    }

    override func write(
        at offset: inout Int64, from buffer: inout IOBuffer, append: Bool, _ context: any FileContext
    ) throws(Errno) -> Int {
        guard let store = store else { throw unwritable }
        let count = buffer.remaining
        guard count <= Self.maximumWrite else { throw .EINVAL }
        let bytes = try buffer.copyIn(limit: Self.maximumWrite)
        try store(bytes, context)
        offset = offset.addingReportingOverflow(Int64(bytes.count)).partialValue
        return bytes.count
    }
}

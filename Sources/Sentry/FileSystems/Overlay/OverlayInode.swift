import Host
import LinuxABI
import SentryVFS

/// A file of an overlay: an upper half that is used when it exists, a lower half behind it, or both (a directory: merged).
final class OverlayInode: Inode, @unchecked Sendable {
    let overlay: OverlayFileSystem
    /// What it was before anything was copied up; gives the number that stays. For a merged directory, what is merged.
    let lower: Inode?

    struct State {
        var upper: Inode?
        /// Where it is found, to be copied up to; nil for the root.
        var parent: OverlayInode?
        var name: [UInt8]
        /// Names added and removed, of a file with a lower half, whose own count does not change.
        var linkChange = 0
        var isLost = false
    }
    let state: Lock<State>
    /// Held while it is copied up. A parent's before its child's.
    let copying = Lock<Void>(())

    init(_ overlay: OverlayFileSystem, type: FileType, upper: Inode?, lower: Inode?, parent: OverlayInode?, name: [UInt8]) {
        self.overlay = overlay
        self.lower = lower
        state = Lock(State(upper: upper, parent: parent, name: name))
        super.init(fileSystem: overlay, type: type)
    }

    deinit {
        let (upper, parent) = state.withLock { state -> (Inode?, OverlayInode?) in
            defer { state.parent = nil }
            return (state.upper, state.parent)
        }
        overlay.forget(upper: upper, lower: lower)
        // Let go of a long chain of ancestors one by one, not by recursion.
        var next = parent
        while isKnownUniquelyReferenced(&next) {
            next = next?.state.withLock { state -> OverlayInode? in
                defer { state.parent = nil }
                return state.parent
            }
        }
    }

    var upper: Inode? { state.withLock { $0.upper } }
    /// What is read: the upper half if there is one.
    var real: Inode {
        get throws(Errno) {
            guard let real = upper ?? lower else { throw .EIO }
            return real
        }
    }
    /// The lower directory whose entries show through.
    var mergedLower: Inode? { type == .directory ? lower : nil }

    // MARK: Attributes

    override func attributes(_ context: any FileContext) throws(Errno) -> FileAttributes {
        let (upper, change) = state.withLock { ($0.upper, $0.linkChange) }
        guard let real = upper ?? lower else { throw .EIO }
        var attributes = try real.attributes(context)
        if let lower {
            let old = upper == nil ? attributes : try lower.attributes(context)
            attributes.inode = old.inode
            // Submounts of the lower tree keep their own device.
            attributes.device = old.device == overlay.lower.device ? overlay.device : old.device
            if type == .directory {
                // Like Linux's: 1 means "unknown", for those who would count subdirectories by it.
                attributes.links = upper == nil ? attributes.links : 1
            } else {
                attributes.links = UInt32(clamping: max(0, Int(old.links) + change))
            }
        } else {
            attributes.inode = Self.upperNumber(attributes.inode)
            attributes.device = overlay.device
        }
        return attributes
    }

    /// Numbers of files that were born in the upper tree must not meet those of the lower one.
    static func upperNumber(_ number: UInt64) -> UInt64 { number | 1 << 52 }

    override func setAttributes(_ change: AttributeChange, _ context: any FileContext) throws(Errno) {
        try copyUp(withData: change.size != 0)
        try upperHalf().setAttributes(change, context)
    }

    func upperHalf() throws(Errno) -> Inode {
        guard let upper else { throw .EIO }
        return upper
    }

    // MARK: Names; done in OverlayInode+Names.swift

    override func lookup(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Inode { try child(name, context) }
    override func walk(_ names: ArraySlice<[UInt8]>, _ context: any FileContext) throws(Errno) -> [Inode] {
        try walkNames(names, context)
    }
    override var walkDepth: Int { lower?.walkDepth ?? 1 }
    override var cachesNames: Bool { mergedLower?.cachesNames ?? true }
    override func revalidate(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool { stillMeans(name, child, context) }
    override func create(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        try make(name, context) { upper throws(Errno) in try upper.create(name, mode: mode, context) }
    }
    override func makeDirectory(_ name: [UInt8], mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        try make(name, context) { upper throws(Errno) in try upper.makeDirectory(name, mode: mode, context) }
    }
    override func makeNode(_ name: [UInt8], type: FileType, mode: UInt32, device: UInt64, _ context: any FileContext) throws(Errno) -> Inode
    {
        // It would hide what it should be.
        if type == .character, device == 0 { throw .EPERM }
        return try make(name, context) { upper throws(Errno) in
            try upper.makeNode(name, type: type, mode: mode, device: device, context)
        }
    }
    override func symlink(_ name: [UInt8], target: [UInt8], _ context: any FileContext) throws(Errno) -> Inode {
        try make(name, context) { upper throws(Errno) in try upper.symlink(name, target: target, context) }
    }
    override func createUnnamed(mode: UInt32, _ context: any FileContext) throws(Errno) -> Inode {
        try copyUp()
        let made = try upperHalf().createUnnamed(mode: mode, context)
        return overlay.inode(upper: made, lower: nil, parent: self, name: [])
    }
    override func link(_ name: [UInt8], to target: Inode, _ context: any FileContext) throws(Errno) {
        try addLink(name, to: target, context)
    }
    override func unlink(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        try removeFile(name, child, context)
    }
    override func removeDirectory(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        try removeSubdirectory(name, child, context)
    }
    override func rename(
        _ name: [UInt8], _ child: Inode, to newParent: Inode, _ newName: [UInt8], replacing replaced: Inode?, exchange: Bool,
        whiteout: Bool, _ context: any FileContext
    ) throws(Errno) {
        try move(name, child, to: newParent, newName, replacing: replaced, exchange: exchange, whiteout: whiteout, context)
    }

    // MARK: Opening

    override func readLink(_ context: any FileContext) throws(Errno) -> [UInt8] { try real.readLink(context) }

    override func open(_ path: Path, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        switch type {
        case .directory: return OverlayDirectoryFile(self, path: path, flags: flags)
        case .regular:
            if flags.isWritable || flags.contains(.O_TRUNC) { try copyUp(withData: !flags.contains(.O_TRUNC)) }
            if let upper { return try upper.open(path, flags: flags, context) }
            return try OverlayLowerFile(self, path: path, flags: flags, context)
        default: return try super.open(path, flags: flags, context)
        }
    }

    // MARK: Extended attributes; those of the overlay itself are its secret.

    private static func check(_ name: [UInt8]) throws(Errno) {
        if name.starts(with: OverlayFileSystem.attributePrefix) { throw .EOPNOTSUPP }
    }
    override func extendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> [UInt8] {
        try Self.check(name)
        return try real.extendedAttribute(name, context)
    }
    override func extendedAttributeNames(_ context: any FileContext) throws(Errno) -> [[UInt8]] {
        try real.extendedAttributeNames(context).filter { !$0.starts(with: OverlayFileSystem.attributePrefix) }
    }
    override func setExtendedAttribute(_ name: [UInt8], _ value: [UInt8], flags: UInt32, _ context: any FileContext) throws(Errno) {
        try Self.check(name)
        try copyUp()
        try upperHalf().setExtendedAttribute(name, value, flags: flags, context)
    }
    override func removeExtendedAttribute(_ name: [UInt8], _ context: any FileContext) throws(Errno) {
        try Self.check(name)
        // Not worth a copy when there is nothing to remove.
        _ = try real.extendedAttribute(name, context)
        try copyUp()
        try upperHalf().removeExtendedAttribute(name, context)
    }
}

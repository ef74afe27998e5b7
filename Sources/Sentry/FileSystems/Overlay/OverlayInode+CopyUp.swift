import Host
import LinuxABI
import SentryMemory
import SentryVFS

/// Copying a file of the lower tree up, so that it can be changed.
extension OverlayInode {
    private static let chunk = 1 << 20

    /// Gives the inode an upper half, and every directory above it. `withData`: the content too, unless it is about to be cut off.
    func copyUp(withData: Bool = true) throws(Errno) {
        if upper != nil { return }
        if overlay.isReadOnly { throw .EROFS }
        // From the top down; the chain is as long as the guest's paths are deep.
        var chain: [OverlayInode] = []
        var next: OverlayInode? = self
        while let inode = next, inode.upper == nil {
            chain.append(inode)
            next = inode.state.withLock { $0.parent }
        }
        for inode in chain.reversed() { try inode.copyUpAlone(withData: withData || inode !== self) }
    }

    private func copyUpAlone(withData: Bool) throws(Errno) {
        try copying.withLock { _ throws(Errno) in
            if upper != nil { return }
            guard let lower else { throw .EIO }
            let context = KernelFileContext.shared
            let (parent, name, isLost) = state.withLock { ($0.parent, $0.name, $0.isLost) }
            guard let parent else { throw .EIO }
            let attributes = try lower.attributes(context)
            let directory = try parent.upperHalf()

            if type == .regular {
                // It is complete before it gets its name.
                let made = try directory.createUnnamed(mode: 0o600, context)
                if withData { try copyData(from: lower, to: made, size: attributes.size) }
                try copyMetadata(from: lower, attributes, to: made)
                try publish(made) { () throws(Errno) in
                    if !isLost { try directory.link(name, to: made, context) }
                }
                return
            }
            try publishMade { () throws(Errno) -> Inode in
                let made: Inode
                switch type {
                case .directory: made = try directory.makeDirectory(name, mode: 0o700, context)
                case .symlink: made = try directory.symlink(name, target: try lower.readLink(context), context)
                default:
                    made = try directory.makeNode(
                        name, type: type, mode: attributes.permissions, device: attributes.specialDevice, context)
                }
                do throws(Errno) { try copyMetadata(from: lower, attributes, to: made) } catch {
                    if type == .directory {
                        try? directory.removeDirectory(name, made, context)
                    } else {
                        try? directory.unlink(name, made, context)
                    }
                    throw error
                }
                return made
            }
        }
    }

    /// Look-ups meet the upper file only together with the knowledge whose it is.
    private func publish(_ made: Inode, _ body: () throws(Errno) -> Void) throws(Errno) {
        try overlay.changing.withLock { _ throws(Errno) in
            try body()
            overlay.copiedUp(self, made)
            state.withLock { $0.upper = made }
        }
    }

    private func publishMade(_ body: () throws(Errno) -> Inode) throws(Errno) {
        try overlay.changing.withLock { _ throws(Errno) in
            let made = try body()
            overlay.copiedUp(self, made)
            state.withLock { $0.upper = made }
        }
    }

    private func copyMetadata(from lower: Inode, _ attributes: FileAttributes, to made: Inode) throws(Errno) {
        let context = KernelFileContext.shared
        let names: [[UInt8]]
        do throws(Errno) { names = type == .symlink ? [] : try lower.extendedAttributeNames(context) } catch {
            guard error == .EOPNOTSUPP else { throw error }
            names = []
        }
        for name in names where !name.starts(with: OverlayFileSystem.attributePrefix) {
            do throws(Errno) {
                try made.setExtendedAttribute(name, try lower.extendedAttribute(name, context), flags: 0, context)
            } catch {
                // As Linux does: what the upper file system has no place for is left behind, except where security hangs on it.
                guard error == .EOPNOTSUPP || error == .ENODATA, !name.starts(with: Array("security.".utf8)) else { throw error }
            }
        }
        var change = AttributeChange()
        change.user = attributes.user
        change.group = attributes.group
        if type != .symlink { change.permissions = attributes.permissions }
        change.accessTime = .at(attributes.accessTime)
        change.modificationTime = .at(attributes.modificationTime)
        try made.setAttributes(change, context)
    }

    private func copyData(from lower: Inode, to made: Inode, size: Int64) throws(Errno) {
        if size == 0 { return }
        let context = KernelFileContext.shared
        let source = try lower.open(overlay.place(lower, isUpper: false), flags: [], context)
        let target = try made.open(overlay.place(made, isUpper: true), flags: .O_RDWR, context)
        var position: Int64 = 0
        while position < size {
            // Holes stay holes, where the lower file system can tell.
            if let data = try? source.seek(position, whence: SeekOrigin.SEEK_DATA, context), data > position { position = data }
            var input = IOBuffer.kernel(capacity: min(Self.chunk, Int(clamping: size - position)))
            let count = try source.read(at: position, into: &input, context)
            if count == 0 { break }
            var output = IOBuffer.kernel(input.bytes)
            var done = 0
            while done < count {
                var place = position + Int64(done)
                let written = try target.write(at: &place, from: &output, append: false, context)
                if written == 0 { throw .EIO }
                done += written
            }
            position += Int64(count)
            // SEEK_DATA beyond the last data is ENXIO: the rest is a hole.
            if position < size, Self.endsInHole(source, position) { break }
        }
        var change = AttributeChange()
        change.size = size
        try made.setAttributes(change, context)
    }

    private static func endsInHole(_ file: FileDescription, _ position: Int64) -> Bool {
        do throws(Errno) {
            _ = try file.seek(position, whence: SeekOrigin.SEEK_DATA, KernelFileContext.shared)
            return false
        } catch { return error == .ENXIO }
    }
}

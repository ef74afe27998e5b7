import Host
import LinuxABI
import SentryVFS

/// Names in a directory that has two halves. The VFS holds the directory's lock around changes.
extension OverlayInode {
    // MARK: Looking up

    func child(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> OverlayInode {
        guard type == .directory else { throw .ENOTDIR }
        if let upper {
            if let found = try Self.find(name, in: upper, context) { return try child(name, upper: found, context) }
            // Nobody may copy it up between this look and the next: the table tells.
        }
        guard let lower = visibleLower, let found = try Self.find(name, in: lower, context) else { throw .ENOENT }
        return overlay.inode(lower: found, parent: self, name: name)
    }

    /// The child that an entry of the upper directory makes.
    private func child(_ name: [UInt8], upper found: Inode, _ context: any FileContext) throws(Errno) -> OverlayInode {
        if let known = overlay.known(upper: found) { return known }
        return try overlay.changing.withLock { _ throws(Errno) in
            if OverlayFileSystem.isWhiteout(found) { throw .ENOENT }
            if let known = overlay.known(upper: found) { return known }
            var below: Inode?
            if found.type == .directory, let lower = visibleLower, !OverlayFileSystem.isOpaque(found),
                let candidate = try Self.find(name, in: lower, context), candidate.type == .directory
            {
                below = candidate
            }
            return overlay.inode(upper: found, lower: below, parent: self, name: name)
        }
    }

    /// The lower directory, unless it was replaced.
    var visibleLower: Inode? { mergedLower }

    /// The entry, or nil when there is none.
    private static func find(_ name: [UInt8], in directory: Inode, _ context: any FileContext) throws(Errno) -> Inode? {
        do throws(Errno) { return try directory.lookup(name, context) } catch {
            if error == .ENOENT { return nil }
            throw error
        }
    }

    func walkNames(_ names: ArraySlice<[UInt8]>, _ context: any FileContext) throws(Errno) -> [Inode] {
        var result: [Inode] = []
        var current = self
        var rest = names
        while let name = rest.first, current.type == .directory {
            if let upper = current.upper, let found = try Self.find(name, in: upper, context) {
                do throws(Errno) {
                    let child = try current.child(name, upper: found, context)
                    result.append(child)
                    current = child
                    rest = rest.dropFirst()
                } catch {
                    if error == .ENOENT { return result }
                    throw error
                }
                continue
            }
            // From here on only the lower tree can have it: the rest in one go.
            guard let lower = current.visibleLower else { return result }
            let asked = rest.prefix(max(1, lower.walkDepth))
            let found = try lower.walk(asked, context)
            if found.isEmpty { return result }
            for inode in found {
                guard let name = rest.first else { return result }
                let child = overlay.inode(lower: inode, parent: current, name: name)
                result.append(child)
                rest = rest.dropFirst()
                current = child
                // Found again by another name, it has been copied up since: its entries are no more the lower ones alone.
                if child.upper != nil { break }
            }
            if found.count < asked.count, current.upper == nil { return result }
        }
        return result
    }

    /// Whether the name still means `child`: the upper tree is ours alone, of the lower one its own file system knows.
    func stillMeans(_ name: [UInt8], _ child: Inode?, _ context: any FileContext) -> Bool {
        let child = child as? OverlayInode
        if let upper {
            do throws(Errno) {
                if let found = try Self.find(name, in: upper, context) {
                    if OverlayFileSystem.isWhiteout(found) { return child == nil }
                    return child != nil && overlay.known(upper: found) === child
                }
            } catch { return false }
        }
        guard let lower = visibleLower else { return child == nil }
        if let child, child.lower == nil { return false }
        return lower.revalidate(name, child?.lower, context)
    }

    // MARK: Making

    /// Whether the lower half has something of that name that must be hidden.
    private func lowerHas(_ name: [UInt8], _ context: any FileContext) throws(Errno) -> Bool {
        guard let lower = visibleLower else { return false }
        return try Self.find(name, in: lower, context) != nil
    }

    /// Takes the whiteout of that name away, if there is one.
    private func removeWhiteout(_ name: [UInt8], in upper: Inode, _ context: any FileContext) throws(Errno) {
        guard let found = try Self.find(name, in: upper, context), OverlayFileSystem.isWhiteout(found) else { return }
        try upper.unlink(name, found, KernelFileContext.shared)
    }

    private func makeWhiteout(_ name: [UInt8], in upper: Inode) throws(Errno) {
        _ = try upper.makeNode(name, type: .character, mode: 0, device: 0, KernelFileContext.shared)
    }

    func make(_ name: [UInt8], _ context: any FileContext, _ body: (Inode) throws(Errno) -> Inode) throws(Errno) -> Inode {
        try copyUp()
        let upper = try upperHalf()
        let hides = try lowerHas(name, context)
        return try overlay.changing.withLock { _ throws(Errno) in
            try removeWhiteout(name, in: upper, context)
            let made: Inode
            do throws(Errno) {
                made = try body(upper)
                if hides, made.type == .directory { try OverlayFileSystem.makeOpaque(made) }
            } catch {
                if hides, try Self.find(name, in: upper, context) == nil { try makeWhiteout(name, in: upper) }
                throw error
            }
            return overlay.inode(upper: made, lower: nil, parent: self, name: name)
        }
    }

    func addLink(_ name: [UInt8], to target: Inode, _ context: any FileContext) throws(Errno) {
        guard let target = target as? OverlayInode, target.overlay === overlay else { throw .EXDEV }
        try target.copyUp()
        try copyUp()
        let upper = try upperHalf()
        let source = try target.upperHalf()
        try overlay.changing.withLock { _ throws(Errno) in
            try removeWhiteout(name, in: upper, context)
            try upper.link(name, to: source, context)
            target.state.withLock { state in
                state.linkChange += 1
                state.isLost = false
            }
            if target.lower != nil { overlay.copiedUp(target, source) }
        }
    }

    // MARK: Removing

    func removeFile(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        guard let child = child as? OverlayInode else { throw .EIO }
        try copyUp()
        let upper = try upperHalf()
        let hides = try lowerHas(name, context)
        try overlay.changing.withLock { _ throws(Errno) in
            if let found = try Self.find(name, in: upper, context) { try upper.unlink(name, found, context) }
            if hides { try makeWhiteout(name, in: upper) }
            child.lostName(context)
        }
    }

    private func lostName(_ context: any FileContext) {
        state.withLock { $0.linkChange -= 1 }
        guard (try? attributes(context).links) ?? 0 == 0 else { return }
        state.withLock { $0.isLost = true }
        overlay.lost(self)
    }

    /// Whether the directory has no entry that can be seen.
    private func isEmptyDirectory() throws(Errno) -> Bool { try mergedEntries().isEmpty }

    /// Takes the whiteouts out of a directory that is to be removed.
    private func clearWhiteouts(_ upper: Inode, _ context: any FileContext) throws(Errno) {
        for entry in try overlay.entries(upper, isUpper: true) { try removeWhiteout(entry.name, in: upper, context) }
    }

    func removeSubdirectory(_ name: [UInt8], _ child: Inode, _ context: any FileContext) throws(Errno) {
        guard let child = child as? OverlayInode else { throw .EIO }
        guard try child.isEmptyDirectory() else { throw .ENOTEMPTY }
        try copyUp()
        let upper = try upperHalf()
        let hides = try lowerHas(name, context)
        try overlay.changing.withLock { _ throws(Errno) in
            if let victim = child.upper {
                try clearWhiteouts(victim, context)
                try upper.removeDirectory(name, victim, context)
            }
            if hides { try makeWhiteout(name, in: upper) }
            child.state.withLock { $0.isLost = true }
            overlay.lost(child)
        }
    }

    // MARK: Renaming

    func move(
        _ name: [UInt8], _ child: Inode, to newParent: Inode, _ newName: [UInt8], replacing replaced: Inode?, exchange: Bool,
        whiteout: Bool, _ context: any FileContext
    ) throws(Errno) {
        guard let child = child as? OverlayInode, let newParent = newParent as? OverlayInode else { throw .EXDEV }
        let victim = replaced as? OverlayInode
        if !exchange, let victim, victim.type == .directory, try !victim.isEmptyDirectory() { throw .ENOTEMPTY }
        try child.copyUp()
        if exchange, let victim { try victim.copyUp() }
        try copyUp()
        try newParent.copyUp()
        let source = try upperHalf(), target = try newParent.upperHalf()
        let moved = try child.upperHalf()
        let hidesOld = try lowerHas(name, context), hidesNew = try newParent.lowerHas(newName, context)
        try overlay.changing.withLock { _ throws(Errno) in
            // A hard link that was copied up by another name has no entry of its own here yet.
            if try Self.find(name, in: source, context) == nil { try source.link(name, to: moved, context) }
            if exchange, let victim {
                let other = try victim.upperHalf()
                if try Self.find(newName, in: target, context) == nil { try target.link(newName, to: other, context) }
                if hidesOld, victim.type == .directory, victim.lower == nil { try OverlayFileSystem.makeOpaque(other) }
                if hidesNew, child.type == .directory, child.lower == nil { try OverlayFileSystem.makeOpaque(moved) }
                try source.rename(
                    name, moved, to: target, newName, replacing: other, exchange: true, whiteout: false, KernelFileContext.shared)
                victim.state.withLock { state in
                    state.parent = self
                    state.name = name
                }
            } else {
                // A directory that comes where the lower tree has one does not continue it.
                if hidesNew, child.type == .directory, child.lower == nil { try OverlayFileSystem.makeOpaque(moved) }
                var over = try Self.find(newName, in: target, context)
                if let found = over, OverlayFileSystem.isWhiteout(found), child.type == .directory {
                    // A directory cannot replace a file.
                    try target.unlink(newName, found, KernelFileContext.shared)
                    over = nil
                }
                if let victim, victim.type == .directory, let directory = victim.upper { try clearWhiteouts(directory, context) }
                try source.rename(
                    name, moved, to: target, newName, replacing: over, exchange: false, whiteout: hidesOld || whiteout,
                    KernelFileContext.shared)
                if let victim {
                    if victim.type == .directory {
                        victim.state.withLock { $0.isLost = true }
                        overlay.lost(victim)
                    } else {
                        victim.lostName(context)
                    }
                }
            }
            child.state.withLock { state in
                state.parent = newParent
                state.name = newName
            }
        }
    }
}

import Host
import LinuxABI
import SentryMemory
import SentryVFS

extension HostView {
    /// The answer to one question. ENOSYS makes the kernel do without the operation.
    mutating func reply(to request: inout FuseRequest) throws(Errno) -> FuseReply {
        switch request.operation {
        case FuseOperation.FUSE_INIT: return try initialize(&request)
        case FuseOperation.FUSE_DESTROY: return FuseReply()
        case FuseOperation.FUSE_LOOKUP: return try entry(child(request.name(), of: request.node))
        case FuseOperation.FUSE_GETATTR: return .attributes(shown(try VFS.attributes(of: place(request.node), context)))
        case FuseOperation.FUSE_SETATTR: return try setAttributes(&request)
        case FuseOperation.FUSE_READLINK:
            let empty: [UInt8] = []
            return FuseReply(bytes: try VFS.readLink(empty.span, at: place(request.node), .emptyPath, context))
        case FuseOperation.FUSE_OPEN, FuseOperation.FUSE_OPENDIR: return try open(&request)
        case FuseOperation.FUSE_CREATE: return try create(&request)
        case FuseOperation.FUSE_READ: return try read(&request)
        case FuseOperation.FUSE_WRITE: return try write(&request)
        case FuseOperation.FUSE_READDIR: return try readDirectory(&request)
        case FuseOperation.FUSE_RELEASE, FuseOperation.FUSE_RELEASEDIR:
            close(try request.word64())
            return FuseReply()
        case FuseOperation.FUSE_FSYNC:
            let file = try file(request.word64())
            try file.sync(dataOnly: request.word32() & FuseConstant.FUSE_FSYNC_FDATASYNC != 0, context)
            return FuseReply()
        case FuseOperation.FUSE_FSYNCDIR: return FuseReply()
        case FuseOperation.FUSE_STATFS: return try statistics(request.node)
        case FuseOperation.FUSE_GETXATTR, FuseOperation.FUSE_LISTXATTR, FuseOperation.FUSE_SETXATTR, FuseOperation.FUSE_REMOVEXATTR:
            return try extendedAttributes(&request)
        default: return try changeNames(&request)
        }
    }

    private func child(_ name: [UInt8], of node: UInt64) throws(Errno) -> Path {
        try VFS.resolve(name.span, at: place(node), [], context)
    }

    private func initialize(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let major = try request.word32()
        _ = try request.word32()
        let readAhead = try request.word32()
        let offered = try request.word32()
        var reply = FuseReply()
        reply.add(FuseConstant.FUSE_KERNEL_VERSION)
        reply.add(FuseConstant.minorVersion)
        // A kernel of a later major version asks again after this.
        if major > FuseConstant.FUSE_KERNEL_VERSION { return reply }
        reply.add(readAhead)
        reply.add(offered & (FuseConstant.FUSE_ATOMIC_O_TRUNC | FuseConstant.FUSE_BIG_WRITES))
        reply.add16(16)
        reply.add16(12)
        reply.add(Self.maximumWrite)
        // Times in nanoseconds; then fields of later versions.
        reply.add(UInt32(1))
        for _ in 0..<9 { reply.add(UInt32(0)) }
        return reply
    }

    // MARK: Attributes

    private func setAttributes(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let place = try place(request.node)
        let valid = try request.word32()
        try request.skip(4 + 8)
        let size = try request.word64()
        try request.skip(8)
        let (accessSeconds, modificationSeconds) = (try request.word64(), try request.word64())
        try request.skip(8)
        let (accessNanoseconds, modificationNanoseconds) = (try request.word32(), try request.word32())
        try request.skip(4)
        let mode = try request.word32()
        try request.skip(4)
        let (user, group) = (try request.word32(), try request.word32())

        func has(_ bit: UInt32) -> Bool { valid & bit != 0 }
        func time(_ bit: UInt32, _ now: UInt32, _ seconds: UInt64, _ nanoseconds: UInt32) -> AttributeChange.Time? {
            if has(now) { return .now }
            return has(bit) ? .at(Timespec(tv_sec: Int64(bitPattern: seconds), tv_nsec: Int64(nanoseconds))) : nil
        }
        if has(FuseConstant.FATTR_SIZE) {
            guard let size = Int64(exactly: size) else { throw .EFBIG }
            try VFS.truncate(place, size: size, context)
        }
        if has(FuseConstant.FATTR_UID | FuseConstant.FATTR_GID) {
            guard let user = identities.users.container(user) ?? (has(FuseConstant.FATTR_UID) ? nil : 0),
                let group = identities.groups.container(group) ?? (has(FuseConstant.FATTR_GID) ? nil : 0)
            else { throw .EOVERFLOW }
            try VFS.changeOwner(
                place, user: has(FuseConstant.FATTR_UID) ? user : nil, group: has(FuseConstant.FATTR_GID) ? group : nil, context)
        }
        if has(FuseConstant.FATTR_MODE) { try VFS.changeMode(place, mode & 0o7777, context) }
        try VFS.changeTimes(
            place, access: time(FuseConstant.FATTR_ATIME, FuseConstant.FATTR_ATIME_NOW, accessSeconds, accessNanoseconds),
            modification: time(FuseConstant.FATTR_MTIME, FuseConstant.FATTR_MTIME_NOW, modificationSeconds, modificationNanoseconds),
            context)
        return .attributes(shown(try VFS.attributes(of: place, context)))
    }

    private func statistics(_ node: UInt64) throws(Errno) -> FuseReply {
        let statistics = try place(node).mount.fileSystem.statistics(context)
        var reply = FuseReply()
        for value in [
            statistics.blocks, statistics.freeBlocks, statistics.availableBlocks, statistics.files, statistics.freeFiles,
        ] {
            reply.add(value)
        }
        for value in [statistics.blockSize, statistics.maximumName, statistics.blockSize] { reply.add(UInt32(clamping: value)) }
        for _ in 0..<7 { reply.add(UInt32(0)) }
        return reply
    }

    private func extendedAttributes(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let place = try place(request.node)
        if request.operation == FuseOperation.FUSE_REMOVEXATTR {
            let name = try request.text()
            try VFS.removeExtendedAttribute(place, name, context)
            return FuseReply()
        }
        let size = try request.word32()
        let flags = try request.word32()
        let value: [UInt8]
        switch request.operation {
        case FuseOperation.FUSE_SETXATTR:
            let name = try request.text()
            try VFS.setExtendedAttribute(place, name, request.data(size), flags: flags, context)
            return FuseReply()
        case FuseOperation.FUSE_LISTXATTR: value = try VFS.extendedAttributeNames(place, context).flatMap { $0 + [0] }
        default: value = try VFS.extendedAttribute(place, request.text(), context)
        }
        if size == 0 {
            var reply = FuseReply()
            reply.add(UInt32(clamping: value.count))
            reply.add(UInt32(0))
            return reply
        }
        guard value.count <= Int(size) else { throw .ERANGE }
        return FuseReply(bytes: value)
    }

    // MARK: Data

    /// Opening must not wait: nobody else serves this view meanwhile.
    private static func flags(_ raw: UInt32) -> OpenFlags {
        OpenFlags(rawValue: raw).subtracting([.O_CREAT, .O_EXCL, .O_ASYNC, .O_DIRECT]).union([.O_NONBLOCK, .O_NOCTTY])
    }

    private mutating func open(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let file = try VFS.open(place(request.node), flags: Self.flags(request.word32()), context)
        var reply = FuseReply()
        reply.addOpened(try opened(file))
        return reply
    }

    private mutating func create(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let flags = OpenFlags(rawValue: try request.word32())
        let mode = try request.word32()
        try request.skip(8)
        let name = try request.name()
        let file = try VFS.open(
            name.span, at: place(request.node),
            flags: Self.flags(flags.rawValue).union(flags.intersection(.O_EXCL)).union([.O_CREAT, .O_NOFOLLOW]),
            mode: mode & 0o7777, context)
        let handle = try opened(file)
        var reply: FuseReply
        do throws(Errno) { reply = try entry(file.path) } catch {
            close(handle)
            throw error
        }
        reply.addOpened(handle)
        return reply
    }

    private func read(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let file = try file(request.word64())
        var offset = Int64(clamping: try request.word64())
        var buffer = IOBuffer.kernel(capacity: Int(min(try request.word32(), 1 << 20)))
        while buffer.remaining > 0 {
            let count: Int
            do throws(Errno) { count = try file.read(at: offset, into: &buffer, context) } catch {
                if buffer.bytes.isEmpty { throw error }
                break
            }
            if count <= 0 { break }
            offset = offset.addingReportingOverflow(Int64(count)).partialValue
        }
        return FuseReply(bytes: buffer.bytes)
    }

    private func write(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let file = try file(request.word64())
        var offset = Int64(clamping: try request.word64())
        let size = try request.word32()
        try request.skip(4 + 8 + 4 + 4)
        var buffer = IOBuffer.kernel(try request.data(size))
        while buffer.remaining > 0 {
            let before = offset
            let count: Int
            do throws(Errno) {
                count = try file.write(at: &offset, from: &buffer, append: false, context)
            } catch {
                if buffer.remaining == Int(size) { throw error }
                break
            }
            if count <= 0 { break }
            if offset == before { offset = offset.addingReportingOverflow(Int64(count)).partialValue }
        }
        var reply = FuseReply()
        reply.add(UInt32(clamping: Int(size) - buffer.remaining))
        reply.add(UInt32(0))
        return reply
    }

    private func readDirectory(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let file = try file(request.word64())
        let offset = Int64(clamping: try request.word64())
        let size = Int(min(try request.word32(), 1 << 20))
        file.offset.withLock { $0 = offset }
        var reply = FuseReply()
        try file.readDirectory(context) { entry in
            let length = 24 + entry.name.count
            let padded = (length + 7) & ~7
            guard reply.bytes.count + padded <= size else { return false }
            reply.add(entry.inode)
            reply.add(UInt64(bitPattern: entry.nextOffset))
            reply.add(UInt32(truncatingIfNeeded: entry.name.count))
            reply.add(UInt32(entry.type.directoryEntryType))
            reply.bytes += entry.name
            for _ in length..<padded { reply.bytes.append(0) }
            return true
        }
        return reply
    }

    // MARK: Names

    private mutating func changeNames(_ request: inout FuseRequest) throws(Errno) -> FuseReply {
        let directory = try place(request.node)
        switch request.operation {
        case FuseOperation.FUSE_MKDIR:
            let mode = try request.word32()
            try request.skip(4)
            let name = try request.name()
            _ = try VFS.makeDirectory(name.span, at: directory, mode: mode & 0o7777, context)
            return try entry(child(name, of: request.node))
        case FuseOperation.FUSE_MKNOD:
            let (mode, device) = (try request.word32(), try request.word32())
            try request.skip(8)
            let name = try request.name()
            _ = try VFS.makeNode(name.span, at: directory, mode: mode, device: UInt64(device), context)
            return try entry(child(name, of: request.node))
        case FuseOperation.FUSE_SYMLINK:
            let name = try request.name()
            _ = try VFS.symlink(request.text(), name.span, at: directory, context)
            return try entry(child(name, of: request.node))
        case FuseOperation.FUSE_LINK:
            let source = try place(request.word64())
            let name = try request.name()
            try VFS.link(source, name.span, at: directory, context)
            return try entry(child(name, of: request.node))
        case FuseOperation.FUSE_UNLINK:
            let name = try request.name()
            try VFS.unlink(name.span, at: directory, context)
        case FuseOperation.FUSE_RMDIR:
            let name = try request.name()
            try VFS.removeDirectory(name.span, at: directory, context)
        case FuseOperation.FUSE_RENAME, FuseOperation.FUSE_RENAME2:
            let target = try place(request.word64())
            var flags: UInt32 = 0
            if request.operation == FuseOperation.FUSE_RENAME2 {
                flags = try request.word32()
                try request.skip(4)
            }
            let (old, new) = (try request.name(), try request.name())
            try VFS.rename(old.span, at: directory, to: new.span, at: target, flags: flags, context)
        default: throw .ENOSYS
        }
        return FuseReply()
    }
}

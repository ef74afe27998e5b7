import Host
import LinuxABI
import SentryMemory
import SentryVFS

/// What mmap(2) sees of a file: the host's own pages behind a donated descriptor.
extension GoferInode: MappableObject {
    var mappingIdentity: MappingIdentity {
        state.withLock { MappingIdentity(device: $0.attributes.device, inode: $0.attributes.inode) }
    }

    var mappingPath: [UInt8] { state.withLock { $0.mappingPath } }

    var mappableSize: UInt64 {
        let (size, descriptor) = state.withLock { ($0.attributes.size, $0.writing ?? $0.reading) }
        // On a shared tree the host knows better.
        if tree.isShared, let descriptor, let status = try? HostCall.fileStatus(descriptor.rawValue) {
            return UInt64(clamping: status.st_size)
        }
        return UInt64(clamping: size)
    }

    var isConstant: Bool { tree.isConstant }

    func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        if write, tree.isReadOnly { throw .EACCES }
        return BackingRange(source: .descriptor(try descriptor(writable: write), offset: offset), length: length)
    }

    func addMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        state.withLock { state in
            state.mappings[ObjectIdentifier(space), default: Mapping(space: space, regions: 0)].regions += 1
            // Stores through the mapping change times without a call that we see.
            if shared, writable { state.isStale = true }
        }
    }

    func removeMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        state.withLock { state in
            let key = ObjectIdentifier(space)
            guard var mapping = state.mappings[key] else { return }
            mapping.regions -= 1
            state.mappings[key] = mapping.regions > 0 ? mapping : nil
            if shared, writable {
                state.isStale = true
                state.changes &+= 1
            }
        }
    }

    func syncMapping(offset: UInt64, length: UInt64) throws(Errno) {
        let descriptor = state.withLock { $0.writing }
        if let descriptor { try HostCall.synchronize(descriptor.rawValue, dataOnly: true) }
    }

    /// Pages from `size` on are gone or moved. No lock is held.
    func invalidateMappings(from size: UInt64) {
        let spaces = state.withLock { Array($0.mappings.values) }
        let page: UInt64 = 4096
        let start = size > UInt64.max - page ? UInt64.max : (size + page - 1) & ~(page - 1)
        for mapping in spaces { mapping.space?.invalidate(self, start..<UInt64.max) }
    }
}

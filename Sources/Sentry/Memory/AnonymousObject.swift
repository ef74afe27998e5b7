import LinuxABI
import SentryPlatform
import Synchronization

/// Shared anonymous memory (MAP_SHARED | MAP_ANONYMOUS): what Linux keeps as a deleted file of its internal tmpfs.
final class AnonymousObject: MappableObject {
    private static let nextInode = Atomic<UInt64>(1)
    private let memoryFile: MemoryFile
    private let range: Range<UInt64>
    let mappingIdentity: MappingIdentity

    init(memoryFile: MemoryFile, length: UInt64) throws(Errno) {
        self.memoryFile = memoryFile
        range = try memoryFile.allocate(length)
        mappingIdentity = MappingIdentity(device: 1, inode: Self.nextInode.add(1, ordering: .relaxed).oldValue)
    }

    deinit { memoryFile.release(range) }

    var mappingPath: [UInt8] { Array("/dev/zero (deleted)".utf8) }
    var mappableSize: UInt64 { range.upperBound - range.lowerBound }

    func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        guard offset < mappableSize else { throw .ENXIO }
        return BackingRange(source: .memoryFile(offset: range.lowerBound + offset), length: min(length, mappableSize - offset))
    }

    func discardMapping(offset: UInt64, length: UInt64) throws(Errno) {
        guard offset < mappableSize else { return }
        let start = range.lowerBound + offset
        try memoryFile.discard(start..<start + min(length, mappableSize - offset))
    }
}

import Host
import LinuxABI
import SentryPlatform
import Synchronization
import Testing

@testable import SentryMemory

let rw: Protection = [.read, .write]
let anonymous: MapFlags = [.MAP_PRIVATE, .MAP_ANONYMOUS]

func makeSpace(_ platform: any Platform = NullPlatform(), limits: MemoryLimits = MemoryLimits()) throws -> AddressSpace {
    let layout = AddressLayout.standard(maximumAddress: platform.maximumGuestAddress, stackLimit: 8 << 20, random: 0)
    return try AddressSpace(platform: platform, memoryFile: try MemoryFile.anonymous(), layout: layout, limits: limits)
}

/// A file of a file system as mmap sees it: bytes in the memory file.
final class FakeFile: MappableObject {
    let mappingIdentity = MappingIdentity(device: 0x801, inode: 77)
    let mappingPath = Array("/some/file".utf8)
    let file: MemoryFile
    let range: Range<UInt64>
    let size: Lock<UInt64>
    let mappings = Atomic<Int>(0)
    init(_ file: MemoryFile, _ bytes: [UInt8], pages: UInt64 = 4) throws {
        self.file = file
        range = try file.allocate(pages * pageSize)
        size = Lock(UInt64(bytes.count))
        try file.write(bytes.span, at: range.lowerBound)
    }
    var mappableSize: UInt64 { size.withLock { $0 } }
    func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        let end = (mappableSize + pageSize - 1) / pageSize * pageSize
        guard offset < end else { throw .ENXIO }
        return BackingRange(source: .memoryFile(offset: range.lowerBound + offset), length: min(length, end - offset))
    }
    func addMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        mappings.add(Int(length), ordering: .relaxed)
    }
    func removeMapping(_ space: AddressSpace, offset: UInt64, length: UInt64, shared: Bool, writable: Bool) {
        mappings.subtract(Int(length), ordering: .relaxed)
    }
}

/// A file that the host keeps.
final class HostFile: MappableObject {
    let mappingIdentity = MappingIdentity(device: 0x801, inode: 78)
    let mappingPath = Array("/host/file".utf8)
    let descriptor: SharedDescriptor
    let size: Lock<UInt64>
    init(_ bytes: [UInt8]) throws {
        let name = Array("host".utf8)
        let file = try HostCall.withPath(name) { p throws(Errno) in
            OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.memfd_create, p, 1))))
        }
        try HostCall.writeAll(file.rawValue, bytes.span)
        descriptor = SharedDescriptor(file)
        size = Lock(UInt64(bytes.count))
    }
    var mappableSize: UInt64 { size.withLock { $0 } }
    func backing(offset: UInt64, length: UInt64, write: Bool) throws(Errno) -> BackingRange {
        BackingRange(source: .descriptor(descriptor, offset: offset), length: length)
    }
}

@Suite struct MappingTests {
    @Test func mapsReadsAndWrites() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 10000, protection: rw, flags: anonymous))
        #expect(address % pageSize == 0)
        try space.copyOut([1, 2, 3], to: address + 4095)
        #expect(try space.copyIn(from: address + 4094, count: 5) == [0, 1, 2, 3, 0])
        try space.store(UInt64(0x1122_3344_5566_7788), to: address + 8)
        #expect(try space.load(address + 8, as: UInt32.self) == 0x5566_7788)
        #expect(throws: Errno.EFAULT) { try space.copyOut([1], to: address + 3 * pageSize) }
        #expect(throws: Errno.EFAULT) { try space.copyIn(from: 0, count: 1) }
        #expect(throws: Errno.EFAULT) { try space.copyIn(from: .max - 2, count: 8) }
        #expect(try space.copyOutPartial([UInt8](repeating: 9, count: 100).span, to: address + 3 * pageSize - 40) == 40)
        let inline: InlineArray<8, UInt8> = try space.copyIn(from: address + 8)
        #expect(inline[0] == 0x88)
        try space.zero(address, count: 3 * pageSize)
        #expect(try space.load(address + 8, as: UInt64.self) == 0)
    }

    @Test func strings() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 2 * pageSize, protection: rw, flags: anonymous))
        try space.copyOut(Array("hello".utf8) + [0, 65], to: address + 4090)
        #expect(try space.copyInString(at: address + 4090, max: 4096) == Array("hello".utf8))
        #expect(throws: Errno.ENAMETOOLONG) { try space.copyInString(at: address + 4090, max: 5) }
        #expect(try space.copyInString(at: address + 4090, max: 6) == Array("hello".utf8))
        let long = [UInt8](repeating: 66, count: 1000)
        try space.copyOut(long + [0], to: address)
        #expect(try space.copyInString(at: address, max: 4096) == long)
        try space.copyOut([UInt8](repeating: 67, count: 100), to: address + 2 * pageSize - 100)
        #expect(throws: Errno.EFAULT) { try space.copyInString(at: address + 2 * pageSize - 100, max: 4096) }
        #expect(throws: Errno.EFAULT) { try space.copyInString(at: 4096, max: 4096) }
        #expect(try space.copyInString(at: address + 1000, max: 4096) == [])
    }

    /// A page of a private file mapping is the file's until it is written, whatever happens to its neighbours.
    @Test func unwrittenPagesOfAPrivateMappingAreTheFiles() throws {
        let space = try makeSpace()
        let bytes = [UInt8](repeating: 1, count: 4 * Int(pageSize))
        let inMemory = try FakeFile(space.memoryFile, bytes), onTheHost = try HostFile(bytes)
        let files: [(any MappableObject, (UInt64) throws -> Void)] = [
            (inMemory, { try inMemory.file.write([9].span, at: inMemory.range.lowerBound + $0) }),
            (onTheHost, { _ = try HostCall.write(onTheHost.descriptor.rawValue, at: Int64($0), [9].span) }),
        ]
        for (object, write) in files {
            let address = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: .MAP_PRIVATE, object: object))
            try space.copyOut([7], to: address + pageSize)
            for offset in [0, pageSize + 1, 2 * pageSize] { try write(offset) }
            #expect(try space.load(address, as: UInt8.self) == 9)
            #expect(try space.copyIn(from: address + pageSize, count: 2) == [7, 1])
            #expect(try space.load(address + 2 * pageSize, as: UInt8.self) == 9)
            #expect(try space.load(address + 3 * pageSize, as: UInt8.self) == 1)
        }
    }

    @Test func protectionIsHonoured() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 3 * pageSize, protection: rw, flags: anonymous))
        try space.protect(address + pageSize, length: pageSize, protection: .read)
        #expect(throws: Errno.EFAULT) { try space.copyOut([1], to: address + pageSize) }
        #expect(space.regions().count == 3)
        #expect(try space.forceCopyOut([7].span, to: address + pageSize) == 1)
        #expect(try space.load(address + pageSize, as: UInt8.self) == 7)
        try space.protect(address + pageSize, length: pageSize, protection: .none)
        #expect(throws: Errno.EFAULT) { try space.load(address + pageSize, as: UInt8.self) }
        try space.protect(address, length: 3 * pageSize, protection: rw)
        #expect(space.regions().count == 1)
        #expect(throws: Errno.ENOMEM) { try space.protect(address, length: 4 * pageSize, protection: .read) }
        #expect(throws: Errno.EINVAL) { try space.protect(address + 1, length: pageSize, protection: .read) }
    }

    @Test func batchesMatchTheBooks() throws {
        let space = try makeSpace()
        let null = try #require(space.platformSpace as? NullAddressSpace)
        let address = try space.map(MapRequest(address: 0x10_0000, length: 4 * pageSize, protection: rw, flags: [anonymous, .MAP_FIXED]))
        #expect(null.takeBatches().count == 1)
        try space.unmap(address + pageSize, length: pageSize)
        let batches = null.takeBatches()
        #expect(batches.count == 1 && batches[0].count == 1)
        guard case .unmap(let start, let length) = batches[0][0] else { throw Errno.EINVAL }
        #expect(start == address + pageSize && length == pageSize)
        #expect(space.regions().map { $0.start } == [address, address + 2 * pageSize])
        // Reserved memory costs no trip until it is used.
        let reserved = try space.map(MapRequest(length: 1 << 40, protection: .none, flags: [anonymous, .MAP_NORESERVE]))
        #expect(null.takeBatches().isEmpty)
        try space.protect(reserved, length: 1 << 20, protection: rw)
        #expect(null.takeBatches().count == 1)
        try space.copyOut([5], to: reserved + 100)
    }

    /// What one batch maps, as (pages from `base`, pages, protection).
    private func mapped(_ batch: [MappingOperation], from base: UInt64) -> [[UInt64]] {
        batch.map { operation in
            guard case .map(let address, let length, let protection, _, _, _) = operation else { return [] }
            return [(address - base) / pageSize, length / pageSize, UInt64(protection.rawValue)]
        }
    }

    @Test func mappingsWaitForTheFirstTouch() throws {
        let space = try makeSpace()
        let null = try #require(space.platformSpace as? NullAddressSpace)
        null.isInhabited = true
        let base: UInt64 = 0x100_0000
        func map(_ page: UInt64, _ count: UInt64, _ protection: Protection = rw) throws {
            let request = MapRequest(
                address: base + page * pageSize, length: count * pageSize, protection: protection, flags: [anonymous, .MAP_FIXED])
            _ = try space.map(request)
        }
        func touch(_ page: UInt64) -> FaultOutcome { space.handleFault(base + page * pageSize, access: .read) }
        // What is given back untouched costs no trip.
        try map(0, 4)
        try space.unmap(base, length: 4 * pageSize)
        #expect(null.takeBatches().isEmpty)
        // All that waits comes with the first touch.
        try map(0, 4)
        try map(10, 1)
        try space.copyOut([1], to: base)
        #expect(null.takeBatches().isEmpty)
        #expect(touch(10) == .resolved)
        var batches = null.takeBatches()
        #expect(batches.count == 1)
        #expect(mapped(batches.first ?? [], from: base) == [[0, 4, 3], [10, 1, 3]])
        // What the stub shows goes at once.
        try space.unmap(base, length: pageSize)
        #expect(null.takeBatches().count == 1)
        // Parts that were replaced, taken away or protected before.
        try map(20, 8)
        try map(22, 1, .read)
        try space.unmap(base + 24 * pageSize, length: pageSize)
        try space.protect(base + 26 * pageSize, length: pageSize, protection: .none)
        #expect(null.takeBatches().isEmpty)
        #expect(touch(20) == .resolved)
        batches = null.takeBatches()
        #expect(batches.count == 1)
        #expect(
            mapped(batches.first ?? [], from: base).sorted { $0[0] < $1[0] } == [
                [20, 2, 3], [22, 1, 1], [23, 1, 3], [25, 1, 3], [26, 1, 0], [27, 1, 3],
            ])
        #expect(touch(24) == .signal(number: Signal.SIGSEGV, code: 1))
        // They go ahead of other changes, which may be about the same place.
        try map(30, 2)
        try space.unmap(base + 20 * pageSize, length: 11 * pageSize)
        batches = null.takeBatches()
        #expect(batches.count == 1 && batches[0].count == 2)
        #expect(mapped(batches[0], from: base)[0] == [31, 1, 3])
        // A batch that failed is made good by the next fault.
        try map(40, 2)
        null.failBatches(with: .ENOMEM)
        #expect(touch(40) == .outOfMemory)
        null.failBatches(with: nil)
        #expect(touch(40) == .resolved)
        #expect(mapped(null.takeBatches().first ?? [], from: base) == [[40, 2, 3]])
        // No more than so many wait.
        for page in 0..<200 as Range<UInt64> { try map(100 + 2 * page, 1) }
        #expect(null.takeBatches().count == 3)
    }

    @Test func pagesOfALibraryAreCopiedTogether() throws {
        let space = try makeSpace()
        let null = try #require(space.platformSpace as? NullAddressSpace)
        let file = try HostFile([UInt8](repeating: 7, count: 8 * Int(pageSize)))
        for flags in [MapFlags.MAP_PRIVATE, [.MAP_PRIVATE, .MAP_DENYWRITE]] {
            var request = MapRequest(length: 4 * pageSize, protection: rw, flags: flags)
            request.object = file
            let address = try space.map(request)
            _ = null.takeBatches()
            #expect(space.handleFault(address + pageSize, access: .write) == .resolved)
            let batches = null.takeBatches()
            guard batches.count == 1, case .map(_, let length, _, _, _, _) = batches[0][0] else { throw Errno.EINVAL }
            #expect(flags.contains(.MAP_DENYWRITE) ? length > pageSize : length == pageSize)
        }
    }

    @Test func releasesToComeAreWaitedFor() throws {
        let file = try MemoryFile.anonymous()
        #expect(!file.awaitReleases())
        let range = try file.allocate(pageSize)
        file.expectRelease()
        try startThread { file.releaseExpected([range]) }
        while file.awaitReleases() {}
        #expect(file.allocated == 0)
    }

    @Test func fixedReplacesAndNoReplaceRefuses() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 3 * pageSize, protection: rw, flags: anonymous))
        try space.copyOut([9], to: address + pageSize)
        #expect(throws: Errno.EEXIST) {
            try space.map(MapRequest(address: address, length: pageSize, protection: rw, flags: [anonymous, .MAP_FIXED_NOREPLACE]))
        }
        _ = try space.map(MapRequest(address: address + pageSize, length: pageSize, protection: rw, flags: [anonymous, .MAP_FIXED]))
        #expect(try space.load(address + pageSize, as: UInt8.self) == 0)
        #expect(throws: Errno.EINVAL) { try space.map(MapRequest(length: 0, protection: rw, flags: anonymous)) }
        #expect(throws: Errno.EINVAL) { try space.map(MapRequest(length: 1, protection: rw, flags: .MAP_ANONYMOUS)) }
        #expect(throws: Errno.ENOMEM) { try space.map(MapRequest(length: .max, protection: rw, flags: anonymous)) }
        #expect(throws: Errno.EPERM) {
            try space.map(MapRequest(address: 0, length: pageSize, protection: rw, flags: [anonymous, .MAP_FIXED]))
        }
        let low = try space.map(MapRequest(length: pageSize, protection: rw, flags: [anonymous, .MAP_32BIT]))
        #expect(low < 0x8000_0000)
        let hinted = try space.map(MapRequest(address: 0x5555_0000_0123, length: pageSize, protection: rw, flags: anonymous))
        #expect(hinted == 0x5555_0000_0000)
    }

    @Test func limits() throws {
        var limits = MemoryLimits()
        limits.addressSpace = 16 * pageSize
        limits.data = 8 * pageSize
        limits.locked = 2 * pageSize
        let space = try makeSpace(limits: limits)
        #expect(throws: Errno.ENOMEM) { try space.map(MapRequest(length: 9 * pageSize, protection: rw, flags: anonymous)) }
        #expect(throws: Errno.ENOMEM) { try space.map(MapRequest(length: 17 * pageSize, protection: .read, flags: anonymous)) }
        let address = try space.map(MapRequest(length: 8 * pageSize, protection: rw, flags: anonymous))
        #expect(throws: Errno.EAGAIN) {
            try space.map(MapRequest(length: 3 * pageSize, protection: .read, flags: [anonymous, .MAP_LOCKED]))
        }
        #expect(throws: Errno.ENOMEM) { try space.lock(address, length: 3 * pageSize, lock: true) }
        try space.lock(address, length: 2 * pageSize, lock: true)
        #expect(space.statistics().locked == 2 * pageSize)
        try space.lock(address, length: 2 * pageSize, lock: false)
        #expect(space.statistics().locked == 0)
    }

    @Test func breakGrowsAndShrinks() throws {
        let space = try makeSpace()
        space.setInitialBreak(0x40_0123)
        let start = space.brk(0)
        #expect(start == 0x40_1000)
        #expect(space.brk(start + 10000) == start + 10000)
        try space.copyOut([1], to: start + 9999)
        #expect(space.regions()[0].name == Array("[heap]".utf8))
        #expect(space.brk(start + 100) == start + 100)
        #expect(throws: Errno.EFAULT) { try space.copyOut([1], to: start + 9999) }
        #expect(space.brk(start + 10000) == start + 10000)
        #expect(try space.load(start + 9999, as: UInt8.self) == 0)
        #expect(space.brk(.max) == start + 10000)
    }

    @Test func remapping() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 2 * pageSize, protection: rw, flags: anonymous))
        try space.copyOut([1, 2, 3], to: address + pageSize)
        // Something above: it cannot grow in place.
        let moved = try space.remap(address, oldLength: 2 * pageSize, newLength: 5 * pageSize, flags: .MREMAP_MAYMOVE, newAddress: 0)
        #expect(try space.copyIn(from: moved + pageSize, count: 3) == [1, 2, 3])
        #expect(try space.load(moved + 4 * pageSize, as: UInt8.self) == 0)
        let fixed = try space.remap(
            moved, oldLength: 5 * pageSize, newLength: pageSize, flags: [.MREMAP_MAYMOVE, .MREMAP_FIXED], newAddress: 0x100_0000)
        #expect(fixed == 0x100_0000)
        #expect(throws: Errno.EFAULT) { try space.load(moved, as: UInt8.self) }
        #expect(try space.remap(fixed, oldLength: pageSize, newLength: 3 * pageSize, flags: [], newAddress: 0) == fixed)
        try space.copyOut([4], to: fixed + 2 * pageSize)
        #expect(try space.remap(fixed, oldLength: 3 * pageSize, newLength: pageSize, flags: [], newAddress: 0) == fixed)
        #expect(throws: Errno.EFAULT) { try space.load(fixed + 2 * pageSize, as: UInt8.self) }
        #expect(throws: Errno.EFAULT) {
            try space.remap(0x9000_0000, oldLength: pageSize, newLength: pageSize * 2, flags: [], newAddress: 0)
        }
    }

    @Test func stackGrowsWithinItsLimit() throws {
        let space = try makeSpace()
        let top = space.layout.stackTop & ~(pageSize - 1)
        _ = try space.map(
            MapRequest(
                address: top - 4 * pageSize, length: 4 * pageSize, protection: rw, flags: [anonymous, .MAP_FIXED, .MAP_GROWSDOWN],
                name: Array("[stack]".utf8)))
        #expect(space.handleFault(top - 100 * pageSize, access: .write) == .resolved)
        try space.copyOut([1], to: top - 200 * pageSize)
        #expect(space.handleFault(top - (9 << 20), access: .write) == .signal(number: 11, code: 1))
        #expect(throws: Errno.EFAULT) { try space.copyOut([1], to: top - (9 << 20)) }
        #expect(space.regions().count == 1)
    }

    @Test func memoryGoesBackToTheHost() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 1 << 20, protection: rw, flags: anonymous))
        #expect(space.memoryFile.usage == 0)
        try space.zero(address, count: 1 << 20)
        #expect(space.memoryFile.usage == 1 << 20)
        #expect(space.statistics().resident == 1 << 20)
        #expect(try space.mincore(address, length: 1 << 20).allSatisfy { $0 == 1 })
        try space.advise(address, length: 1 << 19, advice: MemoryAdvice.MADV_DONTNEED)
        #expect(space.memoryFile.usage == 1 << 19)
        try space.unmap(address, length: 1 << 20)
        #expect(space.memoryFile.usage == 0)
        #expect(space.memoryFile.allocated == 0)
        _ = try space.map(MapRequest(length: 1 << 20, protection: rw, flags: [anonymous, .MAP_POPULATE]))
        #expect(space.memoryFile.usage == 1 << 20)
        space.destroy()
        #expect(space.memoryFile.usage == 0)
        #expect(throws: Errno.EFAULT) { try space.load(address, as: UInt8.self) }
    }
}

@Suite struct ForkTests {
    @Test func copyOnWriteBothWays() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        let address = try parent.map(MapRequest(length: 64 * pageSize, protection: rw, flags: anonymous))
        let shared = try parent.map(MapRequest(length: pageSize, protection: rw, flags: [.MAP_SHARED, .MAP_ANONYMOUS]))
        try parent.copyOut([1], to: address)
        try parent.copyOut([2], to: address + 40 * pageSize)
        let child = try parent.fork(on: platform)
        try child.copyOut([11], to: address)
        #expect(try parent.load(address, as: UInt8.self) == 1)
        try parent.copyOut([12], to: address + 40 * pageSize)
        #expect(try child.load(address + 40 * pageSize, as: UInt8.self) == 2)
        try parent.copyOut([33], to: shared)
        #expect(try child.load(shared, as: UInt8.self) == 33)
        #expect(try parent.futexKey(address: shared, shared: true) == child.futexKey(address: shared, shared: true))
        #expect(try parent.futexKey(address: address, shared: true) != child.futexKey(address: address, shared: true))
        let grandchild = try child.fork(on: platform)
        try child.copyOut([44], to: address)
        #expect(try grandchild.load(address, as: UInt8.self) == 11)
        child.destroy()
        #expect(try grandchild.load(address, as: UInt8.self) == 11)
        grandchild.destroy()
        // The last owner takes its pages back: no copy, one batch.
        let before = parent.memoryFile.usage
        try parent.copyOut([5], to: address + 8 * pageSize)
        try parent.copyOut([5], to: address + 60 * pageSize)
        #expect(parent.memoryFile.usage <= before + 2 * pageSize)
        parent.destroy()
        #expect(parent.memoryFile.usage == 0)
        #expect(parent.memoryFile.allocated == 0)
    }

    @Test func forkIsOneBatchEach() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        let object = try FakeFile(parent.memoryFile, Array("code".utf8))
        _ = try parent.map(MapRequest(length: pageSize, protection: [.read, .execute], flags: .MAP_PRIVATE, object: object))
        try mapPieces(parent)
        let null = try #require(parent.platformSpace as? NullAddressSpace)
        _ = null.takeBatches()
        let child = try parent.fork(on: platform)
        #expect(null.takeBatches().count == 1)
        #expect((child.platformSpace as? NullAddressSpace)?.takeBatches().count == 1)
        // Nothing was written since: the parent is left alone.
        let second = try parent.fork(on: platform)
        #expect(null.takeBatches().isEmpty)
        second.destroy()
    }

    /// Ten times three writable pages and one that is not; where they begin.
    @discardableResult private func mapPieces(_ space: AddressSpace) throws -> [UInt64] {
        try (0..<10).map { _ in
            let address = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: anonymous))
            try space.protect(address, length: pageSize, protection: .read)
            return address
        }
    }

    @Test func childrenMapWhatTheyTouch() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        let pieces = try mapPieces(parent)
        let touched = pieces[4] + 2 * pageSize
        func map(_ child: AddressSpace) throws -> [MappingOperation] {
            try #require(child.platformSpace as? NullAddressSpace).takeBatches().flatMap { $0 }
        }
        let first = try parent.fork(on: platform)
        #expect(try map(first).isEmpty)
        #expect(first.handleFault(touched, access: .read) == .resolved)
        #expect(try map(first).count == 10)
        // Where the first one looked, the second will: it finds that at once.
        let second = try parent.fork(on: platform)
        let urgent = try map(second)
        #expect(urgent.count == 1)
        #expect(urgent.first?.range.contains(touched) == true)
        // A write that has to be copied as well takes one fault.
        let other = pieces[7] + pageSize
        try parent.store(1 as UInt8, to: other)
        #expect(second.handleFault(other, access: .write) == .resolved)
        let rest = try map(second)
        #expect(rest.count == 10)
        if case .map(_, _, rw, _, _, true)? = rest.last {} else { Issue.record("the page is not writable") }
        #expect(second.handleFault(touched, access: .read) == .resolved)
        try second.store(2 as UInt8, to: other)
        #expect(try parent.load(other, as: UInt8.self) == 1)
        #expect(try second.load(other, as: UInt8.self) == 2)
        // What is unmapped before anybody touched it never is.
        let third = try parent.fork(on: platform)
        _ = try map(third)
        try third.unmap(pieces[0], length: 4 * pageSize)
        #expect(third.handleFault(pieces[1], access: .read) == .resolved)
        #expect(try map(third).allSatisfy { !$0.range.contains(pieces[0]) })
        for child in [first, second, third] { child.destroy() }
        parent.destroy()
        #expect(parent.memoryFile.allocated == 0)
    }

    @Test func whatIsWrittenAfterForksIsCopiedAhead() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        let null = try #require(parent.platformSpace as? NullAddressSpace)
        let address = try parent.map(MapRequest(length: 64 * pageSize, protection: rw, flags: anonymous))
        let habit = address + 9 * pageSize, rare = address + 40 * pageSize
        try parent.store(1 as UInt8, to: habit)
        try parent.store(1 as UInt8, to: rare)
        let first = try parent.fork(on: platform)
        // The child's write teaches the parent's next fork, which has this page for itself afterwards.
        try first.store(2 as UInt8, to: habit)
        first.destroy()
        #expect(parent.handleFault(habit, access: .write) == .resolved)
        try parent.store(3 as UInt8, to: habit)
        _ = null.takeBatches()
        let second = try parent.fork(on: platform)
        let child = try #require(second.platformSpace as? NullAddressSpace)
        let operations = child.takeBatches().flatMap { $0 }
        #expect(
            operations.contains {
                if case .map(habit, pageSize, rw, _, _, _) = $0 { return true }
                return false
            })
        #expect(operations.count == 3)
        _ = null.takeBatches()
        // Neither writes of the one nor of the other cost a batch, or are seen by the other.
        try parent.store(4 as UInt8, to: habit)
        #expect(null.takeBatches().isEmpty)
        #expect(try second.load(habit, as: UInt8.self) == 3)
        try second.store(5 as UInt8, to: habit)
        #expect(child.takeBatches().isEmpty)
        #expect(try parent.load(habit, as: UInt8.self) == 4)
        // The other pages are shared as ever.
        try second.store(6 as UInt8, to: rare)
        #expect(child.takeBatches().count == 1)
        #expect(try parent.load(rare, as: UInt8.self) == 1)
        second.destroy()
        parent.destroy()
        #expect(parent.memoryFile.allocated == 0)
    }

    @Test func largeProgramsForkWithoutFaultsToo() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        // Far apart, so that no copy comes with another.
        let address = try parent.map(MapRequest(length: 100 * 32 * pageSize, protection: rw, flags: anonymous))
        let pages = (0..<100).map { address + UInt64($0) * 32 * pageSize }
        for page in pages { try parent.store(1 as UInt8, to: page) }
        let first = try parent.fork(on: platform)
        for page in pages { try first.store(2 as UInt8, to: page) }
        // Their neighbours have been copied with them: more mappings than mmap(2) leaves for later.
        let second = try first.fork(on: platform)
        let child = try #require(second.platformSpace as? NullAddressSpace)
        let urgent = child.takeBatches().flatMap { $0 }
        #expect(urgent.count == 100)
        for page in pages { try second.store(3 as UInt8, to: page) }
        #expect(child.takeBatches().isEmpty)
        #expect(second.handleFault(pages[50] + pageSize, access: .read) == .resolved)
        #expect(child.takeBatches().flatMap { $0 }.count > 64)
        #expect(try first.load(pages[7], as: UInt8.self) == 2)
        #expect(try parent.load(pages[7], as: UInt8.self) == 1)
        for space in [second, first, parent] { space.destroy() }
        #expect(parent.memoryFile.allocated == 0)
    }

    @Test func adviceAboutForks() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        let gone = try parent.map(MapRequest(length: pageSize, protection: rw, flags: anonymous))
        let wiped = try parent.map(MapRequest(address: 0x100_0000, length: pageSize, protection: rw, flags: anonymous))
        try parent.copyOut([1], to: gone)
        try parent.copyOut([1], to: wiped)
        try parent.advise(gone, length: pageSize, advice: MemoryAdvice.MADV_DONTFORK)
        try parent.advise(wiped, length: pageSize, advice: MemoryAdvice.MADV_WIPEONFORK)
        let child = try parent.fork(on: platform)
        #expect(throws: Errno.EFAULT) { try child.load(gone, as: UInt8.self) }
        #expect(try child.load(wiped, as: UInt8.self) == 0)
    }

    @Test func droppedPagesReadZeroForOneAndStayForTheOther() throws {
        let platform = NullPlatform()
        let parent = try makeSpace(platform)
        let address = try parent.map(MapRequest(length: 4 * pageSize, protection: rw, flags: anonymous))
        try parent.copyOut([1], to: address)
        let child = try parent.fork(on: platform)
        try child.advise(address, length: 4 * pageSize, advice: MemoryAdvice.MADV_DONTNEED)
        #expect(try child.load(address, as: UInt8.self) == 0)
        #expect(try parent.load(address, as: UInt8.self) == 1)
    }
}

@Suite struct ObjectTests {
    @Test func privateMappingsCopySharedOnesWriteThrough() throws {
        let space = try makeSpace()
        let file = try FakeFile(space.memoryFile, Array("contents".utf8))
        let mine = try space.map(MapRequest(length: pageSize, protection: rw, flags: .MAP_PRIVATE, object: file))
        let ours = try space.map(MapRequest(length: pageSize, protection: rw, flags: .MAP_SHARED, object: file))
        try space.copyOut([88], to: mine)
        #expect(try space.load(ours, as: UInt8.self) == UInt8(ascii: "c"))
        try space.copyOut([89], to: ours + 1)
        var bytes = [UInt8](repeating: 0, count: 3)
        var span = bytes.mutableSpan
        try file.file.read(at: file.range.lowerBound, into: &span)
        #expect(bytes == [UInt8(ascii: "c"), 89, UInt8(ascii: "n")])
        #expect(try space.futexKey(address: ours + 8, shared: true) == .object(file.mappingIdentity, offset: 8))
        #expect(file.mappings.load(ordering: .relaxed) == Int(2 * pageSize))
        #expect(space.regions().contains { $0.name == Array("/some/file".utf8) && $0.identity.inode == 77 })
        #expect(throws: Errno.EACCES) {
            try space.map(MapRequest(length: pageSize, protection: rw, flags: .MAP_SHARED, object: file, maximumProtection: .read))
        }
        try space.advise(mine, length: pageSize, advice: MemoryAdvice.MADV_DONTNEED)
        #expect(try space.load(mine, as: UInt8.self) == UInt8(ascii: "c"))
        try space.unmap(mine, length: pageSize)
        try space.unmap(ours, length: pageSize)
        #expect(file.mappings.load(ordering: .relaxed) == 0)
    }

    @Test func truncationEndsInSIGBUS() throws {
        let space = try makeSpace()
        let file = try FakeFile(space.memoryFile, [UInt8](repeating: 1, count: 8192))
        let address = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: .MAP_SHARED, object: file))
        #expect(try space.load(address + 5000, as: UInt8.self) == 1)
        #expect(space.handleFault(address + 2 * pageSize, access: .read) == .signal(number: 7, code: 2))
        file.size.withLock { $0 = 100 }
        space.invalidate(file, pageSize..<UInt64.max)
        #expect(throws: Errno.EFAULT) { try space.load(address + 5000, as: UInt8.self) }
        #expect(space.handleFault(address + 5000, access: .read) == .signal(number: 7, code: 2))
        file.size.withLock { $0 = 8192 }
        #expect(space.handleFault(address + 5000, access: .read) == .resolved)
        #expect(try space.load(address + 5000, as: UInt8.self) == 1)
    }

    @Test func hostFilesAreReadThroughAWindow() throws {
        let space = try makeSpace()
        let file = try HostFile(Array("0123456789".utf8) + [UInt8](repeating: 3, count: 8000))
        let address = try space.map(MapRequest(length: 3 * pageSize, protection: [.read, .execute], flags: .MAP_PRIVATE, object: file))
        #expect(try space.copyIn(from: address + 2, count: 3) == Array("234".utf8))
        #expect(throws: Errno.EFAULT) { try space.load(address + 2 * pageSize, as: UInt8.self) }
        try space.protect(address, length: pageSize, protection: rw)
        try space.copyOut([1], to: address)
        #expect(try space.copyIn(from: address, count: 2) == [1, UInt8(ascii: "1")])
        var original = [UInt8](repeating: 0, count: 1)
        var span = original.mutableSpan
        _ = try HostCall.read(file.descriptor.rawValue, at: 0, into: &span)
        #expect(original[0] == UInt8(ascii: "0"))
        let shared = try space.map(MapRequest(length: pageSize, protection: rw, flags: .MAP_SHARED, object: file))
        try space.copyOut([65], to: shared + 9)
        span = original.mutableSpan
        _ = try HostCall.read(file.descriptor.rawValue, at: 9, into: &span)
        #expect(original[0] == 65)
        // Cut short behind the Sentry's back.
        _ = HostCall.raw(.ftruncate, Int(file.descriptor.rawValue), 0)
        #expect(throws: Errno.EFAULT) { try space.load(shared, as: UInt8.self) }
        #expect(space.handleFault(FaultInfo(signal: 7, code: 2, address: shared, access: nil)) == .signal(number: 7, code: 2))
    }

    @Test func fullMemoryIsNotACrash() throws {
        // Without a size limit the host stands in: a file that may not grow past its seal raises the same SIGBUS.
        let space = try makeSpace()
        #expect(throws: Errno.ENOMEM) { _ = try space.memoryFile.allocate(1 << 60) }
    }
}

@Suite struct FutexWordTests {
    @Test func operations() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: pageSize, protection: rw, flags: anonymous))
        try space.store(UInt32(5), to: address)
        #expect(try space.atomicLoad(address) == 5)
        #expect(try space.atomicCompareExchange(address, expected: 4, desired: 9) == 5)
        #expect(try space.atomicCompareExchange(address, expected: 5, desired: 9) == 5)
        #expect(try space.atomicUpdate(address, .add, 1) == 9)
        #expect(try space.atomicUpdate(address, .or, 0xf0) == 10)
        #expect(try space.atomicUpdate(address, .and, 0x0f) == 0xfa)
        #expect(try space.atomicUpdate(address, .xor, 0xff) == 0x0a)
        #expect(try space.atomicUpdate(address, .exchange, 1) == 0xf5)
        #expect(throws: Errno.EINVAL) { try space.atomicLoad(address + 1) }
        #expect(throws: Errno.EFAULT) { try space.atomicLoad(4) }
        #expect(throws: Errno.EFAULT) { try space.futexKey(address: 0x1000, shared: true) }
        #expect(try space.futexKey(address: 0x1000, shared: false) == .private(space: ObjectIdentifier(space), address: 0x1000))
    }
}

@Suite struct IOBufferTests {
    @Test func cursorOverVectors() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: anonymous))
        func vector(_ index: UInt64, _ base: UInt64, _ length: UInt64) throws {
            try space.store(base, to: address + index * 16)
            try space.store(length, to: address + index * 16 + 8)
        }
        try vector(0, address + 1000, 3)
        try vector(1, 0, 0)
        try vector(2, address + 2000, 5)
        var buffer = try IOBuffer(space, vectors: address, count: 3)
        #expect(buffer.remaining == 8)
        #expect(try buffer.copyOut([1, 2, 3, 4]) == 4)
        #expect(try buffer.copyOut([5, 6, 7, 8, 9, 10]) == 4)
        #expect(buffer.remaining == 0)
        #expect(try space.copyIn(from: address + 2000, count: 5) == [4, 5, 6, 7, 8])
        var reader = try IOBuffer(space, vectors: address, count: 3)
        #expect(try reader.copyIn(limit: 100) == [1, 2, 3, 4, 5, 6, 7, 8])
        var part = try IOBuffer(space, vectors: address, count: 3).prefix(4)
        #expect(try part.zero(10) == 4)
        #expect(try space.copyIn(from: address + 2000, count: 2) == [0, 5])
        #expect(throws: Errno.EINVAL) { _ = try IOBuffer(space, vectors: address, count: 1025) }
        #expect(throws: Errno.EFAULT) { _ = try IOBuffer(space, vectors: 8, count: 2) }
        try vector(0, address, .max)
        #expect(throws: Errno.EINVAL) { _ = try IOBuffer(space, vectors: address, count: 1) }
        var bad = IOBuffer(space, address: address + 4 * pageSize - 2, count: 10)
        #expect(try bad.copyOut([1, 2, 3, 4]) == 2)
        #expect(throws: Errno.EFAULT) { _ = try bad.copyOut([1]) }
    }

    @Test func promptOnesTouchOnlyWhatIsAtHand() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: anonymous))
        func put(_ address: UInt64, _ bytes: [UInt8]) throws -> Int {
            var buffer = IOBuffer(space, address: address, count: UInt64(bytes.count), isPrompt: true)
            do { return try buffer.copyOut(bytes) } catch {
                #expect(buffer.remaining == bytes.count)
                throw error
            }
        }
        func get(_ address: UInt64, _ count: Int) throws -> [UInt8] {
            var buffer = IOBuffer(space, address: address, count: UInt64(count), isPrompt: true)
            return try buffer.copyIn(limit: count)
        }
        try space.copyOut([7], to: address)
        #expect(try put(address + pageSize - 2, [1, 2]) == 2)
        #expect(try get(address + pageSize - 2, 2) == [1, 2])
        let end = address + 4 * pageSize
        try space.copyOut([7], to: end - 1)
        #expect(throws: Errno.notAtHand) { try put(end - 1, [1, 2]) }
        #expect(throws: Errno.notAtHand) { try get(end - 1, 2) }
        #expect(throws: Errno.notAtHand) { try get(.max - 1, 2) }
        #expect(try space.copyIn(from: end - 1, count: 1) == [7])
        // A forbidden page, and one that a fork shares until it is written.
        try space.protect(address, length: pageSize, protection: [.read])
        #expect(throws: Errno.notAtHand) { try put(address, [1]) }
        #expect(try get(address, 1) == [7])
        try space.protect(address, length: pageSize, protection: rw)
        let child = try space.fork(on: NullPlatform())
        #expect(throws: Errno.notAtHand) { try put(end - 1, [1]) }
        #expect(try get(end - 1, 1) == [7])
        try space.copyOut([8], to: end - 1)
        #expect(try put(end - 1, [9]) == 1)
        #expect(try child.copyIn(from: end - 1, count: 1) == [7])
    }

    @Test func promptOnesReadPagesOfHostFilesThatWereAskedForBefore() throws {
        let space = try makeSpace()
        let file = try HostFile([UInt8](repeating: 5, count: Int(2 * pageSize)))
        let address = try space.map(MapRequest(length: 2 * pageSize, protection: [.read], flags: [.MAP_PRIVATE], object: file))
        func get(_ address: UInt64, _ count: Int) throws -> [UInt8] {
            var buffer = IOBuffer(space, address: address, count: UInt64(count), isPrompt: true)
            return try buffer.copyIn(limit: count)
        }
        #expect(throws: Errno.notAtHand) { try get(address, 1) }
        #expect(try space.copyIn(from: address, count: 1) == [5])
        #expect(throws: Errno.notAtHand) { try get(address, 3) }
        #expect(try get(address, 3) == [5, 5, 5])
        #expect(throws: Errno.notAtHand) { try get(address + pageSize - 1, 2) }
        #expect(try get(address + pageSize - 1, 2) == [5, 5])
    }

    @Test func hostTransfersGoStraightToGuestPages() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: anonymous))
        let file = try HostFile([UInt8](0..<200))
        var buffer = IOBuffer(space, address: address + 4000, count: 1000)
        #expect(try buffer.fill(fromHost: file.descriptor.rawValue, offset: 10, limit: 500) == 190)
        #expect(buffer.remaining == 810)
        #expect(try space.load(address + 4000 + 189, as: UInt8.self) == 199)
        #expect(try buffer.fill(fromHost: file.descriptor.rawValue, offset: 200, limit: 500) == 0)
        var writer = IOBuffer(space, address: address + 4000, count: 20)
        #expect(try writer.drain(toHost: file.descriptor.rawValue, offset: 0, limit: 100) == 20)
        var bytes = [UInt8](repeating: 0, count: 2)
        var span = bytes.mutableSpan
        _ = try HostCall.read(file.descriptor.rawValue, at: 0, into: &span)
        #expect(bytes == [10, 11])
        var bad = IOBuffer(space, address: 64, count: 20)
        #expect(throws: Errno.EFAULT) { _ = try bad.fill(fromHost: file.descriptor.rawValue, offset: 0, limit: 10) }
        #expect(throws: Errno.EFAULT) { _ = try bad.drain(toHost: file.descriptor.rawValue, offset: 0, limit: 10) }
        var kernel = IOBuffer.kernel(capacity: 5)
        #expect(try kernel.fill(fromHost: file.descriptor.rawValue, offset: 0, limit: 10) == 5)
        #expect(kernel.bytes == [10, 11, 12, 13, 14])
        var source = IOBuffer.kernel([1, 2, 3])
        #expect(try source.drain(toHost: file.descriptor.rawValue, offset: 0, limit: 2) == 2)
        #expect(try source.copyIn(limit: 9) == [3])
        // Into a mapped host file there is no straight way; a buffer helps.
        let mapped = try space.map(MapRequest(length: pageSize, protection: rw, flags: .MAP_SHARED, object: file))
        var through = IOBuffer(space, address: mapped + 50, count: 4)
        #expect(try through.fill(fromHost: file.descriptor.rawValue, offset: 0, limit: 10) == 4)
        #expect(try space.copyIn(from: mapped + 50, count: 2) == [1, 2])
        let usage = space.memoryFile.allocated
        space.destroy()
        #expect(usage > 0 && space.memoryFile.allocated == 0)
    }

    @Test func memoryFileTransfers() throws {
        let space = try makeSpace()
        let address = try space.map(MapRequest(length: pageSize, protection: rw, flags: anonymous))
        let range = try space.memoryFile.allocate(100)
        try space.copyOut(Array("abcdef".utf8), to: address)
        var source = IOBuffer(space, address: address, count: 6)
        #expect(try source.drain(into: space.memoryFile, offset: range.lowerBound + 4, count: 6) == 6)
        var target = IOBuffer(space, address: address + 100, count: 50)
        #expect(try target.fill(from: space.memoryFile, offset: range.lowerBound + 3, count: 4) == 4)
        #expect(try space.copyIn(from: address + 100, count: 4) == [0] + Array("abc".utf8))
    }
}

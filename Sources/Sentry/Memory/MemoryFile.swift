import CPlatform
public import Host
public import LinuxABI
import SentryPlatform
import Synchronization

/// Memory of one container: a sparse file on a tmpfs, mapped whole into the Sentry, with a page-range allocator.
///
/// Its lock is the innermost one: nothing else is called with it held.
public final class MemoryFile: Sendable {
    /// The size of the file and of the Sentry's window on it, in bytes. Untouched parts cost nothing.
    private static let capacity: UInt64 = 1 << 43

    /// For `Platform.makeAddressSpace`.
    public let descriptor: SharedDescriptor
    /// Bytes that the container may hold.
    public var limit: UInt64 { limitBytes.load(ordering: .relaxed) }
    private let limitBytes: Atomic<UInt64>
    /// Another limit from now on. The host's tmpfs, which enforces it, has been resized before.
    public func setLimit(_ bytes: UInt64) { limitBytes.store(bytes, ordering: .relaxed) }
    /// Where the file's first byte is in the Sentry.
    let base: UInt
    private let allocator = Lock(PageAllocator(capacity: MemoryFile.capacity))
    private let outOfMemoryHandler = Lock<(@Sendable () -> Void)?>(nil)
    /// Releases that wait for a stub to end.
    private let expectedReleases = Atomic<UInt32>(0)

    /// Takes over a tmpfs file or memfd, empty. `limit`: bytes that the container may hold; the host's tmpfs enforces it when it is mounted with
    /// `size=`.
    public init(_ descriptor: consuming OwnedDescriptor, limit: UInt64) throws(Errno) {
        cplatform_access_install()
        _ = try HostCall.check(HostCall.raw(.ftruncate, Int(descriptor.rawValue), Int(Self.capacity)))
        // PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE; never executable.
        let address = try HostCall.check(HostCall.raw(.mmap, 0, Int(Self.capacity), 3, 0x4001, Int(descriptor.rawValue), 0))
        base = UInt(bitPattern: address)
        _ = HostCall.raw(.madvise, address, Int(Self.capacity), Int(MemoryAdvice.MADV_DONTDUMP))
        self.descriptor = SharedDescriptor(descriptor)
        limitBytes = Atomic(limit)
    }

    deinit { _ = HostCall.raw(.munmap, Int(bitPattern: base), Int(Self.capacity)) }

    /// A memfd of its own, without host limit: tests and tools.
    public static func anonymous(limit: UInt64 = .max) throws(Errno) -> MemoryFile {
        let file = try HostCall.withPath(Array("nestbox-memory".utf8)) { name throws(Errno) in
            OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.memfd_create, name, 1))))
        }
        return try MemoryFile(file, limit: limit)
    }

    /// Called (on the thread that met it, with locks of an address space possibly held) when the Sentry's own access goes over the limit.
    public func setOutOfMemoryHandler(_ handler: (@Sendable () -> Void)?) { outOfMemoryHandler.withLock { $0 = handler } }

    func reportOutOfMemory() { outOfMemoryHandler.withLock { $0 }?() }

    /// Bytes that the host holds for this file now (st_blocks of fstat(2)).
    public var usage: UInt64 {
        var words = [UInt64](repeating: 0, count: 18)
        // SAFETY: struct stat is 144 bytes; st_blocks is its ninth word.
        let result = unsafe words.withUnsafeMutableBufferPointer { p in
            HostCall.raw(.fstat, Int(descriptor.rawValue), Int(bitPattern: p.baseAddress))
        }
        return result == 0 ? words[8] &* 512 : 0
    }

    /// Bytes handed out, touched or not.
    public var allocated: UInt64 { allocator.withLock { $0.allocated } }

    // MARK: allocation

    /// A range of `length` bytes (rounded up to pages) that reads zero, with one reference. ENOMEM when the file's address range is used up.
    public func allocate(_ length: UInt64) throws(Errno) -> Range<UInt64> { try allocate(length, near: nil) }

    func allocate(_ length: UInt64, near: UInt64?) throws(Errno) -> Range<UInt64> {
        guard length > 0, length <= Self.capacity else { throw .ENOMEM }
        let rounded = (length + pageSize - 1) & ~(pageSize - 1)
        let start = try allocator.withLock { allocator throws(Errno) in try allocator.allocate(rounded, near: near) }
        return start..<start + rounded
    }

    /// One more reference to every page of `range`.
    public func retain(_ range: Range<UInt64>) { allocator.withLock { $0.retain(range) } }

    func retain(_ ranges: [Range<UInt64>]) { allocator.withLock { allocator in for range in ranges { allocator.retain(range) } } }

    /// One reference less; pages without any are zeroed and given back to the host.
    public func release(_ range: Range<UInt64>) { release([range]) }

    func release(_ ranges: [Range<UInt64>]) {
        let parts = allocator.withLock { allocator in ranges.flatMap { allocator.release($0) } }
        let unused = Self.joined(parts)
        for range in unused { punch(range) }
        allocator.withLock { allocator in for range in unused { allocator.free(range.lowerBound, range.upperBound - range.lowerBound) } }
    }

    /// The same pages in as few ranges as can be: each costs a host call.
    private static func joined(_ parts: [Range<UInt64>]) -> [Range<UInt64>] {
        if parts.count < 2 { return parts }
        var result: [Range<UInt64>] = []
        for part in parts.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, last.upperBound == part.lowerBound {
                result[result.count - 1] = last.lowerBound..<part.upperBound
            } else {
                result.append(part)
            }
        }
        return result
    }

    // MARK: releases to come

    /// A release is on its way, which `releaseExpected` makes.
    func expectRelease() { expectedReleases.add(1, ordering: .relaxed) }

    func releaseExpected(_ ranges: [Range<UInt64>]) {
        release(ranges)
        expectedReleases.subtract(1, ordering: .releasing)
        HostCall.futexWake(expectedReleases, count: .max)
    }

    /// Waits for memory of programs that have ended to come back; false when there is none to come, or not within a second. Before anybody is told that there
    /// is no memory.
    public func awaitReleases() -> Bool {
        let count = expectedReleases.load(ordering: .acquiring)
        if count == 0 { return false }
        return HostCall.futexWait(expectedReleases, expected: count, deadline: HostClock.deadline(in: 1_000_000_000)) != -110  // ETIMEDOUT
    }

    /// Does something that needs memory, again as long as more of it comes back.
    private func attempt(_ body: () -> Bool) throws(Errno) {
        while !body() {
            if awaitReleases() { continue }
            reportOutOfMemory()
            throw .ENOMEM
        }
    }

    /// Whether the page at `offset` has several references, and up to where that holds.
    func isShared(at offset: UInt64, end: UInt64) -> (shared: Bool, end: UInt64) {
        allocator.withLock { $0.isShared(at: offset, end: end) }
    }

    /// Makes pages read zero and gives them back to the host, keeping them allocated.
    public func discard(_ range: Range<UInt64>) throws(Errno) { punch(range) }

    /// fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) unmaps the pages everywhere. It cannot fail on a tmpfs file but for a signal.
    private func punch(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        var result: Int
        repeat {
            result = HostCall.raw(.fallocate, Int(descriptor.rawValue), 3, Int(range.lowerBound), Int(range.upperBound - range.lowerBound))
        } while result == -4
        if result != 0 { _ = try? zero(range) }
    }

    // MARK: access

    func check(_ offset: UInt64, _ count: Int) throws(Errno) {
        guard count >= 0, offset <= Self.capacity, UInt64(count) <= Self.capacity - offset else { throw .EFAULT }
    }

    /// The Sentry's address of `offset`.
    func address(_ offset: UInt64) -> UInt { base &+ UInt(offset) }

    /// Copies bytes out. EFAULT on a bad range, ENOMEM at the container's limit.
    public func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) {
        try check(offset, buffer.count)
        let source = address(offset), count = buffer.count
        // SAFETY: both ranges were checked, and the buffer is borrowed for the call; a fault ends the copy early.
        try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            let place = UInt(bitPattern: p.baseAddress)
            try attempt { cplatform_copy(place, source, count) == 0 }
        }
    }

    /// Copies bytes in.
    public func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(Errno) {
        try check(offset, bytes.count)
        let destination = address(offset), count = bytes.count
        // SAFETY: as in `read`.
        try unsafe bytes.withUnsafeBufferPointer { p throws(Errno) in
            let source = UInt(bitPattern: p.baseAddress)
            try attempt { cplatform_copy(destination, source, count) == 0 }
        }
    }

    /// Zeroes bytes; whole pages are better given to `discard`.
    public func zero(_ range: Range<UInt64>) throws(Errno) {
        try check(range.lowerBound, Int(range.upperBound - range.lowerBound))
        try attempt { cplatform_zero(address(range.lowerBound), Int(range.upperBound - range.lowerBound)) == 0 }
    }

    /// Copies a range to another place of the file, which reads zero; holes stay holes.
    public func copy(_ range: Range<UInt64>, to offset: UInt64) throws(Errno) {
        try check(range.lowerBound, Int(range.upperBound - range.lowerBound))
        try check(offset, Int(range.upperBound - range.lowerBound))
        try attempt {
            var isComplete = true
            forEachResident(range) { part in
                let count = Int(part.upperBound - part.lowerBound)
                if writePages(from: address(part.lowerBound), count, at: offset + (part.lowerBound - range.lowerBound)) != count {
                    isComplete = false
                }
            }
            return isComplete
        }
    }

    /// Fills whole pages that read zero: pwrite(2) finds and fills each page at once, where a copy through the window would fault on every one and
    /// have it zeroed first. The count done.
    func writePages(from source: UInt, _ count: Int, at offset: UInt64) -> Int {
        var done = 0
        while done < count {
            let result = HostCall.raw(.pwrite64, Int(descriptor.rawValue), Int(bitPattern: source) + done, count - done, Int(offset) + done)
            if result == -4 { continue }
            if result <= 0 { break }
            done += result
        }
        return done
    }

    /// read(2) or pread(2) from a host file straight into the memory. Returns the count, 0 at end of file.
    public func fill(_ range: Range<UInt64>, fromHost descriptor: Int32, offset: Int64?) throws(Errno) -> Int {
        try check(range.lowerBound, Int(range.upperBound - range.lowerBound))
        let place = Int(bitPattern: address(range.lowerBound)), count = Int(range.upperBound - range.lowerBound)
        return try HostCall.check(
            offset.map { HostCall.raw(.pread64, Int(descriptor), place, count, Int($0)) }
                ?? HostCall.raw(.read, Int(descriptor), place, count))
    }

    /// write(2) or pwrite(2) of the memory to a host file.
    public func drain(_ range: Range<UInt64>, toHost descriptor: Int32, offset: Int64?) throws(Errno) -> Int {
        try check(range.lowerBound, Int(range.upperBound - range.lowerBound))
        let place = Int(bitPattern: address(range.lowerBound)), count = Int(range.upperBound - range.lowerBound)
        return try HostCall.check(
            offset.map { HostCall.raw(.pwrite64, Int(descriptor), place, count, Int($0)) }
                ?? HostCall.raw(.write, Int(descriptor), place, count))
    }

    /// Makes the host hold all pages of the range. ENOMEM at the limit.
    func populate(_ range: Range<UInt64>) throws(Errno) {
        try attempt {
            let result = HostCall.raw(
                .madvise, Int(bitPattern: address(range.lowerBound)), Int(range.upperBound - range.lowerBound),
                Int(MemoryAdvice.MADV_POPULATE_WRITE))
            if result == -14 /* EFAULT: over the limit */ { return false }
            if result == 0 || result == -4 { return true }
            // Before Linux 5.14: touch each page.
            var offset = range.lowerBound
            while offset < range.upperBound {
                var old: UInt32 = 0
                // SAFETY: the offset is inside the window; the operation survives a fault.
                if unsafe cplatform_add32(address(offset), 0, &old) != 0 { return false }
                offset += pageSize
            }
            return true
        }
    }

    // MARK: residence

    /// Calls `body` with each part of the range that the host holds, in order: lseek(2) SEEK_DATA skips long holes, mincore(2) tells of the pages.
    func forEachResident(_ range: Range<UInt64>, _ body: (Range<UInt64>) -> Void) {
        let stretch = 512 * pageSize
        var pages = InlineArray<512, UInt8>(repeating: 0)
        var cursor = range.lowerBound
        while cursor < range.upperBound {
            if range.upperBound - cursor > stretch {
                let data = HostCall.raw(.lseek, Int(descriptor.rawValue), Int(cursor), 3)
                guard data >= 0, UInt64(data) < range.upperBound else { return }
                cursor = max(cursor, UInt64(data) & ~(pageSize - 1))
            }
            let end = min(range.upperBound, cursor + stretch)
            let count = Int((end - cursor + pageSize - 1) / pageSize)
            var span = pages.mutableSpan
            // SAFETY: mincore writes one byte per page, at most 512.
            let result = unsafe span.withUnsafeMutableBufferPointer { p in
                HostCall.raw(.mincore, Int(bitPattern: address(cursor)), Int(end - cursor), Int(bitPattern: p.baseAddress))
            }
            if result != 0 {
                body(cursor..<end)
            } else {
                var index = 0
                while index < count {
                    let first = index
                    while index < count, pages[index] & 1 != 0 { index += 1 }
                    if index > first { body(cursor + UInt64(first) * pageSize..<min(end, cursor + UInt64(index) * pageSize)) }
                    while index < count, pages[index] & 1 == 0 { index += 1 }
                }
            }
            cursor = end
        }
    }

    /// Bytes of `range` that the host holds.
    public func resident(_ range: Range<UInt64>) -> UInt64 {
        var sum: UInt64 = 0
        forEachResident(range) { sum += $0.upperBound - $0.lowerBound }
        return sum
    }
}

import CPlatform
import Host
public import LinuxABI
import SentryPlatform

/// Where the bytes of a read or write call are: guest memory (one address range or an iovec array) or a byte array of the Sentry. A cursor: every
/// operation works at the front of what remains and advances by what it did.
///
/// Partial results: an operation that did some bytes before meeting bad memory returns their count; EFAULT is thrown only when it did none.
public struct IOBuffer: Sendable {
    /// The longest transfer of one call (MAX_RW_COUNT of Linux), in bytes.
    public static let maximumCount = 0x7fff_f000
    /// UIO_MAXIOV
    public static let maximumVectors: UInt64 = 1024

    private struct Segment {
        var address: UInt64
        var count: Int
    }
    private let space: AddressSpace?
    /// Guest memory is touched only where it can be had at once; what is not throws `notAtHand` or `contended`, and leaves the buffer as it was.
    public let isPrompt: Bool
    /// The segment at the front, and those after it. The front one is empty only when nothing remains.
    private var front: Segment
    private var rest: ArraySlice<Segment> = []
    /// Bytes that are left.
    public private(set) var remaining: Int
    /// What has been written to a kernel destination so far; the source's bytes for a kernel source; empty for guest memory.
    public private(set) var bytes: [UInt8] = []
    private var position = 0

    /// `count` bytes of guest memory at `address`, cut to `maximumCount`.
    public init(_ space: AddressSpace, address: UInt64, count: UInt64, isPrompt: Bool = false) {
        self.space = space
        self.isPrompt = isPrompt
        remaining = Int(min(count, UInt64(Self.maximumCount)))
        front = Segment(address: address, count: remaining)
    }

    /// The iovec array of readv(2) and its family: EINVAL for a count over 1024 or a length over SSIZE_MAX, EFAULT for an unreadable array. A total
    /// over `maximumCount` is cut.
    public init(_ space: AddressSpace, vectors address: UInt64, count: UInt64) throws(Errno) {
        guard count <= Self.maximumVectors else { throw .EINVAL }
        self.space = space
        isPrompt = false
        var segments: [Segment] = []
        var total = 0
        if count > 0 {
            let raw = try space.copyIn(from: address, count: Int(count) * 16)
            segments.reserveCapacity(Int(count))
            for index in 0..<Int(count) {
                let base = Self.word(raw, index * 16), length = Self.word(raw, index * 16 + 8)
                guard length <= UInt64(Int.max) else { throw .EINVAL }
                let taken = min(Int(length), Self.maximumCount - total)
                total += taken
                if taken > 0 { segments.append(Segment(address: base, count: taken)) }
            }
        }
        remaining = total
        front = segments.first ?? Segment(address: 0, count: 0)
        rest = segments.dropFirst()
    }

    /// An empty array of the Sentry with room for `capacity` bytes (a destination).
    public static func kernel(capacity: Int) -> IOBuffer { IOBuffer(kernelBytes: [], remaining: capacity) }
    /// Bytes of the Sentry (a source).
    public static func kernel(_ bytes: [UInt8]) -> IOBuffer { IOBuffer(kernelBytes: bytes, remaining: bytes.count) }

    private init(kernelBytes: [UInt8], remaining: Int) {
        space = nil
        isPrompt = false
        front = Segment(address: 0, count: 0)
        bytes = kernelBytes
        self.remaining = max(0, remaining)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(index * 8) }
        return value
    }

    // MARK: the cursor

    /// A buffer of the next `count` bytes at most.
    public func prefix(_ count: Int) -> IOBuffer {
        var copy = self
        copy.remaining = min(remaining, max(0, count))
        return copy
    }

    /// Skips bytes without touching them.
    public mutating func skip(_ count: Int) {
        var left = min(max(0, count), remaining)
        remaining -= left
        if space == nil {
            position += left
            return
        }
        while left > 0 {
            let taken = min(left, front.count)
            front.address &+= UInt64(taken)
            front.count -= taken
            left -= taken
            if front.count == 0 {
                guard let next = rest.popFirst() else { return }
                front = next
            }
        }
    }

    /// Runs `body(address, count, done)` over guest segments until it does less than asked, and advances.
    private mutating func forEachSegment(_ limit: Int, _ body: (UInt64, Int, Int) -> Int) throws(Errno) -> Int {
        let wanted = min(max(0, limit), remaining)
        var done = 0
        while done < wanted {
            let count = min(front.count, wanted - done)
            let part = body(front.address, count, done)
            skip(part)
            done += part
            if part < count { break }
        }
        if done == 0, wanted > 0 { throw .EFAULT }
        return done
    }

    // MARK: Sentry memory

    /// Sentry to buffer (read(2) and its kin): the count done.
    public mutating func copyOut(_ source: Span<UInt8>) throws(Errno) -> Int {
        guard let space else {
            let count = min(source.count, remaining)
            bytes.reserveCapacity(bytes.count + count)
            for index in 0..<count { bytes.append(source[index]) }
            skip(count)
            return count
        }
        if isPrompt {
            let count = min(source.count, remaining)
            try space.copyOutPromptly(source.extracting(0..<count), to: front.address)
            skip(count)
            return count
        }
        return try forEachSegment(source.count) { address, count, done in
            (try? space.copyOutPartial(source.extracting(done..<done + count), to: address)) ?? 0
        }
    }

    public mutating func copyOut(_ bytes: [UInt8]) throws(Errno) -> Int { try copyOut(bytes.span) }

    /// Buffer to Sentry (write(2) and its kin): the count done.
    public mutating func copyIn(into destination: inout MutableSpan<UInt8>) throws(Errno) -> Int {
        guard let space else {
            let count = min(destination.count, remaining, max(0, bytes.count - position))
            for index in 0..<count { destination[index] = bytes[position + index] }
            skip(count)
            return count
        }
        let wanted = min(destination.count, remaining)
        if isPrompt {
            var part = destination._mutatingExtracting(0..<wanted)
            try space.copyInPromptly(from: front.address, into: &part)
            skip(wanted)
            return wanted
        }
        var done = 0
        while done < wanted {
            let count = min(front.count, wanted - done)
            var part = destination._mutatingExtracting(done..<done + count)
            let copied = (try? space.copyInPartial(from: front.address, into: &part)) ?? 0
            skip(copied)
            done += copied
            if copied < count { break }
        }
        if done == 0, wanted > 0 { throw .EFAULT }
        return done
    }

    /// The 64-bit number at the front, which stays there. Precondition: 8 bytes remain.
    public func peekInteger() throws(Errno) -> UInt64 {
        if let space, !isPrompt, front.count >= 8 { return try space.load(front.address) }
        var copy = self
        var bytes = InlineArray<8, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        guard try copy.copyIn(into: &span) == 8 else { throw .EFAULT }
        return bytes.load(0)
    }

    /// Up to `limit` bytes of the buffer as an array.
    public mutating func copyIn(limit: Int) throws(Errno) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: min(max(0, limit), remaining))
        var span = result.mutableSpan
        let count = try copyIn(into: &span)
        result.removeLast(result.count - count)
        return result
    }

    /// Zero bytes to the buffer: the count done.
    public mutating func zero(_ count: Int) throws(Errno) -> Int {
        guard let space else {
            let count = min(max(0, count), remaining)
            bytes += repeatElement(0, count: count)
            skip(count)
            return count
        }
        return try forEachSegment(count) { address, count, _ in space.zeroPartial(address, count) }
    }

    // MARK: host files

    /// Bytes that go through a buffer of the Sentry when guest pages cannot be handed to the host.
    private static let bounceSize = 64 << 10

    /// read(2) or, with `offset`, pread(2) of a host file straight into the buffer. 0 at end of file. EINTR and EAGAIN come back as they are.
    public mutating func fill(fromHost descriptor: Int32, offset: Int64?, limit: Int) throws(Errno) -> Int {
        let count = min(max(0, limit), remaining)
        if count == 0 { return 0 }
        if let pinned = pin(count, write: true) {
            defer { pinned.release() }
            let done = try pinned.transfer(offset == nil ? .readv : .preadv, descriptor, offset)
            skip(done)
            return done
        }
        // Nothing may be taken from the host that the guest cannot be given.
        if let space, !space.canAccess(front.address, write: true) { throw .EFAULT }
        var bounce = [UInt8](repeating: 0, count: min(count, Self.bounceSize))
        var span = bounce.mutableSpan
        let done: Int
        if let offset {
            done = try HostCall.read(descriptor, at: offset, into: &span)
        } else {
            done = try HostCall.read(descriptor, into: &span)
        }
        return try copyOut(bounce.span.extracting(0..<done))
    }

    /// write(2) or pwrite(2) of the buffer to a host file: the count done.
    public mutating func drain(toHost descriptor: Int32, offset: Int64?, limit: Int) throws(Errno) -> Int {
        let count = min(max(0, limit), remaining)
        if count == 0 { return 0 }
        if let pinned = pin(count, write: false) {
            defer { pinned.release() }
            let done = try pinned.transfer(offset == nil ? .writev : .pwritev, descriptor, offset)
            skip(done)
            return done
        }
        var copy = self
        let bounce = try copy.copyIn(limit: min(count, Self.bounceSize))
        let done: Int
        if let offset {
            done = try HostCall.write(descriptor, at: offset, bounce.span)
        } else {
            done = try HostCall.write(descriptor, bounce.span)
        }
        skip(done)
        return done
    }

    /// The pages at the front as places in the Sentry that stay valid without locks; nil when they cannot be had (kernel buffers, mapped host files).
    private func pin(_ count: Int, write: Bool) -> PinnedPages? {
        guard let space else { return nil }
        var pinned = PinnedPages(file: space.memoryFile)
        var left = count
        var segment = front
        var following = rest
        while left > 0, pinned.hasRoom {
            let wanted = min(segment.count, left)
            let done = space.pin(segment.address, wanted, write: write, into: &pinned)
            left -= done
            if done < wanted { break }
            guard let next = following.popFirst() else { break }
            segment = next
        }
        return pinned.isEmpty ? nil : pinned
    }

    // MARK: the memory file

    /// Memory file to buffer: the count done. The range must be allocated and stay so.
    public mutating func fill(from file: MemoryFile, offset: UInt64, count: Int) throws(Errno) -> Int {
        guard let space else {
            let count = min(max(0, count), remaining)
            var part = [UInt8](repeating: 0, count: count)
            var span = part.mutableSpan
            try file.read(at: offset, into: &span)
            bytes += part
            skip(count)
            return count
        }
        try file.check(offset, max(0, count))
        return try forEachSegment(count) { address, count, done in
            space.copyOut(fromSentry: file.address(offset &+ UInt64(done)), to: address, count)
        }
    }

    /// Buffer to memory file: the count done. ENOMEM is not told apart from EFAULT; the container's memory limit is reported to its handler.
    public mutating func drain(into file: MemoryFile, offset: UInt64, count: Int) throws(Errno) -> Int {
        guard let space else {
            let count = min(max(0, count), remaining, max(0, bytes.count - position))
            try file.write(bytes.span.extracting(position..<position + count), at: offset)
            skip(count)
            return count
        }
        try file.check(offset, max(0, count))
        return try forEachSegment(count) { address, count, done in
            space.copyIn(toSentry: file.address(offset &+ UInt64(done)), from: address, count)
        }
    }
}

/// Pages of the memory file that a host call works on while no lock is held: each has a reference, so that an munmap(2) by another thread does not
/// give them to somebody else meanwhile.
struct PinnedPages {
    let file: MemoryFile
    /// struct iovec: address, length.
    private(set) var vectors: [UInt] = []
    private var ranges: [Range<UInt64>] = []

    init(file: MemoryFile) { self.file = file }
    var isEmpty: Bool { vectors.isEmpty }
    var hasRoom: Bool { vectors.count < 2 * 1024 }

    mutating func append(_ offset: UInt64, _ count: Int) {
        vectors.append(file.address(offset))
        vectors.append(UInt(count))
        let first = offset & ~(pageSize - 1)
        let last = (offset &+ UInt64(count) &+ pageSize &- 1) & ~(pageSize - 1)
        file.retain(first..<last)
        ranges.append(first..<last)
    }

    func release() { file.release(ranges) }

    func transfer(_ call: SystemCallNumber, _ descriptor: Int32, _ offset: Int64?) throws(Errno) -> Int {
        // SAFETY: the vectors describe pinned pages of the memory file's window.
        var result: Int
        repeat {
            result = unsafe vectors.withUnsafeBufferPointer { p in
                HostCall.raw(call, Int(descriptor), Int(bitPattern: p.baseAddress), p.count / 2, Int(offset ?? 0), 0)
            }
        } while result == -14 && file.awaitReleases()
        if result == -14 { file.reportOutOfMemory() }
        return try HostCall.check(result)
    }
}

extension AddressSpace {
    /// Adds the pages at [address, address + count) to `pinned`; how many bytes could be.
    func pin(_ address: UInt64, _ count: Int, write: Bool, into pinned: inout PinnedPages) -> Int {
        let base = memoryFile.base
        let end = memoryFile.address(1 << 43)
        return state.withLock { state in
            access(&state, address, count, write ? .write : .read, stopsEarly: true) { place, length in
                guard place >= base, place < end, pinned.hasRoom else { return length }
                pinned.append(UInt64(place - base), length)
                return 0
            }
        }
    }

    func copyOut(fromSentry source: UInt, to address: UInt64, _ count: Int) -> Int {
        state.withLock { state in
            var source = source
            return access(&state, address, count, .write) { destination, length in
                let rest = copyBytes(destination, source, length)
                source &+= UInt(length - rest)
                return rest
            }
        }
    }

    func copyIn(toSentry destination: UInt, from address: UInt64, _ count: Int) -> Int {
        state.withLock { state in
            var destination = destination
            return access(&state, address, count, .read) { source, length in
                let rest = copyBytes(destination, source, length)
                destination &+= UInt(length - rest)
                return rest
            }
        }
    }
}

extension Errno {
    /// The Sentry's own, which no guest sees: it cannot be had at once.
    public static var notAtHand: Errno { Errno(rawValue: 531) }
    /// Another thread holds it just now.
    public static var contended: Errno { Errno(rawValue: 532) }
}

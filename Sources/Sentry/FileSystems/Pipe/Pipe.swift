import DequeModule
import Host
public import LinuxABI
public import SentryMemory
import SentryVFS

/// A pipe (pipe(7)): a ring of bytes between readers and writers. Shared by the two ends of pipe(2), or by all who open a FIFO.
///
/// Lock order: the pipe's state, then an address space (while guest memory is copied), then the queue's.
public final class Pipe: Sendable {
    /// Writes of at most this many bytes are atomic, in bytes.
    public static let atomicCount = 4096
    public static let defaultCapacity = 65_536
    /// fs.pipe-max-size.
    public static let maximumCapacity = 1_048_576

    private struct State {
        var ring: [UInt8] = []
        var head = 0
        var count = 0
        var capacity = Pipe.defaultCapacity
        var readers = 0
        var writers = 0
        /// How often a reader or writer came: an opener that waits for one sees it even when it is gone again.
        var readerGeneration = 0
        var writerGeneration = 0
        /// Boundaries of what was written, while any of it was written with O_DIRECT: lengths, negative for a packet.
        var segments: Deque<Int> = []

        var free: Int { capacity - count }

        /// Makes room for `needed` more bytes in the storage, which grows only as it is used.
        mutating func reserve(_ needed: Int) {
            guard count + needed > ring.count else { return }
            var size = max(ring.count, 4096)
            while size < count + needed { size *= 2 }
            var grown = [UInt8](repeating: 0, count: min(size, capacity))
            for index in 0..<count { grown[index] = ring[(head + index) % ring.count] }
            ring = grown
            head = 0
        }

        /// Notes the boundary of bytes that were added.
        mutating func added(_ length: Int, packet: Bool) {
            if packet {
                if segments.isEmpty, count > length { segments.append(count - length) }
                segments.append(-length)
            } else if !segments.isEmpty {
                if let last = segments.last, last > 0 { segments[segments.count - 1] = last + length } else { segments.append(length) }
            }
        }

        /// How many of `wanted` bytes one read may take now, and how many it consumes (the rest of a packet is dropped).
        func extent(_ wanted: Int) -> (take: Int, drop: Int) {
            guard let first = segments.first else { return (min(wanted, count), 0) }
            if first > 0 { return (min(wanted, first), 0) }
            let take = min(wanted, -first)
            return (take, -first - take)
        }

        mutating func consume(_ length: Int) {
            if ring.count > 0 { head = (head + length) % ring.count }
            count -= length
            if count == 0 { head = 0 }
            var left = length
            while left > 0, let first = segments.first {
                let size = abs(first)
                if size > left {
                    segments[0] = first > 0 ? first - left : first + left
                    break
                }
                segments.removeFirst()
                left -= size
            }
        }
    }
    private let state = Lock(State())
    let queue = WaitQueue()
    /// F_SETSIG and SIGIO go to whoever asked (fcntl(2) O_ASYNC); woken like any waiter.

    public init() {}

    // MARK: Data

    /// Runs `body` with the lock held. `promptly`: `contended` when somebody else holds it, maybe for as long as a guest's memory takes.
    private func whenHeld<R>(_ promptly: Bool, _ body: (inout sending State) throws(Errno) -> sending R) throws(Errno) -> R {
        if !promptly { return try state.withLock(body) }
        guard let result = try state.withLockIfAvailable(body) else { throw .contended }
        return result
    }

    /// Moves what is there into the buffer. 0 at end of file (no writer), EAGAIN when there is nothing yet.
    public func read(into buffer: inout IOBuffer) throws(Errno) -> Int {
        if buffer.remaining == 0 { return 0 }
        let done = try whenHeld(buffer.isPrompt) { state throws(Errno) -> Int in
            if state.count == 0 {
                if state.writers == 0 { return 0 }
                throw .EAGAIN
            }
            let (take, drop) = state.extent(buffer.remaining)
            var done = 0
            while done < take {
                let start = (state.head + done) % state.ring.count
                let length = min(take - done, state.ring.count - start)
                let copied: Int
                do throws(Errno) {
                    copied = try buffer.copyOut(state.ring.span.extracting(start..<(start + length)))
                } catch {
                    // A prompt buffer is filled at once, or later.
                    if done > 0, !buffer.isPrompt { break }
                    throw error
                }
                done += copied
                if copied < length { break }
            }
            state.consume(done + (done == take ? drop : 0))
            // The storage of a pipe that is empty goes when it is large.
            if state.count == 0, state.ring.count > Pipe.defaultCapacity { state.ring = [] }
            return done
        }
        if done > 0 { queue.notify(.writable) }
        return done
    }

    /// Moves bytes from the buffer into the pipe: all of at most `atomicCount` bytes or none; of more, what fits. EAGAIN when nothing does, EPIPE
    /// without readers (the caller raises SIGPIPE).
    public func write(from buffer: inout IOBuffer, packet: Bool) throws(Errno) -> Int {
        let wanted = buffer.remaining
        if wanted == 0 { return 0 }
        let done = try whenHeld(buffer.isPrompt) { state throws(Errno) -> Int in
            if state.readers == 0 { throw .EPIPE }
            let limit = min(wanted, state.free)
            if limit == 0 || wanted <= Pipe.atomicCount && limit < wanted { throw .EAGAIN }
            if buffer.isPrompt, state.count + limit > state.ring.count, state.ring.count >= Pipe.defaultCapacity { throw .notAtHand }
            state.reserve(limit)
            var done = 0
            let before = (count: state.count, segments: buffer.isPrompt ? state.segments : [])
            while done < limit {
                let start = (state.head + state.count) % state.ring.count
                var length = min(limit - done, state.ring.count - start)
                if packet { length = min(length, Pipe.atomicCount) }
                let copied: Int
                do throws(Errno) {
                    var span = state.ring.mutableSpan
                    var part = span._mutatingExtracting(start..<(start + length))
                    copied = try buffer.copyIn(into: &part)
                } catch {
                    if buffer.isPrompt { (state.count, state.segments) = before } else if done > 0 { break }
                    throw error
                }
                done += copied
                state.count += copied
                state.added(copied, packet: packet)
                if copied < length { break }
            }
            return done
        }
        queue.notify(.readable)
        return done
    }

    /// Takes up to `limit` bytes out, for splice(2). Like `read` otherwise.
    public func take(_ limit: Int) throws(Errno) -> [UInt8] {
        var buffer = IOBuffer.kernel(capacity: limit)
        _ = try read(into: &buffer)
        return buffer.bytes
    }

    /// Puts back bytes that `take` took and splice(2) could not deliver.
    public func putBack(_ bytes: ArraySlice<UInt8>) {
        if bytes.isEmpty { return }
        state.withLock { state in
            var ring = [UInt8](repeating: 0, count: max(state.count + bytes.count, 4096))
            for (index, byte) in bytes.enumerated() { ring[index] = byte }
            for index in 0..<state.count { ring[bytes.count + index] = state.ring[(state.head + index) % state.ring.count] }
            state.ring = ring
            state.head = 0
            state.count += bytes.count
            if !state.segments.isEmpty { state.segments.prepend(bytes.count) }
        }
        queue.notify(.readable)
    }

    /// The first `limit` bytes without taking them, for tee(2). EAGAIN and end of file as `read`.
    public func peek(_ limit: Int) throws(Errno) -> [UInt8] {
        try state.withLock { state throws(Errno) in
            if state.count == 0 {
                if state.writers == 0 { return [] }
                throw .EAGAIN
            }
            return (0..<min(limit, state.count)).map { state.ring[(state.head + $0) % state.ring.count] }
        }
    }

    /// Bytes that wait to be read.
    public var count: Int { state.withLock { $0.count } }
    /// Bytes that could be written now.
    public var free: Int { state.withLock { max(0, $0.free) } }
    public var hasReaders: Bool { state.withLock { $0.readers > 0 } }

    // MARK: Capacity

    public var capacity: Int { state.withLock { $0.capacity } }

    /// fcntl(2) F_SETPIPE_SZ: the new capacity, a power of two of at least a page. EBUSY when more is in the pipe, EPERM beyond the system's limit.
    public func setCapacity(_ wanted: Int64, privileged: Bool) throws(Errno) -> Int {
        guard wanted >= 0, wanted <= 1 << 31 else { throw .EINVAL }
        var capacity = 4096
        while capacity < Int(wanted) { capacity *= 2 }
        return try state.withLock { state throws(Errno) in
            if capacity > state.capacity, capacity > Pipe.maximumCapacity, !privileged { throw .EPERM }
            if capacity < state.count { throw .EBUSY }
            // Bounded for everybody: the memory is the Sentry's.
            state.capacity = min(capacity, 16 * Pipe.maximumCapacity)
            if state.ring.count > state.capacity {
                let bytes = (0..<state.count).map { state.ring[(state.head + $0) % state.ring.count] }
                state.ring = bytes + [UInt8](repeating: 0, count: state.capacity - bytes.count)
                state.head = 0
            }
            return state.capacity
        }
    }

    // MARK: Ends

    /// An end comes. The generation of the other side before.
    func join(reads: Bool, writes: Bool) -> (readers: Int, writers: Int) {
        let generations = state.withLock { state in
            let before = (state.readerGeneration, state.writerGeneration)
            if reads {
                state.readers += 1
                state.readerGeneration += 1
            }
            if writes {
                state.writers += 1
                state.writerGeneration += 1
            }
            return before
        }
        queue.notify(.readable.union(.writable))
        return generations
    }

    func leave(reads: Bool, writes: Bool) {
        state.withLock { state in
            if reads { state.readers -= 1 }
            if writes { state.writers -= 1 }
            // What nobody will read goes when the last end does.
            if state.readers == 0, state.writers == 0 {
                state.ring = []
                state.head = 0
                state.count = 0
                state.segments = []
            }
        }
        queue.notify([.POLLIN, .POLLOUT, .POLLERR, .POLLHUP, .POLLRDNORM, .POLLWRNORM])
    }

    /// Whether another side that came after `generations` was noted, or is here now.
    func hasMet(reads: Bool, since generations: (readers: Int, writers: Int)) -> Bool {
        state.withLock { state in
            reads
                ? state.writers > 0 || state.writerGeneration != generations.writers
                : state.readers > 0 || state.readerGeneration != generations.readers
        }
    }

    func readiness(reads: Bool, writes: Bool, hadWriter: Bool) -> PollEvents {
        state.withLock { state in
            var events: PollEvents = []
            if reads {
                if state.count > 0 { events.formUnion(.readable) }
                if state.writers == 0, hadWriter { events.insert(.POLLHUP) }
            }
            if writes {
                if state.free >= Pipe.atomicCount { events.formUnion(.writable) }
                if state.readers == 0 { events.insert(.POLLERR) }
            }
            return events
        }
    }
}

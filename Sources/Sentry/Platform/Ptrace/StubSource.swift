import CPlatform
import Host
import LinuxABI
import Synchronization

/// A stub process at its first wait: no guest memory, no guest thread.
struct FreshStub: ~Copyable {
    let listener: OwnedDescriptor
    let processDescriptor: OwnedDescriptor
    let ring: Ring
    /// The stub's process in the Sentry's PID namespace.
    let process: Int32
    /// The notification that the service thread waits in.
    let waiting: UInt64
}

/// One stub's command ring, returned when the last user lets go.
@safe final class Ring: @unchecked Sendable {
    let words: UnsafeMutablePointer<UInt64>
    let number: UInt64
    private let source: StubSource

    // SAFETY: `words` points into the source's mapping, which lives as long as `source`; only the holder of the ring writes to it.
    init(words: UnsafeMutablePointer<UInt64>, number: UInt64, source: StubSource) {
        unsafe self.words = words
        self.number = number
        self.source = source
    }
    deinit { source.recycle(number) }
}

/// The source process and the requests to it. It is asked for the next stub before that is needed, so that forking overlaps with other work.
@safe final class StubSource: @unchecked Sendable {
    private struct State {
        var freeRings: [UInt64] = []
        var nextRing: UInt64 = 0
        var outstanding = 0
    }
    private static let ringCount: UInt64 = 16384

    let process: Int32
    let missing: Int32
    private let socket: OwnedDescriptor
    private let rings: UnsafeMutableRawPointer
    private let ringSize: Int
    private let state = Mutex(State())

    init(newNetwork: Bool) throws(Errno) {
        ringSize = cplatform_ring_size()
        var mapping: UnsafeMutableRawPointer?
        // SAFETY: the C function stores the address of a mapping of the size asked for, or fails.
        let file = unsafe cplatform_ring_create(ringSize * Int(Self.ringCount), &mapping)
        let ringFile = OwnedDescriptor(adopting: Int32(try HostCall.check(Int(file))))
        guard let mapping = unsafe mapping else { throw .ENOMEM }
        unsafe rings = mapping
        let pair = try HostCall.socketPair(type: 5)
        var missing: Int32 = 0
        process = Int32(
            try HostCall.check(Int(unsafe cplatform_source_start(pair.second.rawValue, ringFile.rawValue, newNetwork ? 1 : 0, &missing))))
        self.missing = missing
        socket = pair.first
        // The first stub is made while the Sentry goes on starting up.
        try? state.withLock { state throws(Errno) in try request(&state) }
    }

    deinit {
        _ = HostCall.raw(.munmap, Int(bitPattern: unsafe rings), ringSize * Int(Self.ringCount))
    }

    private func request(_ state: inout State) throws(Errno) {
        var number: UInt64
        if let free = state.freeRings.popLast() {
            number = free
        } else {
            guard state.nextRing < Self.ringCount else { throw .EAGAIN }
            number = state.nextRing
            state.nextRing += 1
        }
        var bytes: [UInt8] = []
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift * 8))) }
        do {
            _ = try HostCall.send(socket.rawValue, bytes.span)
        } catch {
            state.freeRings.append(number)
            throw .ESRCH
        }
        state.outstanding += 1
    }

    func recycle(_ ring: UInt64) { state.withLock { $0.freeRings.append(ring) } }

    /// The next stub, and a request for the one after it.
    func take() throws(Errno) -> FreshStub {
        var descriptors: [Int32] = []
        let ring = try state.withLock { state throws(Errno) -> UInt64 in
            if state.outstanding == 0 { try request(&state) }
            var reply = [UInt8](repeating: 0, count: 16)
            var span = reply.mutableSpan
            let count = try HostCall.receive(socket.rawValue, into: &span, descriptors: &descriptors, maximumDescriptors: 2)
            guard count == 16 else { throw .ESRCH }  // the source is gone
            state.outstanding -= 1
            let error = Int64(bitPattern: Self.word(reply, 0))
            let number = Self.word(reply, 8)
            guard error == 0, descriptors.count == 2, number < Self.ringCount else {
                state.freeRings.append(number)
                throw error < 0 ? Errno(rawValue: Int32(truncatingIfNeeded: -error)) : .EAGAIN
            }
            try? request(&state)
            return number
        }
        // SAFETY: `ring` is below ringCount, so the pointer is inside the mapping.
        let words = unsafe (rings + Int(ring) * ringSize).assumingMemoryBound(to: UInt64.self)
        let holder = unsafe Ring(words: words, number: ring, source: self)
        let child = OwnedDescriptor(adopting: descriptors[0])
        let processDescriptor = OwnedDescriptor(adopting: descriptors[1])
        var hello = [UInt8](repeating: 0, count: 8)
        var listeners: [Int32] = []
        var span = hello.mutableSpan
        let count = try HostCall.receive(child.rawValue, into: &span, descriptors: &listeners, maximumDescriptors: 1)
        guard count == 8, listeners.count == 1 else { throw .ESRCH }
        let listener = OwnedDescriptor(adopting: listeners[0])
        cplatform_notify_set_synchronous(listener.rawValue)
        var notification = cplatform_notification()
        _ = try HostCall.check(Int(unsafe cplatform_notify_receive(listener.rawValue, 10_000, &notification)))
        guard notification.instruction_pointer == cplatform_stub_wait_address() else { throw .EPROTO }
        return FreshStub(
            listener: listener, processDescriptor: processDescriptor, ring: holder, process: notification.tid, waiting: notification.id)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(index * 8) }
        return value
    }
}

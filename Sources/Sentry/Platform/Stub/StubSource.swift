import CPlatform
import Host
import LinuxABI
import Synchronization

/// A stub process at its first wait: no guest memory, no guest thread.
struct FreshStub: ~Copyable {
    let listener: OwnedDescriptor
    let processDescriptor: SharedDescriptor
    let share: StubShare
    /// The stub's process in the Sentry's PID namespace.
    let process: Int32
    /// The notification that the service thread waits in.
    let waiting: UInt64
}

/// One stub's part of the memory that stubs share with the Sentry, returned when the last user lets go: its command ring, and chunks of slots for
/// guest threads (systrap). The chunk with the ring's number is mapped into the stub from the beginning.
@safe final class StubShare: @unchecked Sendable {
    let ring: UnsafeMutablePointer<UInt64>
    let number: UInt64
    private let source: StubSource
    private let furtherChunks = Lock<[UInt64]>([])
    /// How many entries of the ring have been written. With the lock of the stub's channel.
    var usedEntries = 0

    // SAFETY: `ring` points into the source's mapping, which lives as long as `source`; only the holder of the share writes to it.
    init(ring: UnsafeMutablePointer<UInt64>, number: UInt64, source: StubSource) {
        unsafe self.ring = ring
        self.number = number
        self.source = source
    }

    deinit {
        // The next stub is another process's, and need not know where this one had its memory.
        unsafe ring.update(repeating: 0, count: usedEntries * 8)
        source.recycle(number, chunks: furtherChunks.withLock { $0 })
    }

    /// The file that all slots lie in.
    var slotFile: SharedDescriptor? { source.slotFile }

    /// Chunk number `index` of this stub, counted from 0; a new one when it is the next. EAGAIN: there are no more.
    func chunk(_ index: Int) throws(Errno) -> UInt64 {
        if index == 0 { return number }
        return try furtherChunks.withLock { chunks throws(Errno) in
            if index > chunks.count { chunks.append(try source.takeChunk()) }
            return chunks[index - 1]
        }
    }

    /// Where slot `slot` of chunk `chunk` is in the Sentry.
    func slotPointer(chunk: UInt64, slot: Int) -> UnsafeMutableRawPointer? { unsafe source.slotPointer(chunk: chunk, slot: slot) }
}

/// The source process and the requests to it. It is asked for the next stub before that is needed, so that forking overlaps with other work.
@safe final class StubSource: @unchecked Sendable {
    private struct State {
        var freeRings: [UInt64] = []
        var nextRing: UInt64 = 0
        var freeChunks: [UInt64] = []
        /// Free too, and their slots hold no memory; taken when there are no others.
        var emptyRings: [UInt64] = []
        var emptyChunks: [UInt64] = []
        var nextChunk = StubSource.ringCount
        var outstanding = 0
    }
    private static let ringCount: UInt64 = 16384
    /// Chunks of slots: one for each ring, and as many again as 131,072 threads more need.
    private static let chunkCount: UInt64 = 24576
    private static let chunkSize = cplatform_slot_size() * cplatform_chunk_slots()

    let process: Int32
    let missing: Int32
    /// Holds the slots of guest threads (systrap).
    let slotFile: SharedDescriptor?
    private let socket: OwnedDescriptor
    private let rings: UnsafeMutableRawPointer
    private let slots: UnsafeMutableRawPointer?
    private let ringSize: Int
    private let state = Lock(State())
    private let vdso = Atomic<Bool>(false)

    /// `slots`: guest threads get slots (systrap).
    init(newNetwork: Bool, slots wantsSlots: Bool = false) throws(Errno) {
        ringSize = cplatform_ring_size()
        var mapping: UnsafeMutableRawPointer?
        // SAFETY: the C function stores the address of a mapping of the size asked for, or fails.
        let file = unsafe cplatform_shared_create("nestbox-ring", ringSize * Int(Self.ringCount), 1, &mapping)
        let ringFile = OwnedDescriptor(adopting: Int32(try HostCall.check(Int(file))))
        guard let mapping = unsafe mapping else { throw .ENOMEM }
        unsafe rings = mapping
        var slotMapping: UnsafeMutableRawPointer?
        if wantsSlots {
            let file = unsafe cplatform_shared_create("nestbox-slots", Self.chunkSize * Int(Self.chunkCount), 0, &slotMapping)
            slotFile = SharedDescriptor(OwnedDescriptor(adopting: Int32(try HostCall.check(Int(file)))))
        } else {
            slotFile = nil
        }
        unsafe slots = slotMapping
        let pair = try HostCall.socketPair(type: 5)
        var missing: Int32 = 0
        let flags = (newNetwork ? CPLATFORM_SOURCE_NEW_NETWORK : 0) | (wantsSlots ? CPLATFORM_SOURCE_SYSTRAP : 0)
        // The stub of ptrace closes its third descriptor unused.
        let third = slotFile?.rawValue ?? ringFile.rawValue
        process = Int32(
            try HostCall.check(Int(unsafe cplatform_source_start(pair.second.rawValue, ringFile.rawValue, third, Int32(flags), &missing))))
        self.missing = missing
        socket = pair.first
        // The first stub is made while the Sentry goes on starting up.
        try? state.withLock { state throws(Errno) in try request(&state) }
    }

    /// Whether stubs have the guest's vDSO with the host's behind it. Known once the first stub is there.
    var hasVDSO: Bool { vdso.load(ordering: .relaxed) }

    deinit {
        _ = HostCall.raw(.munmap, Int(bitPattern: unsafe rings), ringSize * Int(Self.ringCount))
        if let slots = unsafe slots { _ = HostCall.raw(.munmap, Int(bitPattern: slots), Self.chunkSize * Int(Self.chunkCount)) }
    }

    private func request(_ state: inout State) throws(Errno) {
        var number: UInt64
        if let free = state.freeRings.popLast() ?? state.emptyRings.popLast() {
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

    /// Takes back what a dead stub had.
    fileprivate func recycle(_ ring: UInt64, chunks: [UInt64]) {
        state.withLock { state in
            state.freeRings.append(ring)
            state.freeChunks.append(contentsOf: chunks)
        }
    }

    /// Gives the memory of slots that belong to no stub back to the host.
    func releaseSlots() {
        // SAFETY: only the address of the mapping is used.
        let address = unsafe Int(bitPattern: slots)
        if address == 0 { return }
        let (rings, chunks) = state.withLock { state -> ([UInt64], [UInt64]) in
            defer {
                state.freeRings = []
                state.freeChunks = []
            }
            return (state.freeRings, state.freeChunks)
        }
        for chunk in rings + chunks where chunk < Self.chunkCount {
            // The chunk is inside the mapping, and nobody else's while it is in neither list. 9: MADV_REMOVE
            _ = HostCall.raw(.madvise, address + Int(chunk) * Self.chunkSize, Self.chunkSize, 9)
        }
        state.withLock { state in
            state.emptyRings += rings
            state.emptyChunks += chunks
        }
    }

    fileprivate func takeChunk() throws(Errno) -> UInt64 {
        try state.withLock { state throws(Errno) in
            if let free = state.freeChunks.popLast() ?? state.emptyChunks.popLast() { return free }
            guard state.nextChunk < Self.chunkCount else { throw .EAGAIN }
            state.nextChunk += 1
            return state.nextChunk - 1
        }
    }

    fileprivate func slotPointer(chunk: UInt64, slot: Int) -> UnsafeMutableRawPointer? {
        // SAFETY: chunk and slot are in range, so the pointer is inside the mapping.
        guard let slots = unsafe slots, chunk < Self.chunkCount, slot >= 0, slot < cplatform_chunk_slots() else { return nil }
        return unsafe slots + Int(chunk) * Self.chunkSize + slot * cplatform_slot_size()
    }

    /// The next stub, and a request for the one after it.
    func take() throws(Errno) -> FreshStub {
        var descriptors: [Int32] = []
        let ring = try state.withLock { state throws(Errno) -> UInt64 in
            if state.outstanding == 0 { try request(&state) }
            var reply = [UInt8](repeating: 0, count: 24)
            var span = reply.mutableSpan
            let count = try HostCall.receive(socket.rawValue, into: &span, descriptors: &descriptors, maximumDescriptors: 2)
            guard count == 24 else { throw .ESRCH }  // the source is gone
            state.outstanding -= 1
            let error = Int64(bitPattern: Self.word(reply, 0))
            let number = Self.word(reply, 8)
            vdso.store(Self.word(reply, 16) == 1, ordering: .relaxed)
            guard error == 0, descriptors.count == 2, number < Self.ringCount else {
                state.freeRings.append(number)
                throw error < 0 ? Errno(rawValue: Int32(truncatingIfNeeded: -error)) : .EAGAIN
            }
            try? request(&state)
            return number
        }
        // SAFETY: `ring` is below ringCount, so the pointer is inside the mapping.
        let words = unsafe (rings + Int(ring) * ringSize).assumingMemoryBound(to: UInt64.self)
        let share = unsafe StubShare(ring: words, number: ring, source: self)
        let child = OwnedDescriptor(adopting: descriptors[0])
        let processDescriptor = SharedDescriptor(OwnedDescriptor(adopting: descriptors[1]))
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
            listener: listener, processDescriptor: processDescriptor, share: share, process: notification.tid, waiting: notification.id)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(index * 8) }
        return value
    }
}

import CPlatform
import Host
import LinuxABI

/// The slots of one address space: which guest thread has which.
@safe final class SlotTable: @unchecked Sendable {
    /// A stub thread without task, which waits for its next turn.
    struct ParkedThread: Sendable {
        let slot: Slot
        let thread: Int32
        let place: Slot.Place
        let sequence: UInt32
    }
    /// Threads kept for the next task.
    private static let maximumParked = 16

    private struct State {
        var parked: [ParkedThread] = []
        /// Slots whose thread is ending; free once the host kernel has cleared their first word.
        var ending: [Int] = []
        var free: [Int] = []
        /// Slots below this have been used.
        var used = 0
        var mappedChunks = 1
        var isBuried = false
    }
    private let share: StubShare
    private let state = Lock(State())

    init(share: StubShare) { self.share = share }

    /// The stub has ended, and the next one is another process's: it must not find registers there.
    deinit {
        for index in 0..<state.withLock({ $0.used }) { try? slot(index).erase() }
    }

    /// A slot for a new thread, prepared, and the chunk that has to be mapped into the stub before, if any.
    func take() throws(Errno) -> (Slot, mapping: (file: SharedDescriptor, chunk: UInt64)?) {
        try state.withLock { state throws(Errno) in
            if state.isBuried { throw .ESRCH }
            if state.free.isEmpty {
                state.ending.removeAll { index in
                    guard let slot = try? self.slot(index), slot.isGone else { return false }
                    state.free.append(index)
                    return true
                }
            }
            var mapping: (file: SharedDescriptor, chunk: UInt64)?
            let index: Int
            if let free = state.free.popLast() {
                index = free
            } else {
                index = state.used
                let chunk = index / cplatform_chunk_slots()
                if chunk >= state.mappedChunks {
                    guard let file = share.slotFile else { throw .EINVAL }
                    mapping = (file, try share.chunk(chunk))
                    state.mappedChunks = chunk + 1
                }
                state.used += 1
            }
            let slot = try self.slot(index)
            slot.prepare()
            return (slot, mapping)
        }
    }

    /// Keeps the thread for the next task; false when there are enough.
    func park(_ thread: ParkedThread) -> Bool {
        state.withLock { state in
            if state.isBuried || state.parked.count >= Self.maximumParked { return false }
            state.parked.append(thread)
            return true
        }
    }

    func unpark() -> ParkedThread? { state.withLock { $0.parked.popLast() } }

    /// The thread of `index` has been told to exit.
    func giveBack(_ index: Int) { state.withLock { $0.ending.append(index) } }

    /// No thread came to be for this slot.
    func putBack(_ slot: Slot) {
        slot.bury()
        giveBack(slot.index)
    }

    /// The stub is dead: whoever waits for one of its threads learns that.
    func bury() {
        state.withLock { state in
            state.isBuried = true
            for index in 0..<state.used {
                if let slot = try? self.slot(index) { slot.bury() }
            }
        }
    }

    private func slot(_ index: Int) throws(Errno) -> Slot {
        let chunk = try share.chunk(index / cplatform_chunk_slots())
        // SAFETY: the pointer is to a slot of the share, which lives as long as this table.
        guard let pointer = unsafe share.slotPointer(chunk: chunk, slot: index % cplatform_chunk_slots()) else { throw .EAGAIN }
        return unsafe Slot(index: index, pointer: pointer, stubAddress: cplatform_stub_slots() + UInt64(index * cplatform_slot_size()))
    }
}

import CPlatform
import Host

// SAFETY: in this file every pointer is to a slot of `cplatform_slot_size` bytes, which stays mapped as long as the platform lives; the C functions stay
// inside it and take everything they find there for hostile. Registers has the layout of struct user_regs_struct.

/// A guest thread's slot, as the Sentry and as the stub know it.
@safe struct Slot: @unchecked Sendable {
    let index: Int
    let stubAddress: UInt64
    private let pointer: UnsafeMutableRawPointer

    init(index: Int, pointer: UnsafeMutableRawPointer, stubAddress: UInt64) {
        self.index = index
        unsafe self.pointer = pointer
        self.stubAddress = stubAddress
    }

    /// Where the guest's registers are while it is the Sentry's turn.
    enum Place {
        /// In a signal frame: the offset of its ucontext in the slot.
        case frame(UInt32)
        /// In the slot's words, after a call that came through a trampoline: the address behind the call, and where the trampoline goes on for it.
        case words(rip: UInt64, target: UInt64)
    }

    /// What the stub thread does when it is its turn.
    enum Action: Int32 {
        case resume, exit
        /// Raise a signal, so that there is a frame.
        case frame
        /// Let others run first, then resume.
        case yield
        /// Without a frame: save the floating-point state in the slot and give the turn back; load it from there, then resume.
        case save, restore
    }

    /// Where the slot is in the Sentry, for `nudge`.
    var address: UInt { unsafe UInt(bitPattern: pointer) }

    func prepare() { unsafe cplatform_slot_prepare(pointer) }
    func erase() { unsafe pointer.initializeMemory(as: UInt8.self, repeating: 0, count: cplatform_slot_size()) }
    var isGone: Bool { unsafe cplatform_slot_is_gone(pointer) != 0 }
    func bury() { unsafe cplatform_slot_bury(pointer) }
    func stopSpinning() { unsafe cplatform_slot_stop_spinning(pointer) }

    /// What the stub may answer by itself from now on. Any thread.
    func setFacts(_ facts: TaskFacts?) {
        guard let facts else { return unsafe cplatform_slot_set_answers(pointer, nil) }
        // In the order of ANSWER_*.
        let answers: [7 of UInt64] = [
            1, UInt64(UInt32(bitPattern: facts.processID)) + 1, UInt64(UInt32(bitPattern: facts.threadID)) + 1, UInt64(facts.user) + 1,
            UInt64(facts.effectiveUser) + 1, UInt64(facts.group) + 1, UInt64(facts.effectiveGroup) + 1,
        ]
        unsafe answers.span.withUnsafeBufferPointer { p in unsafe cplatform_slot_set_answers(pointer, p.baseAddress) }
    }

    /// The same for the slot at `address`: nothing.
    static func withdrawFacts(_ address: UInt) {
        if let pointer = unsafe UnsafeMutableRawPointer(bitPattern: address) { unsafe cplatform_slot_set_answers(pointer, nil) }
    }

    /// Gives the turn; false when the thread had ended before.
    func give(_ action: Action, spins: UInt32, yields: UInt32) -> Bool {
        unsafe cplatform_slot_give(pointer, action.rawValue, spins, yields) == 0
    }

    /// One of CPLATFORM_SLOT_READY and so on.
    func wait(cycles: UInt64, microseconds: Int64) -> Int { Int(unsafe cplatform_slot_wait(pointer, cycles, microseconds)) }

    /// One of CPLATFORM_SLOT_READY and so on, at once.
    func look() -> Int { Int(unsafe cplatform_slot_look(pointer)) }

    /// Whether it is the Sentry's turn because of a call that came through a trampoline.
    var isCall: Bool { unsafe cplatform_slot_is_call(pointer) != 0 }

    /// Sleeps until something happens in one of `slots` (in those marked as waiting: the stub's end), or `parker` is woken; false after `microseconds` (negative: no limit).
    static func awaitAny(of slots: [(slot: Slot, isWaiting: Bool)], or parker: Parker, microseconds: Int64) -> Bool {
        var isInTime = true
        unsafe withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: max(1, slots.count)) { pointers in
            unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, slots.count)) { marks in
                for (index, entry) in slots.enumerated() {
                    unsafe pointers.initializeElement(at: index, to: entry.slot.pointer)
                    unsafe marks.initializeElement(at: index, to: entry.isWaiting ? 1 : 0)
                }
                unsafe parker.park { word, value in
                    isInTime =
                        unsafe cplatform_wait_for_many(
                            word, value, pointers.baseAddress, marks.baseAddress, Int32(slots.count), microseconds) == 0
                }
            }
        }
        return isInTime
    }

    /// The event and the registers; false for nonsense.
    func load(_ registers: inout Registers, _ event: inout cplatform_slot_event) -> Bool {
        unsafe cplatform_slot_load(pointer, stubAddress, &registers, &event) == 0
    }

    func loadCall(_ registers: inout Registers, _ event: inout cplatform_slot_event) {
        unsafe cplatform_slot_load_call(pointer, &registers, &event)
    }

    func store(_ registers: Registers, frame: UInt32) {
        var copy = registers
        unsafe cplatform_slot_store(pointer, stubAddress, frame, &copy)
    }

    func storeCall(_ registers: Registers, target: UInt64) {
        var copy = registers
        unsafe cplatform_slot_store_call(pointer, &copy, target)
    }

    /// Bytes of the XSAVE image copied, or a negative error.
    func readFloatingPoint(frame: UInt32, into buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        unsafe cplatform_slot_get_xstate(pointer, frame, buffer.baseAddress, buffer.count)
    }

    func writeFloatingPoint(frame: UInt32, _ image: Span<UInt8>) -> Int {
        unsafe image.withUnsafeBufferPointer { p in unsafe cplatform_slot_set_xstate(pointer, frame, p.baseAddress, p.count) }
    }

    /// The size of the floating-point state that threads without frame save and load themselves; 0: none does.
    static let stateSize = cplatform_state_size()

    /// The same as above for that state.
    func readState(into buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        unsafe cplatform_slot_get_state(pointer, Self.stateSize, buffer.baseAddress, buffer.count)
    }

    func writeState(_ image: Span<UInt8>) -> Int {
        unsafe image.withUnsafeBufferPointer { p in unsafe cplatform_slot_set_state(pointer, Self.stateSize, p.baseAddress, p.count) }
    }

    /// That state goes into the frame.
    func moveState(frame: UInt32) -> Int { unsafe cplatform_slot_move_state(pointer, Self.stateSize, frame) }

    /// Wakes whoever waits at the slot that is at `address`, to look around.
    static func nudge(_ address: UInt) {
        if let pointer = unsafe UnsafeMutableRawPointer(bitPattern: address) { unsafe cplatform_slot_nudge(pointer) }
    }
}

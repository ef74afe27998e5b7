import CPlatform
import Host
import LinuxABI
import Synchronization

/// One guest task's stub thread on systrap. Everything but `interrupt` runs on the task's own host thread.
@safe final class SystrapContext: ExecutionContext, @unchecked Sendable {
    private let placement: Placement
    private let seat = Placement.Seat()
    private var space: StubAddressSpace?
    private var slot: SlotTable.Slot?
    private var thread: Int32 = 0
    /// Offset of the present frame's ucontext in the slot.
    private var frame: UInt32 = 0
    /// An image to load before guest code runs, from before the stub thread existed.
    private var pendingFloatingPoint: [UInt8]?
    private var spinning = SpinPolicy()

    /// Process and thread number while guest code may be running, or 0; the slot's address then.
    private let running = Atomic<UInt64>(0)
    private let runningSlot = Atomic<UInt>(0)
    private let isInterruptPending = Atomic<Bool>(false)

    init(placement: Placement) { self.placement = placement }

    deinit { assert(thread == 0, "a context must be released by its task") }

    // MARK: running

    func run(_ registers: inout Registers, in space: any PlatformAddressSpace) throws(PlatformError) -> Event {
        if self.space !== space { try enter(space) }
        guard let slot, let space = self.space else { throw .host(.EINVAL) }
        guard registers.areAcceptable else { return .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil)) }
        placement.activatePatiently(seat)
        running.store(
            UInt64(UInt32(bitPattern: space.process)) << 32 | UInt64(UInt32(bitPattern: thread)), ordering: .sequentiallyConsistent)
        defer { running.store(0, ordering: .releasing) }
        if isInterruptPending.load(ordering: .sequentiallyConsistent) {
            isInterruptPending.store(false, ordering: .relaxed)
            return .interrupted
        }
        // SAFETY: the slot is this thread's until `leave`; Registers has the layout of struct user_regs_struct.
        unsafe cplatform_slot_store(slot.pointer, frame, &registers)
        while true {
            spinning.begin(placement, seat)
            if unsafe cplatform_slot_give(slot.pointer, 0, spinning.stubSpins) < 0 { throw ended(space) }
            try awaitTurn(slot, space)
            let event = try take(slot, &registers)
            if let event = meaning(of: event, &registers) { return event }
        }
    }

    /// Waits until the stub thread gives its turn.
    private func awaitTurn(_ slot: SlotTable.Slot, _ space: StubAddressSpace) throws(PlatformError) {
        var reminders = 0
        var spins = spinning.cycles
        while true {
            let isAwaited = isInterruptPending.load(ordering: .relaxed)
            let limit: Int64 = isAwaited ? Self.patience : placement.isCrowded(seat) ? Placement.crowdedMicroseconds : -1
            let state = unsafe cplatform_slot_wait(slot.pointer, spins, limit)
            switch Int(state) {
            case CPLATFORM_SLOT_READY:
                spinning.end(placement, seat)
                return
            case CPLATFORM_SLOT_GONE:
                throw ended(space)
            case CPLATFORM_SLOT_NONSENSE:
                throw lost(.misbehaved("a guest thread wrote over its turn"))
            case CPLATFORM_SLOT_TIMEOUT:
                placement.spread(seat)
                guard isAwaited else { break }
                reminders += 1
                if reminders > Self.reminders { throw lost(.misbehaved("an interrupt was not taken")) }
                // Somebody outside may have stopped it.
                space.resumeStopped()
                _ = cplatform_interrupt(space.process, thread)
            default: break
            }
            spins = 0
            if isInterruptPending.load(ordering: .sequentiallyConsistent), !isAwaited { reminders = 0 }
        }
    }

    /// How long a thread may take to notice an interrupt before it is told again, in microseconds, and how often.
    private static let patience: Int64 = 200_000
    private static let reminders = 150

    private func take(_ slot: SlotTable.Slot, _ registers: inout Registers) throws(PlatformError) -> cplatform_slot_event {
        var event = cplatform_slot_event()
        // SAFETY: as in `run`.
        let result = unsafe cplatform_slot_load(slot.pointer, slot.stubAddress, &registers, &event)
        if result < 0 { throw lost(.misbehaved("a guest thread wrote over its context")) }
        frame = event.frame
        return event
    }

    /// What a signal in the stub means for the guest; nil when nothing: somebody outside sent it, or an interrupt came too late.
    private func meaning(of event: cplatform_slot_event, _ registers: inout Registers) -> Event? {
        switch event.signal {
        case 31 where event.code == 1:  // SIGSYS, SYS_SECCOMP
            var number = registers.rax
            if event.architecture != 0xc000_003e {
                // `int $0x80`, which a kernel without 32-bit emulation answers with a general protection fault.
                registers.rip &-= 2
                return .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil))
            }
            if (-516...(-512)).contains(event.number) {
                // A number that the host took for a result that asks for a restart, and changed.
                number = UInt64(bitPattern: Int64(event.number))
                registers.rip = event.address
            }
            registers.orig_rax = number
            registers.rax = UInt64(bitPattern: -38)
            return .systemCall
        case CPLATFORM_INTERRUPT_SIGNAL:
            return isInterruptPending.exchange(false, ordering: .sequentiallyConsistent) ? .interrupted : nil
        case 11 where event.code > 0, 7 where event.code > 0:
            var access: AccessKind?
            if event.is_page_fault != 0 { access = event.error & 16 != 0 ? .execute : event.error & 2 != 0 ? .write : .read }
            return .fault(
                FaultInfo(signal: event.signal, code: event.code, address: event.code == 0x80 ? 0 : event.address, access: access))
        case 4 where event.code > 0, 8 where event.code > 0, 5 where event.code > 0:
            return .fault(FaultInfo(signal: event.signal, code: event.code, address: event.address, access: nil))
        default: return nil
        }
    }

    /// The thread has ended: with its process, or alone, because guest code jumped to where that is permitted.
    private func ended(_ space: StubAddressSpace) -> PlatformError {
        let isProcess = cplatform_process_has_ended(space.processDescriptor.rawValue, 1000) != 0
        return lost(isProcess ? .killed(signal: 9) : .misbehaved("a guest thread ended itself"))
    }

    /// The stub thread is gone for good.
    private func lost(_ reason: StubDeath) -> PlatformError {
        space?.fail(reason)
        let reported = space?.deathReason ?? reason
        forget()
        return .stubDied(reported)
    }

    private func forget() {
        thread = 0
        slot = nil
        space = nil
        runningSlot.store(0, ordering: .relaxed)
        placement.seatStub(seat, 0)
    }

    // MARK: moving

    private func enter(_ target: any PlatformAddressSpace) throws(PlatformError) {
        leave()
        guard let target = target as? StubAddressSpace, let slots = target.slots else { throw .host(.EINVAL) }
        placement.settle(seat, spreading: false)
        var registers = Registers()
        do throws(Errno) {
            let (slot, mapping) = try slots.take()
            space = target
            self.slot = slot
            do throws(Errno) {
                thread = try target.startTrappingThread(slot: slot, mapping: mapping) { () throws(Errno) in
                    do throws(PlatformError) {
                        try awaitTurn(slot, target)
                        _ = try take(slot, &registers)
                    } catch {
                        throw .ESRCH
                    }
                }
            } catch {
                slots.putBack(slot)
                throw error
            }
            runningSlot.store(UInt(bitPattern: unsafe slot.pointer), ordering: .relaxed)
        } catch {
            forget()
            if let death = target.deathReason { throw .stubDied(death) }
            throw .host(error)
        }
        placement.seatStub(seat, thread)
        if let image = pendingFloatingPoint {
            pendingFloatingPoint = nil
            try writeFloatingPoint(image.span)
        }
    }

    private func leave() {
        guard let slot, let space else { return }
        _ = unsafe cplatform_slot_give(slot.pointer, 1, 0)
        space.slots?.giveBack(slot.index)
        forget()
    }

    func suspend() {
        if let slot { unsafe cplatform_slot_stop_spinning(slot.pointer) }
        spinning.stop(placement, seat)
        placement.deactivate(seat, pulling: false)
    }

    func release() {
        leave()
        spinning.stop(placement, seat)
        placement.vacate(seat)
    }

    // MARK: interrupts

    func interrupt() {
        isInterruptPending.store(true, ordering: .sequentiallyConsistent)
        let running = running.load(ordering: .sequentiallyConsistent)
        guard running != 0 else { return }
        // A number that has meanwhile ended and come back belongs to a stub, where this signal does no harm.
        _ = cplatform_interrupt(Int32(truncatingIfNeeded: running >> 32), Int32(truncatingIfNeeded: running))
        // The waiting Sentry thread must know, to insist.
        // SAFETY: slots stay mapped as long as the platform lives.
        if let slot = unsafe UnsafeMutableRawPointer(bitPattern: runningSlot.load(ordering: .relaxed)) { unsafe cplatform_slot_nudge(slot) }
    }

    func clearInterrupt() { isInterruptPending.store(false, ordering: .sequentiallyConsistent) }

    // MARK: floating point

    /// More than any slot holds.
    private static let maximumImage = 16384
    private static let imageSize = Atomic<Int>(0)

    func readFloatingPoint() throws(PlatformError) -> [UInt8] {
        guard let slot else { return pendingFloatingPoint ?? initialImage() }
        let known = Self.imageSize.load(ordering: .relaxed)
        var count = 0
        // SAFETY: the call writes at most the bytes it is told of and says how many it wrote.
        let image = unsafe [UInt8](unsafeUninitializedCapacity: known > 0 ? known : Self.maximumImage) { buffer, initialized in
            count = unsafe cplatform_slot_get_xstate(slot.pointer, frame, buffer.baseAddress, buffer.count)
            initialized = max(0, min(count, buffer.count))
        }
        if count < 0 { throw lost(.misbehaved("a guest thread wrote over its floating-point state")) }
        if known == 0 { Self.imageSize.store(image.count, ordering: .relaxed) }
        return image
    }

    func writeFloatingPoint(_ image: Span<UInt8>) throws(PlatformError) {
        guard let slot else {
            var copy: [UInt8] = []
            copy.reserveCapacity(image.count)
            for index in image.indices { copy.append(image[index]) }
            pendingFloatingPoint = copy
            return
        }
        // SAFETY: the pointer is used by this call only.
        let result = unsafe image.withUnsafeBufferPointer { p in
            unsafe cplatform_slot_set_xstate(slot.pointer, frame, p.baseAddress, p.count)
        }
        if result == -22 { throw .host(.EINVAL) }
        if result < 0 { throw lost(.misbehaved("a guest thread wrote over its floating-point state")) }
    }

    func resetFloatingPoint() throws(PlatformError) {
        if slot == nil {
            pendingFloatingPoint = nil
            return
        }
        let image = initialImage()
        // execve(2): the old address space may be gone already. The thread in the new one starts with this image.
        do { try writeFloatingPoint(image.span) } catch { pendingFloatingPoint = image }
    }

    func copyFloatingPoint(from parent: any ExecutionContext) throws(PlatformError) {
        pendingFloatingPoint = try parent.readFloatingPoint()
    }
}

extension Registers {
    /// Whether user code can have these: its own segments, and bases of segments below the end of user addresses.
    var areAcceptable: Bool {
        cs == Self.userCodeSegment && ss == Self.userStackSegment && fs_base >> 47 == 0 && gs_base >> 47 == 0
    }
}

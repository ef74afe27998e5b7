import CPlatform
import Diagnostics
import Host
import LinuxABI
import Synchronization

/// One guest task's stub thread on systrap. Everything but `interrupt` runs on the task's own host thread.
@safe final class SystrapContext: ExecutionContext, @unchecked Sendable {
    let placement: Placement
    let seat = Placement.Seat()
    private var space: StubAddressSpace?
    var slot: Slot?
    private var thread: Int32 = 0
    var place = Slot.Place.frame(0)
    /// How many calls have come through trampolines.
    var sequence: UInt32 = 0
    /// An image to load before guest code runs, from before the stub thread existed.
    private var pendingFloatingPoint: [UInt8]?
    /// The slot holds a floating-point state that the stub thread, which has no frame, is to load when it resumes.
    var hasState = false
    var spinning = SpinPolicy()
    private var waiting = WaitPolicy()
    let services: CallServices
    let served = ServedState()
    private var facts: TaskFacts?
    private var wantsYield = false
    /// How often the thread has been told to come back since it was last sent out.
    private var reminders = 0
    private var lastReminder: UInt64 = 0
    private let areFactsWithdrawn = Atomic<Bool>(false)

    /// Process and thread number while guest code may be running, or 0; the slot's address then.
    private let running = Atomic<UInt64>(0)
    private let runningSlot = Atomic<UInt>(0)
    let isInterruptPending = Atomic<Bool>(false)

    init(placement: Placement, services: CallServices) {
        self.placement = placement
        self.services = services
    }

    deinit { assert(thread == 0, "a context must be released by its task") }

    // MARK: running

    func run(_ registers: inout Registers, in space: any PlatformAddressSpace) throws(PlatformError) -> Event {
        if self.space !== space {
            try enter(space)
            publishFacts()
        }
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
        if registers.needFrame { try makeFrame(slot, space) }
        beginReminders()
        if registers.gs_base != 0 { space.callSites?.turnOff() }
        // Each step shall be one of the original's.
        if registers.eflags & 0x100 != 0 { space.callSites?.restore() }
        store(registers, slot)
        var retried: UInt64 = 0
        var rounds = 0
        while true {
            spinning.begin(placement, seat)
            if !slot.give(hasState ? .restore : wantsYield ? .yield : .resume, spins: spinning.stubSpins, yields: 0) { throw ended(space) }
            wantsYield = false
            if served.policy.isWorthwhile { letServe(&registers) }
            try awaitTurn(slot, space)
            var found = registers
            var event = try take(slot, &found)
            let hadState = hasState
            hasState = false
            // Who writes his own frames could come back for ever without an event, and with an interrupt that nobody sees.
            if isInterruptPending.load(ordering: .relaxed) {
                rounds += 1
            } else {
                rounds = 0
                beginReminders()
            }
            if rounds > Self.maximumRounds { throw lost(.misbehaved("a guest thread takes no interrupt")) }
            if event.has_frame != 0, event.signal == CPLATFORM_INTERRUPT_SIGNAL, found.rip >= Self.yieldCode.lowerBound,
                found.rip < Self.entryCode.lowerBound
            {
                if found.rip < Self.yieldCode.upperBound {
                    // An interrupt hit a thread in sched_yield(2), which is as good as done.
                    found.rip = found.rip == Self.yieldCode.lowerBound ? found.r11 : event.resume
                    found.rax = 0
                    space.callSites?.comeOut(&found)
                } else {
                    // Or one that looked whether its call has an answer.
                    space.callSites?.comeOutOfStub(&found, number: cplatform_stub_call_at(found.rip, found.rax))
                }
                place = .frame(event.frame)
                if isInterruptPending.exchange(false, ordering: .sequentiallyConsistent) {
                    registers = found
                    return .interrupted
                }
                store(found, slot)
                continue
            }
            if event.has_frame != 0, found.rip >= Self.entryCode.lowerBound, found.rip < Self.entryCode.upperBound,
                event.signal == CPLATFORM_INTERRUPT_SIGNAL
            {
                // An interrupt hit a thread that came through a trampoline: before it made its call, which it is about to make; after that, before
                // the Sentry saw it; or when it had been answered and was on its way back.
                if found.rip < Self.given { continue }
                if event.sequence != sequence {
                    var event = event
                    slot.loadCall(&registers, &event)
                    return accept(event, &registers)
                }
                place = .frame(event.frame)
                // It may not have come to load its floating-point state.
                if hadState { try moveState(slot, event.frame) }
                if isInterruptPending.exchange(false, ordering: .sequentiallyConsistent) { return .interrupted }
                store(registers, slot)
                continue
            }
            if event.has_frame == 0 {
                registers = found
                return accept(event, &registers)
            }
            place = .frame(event.frame)
            if let sites = space.callSites, event.signal == 11 && event.code == 0x80 || event.signal == 4, found.rip != retried {
                // Somebody came to the middle of a patched call?
                let mending = sites.mend(found.rip)
                if mending != .none {
                    if mending == .again { retried = found.rip }
                    registers = found
                    store(found, slot)
                    continue
                }
            }
            let address = found.rip
            space.callSites?.comeOut(&found)
            if found.rip != address, event.address == address, event.is_page_fault == 0 { event.address = found.rip }
            if event.signal == 4, found.rip == Self.trap {
                found.rip = found.rcx
                found.r11 = found.eflags
                found.orig_rax = found.rax
                found.rax = UInt64(bitPattern: -38)
                registers = found
                return .systemCall
            }
            if let meaning = meaning(of: event, &found) {
                // Its memory may have gone because the address space is being destroyed.
                if meaning != .systemCall, let death = space.deathReason { throw lost(death) }
                registers = found
                if meaning == .systemCall, registers.gs_base == 0 { space.callSites?.count(registers.rip, number: registers.orig_rax) }
                return meaning
            }
        }
    }

    private static let entryCode = cplatform_stub_entry_address()..<cplatform_stub_entry_end_address()
    private static let yieldCode = cplatform_stub_yield_address()..<cplatform_stub_entry_any_address()
    private static let trap = cplatform_stub_trap_address()
    private static let given = cplatform_stub_given_address()

    /// A call that came through a trampoline.
    private func accept(_ event: cplatform_slot_event, _ registers: inout Registers) -> Event {
        sequence = event.sequence
        place = .words(rip: registers.rip, target: event.target)
        served.policy.note(isServable: placement.isInCrowd(seat) && served.server?.serves(registers) == true)
        registers.orig_rax = registers.rax
        registers.rax = UInt64(bitPattern: -38)
        return .systemCall
    }

    /// Puts the registers where the stub thread takes them from.
    private func store(_ registers: borrowing Registers, _ slot: Slot) {
        func continuation(of address: UInt64) -> UInt64 { space?.callSites?.continuation(of: address) ?? address }
        switch place {
        case .frame(let frame):
            var moved = copy registers
            moved.rip = continuation(of: moved.rip)
            slot.store(moved, frame: frame)
        case .words(let rip, let target):
            slot.storeCall(copy registers, target: registers.rip == rip ? target : continuation(of: registers.rip))
        }
    }

    /// Makes the stub thread raise a signal, if it has no frame: what the words cannot express, and the floating-point state, are in one.
    private func makeFrame(_ slot: Slot, _ space: StubAddressSpace) throws(PlatformError) {
        beginReminders()
        var rounds = 0
        while case .words = place {
            rounds += 1
            if rounds > Self.maximumRounds { throw lost(.misbehaved("a guest thread made no frame")) }
            if !slot.give(.frame, spins: spinning.stubSpins, yields: 0) { throw ended(space) }
            try awaitTurn(slot, space, isBrief: true)
            var ignored = Registers()
            let event = try take(slot, &ignored)
            // An interrupt that came too late is not it.
            if event.has_frame != 0, event.signal == 31 { place = .frame(event.frame) }
        }
        if hasState, case .frame(let frame) = place {
            hasState = false
            try moveState(slot, frame)
        }
    }

    /// Has the stub thread, which has no frame, save its floating-point state in the slot.
    private func saveState(_ slot: Slot, _ space: StubAddressSpace) throws(PlatformError) {
        beginReminders()
        for _ in 0..<Self.maximumRounds {
            spinning.begin(placement, seat)
            if !slot.give(.save, spins: spinning.stubSpins, yields: 0) { throw ended(space) }
            try awaitTurn(slot, space, isBrief: true)
            var ignored = Registers()
            // An interrupt that came too late is not it: the thread goes on where that hit it.
            if try take(slot, &ignored).has_frame == 0 { return }
        }
        throw lost(.misbehaved("a guest thread wrote over its floating-point state"))
    }

    private func moveState(_ slot: Slot, _ frame: UInt32) throws(PlatformError) {
        if slot.moveState(frame: frame) < 0 { throw lost(.misbehaved("a guest thread wrote over its floating-point state")) }
    }

    /// Waits until the stub thread gives its turn. `isBrief`: it has nothing to do before that but the stub's own.
    private func awaitTurn(_ slot: Slot, _ space: StubAddressSpace, isBrief: Bool = false) throws(PlatformError) {
        var spins = spinning.cycles
        var crowdLimit = Placement.crowdedMicroseconds
        while true {
            let isAwaited = isBrief || isInterruptPending.load(ordering: .relaxed)
            let limit: Int64 = placement.isShared(seat) ? crowdLimit : isAwaited ? Self.patience : Self.silence
            switch slot.wait(cycles: spins, microseconds: limit) {
            case CPLATFORM_SLOT_READY:
                spinning.end(placement, seat)
                return
            case CPLATFORM_SLOT_GONE:
                throw ended(space)
            case CPLATFORM_SLOT_NONSENSE:
                throw lost(.misbehaved("a guest thread wrote over its turn"))
            case CPLATFORM_SLOT_TIMEOUT:
                if !placement.spread(seat) { crowdLimit = min(2 * crowdLimit, Placement.mostCrowdedMicroseconds) }
            default: break
            }
            spins = 0
            if isAwaited { try remind(space) }
        }
    }

    private func beginReminders() {
        reminders = 0
        lastReminder = 0
    }

    /// Tells a thread again that is waited for, and gives up after a while. Wake-ups for other reasons, as a timer of the guest's makes them, count for
    /// nothing; nor does time in which this thread did not run either.
    private func remind(_ space: StubAddressSpace) throws(PlatformError) {
        let now = HostClock.monotonic
        if lastReminder == 0 { lastReminder = now }
        if now &- lastReminder < UInt64(Self.patience) * 1000 { return }
        lastReminder = now
        reminders += 1
        if reminders > Self.reminders { throw lost(.misbehaved("a guest thread did not give its turn")) }
        // Somebody outside may have stopped it.
        space.resumeStopped()
        if cplatform_interrupt(space.process, thread) == -3 /* ESRCH */ { throw ended(space) }
    }

    /// How long a thread may take to notice an interrupt before it is told again, in microseconds, and how often.
    private static let patience: Int64 = 200_000
    private static let reminders = 50
    /// How long to wait before looking whether an interrupt has come for a thread that heard of it and did not come back, in microseconds.
    private static let silence: Int64 = 10_000_000
    /// How often a thread may come back without what it was sent for. Once or twice is chance; more takes a thread that writes to its slot.
    private static let maximumRounds = 50

    private func take(_ slot: Slot, _ registers: inout Registers) throws(PlatformError) -> cplatform_slot_event {
        var event = cplatform_slot_event()
        if !slot.load(&registers, &event) { throw lost(.misbehaved("a guest thread wrote over its context")) }
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
        // The threads of a process that was killed end one by one.
        for _ in 0..<50 {
            if cplatform_process_has_ended(space.processDescriptor.rawValue, 20) != 0 { return lost(.killed(signal: 9)) }
            if space.isServing { break }
        }
        return lost(.misbehaved("a guest thread ended itself"))
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
        hasState = false
        runningSlot.store(0, ordering: .relaxed)
        placement.seatStub(seat, 0)
    }

    // MARK: moving

    private func enter(_ target: any PlatformAddressSpace) throws(PlatformError) {
        leave()
        guard let target = target as? StubAddressSpace, let slots = target.slots else { throw .host(.EINVAL) }
        placement.settle(seat, spreading: false)
        let parked: SlotTable.ParkedThread?
        do throws(Errno) { parked = try target.reuseThread() } catch {
            if let death = target.deathReason { throw .stubDied(death) }
            throw .host(error)
        }
        if let parked {
            space = target
            slot = parked.slot
            thread = parked.thread
            place = parked.place
            sequence = parked.sequence
            runningSlot.store(parked.slot.address, ordering: .relaxed)
            placement.seatStub(seat, thread)
            let image = pendingFloatingPoint ?? initialImage
            pendingFloatingPoint = nil
            return try writeFloatingPoint(image.span)
        }
        do throws(Errno) {
            let (slot, mapping) = try slots.take()
            space = target
            self.slot = slot
            do throws(Errno) {
                thread = try target.startTrappingThread(slot: slot, mapping: mapping)
                try takeFirstTurn(slot, target)
            } catch {
                slots.putBack(slot)
                throw error
            }
            runningSlot.store(slot.address, ordering: .relaxed)
        } catch {
            forget()
            if let death = target.deathReason { throw .stubDied(death) }
            throw .host(error)
        }
        placement.seatStub(seat, thread)
        Timeline.startup.complete("guest code")
        if let image = pendingFloatingPoint {
            pendingFloatingPoint = nil
            try writeFloatingPoint(image.span)
        }
    }

    /// Waits for a new thread's first frame.
    private func takeFirstTurn(_ slot: Slot, _ space: StubAddressSpace) throws(Errno) {
        beginReminders()
        do throws(PlatformError) {
            try awaitTurn(slot, space, isBrief: true)
            var registers = Registers()
            let event = try take(slot, &registers)
            if event.has_frame == 0 { throw lost(.misbehaved("a guest thread wrote over the first turn of another")) }
            place = .frame(event.frame)
            sequence = event.sequence
        } catch {
            throw .ESRCH
        }
    }

    private func leave() {
        guard let slot, let space else { return }
        // The process lives on, and may have its next thread soon.
        if space.deathReason == nil, let slots = space.slots {
            slot.stopSpinning()
            if slots.park(SlotTable.ParkedThread(slot: slot, thread: thread, place: place, sequence: sequence)) { return forget() }
        }
        _ = slot.give(.exit, spins: 0, yields: 0)
        space.slots?.giveBack(slot.index)
        forget()
    }

    func look(for parker: Parker) -> Bool { waiting.look(for: parker, isAllowed: placement.mayLook(seat)) }

    func wasWoken(from number: Int32) {
        let isDistant = placement.isDistant(seat, number)
        let isShort = waiting.slept(isDistant: isDistant)
        if waiting.isLooking { return }
        if isDistant {
            placement.attract(seat, to: number)
        } else if isShort {
            placement.separate(seat)
        } else {
            placement.stayPut(seat)
        }
    }

    func setFacts(_ facts: TaskFacts?) {
        self.facts = facts
        publishFacts()
    }

    private func publishFacts() {
        slot?.setFacts(facts)
        // After the words are there, as `withdrawFacts` looks for the slot after it has said so: one of the two sees the other.
        if facts != nil, areFactsWithdrawn.logicalOr(false, ordering: .sequentiallyConsistent).oldValue { slot?.setFacts(nil) }
    }

    func withdrawFacts() {
        areFactsWithdrawn.store(true, ordering: .sequentiallyConsistent)
        Slot.withdrawFacts(runningSlot.load(ordering: .sequentiallyConsistent))
    }

    func yield() { wantsYield = true }

    func suspend() {
        slot?.stopSpinning()
        spinning.stop(placement, seat)
        placement.deactivate(seat, pulling: false)
    }

    func release() {
        served.server = nil
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
        // Whoever serves, or the waiting Sentry thread, must know, to insist.
        services.ring(served.place.load(ordering: .sequentiallyConsistent))
        Slot.nudge(runningSlot.load(ordering: .relaxed))
    }

    func clearInterrupt() { isInterruptPending.store(false, ordering: .sequentiallyConsistent) }

    // MARK: floating point

    /// More than any slot holds.
    private static let maximumImage = 16384
    private static let imageSize = Atomic<Int>(0)

    func readFloatingPoint(into image: inout [UInt8]) throws(PlatformError) {
        guard let slot, let space else { return image = pendingFloatingPoint ?? initialImage }
        let size = Slot.stateSize
        if size > 0, case .words = place {
            if !hasState { try saveState(slot, space) }
            // SAFETY: as below.
            _ = unsafe fill(&image, size) { buffer in unsafe slot.readState(into: buffer) }
            return
        }
        try makeFrame(slot, space)
        guard case .frame(let frame) = place else { throw .host(.EINVAL) }
        let known = Self.imageSize.load(ordering: .relaxed)
        // SAFETY: the call writes at most the bytes it is told of and says how many it wrote.
        let count = unsafe fill(&image, known > 0 ? known : Self.maximumImage) { buffer in
            unsafe slot.readFloatingPoint(frame: frame, into: buffer)
        }
        if count < 0 { throw lost(.misbehaved("a guest thread wrote over its floating-point state")) }
        if known == 0 { Self.imageSize.store(image.count, ordering: .relaxed) }
    }

    func writeFloatingPoint(_ image: Span<UInt8>) throws(PlatformError) {
        guard let slot, let space else {
            var copy: [UInt8] = []
            copy.reserveCapacity(image.count)
            for index in image.indices { copy.append(image[index]) }
            pendingFloatingPoint = copy
            return
        }
        if Slot.stateSize > 0, case .words = place {
            // The stub thread loads it when it resumes.
            if slot.writeState(image) < 0 { throw .host(.EINVAL) }
            hasState = true
            return
        }
        try makeFrame(slot, space)
        guard case .frame(let frame) = place else { throw .host(.EINVAL) }
        let result = slot.writeFloatingPoint(frame: frame, image)
        if result == -22 { throw .host(.EINVAL) }
        if result < 0 { throw lost(.misbehaved("a guest thread wrote over its floating-point state")) }
    }

    func resetFloatingPoint() throws(PlatformError) {
        if slot == nil {
            pendingFloatingPoint = nil
            return
        }
        let image = initialImage
        // execve(2): the old address space may be gone already. The thread in the new one starts with this image.
        do { try writeFloatingPoint(image.span) } catch { pendingFloatingPoint = image }
    }

    func copyFloatingPoint(from parent: any ExecutionContext) throws(PlatformError) {
        pendingFloatingPoint = try parent.readFloatingPoint()
    }
}

extension Registers {
    /// Whether only a signal frame can bring them about: single-stepping, and a GS of the guest's own.
    var needFrame: Bool { eflags & 0x100 != 0 || gs_base != 0 }

    /// Whether user code can have these: its own segments, and bases of segments below the end of user addresses.
    var areAcceptable: Bool {
        cs == Self.userCodeSegment && ss == Self.userStackSegment && fs_base >> 47 == 0 && gs_base >> 47 == 0
    }
}

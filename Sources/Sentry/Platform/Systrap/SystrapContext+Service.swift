import CPlatform
import Host
import LinuxABI
import Synchronization

/// What a task keeps for the service of its CPU (`CallService`). Whoever makes the task's calls, its own thread or a service, has all of it; the atomics are anybody's.
final class ServedState: @unchecked Sendable {
    var server: (any CallServer)?
    var policy = ServicePolicy()
    /// The call that is being made, or waits, and what came with it.
    var call = Registers()
    var event = cplatform_slot_event()
    var isCallWaiting = false
    /// What the stub thread last went on with.
    var answered = Registers()
    /// How many calls have been answered in this service, and whether it has ended for good.
    var count = 0
    var hasEndedForGood = false
    /// How often the present call has met somebody who held what it needs.
    var attempts = 0
    /// When the wait began (time-stamp counter).
    var waitingSince: UInt64 = 0

    /// The place of the service, -1 for none: for threads that have something to tell.
    let place = Atomic<Int>(-1)
    let isRetryDue = Atomic<Bool>(false)
    /// The CPU that the news came from.
    let wakerCPU = Atomic<Int32>(-1)
    let isServed = Atomic<Bool>(false)
    /// The own thread's wait for the end.
    let end = Parker()
}

/// What a service found when it looked after a task.
enum ServiceStep {
    /// Neither a call, nor news for the one that waits.
    case nothing
    case served
    /// The own thread has to go on.
    case ended
}

extension SystrapContext {
    func setServer(_ server: (any CallServer)?) { served.server = server }

    func retryCall() -> Parker? {
        served.wakerCPU.store(HostThread.taskCPU, ordering: .relaxed)
        served.isRetryDue.store(true, ordering: .sequentiallyConsistent)
        return services.post(served.place.load(ordering: .sequentiallyConsistent))
    }

    /// Leaves the calls of the task, whose stub thread has its turn, to the service of its CPU, until that has enough of it. `registers` are then those that the stub thread
    /// last went on with. Own thread.
    func letServe(_ registers: inout Registers) {
        guard served.server != nil, case .words = place, !hasState,
            let found = services.place(placement.index(seat))
        else { return }
        served.count = 0
        served.hasEndedForGood = false
        served.attempts = 0
        served.isRetryDue.store(false, ordering: .relaxed)
        served.isServed.store(true, ordering: .relaxed)
        served.place.store(found, ordering: .sequentiallyConsistent)
        if services.adopt(self, found) {
            spinning.stop(placement, seat)
            while served.isServed.load(ordering: .acquiring) { _ = served.end.park() }
            placement.activatePatiently(seat)
            if served.count > 0 { registers = served.answered }
        } else {
            served.hasEndedForGood = true
        }
        served.place.store(-1, ordering: .relaxed)
        served.policy.ended(after: served.count, forGood: served.hasEndedForGood)
    }

    // MARK: the service's thread

    /// Who is held up for longer had better wait on his own thread.
    private static let mostAttempts = 16

    /// Makes the task's call, if there is one to make.
    func serveStep(stubYields: UInt32) -> ServiceStep {
        guard let slot, let server = served.server, !isInterruptPending.load(ordering: .sequentiallyConsistent) else { return .ended }
        switch slot.look() {
        case CPLATFORM_SLOT_AGAIN: return served.isCallWaiting ? .ended : .nothing
        case CPLATFORM_SLOT_READY:
            if !slot.isCall {
                served.hasEndedForGood = !isInterruptPending.load(ordering: .relaxed)
                return .ended
            }
        default: return .ended
        }
        if served.isCallWaiting {
            if !served.isRetryDue.exchange(false, ordering: .sequentiallyConsistent) { return .nothing }
        } else {
            slot.loadCall(&served.call, &served.event)
            if !served.call.areAcceptable { return .ended }
            served.call.orig_rax = served.call.rax
            served.call.rax = UInt64(bitPattern: -38)
        }
        var call = served.call
        switch server.serve(&call) {
        case .busy where served.attempts < Self.mostAttempts:
            served.attempts += 1
            served.isRetryDue.store(true, ordering: .relaxed)
            return .nothing
        case .refused, .busy:
            served.hasEndedForGood = true
            return .ended
        case .waiting:
            if !served.isCallWaiting { served.waitingSince = cplatform_timestamp() }
            served.isCallWaiting = true
            served.attempts = 0
            return .served
        case .answered:
            served.attempts = 0
            if served.isCallWaiting {
                served.isCallWaiting = false
                // Tasks that wake each other are best together; it goes there when it next has its turn.
                let waker = served.wakerCPU.load(ordering: .relaxed)
                if waker >= 0 { placement.attract(seat, to: waker) }
            }
            served.answered = call
            served.count += 1
            sequence = served.event.sequence
            place = .words(rip: call.rip, target: served.event.target)
            slot.storeCall(call, target: served.event.target)
            placement.activatePatiently(seat)
            if slot.give(.resume, spins: 0, yields: stubYields) { return .served }
            // The own thread is to find it dead.
            slot.bury()
            return .ended
        }
    }

    /// Where the service looks while it sleeps, and whether the task's call waits.
    var serviceSlot: (slot: Slot, isWaiting: Bool)? {
        // There is no sleep while a call is to be tried again: the slot is not as told then.
        slot.map { ($0, served.isCallWaiting && !served.isRetryDue.load(ordering: .sequentiallyConsistent)) }
    }

    /// Cycles of the time-stamp counter after which a task that waits counts as one that rests (about a millisecond), and after which its own thread had better wait.
    private static let shortWait: Int64 = 2_500_000
    private static let longWait: Int64 = 25_000_000

    /// Leaves the CPU to others if the task has waited for a while at `now`, or the service `rests`: whether it has waited for so long that the service should end.
    func settleWait(_ now: UInt64, rests: Bool) -> Bool {
        if !served.isCallWaiting { return false }
        // It may have begun after `now`.
        let wait = Int64(bitPattern: now &- served.waitingSince)
        if rests || wait > Self.shortWait { placement.deactivate(seat, pulling: false) }
        return wait > Self.longWait
    }

    /// Whether the task computes beside others while another CPU has nothing to do.
    var isCrowded: Bool { !served.isCallWaiting && placement.isCrowded(seat) }

    /// Moves it there.
    func spread() { placement.spread(seat) }

    /// Moves the task to a CPU with fewer, if there is one: whether it has moved.
    func balance() -> Bool { placement.balance(seat) }

    /// Whether the task belongs to that CPU's service still.
    func isAt(_ place: Int) -> Bool { placement.index(seat) == place }

    /// Gives the task back to its own thread. The service's thread, which does not touch it any more. `forGood`: it should not come again soon.
    func endService(forGood: Bool) {
        if forGood { served.hasEndedForGood = true }
        served.server?.stopServing()
        served.isCallWaiting = false
        served.isServed.store(false, ordering: .releasing)
        served.end.unpark()
    }
}

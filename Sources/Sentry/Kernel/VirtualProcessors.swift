import Host
import SentryPlatform
import Synchronization

/// Who of an address space's threads runs on which virtual processor, where critical sections of restartable sequences (rseq(2)) may run.
///
/// The C library registers every thread, if only to know its processor's number. As long as no code is there that could be a section, numbers mean nothing
/// else, and every thread has the one that getcpu(2) tells. A section needs its signature in front of its abort address, so code that is mapped is looked
/// through for it, and once it is found, or a thread's area points to a section, the address space is `strict`:
///
/// A restartable sequence is right only if no two threads run guest code under the same processor number. The host schedules stub threads without
/// telling, so the numbers are seats: a thread needs one to enter guest code and keeps it while it serves itself in the Sentry. A seat of a thread
/// outside guest code can be taken without asking. When all seats are in use inside guest code, a thread waits, and after a time slice the longest
/// user is interrupted, which aborts its sequence and hands its seat over. As long as there are no more threads than processors nothing of this
/// costs anything.
final class VirtualProcessors: Sendable {
    private struct State {
        /// By processor number.
        var owners: [KernelTask?] = []
        /// Threads that want to enter guest code, oldest first.
        var waiters: [KernelTask] = []
        /// Where the search for a seat to take starts, so that it does not always hit the same thread.
        var next = 0
        var timer: KernelTimer?
    }
    private let state = Lock(State())
    private let isContended = Atomic<Bool>(false)
    private let strict = Atomic<Bool>(false)
    /// The signature that threads have registered, above it a bit that says that there is one; 0 for none.
    private let watched = Atomic<UInt64>(0)
    /// Whether the code that is mapped has been looked through, so that only new one is to be.
    private let isExamined = Atomic<Bool>(false)
    /// How long a thread may keep others waiting, in nanoseconds.
    private static let slice: UInt64 = 4_000_000

    init() {}

    /// Whether seats are needed.
    var isStrict: Bool { strict.load(ordering: .relaxed) }

    /// What newly mapped code is to be looked through for.
    var watchedSignature: UInt32? {
        let value = watched.load(ordering: .relaxed)
        return value == 0 || !isExamined.load(ordering: .relaxed) ? nil : UInt32(truncatingIfNeeded: value)
    }

    /// A thread registers.
    func watch(_ signature: UInt32) {
        let value = UInt64(signature) | 1 << 32
        if watched.exchange(value, ordering: .relaxed) != value { isExamined.store(false, ordering: .relaxed) }
    }

    /// Whether all code is to be looked through now.
    func beginExamining() -> Bool { !isExamined.exchange(true, ordering: .sequentiallyConsistent) && !isStrict }

    /// Seats are needed from now on: whether they were not before.
    func becomeStrict() -> Bool { !strict.exchange(true, ordering: .sequentiallyConsistent) }

    /// A child of fork(2) has the same code and registrations; its code is looked through when it has a second thread.
    func inherit(_ parent: VirtualProcessors) {
        strict.store(parent.strict.load(ordering: .relaxed), ordering: .relaxed)
        watched.store(parent.watched.load(ordering: .relaxed), ordering: .relaxed)
    }

    /// Whether threads wait for a seat.
    var hasWaiters: Bool { isContended.load(ordering: .relaxed) }

    /// Gives `task` a seat that its affinity allows, or queues it: false. A queued task is unparked when it gets one. Own thread.
    func seat(_ task: KernelTask) -> Bool {
        state.withLock { state in
            if task.processor.load(ordering: .relaxed) >= 0 { return true }
            if let seat = findSeat(for: task, &state) {
                take(seat, task, &state)
                return true
            }
            if !state.waiters.contains(where: { $0 === task }) { state.waiters.append(task) }
            isContended.store(true, ordering: .relaxed)
            armTimer(task.kernel, &state)
            return false
        }
    }

    /// `task` no longer waits for a seat (it has something else to do first).
    func stopWaiting(_ task: KernelTask) {
        state.withLock { state in
            state.waiters.removeAll { $0 === task }
            isContended.store(!state.waiters.isEmpty, ordering: .relaxed)
        }
    }

    /// Gives the seat up when somebody waits for it, or when `task` may no longer sit there. Own thread, outside guest code.
    func reconsider(_ task: KernelTask) {
        state.withLock { state in
            let seat = Int(task.processor.load(ordering: .relaxed))
            guard seat >= 0 else { return }
            if let index = state.waiters.firstIndex(where: { $0.mayRun(on: seat) }) {
                task.processor.store(-1, ordering: .relaxed)
                serve(index, seat, &state)
            } else if !task.mayRun(on: seat) {
                task.processor.store(-1, ordering: .relaxed)
                state.owners[seat] = nil
            }
        }
    }

    /// `task` leaves the address space or no longer uses restartable sequences. Own thread.
    func leave(_ task: KernelTask) {
        state.withLock { state in
            state.waiters.removeAll { $0 === task }
            isContended.store(!state.waiters.isEmpty, ordering: .relaxed)
            let seat = Int(task.processor.load(ordering: .relaxed))
            guard seat >= 0 else { return }
            task.processor.store(-1, ordering: .relaxed)
            state.owners[seat] = nil
            if let index = state.waiters.firstIndex(where: { $0.mayRun(on: seat) }) { serve(index, seat, &state) }
        }
    }

    // MARK: with the lock held

    private func take(_ seat: Int, _ task: KernelTask, _ state: inout State) {
        state.owners[seat] = task
        task.processor.store(Int32(seat), ordering: .relaxed)
    }

    private func serve(_ index: Int, _ seat: Int, _ state: inout State) {
        let waiter = state.waiters.remove(at: index)
        isContended.store(!state.waiters.isEmpty, ordering: .relaxed)
        take(seat, waiter, &state)
        // It has waited, and wakes up only now: others do not take it from there.
        waiter.isSeatFresh.store(true, ordering: .relaxed)
        waiter.unblock()
    }

    /// A free seat, else one whose owner is outside guest code and now loses it.
    private func findSeat(for task: KernelTask, isForced: Bool = false, _ state: inout State) -> Int? {
        let count = task.container.processorCount
        while state.owners.count < count { state.owners.append(nil) }
        let shown = Int(task.shownProcessor.load(ordering: .relaxed))
        if shown >= 0, shown < count, state.owners[shown] == nil, task.mayRun(on: shown) { return shown }
        for seat in 0..<count where state.owners[seat] == nil && task.mayRun(on: seat) { return seat }
        for step in 0..<count {
            let seat = (state.next + step) % count
            guard let owner = state.owners[seat], task.mayRun(on: seat), owner.loseProcessor(isForced: isForced) else { continue }
            state.next = seat + 1
            return seat
        }
        return nil
    }

    private func armTimer(_ kernel: Kernel, _ state: inout State) {
        if state.timer == nil {
            state.timer = KernelTimer { [weak self, weak kernel] in
                guard let self, let kernel else { return }
                self.rotate(kernel)
            }
        } else if state.waiters.count > 1 {
            return  // It runs already.
        }
        if let timer = state.timer { kernel.timers.arm(timer, at: HostClock.deadline(in: Self.slice)) }
    }

    /// A slice is over: seats change hands. On the timer thread.
    private func rotate(_ kernel: Kernel) {
        state.withLock { state in
            var index = 0
            while index < state.waiters.count {
                if let seat = findSeat(for: state.waiters[index], isForced: true, &state) { serve(index, seat, &state) } else { index += 1 }
            }
            guard !state.waiters.isEmpty else { return }
            let count = state.owners.count
            var wanted = min(state.waiters.count, count)
            for step in 0..<count where wanted > 0 {
                let seat = (state.next + step) % count
                guard let owner = state.owners[seat], state.waiters.contains(where: { $0.mayRun(on: seat) }) else { continue }
                owner.post(Interrupt.processor)
                wanted -= 1
                if wanted == 0 { state.next = seat + 1 }
            }
            if let timer = state.timer { kernel.timers.arm(timer, at: HostClock.deadline(in: Self.slice)) }
        }
    }
}

extension KernelTask {
    /// Whether the affinity mask has processor `number`. Any thread.
    func mayRun(on number: Int) -> Bool {
        scheduling.withLock { $0.affinity.indices.contains(number / 64) && $0.affinity[number / 64] & 1 << UInt64(number % 64) != 0 }
    }

    /// Takes the processor away unless the task is inside guest code. With the seats' lock held; any thread.
    fileprivate func loseProcessor(isForced: Bool) -> Bool {
        if !isForced, isSeatFresh.load(ordering: .relaxed) { return false }
        if interrupts.load(ordering: .sequentiallyConsistent) & Interrupt.inGuest != 0 { return false }
        // Whoever enters guest code after this sees the bit and looks for another seat first.
        if interrupts.bitwiseOr(Interrupt.processor, ordering: .sequentiallyConsistent).oldValue & Interrupt.inGuest != 0 {
            context.interrupt()
            return false
        }
        isSeatFresh.store(false, ordering: .relaxed)
        processor.store(-1, ordering: .relaxed)
        return true
    }
}

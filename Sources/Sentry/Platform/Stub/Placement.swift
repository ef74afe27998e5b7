import CPlatform
import Host
import LinuxABI
import Synchronization

/// Which CPU each guest task runs on. A task's host thread and its stub thread share one CPU (a hand-over across CPUs costs five times as much), so the
/// host's scheduler cannot spread them; this does, when tasks start and stop running guest code. No timer, no thread of its own.
final class Placement: Sendable {
    /// A task's place. Its fields are guarded by the placement's lock, except `slot`, which the task reads without it.
    final class Seat: @unchecked Sendable {
        fileprivate let slot = Atomic<Int>(-1)
        fileprivate let isActive = Atomic<Bool>(false)
        fileprivate var hostThread: Int32 = 0
        fileprivate var stubThread: Int32 = 0
        /// The CPU that the host thread spins on, or -1.
        fileprivate let spinSlot = Atomic<Int>(-1)
        /// How often in a row it was woken from another CPU, how often that must be before it goes there, and how often it has waited since it was moved apart
        /// the last time. Own thread only.
        fileprivate var distantWakes = 0
        fileprivate var patience = Placement.leastPatience
        fileprivate var quietWaits = 0
        /// How many short waits in a row ended by a wake-up from the same CPU, and how many make it go to one that has nothing to do. Own thread only.
        fileprivate var nearWakes = 0
        fileprivate var stay = Placement.leastStay
    }
    /// `seats` is guarded by the placement's lock; the rest is immutable or atomic.
    private final class CPU: @unchecked Sendable {
        let number: Int32
        let activeCount = Atomic<Int>(0)
        /// Guarded by the placement's lock.
        var seats: [Seat] = []
        /// Since when several tasks have been active here without a break (time-stamp counter), or 0.
        let crowdedSince = Atomic<UInt64>(0)
        /// Guarded by the placement's lock: a host thread spins here.
        var hasSpinner = false
        init(number: Int32) { self.number = number }
    }
    private let cpus: [CPU]
    private let idleCount: Atomic<Int>
    /// CPUs with several active tasks.
    private let crowdedCount = Atomic<Int>(0)
    private let lock = Lock(())

    init() throws(Errno) {
        var numbers = [Int32](repeating: 0, count: 1024)
        // SAFETY: the call writes at most the count that it is given.
        let count = unsafe cplatform_allowed_cpus(&numbers, Int32(numbers.count))
        if count < 0 { throw Errno(rawValue: -count) }
        cpus = numbers.prefix(max(1, Int(count))).map { CPU(number: $0) }
        idleCount = Atomic(cpus.count)
    }

    /// Gives the calling thread's seat a CPU before its stub thread exists: the quietest, or without `spreading` the one it is on.
    func settle(_ seat: Seat, spreading: Bool = true) {
        if seat.slot.load(ordering: .relaxed) >= 0 { return }
        lock.withLock { _ in
            seat.hostThread = cplatform_thread_id()
            let current = cplatform_current_cpu()
            let slot = cpus.firstIndex { $0.number == current } ?? 0
            seat.slot.store(slot, ordering: .relaxed)
            move(seat, to: spreading ? quietest(preferring: slot) : slot)
        }
    }

    /// The stub thread that goes with the seat, 0 for none.
    func seatStub(_ seat: Seat, _ stub: Int32) {
        lock.withLock { _ in
            seat.stubThread = stub
            if stub != 0 { move(seat, to: seat.slot.load(ordering: .relaxed)) }
        }
    }

    /// The task runs guest code from now on, or still does: when it shares its CPU while another has nothing to do, it moves there.
    func activate(_ seat: Seat) {
        let slot = seat.slot.load(ordering: .relaxed)
        if slot < 0 { return }
        if seat.isActive.load(ordering: .relaxed) {
            if cpus[slot].activeCount.load(ordering: .relaxed) <= 1 || idleCount.load(ordering: .relaxed) == 0 { return }
        }
        lock.withLock { _ in
            let slot = seat.slot.load(ordering: .relaxed)
            if !seat.isActive.load(ordering: .relaxed) {
                seat.isActive.store(true, ordering: .relaxed)
                add(seat, slot)
            }
            if idleCount.load(ordering: .relaxed) > 0 { disperse(seat) }
        }
    }

    /// How long a CPU has several active tasks, while another has nothing to do, before one moves there: tasks that wake each other and wait in turn are best
    /// together, and never run at once for so long.
    static let crowdedMicroseconds: Int64 = 500
    private static let crowdedCycles: UInt64 = 1_250_000

    /// As `activate`, but moves only after a while of crowding.
    func activatePatiently(_ seat: Seat) {
        let slot = seat.slot.load(ordering: .relaxed)
        if slot < 0 { return }
        if !seat.isActive.load(ordering: .relaxed) {
            lock.withLock { _ in
                seat.isActive.store(true, ordering: .relaxed)
                add(seat, seat.slot.load(ordering: .relaxed))
            }
        }
        guard isCrowded(seat) else { return }
        let since = cpus[slot].crowdedSince.load(ordering: .relaxed)
        if since != 0, cplatform_timestamp() &- since > Self.crowdedCycles { spread(seat) }
    }

    /// Whether the active `seat` shares its CPU while another CPU has nothing to do.
    func isCrowded(_ seat: Seat) -> Bool {
        let slot = seat.slot.load(ordering: .relaxed)
        if slot < 0 || idleCount.load(ordering: .relaxed) == 0 { return false }
        return seat.isActive.load(ordering: .relaxed) && cpus[slot].activeCount.load(ordering: .relaxed) > 1
    }

    /// Whether the active `seat` shares its CPU so that it may be worth while to look at how the tasks are spread.
    func isShared(_ seat: Seat) -> Bool {
        let slot = seat.slot.load(ordering: .relaxed)
        if slot < 0 || !seat.isActive.load(ordering: .relaxed) { return false }
        return cpus[slot].activeCount.load(ordering: .relaxed) > (idleCount.load(ordering: .relaxed) > 0 ? 1 : 2)
    }
    /// How long a task that shares its CPU computes before it looks around again, when it finds the tasks well spread, time and again: at most so long.
    static let mostCrowdedMicroseconds: Int64 = 128_000

    /// Moves `seat` to a CPU with at least two active tasks fewer, if there is one: whether it has moved.
    @discardableResult func spread(_ seat: Seat) -> Bool {
        guard isShared(seat), lock.withLock({ _ in disperse(seat) }) else { return false }
        seat.patience = min(2 * seat.patience, Self.mostPatience)
        seat.distantWakes = 0
        seat.quietWaits = 0
        return true
    }

    /// Moves `seat` to the quietest CPU, if its own has so many more active tasks that even a pair that came along would be welcome there: whether it has moved.
    func balance(_ seat: Seat) -> Bool {
        lock.withLock { _ in
            let slot = seat.slot.load(ordering: .relaxed)
            guard slot >= 0, seat.isActive.load(ordering: .relaxed) else { return false }
            let better = quietest(preferring: slot)
            if cpus[better].activeCount.load(ordering: .relaxed) + 2 >= cpus[slot].activeCount.load(ordering: .relaxed) { return false }
            remove(seat, slot)
            add(seat, better)
            move(seat, to: better)
            // Who comes back from there must have better reasons than before.
            seat.patience = min(2 * seat.patience, Self.mostPatience)
            (seat.distantWakes, seat.quietWaits) = (0, 0)
            return true
        }
    }

    private static let leastPatience = 3
    private static let mostPatience = 256

    /// The waiting `seat` was woken by a thread on CPU `number`. Tasks that wake each other across CPUs pay for it each time, so it goes there when this
    /// happens again and again; later each time that it had to be moved apart. Own thread.
    func attract(_ seat: Seat, to number: Int32) {
        let slot = seat.slot.load(ordering: .relaxed)
        guard slot >= 0 else { return }
        seat.quietWaits += 1
        if seat.quietWaits > Self.mostPatience { seat.patience = Self.leastPatience }
        if cpus[slot].number == number { return seat.distantWakes = 0 }
        seat.distantWakes += 1
        guard seat.distantWakes >= seat.patience, let other = cpus.firstIndex(where: { $0.number == number }) else { return }
        seat.distantWakes = 0
        lock.withLock { _ in
            let slot = seat.slot.load(ordering: .relaxed)
            if slot == other { return }
            if seat.isActive.load(ordering: .relaxed) {
                remove(seat, slot)
                add(seat, other)
            }
            move(seat, to: other)
        }
    }

    private static let leastStay = 64
    private static let mostStay = 1 << 16

    /// The waiting `seat` was woken soon by a thread of its own CPU. When that goes on and a CPU has nothing to do, it goes there, where it can look for the next
    /// wake-up (`WaitPolicy`) instead of changing places with the other task. Own thread.
    func separate(_ seat: Seat) {
        seat.nearWakes += 1
        guard seat.nearWakes >= seat.stay, idleCount.load(ordering: .relaxed) > 0 else { return }
        seat.nearWakes = 0
        seat.stay = min(4 * seat.stay, Self.mostStay)
        lock.withLock { _ in
            let slot = seat.slot.load(ordering: .relaxed)
            guard slot >= 0, !seat.isActive.load(ordering: .relaxed),
                let other = cpus.indices.first(where: {
                    $0 != slot && !cpus[$0].hasSpinner && cpus[$0].activeCount.load(ordering: .relaxed) == 0
                })
            else { return }
            move(seat, to: other)
        }
    }

    /// The next wake-up was slow, or there was a reason to sleep.
    func stayPut(_ seat: Seat) { seat.nearWakes = 0 }

    /// So many active tasks are a crowd although a CPU has nothing to do.
    private static let crowd = 4

    /// Whether the seat's CPU has several active tasks that had better not go elsewhere: no CPU has nothing to do, or they are many.
    func isInCrowd(_ seat: Seat) -> Bool {
        let slot = seat.slot.load(ordering: .relaxed)
        if slot < 0 { return false }
        return cpus[slot].activeCount.load(ordering: .relaxed) >= (idleCount.load(ordering: .relaxed) == 0 ? 2 : Self.crowd)
    }

    /// The index of the seat's CPU, -1 for none.
    func index(_ seat: Seat) -> Int { seat.slot.load(ordering: .relaxed) }
    var cpuCount: Int { cpus.count }
    /// The host's number of the CPU of that index.
    func number(_ index: Int) -> Int32 { cpus[index].number }
    /// Binds the calling thread to the CPU of that index.
    func bind(to index: Int) { _ = cplatform_pin(cplatform_thread_id(), cpus[index].number) }

    /// Whether CPU `number` is another one than the seat's.
    func isDistant(_ seat: Seat, _ number: Int32) -> Bool {
        let slot = seat.slot.load(ordering: .relaxed)
        return slot >= 0 && cpus[slot].number != number
    }

    /// Whether nobody wants the CPU of the active `seat`, nor shares another while this one is only looked around on.
    func mayLook(_ seat: Seat) -> Bool {
        let slot = seat.slot.load(ordering: .relaxed)
        return slot >= 0 && seat.isActive.load(ordering: .relaxed) && cpus[slot].activeCount.load(ordering: .relaxed) == 1
            && crowdedCount.load(ordering: .relaxed) == 0
    }

    // MARK: spinning

    /// Moves the calling thread, the seat's host thread, to a CPU where nothing else runs: whether there is one.
    func claimSpinner(_ seat: Seat) -> Bool {
        if idleCount.load(ordering: .relaxed) == 0 { return false }
        return lock.withLock { _ in
            let own = seat.slot.load(ordering: .relaxed)
            guard own >= 0, cpus[own].activeCount.load(ordering: .relaxed) <= 1,
                let free = cpus.indices.first(where: {
                    $0 != own && !cpus[$0].hasSpinner && cpus[$0].activeCount.load(ordering: .relaxed) == 0
                })
            else { return false }
            cpus[free].hasSpinner = true
            seat.spinSlot.store(free, ordering: .relaxed)
            _ = cplatform_pin(seat.hostThread, cpus[free].number)
            return true
        }
    }

    /// Whether somebody else has work for the CPU that the seat's host thread spins on.
    func isSpinnerUnwelcome(_ seat: Seat) -> Bool {
        let slot = seat.spinSlot.load(ordering: .relaxed)
        return slot >= 0 && cpus[slot].activeCount.load(ordering: .relaxed) > 0
    }

    /// Moves the host thread back to its stub.
    func releaseSpinner(_ seat: Seat) {
        lock.withLock { _ in
            let slot = seat.spinSlot.exchange(-1, ordering: .relaxed)
            if slot < 0 { return }
            cpus[slot].hasSpinner = false
            let own = seat.slot.load(ordering: .relaxed)
            if own >= 0 { _ = cplatform_pin(seat.hostThread, cpus[own].number) }
        }
    }

    // MARK: waiting

    /// The task is about to wait. When that leaves its CPU with nothing to do, a task of a CPU with several comes over if `pulling`.
    func deactivate(_ seat: Seat, pulling: Bool = true) {
        if !seat.isActive.load(ordering: .relaxed) { return }
        lock.withLock { _ in
            let slot = seat.slot.load(ordering: .relaxed)
            seat.isActive.store(false, ordering: .relaxed)
            remove(seat, slot)
            guard pulling, cpus[slot].activeCount.load(ordering: .relaxed) == 0 else { return }
            var crowded: Int?
            for index in cpus.indices
            where cpus[index].activeCount.load(ordering: .relaxed) > (crowded.map { cpus[$0].activeCount.load(ordering: .relaxed) } ?? 1) {
                crowded = index
            }
            guard let crowded, let guest = cpus[crowded].seats.last else { return }
            remove(guest, crowded)
            add(guest, slot)
            move(guest, to: slot)
        }
    }

    /// The task ends.
    func vacate(_ seat: Seat) {
        deactivate(seat)
        lock.withLock { _ in
            seat.slot.store(-1, ordering: .relaxed)
            seat.hostThread = 0
        }
    }

    // MARK: with the lock held

    /// Moves the active seat to the quietest CPU, if that has at least two active tasks fewer: whether it has moved.
    @discardableResult private func disperse(_ seat: Seat) -> Bool {
        let slot = seat.slot.load(ordering: .relaxed)
        let better = quietest(preferring: slot)
        if cpus[better].activeCount.load(ordering: .relaxed) + 2 > cpus[slot].activeCount.load(ordering: .relaxed) { return false }
        remove(seat, slot)
        add(seat, better)
        move(seat, to: better)
        return true
    }

    private func quietest(preferring slot: Int) -> Int {
        var best = slot
        for index in cpus.indices
        where cpus[index].activeCount.load(ordering: .relaxed) < cpus[best].activeCount.load(ordering: .relaxed) {
            best = index
        }
        return best
    }

    private func add(_ seat: Seat, _ slot: Int) {
        cpus[slot].seats.append(seat)
        switch cpus[slot].activeCount.add(1, ordering: .relaxed).newValue {
        case 1: idleCount.subtract(1, ordering: .relaxed)
        case 2:
            crowdedCount.add(1, ordering: .relaxed)
            cpus[slot].crowdedSince.store(cplatform_timestamp(), ordering: .relaxed)
        default: break
        }
    }

    private func remove(_ seat: Seat, _ slot: Int) {
        guard let index = cpus[slot].seats.firstIndex(where: { $0 === seat }) else { return }
        cpus[slot].seats.swapAt(index, cpus[slot].seats.count - 1)
        cpus[slot].seats.removeLast()
        switch cpus[slot].activeCount.subtract(1, ordering: .relaxed).newValue {
        case 0: idleCount.add(1, ordering: .relaxed)
        case 1:
            crowdedCount.subtract(1, ordering: .relaxed)
            cpus[slot].crowdedSince.store(0, ordering: .relaxed)
        default: break
        }
    }

    private func move(_ seat: Seat, to slot: Int) {
        seat.slot.store(slot, ordering: .relaxed)
        let number = cpus[slot].number
        if seat.hostThread != 0, seat.spinSlot.load(ordering: .relaxed) < 0 { _ = cplatform_pin(seat.hostThread, number) }
        if seat.stubThread != 0 { _ = cplatform_pin(seat.stubThread, number) }
    }
}

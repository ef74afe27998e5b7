import CPlatform
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
    }
    /// `seats` is guarded by the placement's lock; the rest is immutable or atomic.
    private final class CPU: @unchecked Sendable {
        let number: Int32
        let activeCount = Atomic<Int>(0)
        /// Guarded by the placement's lock.
        var seats: [Seat] = []
        init(number: Int32) { self.number = number }
    }
    private let cpus: [CPU]
    private let idleCount: Atomic<Int>
    private let lock = Mutex(())

    init() throws(Errno) {
        var numbers = [Int32](repeating: 0, count: 1024)
        // SAFETY: the call writes at most the count that it is given.
        let count = unsafe cplatform_allowed_cpus(&numbers, Int32(numbers.count))
        if count < 0 { throw Errno(rawValue: -count) }
        cpus = numbers.prefix(max(1, Int(count))).map { CPU(number: $0) }
        idleCount = Atomic(cpus.count)
    }

    /// Gives the calling thread's seat a CPU before its stub thread exists.
    func settle(_ seat: Seat) {
        if seat.slot.load(ordering: .relaxed) >= 0 { return }
        lock.withLock { _ in
            seat.hostThread = cplatform_thread_id()
            let current = cplatform_current_cpu()
            let slot = cpus.firstIndex { $0.number == current } ?? 0
            seat.slot.store(slot, ordering: .relaxed)
            move(seat, to: quietest(preferring: slot))
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
            if cpus[slot].activeCount.load(ordering: .relaxed) > 1 {
                let better = quietest(preferring: slot)
                if cpus[better].activeCount.load(ordering: .relaxed) == 0 {
                    remove(seat, slot)
                    add(seat, better)
                    move(seat, to: better)
                }
            }
        }
    }

    /// The task is about to wait. When that leaves its CPU with nothing to do, a task of a CPU with several comes over.
    func deactivate(_ seat: Seat) {
        if !seat.isActive.load(ordering: .relaxed) { return }
        lock.withLock { _ in
            let slot = seat.slot.load(ordering: .relaxed)
            seat.isActive.store(false, ordering: .relaxed)
            remove(seat, slot)
            guard cpus[slot].activeCount.load(ordering: .relaxed) == 0 else { return }
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
        if cpus[slot].activeCount.add(1, ordering: .relaxed).newValue == 1 { idleCount.subtract(1, ordering: .relaxed) }
    }

    private func remove(_ seat: Seat, _ slot: Int) {
        guard let index = cpus[slot].seats.firstIndex(where: { $0 === seat }) else { return }
        cpus[slot].seats.swapAt(index, cpus[slot].seats.count - 1)
        cpus[slot].seats.removeLast()
        if cpus[slot].activeCount.subtract(1, ordering: .relaxed).newValue == 0 { idleCount.add(1, ordering: .relaxed) }
    }

    private func move(_ seat: Seat, to slot: Int) {
        seat.slot.store(slot, ordering: .relaxed)
        let number = cpus[slot].number
        if seat.hostThread != 0 { _ = cplatform_pin(seat.hostThread, number) }
        if seat.stubThread != 0 { _ = cplatform_pin(seat.stubThread, number) }
    }
}

import CPlatform
import Host
import LinuxABI
import Synchronization

/// The services of all CPUs.
final class CallServices: Sendable {
    /// None when the host cannot wait for many words at once.
    private let services: [CallService]

    init(_ placement: Placement) {
        services = cplatform_can_wait_for_many() == 0 ? [] : (0..<placement.cpuCount).map { CallService(placement, $0) }
    }

    /// The place of the service for the CPU of that index, if there is one.
    func place(_ cpu: Int) -> Int? { services.indices.contains(cpu) ? cpu : nil }

    /// Whether the service at `place` takes the task.
    func adopt(_ context: SystrapContext, _ place: Int) -> Bool { services[place].adopt(context) }

    /// There is news for the service at `place`; a place that does not exist is nobody's.
    func ring(_ place: Int) { post(place)?.ring() }
    func post(_ place: Int) -> Parker? { services.indices.contains(place) ? services[place].post() : nil }
}

/// One thread that makes the calls of many tasks that share a CPU, while their own threads sleep. With a thread for each task, every call is two changes of place; a
/// service makes as many calls in a row as there are, and a wait among the tasks that it serves ends without waking anybody. It lets the stubs run
/// by yielding, and sleeps when that brings nothing. The thread ends with the last task.
final class CallService: Sendable {
    private let placement: Placement
    private let place: Int
    private let parker = Parker()
    private struct Arrivals {
        var contexts: [SystrapContext] = []
        var isRunning = false
        var count = 0
    }
    private let arrivals = Lock(Arrivals())
    private let hasArrivals = Atomic<Bool>(false)

    /// So few tasks are better off with their own threads, when it stays so for so many sleeps.
    private static let least = 2
    private static let patience = 100
    /// How often the service looks at how its tasks do: in cycles of the time-stamp counter, about 500 microseconds. One task may go to a CPU with fewer then, where its
    /// partner may follow before the next goes.
    private static let roundCycles: UInt64 = 1_250_000
    private static let stackSize = 512 << 10

    init(_ placement: Placement, _ place: Int) {
        self.placement = placement
        self.place = place
    }

    func post() -> Parker? { parker.post() ? parker : nil }

    /// Takes the task, whose own thread waits until `endService`: false when it has enough, or the host gives no thread.
    func adopt(_ context: SystrapContext) -> Bool {
        let isTaken = arrivals.withLock { arrivals -> Bool in
            if arrivals.count >= Int(CPLATFORM_MANY) { return false }
            if !arrivals.isRunning {
                do throws(Errno) { try startThread(stackSize: Self.stackSize) { self.run() } } catch { return false }
                arrivals.isRunning = true
            }
            arrivals.contexts.append(context)
            arrivals.count += 1
            hasArrivals.store(true, ordering: .releasing)
            return true
        }
        if isTaken { parker.unpark() }
        return isTaken
    }

    private func run() {
        placement.bind(to: place)
        HostThread.setRunsTask(true)
        var contexts: [SystrapContext] = []
        contexts.reserveCapacity(Int(CPLATFORM_MANY))
        var yielding = YieldPolicy()
        var yields = 0
        var loneliness = 0
        var looked: UInt64 = 0
        var candidate = 0
        while true {
            if hasArrivals.load(ordering: .acquiring) {
                arrivals.withLock { arrivals in
                    contexts += arrivals.contexts
                    arrivals.contexts.removeAll(keepingCapacity: true)
                    hasArrivals.store(false, ordering: .relaxed)
                }
            }
            if contexts.isEmpty {
                if end() { return }
                continue
            }
            let now = cplatform_timestamp()
            if serve(&contexts, stubYields: yielding.stubYields(at: now)) {
                yields = 0
                if now &- looked > Self.roundCycles {
                    looked = now
                    candidate += 1
                    lookRound(&contexts, now, candidate)
                }
            } else if yields < YieldPolicy.serviceYields, yielding.isWorthwhile(at: now) {
                yields += 1
                HostThread.yield()
                yielding.yielded(from: now, to: cplatform_timestamp())
            } else {
                yields = 0
                loneliness = contexts.count < Self.least ? loneliness + 1 : 0
                if loneliness < Self.patience {
                    rest(&contexts, now)
                } else {
                    while !contexts.isEmpty { giveBack(&contexts, contexts.count - 1, forGood: true) }
                    loneliness = 0
                }
            }
        }
    }

    /// Gives back whoever has waited for long, and lets one task go to a CPU with fewer: one after the other is the candidate.
    private func lookRound(_ contexts: inout [SystrapContext], _ now: UInt64, _ candidate: Int) {
        settleWaits(&contexts, now, rests: false)
        if !contexts.isEmpty, contexts[candidate % contexts.count].balance() { giveBack(&contexts, candidate % contexts.count) }
    }

    private func settleWaits(_ contexts: inout [SystrapContext], _ now: UInt64, rests: Bool) {
        for index in contexts.indices.reversed() where contexts[index].settleWait(now, rests: rests) { giveBack(&contexts, index) }
    }

    /// Waits until there is something to do; or, while tasks compute here and a CPU has nothing to do, for the time after which one goes there.
    private func rest(_ contexts: inout [SystrapContext], _ now: UInt64) {
        settleWaits(&contexts, now, rests: true)
        if contexts.isEmpty { return }
        let isCrowded = contexts.contains { $0.isCrowded }
        let limit = isCrowded ? Placement.crowdedMicroseconds : -1
        if Slot.awaitAny(of: contexts.compactMap(\.serviceSlot), or: parker, microseconds: limit) { return }
        guard let index = contexts.firstIndex(where: { $0.isCrowded }) else { return }
        contexts[index].spread()
        if !contexts[index].isAt(place) { giveBack(&contexts, index) }
    }

    /// Looks after each task once: whether there was anything to do.
    private func serve(_ contexts: inout [SystrapContext], stubYields: UInt32) -> Bool {
        var hasServed = false
        var index = 0
        while index < contexts.count {
            let context = contexts[index]
            switch context.serveStep(stubYields: stubYields) {
            case .nothing: index += 1
            case .served:
                hasServed = true
                if context.isAt(place) { index += 1 } else { giveBack(&contexts, index) }
            case .ended:
                hasServed = true
                giveBack(&contexts, index)
            }
        }
        return hasServed
    }

    private func giveBack(_ contexts: inout [SystrapContext], _ index: Int, forGood: Bool = false) {
        let context = contexts[index]
        contexts.swapAt(index, contexts.count - 1)
        contexts.removeLast()
        arrivals.withLock { $0.count -= 1 }
        context.endService(forGood: forGood)
    }

    /// Whether the thread ends: nobody has come meanwhile.
    private func end() -> Bool {
        arrivals.withLock { arrivals in
            if !arrivals.contexts.isEmpty { return false }
            arrivals.isRunning = false
            return true
        }
    }
}

import Host
import LinuxABI
import Synchronization

/// Host threads for guest tasks. A thread whose task has exited waits for the next one; few are kept.
final class ThreadPool: Sendable {
    private final class Worker: Sendable {
        let parker = Parker()
        let job = Lock<(@Sendable () -> Void)?>(nil)
        let thread = Atomic<Int32>(0)
    }
    private let idle = Lock<[Worker]>([])
    /// Idle threads that are kept, and the stack of each in bytes (path walks and signal frames need a few tens of KiB).
    private static let maximumIdle = 16
    private static let stackSize = 512 << 10

    /// Runs `body` on a thread of its own. EAGAIN or ENOMEM when the host gives none.
    func run(_ body: @escaping @Sendable () -> Void) throws(Errno) {
        if let worker = idle.withLock({ $0.popLast() }) {
            worker.job.withLock { $0 = body }
            // To the caller's CPU, which is awake and has the caches; if there is much to do, the platform finds it another.
            HostThread.moveHere(worker.thread.load(ordering: .relaxed))
            worker.parker.unpark()
            return
        }
        let worker = Worker()
        worker.job.withLock { $0 = body }
        try startThread(stackSize: Self.stackSize) { self.serve(worker) }
    }

    /// Ends the threads that wait for a task.
    func releaseIdle() {
        let workers = idle.withLock { idle in
            defer { idle = [] }
            return idle
        }
        for worker in workers { worker.parker.unpark() }
    }

    private func serve(_ worker: Worker) {
        worker.thread.store(HostThread.identifier, ordering: .relaxed)
        while runJob(of: worker) { _ = worker.parker.park() }
    }

    /// Runs the job of a worker, and lets go of it. Whether the worker is to wait for another: not when there was none for one that was woken, nor when
    /// enough wait already.
    private func runJob(of worker: Worker) -> Bool {
        guard
            let job = worker.job.withLock({ job in
                defer { job = nil }
                return job
            })
        else { return false }
        job()
        return idle.withLock { idle -> Bool in
            if idle.count >= Self.maximumIdle { return false }
            idle.append(worker)
            return true
        }
    }
}

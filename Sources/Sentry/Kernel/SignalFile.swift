import Host
public import LinuxABI
public import SentryMemory
public import SentryVFS
import Synchronization

/// What signalfd(2) gives: signals read as structures. Whoever reads takes them from his own queues and his process's.
public final class SignalFile: FileDescription, @unchecked Sendable {  // The set is behind an atomic.
    private let accepted: Atomic<UInt64>
    /// Whose signals poll(2) and epoll(7) look at: the process that made it (Linux looks at the poller, which is nearly always the same).
    private let process: ThreadGroup
    /// struct signalfd_siginfo, in bytes.
    private static let recordSize = 128

    public init(_ process: ThreadGroup, accepting set: SignalSet, flags: OpenFlags) {
        self.process = process
        accepted = Atomic(set.subtracting(.unblockable).rawValue)
        super.init(path: AnonymousFileSystem.place(kind: "[signalfd]"), flags: flags.union(.O_RDWR))
    }

    public var set: SignalSet { SignalSet(rawValue: accepted.load(ordering: .relaxed)) }
    /// signalfd(2) of an existing descriptor.
    public func setSignals(_ set: SignalSet) {
        accepted.store(set.subtracting(.unblockable).rawValue, ordering: .relaxed)
        process.signalArrivals.notify([.POLLIN, .POLLRDNORM])
    }

    public override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard let task = context as? KernelTask, buffer.remaining >= Self.recordSize else { throw .EINVAL }
        var done = 0
        while buffer.remaining >= Self.recordSize {
            guard let info = task.takeSignal(set) else { break }
            done += try buffer.copyOut(Self.record(info))
        }
        if done == 0 { throw .EAGAIN }
        return done
    }

    public override func readiness(_ mask: PollEvents) -> PollEvents {
        process.hasPendingSignal(set) ? mask.intersection([.POLLIN, .POLLRDNORM]) : []
    }
    public override func add(_ waiter: Waiter) { process.signalArrivals.add(waiter) }
    public override func remove(_ waiter: Waiter) { process.signalArrivals.remove(waiter) }

    /// struct signalfd_siginfo.
    private static func record(_ info: SignalInfo) -> [UInt8] {
        var record = StructureBytes(size: recordSize)
        record.put(info.si_signo, at: 0)
        record.put(info.si_errno, at: 4)
        record.put(info.si_code, at: 8)
        switch info.si_code {
        case SignalCode.SI_TIMER:
            // ssi_tid, ssi_overrun, ssi_int, ssi_ptr
            record.put(Int32(truncatingIfNeeded: info.word0), at: 24)
            record.put(UInt32(truncatingIfNeeded: info.word0 >> 32), at: 32)
            record.put(UInt32(truncatingIfNeeded: info.si_value), at: 44)
            record.put(info.si_value, at: 48)
        case SignalCode.SI_USER, SignalCode.SI_TKILL:
            record.put(info.si_pid, at: 12)
            record.put(info.si_uid, at: 16)
        case _ where info.si_signo == Signal.SIGCHLD && info.si_code > 0:
            record.put(info.si_pid, at: 12)
            record.put(info.si_uid, at: 16)
            record.put(info.si_status, at: 40)
            record.put(info.si_utime, at: 56)
            record.put(info.si_stime, at: 64)
        case _ where SignalSet.synchronous.has(info.si_signo) && info.si_code > 0:
            record.put(info.si_addr, at: 72)
        case _ where info.si_code < 0:
            // SI_QUEUE and the other codes of programs: pid, uid, value.
            record.put(info.si_pid, at: 12)
            record.put(info.si_uid, at: 16)
            record.put(UInt32(truncatingIfNeeded: info.si_value), at: 44)
            record.put(info.si_value, at: 48)
        default: break
        }
        return record.bytes
    }
}

extension KernelTask {
    /// Takes a pending signal of `set`, or nil. Own thread.
    func takeSignal(_ set: SignalSet) -> SignalInfo? {
        let mask = SignalSet.all.subtracting(set)
        let taken = threadGroup.signals.withLock { group -> PendingSignal? in
            let entry = signals.withLock { $0.pending.dequeue(mask: mask) } ?? group.pending.dequeue(mask: mask)
            if let entry, entry.isCounted { container.queuedSignals.subtract(1, ordering: .relaxed) }
            recalculate(group)
            return entry
        }
        guard var taken else { return nil }
        settleTimers(&taken)
        return taken.info
    }
}

extension ThreadGroup {
    /// Whether a signal of `set` is pending for the process or one of its threads.
    func hasPendingSignal(_ set: SignalSet) -> Bool {
        signals.withLock { group in
            if !group.pending.set.isDisjoint(with: set) { return true }
            return group.threads.contains { thread in thread.signals.withLock { !$0.pending.set.isDisjoint(with: set) } }
        }
    }
}

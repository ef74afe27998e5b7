import LinuxABI

/// A signal that waits to be delivered.
struct PendingSignal: Sendable {
    var info: SignalInfo
    /// The POSIX timer it came from: such an entry is queued at most once, and counts overruns meanwhile.
    var timer: PosixTimer?
    /// Counts towards RLIMIT_SIGPENDING.
    var isCounted: Bool
}

/// The pending signals of a thread or of a thread group. Standard signals queue once; real-time signals in order of arrival (signal(7)).
struct SignalQueue: Sendable {
    /// Which signals are pending.
    private(set) var set: SignalSet = []
    /// In order of arrival.
    private var entries: [PendingSignal] = []

    /// How many entries wait.
    var count: Int { entries.count }
    /// What waits, in order of arrival.
    var informations: [SignalInfo] { entries.map(\.info) }

    /// Whether a standard signal is pending already, so that another one is dropped.
    func coalesces(_ signal: Int32) -> Bool { signal < Signal.SIGRTMIN && set.has(signal) }

    /// Precondition: `coalesces` is false.
    mutating func append(_ signal: PendingSignal) {
        entries.append(signal)
        set.insert(SignalSet(signal.info.si_signo))
    }

    /// Whether the entry of `timer` still waits here.
    func contains(_ timer: PosixTimer) -> Bool { entries.contains { $0.timer === timer } }

    /// The next signal outside `mask`: synchronous ones first, then by number, then by age.
    mutating func dequeue(mask: SignalSet) -> PendingSignal? {
        let eligible = set.subtracting(mask)
        guard let signal = eligible.intersection(.synchronous).first ?? eligible.first,
            let index = entries.firstIndex(where: { $0.info.si_signo == signal })
        else { return nil }
        let entry = entries.remove(at: index)
        if !entries.contains(where: { $0.info.si_signo == signal }) { set.remove(SignalSet(signal)) }
        return entry
    }

    /// Drops every entry of `signals`; how many of them were counted.
    mutating func discard(_ signals: SignalSet) -> Int {
        if set.isDisjoint(with: signals) { return 0 }
        set.subtract(signals)
        var counted = 0
        entries.removeAll { entry in
            guard signals.has(entry.info.si_signo) else { return false }
            if entry.isCounted { counted += 1 }
            return true
        }
        return counted
    }

    /// Drops the entry of a deleted timer; how many were counted.
    mutating func discard(_ timer: PosixTimer) -> Int {
        var counted = 0
        entries.removeAll { entry in
            guard entry.timer === timer else { return false }
            if entry.isCounted { counted += 1 }
            return true
        }
        set = entries.reduce(into: []) { $0.insert(SignalSet($1.info.si_signo)) }
        return counted
    }
}

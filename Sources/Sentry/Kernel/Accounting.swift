import Host
import LinuxABI
import SentryMemory
import Synchronization

/// What a task or process has used (getrusage(2)). Times in nanoseconds.
public struct Usage: Sendable, Hashable {
    public var userTime: UInt64 = 0
    public var systemTime: UInt64 = 0
    public var minorFaults: UInt64 = 0
    public var majorFaults: UInt64 = 0
    public var voluntarySwitches: UInt64 = 0
    public var involuntarySwitches: UInt64 = 0
    /// Bytes.
    public var maximumResident: UInt64 = 0
    public init() {}

    /// Sums; the resident maximum is the larger one.
    public mutating func add(_ other: Usage) {
        userTime &+= other.userTime
        systemTime &+= other.systemTime
        minorFaults &+= other.minorFaults
        majorFaults &+= other.majorFaults
        voluntarySwitches &+= other.voluntarySwitches
        involuntarySwitches &+= other.involuntarySwitches
        maximumResident = max(maximumResident, other.maximumResident)
    }
}

/// What a process remembers of those who are gone.
struct Accounting: Sendable {
    /// Threads of the process that have exited.
    var exitedThreads = Usage()
    /// Children that were waited for, with their children.
    var waitedChildren = Usage()
}

extension KernelTask {
    /// What this thread has used until now. Any thread.
    public var usage: Usage {
        var usage = Usage()
        usage.userTime = guestTime.load(ordering: .relaxed)
        let entry = guestEntry.load(ordering: .relaxed)
        if entry != 0 {
            let now = HostClock.monotonic
            usage.userTime &+= now > entry ? now - entry : 0
        }
        let clock = hostClock.load(ordering: .acquiring)
        if clock != 0 {
            let now = HostClock.nanoseconds(clock), base = hostClockBase.load(ordering: .relaxed)
            usage.systemTime = now > base ? now - base : 0
        } else {
            usage.systemTime = hostClockBase.load(ordering: .relaxed)
        }
        usage.minorFaults = faults.load(ordering: .relaxed)
        usage.voluntarySwitches = voluntarySwitches.load(ordering: .relaxed)
        usage.involuntarySwitches = involuntarySwitches.load(ordering: .relaxed)
        return usage
    }

    /// Starts to count the calling host thread's time as this task's.
    func startAccounting() {
        let clock = HostThread.cpuClock(of: HostThread.identifier)
        hostClockBase.store(HostClock.nanoseconds(clock), ordering: .relaxed)
        hostClock.store(clock, ordering: .releasing)
    }

    /// Stops it: from now on the system time is fixed.
    func stopAccounting() {
        let usage = usage
        hostClock.store(0, ordering: .releasing)
        hostClockBase.store(usage.systemTime, ordering: .relaxed)
    }
}

extension ThreadGroup {
    /// What all threads have used, the exited ones included. The resident maximum is that of the memory in use now.
    public var usage: Usage {
        var sum = accounting.withLock { $0.exitedThreads }
        for thread in threads { sum.add(thread.usage) }
        if let space = threads.first?.addressSpace { sum.maximumResident = max(sum.maximumResident, space.statistics().peakResident) }
        return sum
    }
    /// What waited-for descendants have used.
    public var childrenUsage: Usage { accounting.withLock { $0.waitedChildren } }
    /// CPU time of all threads (CLOCK_PROCESS_CPUTIME_ID), in nanoseconds.
    public var cpuTime: (user: UInt64, system: UInt64) {
        let sum = accounting.withLock { $0.exitedThreads }
        var user = sum.userTime, system = sum.systemTime
        for thread in threads {
            let usage = thread.usage
            user &+= usage.userTime
            system &+= usage.systemTime
        }
        return (user, system)
    }
}

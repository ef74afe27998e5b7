import Host
import LinuxABI
import SentryMemory
import SentryPlatform
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
    /// Bytes and calls of read(2), write(2) and their kin.
    public var readBytes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    public var readCalls: UInt64 = 0
    public var writeCalls: UInt64 = 0
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
        readBytes &+= other.readBytes
        writtenBytes &+= other.writtenBytes
        readCalls &+= other.readCalls
        writeCalls &+= other.writeCalls
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
    ///
    /// User time: the host counts processor time for the whole stub process of an address space, exactly. Each time that somebody asks, what it has counted since the
    /// last time is divided among the threads, in proportion to the real time that each was in guest code meanwhile; for a process with one thread this is
    /// exact, and so is always the sum. Where the platform has no process of its own for an address space, real time in guest code stands for user time.
    /// System time: the processor time of the host thread that serves the task, and the real time of calls that a service of the platform's made for it.
    public var usage: Usage {
        resources.memory?.divideUserTime(among: threadGroup.threads)
        return dividedUsage
    }

    /// The same as of the last time that user time was divided.
    fileprivate var dividedUsage: Usage {
        var usage = Usage()
        usage.userTime = userTime.load(ordering: .relaxed)
        let clock = hostClock.load(ordering: .acquiring)
        if clock != 0 {
            let now = HostClock.nanoseconds(clock), base = hostClockBase.load(ordering: .relaxed)
            usage.systemTime = now > base ? now - base : 0
        } else {
            usage.systemTime = hostClockBase.load(ordering: .relaxed)
        }
        usage.systemTime &+= servedTime.load(ordering: .relaxed)
        usage.minorFaults = faults.load(ordering: .relaxed)
        usage.voluntarySwitches = voluntarySwitches.load(ordering: .relaxed)
        usage.involuntarySwitches = involuntarySwitches.load(ordering: .relaxed)
        usage.readBytes = readBytes.load(ordering: .relaxed)
        usage.writtenBytes = writtenBytes.load(ordering: .relaxed)
        usage.readCalls = readCalls.load(ordering: .relaxed)
        usage.writeCalls = writeCalls.load(ordering: .relaxed)
        return usage
    }

    /// Real time from here on, until `leaveGuest`, is time in guest code. Whoever makes the task's calls.
    @inline(__always) func enterGuest() { guestEntry.store(HostClock.ticks, ordering: .relaxed) }
    @inline(__always) func leaveGuest() {
        let entry = guestEntry.load(ordering: .relaxed), now = HostClock.ticks
        guestEntry.store(0, ordering: .relaxed)
        // The counters of two processors may differ a little.
        if entry != 0, now > entry { guestTime.store(guestTime.load(ordering: .relaxed) &+ (now - entry), ordering: .relaxed) }
    }

    /// Real time in guest code until `now`, in ticks.
    fileprivate func guestTime(_ now: UInt64) -> UInt64 {
        let before = guestTime.load(ordering: .acquiring)
        let entry = guestEntry.load(ordering: .acquiring)
        return before &+ (entry != 0 && now > entry ? now - entry : 0)
    }

    /// The task leaves its memory: what it used there is fixed. Own thread.
    func settleUserTime() { resources.memory?.divideUserTime(among: threadGroup.threads) }

    /// A call has read or written `result` bytes, or failed. Own thread.
    @inline(__always) public func noteRead(_ result: Int) {
        readCalls.store(readCalls.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        if result > 0 { readBytes.store(readBytes.load(ordering: .relaxed) &+ UInt64(result), ordering: .relaxed) }
    }
    @inline(__always) public func noteWrite(_ result: Int) {
        writeCalls.store(writeCalls.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        if result > 0 { writtenBytes.store(writtenBytes.load(ordering: .relaxed) &+ UInt64(result), ordering: .relaxed) }
    }

    /// Starts to count the calling host thread's time as this task's.
    func startAccounting() {
        HostClock.startTicks()
        let clock = HostThread.cpuClock(of: HostThread.identifier)
        hostClockBase.store(HostClock.nanoseconds(clock), ordering: .relaxed)
        hostClock.store(clock, ordering: .releasing)
    }

    /// Stops it: from now on the system time is fixed.
    func stopAccounting() {
        let usage = usage
        hostClock.store(0, ordering: .releasing)
        hostClockBase.store(usage.systemTime &- servedTime.load(ordering: .relaxed), ordering: .relaxed)
    }
}

extension ProcessMemory {
    /// The stub process may have served another program before.
    func startProcessorTime() { processorBase.store(stubTime ?? 0, ordering: .relaxed) }

    /// Divides what the stub process has run since the last time among those of `threads` that run in this memory.
    fileprivate func divideUserTime(among threads: [KernelTask]) {
        dividing.withLock { _ in
            let now = HostClock.ticks
            let sharers = threads.filter { $0.resources.memory === self }
            var all: UInt64 = 0
            let spent = sharers.map { task in
                // A task that comes out of guest code just now may seem to have spent less.
                let time = task.guestTime(now), divided = task.dividedGuestTime.load(ordering: .relaxed)
                let spent = time > divided ? time - divided : 0
                all &+= spent
                return spent
            }
            if all == 0 { return }
            var ran = HostClock.nanoseconds(ofTicks: all)
            if let time = stubTime {
                let divided = processorBase.load(ordering: .relaxed)
                ran = min(time > divided ? time - divided : 0, ran)
                processorBase.store(max(time, divided), ordering: .relaxed)
            }
            for (task, spent) in zip(sharers, spent) {
                task.dividedGuestTime.wrappingAdd(spent, ordering: .relaxed)
                let share = all.dividingFullWidth(spent.multipliedFullWidth(by: ran)).quotient
                task.userTime.wrappingAdd(share, ordering: .relaxed)
            }
        }
    }

    private var stubTime: UInt64? {
        guard let process = space.platformSpace.hostProcess else { return nil }
        // clock_getcpuclockid(3): the complement of the id, with the bits for "scheduler".
        let time = HostClock.nanoseconds(~process << 3 | 2)
        return time == 0 ? nil : time
    }
}

extension ThreadGroup {
    /// What all threads have used, the exited ones included. The resident maximum is that of the memory in use now.
    public var usage: Usage {
        var sum = processorUsage
        if let space = threads.first?.addressSpace { sum.maximumResident = max(sum.maximumResident, space.statistics().peakResident) }
        return sum
    }
    /// The same without what is costly to find out.
    private var processorUsage: Usage {
        var sum = accounting.withLock { $0.exitedThreads }
        let threads = threads
        threads.first?.resources.memory?.divideUserTime(among: threads)
        for thread in threads { sum.add(thread.dividedUsage) }
        return sum
    }
    /// What waited-for descendants have used.
    public var childrenUsage: Usage { accounting.withLock { $0.waitedChildren } }
    /// CPU time of all threads (CLOCK_PROCESS_CPUTIME_ID), in nanoseconds.
    public var cpuTime: (user: UInt64, system: UInt64) {
        let sum = processorUsage
        return (sum.userTime, sum.systemTime)
    }
}

public import Host
public import LinuxABI
import SentryPlatform
public import SentryVFS
import Synchronization

/// Wakes a task that waits for a file or another object.
public final class TaskWaiter: Waiter, @unchecked Sendable {  // Immutable.
    private let task: KernelTask
    public init(_ task: KernelTask, _ events: PollEvents) {
        self.task = task
        super.init(mask: events)
    }
    public override func wake(_ events: PollEvents) -> Parker? { task.parker.post() ? task.parker : nil }
}

extension KernelTask {
    /// Whether something more important than the system call waits: a deliverable signal, a stop, the end. Own thread.
    public var isInterrupted: Bool { interrupts.load(ordering: .sequentiallyConsistent) & ~Interrupt.quiet != 0 }

    /// Wakes the task out of `block`. Any thread. A wake-up that finds it not blocked is remembered for its next `block`.
    public func unblock() { parker.unpark() }

    /// Sleeps until `unblock` (or a `TaskWaiter`'s wake-up), or until `deadline`: false when that passed. May return true without a cause, so
    /// callers check their condition again. Own thread.
    ///
    /// `deadline`: nanoseconds of the host's CLOCK_MONOTONIC, nil for none.
    /// Throws ERESTARTSYS when a signal or the end of the process needs attention; callers translate where their call's rule is another one.
    @discardableResult
    public func block(deadline: UInt64? = nil) throws(Errno) -> Bool {
        // Whoever sees the state sees where the task sleeps.
        noteSleep()
        stateStorage.store(TaskState.sleeping.rawValue, ordering: .releasing)
        defer { stateStorage.store(TaskState.running.rawValue, ordering: .relaxed) }
        if isInterrupted { throw .ERESTARTSYS }
        voluntarySwitches.wrappingAdd(1, ordering: .relaxed)
        let isSeatWanted = processor.load(ordering: .relaxed) >= 0 && memory?.processors.hasWaiters == true
        var wasWoken = deadline == nil && !isSeatWanted && context.look(for: parker)
        if !wasWoken {
            context.suspend()
            if isSeatWanted { memory?.processors.reconsider(self) }
            wasWoken = parker.park(deadline: deadline)
            let waker = parker.takeWakerCPU()
            if waker >= 0 { context.wasWoken(from: waker) }
        }
        if threadGroup.timers.isDormant.load(ordering: .relaxed) {
            stateStorage.store(TaskState.running.rawValue, ordering: .sequentiallyConsistent)
            threadGroup.checkCPUTimers()
        }
        if isInterrupted { throw .ERESTARTSYS }
        // A paused container's tasks stay here; what they waited for is looked at when they go on.
        if interrupts.load(ordering: .sequentiallyConsistent) & Interrupt.pause != 0 {
            waitWhilePaused()
            if isInterrupted { throw .ERESTARTSYS }
            return true
        }
        return wasWoken
    }

    /// Sleeps like `block`, but only the end of the process interrupts (vfork's parent). False when it is to exit.
    func blockKillable() -> Bool {
        noteSleep()
        stateStorage.store(TaskState.uninterruptible.rawValue, ordering: .releasing)
        defer { stateStorage.store(TaskState.running.rawValue, ordering: .relaxed) }
        if interrupts.load(ordering: .sequentiallyConsistent) & Interrupt.exit != 0 { return false }
        context.suspend()
        _ = parker.park()
        return interrupts.load(ordering: .sequentiallyConsistent) & Interrupt.exit == 0
    }

    /// Stays until the container goes on or this task is to exit.
    func waitWhilePaused() {
        while true {
            let bits = interrupts.load(ordering: .sequentiallyConsistent)
            if bits & Interrupt.pause == 0 || bits & Interrupt.exit != 0 { return }
            _ = parker.park()
        }
    }

    /// Repeats `attempt` until it does not throw EAGAIN, sleeping in between until `file` may be ready. Own thread.
    ///
    /// EAGAIN at once for an O_NONBLOCK file (or `nonblocking` true), and when `deadline` (CLOCK_MONOTONIC nanoseconds) has passed.
    /// ERESTARTSYS when a signal comes. Nothing is lost: the waiter is registered before the attempt that decides to sleep.
    public func waitFor<R>(
        _ file: FileDescription, _ events: PollEvents, deadline: UInt64? = nil, nonblocking: Bool? = nil, _ attempt: () throws(Errno) -> R
    ) throws(Errno) -> R {
        do {
            return try attempt()
        } catch {
            if error != .EAGAIN || nonblocking ?? file.isNonblocking { throw error }
        }
        let isHeld = file.retainIfOpen()
        defer { if isHeld { file.releaseDescriptor(self) } }
        let waiter = TaskWaiter(self, events)
        file.add(waiter)
        defer { file.remove(waiter) }
        while true {
            do { return try attempt() } catch { if error != .EAGAIN { throw error } }
            if try !block(deadline: deadline) { throw .EAGAIN }
        }
    }

    /// Sleeps until `condition` gives a value, looking again whenever `queue` is notified. Own thread. Nil when `deadline` passed.
    public func waitFor<R>(_ queue: WaitQueue, _ events: PollEvents = .POLLIN, deadline: UInt64? = nil, _ condition: () throws(Errno) -> R?)
        throws(Errno) -> R?
    {
        if let value = try condition() { return value }
        let waiter = TaskWaiter(self, events)
        queue.add(waiter)
        defer { queue.remove(waiter) }
        while true {
            if let value = try condition() { return value }
            if try !block(deadline: deadline) { return try condition() }
        }
    }
}

import Host
public import LinuxABI
import SentryPlatform
import SentryVFS
import Synchronization

extension SignalInfo {
    /// As kill(2) by `sender` makes it; sent by the kernel on behalf of a program's own action (SIGPIPE).
    public static func user(_ signal: Int32, from sender: KernelTask, code: Int32 = SignalCode.SI_USER) -> SignalInfo {
        var info = SignalInfo(signal: signal, code: code)
        info.si_pid = sender.processID
        info.si_uid = sender.credentials.user.real
        return info
    }
    /// Sent by the kernel itself.
    public static func kernel(_ signal: Int32) -> SignalInfo { SignalInfo(signal: signal, code: SignalCode.SI_KERNEL) }
}

extension KernelTask {
    /// Sets interrupt bits and makes the task look at them, wherever it is. Any thread.
    func post(_ bits: UInt32) {
        let old = interrupts.bitwiseOr(bits, ordering: .sequentiallyConsistent).oldValue
        if old & Interrupt.inGuest != 0 { context.interrupt() } else { parker.unpark() }
    }

    /// Sends a signal to this thread, without a check of permissions. EAGAIN when a real-time signal finds the queue full.
    public func send(_ info: SignalInfo) { _ = threadGroup.send(info, to: self) }

    /// tgkill(2)'s result matters to the caller.
    public func trySend(_ info: SignalInfo) throws(Errno) {
        if let error = threadGroup.send(info, to: self) { throw error }
    }

    /// Whether `self` may send `signal` to `target` (kill(2)): EPERM otherwise.
    public func checkMaySignal(_ target: ThreadGroup, _ signal: Int32) throws(Errno) {
        if target === threadGroup { return }
        let mine = credentials
        if mine.has(.CAP_KILL) { return }
        guard let leader = target.leader else { throw .ESRCH }
        let theirs = leader.credentials.user
        let ids = [mine.user.effective, mine.user.real]
        if ids.contains(theirs.saved) || ids.contains(theirs.real) { return }
        if signal == Signal.SIGCONT, target.session === threadGroup.session { return }
        throw .EPERM
    }
}

extension ThreadGroup {
    /// Sends a signal to one thread, or to the process as a whole, without a check of permissions. Nothing happens to a process that is exiting or
    /// when the signal is ignored.
    ///
    /// `fromOutside`: from an ancestor (the Supervisor): process 1 cannot be immune to SIGKILL and SIGSTOP then.
    /// Returns EAGAIN when a real-time signal finds the queue full (RLIMIT_SIGPENDING).
    @discardableResult
    public func send(_ info: SignalInfo, to task: KernelTask? = nil, fromOutside: Bool = false) -> Errno? {
        send(info, to: task, timer: nil, fromOutside: fromOutside)
    }

    @discardableResult
    func send(_ info: SignalInfo, to task: KernelTask?, timer: PosixTimer?, fromOutside: Bool = false) -> Errno? {
        let signal = info.si_signo
        guard Signal.isValid(signal) else { return .EINVAL }
        return signals.withLock { group -> Errno? in
            guard !group.threads.isEmpty else { return nil }
            if group.exitStatus != nil {
                if signal == Signal.SIGKILL { for thread in group.threads { thread.post(Interrupt.kill) } }
                return nil
            }
            prepare(signal, &group)
            // A timer must know, since nobody will ever take its signal.
            if isIgnored(signal, by: task, group, fromOutside) { return timer == nil ? nil : .ENOENT }
            // SIGKILL ends the process at once, whatever the queues hold.
            if signal == Signal.SIGKILL {
                beginExit(status: signal, &group)
                return nil
            }
            if let error = enqueue(info, to: task, timer, &group) { return error }
            wake(for: signal, task, &group)
            signalArrivals.notify([.POLLIN, .POLLRDNORM])
            return nil
        }
    }

    /// SIGCONT and the stop signals cancel each other when they are sent, even if blocked or ignored.
    private func prepare(_ signal: Int32, _ group: inout SignalState) {
        if SignalSet(signal).isSubset(of: .stopping) {
            discard(SignalSet(Signal.SIGCONT), &group)
        } else if signal == Signal.SIGCONT {
            discard(.stopping, &group)
            resume(&group)
            for thread in group.threads where thread.isSeized { thread.post(Interrupt.trap) }
        }
    }

    /// Lets a stopped or stopping process run on.
    private func resume(_ group: inout SignalState) {
        guard group.stopSignal != 0 else { return }
        // A stop that was complete is told as continued; one that had only begun is told as stopped (signal(7), Linux's prepare_signal).
        group.notice = group.isStopped ? SignalCode.CLD_CONTINUED : SignalCode.CLD_STOPPED
        group.isContinueWaitable = group.isStopped
        group.stopSignal = 0
        group.isStopped = false
        group.isStopWaitable = false
        group.toStop = 0
        for (index, thread) in group.threads.enumerated() {
            thread.interrupts.bitwiseAnd(~Interrupt.stop, ordering: .sequentiallyConsistent)
            thread.post(index == 0 ? Interrupt.notice | Interrupt.signal : Interrupt.signal)
        }
    }

    private func discard(_ set: SignalSet, _ group: inout SignalState) {
        var counted = group.pending.discard(set)
        for thread in group.threads { counted += thread.signals.withLock { $0.pending.discard(set) } }
        container.queuedSignals.subtract(counted, ordering: .relaxed)
    }

    /// Whether sending has no effect. A blocked signal is never ignored: the handler may be set before it is unblocked.
    private func isIgnored(_ signal: Int32, by task: KernelTask?, _ group: SignalState, _ fromOutside: Bool) -> Bool {
        guard let target = task ?? group.threads.first else { return true }
        let blocked = target.signals.withLock { $0.mask.union($0.waiting).has(signal) }
        if blocked, signal != Signal.SIGKILL, signal != Signal.SIGSTOP { return false }
        // A tracer may want to know of ignored ones too.
        if target.isTraced, signal != Signal.SIGKILL { return false }
        if isNamespaceInit, group.actions.get(signal).sa_handler == SignalHandler.SIG_DFL,
            !(fromOutside && (signal == Signal.SIGKILL || signal == Signal.SIGSTOP))
        {
            return true
        }
        return group.actions.ignores(signal)
    }

    private func enqueue(_ info: SignalInfo, to task: KernelTask?, _ timer: PosixTimer?, _ group: inout SignalState) -> Errno? {
        let signal = info.si_signo
        var entry = PendingSignal(info: info, timer: timer, isCounted: false)
        let coalesces = task.map { task in task.signals.withLock { $0.pending.coalesces(signal) } } ?? group.pending.coalesces(signal)
        if coalesces { return nil }
        if timer == nil {
            let queued = container.queuedSignals.add(1, ordering: .relaxed).newValue
            entry.isCounted = true
            if UInt64(queued) > limits.current(Resource.RLIMIT_SIGPENDING) {
                container.queuedSignals.subtract(1, ordering: .relaxed)
                entry.isCounted = false
                // Real-time signals of sigqueue fail; those of kill, and standard signals, go without their information.
                if signal >= Signal.SIGRTMIN, info.si_code != SignalCode.SI_USER { return .EAGAIN }
                entry.info = SignalInfo(signal: signal, code: SignalCode.SI_USER)
            }
        }
        if let task { task.signals.withLock { $0.pending.append(entry) } } else { group.pending.append(entry) }
        return nil
    }

    /// Chooses a thread for the signal and wakes it; a signal that kills starts the exit of the whole process at once.
    private func wake(for signal: Int32, _ task: KernelTask?, _ group: inout SignalState) {
        func wants(_ thread: KernelTask) -> Bool {
            if thread.interrupts.load(ordering: .relaxed) & (Interrupt.stop | Interrupt.exit) != 0 { return false }
            return thread.signals.withLock { !$0.mask.subtracting($0.waiting).has(signal) }
        }
        let target: KernelTask?
        if let task {
            target = wants(task) ? task : nil
        } else {
            // The main thread if it wants it, else one that has nothing pending yet, else any that wants it.
            let willing = group.threads.filter(wants)
            if let first = willing.first, first === group.threads.first || willing.count == 1 {
                target = first
            } else {
                target = willing.first { $0.interrupts.load(ordering: .relaxed) & Interrupt.signal == 0 } ?? willing.first
            }
        }
        guard let target else { return }
        if DefaultAction(signal) == .terminate, group.actions.get(signal).sa_handler == SignalHandler.SIG_DFL,
            !target.signals.withLock({ $0.waiting.has(signal) }), !target.isTraced, !isNamespaceInit, group.executing == nil
        {
            beginExit(status: signal, &group)
            return
        }
        target.post(Interrupt.signal)
    }

    /// All threads are to exit with `status` (as wait(2) gives it). The first caller decides.
    func beginExit(status: Int32, _ group: inout SignalState) {
        guard group.exitStatus == nil else { return }
        group.exitStatus = status
        group.stopSignal = 0
        group.isStopped = false
        group.isStopWaitable = false
        for thread in group.threads {
            thread.interrupts.bitwiseAnd(~Interrupt.stop, ordering: .sequentiallyConsistent)
            thread.post(status == Signal.SIGKILL ? Interrupt.exit | Interrupt.kill : Interrupt.exit)
        }
    }

    /// exit_group(2), or a fatal signal: ends every thread.
    public func exitAll(status: Int32) { signals.withLock { beginExit(status: status, &$0) } }

    /// SIGKILL from outside: works on process 1 too.
    public func kill() { send(.kernel(Signal.SIGKILL), fromOutside: true) }
}

extension KernelTask {
    /// Whether this task may look into `target` as a debugger would (ptrace(2), "Ptrace access mode checking", REALCREDS): EPERM otherwise.
    public func checkMayInspect(_ target: KernelTask) throws(Errno) {
        if target.threadGroup === threadGroup { return }
        let mine = credentials, theirs = target.credentials
        if mine.has(.CAP_SYS_PTRACE) { return }
        let ids = [theirs.user.real, theirs.user.effective, theirs.user.saved]
        let groups = [theirs.group.real, theirs.group.effective, theirs.group.saved]
        guard ids.allSatisfy({ $0 == mine.user.real }), groups.allSatisfy({ $0 == mine.group.real }) else { throw .EPERM }
        guard theirs.permitted.isSubset(of: mine.permitted) else { throw .EPERM }
        guard target.memory?.dumpable.load(ordering: .relaxed) == 1 else { throw .EPERM }
    }
}

import Host
public import LinuxABI
import SentryPlatform
import SentryVFS
import Synchronization

/// What the task does about its pending signals.
enum SignalDecision {
    /// Nothing is deliverable.
    case none
    /// Run a handler.
    case handle(PendingSignal, SignalAction)
    /// The process ends; `Interrupt.exit` is set.
    case exit
    /// A stop has begun; `Interrupt.stop` is set.
    case stop
}

extension KernelTask {
    /// The blocked signals.
    public var signalMask: SignalSet { signals.withLock { $0.mask } }
    /// This thread's own pending signals.
    public var pendingSignals: SignalSet { signals.withLock { $0.pending.set } }

    /// Replaces the mask (rt_sigprocmask(2)). Own thread. A process-directed signal that this thread would have taken and now blocks is offered to
    /// the others.
    public func setSignalMask(_ mask: SignalSet) {
        let new = mask.subtracting(.unblockable)
        threadGroup.signals.withLock { group in
            let old = signals.withLock { state in
                defer { state.mask = new }
                return state.mask
            }
            let newlyBlocked = new.subtracting(old).intersection(group.pending.set)
            if !newlyBlocked.isEmpty {
                for thread in group.threads where thread !== self {
                    if !newlyBlocked.isSubset(of: thread.signals.withLock { $0.mask }) { thread.post(Interrupt.signal) }
                }
            }
            recalculate(group)
        }
    }

    /// Sets or clears the signal bit to what is true now. With the group's lock held.
    func recalculate(_ group: ThreadGroup.SignalState) {
        let isPending = signals.withLock { state in
            !state.pending.set.union(group.pending.set).subtracting(state.mask.subtracting(state.waiting)).isEmpty
        }
        if isPending || group.notice != nil && group.threads.first === self {
            interrupts.bitwiseOr(Interrupt.signal, ordering: .sequentiallyConsistent)
        } else {
            interrupts.bitwiseAnd(~Interrupt.signal, ordering: .sequentiallyConsistent)
        }
    }

    /// Runs `body` with another mask, as ppoll(2), pselect(2), epoll_pwait(2) and sigsuspend(2) do: when it is interrupted the new mask stays until
    /// the signal was delivered, and the handler's frame remembers the old one. Own thread. `mask` nil: no change.
    public func withSignalMask<R>(_ mask: SignalSet?, _ body: () throws(Errno) -> R) throws(Errno) -> R {
        guard let mask else { return try body() }
        let old = signalMask
        setSignalMask(mask)
        do {
            let result = try body()
            setSignalMask(old)
            return result
        } catch {
            if error == .EINTR || (512...516).contains(error.rawValue) {
                savedMask = old
            } else {
                setSignalMask(old)
            }
            throw error
        }
    }

    /// A signal that the task's own instructions raised: neither blocking nor ignoring it helps (Linux: force_sig_info). Own thread.
    public func forceSignal(_ info: SignalInfo) {
        let signal = info.si_signo
        threadGroup.signals.withLock { group in
            let isBlocked = signals.withLock { state in
                defer { state.mask.remove(SignalSet(signal)) }
                return state.mask.has(signal)
            }
            var action = group.actions.get(signal)
            if isBlocked || action.sa_handler == SignalHandler.SIG_IGN {
                action.sa_handler = SignalHandler.SIG_DFL
                group.actions.set(signal, action)
            }
            signals.withLock { state in
                if !state.pending.coalesces(signal) { state.pending.append(PendingSignal(info: info, timer: nil, isCounted: false)) }
            }
            forcedSignal = signal
            interrupts.bitwiseOr(Interrupt.signal, ordering: .sequentiallyConsistent)
        }
    }

    /// What is done about one dequeued signal.
    private enum Verdict {
        case decided(SignalDecision)
        /// A stop from the terminal: whether the group is orphaned needs the tree lock, which comes before the signals' lock.
        case stopUnlessOrphaned
        /// Look for another one.
        case nothing
    }

    /// Takes the next signal that needs something done, doing what the default actions ask. Own thread.
    func nextSignal() -> SignalDecision {
        while true {
            var taken: PendingSignal?
            var verdict = threadGroup.signals.withLock { group -> Verdict in
                if group.exitStatus != nil { return .decided(.exit) }
                if interrupts.load(ordering: .relaxed) & Interrupt.stop != 0 { return .decided(.stop) }
                let entry =
                    signals.withLock { state -> PendingSignal? in
                        state.pending.dequeue(mask: state.mask)
                    } ?? group.pending.dequeue(mask: signals.withLock { $0.mask })
                guard let entry else {
                    recalculate(group)
                    return .decided(.none)
                }
                if entry.isCounted { container.queuedSignals.subtract(1, ordering: .relaxed) }
                taken = entry
                return isTraced && entry.info.si_signo != Signal.SIGKILL ? .nothing : decide(entry, &group)
            }
            if var entry = taken {
                settleTimers(&entry)
                if isTraced, entry.info.si_signo != Signal.SIGKILL, case .nothing = verdict {
                    guard let offered = offerToTracer(entry) else { continue }
                    entry = offered
                    verdict = threadGroup.signals.withLock { $0.exitStatus != nil ? .decided(.exit) : decide(entry, &$0) }
                }
                if case .decided(.handle(_, let action)) = verdict { return .handle(entry, action) }
                if case .stopUnlessOrphaned = verdict {
                    if stopUnlessOrphaned(entry.info.si_signo) { return .stop }
                    continue
                }
            }
            if case .decided(let decision) = verdict { return decision }
            if interrupts.load(ordering: .relaxed) & (Interrupt.stop | Interrupt.exit) != 0 { return .stop }
        }
    }

    /// With the group's lock held. The entry of `.handle` is the caller's.
    private func decide(_ entry: PendingSignal, _ group: inout ThreadGroup.SignalState) -> Verdict {
        let signal = entry.info.si_signo
        let action = group.actions.get(signal)
        if action.sa_handler == SignalHandler.SIG_IGN { return .nothing }
        if action.sa_handler != SignalHandler.SIG_DFL {
            if signal == forcedSignal { forcedSignal = 0 }
            if action.sa_flags & SignalActionFlag.SA_RESETHAND != 0 {
                var reset = action
                reset.sa_handler = SignalHandler.SIG_DFL
                group.actions.set(signal, reset)
            }
            recalculate(group)
            return .decided(.handle(entry, action))
        }
        // Process 1 has no default actions but for what its own instructions raise.
        if threadGroup.isNamespaceInit, signal != forcedSignal, signal != Signal.SIGSTOP { return .nothing }
        switch DefaultAction(signal) {
        case .ignore, .continue: return .nothing
        case .stop:
            if signal != Signal.SIGSTOP { return .stopUnlessOrphaned }
            threadGroup.beginStop(signal, &group)
            return .nothing
        case .terminate, .core:
            forcedSignal = 0
            threadGroup.beginExit(status: signal, &group)
            return .decided(.exit)
        }
    }

    /// Begins a stop from the terminal; false when the group is orphaned and nothing happens.
    private func stopUnlessOrphaned(_ signal: Int32) -> Bool {
        let isOrphaned = kernel.tree.withLock { threadGroup.tree[$0].processGroup.isOrphaned($0) }
        if isOrphaned { return false }
        threadGroup.signals.withLock { group in
            // SIGCONT or SIGKILL may have come meanwhile.
            if group.exitStatus == nil { threadGroup.beginStop(signal, &group) }
        }
        return true
    }

    /// A signal left its queue: the timer it came from goes on. With no lock held.
    func settleTimers(_ entry: inout PendingSignal) {
        if let timer = entry.timer { timer.delivered(&entry.info) }
        if entry.info.si_signo == Signal.SIGALRM { threadGroup.realTimerDelivered() }
    }

    /// rt_sigtimedwait(2): takes a pending signal of `set`, waiting for one. EAGAIN when `deadline` (CLOCK_MONOTONIC) passed, EINTR for another signal.
    public func waitForSignal(_ set: SignalSet, deadline: UInt64?) throws(Errno) -> SignalInfo {
        let wanted = set.subtracting(.unblockable)
        func take() -> PendingSignal? {
            threadGroup.signals.withLock { group in
                let entry =
                    signals.withLock { $0.pending.dequeue(mask: SignalSet.all.subtracting(wanted)) }
                    ?? group.pending.dequeue(mask: SignalSet.all.subtracting(wanted))
                if let entry, entry.isCounted { container.queuedSignals.subtract(1, ordering: .relaxed) }
                signals.withLock { $0.waiting = entry == nil ? wanted : [] }
                recalculate(group)
                return entry
            }
        }
        defer {
            threadGroup.signals.withLock { group in
                signals.withLock { $0.waiting = [] }
                recalculate(group)
            }
        }
        while true {
            if var entry = take() {
                settleTimers(&entry)
                return entry.info
            }
            do throws(Errno) {
                if try !block(deadline: deadline) { throw .EAGAIN }
            } catch {
                // The wake-up may be for a signal that we wait for.
                if var entry = take() {
                    settleTimers(&entry)
                    return entry.info
                }
                throw error == .ERESTARTSYS ? .EINTR : error
            }
        }
    }

    /// Stays stopped until somebody continues or kills the process; tells the parent when this was the last thread to stop. Own thread.
    func stopForJobControl() {
        noteSleep()
        stateStorage.store(TaskState.stopped.rawValue, ordering: .relaxed)
        while interrupts.load(ordering: .sequentiallyConsistent) & Interrupt.exit == 0 {
            // A continuation and another stop may both have come before this thread woke up.
            let (signal, isLast) = threadGroup.signals.withLock { group -> (Int32, Bool) in
                guard interrupts.load(ordering: .relaxed) & Interrupt.stop != 0, group.stopSignal != 0 else { return (0, false) }
                if countedStop == group.stopNumber { return (group.stopSignal, false) }
                countedStop = group.stopNumber
                return (group.stopSignal, threadGroup.noteStopped(&group))
            }
            if isLast { threadGroup.notifyParent(SignalCode.CLD_STOPPED) }
            if signal == 0 { break }
            if isTraced {
                groupStopForTracer(signal)
                break
            }
            _ = parker.park()
        }
        stateStorage.store(TaskState.running.rawValue, ordering: .relaxed)
    }
}

extension ThreadGroup {
    /// Asks all threads to stop. With the signal lock held.
    func beginStop(_ signal: Int32, _ group: inout SignalState) {
        if group.stopSignal != 0 {
            // Threads that a tracer let run on stop again.
            for thread in group.threads where thread.isTraced { thread.post(Interrupt.stop) }
            return
        }
        group.stopSignal = signal
        group.stopNumber += 1
        group.toStop = group.threads.count
        for thread in group.threads { thread.post(Interrupt.stop) }
    }

    /// One more thread has stopped (or exited while the others stop). Whether it was the last.
    func noteStopped(_ group: inout SignalState) -> Bool {
        guard group.stopSignal != 0, !group.isStopped else { return false }
        group.toStop -= 1
        guard group.toStop <= 0 else { return false }
        group.isStopped = true
        group.isStopWaitable = true
        group.isContinueWaitable = false
        return true
    }

    /// Tells the parent that this process has stopped or continued (CLD_STOPPED, CLD_CONTINUED): SIGCHLD unless SA_NOCLDSTOP, and waiters.
    func notifyParent(_ code: Int32) {
        kernel.tree.withLock { proof in
            guard let parent = tree[proof].parent else { return }
            // A parent that traces the process is told of each thread's stop by itself.
            if code == SignalCode.CLD_STOPPED, tree[proof].leader?.trace[proof].tracer?.threadGroup === parent { return }
            let stopSignal = signals.withLock { $0.stopSignal }
            let action = parent.actions.get(Signal.SIGCHLD)
            if action.sa_handler != SignalHandler.SIG_IGN, action.sa_flags & SignalActionFlag.SA_NOCLDSTOP == 0 {
                var info = SignalInfo(signal: Signal.SIGCHLD, code: code)
                info.si_pid = processID
                info.si_uid = tree[proof].leader?.credentials.user.real ?? 0
                info.si_status = code == SignalCode.CLD_CONTINUED ? Signal.SIGCONT : stopSignal
                parent.send(info)
            }
            parent.childEvents.notify(.POLLIN)
        }
    }
}

extension KernelTask {
    /// sigaction(2): the action before. EINVAL for no signal, and for changing SIGKILL or SIGSTOP. Ignoring a signal drops it where it is pending.
    public func setSignalAction(_ signal: Int32, _ new: SignalAction?) throws(Errno) -> SignalAction {
        guard Signal.isValid(signal) else { throw .EINVAL }
        if new != nil, SignalSet.unblockable.has(signal) { throw .EINVAL }
        return threadGroup.signals.withLock { group in
            let old = group.actions.get(signal)
            guard let new else { return old }
            group.actions.set(signal, new)
            if group.actions.ignores(signal) {
                let set = SignalSet(signal)
                var counted = group.pending.discard(set)
                for thread in group.threads { counted += thread.signals.withLock { $0.pending.discard(set) } }
                container.queuedSignals.subtract(counted, ordering: .relaxed)
            }
            return old
        }
    }
}

import Diagnostics
import Host
import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

extension KernelTask {
    /// exit(2) of this thread alone: it ends when its handler returns. `code` is 0 to 255.
    public func exitThread(code: Int32) {
        exitStatus = (code & 0xff) << 8
        isExiting = true
    }

    /// exit_group(2).
    public func exitProcess(code: Int32) {
        threadGroup.exitAll(status: (code & 0xff) << 8)
        exitStatus = (code & 0xff) << 8
        isExiting = true
    }

    /// Takes the task apart, in Linux's order: user-visible memory first, then files, then its place in the tree. Own thread, last thing it does.
    func exit() {
        isExiting = true
        if isTraced {
            let status = threadGroup.signals.withLock { $0.exitStatus } ?? exitStatus
            traceEvent(TraceEvent.PTRACE_EVENT_EXIT, message: UInt64(UInt32(bitPattern: status)), untilKilled: true)
        }
        let isLast = threadGroup.signals.withLock { group in
            group.exiting += 1
            return group.exiting == group.threads.count
        }
        releaseMemory(isLast: isLast)
        let files = files
        updateResources { resources in
            resources.files = DescriptorTable()
            resources.fileSystemContext = nil
        }
        for file in files.leave() {
            try? file.flush(self)
            file.releaseDescriptor(self)
        }
        leaveSemaphoreUndo()
        timersExit()
        leaveTree()
        container.taskLeft()
    }

    /// Gives up the address space (exit and execve): robust futexes, the thread id word, vfork's parent. `isLast`: of the threads of its process.
    func releaseMemory(isLast: Bool) {
        guard let memory else { return }
        dropSequenceArea()
        exitRobustList(memory.space)
        releasePriorityFutexes(memory.space)
        if clearThreadID != 0 {
            // Linux does it only when others still share the memory, or nobody could be waiting.
            if memory.userCount > 1 {
                try? memory.space.store(UInt32(0), to: clearThreadID)
                if let key = try? memory.space.futexKey(address: clearThreadID, shared: true) {
                    kernel.futexes.wake(key, count: 1)
                }
            }
            clearThreadID = 0
        }
        // Of a process: setmax_mm_hiwater_rss() of kernel/exit.c.
        if isLast { noteResident(memory.space) }
        settleUserTime()
        updateResources { $0.memory = nil }
        memory.leave()
        vforkCompletion?.complete()
        vforkCompletion = nil
    }

    /// Remembers how large the process once was; its memory is about to go.
    private func noteResident(_ space: AddressSpace) {
        let peak = space.statistics().peakResident
        threadGroup.accounting.withLock { $0.exitedThreads.maximumResident = max($0.exitedThreads.maximumResident, peak) }
    }

    /// Leaves the thread group and the process tree; the last thread makes the process a zombie and tells the parent.
    private func leaveTree() {
        stopAccounting()
        let usage = usage
        stateStorage.store((isLeader ? TaskState.zombie : TaskState.dead).rawValue, ordering: .relaxed)
        var terminal: (terminal: any ControllingTerminal, session: Session)?
        var report: (@Sendable (ExitReport) -> Void)?
        var status: Int32 = 0
        var tellStopped = false
        var isLast = false
        kernel.tree.withLock { proof in
            releaseTracees(proof)
            threadGroup.accounting.withLock { $0.exitedThreads.add(usage) }
            let (last, executing) = threadGroup.signals.withLock { group -> (Bool, KernelTask?) in
                group.threads.removeAll { $0 === self }
                group.exiting -= 1
                let counted = signals.withLock { $0.pending.discard(.all) }
                container.queuedSignals.subtract(counted, ordering: .relaxed)
                if interrupts.load(ordering: .relaxed) & Interrupt.stop != 0, countedStop != group.stopNumber, group.stopSignal != 0,
                    !group.threads.isEmpty
                {
                    tellStopped = threadGroup.noteStopped(&group)
                }
                // A thread that others hoped would take a signal is gone: somebody else must.
                if !group.pending.set.isEmpty { for thread in group.threads { thread.post(Interrupt.signal) } }
                return (group.threads.isEmpty, group.executing)
            }
            isLast = last
            // Children follow the process; their PR_SET_PDEATHSIG follows the thread.
            for child in threadGroup.tree[proof].children where child.tree[proof].birthThread === self {
                let signal = child.tree[proof].leader?.parentDeathSignal.load(ordering: .relaxed) ?? 0
                if signal != 0 { child.send(.user(signal, from: self)) }
            }
            if !isLeader {
                if !becomeTracedZombie(exitStatus, usage, proof) { namespace.tree[proof].tasks[threadID] = nil }
            }
            if let executing {
                executing.parker.unpark()
            } else if isLast {
                status = threadGroup.signals.withLock { $0.exitStatus } ?? exitStatus
                terminal = threadGroup.becomeZombie(status: status, proof)
                if threadGroup.tree[proof].parent == nil { report = threadGroup.onExit }
            }
        }
        if tellStopped { threadGroup.notifyParent(SignalCode.CLD_STOPPED) }
        if let terminal { terminal.terminal.sessionEnded(terminal.session) }
        guard isLast else { return }
        threadGroup.exitEvents.notify([.POLLIN, .POLLRDNORM])
        if container.state.withLock({ $0.initGroup === threadGroup }) { container.initExited(status: status) }
        report?(container.report(status: status))
    }
}

extension ThreadGroup {
    /// Every thread is gone. Gives the children away, tells the parent, and returns the terminal of a session that ended with its leader.
    fileprivate func becomeZombie(status: Int32, _ proof: TreeLocked) -> (any ControllingTerminal, Session)? {
        tree[proof].exit = status
        killDescendantsIfInit(proof)
        reparentChildren(proof)
        let session = tree[proof].processGroup.session
        var ended: (any ControllingTerminal, Session)?
        if session.tree[proof].leader === self {
            session.tree[proof].leader = nil
            if let terminal = session.tree[proof].terminal {
                session.tree[proof].foreground?.send(.kernel(Signal.SIGHUP), proof)
                session.tree[proof].foreground?.send(.kernel(Signal.SIGCONT), proof)
                session.tree[proof].terminal = nil
                session.tree[proof].foreground = nil
                ended = (terminal, session)
            }
        }
        // Our own group may have lost the member that linked it to the rest of the session.
        if let parent = tree[proof].parent, parent.links(tree[proof].processGroup, proof) {
            hangUpIfNewlyOrphaned(tree[proof].processGroup, proof)
        }
        tellParentOfExit(status: status, proof)
        return ended
    }

    /// Process 1 takes everybody with it.
    private func killDescendantsIfInit(_ proof: TreeLocked) {
        guard isNamespaceInit, namespace.tree[proof].initGroup === self else { return }
        namespace.tree[proof].isDying = true
        for group in namespace.tree[proof].threadGroups.values where group !== self { group.kill() }
    }

    /// Children go to the nearest subreaper, or to process 1 of the namespace; to nobody when there is none.
    private func reparentChildren(_ proof: TreeLocked) {
        let children = tree[proof].children
        guard !children.isEmpty else { return }
        tree[proof].children = []
        let reaper = findReaper(proof)
        for child in children {
            child.tree[proof].parent = reaper
            child.tree[proof].birthThread = nil
            reaper?.tree[proof].children.append(child)
            // A foreign exit signal is the business of the process that asked for it only.
            if child.tree[proof].exitSignal != 0 { child.tree[proof].exitSignal = Signal.SIGCHLD }
            let group = child.tree[proof].processGroup
            if links(group, proof) { child.hangUpIfNewlyOrphaned(group, proof) }
            if child.tree[proof].exit != nil {
                if let reaper { child.announceZombie(to: reaper, proof) } else { child.reap(proof) }
            }
        }
    }

    private func findReaper(_ proof: TreeLocked) -> ThreadGroup? {
        if tree[proof].hasSubreaper {
            var ancestor = tree[proof].parent
            while let candidate = ancestor {
                if candidate.tree[proof].isSubreaper, candidate.tree[proof].exit == nil { return candidate }
                ancestor = candidate.tree[proof].parent
            }
        }
        guard let first = namespace.tree[proof].initGroup, first !== self, first.tree[proof].exit == nil else { return nil }
        return first
    }

    /// Whether this process, as the parent of a member, keeps `group` from being orphaned: it is in another group of the same session.
    private func links(_ group: ProcessGroup, _ proof: TreeLocked) -> Bool {
        let own = tree[proof].processGroup
        return own !== group && own.session === group.session
    }

    /// POSIX: a group that becomes orphaned and has stopped members gets SIGHUP and SIGCONT.
    private func hangUpIfNewlyOrphaned(_ group: ProcessGroup, _ proof: TreeLocked) {
        guard group.isOrphaned(proof, ignoring: tree[proof].exit != nil ? self : nil), group.hasStoppedMember(proof) else { return }
        group.send(.kernel(Signal.SIGHUP), proof)
        group.send(.kernel(Signal.SIGCONT), proof)
    }

    private func tellParentOfExit(status: Int32, _ proof: TreeLocked) {
        // A tracer waits first, and then the parent.
        if let leader = tree[proof].leader, let tracer = leader.trace[proof].tracer, tracer.threadGroup !== tree[proof].parent {
            let (code, value) = Self.childCode(status)
            leader.tellTracer(value, code, proof)
            return
        }
        guard let parent = tree[proof].parent else {
            reap(proof)
            return
        }
        announceZombie(to: parent, proof)
    }

    /// The tracer of this zombie is gone or has waited for it: the parent's turn.
    func tracerLeft(_ tracer: KernelTask, _ proof: TreeLocked) {
        guard !tree[proof].isReaped else { return }
        guard let parent = tree[proof].parent else {
            reap(proof)
            return
        }
        if parent !== tracer.threadGroup {
            announceZombie(to: parent, proof)
        } else if parent.ignoresChildren {
            reap(proof)
        }
    }

    /// Whether children are not waited for: SIGCHLD is ignored, or SA_NOCLDWAIT.
    private var ignoresChildren: Bool {
        let action = actions.get(Signal.SIGCHLD)
        return action.sa_handler == SignalHandler.SIG_IGN || action.sa_flags & SignalActionFlag.SA_NOCLDWAIT != 0
    }

    /// SIGCHLD (or what clone asked for) and the waiters; a parent that ignores its children has them reaped at once.
    private func announceZombie(to parent: ThreadGroup, _ proof: TreeLocked) {
        guard let status = tree[proof].exit else { return }
        let tracer = tree[proof].leader?.trace[proof].tracer
        if let tracer, tracer.threadGroup !== parent { return }
        let signal = tree[proof].exitSignal
        let isReapedAtOnce = signal == Signal.SIGCHLD && tracer == nil && parent.ignoresChildren
        if signal != 0 {
            var info = SignalInfo(signal: signal, code: 0)
            (info.si_code, info.si_status) = Self.childCode(status)
            info.si_pid = processID
            info.si_uid = tree[proof].leader?.credentials.user.real ?? 0
            let used = accounting.withLock { $0.exitedThreads }
            info.si_utime = used.userTime / 10_000_000
            info.si_stime = used.systemTime / 10_000_000
            parent.send(info)
        }
        if isReapedAtOnce { reap(proof) }
        parent.childEvents.notify([.POLLIN, .POLLRDNORM])
    }

    /// si_code and si_status of a wait(2) status.
    static func childCode(_ status: Int32) -> (Int32, Int32) {
        if status & 0x7f == 0 { return (SignalCode.CLD_EXITED, (status >> 8) & 0xff) }
        return (status & 0x80 != 0 ? SignalCode.CLD_DUMPED : SignalCode.CLD_KILLED, status & 0x7f)
    }

    /// The zombie was waited for, or nobody will: its id is free.
    func reap(_ proof: TreeLocked) {
        guard !tree[proof].isReaped else { return }
        tree[proof].isReaped = true
        tree[proof].leader?.unlink(signal: 0, proof)
        if let parent = tree[proof].parent {
            parent.tree[proof].children.removeAll { $0 === self }
            let total = accounting.withLock { accounting -> Usage in
                var total = accounting.exitedThreads
                total.add(accounting.waitedChildren)
                return total
            }
            parent.accounting.withLock { $0.waitedChildren.add(total) }
        }
        leaveProcessGroup(proof)
        namespace.tree[proof].threadGroups[processID] = nil
        if namespace.tree[proof].initGroup === self { namespace.tree[proof].initGroup = nil }
        namespace.tree[proof].tasks[processID] = nil
        if let leader = tree[proof].leader {
            leader.stateStorage.store(TaskState.dead.rawValue, ordering: .relaxed)
            tree[proof].leader = nil
        }
        tree[proof].parent = nil
    }

    /// Leaves the process group; an empty group and a session without groups lose their ids.
    func leaveProcessGroup(_ proof: TreeLocked) {
        let group = tree[proof].processGroup
        group.tree[proof].members.removeAll { $0 === self }
        guard group.tree[proof].members.isEmpty else { return }
        if namespace.tree[proof].processGroups[group.identifier] === group { namespace.tree[proof].processGroups[group.identifier] = nil }
        let session = group.session
        let isSessionUsed = namespace.tree[proof].processGroups.values.contains { $0.session === session }
        if !isSessionUsed, namespace.tree[proof].sessions[session.identifier] === session {
            namespace.tree[proof].sessions[session.identifier] = nil
        }
    }
}

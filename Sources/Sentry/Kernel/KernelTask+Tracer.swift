import Host
public import LinuxABI
import SentryMemory
public import SentryPlatform
import SentryVFS
import Synchronization

/// The tracer's side of ptrace(2): attaching, letting go on, letting go.
extension KernelTask {
    // MARK: attaching

    /// PTRACE_TRACEME: the parent's thread that made this process becomes the tracer. EPERM when there is a tracer already, or no parent inside.
    /// Own thread.
    public func traceMe() throws(Errno) {
        try kernel.tree.withLock { proof throws(Errno) in
            guard trace[proof].tracer == nil, let parent = threadGroup.tree[proof].parent, parent.container === container else {
                throw .EPERM
            }
            let threads = parent.threads
            let maker = threadGroup.tree[proof].birthThread
            guard let tracer = threads.first(where: { $0 === maker }) ?? threads.first else { throw .EPERM }
            link(to: tracer, options: [], isSeized: false, proof)
        }
        memory?.space.platformSpace.restoreCode()
    }

    /// PTRACE_ATTACH and PTRACE_SEIZE (`options` nil and not). Own thread of the tracer.
    public func attach(to target: KernelTask, seize options: TraceOptions?) throws(Errno) {
        guard target.threadGroup !== threadGroup else { throw .EPERM }
        try checkMayInspect(target)
        try kernel.tree.withLock { proof throws(Errno) in
            // A thread that is on its way out can be traced no more.
            guard target.trace[proof].tracer == nil, target.memory != nil, target.threadGroup.tree[proof].exit == nil else { throw .EPERM }
            target.link(to: self, options: options ?? [], isSeized: options != nil, proof)
            if options == nil { target.send(.kernel(Signal.SIGSTOP)) }
            // A thread that job control has stopped turns its stop into one of the tracer's.
            target.unblock()
        }
        target.memory?.space.platformSpace.restoreCode()
    }

    /// With the tree lock held; any thread.
    private func link(to tracer: KernelTask, options: TraceOptions, isSeized: Bool, _ proof: TreeLocked) {
        trace[proof].tracer = tracer
        trace[proof].options = options
        tracer.trace[proof].tracees.append(self)
        tracing.store(TraceMode.traced | (isSeized ? TraceMode.seized : 0), ordering: .sequentiallyConsistent)
    }

    /// A new child of a traced parent follows it to its tracer, and begins with a stop. Before the child starts.
    func inheritTracer(_ parent: KernelTask, _ proof: TreeLocked) {
        guard let tracer = parent.trace[proof].tracer else { return }
        link(to: tracer, options: parent.trace[proof].options, isSeized: parent.isSeized, proof)
        if parent.isSeized {
            interrupts.bitwiseOr(Interrupt.trap, ordering: .sequentiallyConsistent)
        } else {
            let stop = PendingSignal(info: SignalInfo(signal: Signal.SIGSTOP, code: SignalCode.SI_USER), timer: nil, isCounted: false)
            signals.withLock { $0.pending.append(stop) }
            interrupts.bitwiseOr(Interrupt.signal, ordering: .sequentiallyConsistent)
        }
    }

    // MARK: finding and looking

    /// The tracee of this thread with that id: ESRCH for any other, and for one that does not stand in a stop unless `inAnyState`.
    public func tracee(_ identifier: Int32, inAnyState: Bool) throws(Errno) -> KernelTask {
        try kernel.tree.withLock { proof throws(Errno) in
            guard let target = namespace.task(identifier, proof), target.trace[proof].tracer === self else { throw .ESRCH }
            if !inAnyState, !target.traceStop.withLock({ $0.isOpen }) { throw .ESRCH }
            return target
        }
    }

    /// The thread id of the tracer, 0 without one (TracerPid of /proc/PID/status). Any thread.
    public var tracerID: Int32 { kernel.tree.withLock { trace[$0].tracer?.threadID ?? 0 } }

    /// Works on the registers of a tracee that stands in a stop; ESRCH when it no longer does. Any thread.
    public func withTracedRegisters<R>(isChange: Bool = false, _ body: (inout Registers) throws(Errno) -> R) throws(Errno) -> R {
        try traceStop.withLock { stop throws(Errno) in
            guard stop.isOpen else { throw .ESRCH }
            if isChange { stop.didChangeRegisters = true }
            return try body(&registers)
        }
    }

    /// PTRACE_GETSIGINFO: EINVAL in a group stop. Any thread.
    public func tracedSignalInfo() throws(Errno) -> SignalInfo {
        try traceStop.withLock { stop throws(Errno) in
            guard stop.isOpen else { throw .ESRCH }
            guard let info = stop.info else { throw .EINVAL }
            return info
        }
    }

    /// PTRACE_SETSIGINFO.
    public func setTracedSignalInfo(_ info: SignalInfo) throws(Errno) {
        try traceStop.withLock { stop throws(Errno) in
            guard stop.isOpen else { throw .ESRCH }
            guard stop.info != nil else { throw .EINVAL }
            stop.info = info
        }
    }

    /// PTRACE_GETEVENTMSG.
    public var traceMessage: UInt64 { traceStop.withLock { $0.message } }

    /// PTRACE_SETOPTIONS, for the tracee `self`.
    public func setTraceOptions(_ options: TraceOptions) { kernel.tree.withLock { trace[$0].options = options } }

    /// PTRACE_GETSIGMASK and PTRACE_SETSIGMASK: what the thread goes back to when it waits with another mask. Any thread, while it stands in a stop.
    public func tracedSignalMask(_ new: SignalSet?) throws(Errno) -> SignalSet {
        let old = try withTracedRegisters { _ in savedMask ?? signalMask }
        if let new {
            try withTracedRegisters { _ in savedMask = nil }
            setSignalMask(new)
        }
        return old
    }

    /// PTRACE_PEEKSIGINFO: pending signals from position `offset` on, oldest first, at most `count`. Any thread.
    public func pendingInfo(from offset: UInt64, count: Int, shared: Bool) -> [SignalInfo] {
        threadGroup.signals.withLock { group in
            let all = shared ? group.pending.informations : signals.withLock { $0.pending.informations }
            guard offset < UInt64(all.count) else { return [] }
            return Array(all[Int(offset)...].prefix(count))
        }
    }

    // MARK: floating point

    /// Runs `body` on the host thread of the stopped tracee `target` and waits for it. ESRCH when the tracee leaves its stop first. Own thread.
    public func onTracee<R: Sendable>(_ target: KernelTask, _ body: @escaping @Sendable (KernelTask) -> Result<R, Errno>) throws(Errno) -> R
    {
        let answer = TraceAnswer<R>()
        let job = TraceJob { task in answer.value.withLock { $0 = body(task) } }
        job.completion.setWaiter(self)
        try target.traceStop.withLock { stop throws(Errno) in
            guard stop.isOpen, stop.job == nil else { throw .ESRCH }
            stop.job = job
        }
        target.unblock()
        while !job.completion.isDone { if !blockKillable() { break } }
        job.completion.setWaiter(nil)
        guard let result = answer.value.withLock({ $0 }) else { throw .ESRCH }
        return try result.get()
    }

    /// The XSAVE image of a stopped tracee.
    public func tracedFloatingPoint(_ target: KernelTask) throws(Errno) -> [UInt8] {
        try onTracee(target) { task in
            do throws(PlatformError) { return .success(try task.context.readFloatingPoint()) } catch { return .failure(.EIO) }
        }
    }

    public func setTracedFloatingPoint(_ target: KernelTask, _ image: [UInt8]) throws(Errno) {
        try onTracee(target) { task in
            do throws(PlatformError) {
                try task.context.writeFloatingPoint(image.span)
                return .success(())
            } catch {
                if case .host = error { return .failure(.EINVAL) }
                return .failure(.ESRCH)
            }
        } as Void
    }

    // MARK: going on

    /// PTRACE_CONT and its kin, on the tracee `self`: it leaves its stop in `mode` (bits of `TraceMode`) with `signal`. EIO for no signal number.
    private func resume(mode: UInt32, signal: UInt64) throws(Errno) {
        guard signal <= UInt64(Signal.SIGRTMAX) else { throw .EIO }
        try traceStop.withLock { stop throws(Errno) in
            guard stop.isOpen else { throw .ESRCH }
            let old = tracing.load(ordering: .relaxed)
            tracing.store(old & ~TraceMode.resumption | mode, ordering: .sequentiallyConsistent)
            stop.resumption = Int32(signal)
        }
        unblock()
    }

    /// PTRACE_CONT
    public func resumeTraced(signal: UInt64) throws(Errno) { try resume(mode: 0, signal: signal) }
    /// PTRACE_SYSCALL
    public func resumeToCall(signal: UInt64) throws(Errno) { try resume(mode: TraceMode.calls, signal: signal) }
    /// PTRACE_SINGLESTEP
    public func stepTraced(signal: UInt64) throws(Errno) { try resume(mode: TraceMode.step, signal: signal) }
    /// PTRACE_SYSEMU and PTRACE_SYSEMU_SINGLESTEP
    public func emulateTraced(signal: UInt64, steps: Bool) throws(Errno) {
        try resume(mode: TraceMode.emulation | (steps ? TraceMode.step : 0), signal: signal)
    }

    /// PTRACE_INTERRUPT: EIO unless the tracee was seized.
    public func interruptTraced() throws(Errno) {
        guard isSeized, memory != nil else { throw .EIO }
        post(Interrupt.trap)
    }

    /// PTRACE_LISTEN: EIO unless a seized tracee stands in a stop that PTRACE_EVENT_STOP told.
    public func listenToTraced() throws(Errno) {
        try traceStop.withLock { stop throws(Errno) in
            guard stop.isOpen else { throw .ESRCH }
            guard isSeized, let info = stop.info, info.si_code >> 8 == TraceEvent.PTRACE_EVENT_STOP else { throw .EIO }
            stop.isListening = true
            stop.isReported = true
        }
        unblock()
    }

    /// PTRACE_KILL
    public func killTraced() { send(.kernel(Signal.SIGKILL)) }

    // MARK: letting go

    /// PTRACE_DETACH of the tracee `target`, with a signal for it.
    public func detach(from target: KernelTask, signal: UInt64) throws(Errno) {
        guard signal <= UInt64(Signal.SIGRTMAX) else { throw .EIO }
        try kernel.tree.withLock { proof throws(Errno) in
            guard target.trace[proof].tracer === self, target.traceStop.withLock({ $0.isOpen }) else { throw .ESRCH }
            target.unlink(signal: Int32(signal), proof)
        }
    }

    /// This thread ends: nobody is traced by it any more. With the tree lock held.
    func releaseTracees(_ proof: TreeLocked) {
        for target in trace[proof].tracees {
            if target.trace[proof].options.contains(.PTRACE_O_EXITKILL), target.trace[proof].exit == nil {
                target.send(.kernel(Signal.SIGKILL))
            }
            // A signal that was about to be delivered, and that the tracer never saw, is delivered.
            let signal = target.traceStop.withLock { $0.isDelivery && !$0.isReported ? ($0.code ?? 0) & 0x7f : 0 }
            target.unlink(signal: signal, proof)
        }
    }

    /// The tracer forgets this task, which goes on with `signal`; a zombie goes to whoever else waits for it. With the tree lock held; any thread.
    func unlink(signal: Int32, _ proof: TreeLocked) {
        guard let tracer = trace[proof].tracer else { return }
        tracer.trace[proof].tracees.removeAll { $0 === self }
        trace[proof].tracer = nil
        trace[proof].options = []
        tracing.store(0, ordering: .sequentiallyConsistent)
        interrupts.bitwiseAnd(~Interrupt.trap, ordering: .sequentiallyConsistent)
        // A group stop that the tracer kept this thread out of is in force again.
        threadGroup.signals.withLock { group in
            guard group.stopSignal != 0, group.exitStatus == nil else { return }
            interrupts.bitwiseOr(Interrupt.stop, ordering: .sequentiallyConsistent)
        }
        traceStop.withLock { stop in
            guard stop.code != nil else { return }
            stop.isListening = false
            if stop.resumption == nil { stop.resumption = signal }
        }
        unblock()
        if trace[proof].exit != nil { releaseID(proof) }
        if isLeader, threadGroup.tree[proof].exit != nil { threadGroup.tracerLeft(tracer, proof) }
    }

    /// An exited thread was waited for, or nobody will: its id is free. With the tree lock held.
    private func releaseID(_ proof: TreeLocked) {
        trace[proof].exit = nil
        if namespace.tree[proof].tasks[threadID] === self { namespace.tree[proof].tasks[threadID] = nil }
    }

    /// This thread, not the leader, has exited: its tracer is told, and the id stays until it has waited. False without a tracer. With the tree
    /// lock held. Own thread.
    func becomeTracedZombie(_ status: Int32, _ usage: Usage, _ proof: TreeLocked) -> Bool {
        guard let tracer = trace[proof].tracer else { return false }
        // Zombies cost memory that nothing else bounds: a tracer that never waits loses the oldest.
        if tracer.trace[proof].tracees.count > Self.maximumTracees {
            for oldest in tracer.trace[proof].tracees where oldest.trace[proof].exit != nil {
                oldest.unlink(signal: 0, proof)
                break
            }
        }
        trace[proof].exit = ThreadExit(status: status, usage: usage)
        let (code, value) = ThreadGroup.childCode(status)
        tellTracer(value, code, proof)
        return true
    }
    private static let maximumTracees = 65_536
}

/// What a job on a tracee's thread gives back.
private final class TraceAnswer<R: Sendable>: Sendable {
    let value = Lock<Result<R, Errno>?>(nil)
}

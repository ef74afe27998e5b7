import Host
import LinuxABI
import SentryPlatform
import SentryVFS
import Synchronization

/// The tracee's side of ptrace(2): stops. Everything here runs on the task's own thread, except where it says otherwise.
extension KernelTask {
    /// Any thread.
    @inline(__always) var isTraced: Bool { tracing.load(ordering: .relaxed) & TraceMode.traced != 0 }
    @inline(__always) var isSeized: Bool { tracing.load(ordering: .relaxed) & TraceMode.seized != 0 }

    // MARK: stops

    /// Stands still until the tracer lets the thread go on: the signal that it wants delivered. `code` itself when there is no tracer, or when it
    /// died before it looked; 0 when the thread is to exit. `untilKilled`: only SIGKILL ends it besides the tracer (the stop of an exit).
    @discardableResult
    func stopForTracer(
        _ code: Int32, _ info: SignalInfo?, why: Int32 = SignalCode.CLD_TRAPPED, isDelivery: Bool = false, untilKilled: Bool = false
    )
        -> Int32
    {
        noteSleep()
        let end = untilKilled ? Interrupt.kill : Interrupt.exit
        interrupts.bitwiseAnd(~Interrupt.trap, ordering: .sequentiallyConsistent)
        let hasTracer = kernel.tree.withLock { proof -> Bool in
            guard trace[proof].tracer != nil, interrupts.load(ordering: .sequentiallyConsistent) & end == 0 else { return false }
            traceStop.withLock { stop in
                stop.code = code
                stop.isDelivery = isDelivery
                stop.isReported = false
                stop.info = info
                stop.isListening = false
                stop.resumption = nil
                stop.didChangeRegisters = false
            }
            stateStorage.store(TaskState.traced.rawValue, ordering: .relaxed)
            tellTracer(code & 0x7f, why, proof)
            return true
        }
        guard hasTracer else { return interrupts.load(ordering: .sequentiallyConsistent) & end == 0 ? code : 0 }
        context.suspend()
        if let processors = memory?.processors { processors.reconsider(self) }
        let signal = waitForTracer(end)
        stateStorage.store(TaskState.running.rawValue, ordering: .relaxed)
        return signal
    }

    private func waitForTracer(_ end: UInt32) -> Int32 {
        while true {
            var job: TraceJob?
            var isDone = false
            let signal = traceStop.withLock { stop -> Int32 in
                job = stop.job
                stop.job = nil
                let bits = interrupts.load(ordering: .sequentiallyConsistent)
                let isRepeated = stop.isListening && bits & Interrupt.trap != 0
                guard stop.resumption != nil || bits & end != 0 || isRepeated else { return 0 }
                isDone = true
                defer { stop.resumption = nil }
                stop.code = nil
                stop.isListening = false
                if stop.didChangeRegisters { resettleRestart() }
                return bits & end != 0 ? 0 : stop.resumption ?? 0
            }
            if isDone {
                job?.drop()
                return signal
            }
            if let job { job.run(self) } else { _ = parker.park() }
        }
    }

    /// The registers are the tracer's now: whether a call is to be made again is read from them, as Linux does.
    private func resettleRestart() {
        let result = Int64(bitPattern: registers.rax)
        let isInCall = Int64(bitPattern: registers.orig_rax) >= 0
        pendingRestart = isInCall && result <= -512 && result >= -516 && result != -515 ? Errno(rawValue: Int32(-result)) : nil
    }

    /// SIGCHLD and the waiters of the tracer.
    func tellTracer(_ status: Int32, _ why: Int32, _ proof: TreeLocked) {
        guard let tracer = trace[proof].tracer else { return }
        let action = tracer.threadGroup.actions.get(Signal.SIGCHLD)
        let isStop = why == SignalCode.CLD_TRAPPED || why == SignalCode.CLD_STOPPED
        let isQuiet = action.sa_handler == SignalHandler.SIG_IGN || isStop && action.sa_flags & SignalActionFlag.SA_NOCLDSTOP != 0
        if !isQuiet {
            var info = SignalInfo(signal: Signal.SIGCHLD, code: why)
            info.si_pid = threadID
            info.si_uid = credentials.user.real
            info.si_status = status
            tracer.threadGroup.send(info)
        }
        tracer.threadGroup.childEvents.notify([.POLLIN, .POLLRDNORM])
    }

    /// What PTRACE_GETSIGINFO shows in a stop without a signal of its own (Linux: ptrace_notify).
    private func notice(_ signal: Int32, _ code: Int32) -> SignalInfo {
        var info = SignalInfo(signal: signal, code: code)
        info.si_pid = threadID
        info.si_uid = credentials.user.real
        return info
    }

    // MARK: events

    /// Stops for an event if the tracer asked for it; whether it did.
    @discardableResult
    func traceEvent(_ event: Int32, message: UInt64, untilKilled: Bool = false) -> Bool {
        guard isTraced, kernel.tree.withLock({ trace[$0].options.contains(.event(event)) }) else { return false }
        traceStop.withLock { $0.message = message }
        let code = Signal.SIGTRAP | event << 8
        stopForTracer(code, notice(Signal.SIGTRAP, code), untilKilled: untilKilled)
        return true
    }

    /// The new program is in place. A tracer that did not ask for the event gets a SIGTRAP, unless it seized the thread.
    func traceExecution(formerID: Int32) {
        guard isTraced else { return }
        if traceEvent(TraceEvent.PTRACE_EVENT_EXEC, message: UInt64(UInt32(bitPattern: formerID))) || isSeized { return }
        send(.user(Signal.SIGTRAP, from: self))
    }

    // MARK: system calls

    /// Before a system call that the tracer wants to see. False: it is not to be made (PTRACE_SYSEMU).
    func traceCallEntry() -> Bool {
        let isEmulated = tracing.load(ordering: .relaxed) & TraceMode.emulation != 0
        stopAtCall(TraceEvent.PTRACE_EVENTMSG_SYSCALL_ENTRY)
        return !isEmulated
    }

    /// After a system call.
    func traceCallExit() {
        let mode = tracing.load(ordering: .relaxed)
        if mode & TraceMode.step != 0 {
            var info = SignalInfo(signal: Signal.SIGTRAP, code: SignalCode.TRAP_BRKPT)
            info.si_addr = registers.rip
            forceSignal(info)
        } else if mode & TraceMode.calls != 0 {
            stopAtCall(TraceEvent.PTRACE_EVENTMSG_SYSCALL_EXIT)
        }
    }

    private func stopAtCall(_ message: UInt64) {
        let isMarked = kernel.tree.withLock { trace[$0].options.contains(.PTRACE_O_TRACESYSGOOD) }
        let code = isMarked ? Signal.SIGTRAP | 0x80 : Signal.SIGTRAP
        traceStop.withLock { $0.message = message }
        let signal = stopForTracer(code, notice(Signal.SIGTRAP, code))
        if signal != 0, signal != code { send(.kernel(signal)) }
    }

    /// A filter said SECCOMP_RET_TRACE. False: nobody wants to decide.
    func traceSeccomp(_ value: UInt32) -> Bool { traceEvent(TraceEvent.PTRACE_EVENT_SECCOMP, message: UInt64(value)) }

    // MARK: signals

    /// Shows a signal to the tracer before it is delivered: what is to be delivered, nil for nothing.
    func offerToTracer(_ entry: PendingSignal) -> PendingSignal? {
        let original = entry.info.si_signo
        let signal = stopForTracer(original, entry.info, isDelivery: true)
        if signal != original, original == forcedSignal { forcedSignal = 0 }
        guard signal != 0 else { return nil }
        var entry = entry
        entry.isCounted = false
        entry.timer = nil
        if let info = traceStop.withLock({ $0.info }) { entry.info = info }
        if entry.info.si_signo != signal {
            let tracer = kernel.tree.withLock { trace[$0].tracer }
            entry.info = tracer.map { .user(signal, from: $0) } ?? SignalInfo(signal: signal, code: SignalCode.SI_USER)
        }
        if signalMask.subtracting(.unblockable).has(signal) {
            send(entry.info)
            return nil
        }
        return entry
    }

    /// A handler's frame was made while the tracer steps: the first instruction of the handler is a step too.
    func traceHandlerEntry() {
        guard tracing.load(ordering: .relaxed) & TraceMode.step != 0 else { return }
        stopForTracer(Signal.SIGTRAP, notice(Signal.SIGTRAP, Signal.SIGTRAP))
    }

    // MARK: traps and group stops

    /// A trap of PTRACE_INTERRUPT, of a seized child that starts, or because job control has something to tell.
    func trapForTracer() {
        interrupts.bitwiseAnd(~Interrupt.trap, ordering: .sequentiallyConsistent)
        guard isSeized else { return }
        let stopSignal = threadGroup.signals.withLock { $0.stopSignal }
        let signal = stopSignal != 0 ? stopSignal : Signal.SIGTRAP
        // This thread's part in a group stop is the tracer's from here on.
        if stopSignal != 0 { interrupts.bitwiseAnd(~Interrupt.stop, ordering: .sequentiallyConsistent) }
        let code = signal | TraceEvent.PTRACE_EVENT_STOP << 8
        stopForTracer(code, notice(signal, code), why: SignalCode.CLD_STOPPED)
    }

    /// A traced thread takes part in a group stop. The signal is that of the stop.
    func groupStopForTracer(_ signal: Int32) {
        interrupts.bitwiseAnd(~(Interrupt.stop | Interrupt.trap), ordering: .sequentiallyConsistent)
        if isSeized {
            let code = signal | TraceEvent.PTRACE_EVENT_STOP << 8
            stopForTracer(code, notice(signal, code), why: SignalCode.CLD_STOPPED)
        } else {
            stopForTracer(signal, nil, why: SignalCode.CLD_STOPPED)
        }
    }
}

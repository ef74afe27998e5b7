import Diagnostics
import Host
import LinuxABI
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

extension KernelTask {
    /// Starts the task on a host thread. Once; after everything else about it is set. EAGAIN or ENOMEM when the host gives no thread.
    func start() throws(Errno) {
        try kernel.threads.run { self.main() }
    }

    /// The life of the task on its host thread.
    private func main() {
        setOwner(true)
        startAccounting()
        context.setServer(self)
        if setThreadID != 0 { try? memory?.space.store(UInt32(bitPattern: threadID), to: setThreadID) }
        runLoop()
        exit()
        context.release()
        setOwner(false)
    }

    /// Runs guest code and serves what it asks for, until the task is to exit.
    private func runLoop() {
        while let memory = own.value.memory, run(in: memory) {}
    }

    /// Runs guest code of `memory` until the task has another one (execve): true, or is to exit: false.
    private func run(in memory: ProcessMemory) -> Bool {
        let space = memory.space, platformSpace = space.platformSpace
        while own.value.memory === memory {
            if interrupts.load(ordering: .sequentiallyConsistent) != 0 || pendingRestart != nil || savedMask != nil {
                if !handleInterrupts() { return false }
            }
            if sequences.address != 0, !prepareSequences(memory) { continue }
            if areFactsStale { publishFacts() }
            // From here on whoever sets a bit interrupts the context. A bit set before is seen in the old value.
            if interrupts.bitwiseOr(Interrupt.inGuest, ordering: .sequentiallyConsistent).oldValue != 0 {
                interrupts.bitwiseAnd(~Interrupt.inGuest, ordering: .sequentiallyConsistent)
                continue
            }
            enterGuest()
            // The trap flag is the tracer's, not to be seen in the registers; a program that sets it itself is left alone.
            let mode = tracing.load(ordering: .relaxed)
            let steps = mode & (TraceMode.step | TraceMode.watch) != 0 && registers.eflags & Self.trapFlag == 0
            if steps { registers.eflags |= Self.trapFlag }
            let event: Event
            do {
                event = try context.run(&registers, in: platformSpace)
            } catch {
                interrupts.bitwiseAnd(~Interrupt.inGuest, ordering: .sequentiallyConsistent)
                platformFailed(error)
                return false
            }
            interrupts.bitwiseAnd(~Interrupt.inGuest, ordering: .sequentiallyConsistent)
            if steps { registers.eflags &= ~Self.trapFlag }
            leaveGuest()
            switch event {
            case .systemCall:
                serveSystemCall()
                // What the kernel stores is not the watched thread's doing.
                if mode & TraceMode.watch != 0 { debugRegisters.refresh(self.memory?.space) }
            case .fault(let fault):
                areSequencesDisturbed = true
                if steps, fault.signal == Signal.SIGTRAP, fault.code == SignalCode.TRAP_TRACE, !finishStep(mode, space) { break }
                serveFault(fault, space)
            case .interrupted:
                areSequencesDisturbed = true
                involuntarySwitches.wrappingAdd(1, ordering: .relaxed)
            }
            if isExiting { return false }
        }
        return true
    }

    /// sched_yield(2): others run before the guest does. Own thread.
    public func yield() {
        if processor.load(ordering: .relaxed) >= 0, let processors = memory?.processors, processors.hasWaiters {
            processors.reconsider(self)
        } else {
            context.yield()
        }
    }

    /// Tells the platform what it may answer by itself: nothing that anybody wants to see or to decide about.
    private func publishFacts() {
        areFactsStale = false
        // Whoever has a seat gives it away in sched_yield(2).
        if kernel.isTracing || memory?.processors.isStrict == true { return context.setFacts(nil) }
        let user = credentials.user, group = credentials.group
        context.setFacts(
            TaskFacts(
                processID: processID, threadID: threadID, user: user.real, effectiveUser: user.effective, group: group.real,
                effectiveGroup: group.effective))
        // Another thread's filter may have come for this one meanwhile.
        if hasSeccomp.load(ordering: .sequentiallyConsistent) { context.setFacts(nil) }
    }

    /// The stub is gone or the host refused: the process ends.
    private func platformFailed(_ error: PlatformError) {
        if interrupts.load(ordering: .relaxed) & Interrupt.exit != 0 { return }
        var reason = DeathReason.stubDied
        if case .stubDied(.misbehaved) = error { reason = .stubViolation }
        container.noteStubDeath(of: threadGroup, reason, "platform failed: \(error)")
        threadGroup.exitAll(status: Signal.SIGKILL)
    }

    /// After an instruction that was stepped: whether the tracer is to see the step.
    private func finishStep(_ mode: UInt32, _ space: AddressSpace) -> Bool {
        // It was under way when the tracer let go.
        if !isTraced { return false }
        if mode & TraceMode.watch != 0 { checkWatches(space, isStep: mode & TraceMode.step != 0) }
        return mode & TraceMode.step != 0
    }

    /// RFLAGS.TF
    private static let trapFlag: UInt64 = 0x100

    // MARK: system calls

    private func serveSystemCall() {
        if tracing.load(ordering: .relaxed) & (TraceMode.calls | TraceMode.emulation) != 0, !traceCallEntry() { return }
        makeSystemCall()
        if tracing.load(ordering: .relaxed) & (TraceMode.calls | TraceMode.step) != 0, !isExiting { traceCallExit() }
    }

    private func makeSystemCall() {
        // Linux looks at the low 32 bits only.
        var number = calledNumber, arguments = calledArguments
        if hasSeccomp.load(ordering: .relaxed) {
            switch checkSeccomp(number, arguments) {
            case .allow: break
            case .changed:
                number = calledNumber
                arguments = calledArguments
            case .answer(let value):
                registers.rax = UInt64(bitPattern: Int64(value))
                return
            case .handled: return
            }
        }
        // Not a call: what a tracer makes of one that is to be skipped. The result is in place.
        if number.rawValue == 0xffff_ffff { return }
        if kernel.isTracing { traceEntry(number, arguments) }
        var result: Int
        do throws(Errno) {
            let handlers = kernel.systemCalls.handlers
            guard number.rawValue < UInt64(handlers.count), let handler = handlers[Int(number.rawValue)]?.call else {
                kernel.unsupported(number, "")
                throw .ENOSYS
            }
            result = try handler(self, arguments)
        } catch {
            result = -Int(error.rawValue)
            if (512...516).contains(error.rawValue) { pendingRestart = error }
        }
        if kernel.isTracing { traceExit(number, arguments, result) }
        if keepRegisters {
            keepRegisters = false
            return
        }
        registers.rax = UInt64(bitPattern: Int64(result))
    }

    private var calledNumber: SystemCallNumber { SystemCallNumber(rawValue: UInt64(UInt32(truncatingIfNeeded: registers.orig_rax))) }
    private var calledArguments: SyscallArguments {
        SyscallArguments([registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9])
    }

    /// Puts the registers so that the interrupted call is made again.
    private func restartCall(_ number: UInt64) {
        registers.rax = number
        registers.rip &-= 2
    }

    // MARK: faults

    private func serveFault(_ fault: FaultInfo, _ space: AddressSpace) {
        // Not in a system call: nothing that a tracer could restart.
        registers.orig_rax = .max
        // A fault ends a restartable interval: there is no system call to restart.
        pendingRestart = nil
        if fault.signal == Signal.SIGSEGV || fault.signal == Signal.SIGBUS {
            // A general-protection fault names no address and has nothing to do with mappings.
            if fault.code == SignalCode.SI_KERNEL {
                forceSignal(SignalInfo(signal: fault.signal, code: fault.code))
                return
            }
            switch space.handleFault(fault) {
            case .resolved:
                faults.wrappingAdd(1, ordering: .relaxed)
            case .signal(let number, let code):
                Log.debug(
                    "fault of \(threadID): signal \(number) code \(code) address 0x\(String(fault.address, radix: 16)) rip 0x\(String(registers.rip, radix: 16))"
                )
                var info = SignalInfo(signal: number, code: code)
                info.si_addr = fault.address
                faultAddress = fault.address
                forceSignal(info)
            case .outOfMemory:
                waitForMemory()
            }
            return
        }
        var info = SignalInfo(signal: fault.signal, code: fault.code)
        info.si_addr = fault.address
        forceSignal(info)
    }

    /// The container is at its memory limit: somebody is killed, and this task tries again once a task has left.
    private func waitForMemory() {
        if container.memoryFile.awaitReleases() { return }
        let waiter = TaskWaiter(self, .POLLIN)
        container.departures.add(waiter)
        defer { container.departures.remove(waiter) }
        container.killForMemory()
        // The bound is for a victim that takes long to go; then another one may be due.
        _ = try? block(deadline: HostClock.deadline(in: 100_000_000))
    }

    // MARK: interrupts

    /// Does what the interrupt bits ask for and settles the restart of an interrupted call. False: the task is to exit.
    private func handleInterrupts() -> Bool {
        while true {
            let bits = interrupts.load(ordering: .sequentiallyConsistent)
            if bits & Interrupt.exit != 0 {
                exitStatus = threadGroup.signals.withLock { $0.exitStatus } ?? 0
                return false
            }
            if bits & Interrupt.pause != 0 {
                waitWhilePaused()
                continue
            }
            if bits & Interrupt.processor != 0 {
                interrupts.bitwiseAnd(~Interrupt.processor, ordering: .sequentiallyConsistent)
                memory?.processors.reconsider(self)
                noteProcessorChange()
                continue
            }
            if bits & Interrupt.notice != 0 {
                interrupts.bitwiseAnd(~Interrupt.notice, ordering: .sequentiallyConsistent)
                let code = threadGroup.signals.withLock { group -> Int32? in
                    defer { group.notice = nil }
                    return group.notice
                }
                if let code { threadGroup.notifyParent(code) }
                continue
            }
            if bits & Interrupt.trap != 0 {
                trapForTracer()
                continue
            }
            if bits & Interrupt.stop != 0 {
                stopForJobControl()
                continue
            }
            if bits & Interrupt.signal == 0 { break }
            switch nextSignal() {
            case .none:
                // `recalculate` has cleared the bit unless something came since.
                if interrupts.load(ordering: .sequentiallyConsistent) == 0 { break }
                continue
            case .exit, .stop: continue
            case .handle(let signal, let action):
                if let error = pendingRestart {
                    pendingRestart = nil
                    switch error {
                    case .ERESTARTNOINTR: restartCall(registers.orig_rax)
                    case .ERESTARTSYS where action.sa_flags & SignalActionFlag.SA_RESTART != 0: restartCall(registers.orig_rax)
                    default: registers.rax = UInt64(bitPattern: -Int64(Errno.EINTR.rawValue))
                    }
                }
                deliver(signal, action)
                traceHandlerEntry()
                continue
            }
            if interrupts.load(ordering: .sequentiallyConsistent) == 0 { break }
        }
        // No handler ran for the interrupted call: it is made again.
        if let error = pendingRestart {
            pendingRestart = nil
            restartCall(error == .ERESTART_RESTARTBLOCK ? SystemCallNumber.restart_syscall.rawValue : registers.orig_rax)
        }
        if let mask = savedMask {
            savedMask = nil
            setSignalMask(mask)
            if interrupts.load(ordering: .sequentiallyConsistent) != 0 { return handleInterrupts() }
        }
        return true
    }
}

import Host
public import LinuxABI
import SentryVFS

/// Which children wait4(2) and waitid(2) mean.
public enum WaitSelector: Sendable {
    case any
    case process(Int32)
    case group(Int32)
    /// P_PIDFD.
    case threadGroup(ThreadGroup)
}

/// A child that has changed its state.
public struct WaitResult: Sendable {
    public var processID: Int32
    public var userID: UInt32
    /// As wait4(2) stores it.
    public var status: Int32
    /// si_code and si_status of waitid(2).
    public var code: Int32
    public var value: Int32
    public var usage: Usage
}

extension KernelTask {
    /// Waits for a child. Nil when there is nothing to tell and WNOHANG was given. `options` must name at least one of WEXITED, WUNTRACED and WCONTINUED.
    /// ECHILD without such a child, ERESTARTSYS when interrupted.
    public func waitForChild(_ selector: WaitSelector, _ options: WaitOptions) throws(Errno) -> WaitResult? {
        let result = try waitFor(threadGroup.childEvents) { () throws(Errno) -> WaitResult?? in
            let (result, isHopeless) = kernel.tree.withLock { proof in findChild(selector, options, proof) }
            if let result { return .some(result) }
            if isHopeless { throw .ECHILD }
            return options.contains(.WNOHANG) ? .some(nil) : nil
        }
        return result ?? nil
    }

    private func findChild(_ selector: WaitSelector, _ options: WaitOptions, _ proof: TreeLocked) -> (WaitResult?, isHopeless: Bool) {
        var isHopeless = true
        for child in threadGroup.tree[proof].children {
            guard child.matches(selector, proof) else { continue }
            let leader = child.tree[proof].leader
            let tracer = leader?.trace[proof].tracer
            // A child that this process traces is waited for as a tracee.
            if let leader, let tracer, tracer.threadGroup === threadGroup {
                isHopeless = false
                if let result = collectTracee(leader, options, proof) { return (result, false) }
                continue
            }
            if !options.contains(.__WALL), options.contains(.__WCLONE) == (child.tree[proof].exitSignal == Signal.SIGCHLD) { continue }
            if options.contains(.__WNOTHREAD), child.tree[proof].birthThread !== self { continue }
            isHopeless = false
            // Another tracer waits for the exit first.
            if let result = collect(child, options, isHeld: tracer != nil, proof) { return (result, false) }
        }
        for thread in options.contains(.__WNOTHREAD) ? [self] : threadGroup.threads {
            for tracee in thread.trace[proof].tracees {
                if tracee.isLeader, tracee.threadGroup.tree[proof].parent === threadGroup { continue }
                guard tracee.matches(selector, proof) else { continue }
                isHopeless = false
                if let result = collectTracee(tracee, options, proof) { return (result, false) }
            }
        }
        return (nil, isHopeless)
    }

    private func collect(_ child: ThreadGroup, _ options: WaitOptions, isHeld: Bool, _ proof: TreeLocked) -> WaitResult? {
        let keep = options.contains(.WNOWAIT)
        let user = child.tree[proof].leader?.credentials.user.real ?? 0
        if let status = child.tree[proof].exit {
            guard options.contains(.WEXITED), !isHeld else { return nil }
            let (code, value) = ThreadGroup.childCode(status)
            var usage = child.accounting.withLock { $0.exitedThreads }
            usage.add(child.accounting.withLock { $0.waitedChildren })
            if !keep { child.reap(proof) }
            return WaitResult(processID: child.processID, userID: user, status: status, code: code, value: value, usage: usage)
        }
        let change = child.signals.withLock { state -> (Int32, Int32, Int32)? in
            if state.isStopWaitable, options.contains(.WUNTRACED) {
                if !keep { state.isStopWaitable = false }
                return (state.stopSignal << 8 | 0x7f, SignalCode.CLD_STOPPED, state.stopSignal)
            }
            return Self.takeContinuation(&state, options)
        }
        guard let (status, code, value) = change else { return nil }
        return WaitResult(processID: child.processID, userID: user, status: status, code: code, value: value, usage: child.usage)
    }

    private static func takeContinuation(_ state: inout ThreadGroup.SignalState, _ options: WaitOptions) -> (Int32, Int32, Int32)? {
        guard state.isContinueWaitable, options.contains(.WCONTINUED) else { return nil }
        if !options.contains(.WNOWAIT) { state.isContinueWaitable = false }
        return (0xffff, SignalCode.CLD_CONTINUED, Signal.SIGCONT)
    }

    /// What there is to tell of a thread that this process traces: its end, a stop, or a continuation.
    private func collectTracee(_ tracee: KernelTask, _ options: WaitOptions, _ proof: TreeLocked) -> WaitResult? {
        let keep = options.contains(.WNOWAIT)
        let group = tracee.threadGroup
        let user = tracee.credentials.user.real
        if tracee.isLeader, let status = group.tree[proof].exit {
            guard options.contains(.WEXITED) else { return nil }
            let (code, value) = ThreadGroup.childCode(status)
            let usage = group.accounting.withLock { $0.exitedThreads }
            let result = WaitResult(
                processID: tracee.threadID, userID: user, status: status, code: code, value: value, usage: usage)
            if keep { return result }
            if group.tree[proof].parent === threadGroup { group.reap(proof) } else { tracee.unlink(signal: 0, proof) }
            return result
        }
        if let exit = tracee.trace[proof].exit {
            guard options.contains(.WEXITED) else { return nil }
            // Once the process exits as a whole, its status is that of each thread.
            let status = group.signals.withLock { $0.exitStatus } ?? exit.status
            let (code, value) = ThreadGroup.childCode(status)
            if !keep { tracee.unlink(signal: 0, proof) }
            return WaitResult(
                processID: tracee.threadID, userID: user, status: status, code: code, value: value, usage: exit.usage)
        }
        let stop = tracee.traceStop.withLock { stop -> Int32? in
            guard let code = stop.code, !stop.isReported, stop.resumption == nil else { return nil }
            if !keep { stop.isReported = true }
            return code
        }
        if let stop {
            return WaitResult(
                processID: tracee.threadID, userID: user, status: stop << 8 | 0x7f, code: SignalCode.CLD_TRAPPED, value: stop,
                usage: tracee.usage)
        }
        guard tracee.isLeader, let (status, code, value) = group.signals.withLock({ Self.takeContinuation(&$0, options) }) else {
            return nil
        }
        return WaitResult(processID: tracee.threadID, userID: user, status: status, code: code, value: value, usage: group.usage)
    }
}

extension ThreadGroup {
    fileprivate func matches(_ selector: WaitSelector, _ proof: TreeLocked) -> Bool {
        switch selector {
        case .any: true
        case .process(let identifier): processID == identifier
        case .group(let identifier): tree[proof].processGroup.identifier == identifier
        case .threadGroup(let group): self === group
        }
    }
}

extension KernelTask {
    fileprivate func matches(_ selector: WaitSelector, _ proof: TreeLocked) -> Bool {
        if case .process(let identifier) = selector { return threadID == identifier }
        return threadGroup.matches(selector, proof)
    }
}

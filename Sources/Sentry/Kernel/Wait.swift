public import LinuxABI
import SentryVFS
import Synchronization

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
            switch selector {
            case .any: break
            case .process(let identifier): if child.processID != identifier { continue }
            case .group(let identifier): if child.tree[proof].processGroup.identifier != identifier { continue }
            case .threadGroup(let group): if child !== group { continue }
            }
            if !options.contains(.__WALL), options.contains(.__WCLONE) == (child.tree[proof].exitSignal == Signal.SIGCHLD) { continue }
            if options.contains(.__WNOTHREAD), child.tree[proof].birthThread !== self { continue }
            isHopeless = false
            if let result = collect(child, options, proof) { return (result, false) }
        }
        return (nil, isHopeless)
    }

    private func collect(_ child: ThreadGroup, _ options: WaitOptions, _ proof: TreeLocked) -> WaitResult? {
        let keep = options.contains(.WNOWAIT)
        let user = child.tree[proof].leader?.credentials.user.real ?? 0
        if let status = child.tree[proof].exit {
            guard options.contains(.WEXITED) else { return nil }
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
            if state.isContinueWaitable, options.contains(.WCONTINUED) {
                if !keep { state.isContinueWaitable = false }
                return (0xffff, SignalCode.CLD_CONTINUED, Signal.SIGCONT)
            }
            return nil
        }
        guard let (status, code, value) = change else { return nil }
        return WaitResult(processID: child.processID, userID: user, status: status, code: code, value: value, usage: child.usage)
    }
}

import Host
import LinuxABI
public import SentryKernel
import SentryVFS

/// Controlling terminals and job control (drivers/tty/tty_jobctrl.c, credentials(7)).
extension Terminal {
    /// Whether this is the controlling terminal of `task`'s session.
    func isControlling(_ task: KernelTask) -> Bool {
        kernel.tree.withLock { proof in
            let session = task.threadGroup.tree[proof].processGroup.session
            return session.tree[proof].terminal === self
        }
    }

    /// tty_check_change: a process in the background that wants to read (SIGTTIN) or change (SIGTTOU) the terminal. EIO when it cannot be stopped,
    /// ERESTARTSYS when the signal was sent.
    func checkForeground(_ context: any FileContext, _ signal: Int32) throws(Errno) {
        guard let task = context as? KernelTask else { return }
        let outcome = kernel.tree.withLock { proof -> (isBackground: Bool, isOrphaned: Bool) in
            let group = task.threadGroup.tree[proof].processGroup
            let session = group.session
            guard session.tree[proof].terminal === self, let foreground = session.tree[proof].foreground, foreground !== group else {
                return (false, false)
            }
            return (true, group.isOrphaned(proof))
        }
        guard outcome.isBackground else { return }
        if task.signalMask.has(signal) || task.threadGroup.actions.get(signal).sa_handler == SignalHandler.SIG_IGN {
            if signal == Signal.SIGTTIN { throw .EIO }
            return
        }
        if outcome.isOrphaned { throw .EIO }
        kernel.tree.withLock { proof in task.threadGroup.tree[proof].processGroup.send(.kernel(signal), proof) }
        throw .ERESTARTSYS
    }

    /// Makes this the controlling terminal of the session that `threadGroup` leads. False when it leads none, or one side is taken.
    @discardableResult
    private func attach(_ threadGroup: ThreadGroup, stealing: Bool) -> Bool {
        kernel.tree.withLock { proof in
            let group = threadGroup.tree[proof].processGroup
            let session = group.session
            guard session.tree[proof].leader === threadGroup, session.tree[proof].terminal == nil else { return false }
            return control.withLock { control in
                if let owner = control.session {
                    guard stealing else { return false }
                    owner.tree[proof].terminal = nil
                    owner.tree[proof].foreground = nil
                }
                control.session = session
                session.tree[proof].terminal = self
                session.tree[proof].foreground = group
                return true
            }
        }
    }

    /// Makes this the controlling terminal of the session that `group` leads; for processes that are started with a terminal. False when the group leads
    /// no session, or has a terminal.
    @discardableResult
    public func setControlling(for group: ThreadGroup) -> Bool { attach(group, stealing: false) }

    /// What open(2) without O_NOCTTY does for a session leader without a terminal.
    func attachOnOpen(_ context: any FileContext) {
        guard let task = context as? KernelTask else { return }
        attach(task.threadGroup, stealing: false)
    }

    /// TIOCSCTTY.
    func setControlling(_ argument: UInt64, isReadable: Bool, _ context: any FileContext) throws(Errno) {
        guard let task = context as? KernelTask else { throw .ENOTTY }
        let isAdministrator = task.credentials.has(.CAP_SYS_ADMIN)
        let already = kernel.tree.withLock { proof -> Bool in
            let session = task.threadGroup.tree[proof].processGroup.session
            return session.tree[proof].leader === task.threadGroup && session.tree[proof].terminal === self
        }
        if already { return }
        guard isReadable || isAdministrator else { throw .EPERM }
        guard attach(task.threadGroup, stealing: argument == 1 && isAdministrator) else { throw .EPERM }
    }

    /// TIOCNOTTY: the leader gives the terminal up for the session; the foreground group is told.
    func giveUp(_ context: any FileContext) throws(Errno) {
        guard let task = context as? KernelTask, isControlling(task) else { throw .ENOTTY }
        let isLeader = kernel.tree.withLock { proof -> Bool in
            let session = task.threadGroup.tree[proof].processGroup.session
            guard session.tree[proof].leader === task.threadGroup else { return false }
            let foreground = session.tree[proof].foreground
            session.tree[proof].terminal = nil
            session.tree[proof].foreground = nil
            foreground?.send(.kernel(Signal.SIGHUP), proof)
            foreground?.send(.kernel(Signal.SIGCONT), proof)
            return true
        }
        if isLeader {
            control.withLock { $0.session = nil }
        } else {
            // Linux lets one process of a session lose the terminal; here the session has it or not.
            kernel.unsupported(.ioctl, "TIOCNOTTY by a process that does not lead its session")
            throw .EPERM
        }
    }

    /// TIOCGPGRP: the foreground group, 0 when there is none. `viaMaster`: the master needs no session.
    func foregroundGroup(viaMaster: Bool, _ context: any FileContext) throws(Errno) -> Int32 {
        if !viaMaster {
            guard let task = context as? KernelTask, isControlling(task) else { throw .ENOTTY }
        }
        guard let session = control.withLock({ $0.session }) else { return 0 }
        return kernel.tree.withLock { proof in session.tree[proof].foreground?.identifier ?? 0 }
    }

    /// TIOCSPGRP.
    func setForegroundGroup(_ identifier: Int32, _ context: any FileContext) throws(Errno) {
        guard let task = context as? KernelTask else { throw .ENOTTY }
        do throws(Errno) { try checkForeground(context, Signal.SIGTTOU) } catch { throw error == .EIO ? .ENOTTY : error }
        if identifier < 0 { throw .EINVAL }
        try kernel.tree.withLock { proof throws(Errno) in
            let session = task.threadGroup.tree[proof].processGroup.session
            guard session.tree[proof].terminal === self else { throw .ENOTTY }
            guard let group = task.namespace.processGroup(identifier, proof) else { throw .ESRCH }
            guard group.session === session else { throw .EPERM }
            session.tree[proof].foreground = group
        }
    }

    /// TIOCGSID.
    func sessionIdentifier(viaMaster: Bool, _ context: any FileContext) throws(Errno) -> Int32 {
        if !viaMaster {
            guard let task = context as? KernelTask, isControlling(task) else { throw .ENOTTY }
        }
        guard let session = control.withLock({ $0.session }) else { throw .ENOTTY }
        return session.identifier
    }
}

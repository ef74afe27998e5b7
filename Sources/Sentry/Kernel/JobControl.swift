import Host
public import LinuxABI
import SentryVFS

/// Process groups, sessions and controlling terminals (credentials(7), setpgid(2), setsid(2), tty_ioctl(4)).
extension KernelTask {
    /// setpgid(2).
    public func setProcessGroup(of process: Int32, to wanted: Int32) throws(Errno) {
        if wanted < 0 { throw .EINVAL }
        try kernel.tree.withLock { proof throws(Errno) in
            let target: ThreadGroup
            if process == 0 || process == processID {
                target = threadGroup
            } else {
                guard let found = namespace.threadGroup(process, proof), found.tree[proof].parent === threadGroup else { throw .ESRCH }
                guard found.tree[proof].processGroup.session === threadGroup.tree[proof].processGroup.session else { throw .EPERM }
                if found.tree[proof].didExecute { throw .EACCES }
                target = found
            }
            let session = target.tree[proof].processGroup.session
            if session.tree[proof].leader === target { throw .EPERM }
            let identifier = wanted == 0 ? target.processID : wanted
            if target.tree[proof].processGroup.identifier == identifier { return }
            let group: ProcessGroup
            if let existing = namespace.processGroup(identifier, proof) {
                guard existing.session === session else { throw .EPERM }
                group = existing
            } else {
                guard identifier == target.processID else { throw .EPERM }
                group = ProcessGroup(identifier: identifier, session: session)
                namespace.tree[proof].processGroups[identifier] = group
            }
            group.tree[proof].members.append(target)
            target.leaveProcessGroup(proof)
            target.tree[proof].processGroup = group
        }
    }

    /// getpgid(2) and getsid(2): the group of a process (0: one's own), or ESRCH.
    public func processGroup(of process: Int32) throws(Errno) -> ProcessGroup {
        try kernel.tree.withLock { proof throws(Errno) in
            if process == 0 { return threadGroup.tree[proof].processGroup }
            if let task = namespace.task(process, proof) { return task.threadGroup.tree[proof].processGroup }
            guard let group = namespace.threadGroup(process, proof) else { throw .ESRCH }
            return group.tree[proof].processGroup
        }
    }

    /// setsid(2): the new session's id. EPERM for the leader of a process group.
    public func makeSession() throws(Errno) -> Int32 {
        try kernel.tree.withLock { proof throws(Errno) in
            let identifier = processID
            if namespace.processGroup(identifier, proof) != nil || namespace.tree[proof].sessions[identifier] != nil { throw .EPERM }
            let session = Session(identifier: identifier, namespace: namespace)
            let group = ProcessGroup(identifier: identifier, session: session)
            session.tree[proof].leader = threadGroup
            group.tree[proof].members = [threadGroup]
            threadGroup.leaveProcessGroup(proof)
            threadGroup.tree[proof].processGroup = group
            namespace.tree[proof].sessions[identifier] = session
            namespace.tree[proof].processGroups[identifier] = group
            return identifier
        }
    }

    // MARK: the controlling terminal

    /// TIOCSCTTY and open(2) without O_NOCTTY: `terminal` becomes the session's. EPERM unless the caller leads a session without another terminal.
    /// `current`: the session that has the terminal now (the tty layer knows); it loses it with `steal`, else EPERM.
    public func acquireTerminal(_ terminal: any ControllingTerminal, from current: Session?, steal: Bool = false) throws(Errno) {
        try kernel.tree.withLock { proof throws(Errno) in
            let group = threadGroup.tree[proof].processGroup
            let session = group.session
            guard session.tree[proof].leader === threadGroup else { throw .EPERM }
            if let existing = session.tree[proof].terminal {
                if existing === terminal { return }
                throw .EPERM
            }
            if let current, current !== session, current.tree[proof].terminal === terminal {
                guard steal, credentials.hasGlobally(.CAP_SYS_ADMIN) else { throw .EPERM }
                current.tree[proof].terminal = nil
                current.tree[proof].foreground = nil
            }
            session.tree[proof].terminal = terminal
            session.tree[proof].foreground = group
        }
    }

    /// TIOCNOTTY: gives the terminal up; a session leader takes it from the whole session (SIGHUP and SIGCONT to the foreground group).
    /// ENOTTY when it is not the caller's terminal.
    public func releaseTerminal(_ terminal: any ControllingTerminal) throws(Errno) {
        let ended = try kernel.tree.withLock { proof throws(Errno) -> Session? in
            let session = threadGroup.tree[proof].processGroup.session
            guard session.tree[proof].terminal === terminal else { throw .ENOTTY }
            guard session.tree[proof].leader === threadGroup else { return nil }
            session.hangUp(proof)
            return session
        }
        if let ended { terminal.sessionEnded(ended) }
    }

    /// Whether `terminal` is the caller's controlling terminal.
    public func controls(_ terminal: any ControllingTerminal) -> Bool {
        kernel.tree.withLock { threadGroup.tree[$0].processGroup.session.tree[$0].terminal === terminal }
    }
    /// The caller's controlling terminal (/dev/tty).
    public var controllingTerminal: (any ControllingTerminal)? {
        kernel.tree.withLock { threadGroup.tree[$0].processGroup.session.tree[$0].terminal }
    }

    /// TIOCGPGRP of the caller's session: the id of the foreground group; a number that no group has when there is none.
    public var foregroundGroupID: Int32 {
        kernel.tree.withLock { threadGroup.tree[$0].processGroup.session.tree[$0].foreground?.identifier ?? PIDNamespace.maximum }
    }

    /// TIOCSPGRP: EINVAL for a bad id, ESRCH for no such group, EPERM for one of another session. Background callers are checked by `checkForeground`.
    public func setForegroundGroup(_ identifier: Int32) throws(Errno) {
        if identifier < 0 { throw .EINVAL }
        try kernel.tree.withLock { proof throws(Errno) in
            guard let group = namespace.processGroup(identifier, proof) else { throw .ESRCH }
            let session = threadGroup.tree[proof].processGroup.session
            guard group.session === session else { throw .EPERM }
            session.tree[proof].foreground = group
        }
    }

    /// Whether a process of a background group may do what `signal` guards (Linux: __tty_check_change): SIGTTIN for reading, SIGTTOU for writing with
    /// TOSTOP and for changing the terminal. Returns when it may (foreground, or another terminal than its own).
    ///
    /// Otherwise the group gets the signal and the call ERESTARTSYS; EIO for an orphaned group, and for reading with SIGTTIN blocked or ignored
    /// (blocked or ignored SIGTTOU lets pass).
    public func checkForeground(_ terminal: any ControllingTerminal, _ signal: Int32) throws(Errno) {
        let isIgnored = signalMask.has(signal) || threadGroup.actions.get(signal).sa_handler == SignalHandler.SIG_IGN
        try kernel.tree.withLock { proof throws(Errno) in
            let group = threadGroup.tree[proof].processGroup
            let session = group.session
            guard session.tree[proof].terminal === terminal, let foreground = session.tree[proof].foreground, foreground !== group else {
                return
            }
            if isIgnored {
                if signal == Signal.SIGTTIN { throw .EIO }
                return
            }
            if group.isOrphaned(proof) { throw .EIO }
            group.send(.kernel(signal), proof)
            throw .ERESTARTSYS
        }
    }
}

extension Session {
    /// Takes the terminal away, with SIGHUP and SIGCONT to the foreground group.
    func hangUp(_ proof: TreeLocked) {
        tree[proof].foreground?.send(.kernel(Signal.SIGHUP), proof)
        tree[proof].foreground?.send(.kernel(Signal.SIGCONT), proof)
        tree[proof].terminal = nil
        tree[proof].foreground = nil
    }

    /// Sends a terminal's signal (SIGINT, SIGQUIT, SIGTSTP, SIGWINCH) to the foreground group.
    public func signalForeground(_ signal: Int32, kernel: Kernel) {
        kernel.tree.withLock { proof in tree[proof].foreground?.send(.kernel(signal), proof) }
    }

    /// The other end of the terminal is gone (a pty's master was closed): SIGHUP and SIGCONT to the session's leader; the session loses the terminal.
    public func terminalHungUp(kernel: Kernel) {
        kernel.tree.withLock { proof in
            let leader = tree[proof].leader
            leader?.send(.kernel(Signal.SIGHUP))
            leader?.send(.kernel(Signal.SIGCONT))
            tree[proof].foreground?.send(.kernel(Signal.SIGHUP), proof)
            tree[proof].terminal = nil
            tree[proof].foreground = nil
        }
    }
}

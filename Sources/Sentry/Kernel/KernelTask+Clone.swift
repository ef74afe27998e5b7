import Host
public import LinuxABI
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

/// The arguments of clone3(2), decoded (struct clone_args).
public struct CloneArguments: Sendable {
    public var flags: CloneFlags = []
    /// Where CLONE_PIDFD stores the descriptor (clone(2): the parent_tid argument).
    public var pidfd: UInt64 = 0
    public var childThreadID: UInt64 = 0
    public var parentThreadID: UInt64 = 0
    public var exitSignal: Int32 = 0
    /// The child's stack pointer; 0: the parent's.
    public var stackPointer: UInt64 = 0
    public var threadLocalStorage: UInt64 = 0
    /// clone3's set_tid: the id wanted in the namespace.
    public var wantedID: Int32?
    public init() {}
}

extension KernelTask {
    /// clone(2), clone3(2), fork(2), vfork(2): the child's thread id. With CLONE_VFORK returns once the child has released the memory.
    public func clone(_ arguments: CloneArguments) throws(Errno) -> Int32 {
        let flags = arguments.flags
        try checkCloneFlags(flags)
        guard let memory else { throw .ESRCH }
        // Threads count too. Per user in Linux; the container is the user's whole world here.
        let limit = threadGroup.limits.current(Resource.RLIMIT_NPROC)
        let credentials = credentials
        if UInt64(container.liveTasks) >= limit, credentials.user.real != 0, !credentials.hasGlobally(.CAP_SYS_RESOURCE),
            !credentials.hasGlobally(.CAP_SYS_ADMIN)
        {
            throw .EAGAIN
        }
        try container.chargeTask()
        var undo = CloneUndo(task: self)
        do throws(Errno) {
            return try makeChild(arguments, memory, &undo)
        } catch {
            undo.run()
            container.unchargeTask()
            throw error
        }
    }

    private func checkCloneFlags(_ flags: CloneFlags) throws(Errno) {
        if flags.contains(.CLONE_THREAD), !flags.contains(.CLONE_SIGHAND) { throw .EINVAL }
        if flags.contains(.CLONE_SIGHAND), !flags.contains(.CLONE_VM) { throw .EINVAL }
        if flags.contains(.CLONE_CLEAR_SIGHAND), flags.contains(.CLONE_SIGHAND) { throw .EINVAL }
        if flags.contains(.CLONE_PARENT), threadGroup.isNamespaceInit { throw .EINVAL }
        if flags.contains(.CLONE_PIDFD), flags.contains(.CLONE_DETACHED) { throw .EINVAL }
        if flags.contains(.CLONE_INTO_CGROUP) {
            kernel.unsupported(.clone3, "CLONE_INTO_CGROUP")
            throw .EOPNOTSUPP
        }
        if !flags.isDisjoint(with: .namespaces) {
            kernel.unsupported(.clone, "new namespaces")
            throw flags.contains(.CLONE_NEWUSER) || !credentials.has(.CAP_SYS_ADMIN) ? .EPERM : .EINVAL
        }
    }

    /// What was done so far for a child that could not be made.
    private struct CloneUndo {
        let task: KernelTask
        var memory: ProcessMemory?
        var files: DescriptorTable?
        var context: (any ExecutionContext)?
        var child: KernelTask?
        var pidfd: Int32?

        mutating func run() {
            if let child {
                let group = child.threadGroup
                task.kernel.tree.withLock { proof in
                    group.signals.withLock { $0.threads.removeAll { $0 === child } }
                    child.unlink(signal: 0, proof)
                    if child.isLeader {
                        group.tree[proof].exit = 0
                        group.tree[proof].parent?.tree[proof].children.removeAll { $0 === group }
                        group.tree[proof].parent = nil
                        group.reap(proof)
                    } else {
                        child.namespace.tree[proof].tasks[child.threadID] = nil
                    }
                }
            }
            child?.leaveSemaphoreUndo()
            if let pidfd, let file = try? task.files.remove(pidfd) { file.releaseDescriptor(task) }
            memory?.leave()
            for file in files?.leave() ?? [] { file.releaseDescriptor(task) }
            context?.release()
        }
    }

    private func makeChild(_ arguments: CloneArguments, _ memory: ProcessMemory, _ undo: inout CloneUndo) throws(Errno) -> Int32 {
        let flags = arguments.flags

        // Memory.
        let childMemory: ProcessMemory
        if flags.contains(.CLONE_VM) {
            memory.share()
            childMemory = memory
        } else {
            childMemory = try memory.fork(on: kernel.platform)
        }
        undo.memory = childMemory

        // Files and directories.
        let own = resources
        let childFiles: DescriptorTable
        if flags.contains(.CLONE_FILES) {
            own.files.share()
            childFiles = own.files
        } else {
            childFiles = own.files.copy()
        }
        undo.files = childFiles
        let childResources = TaskResources(
            memory: childMemory, credentials: own.credentials, files: childFiles,
            fileSystemContext: flags.contains(.CLONE_FS) ? own.fileSystemContext : own.fileSystemContext?.copy(), name: own.name)

        // Processor state.
        let childContext = try kernel.platform.makeContext()
        undo.context = childContext
        do { try childContext.copyFloatingPoint(from: context) } catch { throw .EAGAIN }
        var childRegisters = registers
        childRegisters.rax = 0
        if arguments.stackPointer != 0 { childRegisters.rsp = arguments.stackPointer }
        if flags.contains(.CLONE_SETTLS) { childRegisters.fs_base = arguments.threadLocalStorage }

        let now = HostClock.monotonic
        let mask = signalMask
        var event: Int32 = 0
        let child = try kernel.tree.withLock { proof throws(Errno) in
            let child = try addToTree(arguments, childResources, childContext, childRegisters, mask, now, proof)
            if isTraced {
                event = cloneEvent(arguments, proof)
                if event != 0 || flags.contains(.CLONE_PTRACE) { child.inheritTracer(self, proof) }
            }
            return child
        }
        undo.child = child
        child.personality = personality
        child.forcedNoNewPrivileges.store(forcedNoNewPrivileges.load(ordering: .relaxed), ordering: .relaxed)
        child.timerSlack = timerSlack
        child.niceValue.store(niceValue.load(ordering: .relaxed), ordering: .relaxed)
        inheritScheduling(child)
        // vfork'd children and threads share the memory but not the alternate stack, except that vfork keeps it.
        if !flags.contains(.CLONE_VM) || flags.contains(.CLONE_VFORK) { child.alternateStack = alternateStack }
        // A thread registers its own area; a copied address space has a copy of the parent's.
        if !flags.contains(.CLONE_VM) {
            child.sequences = sequences
            child.areSequencesDisturbed = true
        }
        if flags.contains(.CLONE_CHILD_CLEARTID) { child.clearThreadID = arguments.childThreadID }
        if flags.contains(.CLONE_CHILD_SETTID) { child.setThreadID = arguments.childThreadID }

        if flags.contains(.CLONE_PIDFD) {
            let file = PIDFile(child.threadGroup)
            let number = try own.files.install(
                file, closeOnExec: true, limit: threadGroup.limits.current(Resource.RLIMIT_NOFILE))
            undo.pidfd = number
            try memory.space.store(number, to: arguments.pidfd)
        }
        let childID = child.threadID
        if flags.contains(.CLONE_PARENT_SETTID) { try? memory.space.store(childID, to: arguments.parentThreadID) }

        var completion: Completion?
        if flags.contains(.CLONE_VFORK) {
            completion = Completion()
            child.vforkCompletion = completion
            completion?.setWaiter(self)
        }
        if container.state.withLock({ $0.isPaused }) { child.post(Interrupt.pause) }
        if flags.contains(.CLONE_SYSVSEM) { shareSemaphoreUndo(with: child) }
        try child.start()
        if event != 0 { traceEvent(event, message: UInt64(UInt32(bitPattern: childID))) }
        if let completion {
            while !completion.isDone { if !blockKillable() { break } }
            completion.setWaiter(nil)
            if isTraced { traceEvent(TraceEvent.PTRACE_EVENT_VFORK_DONE, message: UInt64(UInt32(bitPattern: childID))) }
        }
        return childID
    }

    /// The event that the tracer asked for and that this call is; 0: none.
    private func cloneEvent(_ arguments: CloneArguments, _ proof: TreeLocked) -> Int32 {
        if arguments.flags.contains(.CLONE_UNTRACED) { return 0 }
        var event = arguments.exitSignal == Signal.SIGCHLD ? TraceEvent.PTRACE_EVENT_FORK : TraceEvent.PTRACE_EVENT_CLONE
        if arguments.flags.contains(.CLONE_VFORK) { event = TraceEvent.PTRACE_EVENT_VFORK }
        return trace[proof].options.contains(.event(event)) ? event : 0
    }

    /// Makes the child known: from here on others can find and signal it.
    private func addToTree(
        _ arguments: CloneArguments, _ childResources: TaskResources, _ childContext: any ExecutionContext, _ childRegisters: Registers,
        _ mask: SignalSet, _ now: UInt64, _ proof: TreeLocked
    ) throws(Errno) -> KernelTask {
        let flags = arguments.flags
        let identifier: Int32
        if let wanted = arguments.wantedID {
            identifier = try namespace.allocate(wanted, proof)
        } else {
            do { identifier = try namespace.allocate(proof) } catch { throw error }
        }
        if flags.contains(.CLONE_THREAD) {
            return try threadGroup.signals.withLock { group throws(Errno) in
                // A signal that comes during clone must reach both or none: the call is made again after it.
                if group.exitStatus != nil || group.executing != nil { throw .ERESTARTNOINTR }
                if interrupts.load(ordering: .relaxed) & (Interrupt.stop | Interrupt.signal) != 0 { throw .ERESTARTNOINTR }
                let child = KernelTask(
                    container: container, threadGroup: threadGroup, threadID: identifier, context: childContext, resources: childResources,
                    registers: childRegisters, mask: mask, seccomp: seccomp.withLock { $0 }, startTime: now)
                group.threads.append(child)
                namespace.tree[proof].tasks[identifier] = child
                return child
            }
        }
        if interrupts.load(ordering: .relaxed) & (Interrupt.stop | Interrupt.signal | Interrupt.exit) != 0 { throw .ERESTARTNOINTR }
        let actions: SignalActions
        if flags.contains(.CLONE_SIGHAND) {
            actions = threadGroup.actions
        } else {
            actions = threadGroup.actions.copy()
            if flags.contains(.CLONE_CLEAR_SIGHAND) { actions.resetHandlers() }
        }
        let sibling = flags.contains(.CLONE_PARENT)
        let parent = sibling ? threadGroup.tree[proof].parent : threadGroup
        let processGroup = threadGroup.tree[proof].processGroup
        let group = ThreadGroup(
            container: container, processID: identifier, actions: actions, processGroup: processGroup, parent: parent,
            exitSignal: sibling ? threadGroup.tree[proof].exitSignal : arguments.exitSignal, limits: threadGroup.limits.copy(),
            startTime: now)
        group.oomScoreAdjustment.store(threadGroup.oomScoreAdjustment.load(ordering: .relaxed), ordering: .relaxed)
        let child = KernelTask(
            container: container, threadGroup: group, threadID: identifier, context: childContext, resources: childResources,
            registers: childRegisters, mask: mask, seccomp: seccomp.withLock { $0 }, startTime: now)
        group.tree[proof].leader = child
        group.tree[proof].birthThread = sibling ? threadGroup.tree[proof].birthThread : self
        group.tree[proof].hasSubreaper = threadGroup.tree[proof].hasSubreaper || threadGroup.tree[proof].isSubreaper
        group.signals.withLock { $0.threads = [child] }
        parent?.tree[proof].children.append(group)
        processGroup.tree[proof].members.append(group)
        namespace.tree[proof].threadGroups[identifier] = group
        namespace.tree[proof].tasks[identifier] = child
        return child
    }
}

extension ProcessMemory {
    /// A copy-on-write copy for a child without CLONE_VM.
    func fork(on platform: any Platform) throws(Errno) -> ProcessMemory {
        let copy = try space.fork(on: platform)
        let result = ProcessMemory(copy, layout: layout.withLock { $0 }, dumpable: dumpable.load(ordering: .relaxed))
        result.processors.inherit(processors)
        result.membarrierRegistrations.store(membarrierRegistrations.load(ordering: .relaxed), ordering: .relaxed)
        return result
    }
}

extension PIDNamespace {
    /// clone3's set_tid: that id, or EEXIST; EINVAL for an impossible one.
    func allocate(_ wanted: Int32, _ proof: TreeLocked) throws(Errno) -> Int32 {
        guard wanted >= 1, wanted < Self.maximum else { throw .EINVAL }
        if tree[proof].isDying { throw .ENOMEM }
        if tree[proof].tasks[wanted] != nil || tree[proof].threadGroups[wanted] != nil || tree[proof].processGroups[wanted] != nil
            || tree[proof].sessions[wanted] != nil
        {
            throw .EEXIST
        }
        return wanted
    }
}

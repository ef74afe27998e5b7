import Host
public import LinuxABI
public import SentryMemory
import SentryPlatform
public import SentryVFS
import Synchronization

extension KernelTask {
    /// execve(2) with an opened file: runs another program in this process. On success the registers are the new program's and the caller's handler
    /// returns 0. Errors before the old program is gone are thrown; a failure after that ends the process. Own thread.
    public func execute(_ request: ProgramRequest) throws(Errno) {
        let program = try kernel.programLoader.load(request, for: self)
        let formerID = threadID
        do throws(Errno) {
            try becomeOnlyThread()
        } catch {
            program.memory.leave()
            throw error
        }
        // From here on there is no way back.
        timersExecute()
        if files.isShared {
            let copy = files.copy()
            let old = files
            updateResources { $0.files = copy }
            for file in old.leave() { file.releaseDescriptor(self) }
        }
        resetFloatingPoint()
        releaseMemory(isLast: true)
        threadGroup.signals.withLock { group in
            group.actions = group.actions.copy()
            group.actions.resetHandlers()
        }
        let old = credentials
        let new = program.execution.credentials
        updateResources { resources in
            resources.memory = program.memory
            resources.credentials = new
            resources.name = program.name
        }
        program.memory.startProcessorTime()
        let isPlain = new.user.effective == new.user.real && new.group.effective == new.group.real && !program.execution.isUnreadable
        program.memory.dumpable.store(isPlain ? 1 : 0, ordering: .relaxed)
        if program.execution.isSecure || old.user.effective != new.user.effective { parentDeathSignal.store(0, ordering: .relaxed) }
        if isTraced { program.memory.space.platformSpace.restoreCode() }
        program.memory.space.setLimits(threadGroup.limits.memoryLimits(mayLock: new.hasGlobally(.CAP_IPC_LOCK)))
        alternateStack = AlternateStack()
        debugRegisters = DebugRegisters()
        tracing.bitwiseAnd(~TraceMode.watch, ordering: .sequentiallyConsistent)
        robustList.store(0, ordering: .relaxed)
        clearThreadID = 0
        restartBlock = nil
        personality &= ~0x0440_0000
        kernel.tree.withLock { proof in
            threadGroup.tree[proof].didExecute = true
            threadGroup.tree[proof].exitSignal = Signal.SIGCHLD
        }
        for file in files.removeCloseOnExec() {
            try? file.flush(self)
            file.releaseDescriptor(self)
        }
        let call = registers.orig_rax
        registers = program.registers
        areFactsStale = true
        // The call is still seen by a tracer, and returns 0.
        registers.orig_rax = call
        keepRegisters = true
        pendingRestart = nil
        traceExecution(formerID: formerID)
    }

    /// The memory that the program of `execution` will replace, when its stub can be kept: nobody else uses it, and the old program, of which hostile code
    /// might still run there, may do all that the new one may, as through ptrace(2). Own thread.
    public func replaceableMemory(for execution: ExecutionCredentials) -> AddressSpace? {
        let old = credentials, new = execution.credentials
        guard let memory, memory.userCount == 1, threadGroup.threads.count == 1, !isTraced, !execution.isSecure, !execution.isUnreadable,
            memory.dumpable.load(ordering: .relaxed) == 1, new.user == old.user, new.group == old.group,
            new.permitted.isSubset(of: old.permitted)
        else { return nil }
        return memory.space
    }

    /// While the old address space still has its stub: a context may have to write to it. A dead stub does not matter, since the new program runs on
    /// another one, which starts fresh.
    private func resetFloatingPoint() {
        do {
            try context.resetFloatingPoint()
        } catch {
            if case .stubDied = error { return }
            forceSignal(.kernel(Signal.SIGKILL))
        }
    }

    /// Ends the other threads of the process and takes over the leader's id. EAGAIN when somebody else ends the process first.
    private func becomeOnlyThread() throws(Errno) {
        let isAlone = try threadGroup.signals.withLock { group throws(Errno) -> Bool in
            if group.exitStatus != nil || group.executing != nil { throw .EAGAIN }
            if group.threads.count == 1 { return true }
            group.executing = self
            for thread in group.threads where thread !== self { thread.post(Interrupt.exit) }
            return false
        }
        if !isAlone {
            while true {
                if threadGroup.signals.withLock({ $0.threads.count == 1 }) { break }
                if !blockKillable() {
                    threadGroup.signals.withLock { $0.executing = nil }
                    throw .EAGAIN
                }
            }
        }
        kernel.tree.withLock { proof in
            if !isLeader {
                // The old leader ends without a word to its tracer (ptrace(2), "execve(2) under ptrace").
                threadGroup.tree[proof].leader?.unlink(signal: 0, proof)
                namespace.tree[proof].tasks[threadID] = nil
                threadGroup.tree[proof].leader?.stateStorage.store(TaskState.dead.rawValue, ordering: .relaxed)
                threadIDStorage.store(processID, ordering: .relaxed)
                namespace.tree[proof].tasks[processID] = self
                threadGroup.tree[proof].leader = self
            }
            threadGroup.signals.withLock { $0.executing = nil }
        }
    }

    /// The identity that a program file gives to this task (execve(2), capabilities(7)): set-user-ID and set-group-ID bits, file capabilities, and the
    /// rules for root. For the loader, which needs it for the auxiliary vector.
    public func executionCredentials(of file: FileDescription) throws(Errno) -> ExecutionCredentials {
        let attributes = try file.attributes(self)
        let old = credentials
        // A program with privileges must not be in the hands of a tracer without.
        let tracer = kernel.tree.withLock { trace[$0].tracer }
        let isHeld = tracer.map { !$0.credentials.has(.CAP_SYS_PTRACE) } ?? false
        // Set-ID bits of a file whose owner or group the user namespace does not know mean nothing.
        let isForeign = attributes.isUserForeign || attributes.isGroupForeign
        let mayGain =
            !isHeld && !old.noNewPrivileges && !forcedNoNewPrivileges.load(ordering: .relaxed)
            && !file.path.mount.flags.contains(.noSetUserID)
        var user = old.user, group = old.group
        if mayGain, !isForeign, attributes.permissions & 0o4000 != 0 { user.effective = attributes.user }
        if mayGain, !isForeign, attributes.permissions & 0o2010 == 0o2010 { group.effective = attributes.group }
        let isSetID = user.effective != old.user.effective || group.effective != old.group.effective

        // File capabilities, or for root all of them.
        var filePermitted: Capabilities = [], fileInheritable: Capabilities = [], isFileEffective = false, hasFileCapabilities = false
        if mayGain, let inode = file.inode, let value = try? inode.extendedAttribute(Array("security.capability".utf8), self),
            let parsed = FileCapabilities(value)
        {
            (filePermitted, fileInheritable, isFileEffective) = (parsed.permitted, parsed.inheritable, parsed.isEffective)
            hasFileCapabilities = true
        }
        if old.secureBits & SecureBit.SECBIT_NOROOT == 0, user.effective == 0 || user.real == 0,
            !(hasFileCapabilities && user.real != 0 && user.effective == 0)
        {
            filePermitted = .all
            fileInheritable = .all
            if user.effective == 0 { isFileEffective = true }
        }
        let ambient: Capabilities = hasFileCapabilities || isSetID ? [] : old.ambient
        let permitted = old.inheritable.intersection(fileInheritable).union(filePermitted.intersection(old.bounding)).union(ambient)
        let effective = isFileEffective ? permitted : ambient
        if hasFileCapabilities, isFileEffective, !filePermitted.isSubset(of: permitted) { throw .EPERM }
        user.saved = user.effective
        user.fileSystem = user.effective
        group.saved = group.effective
        group.fileSystem = group.effective
        let isSecure = isSetID || (user.real != 0 && (isFileEffective || !permitted.isSubset(of: ambient)))
        var isReadable = true
        do { try file.inode?.checkAccess(.read, self) } catch { isReadable = false }
        let new = Credentials(
            user: user, group: group, groups: old.groups, permitted: permitted, effective: effective, inheritable: old.inheritable,
            bounding: old.bounding, ambient: ambient, secureBits: old.secureBits & ~SecureBit.SECBIT_KEEP_CAPS,
            noNewPrivileges: old.noNewPrivileges, userNamespace: old.userNamespace)
        return ExecutionCredentials(credentials: new, isSecure: isSecure, isUnreadable: !isReadable)
    }
}

/// The value of security.capability: struct vfs_cap_data of linux/capability.h, revisions 2 and 3.
struct FileCapabilities {
    var permitted: Capabilities
    var inheritable: Capabilities
    var isEffective: Bool

    init?(_ value: [UInt8]) {
        let bytes = StructureBytes(value)
        guard value.count >= 20 else { return nil }
        let magic: UInt32 = bytes.get(0)
        switch magic & 0xff00_0000 {
        case 0x0200_0000: guard value.count == 20 else { return nil }
        case 0x0300_0000: guard value.count == 24, bytes.get(20, as: UInt32.self) == 0 else { return nil }
        default: return nil
        }
        isEffective = magic & 1 != 0
        permitted = Capabilities(rawValue: UInt64(bytes.get(4, as: UInt32.self)) | UInt64(bytes.get(12, as: UInt32.self)) << 32)
            .intersection(.all)
        inheritable = Capabilities(rawValue: UInt64(bytes.get(8, as: UInt32.self)) | UInt64(bytes.get(16, as: UInt32.self)) << 32)
            .intersection(.all)
    }
}

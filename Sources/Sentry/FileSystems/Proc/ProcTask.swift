import Host
import LinuxABI
import SentryKernel
import SentryVFS
import Synchronization

/// The process or thread that a directory of proc is about.
struct ProcTask: Sendable {
    let task: KernelTask
    /// A directory below `task/`, which is about one thread, not the process.
    let isThread: Bool

    var group: ThreadGroup { task.threadGroup }
    var identifier: Int32 { isThread ? task.threadID : task.processID }

    /// Whether it is still to be found: processes until they are reaped, threads until they exit.
    func isPresent() -> Bool {
        task.kernel.tree.withLock { proof in
            if isThread { return task.namespace.task(task.threadID, proof) === task }
            return task.namespace.threadGroup(task.processID, proof) === group
        }
    }

    /// PTRACE_MODE_READ_FSCREDS (ptrace(2), "Ptrace access mode checking"): EACCES, or ESRCH when the task is gone.
    func checkReadable(_ context: any FileContext) throws(Errno) {
        guard let reader = context as? KernelTask, reader.threadGroup !== group else { return }
        let mine = reader.credentials, theirs = task.credentials
        if mine.has(.CAP_SYS_PTRACE) { return }
        let user = mine.user.fileSystem, groupID = mine.group.fileSystem
        guard user == theirs.user.effective, user == theirs.user.saved, user == theirs.user.real, groupID == theirs.group.effective,
            groupID == theirs.group.saved, groupID == theirs.group.real
        else { throw .EACCES }
        if let memory = task.memory, memory.dumpable.load(ordering: .relaxed) != 1 { throw .EACCES }
        guard theirs.permitted.isSubset(of: mine.permitted) else { throw .EACCES }
    }

    /// The same as a question.
    func isReadable(_ context: any FileContext) -> Bool {
        do throws(Errno) {
            try checkReadable(context)
            return true
        } catch { return false }
    }

    /// Who owns the directory.
    var owner: (user: UInt32, group: UInt32) { (task.credentials.user.effective, task.credentials.group.effective) }
    /// Who owns its files: root, for processes that are not dumpable.
    var fileOwner: (user: UInt32, group: UInt32) {
        if let memory = task.memory, memory.dumpable.load(ordering: .relaxed) != 1 { return (0, 0) }
        return owner
    }
    /// The letter of ps(1) and its word.
    var stateLetter: (letter: String, word: String) {
        if task.state == .zombie || (!isThread && group.isZombie) { return ("Z", "zombie") }
        if task.state == .dead { return ("X", "dead") }
        if task.state == .traced { return ("t", "tracing stop") }
        if group.isStopped { return ("T", "stopped") }
        switch task.state {
        case .running: return ("R", "running")
        case .uninterruptible: return ("D", "disk sleep")
        case .stopped: return ("T", "stopped")
        default: return ("S", "sleeping")
        }
    }
}

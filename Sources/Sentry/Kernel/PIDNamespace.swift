import LinuxABI

/// Process ids of one container, or of several that share them (pid_namespaces(7)). Every task lives in exactly one.
public final class PIDNamespace: Sendable {
    /// The number in /proc/PID/ns/pid.
    public let identifier: UInt64
    /// One more than the largest id: kernel.pid_max of Linux on 64 bits.
    public static let maximum: Int32 = 4_194_304
    /// Ids below this one are not used again after the first round.
    private static let reserved: Int32 = 300

    struct State {
        var tasks: [Int32: KernelTask] = [:]
        var threadGroups: [Int32: ThreadGroup] = [:]
        var processGroups: [Int32: ProcessGroup] = [:]
        var sessions: [Int32: Session] = [:]
        var last: Int32 = 0
        /// Process 1, once there is one.
        var initGroup: ThreadGroup?
        /// Process 1 has exited: no new process may start.
        var isDying = false
    }
    let tree: TreeProtected<State>

    init(identifier: UInt64) {
        self.identifier = identifier
        tree = TreeProtected(State())
    }

    /// A free id, or EAGAIN when all are in use; ENOMEM once process 1 is gone.
    func allocate(_ proof: TreeLocked) throws(Errno) -> Int32 {
        if tree[proof].isDying { throw .ENOMEM }
        var candidate = tree[proof].last
        for _ in 0..<Self.maximum {
            candidate = candidate + 1 >= Self.maximum ? Self.reserved : candidate + 1
            if tree[proof].tasks[candidate] == nil, tree[proof].threadGroups[candidate] == nil, tree[proof].processGroups[candidate] == nil,
                tree[proof].sessions[candidate] == nil
            {
                tree[proof].last = candidate
                return candidate
            }
        }
        throw .EAGAIN
    }

    /// The thread with that id.
    public func task(_ identifier: Int32, _ proof: TreeLocked) -> KernelTask? { tree[proof].tasks[identifier] }
    /// The process with that id, zombies included.
    public func threadGroup(_ identifier: Int32, _ proof: TreeLocked) -> ThreadGroup? { tree[proof].threadGroups[identifier] }
    public func processGroup(_ identifier: Int32, _ proof: TreeLocked) -> ProcessGroup? { tree[proof].processGroups[identifier] }
    /// All processes, zombies included, by ascending id.
    public func threadGroups(_ proof: TreeLocked) -> [ThreadGroup] {
        tree[proof].threadGroups.values.sorted { $0.processID < $1.processID }
    }
    /// Process 1.
    public func initGroup(_ proof: TreeLocked) -> ThreadGroup? { tree[proof].initGroup }
}

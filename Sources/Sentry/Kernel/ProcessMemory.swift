public import Host
import LinuxABI
public import SentryMemory
public import SentryVFS
public import Synchronization

/// An address space with what the kernel knows about the program in it (Linux: struct mm_struct). Shared by CLONE_VM.
public final class ProcessMemory: Sendable {
    public let space: AddressSpace

    /// Where the loader put things; proc shows them.
    public struct Layout: Sendable {
        /// The program's file, behind /proc/PID/exe.
        public var executable: Path?
        /// Guest addresses of the argument strings.
        public var arguments: Range<UInt64> = 0..<0
        /// Guest addresses of the environment strings.
        public var environment: Range<UInt64> = 0..<0
        /// The auxiliary vector as the program got it.
        public var auxiliaryVector: [UInt8] = []
        public var startCode: UInt64 = 0
        public var endCode: UInt64 = 0
        public var startStack: UInt64 = 0
        public init() {}
    }
    public let layout: Lock<Layout>
    /// prctl(PR_SET_DUMPABLE): 0 not, 1 dumpable, 2 as root only.
    public let dumpable: Atomic<Int32>
    /// membarrier(2) registrations (MEMBARRIER_CMD_* bits).
    public let membarrierRegistrations = Atomic<UInt32>(0)
    let processors = VirtualProcessors()
    /// One division of user time at a time.
    let dividing = Lock<Void>(())
    /// Processor time of its stub process that has been divided among its tasks, or was another program's, in nanoseconds.
    let processorBase = Atomic<UInt64>(0)
    /// Tasks that run in it.
    private let users = Atomic<Int>(1)

    public init(_ space: AddressSpace, layout: Layout, dumpable: Int32 = 1) {
        self.space = space
        self.layout = Lock(layout)
        self.dumpable = Atomic(dumpable)
    }

    /// Another task runs in it.
    func share() { users.add(1, ordering: .relaxed) }
    /// A task leaves; the last one gives the memory back.
    func leave() {
        if users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { space.destroy() }
    }
    /// How many tasks run in it.
    public var userCount: Int { users.load(ordering: .relaxed) }
}

/// An event that happens once and that one or more threads may wait for.
public final class Completion: Sendable {
    private struct State {
        var isDone = false
        var waiter: KernelTask?
    }
    private let state = Lock(State())
    init() {}
    var isDone: Bool { state.withLock { $0.isDone } }
    func setWaiter(_ task: KernelTask?) { state.withLock { $0.waiter = task } }
    func complete() {
        let waiter = state.withLock { state -> KernelTask? in
            state.isDone = true
            return state.waiter
        }
        waiter?.parker.unpark()
    }
}

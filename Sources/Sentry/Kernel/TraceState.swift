import LinuxABI

/// Who traces whom (ptrace(2)). Protected by the tree lock.
struct TraceLinks: Sendable {
    /// The thread that traces this one.
    var tracer: KernelTask?
    var options: TraceOptions = []
    /// Threads that this one traces, oldest first. Exited ones stay until they are waited for.
    var tracees: [KernelTask] = []
    /// This thread has exited, and its tracer has yet to be told.
    var exit: ThreadExit?
}

/// How a traced thread ended.
struct ThreadExit: Sendable {
    var status: Int32
    var usage: Usage
}

/// What a tracer wants of its tracee; bits of `KernelTask.tracing`, so that the path of an untraced task looks at one word.
enum TraceMode {
    static let traced: UInt32 = 1
    /// Attached by PTRACE_SEIZE.
    static let seized: UInt32 = 2
    /// Stop at the entry and exit of system calls.
    static let calls: UInt32 = 4
    /// Stop at the entry of system calls and do not make them.
    static let emulation: UInt32 = 8
    /// Stop after one instruction.
    static let step: UInt32 = 16
    /// Debug registers are in use: look after each instruction.
    static let watch: UInt32 = 32
    static let resumption = calls | emulation | step
}

/// A ptrace stop. Behind its own lock, a leaf: whoever holds it may touch the registers of a task that stands in a stop.
struct TraceStop: Sendable {
    /// What wait(2) tells above the low byte, a signal and an event, while the thread stands in a stop.
    var code: Int32?
    /// The stop shows a signal that is about to be delivered.
    var isDelivery = false
    /// wait(2) has told it.
    var isReported = false
    /// PTRACE_GETSIGINFO; nil in a group stop.
    var info: SignalInfo?
    /// PTRACE_GETEVENTMSG; stays after the stop.
    var message: UInt64 = 0
    /// PTRACE_LISTEN: the stop goes on, but the tracer can only wait.
    var isListening = false
    /// The tracer has let the thread go on, with this signal.
    var resumption: Int32?
    /// The tracer has written the registers.
    var didChangeRegisters = false
    /// Something that only the stopped thread's host thread can do.
    var job: TraceJob?

    /// Whether the tracer may work on the thread.
    var isOpen: Bool { code != nil && !isListening && resumption == nil }
}

/// Work that a tracer leaves with a stopped tracee, since the platform serves the floating-point state to the own thread alone.
final class TraceJob: Sendable {
    private let body: @Sendable (KernelTask) -> Void
    let completion = Completion()
    init(_ body: @escaping @Sendable (KernelTask) -> Void) { self.body = body }
    func run(_ task: KernelTask) {
        body(task)
        completion.complete()
    }
    /// The thread leaves its stop without having done it.
    func drop() { completion.complete() }
}

public import Host
public import LinuxABI

/// The page size of x86-64, in bytes.
public let pageSize: UInt64 = 4096

/// What guest code may do with a mapping. Raw values are PROT_READ, PROT_WRITE and PROT_EXEC.
@frozen public struct Protection: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    @inlinable public static var none: Protection { [] }
    @inlinable public static var read: Protection { Protection(rawValue: 1) }
    @inlinable public static var write: Protection { Protection(rawValue: 2) }
    @inlinable public static var execute: Protection { Protection(rawValue: 4) }
    @inlinable public static var all: Protection { [.read, .write, .execute] }
}

/// What lies behind a mapping of a stub.
public enum MappingSource: Sendable {
    /// The container's memory file, given to `makeAddressSpace`.
    case memoryFile
    /// Another host file; the stub holds the descriptor for the length of the batch only.
    case descriptor(SharedDescriptor)
}

/// One change of a stub's memory. Addresses, lengths and offsets are multiples of the page size.
public enum MappingOperation: Sendable {
    /// Maps `length` bytes of `file` shared (host MAP_SHARED | MAP_FIXED) at `address`, replacing what is there. `populate`: the pages are there
    /// already and will be used at once, so that mapping them now saves a fault each.
    case map(address: UInt64, length: UInt64, protection: Protection, file: MappingSource, offset: UInt64, populate: Bool = false)
    case unmap(address: UInt64, length: UInt64)
    case protect(address: UInt64, length: UInt64, protection: Protection)

    /// The addresses that it is about.
    public var range: Range<UInt64> {
        switch self {
        case .map(let address, let length, _, _, _, _), .unmap(let address, let length), .protect(let address, let length, _):
            address..<address &+ length
        }
    }
}

/// A way to run guest instructions: hands every system call, fault and interrupt to the Sentry. See docs/design for the three platforms.
///
/// All of this may be called from any thread, except where `ExecutionContext` says otherwise.
public protocol Platform: AnyObject, Sendable {
    /// `ptrace`, `systrap`, `kvm` or `null`.
    var name: String { get }
    /// Lowest address that guest mappings may have.
    var minimumGuestAddress: UInt64 { get }
    /// First address above all guest mappings.
    var maximumGuestAddress: UInt64 { get }
    /// Where every address space has a vDSO (AT_SYSINFO_EHDR), or nil.
    var vdsoAddress: UInt64? { get }
    /// Where the platform may map memory of its own in the middle of guest memory (`GuestCode.mapTrampolines`); heaps begin above it.
    var trampolines: Range<UInt64>? { get }
    /// An empty address space whose `MappingSource.memoryFile` is `memory`.
    func makeAddressSpace(memory: SharedDescriptor) throws(Errno) -> any PlatformAddressSpace
    /// A place for one guest task's processor state, with fresh floating-point state.
    func makeContext() throws(Errno) -> any ExecutionContext
    /// Gives memory that nothing uses now back to the host: guests rest.
    func releaseMemory()
}

extension Platform {
    public func releaseMemory() {}
}

/// One guest address space as the platform sees it.
public protocol PlatformAddressSpace: AnyObject, Sendable {
    /// Makes the changes in order, in one trip; until guest code runs here for the first time it may put them off, and then the first `run` fails for
    /// them. On an error the ones before the failing one have been made; which they are is not told, so the caller maps again or destroys.
    /// ESRCH: the stub is dead (`deathReason`).
    func apply(_ operations: [MappingOperation]) throws(Errno)
    /// Guest code may be running here, so that every `apply` is a trip.
    var isInhabited: Bool { get }
    /// Set once guest code can never run here again.
    var deathReason: StubDeath? { get }
    /// The host process behind it, in the Sentry's PID namespace, for logs and tests; nil where there is none.
    var hostProcess: Int32? { get }
    /// The guest's code, which the platform may change to shorten its system calls. Held weakly.
    func attach(_ code: any GuestCode)
    /// The memory is a copy of `parent`'s, with all that the platform has changed in it (fork).
    func inherit(from parent: any PlatformAddressSpace)
    /// Puts back what the platform has changed in the guest's code, and changes nothing from now on: somebody debugs it.
    func restoreCode()
    /// An address space for the program that follows in the same process (execve), which takes the stub over when this one is destroyed; until then its changes
    /// wait. nil where that cannot be. Only for a program that may do as the one before pleases: code of that could still be running.
    func makeSuccessor() -> (any PlatformAddressSpace)?
    /// Ends the stub. Threads inside `run` come back with `stubDied(.destroyed)`. Idempotent.
    func destroy()
    /// As `destroy`, which need not have been called, and calls `release` once no guest code can touch the memory any more: now or later, on any thread.
    func destroy(then release: @escaping @Sendable () -> Void)
}

/// What a task may know about itself without asking: the answers of getpid(2), gettid(2), getuid(2) and their like.
public struct TaskFacts: Sendable {
    public var processID, threadID: Int32
    public var user, effectiveUser, group, effectiveGroup: UInt32

    public init(processID: Int32, threadID: Int32, user: UInt32, effectiveUser: UInt32, group: UInt32, effectiveGroup: UInt32) {
        self.processID = processID
        self.threadID = threadID
        self.user = user
        self.effectiveUser = effectiveUser
        self.group = group
        self.effectiveGroup = effectiveGroup
    }
}

/// What became of a call that a `CallServer` was to make.
public enum ServedCall: Sendable {
    /// The result is in the registers.
    case answered
    /// It cannot go on yet. `ExecutionContext.retryCall` tells when to try again.
    case waiting
    /// Nothing was done: somebody else holds what it needs, for a moment as a rule. To be tried again soon.
    case busy
    /// Nothing was done: the task's own thread has to make it.
    case refused
}

/// Makes system calls of a task for its own host thread, which is in `ExecutionContext.run` meanwhile: such as take next to no time and are nobody else's business.
public protocol CallServer: AnyObject, Sendable {
    /// Whether it makes such calls as that of `registers`, with the number in RAX. The own thread asks.
    func serves(_ registers: Registers) -> Bool
    /// Makes the call of `registers`, which are as after `.systemCall`, or tries again to make the one that waits. One thread at a time.
    func serve(_ registers: inout Registers) -> ServedCall
    /// Forgets the call that waits, if any: the own thread will make it.
    func stopServing()
}

/// The processor state of one guest task. Everything except `interrupt()` is for the task's own host thread only;
/// `copyFloatingPoint(from:)` is called by the parent's thread before the child's first `run`.
public protocol ExecutionContext: AnyObject, Sendable {
    /// Runs guest code from `registers` until something happens, and stores the registers back. `space` may differ from the one of the run before
    /// (execve). Never returns without an event; a dead stub is `PlatformError.stubDied`.
    func run(_ registers: inout Registers, in space: any PlatformAddressSpace) throws(PlatformError) -> Event
    /// Makes the current `run`, or the next one when none is in progress, return `.interrupted` soon. Any thread, any time. Several calls before
    /// the return count as one. An event that happens at the same moment comes first; the interrupt then stays pending.
    func interrupt()
    /// The task is about to wait for something, and is not running until its next `run`: its CPU may serve another task meanwhile. Own thread.
    func suspend()
    /// Looks for a wake-up of `parker` for a moment, when experience says that it comes soon and the CPU is not needed: whether it came. Otherwise the task
    /// sleeps, and `suspend` goes before, `wasWoken` follows. Own thread.
    func look(for parker: Parker) -> Bool
    /// The task was woken by a thread that runs on the host's CPU `number`; a hint. Own thread.
    func wasWoken(from number: Int32)
    /// Who makes calls in place of `run` returning them, when the platform finds that better; nil for nobody. Own thread.
    func setServer(_ server: (any CallServer)?)
    /// The call that was left `waiting` may go on. Any thread; takes no lock. A thread that sleeps and is to be rung.
    func retryCall() -> Parker?
    /// What the platform may answer by itself from now on, without an event: nil for nothing. Own thread.
    func setFacts(_ facts: TaskFacts?)
    /// Nothing, for good. Any thread.
    func withdrawFacts()
    /// Lets others run before the task goes on, at the latest in its next `run` (sched_yield(2)). Own thread.
    func yield()
    /// Withdraws a pending interrupt, if any (a task calls it when it has already looked at what it was to be interrupted for).
    func clearInterrupt()
    /// Puts the XSAVE image (standard format, as PTRACE_GETREGSET NT_X86_XSTATE gives it) in place of what `image` holds. One that has its size need not be
    /// allocated anew.
    func readFloatingPoint(into image: inout [UInt8]) throws(PlatformError)
    /// Loads an XSAVE image; `host(EINVAL)` when the processor would refuse it.
    func writeFloatingPoint(_ image: Span<UInt8>) throws(PlatformError)
    /// The state a new program starts with (execve).
    func resetFloatingPoint() throws(PlatformError)
    /// Takes the state of `parent` (clone). Called on the parent's thread.
    func copyFloatingPoint(from parent: any ExecutionContext) throws(PlatformError)
    /// Gives the host thread behind this context back. The context is not used again.
    func release()
}

extension PlatformAddressSpace {
    public var isInhabited: Bool { false }
    public func attach(_ code: any GuestCode) {}
    public func inherit(from parent: any PlatformAddressSpace) {}
    public func restoreCode() {}
    public func makeSuccessor() -> (any PlatformAddressSpace)? { nil }
    public func destroy(then release: @escaping @Sendable () -> Void) {
        destroy()
        release()
    }
    public var hostProcess: Int32? { nil }
}

extension ExecutionContext {
    /// The XSAVE image.
    public func readFloatingPoint() throws(PlatformError) -> [UInt8] {
        var image: [UInt8] = []
        try readFloatingPoint(into: &image)
        return image
    }
    public func suspend() {}
    public func look(for parker: Parker) -> Bool { false }
    public func wasWoken(from number: Int32) {}
    public func setServer(_ server: (any CallServer)?) {}
    public func retryCall() -> Parker? { nil }
    public func setFacts(_ facts: TaskFacts?) {}
    public func withdrawFacts() {}
    public func yield() { HostThread.yield() }
}

extension Platform {
    public var trampolines: Range<UInt64>? { nil }
    public var vdsoAddress: UInt64? { nil }
}

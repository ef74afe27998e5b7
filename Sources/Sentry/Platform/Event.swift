public import LinuxABI

/// How guest code touched memory when it faulted.
@frozen public enum AccessKind: Sendable, Hashable {
    case read, write, execute
}

/// A processor exception raised by guest code.
@frozen public struct FaultInfo: Sendable, Hashable {
    /// SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP (signal(7) numbers).
    public var signal: Int32
    /// si_code as the host reported it (sigaction(2)).
    public var code: Int32
    /// si_addr: the touched address for SIGSEGV and SIGBUS, the instruction's otherwise. 0 when the processor names none (general protection).
    public var address: UInt64
    /// nil when the platform cannot tell reading from writing.
    public var access: AccessKind?
    @inlinable public init(signal: Int32, code: Int32, address: UInt64, access: AccessKind?) {
        self.signal = signal
        self.code = code
        self.address = address
        self.access = access
    }
}

/// Why a guest thread gave control back.
@frozen public enum Event: Sendable, Hashable {
    /// A `syscall` instruction: `orig_rax` holds the number, `rax` is -ENOSYS, `rip` stands after the instruction.
    case systemCall
    /// An exception; the registers are those of the faulting instruction (of the next one for traps).
    case fault(FaultInfo)
    /// `ExecutionContext.interrupt()` was called.
    case interrupted
}

/// Why guest code can no longer run in an address space.
public enum StubDeath: Sendable, Hashable {
    /// Killed by a signal that did not come from the guest's own doing.
    case killed(signal: Int32)
    /// Ended with a status.
    case exited(status: Int32)
    /// Did something that a stub never does; the reason is for the log.
    case misbehaved(String)
    /// A mapping operation failed half-way, so that stub and Sentry disagree about memory.
    case mappingFailed(Errno)
    /// `destroy()` was called.
    case destroyed
}

/// Failures of a platform that are not the guest's.
public enum PlatformError: Error, Sendable, Hashable {
    /// The stub process is gone: every task in this address space must end.
    case stubDied(StubDeath)
    /// A host call failed.
    case host(Errno)
}

import CPlatform
public import Host
public import LinuxABI
import Synchronization

/// Guest code under PTRACE_SYSEMU in stub processes.
///
/// Lock order, outermost first: `PtraceAddressSpace.channel`, `StubSource.state`, `Placement.state`. None is held while guest code runs.
public final class PtracePlatform: Platform {
    public let name = "ptrace"
    public let minimumGuestAddress: UInt64 = 0x1_0000
    public let maximumGuestAddress: UInt64

    private let source: StubSource
    private let placement: Placement

    /// What isolation of isolation.md the host did not grant to stubs; empty where all of it holds.
    public let missingIsolation: [String]
    /// The source stub's process, PID 1 of the stubs' PID namespace, as the caller sees it.
    public var sourceProcess: Int32 { source.process }

    /// Starts the source stub. Call it before the process confines itself; `newNetwork` false lets the stubs live in the caller's (empty) network
    /// namespace instead of one of their own.
    public static func start(newNetwork: Bool = true) throws(Errno) -> PtracePlatform {
        cplatform_quiet_children()
        return PtracePlatform(source: try StubSource(newNetwork: newNetwork), placement: try Placement())
    }

    private init(source: StubSource, placement: Placement) {
        self.source = source
        self.placement = placement
        maximumGuestAddress = cplatform_stub_base()
        var missing: [String] = []
        if source.missing & Int32(CPLATFORM_MISSING_USER_NAMESPACE) != 0 { missing.append("user namespace") }
        if source.missing & Int32(CPLATFORM_MISSING_EMPTY_ROOT) != 0 { missing.append("empty root directory") }
        missingIsolation = missing
    }

    public func makeAddressSpace(memory: SharedDescriptor) throws(Errno) -> any PlatformAddressSpace {
        PtraceAddressSpace(stub: try source.take(), memory: memory)
    }

    public func makeContext() throws(Errno) -> any ExecutionContext { PtraceContext(placement: placement) }
}

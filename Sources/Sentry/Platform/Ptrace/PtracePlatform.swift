import CPlatform
public import Host
public import LinuxABI

/// Guest code under PTRACE_SYSEMU in stub processes.
///
/// Host calls at run time, after confinement: ptrace (requests GETREGS 12, SETREGS 13, DETACH 17, SYSEMU 31, GETSIGINFO 0x4202, GETREGSET 0x4204,
/// SETREGSET 0x4205, SEIZE 0x4206, INTERRUPT 0x4207, LISTEN 0x4208, SETSIGMASK 0x420b), wait4(tid, __WALL), tgkill(SIGURG), ioctl of seccomp
/// listeners (NOTIF_RECV, NOTIF_SEND, NOTIF_ADDFD, NOTIF_SET_FLAGS), poll, recvmsg and sendmsg on the source's socket, pidfd_send_signal (SIGKILL,
/// SIGCONT), sched_setaffinity, gettid, close. It needs CAP_SYS_PTRACE over the stubs' user namespace only where Yama restricts ptrace to it.
///
/// Lock order, outermost first: `Stub.channel`, `StubSource.state`, `Placement.state`. None is held while guest code runs.
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

    public var vdsoAddress: UInt64? { source.hasVDSO ? cplatform_stub_vdso() : nil }

    public func makeAddressSpace(memory: SharedDescriptor) throws(Errno) -> any PlatformAddressSpace {
        StubAddressSpace(Stub(try source.take(), memory: memory))
    }

    public func makeContext() throws(Errno) -> any ExecutionContext { PtraceContext(placement: placement) }
}

/// For tests of the second wall only.
@_spi(Testing) extension PtracePlatform {
    /// Runs guest code without PTRACE_SYSEMU: the signal that the stub's own filter raised.
    public static func runWithoutInterception(
        _ context: any ExecutionContext, _ registers: inout Registers, in space: any PlatformAddressSpace
    ) throws(PlatformError) -> Int32 {
        guard let context = context as? PtraceContext else { throw .host(.EINVAL) }
        return try context.runWithoutInterception(&registers, in: space)
    }

    /// Where the stub's own code makes its calls: the addresses of the instructions themselves.
    public static var serviceInstructions: [UInt64] {
        var addresses = [UInt64](repeating: 0, count: 64)
        // SAFETY: the call stores at most as many as it is told of.
        let count = unsafe cplatform_instructions(&addresses, Int32(addresses.count))
        return Array(addresses.prefix(Int(count)))
    }
    public static var ringAddress: UInt64 { cplatform_stub_ring() }
}

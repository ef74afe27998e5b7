import CPlatform
public import Host
public import LinuxABI

/// Guest code in stub processes that take its signals themselves: a refused system call raises SIGSYS, whose frame lies in memory shared with the
/// Sentry and holds the guest's registers. See docs/design/platform.
///
/// Host calls at run time, after confinement: those of `StubAddressSpace` (ioctl of seccomp listeners, poll, recvmsg and sendmsg on the source's socket,
/// pidfd_send_signal), futex on slots, tgkill(SIGURG), sched_setaffinity, gettid, getcpu, epoll_ctl and epoll_wait on process descriptors.
///
/// Lock order, outermost first: `CallSites.patching`, the guest code's own lock (`AddressSpace.state`), `CallSites.state`, `Stub.channel`,
/// `StubPool.state`, `StubMonitor.state`, `CallService.arrivals`, `StubEnding.state`, `SlotTable.state`, `StubShare.furtherChunks`, `StubSource.state`, `Placement.lock`. None is held while guest code runs.
public final class SystrapPlatform: Platform {
    public let name = "systrap"
    public let minimumGuestAddress: UInt64 = 0x1_0000
    public let maximumGuestAddress = cplatform_stub_base()

    private let source: StubSource
    private let placement: Placement
    private let pool: StubPool
    private let services: CallServices

    /// The source stub's process, PID 1 of the stubs' PID namespace, as the caller sees it.
    public var sourceProcess: Int32 { source.process }
    public var vdsoAddress: UInt64? { source.hasVDSO ? cplatform_stub_vdso() : nil }

    public var trampolines: Range<UInt64>? { CallSites.area }

    /// Why this host cannot have the platform, or nil.
    public static var obstacle: String? {
        cplatform_systrap_supported() != 0 ? nil : "the processor or the host kernel lacks FSGSBASE"
    }

    /// Starts the source stub. Call it before the process confines itself; `newNetwork` as in `PtracePlatform.start`.
    public static func start(newNetwork: Bool = true) throws(Errno) -> SystrapPlatform {
        if obstacle != nil { throw .EOPNOTSUPP }
        cplatform_quiet_children()
        return SystrapPlatform(
            source: try StubSource(newNetwork: newNetwork, slots: true), placement: try Placement(), monitor: try StubMonitor())
    }

    private init(source: StubSource, placement: Placement, monitor: StubMonitor) {
        self.source = source
        self.placement = placement
        services = CallServices(placement)
        pool = StubPool { memory throws(Errno) in
            let stub = Stub(try source.take(), memory: memory)
            try monitor.watch(stub)
            return StubAddressSpace(stub)
        }
    }

    public func makeAddressSpace(memory: SharedDescriptor) throws(Errno) -> any PlatformAddressSpace {
        try pool.take(memory)
    }

    public func releaseMemory() { source.releaseSlots() }

    public func makeContext() throws(Errno) -> any ExecutionContext { SystrapContext(placement: placement, services: services) }
}

/// For tests of hostile guests only.
@_spi(Testing) extension SystrapPlatform {
    /// The stub's code, header and filters included.
    public static var code: Range<UInt64> { cplatform_stub_base()..<cplatform_stub_code_end() }
    /// The slots of an address space's first guest threads.
    public static var slots: Range<UInt64> {
        cplatform_stub_slots()..<cplatform_stub_slots() + UInt64(cplatform_slot_size() * cplatform_chunk_slots())
    }
    public static var slotSize: UInt64 { UInt64(cplatform_slot_size()) }
    /// Where in a slot a thread without frame keeps its floating-point state.
    public static var stateOffset: UInt64 { UInt64(cplatform_state_offset()) }
    /// Where a thread gives its turn, as at the end of every event: RBX is its slot, R12 its frame.
    public static var give: UInt64 { cplatform_stub_given_address() - 7 }
    /// Where a new thread unblocks its signals, and the address of the set.
    public static var unblocking: (instruction: UInt64, set: UInt64) {
        (cplatform_stub_unblock_address(), cplatform_stub_no_signals_address())
    }
}

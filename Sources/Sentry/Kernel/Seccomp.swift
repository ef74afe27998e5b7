import Diagnostics
import Host
public import LinuxABI
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

/// Filters in the order they were added, with the verdicts that depend on the call's number only. Shared by tasks that inherit it; immutable but for
/// the cache.
public final class SeccompChain: Sendable {
    let filters: [SeccompFilter]
    /// By number: the verdict in the lower half, bit 32 set when it is known.
    private let cache: Lock<[UInt64]>
    /// Instructions of all filters, with Linux's penalty of 4 per filter (MAX_INSNS_PER_PATH).
    let length: Int
    private static let maximumLength = 32768

    init(_ filters: [SeccompFilter]) throws(Errno) {
        self.filters = filters
        length = filters.reduce(0) { $0 + $1.instructions.count + 4 }
        if length > Self.maximumLength { throw .ENOMEM }
        cache = Lock([UInt64](repeating: 0, count: 512))
    }

    /// The most restrictive verdict; of equal actions, the newest filter's data.
    func run(_ data: borrowing SeccompData) -> UInt32 {
        let number = Int(data.words[0])
        if number < 512 {
            let known = cache.withLock { $0[number] }
            if known != 0 { return UInt32(truncatingIfNeeded: known) }
        }
        var verdict = SeccompAction.SECCOMP_RET_ALLOW
        var isConstant = true
        for filter in filters.reversed() {
            let (result, constant) = filter.run(data)
            isConstant = isConstant && constant
            if Int32(bitPattern: result & SeccompAction.SECCOMP_RET_ACTION_FULL)
                < Int32(bitPattern: verdict & SeccompAction.SECCOMP_RET_ACTION_FULL)
            {
                verdict = result
            }
        }
        if isConstant, number < 512 { cache.withLock { $0[number] = 1 << 32 | UInt64(verdict) } }
        return verdict
    }

    /// Whether this chain grew out of `other`.
    func extends(_ other: SeccompChain?) -> Bool {
        guard let other else { return true }
        guard other.filters.count <= filters.count else { return false }
        return zip(other.filters, filters).allSatisfy { $0 === $1 }
    }
}

/// The seccomp mode of one task.
struct SeccompState: Sendable {
    var chain: SeccompChain?
    /// SECCOMP_MODE_STRICT
    var isStrict = false
    var isActive: Bool { isStrict || chain != nil }

    init() {}
    /// Filters of a container's configuration: verified already, and too few to be too long.
    init(filters: [SeccompFilter]) { chain = filters.isEmpty ? nil : try? SeccompChain(filters) }
}

/// What the task loop does with a call.
enum SeccompDecision {
    case allow
    /// A tracer has decided, and may have changed the call.
    case changed
    /// The call is not made; this is its result.
    case answer(Int)
    /// The registers or signals have been changed already.
    case handled
}

extension KernelTask {
    /// The mode for prctl(PR_GET_SECCOMP) and proc: 0, 1 or 2. Any thread.
    public var seccompMode: Int { seccomp.withLock { $0.isStrict ? 1 : $0.chain != nil ? 2 : 0 } }
    /// How many filters there are. Any thread.
    public var seccompFilterCount: Int { seccomp.withLock { $0.chain?.filters.count ?? 0 } }

    /// Asks the filters about a call. Own thread.
    /// `isDecided`: a tracer has been asked already.
    func checkSeccomp(_ number: SystemCallNumber, _ arguments: borrowing SyscallArguments, isDecided: Bool = false) -> SeccompDecision {
        let state = seccomp.withLock { $0 }
        if state.isStrict {
            if [SystemCallNumber.read, .write, .exit, .rt_sigreturn].contains(number) { return .allow }
            endBySeccomp(Signal.SIGKILL, wholeProcess: false)
            return .handled
        }
        guard let chain = state.chain else { return .allow }
        let data = SeccompData(
            number: UInt32(truncatingIfNeeded: number.rawValue), instructionPointer: registers.rip, arguments: arguments.words)
        let verdict = chain.run(data)
        let value = verdict & SeccompAction.SECCOMP_RET_DATA
        switch verdict & SeccompAction.SECCOMP_RET_ACTION_FULL {
        case SeccompAction.SECCOMP_RET_ALLOW: return .allow
        case SeccompAction.SECCOMP_RET_LOG:
            Log.info("seccomp of \(container.identifier): task \(threadID) calls \(number)")
            return .allow
        case SeccompAction.SECCOMP_RET_ERRNO: return .answer(-Int(min(value, 4095)))
        case SeccompAction.SECCOMP_RET_TRACE: return isDecided ? .changed : askTracer(value)
        case SeccompAction.SECCOMP_RET_USER_NOTIF:
            // There is no listener: Linux answers ENOSYS then.
            return .answer(-Int(Errno.ENOSYS.rawValue))
        case SeccompAction.SECCOMP_RET_TRAP:
            registers.rax = registers.orig_rax
            forceSignal(seccompInfo(number, Int32(value)))
            return .handled
        case SeccompAction.SECCOMP_RET_KILL_THREAD where threadGroup.threadCount > 1:
            noteKill(number)
            endBySeccomp(Signal.SIGSYS, wholeProcess: false)
            return .handled
        default:
            noteKill(number)
            threadGroup.actions.set(Signal.SIGSYS, SignalAction())
            forceSignal(seccompInfo(number, Int32(value)))
            return .handled
        }
    }

    /// SECCOMP_RET_TRACE: ENOSYS without a tracer that wants to know. What the tracer makes of the call is checked again.
    private func askTracer(_ value: UInt32) -> SeccompDecision {
        guard traceSeccomp(value) else { return .answer(-Int(Errno.ENOSYS.rawValue)) }
        if interrupts.load(ordering: .sequentiallyConsistent) & Interrupt.exit != 0 { return .handled }
        let number = SystemCallNumber(rawValue: UInt64(UInt32(truncatingIfNeeded: registers.orig_rax)))
        if number.rawValue == 0xffff_ffff { return .handled }
        let arguments = SyscallArguments([registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9])
        let decision = checkSeccomp(number, arguments, isDecided: true)
        if case .allow = decision { return .changed }
        return decision
    }

    private func noteKill(_ number: SystemCallNumber) {
        Log.info("seccomp of \(container.identifier) kills task \(threadID) for \(number)")
    }

    private func seccompInfo(_ number: SystemCallNumber, _ value: Int32) -> SignalInfo {
        var info = SignalInfo(signal: Signal.SIGSYS, code: SignalCode.SYS_SECCOMP)
        info.si_errno = value
        info.si_addr = registers.rip
        info.setSystemCall(Int32(truncatingIfNeeded: number.rawValue), architecture: SeccompAction.AUDIT_ARCH_X86_64)
        return info
    }

    /// Ends this thread as if by a signal; the process with it when it is the last.
    private func endBySeccomp(_ signal: Int32, wholeProcess: Bool) {
        exitStatus = signal
        isExiting = true
    }

    // MARK: installing

    /// seccomp(SECCOMP_SET_MODE_STRICT).
    public func setStrictSeccomp() throws(Errno) {
        try seccomp.withLock { state throws(Errno) in
            if state.chain != nil { throw .EINVAL }
            state.isStrict = true
        }
        hasSeccomp.store(true, ordering: .relaxed)
        areFactsStale = true
    }

    /// seccomp(SECCOMP_SET_MODE_FILTER): adds the program that the struct sock_fprog at `address` describes. Own thread.
    public func addSeccompFilter(programAt address: UInt64, flags: UInt32) throws(Errno) {
        typealias O = SeccompOperation
        if flags & ~0x3f != 0 { throw .EINVAL }
        if flags & (O.SECCOMP_FILTER_FLAG_NEW_LISTENER | O.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) != 0 {
            kernel.unsupported(.seccomp, "SECCOMP_FILTER_FLAG_NEW_LISTENER")
            throw .EINVAL
        }
        guard let space = addressSpace else { throw .ESRCH }
        let header = StructureBytes(try space.copyIn(from: address, count: 16))
        let count = Int(header.get(0, as: UInt16.self))
        guard count >= 1, count <= ClassicBPF.BPF_MAXINSNS else { throw .EINVAL }
        guard hasNoNewPrivileges || credentials.has(.CAP_SYS_ADMIN) else { throw .EACCES }
        let bytes = StructureBytes(try space.copyIn(from: header.get(8), count: count * ClassicBPF.instructionSize))
        let program = (0..<count).map { index -> BPFInstruction in
            let base = index * ClassicBPF.instructionSize
            return BPFInstruction(
                bytes.get(base), bytes.get(base + 4), jumpTrue: bytes.get(base + 2), jumpFalse: bytes.get(base + 3))
        }
        let filter = try SeccompFilter(program)
        let isSynchronizing = flags & O.SECCOMP_FILTER_FLAG_TSYNC != 0
        try threadGroup.signals.withLock { group throws(Errno) in
            let own = seccomp.withLock { $0 }
            if own.isStrict { throw .EINVAL }
            let chain = try SeccompChain((own.chain?.filters ?? []) + [filter])
            if isSynchronizing {
                for thread in group.threads where thread !== self {
                    let theirs = thread.seccomp.withLock { $0 }
                    let isAncestor = own.chain.map { $0.extends(theirs.chain) } ?? (theirs.chain == nil)
                    // Linux returns the id of the thread that cannot follow; ESRCH with TSYNC_ESRCH.
                    if theirs.isStrict || !isAncestor { throw .ESRCH }
                }
                for thread in group.threads where thread !== self {
                    thread.seccomp.withLock { $0.chain = chain }
                    thread.hasSeccomp.store(true, ordering: .sequentiallyConsistent)
                    thread.context.withdrawFacts()
                    if hasNoNewPrivileges { thread.forcedNoNewPrivileges.store(true, ordering: .relaxed) }
                }
            }
            seccomp.withLock { $0.chain = chain }
            hasSeccomp.store(true, ordering: .relaxed)
            areFactsStale = true
        }
    }

    /// no_new_privs, set by prctl(2) or by another thread's filter with TSYNC. Own thread.
    public var hasNoNewPrivileges: Bool { credentials.noNewPrivileges || forcedNoNewPrivileges.load(ordering: .relaxed) }
}

import DequeModule
import Host
public import LinuxABI
public import SentryKernel
import SentryVFS

/// A terminal: the line discipline between a slave side, which programs open as their tty, and a master side, which a terminal emulator (or the pump of
/// a host terminal) reads and writes. ioctl_tty(2), pty(7).
///
/// Locks: `state` guards the bytes, `control` (innermost, also taken below the kernel's tree lock) the session. Neither is held while the other is
/// taken, nor while waiters are notified or signals sent.
public final class Terminal: ControllingTerminal, Sendable {
    public let kernel: Kernel
    /// The number below /dev/pts.
    public let index: UInt32
    /// 136:index (makedev encoding).
    public let deviceNumber: UInt64

    struct State {
        var discipline = LineDiscipline()
        var windowSize = WindowSize()
        /// Written by the master, not yet taken by the full line discipline.
        var arriving: Deque<UInt8> = []
        /// For the master to read.
        var outgoing: Deque<UInt8> = []
        /// Echo made while output was stopped.
        var heldEcho: [UInt8] = []
        /// Open slave files; the terminal hangs together while the master is open.
        var slaveCount = 0
        var slaveWasOpened = false
        var masterIsOpen = true
        /// Slave files of a smaller generation are hung up.
        var generation: UInt64 = 0
        var isLocked = true
        var isExclusive = false
        var packetMode = false
        var packetStatus: UInt8 = 0
    }
    let state = Lock(State())

    struct Control {
        /// The session whose controlling terminal this is.
        weak var session: Session?
    }
    let control = Lock(Control())

    let slaveWaiters = WaitQueue()
    let masterWaiters = WaitQueue()

    /// Bytes that wait for a master that does not read: above it writers wait.
    static let outputLimit = 16_384
    /// Bytes that wait for the line discipline: above it the master's writers wait.
    static let arrivingLimit = 8_192
    /// Echo beyond the limits that is kept at all.
    static let echoLimit = 65_536
    /// The major number of Unix98 pseudo-terminal slaves.
    public static let slaveMajor: UInt32 = 136

    public init(kernel: Kernel, index: UInt32) {
        self.kernel = kernel
        self.index = index
        deviceNumber = DeviceNumber.make(major: Self.slaveMajor, minor: index)
    }

    // MARK: Bytes

    /// What is to be done after the state's lock is gone.
    struct Consequences {
        var signals: [Int32] = []
        var slave: PollEvents = []
        var master: PollEvents = []
    }

    func carryOut(_ consequences: Consequences) {
        for signal in consequences.signals { signalForeground(signal) }
        if !consequences.slave.isEmpty { slaveWaiters.notify(consequences.slave) }
        if !consequences.master.isEmpty { masterWaiters.notify(consequences.master) }
    }

    /// Moves what arrived into the line discipline, as far as it fits.
    static func advance(_ state: inout State, _ consequences: inout Consequences) {
        guard !state.arriving.isEmpty else { return }
        let wasReadable = state.discipline.isReadable(polling: true)
        while !state.arriving.isEmpty {
            // A signal character in the middle flushes only what came before it.
            let chunk = Array(state.arriving.prefix(512))
            var effects = LineDiscipline.Effects()
            let taken = state.discipline.receive(chunk.span, &effects)
            state.arriving.removeFirst(taken)
            apply(effects, &state, &consequences)
            if taken < chunk.count { break }
        }
        if !wasReadable || state.discipline.isReadable(polling: true) { consequences.slave.formUnion(.readable) }
        consequences.master.formUnion(.writable)
    }

    static func apply(_ effects: LineDiscipline.Effects, _ state: inout State, _ consequences: inout Consequences) {
        if effects.flushed {
            state.outgoing.removeAll()
            state.heldEcho = []
            consequences.slave.formUnion(.writable)
            if state.packetMode { state.packetStatus |= PacketStatus.TIOCPKT_FLUSHREAD | PacketStatus.TIOCPKT_FLUSHWRITE }
        }
        if state.packetMode, effects.packetStatus != 0 {
            let opposite = effects.packetStatus == PacketStatus.TIOCPKT_STOP ? PacketStatus.TIOCPKT_START : PacketStatus.TIOCPKT_STOP
            state.packetStatus = state.packetStatus & ~opposite | effects.packetStatus
            consequences.master.formUnion([.POLLPRI, .POLLIN, .POLLRDNORM])
        }
        if !effects.output.isEmpty {
            if state.discipline.isStopped {
                if state.heldEcho.count < LineDiscipline.capacity { state.heldEcho += effects.output }
            } else if state.outgoing.count < echoLimit {
                state.outgoing.append(contentsOf: effects.output)
                consequences.master.formUnion(.readable)
            }
        }
        if !state.discipline.isStopped, !state.heldEcho.isEmpty {
            state.outgoing.append(contentsOf: state.heldEcho)
            state.heldEcho = []
            consequences.master.formUnion(.readable)
        }
        if effects.packetStatus & PacketStatus.TIOCPKT_START != 0 { consequences.slave.formUnion(.writable) }
        consequences.signals += effects.signals
    }

    /// What the other side typed: how many bytes were taken, 0 when there is no room.
    func arrive(_ bytes: [UInt8]) -> Int {
        var consequences = Consequences()
        let count = state.withLock { state -> Int in
            let count = min(bytes.count, max(0, Self.arrivingLimit - state.arriving.count))
            if count == 0 { return 0 }
            state.arriving.append(contentsOf: bytes.prefix(count))
            Self.advance(&state, &consequences)
            return count
        }
        carryOut(consequences)
        return count
    }

    /// What the master is to read: up to `limit` bytes; empty when there is nothing.
    func takeOutput(_ limit: Int) -> [UInt8] {
        let bytes = state.withLock { state -> [UInt8] in
            let count = min(limit, state.outgoing.count)
            let bytes = Array(state.outgoing.prefix(count))
            state.outgoing.removeFirst(count)
            return bytes
        }
        if !bytes.isEmpty { slaveWaiters.notify(.writable) }
        return bytes
    }

    // MARK: Signals and sessions

    /// Sends a signal to the foreground process group.
    func signalForeground(_ signal: Int32) {
        guard let session = control.withLock({ $0.session }) else { return }
        kernel.tree.withLock { proof in session.tree[proof].foreground?.send(.kernel(signal), proof) }
    }

    /// A process was started on this terminal.
    public func sessionStarted(_ session: Session) { control.withLock { $0.session = session } }

    /// The kernel took the terminal away from the session.
    public func sessionEnded(_ session: Session) {
        control.withLock { if $0.session === session { $0.session = nil } }
    }

    /// Takes the terminal away from its session, with `SIGHUP` and `SIGCONT` to the leader and the foreground group when it was hung up.
    func detachSession(hangUp: Bool) {
        guard
            let session = control.withLock({ control in
                defer { control.session = nil }
                return control.session
            })
        else { return }
        kernel.tree.withLock { proof in
            guard session.tree[proof].terminal === self else { return }
            let leader = session.tree[proof].leader, foreground = session.tree[proof].foreground
            session.tree[proof].terminal = nil
            session.tree[proof].foreground = nil
            guard hangUp else { return }
            leader?.send(.kernel(Signal.SIGHUP))
            leader?.send(.kernel(Signal.SIGCONT))
            foreground?.send(.kernel(Signal.SIGHUP), proof)
            foreground?.send(.kernel(Signal.SIGCONT), proof)
        }
    }

    // MARK: Opening and closing

    /// Whether a slave file may be opened by `context` (pty(7), TIOCEXCL): EIO when locked or the master is gone, EBUSY when exclusive.
    func slaveOpened(_ context: any FileContext) throws(Errno) -> UInt64 {
        let generation = try state.withLock { state throws(Errno) in
            guard state.masterIsOpen, !state.isLocked else { throw .EIO }
            if state.isExclusive, !context.credentials.has(.CAP_SYS_ADMIN) { throw .EBUSY }
            state.slaveCount += 1
            state.slaveWasOpened = true
            return state.generation
        }
        return generation
    }

    /// The last descriptor of a slave file is gone.
    func slaveClosed() {
        let isLast = state.withLock { state -> Bool in
            state.slaveCount -= 1
            if state.slaveCount == 0 { state.isExclusive = false }
            return state.slaveCount == 0
        }
        guard isLast else { return }
        detachSession(hangUp: false)
        masterWaiters.notify([.POLLHUP, .POLLIN, .POLLRDNORM])
    }

    /// The master is gone: everybody on the slave side is hung up.
    func masterClosed() {
        state.withLock { $0.masterIsOpen = false }
        hangUp()
    }

    /// vhangup(2): slave files open now read end of file and write EIO; the session's leader and foreground group get SIGHUP.
    public func hangUp() {
        state.withLock { state in
            state.generation += 1
            state.discipline.flushInput()
            state.arriving.removeAll()
        }
        detachSession(hangUp: true)
        slaveWaiters.notify([.POLLHUP, .POLLERR, .POLLIN, .POLLRDNORM, .POLLOUT, .POLLWRNORM])
    }

    // MARK: Window size

    public var windowSize: WindowSize { state.withLock { $0.windowSize } }

    /// TIOCSWINSZ: SIGWINCH to the foreground group when the size is a new one.
    public func setWindowSize(_ size: WindowSize) {
        let isNew = state.withLock { state -> Bool in
            defer { state.windowSize = size }
            return state.windowSize != size
        }
        if isNew { signalForeground(Signal.SIGWINCH) }
    }
}

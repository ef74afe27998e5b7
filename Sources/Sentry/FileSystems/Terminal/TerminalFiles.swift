internal import Host
public import LinuxABI
import SentryKernel
public import SentryMemory
public import SentryVFS

/// The slave side of a terminal: what programs know as their tty.
public final class TerminalFile: FileDescription, @unchecked Sendable {
    public let terminal: Terminal
    /// Files opened before the last hang-up are dead.
    private let generation: UInt64

    /// Opens the slave. EIO, EBUSY. Without O_NOCTTY it becomes the controlling terminal of a session leader that has none.
    public init(_ terminal: Terminal, path: Path, flags: OpenFlags, attaching: Bool = true, _ context: any FileContext) throws(Errno) {
        self.terminal = terminal
        generation = try terminal.slaveOpened(context)
        super.init(path: path, flags: flags)
        if attaching, !flags.contains(.O_NOCTTY), flags.isReadable { terminal.attachOnOpen(context) }
    }

    public override func released(_ context: any FileContext) { terminal.slaveClosed() }
    public override var writesCompletely: Bool { true }

    private func isHungUp(_ state: Terminal.State) -> Bool { state.generation != generation }

    public override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        try terminal.checkForeground(context, Signal.SIGTTIN)
        if buffer.remaining == 0 { return 0 }
        let limit = min(buffer.remaining, LineDiscipline.capacity)
        if let bytes = try take(limit, wanted: nil) { return try buffer.copyOut(bytes) }
        let minimum = terminal.state.withLock { $0.discipline.minimum }
        // VMIN 0 and VTIME 0: whatever is there, even nothing.
        if minimum.firstTimeout == 0 { return 0 }
        if isNonblocking || minimum.firstTimeout == nil && minimum.nextTimeout == nil { throw .EAGAIN }
        guard let task = context as? KernelTask, let bytes = try wait(task, limit, minimum) else { return 0 }
        return try buffer.copyOut(bytes)
    }

    /// Takes bytes if a read may return now: a line, or as many as VMIN asks for; `wanted` overrides VMIN.
    private func take(_ limit: Int, wanted: Int?) throws(Errno) -> [UInt8]? {
        var consequences = Terminal.Consequences()
        let bytes = terminal.state.withLock { state -> [UInt8]? in
            if isHungUp(state) { return [] }
            let minimum = state.discipline.minimum
            if minimum.bytes > 1, state.discipline.readableCount < min(wanted ?? minimum.bytes, limit) { return nil }
            let bytes = state.discipline.read(limit: limit)
            if bytes != nil { Terminal.advance(&state, &consequences) }
            return bytes
        }
        if bytes != nil { consequences.master.formUnion(.writable) }
        terminal.carryOut(consequences)
        return bytes
    }

    /// The timed reads of non-canonical mode (termios(3)): VMIN 0 with VTIME waits for the first byte, VMIN with VTIME ends at a pause between bytes.
    private func wait(
        _ task: KernelTask, _ limit: Int, _ minimum: (bytes: Int, firstTimeout: UInt64?, nextTimeout: UInt64?)
    ) throws(Errno) -> [UInt8]? {
        let waiter = TaskWaiter(task, .readable)
        add(waiter)
        defer { remove(waiter) }
        var have = 0
        var deadline = minimum.firstTimeout.map { HostClock.monotonic &+ $0 }
        while true {
            if let bytes = try take(limit, wanted: nil) { return bytes }
            let now = terminal.state.withLock { $0.discipline.readableCount }
            if now > have, let pause = minimum.nextTimeout, minimum.firstTimeout == nil {
                have = now
                deadline = HostClock.monotonic &+ pause
            }
            if try !task.block(deadline: deadline) { return try take(limit, wanted: 1) }
        }
    }

    public override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let stops = terminal.state.withLock { $0.discipline.termios.c_lflag & TerminalLocalFlag.TOSTOP != 0 }
        if stops { try terminal.checkForeground(context, Signal.SIGTTOU) }
        var done = 0
        while buffer.remaining > 0 {
            let room = try terminal.state.withLock { state throws(Errno) -> Int in
                if isHungUp(state) { throw .EIO }
                return state.discipline.isStopped ? 0 : Terminal.outputLimit - state.outgoing.count
            }
            if room < 8 {
                if done > 0 { break }
                throw .EAGAIN
            }
            guard let bytes = try Self.peek(buffer, min(room, 2048), partial: done > 0) else { break }
            var consequences = Terminal.Consequences()
            let count = terminal.state.withLock { state -> Int in
                var output: [UInt8] = []
                let count = state.discipline.send(bytes.span, room: Terminal.outputLimit - state.outgoing.count, into: &output)
                if !output.isEmpty {
                    state.outgoing.append(contentsOf: output)
                    consequences.master.formUnion(.readable)
                }
                return count
            }
            terminal.carryOut(consequences)
            buffer.skip(count)
            done += count
            if count < bytes.count, count == 0 {
                if done > 0 { break }
                throw .EAGAIN
            }
        }
        return done
    }

    /// The next bytes of `buffer`, which does not move. Bad memory behind bytes that were written already (`partial`) ends the write: nil.
    static func peek(_ buffer: IOBuffer, _ limit: Int, partial: Bool) throws(Errno) -> [UInt8]? {
        var source = buffer
        do throws(Errno) { return try source.copyIn(limit: min(limit, buffer.remaining)) } catch {
            if partial { return nil }
            throw error
        }
    }

    public override func readiness(_ mask: PollEvents) -> PollEvents {
        let events = terminal.state.withLock { state -> PollEvents in
            if isHungUp(state) { return PollEvents.readable.union(.writable).union([.POLLERR, .POLLHUP]) }
            var events: PollEvents = []
            if state.discipline.isReadable(polling: true) { events.formUnion(.readable) }
            if !state.discipline.isStopped, Terminal.outputLimit - state.outgoing.count >= 256 { events.formUnion(.writable) }
            return events
        }
        return events.intersection(mask.union([.POLLERR, .POLLHUP]))
    }
    public override func add(_ waiter: Waiter) { terminal.slaveWaiters.add(waiter) }
    public override func remove(_ waiter: Waiter) { terminal.slaveWaiters.remove(waiter) }

    public override func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        if terminal.state.withLock({ isHungUp($0) }) { throw request == TerminalRequest.TIOCSPGRP ? .ENOTTY : .EIO }
        return try terminal.control(request, argument, isMaster: false, file: self, context)
    }
}

/// The master side of a pseudo-terminal.
public final class TerminalMasterFile: FileDescription, @unchecked Sendable {
    public let terminal: Terminal
    private let onClose: @Sendable () -> Void
    /// Opens the slave for TIOCGPTPEER.
    let openPeer: @Sendable (OpenFlags, any FileContext) throws(Errno) -> FileDescription

    init(
        _ terminal: Terminal, path: Path, flags: OpenFlags, onClose: @escaping @Sendable () -> Void,
        openPeer: @escaping @Sendable (OpenFlags, any FileContext) throws(Errno) -> FileDescription
    ) {
        self.terminal = terminal
        self.onClose = onClose
        self.openPeer = openPeer
        super.init(path: path, flags: flags)
    }

    public override func released(_ context: any FileContext) {
        terminal.masterClosed()
        onClose()
    }
    public override var writesCompletely: Bool { true }

    public override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        if buffer.remaining == 0 { return 0 }
        let status = terminal.state.withLock { state -> UInt8? in
            guard state.packetMode else { return nil }
            defer { state.packetStatus = 0 }
            return state.packetStatus
        }
        if let status, status != 0 { return try buffer.copyOut([status]) }
        let bytes = terminal.takeOutput(min(buffer.remaining - (status == nil ? 0 : 1), 8192))
        if bytes.isEmpty {
            let isGone = terminal.state.withLock { $0.slaveWasOpened && $0.slaveCount == 0 }
            throw isGone ? .EIO : .EAGAIN
        }
        return try buffer.copyOut(status == nil ? bytes : [PacketStatus.TIOCPKT_DATA] + bytes)
    }

    public override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        var done = 0
        while buffer.remaining > 0 {
            guard let bytes = try TerminalFile.peek(buffer, 2048, partial: done > 0) else { break }
            let count = terminal.arrive(bytes)
            buffer.skip(count)
            done += count
            if count < bytes.count { break }
        }
        if done == 0, buffer.remaining > 0 { throw .EAGAIN }
        return done
    }

    public override func readiness(_ mask: PollEvents) -> PollEvents {
        let events = terminal.state.withLock { state -> PollEvents in
            var events: PollEvents = []
            if !state.outgoing.isEmpty { events.formUnion(.readable) }
            if state.packetMode, state.packetStatus != 0 { events.formUnion([.POLLPRI, .POLLIN, .POLLRDNORM]) }
            if state.slaveWasOpened, state.slaveCount == 0 { events.insert(.POLLHUP) }
            if Terminal.arrivingLimit - state.arriving.count >= 256 { events.formUnion(.writable) }
            return events
        }
        return events.intersection(mask.union([.POLLERR, .POLLHUP]))
    }
    public override func add(_ waiter: Waiter) { terminal.masterWaiters.add(waiter) }
    public override func remove(_ waiter: Waiter) { terminal.masterWaiters.remove(waiter) }

    public override func ioctl(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        if request == TerminalRequest.TIOCGPTPEER {
            guard let task = context as? KernelTask else { throw .ENOTTY }
            let flags = OpenFlags(rawValue: UInt32(truncatingIfNeeded: argument))
            let file = try openPeer(flags, context)
            do throws(Errno) {
                let limit = task.threadGroup.limits.current(Resource.RLIMIT_NOFILE)
                return Int(try task.files.install(file, closeOnExec: flags.contains(.O_CLOEXEC), limit: limit))
            } catch {
                file.retainDescriptor()
                file.releaseDescriptor(context)
                throw error
            }
        }
        return try terminal.control(request, argument, isMaster: true, file: self, context)
    }
}

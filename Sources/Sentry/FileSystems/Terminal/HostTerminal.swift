import Host
public import LinuxABI
internal import SentryVFS
import Synchronization

/// A guest terminal whose other side is a terminal of the host: two threads carry the bytes. The host's terminal is in raw mode (the Supervisor sees to
/// that), so Ctrl-C arrives here as a byte and becomes the guest's SIGINT.
public final class HostTerminal: Sendable {
    public let terminal: Terminal
    private let input: SharedDescriptor
    private let output: SharedDescriptor
    /// The writer has bytes in hand that the host has not taken.
    private let isWriting = Atomic<Bool>(false)
    private let isEnded = Atomic<Bool>(false)
    /// Readable from the end on: the reader must not take a byte of the host's terminal then, whose next reader is somebody else.
    private let ending: SharedDescriptor?
    private let drained = WaitQueue()

    /// Wakes a thread that is not a guest's.
    private final class ThreadWaiter: Waiter, @unchecked Sendable {
        let parker: Parker
        init(_ parker: Parker, _ mask: PollEvents) {
            self.parker = parker
            super.init(mask: mask)
        }
        override func wake(_ events: PollEvents) -> Parker? { parker.post() ? parker : nil }
    }

    /// `input` is read, `output` is written; they may be the same. Takes the size of the host's window.
    init(_ terminal: Terminal, input: SharedDescriptor, output: SharedDescriptor) {
        self.terminal = terminal
        self.input = input
        self.output = output
        ending = (try? HostCall.eventDescriptor().release()).map { SharedDescriptor(OwnedDescriptor(adopting: $0)) }
        resized()
    }

    /// Starts the two threads. EAGAIN when the host gives none.
    public func start() throws(Errno) {
        try startThread(stackSize: 128 << 10) { self.carryInput() }
        try startThread(stackSize: 128 << 10) { self.carryOutput() }
    }

    /// The host's window may have another size now.
    public func resized() {
        if let size = try? HostCall.windowSize(output.rawValue) { terminal.setWindowSize(size) }
    }

    /// Makes the host's terminal the controlling one of this process, which leads a session: SIGWINCH comes here then. One that is another
    /// session's stays there, and its owner tells the size (`resize`).
    public func makeControlling() { _ = HostCall.raw(.ioctl, Int(output.rawValue), Int(TerminalRequest.TIOCSCTTY), 0) }

    /// The Supervisor says how large the window is; SIGWINCH for the foreground group.
    public func resize(width: UInt16, height: UInt16) {
        terminal.setWindowSize(WindowSize(ws_row: height, ws_col: width))
    }

    /// The guest is done with it: the slave side is hung up, and both threads end.
    public func close() {
        isEnded.store(true, ordering: .releasing)
        let one: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
        if let ending { _ = try? HostCall.write(ending.rawValue, one.span) }
        terminal.masterClosed()
        terminal.masterWaiters.notify(.readable)
    }

    /// Waits until the host has all that the guest wrote, or until `deadline` (CLOCK_MONOTONIC nanoseconds).
    public func drain(deadline: UInt64) {
        let parker = Parker()
        let waiter = ThreadWaiter(parker, .POLLOUT)
        drained.add(waiter)
        defer { drained.remove(waiter) }
        while terminal.hasOutput || isWriting.load(ordering: .acquiring) {
            if !parker.park(deadline: deadline) { return }
        }
    }

    private func carryInput() {
        let parker = Parker()
        let waiter = ThreadWaiter(parker, .writable)
        terminal.masterWaiters.add(waiter)
        defer { terminal.masterWaiters.remove(waiter) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !isEnded.load(ordering: .acquiring) {
            if let ending {
                _ = try? HostCall.pollReadable([input.rawValue, ending.rawValue])
                if isEnded.load(ordering: .acquiring) { return }
            }
            var span = buffer.mutableSpan
            var count = (try? HostCall.read(input.rawValue, into: &span)) ?? -1
            if count == 0, (try? HostCall.windowSize(input.rawValue)) != nil {
                // Not a hang-up: the end of file was typed before the terminal became raw.
                buffer[0] = 0x04
                count = 1
            }
            guard count > 0 else {
                // The host's terminal is gone.
                if !isEnded.exchange(true, ordering: .acquiringAndReleasing) { terminal.masterClosed() }
                return
            }
            var rest = Array(buffer[0..<count])
            while !rest.isEmpty, !isEnded.load(ordering: .acquiring) {
                let taken = terminal.arrive(rest)
                rest.removeFirst(taken)
                if taken == 0 { _ = parker.park() }
            }
        }
    }

    private func carryOutput() {
        let parker = Parker()
        let waiter = ThreadWaiter(parker, .readable)
        terminal.masterWaiters.add(waiter)
        defer { terminal.masterWaiters.remove(waiter) }
        while true {
            isWriting.store(true, ordering: .sequentiallyConsistent)
            let bytes = terminal.takeOutput(8192)
            if bytes.isEmpty {
                isWriting.store(false, ordering: .sequentiallyConsistent)
                drained.notify(.POLLOUT)
                if isEnded.load(ordering: .acquiring) { return }
                _ = parker.park()
                continue
            }
            do { try HostCall.writeAll(output.rawValue, bytes.span) } catch {
                isWriting.store(false, ordering: .sequentiallyConsistent)
                if !isEnded.exchange(true, ordering: .acquiringAndReleasing) { terminal.masterClosed() }
                _ = terminal.takeOutput(.max)
                drained.notify(.POLLOUT)
                return
            }
        }
    }
}

extension Terminal {
    /// Whether the master has something to read.
    var hasOutput: Bool { state.withLock { !$0.outgoing.isEmpty } }
}

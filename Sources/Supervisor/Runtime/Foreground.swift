internal import Control
internal import Diagnostics
internal import Host
internal import LinuxABI

/// Stands between the caller's terminal and a guest process: passes signals on until the process has ended.
///
/// Make it before anything else is made, so that a Ctrl-C cannot leave a half-made container behind.
struct Foreground: ~Copyable {
    private let signals: SignalDescriptor

    /// What a person or an engine may send. SIGKILL and SIGSTOP cannot be caught; SIGCHLD, SIGPIPE and the faults are this process's own.
    private static let forwarded: [Int32] = [1, 2, 3, 10, 12, 14, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30] + Array(34...64)
    private static let SIGWINCH: Int32 = 28
    /// What a terminal sends to its foreground process group.
    private static let fromTerminal: Set<Int32> = [1, 2, 3, 18, 20, 28]

    init() throws(SandboxError) {
        signals = try hostCall("watch for signals") { () throws(Errno) in try SignalDescriptor(Self.forwarded) }
        // A reader of our output that has gone must not end us before the guest has: SIGPIPE stays as it is, output is the guest's own.
    }

    /// Whether a signal that would have ended this process is waiting (while a container is made).
    var isInterrupted: Bool { ((try? HostCall.waitReadable([signals.descriptor.rawValue], milliseconds: 0)) ?? nil) != nil }

    /// Waits until `finished` (readable: a pidfd, or a connection) has something, passing signals to the guest process meanwhile.
    /// `directory` is the container's state directory.
    borrowing func wait(for finished: Int32, container: String, pid: Int32, terminal: Int32?, directory: String) {
        while true {
            guard let ready = try? HostCall.pollReadable([signals.descriptor.rawValue, finished]) else { return }
            if ready[1] { return }
            guard ready[0], let (signal, isFromKernel) = try? signals.next() else { continue }
            do throws(SandboxError) {
                // A connection for each: the Sentry lets idle ones go.
                let client = try ComponentClient(directory: directory, .sentry).client
                if signal == Self.SIGWINCH {
                    guard let terminal, let size = try? HostCall.windowSize(terminal) else { continue }
                    var request = ResizeRequest()
                    request.container = container
                    request.pid = pid
                    request.width = size.ws_col
                    request.height = size.ws_row
                    try client.call("/v1/resize", request, timeout: 2_000_000_000)
                } else {
                    // What a key sends goes to all that run in the foreground; the guest's processes stand for that here.
                    let isKey = isFromKernel && Self.fromTerminal.contains(signal)
                    let target: SignalRequest.Target = isKey ? (terminal == nil ? .all : .foreground) : .process
                    try client.call(
                        "/v1/signal", SignalRequest(container: container, pid: pid, target: target, signal: UInt32(signal)),
                        timeout: 2_000_000_000)
                }
            } catch {
                Log.debug("signal \(signal) was not passed on: \(error)")
            }
        }
    }
}

/// The caller's terminal while a guest uses it: raw, since the guest's own terminal in the Sentry does all that a line discipline does; put back
/// as it was at the end, whatever happens.
struct TerminalGuard: ~Copyable {
    private let descriptor: Int32?
    private let settings: TerminalSettings?

    /// Remembers the settings of `descriptor`, if it is a terminal in whose foreground the caller is.
    init(_ descriptor: Int32?) {
        guard let descriptor, HostCall.isForeground(descriptor) else {
            self.descriptor = nil
            settings = nil
            return
        }
        self.descriptor = descriptor
        settings = try? HostCall.terminalSettings(descriptor)
    }

    /// Every key goes to the guest from now on.
    func makeRaw() {
        if let descriptor, let settings { try? HostCall.setTerminalSettings(descriptor, settings.raw) }
    }

    /// As it was.
    func restore() {
        if let descriptor, let settings { try? HostCall.setTerminalSettings(descriptor, settings) }
    }

    deinit { if let descriptor, let settings { try? HostCall.setTerminalSettings(descriptor, settings) } }
}

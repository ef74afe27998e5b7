internal import Control
internal import Diagnostics
internal import Host
internal import LinuxABI

/// The descriptors that a guest process gets: what rides with `create` and `exec`.
struct GuestStreams: ~Copyable {
    /// What rides, and what each is for; the numbers are borrowed from this process or from `owned`.
    private(set) var descriptors: [Int32] = []
    private(set) var assignments: [DescriptorAssignment] = []
    private var owned: [SharedDescriptor] = []
    /// The master of a terminal made here, to be sent to the console socket.
    private(set) var master: SharedDescriptor?
    /// The terminal that is the guest's controlling one, if any.
    private(set) var terminal: Int32?

    /// How the guest's standard streams are chosen.
    enum Choice {
        /// This process's own 0, 1 and 2 as they are.
        case inherited
        /// A new terminal, whose master goes to a console socket.
        case newTerminal
        /// This process's terminal is the guest's controlling one, with this process's own 0, 1 and 2.
        case ownTerminal
    }

    /// `preserve` descriptors from 3 on come along. `owner` gets a new terminal, as login(1) gives it.
    init(_ choice: Choice, preserve: Int, size: WindowSize?, owner: UInt32) throws(SandboxError) {
        switch choice {
        case .inherited: try addStandard()
        case .ownTerminal:
            guard let own = (Int32(0)...2).first(where: { HostCall.isTerminal($0) }) else {
                throw SandboxError(
                    .invalidArgument, "a terminal is asked for, but standard input, output and error are no terminal",
                    hint: "run it from a terminal, set process.terminal to false, or give --console-socket")
            }
            terminal = own
            add(own, .console)
            // The console is the guest's 0, 1 and 2; those of ours that lead elsewhere take its place.
            let device = Self.device(own)
            try addStandard { HostCall.isTerminal($0) && Self.device($0) == device }
        case .newTerminal:
            let pair = try hostCall("make a pseudoterminal") { () throws(Errno) in try HostCall.openTerminalPair() }
            let numbers = pair.release()
            let master = SharedDescriptor(OwnedDescriptor(adopting: numbers.0))
            let slave = SharedDescriptor(OwnedDescriptor(adopting: numbers.1))
            if let size, size.ws_row > 0, size.ws_col > 0 { try? HostCall.setWindowSize(master.rawValue, size) }
            // The line discipline that counts is the guest's, in the Sentry: here every byte passes as it is.
            if let settings = try? HostCall.terminalSettings(slave.rawValue) {
                try? HostCall.setTerminalSettings(slave.rawValue, settings.raw)
            }
            _ = HostCall.raw(.fchown, Int(slave.rawValue), Int(owner), -1)
            self.master = master
            owned.append(slave)
            terminal = slave.rawValue
            add(slave.rawValue, .console)
        }
        if preserve > 0 {
            for number in 3..<Int32(clamping: 3 + min(preserve, 128)) {
                if HostCall.raw(.fcntl, Int(number), 1 /* F_GETFD */) < 0 {
                    throw SandboxError(.invalidArgument, "--preserve-fds \(preserve): descriptor \(number) is not open")
                }
                add(number, .guest, UInt32(number))
            }
        }
    }

    private static func device(_ descriptor: Int32) -> UInt64? {
        guard let file = try? HostCall.statx(at: descriptor) else { return nil }
        return UInt64(file.stx_rdev_major) << 32 | UInt64(file.stx_rdev_minor)
    }

    private mutating func addStandard(except isCovered: (Int32) -> Bool = { _ in false }) throws(SandboxError) {
        for number in Int32(0)...2 where !isCovered(number) {
            // A terminal in whose background we are is its shell's: reading from it would take keys away from there.
            let isBackground = number == 0 && HostCall.isTerminal(0) && !HostCall.isForeground(0)
            // A closed one would be filled by whatever is opened next.
            if isBackground || HostCall.raw(.fcntl, Int(number), 1 /* F_GETFD */) < 0 {
                let null = try hostCall("open /dev/null") { () throws(Errno) in
                    try HostCall.open(Array("/dev/null".utf8), flags: OpenFlag.O_RDWR)
                }
                let shared = SharedDescriptor(null)
                owned.append(shared)
                add(shared.rawValue, .guest, UInt32(number))
            } else {
                add(number, .guest, UInt32(number))
            }
        }
    }

    /// Adds one more descriptor; it must stay open while this value lives.
    mutating func add(_ descriptor: Int32, _ role: DescriptorRole, _ number: UInt32 = 0) {
        descriptors.append(descriptor)
        assignments.append(DescriptorAssignment(role, number: number))
    }
}

/// Console sockets: how an engine gets the master of a container's terminal.
enum ConsoleSocket {
    /// Connects, sends the master with the terminal's name as the text, and closes.
    static func send(_ master: Int32, to path: String) throws(SandboxError) {
        do throws(Errno) {
            let socket = try HostCall.connectUnix(Array(path.utf8))
            _ = try HostCall.send(socket.rawValue, Array("/dev/ptmx".utf8).span, descriptors: [master])
        } catch {
            throw SandboxError(
                .hostFailure, "send the terminal to the console socket \(path): \(error.text)", hint: "something must listen there")
        }
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// ioctl(2) of both sides of a terminal.
extension Terminal {
    /// `isMaster`: asked on the master. ENOTTY for what terminals do not know.
    func control(_ request: UInt32, _ argument: UInt64, isMaster: Bool, file: FileDescription, _ context: any FileContext) throws(Errno)
        -> Int
    {
        guard let space = context.addressSpace else { throw .ENOTTY }
        typealias R = TerminalRequest
        switch request {
        case R.TCGETS, R.TCGETS2, R.TCGETA:
            let termios = state.withLock { $0.discipline.termios }
            try space.copyOut(TerminalBytes.encode(termios, request), to: argument)
        case R.TCSETS, R.TCSETSW, R.TCSETSF, R.TCSETS2, R.TCSETSW2, R.TCSETSF2, R.TCSETA, R.TCSETAW, R.TCSETAF:
            if !isMaster { try checkForeground(context, Signal.SIGTTOU) }
            let old = state.withLock { $0.discipline.termios }
            let bytes = try space.copyIn(from: argument, count: TerminalBytes.size(request))
            let flushes = request == R.TCSETSF || request == R.TCSETSF2 || request == R.TCSETAF
            setTermios(TerminalBytes.decode(bytes, request, old), flushing: flushes)
        case R.TIOCGWINSZ: try space.copyOut(TerminalBytes.encode(windowSize), to: argument)
        case R.TIOCSWINSZ: setWindowSize(TerminalBytes.windowSize(try space.copyIn(from: argument, count: WindowSize.size)))
        case R.TIOCSCTTY:
            if isMaster { throw .ENOTTY }
            try setControlling(argument, isReadable: file.flags.isReadable, context)
        case R.TIOCNOTTY: try giveUp(context)
        case R.TIOCGPGRP: try space.store(try foregroundGroup(viaMaster: isMaster, context), to: argument)
        case R.TIOCSPGRP: try setForegroundGroup(try space.load(argument, as: Int32.self), context)
        case R.TIOCGSID: try space.store(try sessionIdentifier(viaMaster: isMaster, context), to: argument)
        case R.TIOCINQ:
            let count = state.withLock { isMaster ? $0.outgoing.count : $0.discipline.readableCount }
            try space.store(Int32(clamping: count), to: argument)
        case R.TIOCOUTQ: try space.store(Int32(0), to: argument)
        case R.TCFLSH:
            if !isMaster { try checkForeground(context, Signal.SIGTTOU) }
            try flush(argument, isMaster: isMaster)
        case R.TCXONC:
            if !isMaster { try checkForeground(context, Signal.SIGTTOU) }
            try flow(argument)
        case R.TCSBRK, R.TCSBRKP, R.TIOCSBRK, R.TIOCCBRK:
            // Output is with the other side as soon as it is written: nothing to drain, and no line to break.
            if !isMaster { try checkForeground(context, Signal.SIGTTOU) }
        case R.TIOCSTI:
            kernel.unsupported(.ioctl, "TIOCSTI (as with dev.tty.legacy_tiocsti=0)")
            throw .EIO
        case R.TIOCEXCL: state.withLock { $0.isExclusive = true }
        case R.TIOCNXCL: state.withLock { $0.isExclusive = false }
        case R.TIOCGEXCL: try space.store(Int32(state.withLock { $0.isExclusive } ? 1 : 0), to: argument)
        case R.TIOCGETD: try space.store(Int32(0), to: argument)
        case R.TIOCSETD: if try space.load(argument, as: Int32.self) != 0 { throw .EINVAL }
        case R.TIOCGDEV:
            try space.store(UInt32(truncatingIfNeeded: isMaster ? DeviceNumber.make(major: 5, minor: 2) : deviceNumber), to: argument)
        case R.TIOCGSOFTCAR:
            let isLocal = state.withLock { $0.discipline.termios.c_cflag & TerminalControlFlag.CLOCAL != 0 }
            try space.store(Int32(isLocal ? 1 : 0), to: argument)
        case R.TIOCVHANGUP:
            guard context.credentials.has(.CAP_SYS_ADMIN) else { throw .EPERM }
            hangUp()
        case R.TIOCPKT, R.TIOCGPKT, R.TIOCSPTLCK, R.TIOCGPTLCK, R.TIOCGPTN:
            guard isMaster else { throw .ENOTTY }
            try controlMaster(request, argument, space)
        default: throw .ENOTTY
        }
        return 0
    }

    private func controlMaster(_ request: UInt32, _ argument: UInt64, _ space: AddressSpace) throws(Errno) {
        typealias R = TerminalRequest
        switch request {
        case R.TIOCPKT:
            let isOn = try space.load(argument, as: Int32.self) != 0
            state.withLock { state in
                if isOn, !state.packetMode { state.packetStatus = 0 }
                state.packetMode = isOn
            }
        case R.TIOCGPKT: try space.store(Int32(state.withLock { $0.packetMode } ? 1 : 0), to: argument)
        case R.TIOCSPTLCK:
            let locks = try space.load(argument, as: Int32.self) != 0
            state.withLock { $0.isLocked = locks }
        case R.TIOCGPTLCK: try space.store(Int32(state.withLock { $0.isLocked } ? 1 : 0), to: argument)
        default: try space.store(index, to: argument)
        }
    }

    /// tcsetattr(3).
    func setTermios(_ new: Termios, flushing: Bool) {
        var consequences = Consequences()
        state.withLock { state in
            if flushing {
                state.discipline.flushInput()
                state.arriving.removeAll()
                consequences.master.formUnion(.writable)
            }
            let old = state.discipline.termios
            var effects = LineDiscipline.Effects()
            state.discipline.setTermios(new, &effects)
            Self.apply(effects, &state, &consequences)
            if state.packetMode {
                let before = Self.hasStandardFlow(old), after = Self.hasStandardFlow(new)
                if before != after {
                    let due = after ? PacketStatus.TIOCPKT_DOSTOP : PacketStatus.TIOCPKT_NOSTOP
                    state.packetStatus &= ~(PacketStatus.TIOCPKT_DOSTOP | PacketStatus.TIOCPKT_NOSTOP)
                    state.packetStatus |= due
                }
                if (old.c_lflag ^ new.c_lflag) & TerminalLocalFlag.EXTPROC != 0 || new.c_lflag & TerminalLocalFlag.EXTPROC != 0 {
                    state.packetStatus |= PacketStatus.TIOCPKT_IOCTL
                }
                if state.packetStatus != 0 { consequences.master.formUnion([.POLLPRI, .POLLIN, .POLLRDNORM]) }
            }
            consequences.slave.formUnion(.readable)
        }
        carryOut(consequences)
    }

    private static func hasStandardFlow(_ termios: Termios) -> Bool {
        termios.c_iflag & TerminalInputFlag.IXON != 0 && termios.c_cc[ControlCharacter.VSTOP] == 0x13
            && termios.c_cc[ControlCharacter.VSTART] == 0x11
    }

    /// TCFLSH. On the master input and output change places.
    private func flush(_ queue: UInt64, isMaster: Bool) throws(Errno) {
        guard queue <= TerminalFlow.TCIOFLUSH else { throw .EINVAL }
        let flushesInput = queue == TerminalFlow.TCIOFLUSH || (queue == TerminalFlow.TCIFLUSH) != isMaster
        let flushesOutput = queue == TerminalFlow.TCIOFLUSH || (queue == TerminalFlow.TCOFLUSH) != isMaster
        var consequences = Consequences()
        state.withLock { state in
            if flushesInput {
                state.discipline.flushInput()
                state.arriving.removeAll()
                if state.packetMode { state.packetStatus |= PacketStatus.TIOCPKT_FLUSHREAD }
                consequences.master.formUnion(.writable)
            }
            if flushesOutput {
                state.outgoing.removeAll()
                if state.packetMode { state.packetStatus |= PacketStatus.TIOCPKT_FLUSHWRITE }
                consequences.slave.formUnion(.writable)
            }
            if state.packetMode { consequences.master.formUnion([.POLLPRI, .POLLIN, .POLLRDNORM]) }
        }
        carryOut(consequences)
    }

    /// TCXONC.
    private func flow(_ action: UInt64) throws(Errno) {
        var consequences = Consequences()
        try state.withLock { state throws(Errno) in
            var effects = LineDiscipline.Effects()
            switch action {
            case TerminalFlow.TCOOFF: state.discipline.stop(&effects)
            case TerminalFlow.TCOON: state.discipline.start(&effects)
            case TerminalFlow.TCIOFF: effects.output = [state.discipline.termios.c_cc[ControlCharacter.VSTOP]]
            case TerminalFlow.TCION: effects.output = [state.discipline.termios.c_cc[ControlCharacter.VSTART]]
            default: throw .EINVAL
            }
            Self.apply(effects, &state, &consequences)
        }
        carryOut(consequences)
    }
}

/// The structures of terminal ioctls as bytes.
enum TerminalBytes {
    /// Bytes of the structure that a TCGET or TCSET request carries.
    static func size(_ request: UInt32) -> Int {
        typealias R = TerminalRequest
        switch request {
        case R.TCGETA, R.TCSETA, R.TCSETAW, R.TCSETAF: return Termios.oldSize
        case R.TCGETS2, R.TCSETS2, R.TCSETSW2, R.TCSETSF2: return Termios.size2
        default: return Termios.size
        }
    }

    private static func append(_ value: UInt32, _ bytes: inout [UInt8], count: Int = 4) {
        for i in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (UInt32(i) * 8))) }
    }
    private static func read(_ bytes: [UInt8], _ offset: Int, count: Int = 4) -> UInt32 {
        var value: UInt32 = 0
        for i in 0..<count where offset + i < bytes.count { value |= UInt32(bytes[offset + i]) << (UInt32(i) * 8) }
        return value
    }

    static func encode(_ termios: Termios, _ request: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        let size = size(request)
        let isOld = size == Termios.oldSize
        for flags in [termios.c_iflag, termios.c_oflag, termios.c_cflag, termios.c_lflag] { append(flags, &bytes, count: isOld ? 2 : 4) }
        bytes.append(termios.c_line)
        for index in 0..<(isOld ? 8 : 19) { bytes.append(termios.c_cc[index]) }
        if size == Termios.size2 {
            append(termios.c_ispeed, &bytes)
            append(termios.c_ospeed, &bytes)
        }
        while bytes.count < size { bytes.append(0) }
        return bytes
    }

    /// What `bytes` change of `old`. A pty keeps 8 bits, a receiver and no parity (pty_set_termios).
    static func decode(_ bytes: [UInt8], _ request: UInt32, _ old: Termios) -> Termios {
        var new = old
        let size = size(request)
        if size == Termios.oldSize {
            new.c_iflag = old.c_iflag & 0xffff_0000 | read(bytes, 0, count: 2)
            new.c_oflag = old.c_oflag & 0xffff_0000 | read(bytes, 2, count: 2)
            new.c_cflag = old.c_cflag & 0xffff_0000 | read(bytes, 4, count: 2)
            new.c_lflag = old.c_lflag & 0xffff_0000 | read(bytes, 6, count: 2)
            for index in 0..<8 where 9 + index < bytes.count { new.c_cc[index] = bytes[9 + index] }
        } else {
            new.c_iflag = read(bytes, 0)
            new.c_oflag = read(bytes, 4)
            new.c_cflag = read(bytes, 8)
            new.c_lflag = read(bytes, 12)
            if bytes.count > 16 { new.c_line = bytes[16] }
            for index in 0..<19 where 17 + index < bytes.count { new.c_cc[index] = bytes[17 + index] }
            if size == Termios.size2 {
                new.c_ispeed = read(bytes, 36)
                new.c_ospeed = read(bytes, 40)
            }
        }
        new.c_cflag &= ~(TerminalControlFlag.CSIZE | TerminalControlFlag.PARENB)
        new.c_cflag |= TerminalControlFlag.CS8 | TerminalControlFlag.CREAD
        return new
    }

    static func encode(_ size: WindowSize) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel] { append(UInt32(value), &bytes, count: 2) }
        return bytes
    }

    static func windowSize(_ bytes: [UInt8]) -> WindowSize {
        let values = (0..<4).map { UInt16(truncatingIfNeeded: read(bytes, $0 * 2, count: 2)) }
        return WindowSize(ws_row: values[0], ws_col: values[1], ws_xpixel: values[2], ws_ypixel: values[3])
    }
}

public import LinuxABI

/// The line discipline N_TTY (drivers/tty/n_tty.c): what stands between the two sides of a terminal. Input is edited into lines, echoed, and turned into
/// signals; output is post-processed. A value without locks or waiting: the terminal that owns it does both.
public struct LineDiscipline: Sendable {
    /// Size of the input buffer, in bytes (N_TTY_BUF_SIZE).
    public static let capacity = 4096

    /// What receiving or sending did besides moving bytes.
    public struct Effects: Sendable {
        /// For the terminal's other side: echo and post-processed output.
        public var output: [UInt8] = []
        /// Signals for the foreground group, in order.
        public var signals: [Int32] = []
        /// A signal character flushed input and output that was not read yet.
        public var flushed = false
        /// Packet mode: bits of `PacketStatus` that became due (start, stop).
        public var packetStatus: UInt8 = 0
        public init() {}
    }

    public private(set) var termios: Termios
    private var input = [UInt8](repeating: 0, count: LineDiscipline.capacity)
    /// Ends of lines in `input`: at a newline, EOL, or at the place of an EOF character.
    private var ends = [Bool](repeating: false, count: LineDiscipline.capacity)
    // Positions count from the start of time; the place in `input` is the remainder. UInt64 does not wrap.
    /// Next byte to be read.
    private var tail: UInt64 = 0
    /// Behind the last complete line.
    private var canonicalHead: UInt64 = 0
    /// Behind the last byte received.
    private var head: UInt64 = 0
    /// The next character is literal (VLNEXT).
    private var isLiteral = false
    /// An ECHOPRT erase is open: `\` was echoed, `/` is due.
    private var isErasing = false
    /// Column of the output.
    private var column = 0
    /// Column where the current input line began.
    private var canonicalColumn = 0
    /// Output is stopped (VSTOP).
    public private(set) var isStopped = false
    /// What was read for EOF: stands in `input` for the EOF character, and is not given to the reader.
    private static let endOfFile: UInt8 = 0

    public init(_ termios: Termios = LineDiscipline.standardTermios) { self.termios = termios }

    /// What a new tty has (tty_std_termios).
    public static let standardTermios: Termios = {
        var termios = Termios()
        termios.c_iflag = TerminalInputFlag.ICRNL | TerminalInputFlag.IXON
        termios.c_oflag = TerminalOutputFlag.OPOST | TerminalOutputFlag.ONLCR
        termios.c_cflag = TerminalControlFlag.B38400 | TerminalControlFlag.CS8 | TerminalControlFlag.CREAD
        typealias L = TerminalLocalFlag
        termios.c_lflag = L.ISIG | L.ICANON | L.ECHO | L.ECHOE | L.ECHOK | L.ECHOCTL | L.ECHOKE | L.IEXTEN
        let characters: [UInt8] = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0]
        for (index, character) in characters.enumerated() { termios.c_cc[index] = character }
        return termios
    }()

    // MARK: Flags

    @inline(__always) private func i(_ flag: UInt32) -> Bool { termios.c_iflag & flag != 0 }
    @inline(__always) private func o(_ flag: UInt32) -> Bool { termios.c_oflag & flag != 0 }
    @inline(__always) private func l(_ flag: UInt32) -> Bool { termios.c_lflag & flag != 0 }
    /// Whether `character` is the control character at `index`; 0 disables one.
    @inline(__always) private func isControl(_ character: UInt8, _ index: Int) -> Bool {
        let value = termios.c_cc[index]
        return value != 0 && value == character
    }
    private var isCanonical: Bool { l(TerminalLocalFlag.ICANON) && !l(TerminalLocalFlag.EXTPROC) }
    private static func isControlCode(_ c: UInt8) -> Bool { c < 0x20 || c == 0x7f }
    private func isContinuation(_ c: UInt8) -> Bool { i(TerminalInputFlag.IUTF8) && c & 0xc0 == 0x80 }
    private func at(_ position: UInt64) -> UInt8 { input[Int(position % UInt64(Self.capacity))] }
    private func isEnd(_ position: UInt64) -> Bool { ends[Int(position % UInt64(Self.capacity))] }
    private var count: Int { Int(head - tail) }

    // MARK: Input from the other side

    /// Takes bytes that arrived, in order: how many fit. A full buffer takes none, except that a canonical line that is too long loses its end.
    public mutating func receive(_ bytes: Span<UInt8>, _ effects: inout Effects) -> Int {
        var index = 0
        while index < bytes.count {
            // PARMRK may put three bytes in for one.
            let room = (Self.capacity - count) / (i(TerminalInputFlag.PARMRK) ? 3 : 1) - 1
            if room <= 0 {
                guard l(TerminalLocalFlag.ICANON), canonicalHead == tail else { break }
                if room < 0, head > tail { head -= 1 }
            }
            receive(bytes[index], &effects)
            index += 1
        }
        return index
    }

    private mutating func put(_ c: UInt8) {
        let index = Int(head % UInt64(Self.capacity))
        input[index] = c
        ends[index] = false
        head += 1
    }

    private mutating func receive(_ byte: UInt8, _ effects: inout Effects) {
        var c = byte
        if isLiteral {
            isLiteral = false
            if i(TerminalInputFlag.ISTRIP) { c &= 0x7f }
            receivePlain(c, &effects)
            return
        }
        if i(TerminalInputFlag.ISTRIP) { c &= 0x7f }
        if i(TerminalInputFlag.IUCLC), l(TerminalLocalFlag.IEXTEN), c >= 0x41, c <= 0x5a { c |= 0x20 }
        if l(TerminalLocalFlag.EXTPROC) {
            put(c)
            return
        }
        if receiveFlowOrSignal(c, &effects) { return }
        if isStopped, i(TerminalInputFlag.IXON), i(TerminalInputFlag.IXANY) { start(&effects) }
        if c == 0x0d {
            if i(TerminalInputFlag.IGNCR) { return }
            if i(TerminalInputFlag.ICRNL) { c = 0x0a }
        } else if c == 0x0a, i(TerminalInputFlag.INLCR) {
            c = 0x0d
        }
        if l(TerminalLocalFlag.ICANON), receiveCanonical(c, &effects) { return }
        receivePlain(c, &effects)
    }

    /// A character without special meaning, or behind VLNEXT.
    private mutating func receivePlain(_ c: UInt8, _ effects: inout Effects) {
        if l(TerminalLocalFlag.ECHO) {
            finishErasing(&effects)
            if c == 0x0a, !isLiteral, !l(TerminalLocalFlag.ICANON) {
                echoRaw(0x0a, &effects)
            } else {
                if canonicalHead == head { canonicalColumn = column }
                echo(c, &effects)
            }
        }
        if c == 0xff, i(TerminalInputFlag.PARMRK) { put(c) }
        put(c)
    }

    private mutating func receiveFlowOrSignal(_ c: UInt8, _ effects: inout Effects) -> Bool {
        if i(TerminalInputFlag.IXON) {
            if isControl(c, ControlCharacter.VSTART) {
                start(&effects)
                return true
            }
            if isControl(c, ControlCharacter.VSTOP) {
                stop(&effects)
                return true
            }
        }
        guard l(TerminalLocalFlag.ISIG) else { return false }
        let signal: Int32
        if isControl(c, ControlCharacter.VINTR) {
            signal = 2
        } else if isControl(c, ControlCharacter.VQUIT) {
            signal = 3
        } else if isControl(c, ControlCharacter.VSUSP) {
            signal = 20
        } else {
            return false
        }
        if !l(TerminalLocalFlag.NOFLSH) {
            effects.output = []
            effects.flushed = true
            flushInput()
        }
        if i(TerminalInputFlag.IXON), isStopped { start(&effects) }
        if l(TerminalLocalFlag.ECHO) { echo(c, &effects) }
        effects.signals.append(signal)
        return true
    }

    /// The characters of canonical mode; false: nothing special.
    private mutating func receiveCanonical(_ c: UInt8, _ effects: inout Effects) -> Bool {
        let isExtended = l(TerminalLocalFlag.IEXTEN), echoes = l(TerminalLocalFlag.ECHO)
        if isControl(c, ControlCharacter.VERASE) || isControl(c, ControlCharacter.VKILL)
            || (isExtended && isControl(c, ControlCharacter.VWERASE))
        {
            erase(c, &effects)
            return true
        }
        if isExtended, isControl(c, ControlCharacter.VLNEXT) {
            isLiteral = true
            if echoes {
                finishErasing(&effects)
                if l(TerminalLocalFlag.ECHOCTL) {
                    echoRaw(0x5e, &effects)
                    echoRaw(0x08, &effects)
                }
            }
            return true
        }
        if echoes, isExtended, isControl(c, ControlCharacter.VREPRINT) {
            finishErasing(&effects)
            echo(c, &effects)
            echoRaw(0x0a, &effects)
            var position = canonicalHead
            while position < head {
                echo(at(position), &effects)
                position += 1
            }
            return true
        }
        if c == 0x0a {
            if echoes || l(TerminalLocalFlag.ECHONL) { echoRaw(0x0a, &effects) }
            finishLine(c)
            return true
        }
        if isControl(c, ControlCharacter.VEOF) {
            finishLine(Self.endOfFile)
            return true
        }
        if isControl(c, ControlCharacter.VEOL) || (isExtended && isControl(c, ControlCharacter.VEOL2)) {
            if echoes {
                if canonicalHead == head { canonicalColumn = column }
                echo(c, &effects)
            }
            if c == 0xff, i(TerminalInputFlag.PARMRK) { put(c) }
            finishLine(c)
            return true
        }
        return false
    }

    private mutating func finishLine(_ c: UInt8) {
        put(c)
        ends[Int((head - 1) % UInt64(Self.capacity))] = true
        canonicalHead = head
    }

    // MARK: Erasing

    private enum Kill { case character, word, line }

    private mutating func erase(_ c: UInt8, _ effects: inout Effects) {
        if head == canonicalHead { return }
        let echoes = l(TerminalLocalFlag.ECHO)
        let kill: Kill
        if isControl(c, ControlCharacter.VERASE) {
            kill = .character
        } else if isControl(c, ControlCharacter.VWERASE), l(TerminalLocalFlag.IEXTEN) {
            kill = .word
        } else {
            if !echoes {
                head = canonicalHead
                return
            }
            if !l(TerminalLocalFlag.ECHOK) || !l(TerminalLocalFlag.ECHOKE) || !l(TerminalLocalFlag.ECHOE) {
                head = canonicalHead
                finishErasing(&effects)
                echo(termios.c_cc[ControlCharacter.VKILL], &effects)
                if l(TerminalLocalFlag.ECHOK) { echoRaw(0x0a, &effects) }
                return
            }
            kill = .line
        }
        var hasSeenWord = false
        while head > canonicalHead {
            // One character, which may be several bytes of UTF-8; never part of one.
            var position = head
            var character: UInt8
            repeat {
                position -= 1
                character = at(position)
            } while isContinuation(character) && position > canonicalHead
            if isContinuation(character) { break }
            if kill == .word {
                if Self.isWord(character) { hasSeenWord = true } else if hasSeenWord { break }
            }
            let removed = position..<head
            head = position
            if echoes { echoErasure(character, removed, kill, &effects) }
            if kill == .character { break }
        }
        if head == canonicalHead, echoes { finishErasing(&effects) }
    }

    private static func isWord(_ c: UInt8) -> Bool {
        (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a) || c == 0x5f
            // Letters of Latin-1, as the kernel's ctype table has them.
            || (c >= 0xc0 && c != 0xd7 && c != 0xf7)
    }

    private mutating func echoErasure(_ c: UInt8, _ removed: Range<UInt64>, _ kill: Kill, _ effects: inout Effects) {
        if l(TerminalLocalFlag.ECHOPRT) {
            if !isErasing {
                echoRaw(0x5c, &effects)
                isErasing = true
            }
            echo(c, &effects)
            for position in removed.dropFirst() {
                echoRaw(at(position), &effects)
                if column > 0 { column -= 1 }
            }
        } else if kill == .character, !l(TerminalLocalFlag.ECHOE) {
            echo(termios.c_cc[ControlCharacter.VERASE], &effects)
        } else if c == 0x09 {
            echoEraseTab(&effects)
        } else {
            if Self.isControlCode(c), l(TerminalLocalFlag.ECHOCTL) { for b: UInt8 in [0x08, 0x20, 0x08] { echoRaw(b, &effects) } }
            if !Self.isControlCode(c) || l(TerminalLocalFlag.ECHOCTL) { for b: UInt8 in [0x08, 0x20, 0x08] { echoRaw(b, &effects) } }
        }
    }

    /// Goes back as many columns as the tab that was erased had taken.
    private mutating func echoEraseTab(_ effects: inout Effects) {
        var columns = 0
        var isAfterTab = false
        var position = head
        while position > canonicalHead {
            position -= 1
            let c = at(position)
            if c == 0x09 {
                isAfterTab = true
                break
            }
            if Self.isControlCode(c) {
                if l(TerminalLocalFlag.ECHOCTL) { columns += 2 }
            } else if !isContinuation(c) {
                columns += 1
            }
        }
        columns &= 7
        if !isAfterTab { columns += canonicalColumn }
        for _ in 0..<(8 - (columns & 7)) {
            effects.output.append(0x08)
            if column > 0 { column -= 1 }
        }
    }

    private mutating func finishErasing(_ effects: inout Effects) {
        guard isErasing else { return }
        echoRaw(0x2f, &effects)
        isErasing = false
    }

    // MARK: Echo and output

    private mutating func echo(_ c: UInt8, _ effects: inout Effects) {
        if l(TerminalLocalFlag.ECHOCTL), Self.isControlCode(c), c != 0x09 {
            effects.output.append(0x5e)
            effects.output.append(c ^ 0x40)
            column += 2
        } else {
            echoRaw(c, &effects)
        }
    }

    private mutating func echoRaw(_ c: UInt8, _ effects: inout Effects) {
        if o(TerminalOutputFlag.OPOST) { process(c, &effects.output) } else { effects.output.append(c) }
    }

    /// Post-processes what a program wrote: how many bytes of it went, so that at most `room` bytes come out. 0 while output is stopped.
    public mutating func send(_ bytes: Span<UInt8>, room: Int, into output: inout [UInt8]) -> Int {
        if isStopped { return 0 }
        if !o(TerminalOutputFlag.OPOST) {
            let count = min(bytes.count, max(0, room))
            for index in 0..<count { output.append(bytes[index]) }
            return count
        }
        let start = output.count
        var index = 0
        while index < bytes.count {
            // A tab can take eight.
            let needed = bytes[index] == 0x09 ? 8 : 2
            if room - (output.count - start) < needed { break }
            process(bytes[index], &output)
            index += 1
        }
        return index
    }

    private mutating func process(_ byte: UInt8, _ output: inout [UInt8]) {
        var c = byte
        switch c {
        case 0x0a:
            if o(TerminalOutputFlag.ONLRET) { column = 0 }
            if o(TerminalOutputFlag.ONLCR) {
                column = 0
                canonicalColumn = 0
                output.append(0x0d)
                output.append(0x0a)
                return
            }
            canonicalColumn = column
        case 0x0d:
            if o(TerminalOutputFlag.ONOCR), column == 0 { return }
            if o(TerminalOutputFlag.OCRNL) {
                c = 0x0a
                if o(TerminalOutputFlag.ONLRET) {
                    column = 0
                    canonicalColumn = 0
                }
            } else {
                column = 0
                canonicalColumn = 0
            }
        case 0x09:
            let spaces = 8 - (column & 7)
            column += spaces
            if termios.c_oflag & TerminalOutputFlag.TABDLY == TerminalOutputFlag.XTABS {
                for _ in 0..<spaces { output.append(0x20) }
                return
            }
        case 0x08: if column > 0 { column -= 1 }
        default:
            if !Self.isControlCode(c) {
                if o(TerminalOutputFlag.OLCUC), c >= 0x61, c <= 0x7a { c &= ~0x20 }
                if !isContinuation(c) { column += 1 }
            }
        }
        output.append(c)
    }

    // MARK: Flow

    /// VSTOP, or tcflow(TCOOFF).
    public mutating func stop(_ effects: inout Effects) {
        if isStopped { return }
        isStopped = true
        effects.packetStatus = effects.packetStatus & ~PacketStatus.TIOCPKT_START | PacketStatus.TIOCPKT_STOP
    }

    /// VSTART, or tcflow(TCOON).
    public mutating func start(_ effects: inout Effects) {
        guard isStopped else { return }
        isStopped = false
        effects.packetStatus = effects.packetStatus & ~PacketStatus.TIOCPKT_STOP | PacketStatus.TIOCPKT_START
    }

    // MARK: Reading

    /// Whether a read would get something now. `polling`: as poll(2) sees it, which heeds VMIN without VTIME.
    public func isReadable(polling: Bool = false) -> Bool {
        if isCanonical { return canonicalHead != tail }
        let minimum = Int(termios.c_cc[ControlCharacter.VMIN])
        let wanted = polling && termios.c_cc[ControlCharacter.VTIME] == 0 && minimum > 0 ? minimum : 1
        return count >= wanted
    }

    /// FIONREAD: bytes that reads would give, in canonical mode of complete lines.
    public var readableCount: Int {
        guard l(TerminalLocalFlag.ICANON) else { return count }
        var result = 0
        var position = tail
        while position < canonicalHead {
            if !(isEnd(position) && at(position) == Self.endOfFile) { result += 1 }
            position += 1
        }
        return result
    }

    /// Takes up to `limit` bytes (one line at most, in canonical mode); nil when there is nothing to read. An empty result is end of file.
    public mutating func read(limit: Int) -> [UInt8]? {
        guard isReadable() else { return nil }
        var bytes: [UInt8] = []
        if !isCanonical {
            let wanted = min(limit, count)
            bytes.reserveCapacity(wanted)
            for _ in 0..<wanted {
                bytes.append(at(tail))
                tail += 1
            }
            if canonicalHead < tail { canonicalHead = tail }
            return bytes
        }
        while tail < canonicalHead {
            let c = at(tail)
            if isEnd(tail) {
                if c == Self.endOfFile {
                    // Even when the buffer is just full: the EOF belongs to the line it ends.
                    tail += 1
                    return bytes
                }
                if bytes.count < limit {
                    tail += 1
                    bytes.append(c)
                }
                return bytes
            }
            if bytes.count >= limit { break }
            bytes.append(c)
            tail += 1
        }
        return bytes
    }

    /// VMIN and VTIME of a read in non-canonical mode: how many bytes it wants, and how long it waits (nanoseconds) for the first and between bytes.
    public var minimum: (bytes: Int, firstTimeout: UInt64?, nextTimeout: UInt64?) {
        if isCanonical { return (1, nil, nil) }
        let minimum = Int(termios.c_cc[ControlCharacter.VMIN]), time = UInt64(termios.c_cc[ControlCharacter.VTIME]) * 100_000_000
        if minimum > 0 { return (minimum, nil, time > 0 ? time : nil) }
        return (1, time, time)
    }

    /// Forgets input that was not read (tcflush(TCIFLUSH)).
    public mutating func flushInput() {
        tail = head
        canonicalHead = head
        isErasing = false
        isLiteral = false
    }

    // MARK: Settings

    /// tcsetattr(3): new settings. Changing between canonical and raw turns what is buffered into one line, or into bytes.
    public mutating func setTermios(_ new: Termios, _ effects: inout Effects) {
        let old = termios
        termios = new
        if (old.c_lflag ^ new.c_lflag) & (TerminalLocalFlag.ICANON | TerminalLocalFlag.EXTPROC) != 0 {
            for index in ends.indices { ends[index] = false }
            if !l(TerminalLocalFlag.ICANON) || count == 0 {
                canonicalHead = tail
            } else {
                ends[Int((head - 1) % UInt64(Self.capacity))] = true
                canonicalHead = head
            }
            isErasing = false
            isLiteral = false
        }
        if !i(TerminalInputFlag.IXON), old.c_iflag & TerminalInputFlag.IXON != 0, isStopped { start(&effects) }
    }
}

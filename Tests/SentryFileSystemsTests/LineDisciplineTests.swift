import LinuxABI
import Testing

@testable import SentryFileSystems

@Suite struct LineDisciplineTests {
    /// A discipline with some of the standard settings changed.
    private func make(_ change: (inout Termios) -> Void = { _ in }) -> LineDiscipline {
        var termios = LineDiscipline.standardTermios
        change(&termios)
        return LineDiscipline(termios)
    }

    /// Types `text`; what was echoed and which signals came.
    private func type(_ discipline: inout LineDiscipline, _ text: String) -> (echo: String, signals: [Int32]) {
        var effects = LineDiscipline.Effects()
        let bytes = Array(text.utf8)
        let count = discipline.receive(bytes.span, &effects)
        #expect(count == bytes.count)
        return (String(decoding: effects.output, as: UTF8.self), effects.signals)
    }

    private func read(_ discipline: inout LineDiscipline, _ limit: Int = 4096) -> String? {
        discipline.read(limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    private func write(_ discipline: inout LineDiscipline, _ text: String, room: Int = 4096) -> String {
        var output: [UInt8] = []
        _ = discipline.send(Array(text.utf8).span, room: room, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    struct Typed: Sendable, CustomTestStringConvertible {
        let input: String, echo: String, line: String
        init(_ input: String, _ echo: String, _ line: String) {
            (self.input, self.echo, self.line) = (input, echo, line)
        }
        var testDescription: String { input.debugDescription }
    }

    @Test(
        "canonical editing and echo",
        arguments: [
            Typed("hello\n", "hello\r\n", "hello\n"),
            Typed("hello\r", "hello\r\n", "hello\n"),
            Typed("abc\u{7f}d\n", "abc\u{8} \u{8}d\r\n", "abd\n"),
            Typed("\u{7f}x\n", "x\r\n", "x\n"),
            Typed("one two\u{17}2\n", "one two\u{8} \u{8}\u{8} \u{8}\u{8} \u{8}2\r\n", "one 2\n"),
            Typed("abc\u{15}d\n", "abc\u{8} \u{8}\u{8} \u{8}\u{8} \u{8}d\r\n", "d\n"),
            Typed("a\u{1}b\n", "a^Ab\r\n", "a\u{1}b\n"),
            Typed("a\u{1}\u{7f}b\n", "a^A\u{8} \u{8}\u{8} \u{8}b\r\n", "ab\n"),
            Typed("a\u{16}\u{3}b\n", "a^\u{8}^Cb\r\n", "a\u{3}b\n"),
            Typed("a\tb\u{7f}\u{7f}c\n", "a\tb\u{8} \u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}c\r\n", "ac\n"),
            Typed("ab\u{12}c\n", "ab^R\r\nabc\r\n", "abc\n"),
        ])
    func canonical(_ typed: Typed) {
        var discipline = make()
        #expect(type(&discipline, typed.input).echo == typed.echo)
        #expect(read(&discipline) == typed.line)
        #expect(read(&discipline) == nil)
    }

    @Test func lineIsReadInPartsAndOnlyWhenComplete() {
        var discipline = make()
        _ = type(&discipline, "abcdef")
        #expect(!discipline.isReadable())
        _ = type(&discipline, "\nsecond\n")
        #expect(discipline.readableCount == 14)
        #expect(read(&discipline, 4) == "abcd")
        #expect(read(&discipline, 100) == "ef\n")
        #expect(read(&discipline, 100) == "second\n")
    }

    @Test func endOfFileCharacter() {
        var discipline = make()
        _ = type(&discipline, "\u{4}")
        #expect(discipline.readableCount == 0)
        #expect(read(&discipline) == "")
        #expect(read(&discipline) == nil)
        _ = type(&discipline, "tail\u{4}")
        // A read of exactly the line swallows its EOF too.
        #expect(read(&discipline, 4) == "tail")
        #expect(read(&discipline) == nil)
    }

    @Test("signal characters", arguments: [("\u{3}", Int32(2), "^C"), ("\u{1c}", 3, "^\\"), ("\u{1a}", 20, "^Z")])
    func signals(_ character: String, _ signal: Int32, _ echo: String) {
        var discipline = make()
        _ = type(&discipline, "lost")
        let result = type(&discipline, character)
        #expect(result.signals == [signal])
        #expect(result.echo == echo)
        _ = type(&discipline, "kept\n")
        #expect(read(&discipline) == "kept\n")
    }

    @Test func noFlushKeepsInput() {
        var discipline = make { $0.c_lflag |= TerminalLocalFlag.NOFLSH }
        _ = type(&discipline, "kept\u{3}\n")
        #expect(read(&discipline) == "kept\n")
    }

    @Test func withoutSignalsControlCIsACharacter() {
        var discipline = make { $0.c_lflag &= ~TerminalLocalFlag.ISIG }
        #expect(type(&discipline, "\u{3}\n").signals == [])
        #expect(read(&discipline) == "\u{3}\n")
    }

    @Test func utf8IsErasedWhole() {
        var discipline = make { $0.c_iflag |= TerminalInputFlag.IUTF8 }
        #expect(type(&discipline, "aé\u{7f}\n").echo == "aé\u{8} \u{8}\r\n")
        #expect(read(&discipline) == "a\n")
    }

    @Test func echoOff() {
        var discipline = make { $0.c_lflag &= ~TerminalLocalFlag.ECHO }
        #expect(type(&discipline, "secret\n").echo == "")
        var withNewline = make { $0.c_lflag = $0.c_lflag & ~TerminalLocalFlag.ECHO | TerminalLocalFlag.ECHONL }
        #expect(type(&withNewline, "secret\n").echo == "\r\n")
    }

    @Test func rawMode() {
        var discipline = make {
            $0.c_iflag = 0
            $0.c_oflag = 0
            $0.c_lflag = 0
        }
        #expect(type(&discipline, "a\r\u{3}\n").signals == [])
        #expect(discipline.isReadable())
        #expect(read(&discipline, 2) == "a\r")
        #expect(read(&discipline) == "\u{3}\n")
        #expect(write(&discipline, "x\n") == "x\n")
    }

    @Test func minimumForPoll() {
        var discipline = make {
            $0.c_lflag &= ~TerminalLocalFlag.ICANON
            $0.c_cc[ControlCharacter.VMIN] = 3
        }
        _ = type(&discipline, "ab")
        #expect(!discipline.isReadable(polling: true))
        #expect(discipline.isReadable())
        _ = type(&discipline, "c")
        #expect(discipline.isReadable(polling: true))
        #expect(discipline.minimum.bytes == 3)
    }

    @Test func inputTranslation() {
        var ignoring = make { $0.c_iflag = TerminalInputFlag.IGNCR }
        _ = type(&ignoring, "a\rb\n")
        #expect(read(&ignoring) == "ab\n")
        var swapping = make { $0.c_iflag = TerminalInputFlag.INLCR }
        _ = type(&swapping, "a\nb\u{4}")
        #expect(read(&swapping) == "a\rb")
        var stripping = make { $0.c_iflag = TerminalInputFlag.ISTRIP }
        var effects = LineDiscipline.Effects()
        let bytes: [UInt8] = [0xe1, 0x0a]
        _ = stripping.receive(bytes.span, &effects)
        #expect(read(&stripping) == "a\n")
    }

    @Test func outputProcessing() {
        var discipline = make()
        #expect(write(&discipline, "a\nb") == "a\r\nb")
        var tabs = make { $0.c_oflag |= TerminalOutputFlag.XTABS }
        #expect(write(&tabs, "ab\tc") == "ab      c")
        var upper = make { $0.c_oflag |= TerminalOutputFlag.OLCUC }
        #expect(write(&upper, "abC1") == "ABC1")
        var returns = make { $0.c_oflag = TerminalOutputFlag.OPOST | TerminalOutputFlag.OCRNL }
        #expect(write(&returns, "a\r") == "a\n")
    }

    @Test func outputStopsWhenThereIsNoRoom() {
        var discipline = make()
        var output: [UInt8] = []
        #expect(discipline.send(Array("ab\n\n".utf8).span, room: 5, into: &output) == 3)
        #expect(output == Array("ab\r\n".utf8))
    }

    @Test func flowControl() {
        var discipline = make()
        var effects = LineDiscipline.Effects()
        _ = discipline.receive([0x13].span, &effects)
        #expect(discipline.isStopped)
        #expect(effects.packetStatus == PacketStatus.TIOCPKT_STOP)
        #expect(write(&discipline, "x") == "")
        _ = type(&discipline, "\u{11}")
        #expect(!discipline.isStopped)
        #expect(write(&discipline, "x") == "x")
    }

    @Test func longLineLosesItsEndAndStaysReadable() {
        var discipline = make { $0.c_lflag &= ~TerminalLocalFlag.ECHO }
        var effects = LineDiscipline.Effects()
        let long = [UInt8](repeating: 0x61, count: 6000)
        #expect(discipline.receive(long.span, &effects) == 6000)
        _ = discipline.receive([0x0a].span, &effects)
        let line = discipline.read(limit: 10_000) ?? []
        #expect(line.count <= LineDiscipline.capacity)
        #expect(line.last == 0x0a)
    }

    @Test func fullRawBufferTakesNoMore() {
        var discipline = make { $0.c_lflag = 0 }
        var effects = LineDiscipline.Effects()
        let many = [UInt8](repeating: 0x61, count: 6000)
        let taken = discipline.receive(many.span, &effects)
        #expect(taken == LineDiscipline.capacity - 1)
        #expect(discipline.read(limit: 10)?.count == 10)
        #expect(discipline.receive(many.span, &effects) == 10)
    }

    @Test func leavingCanonicalModeFreesTheUnfinishedLine() {
        var discipline = make()
        _ = type(&discipline, "partial")
        var effects = LineDiscipline.Effects()
        var raw = discipline.termios
        raw.c_lflag &= ~TerminalLocalFlag.ICANON
        discipline.setTermios(raw, &effects)
        #expect(read(&discipline) == "partial")
        _ = type(&discipline, "back")
        discipline.setTermios(LineDiscipline.standardTermios, &effects)
        // What was there counts as a line.
        #expect(discipline.isReadable())
        #expect(read(&discipline) == "back")
    }

    @Test func termiosBytesRoundTrip() {
        let termios = LineDiscipline.standardTermios
        for (get, set) in [
            (TerminalRequest.TCGETS, TerminalRequest.TCSETS), (TerminalRequest.TCGETS2, TerminalRequest.TCSETS2),
            (TerminalRequest.TCGETA, TerminalRequest.TCSETA),
        ] {
            let bytes = TerminalBytes.encode(termios, get)
            #expect(bytes.count == TerminalBytes.size(get))
            #expect(TerminalBytes.decode(bytes, set, termios) == termios)
        }
        // ICRNL | IXON, little-endian, and ^C first among the characters.
        let bytes = TerminalBytes.encode(termios, TerminalRequest.TCGETS)
        #expect(Array(bytes.prefix(4)) == [0x00, 0x05, 0, 0])
        #expect(bytes[17] == 3)
    }
}

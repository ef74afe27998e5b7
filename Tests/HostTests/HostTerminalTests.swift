import Host
import LinuxABI
import Testing

@Suite struct HostTerminalTests {
    @Test func sizeAndSettings() throws {
        let pair = try HostCall.openTerminalPair()
        #expect(HostCall.isTerminal(pair.second.rawValue))
        try HostCall.setWindowSize(pair.first.rawValue, WindowSize(ws_row: 33, ws_col: 99))
        #expect(try HostCall.windowSize(pair.second.rawValue) == WindowSize(ws_row: 33, ws_col: 99))

        // Cooked: the master's line feed comes out as it went in, echoed with a carriage return.
        let cooked = try HostCall.terminalSettings(pair.second.rawValue)
        try HostCall.setTerminalSettings(pair.second.rawValue, cooked.raw)
        let bytes: [UInt8] = [0x03, 0x0A, 0x41]
        try HostCall.writeAll(pair.first.rawValue, bytes.span)
        var buffer = [UInt8](repeating: 0, count: 16)
        var span = buffer.mutableSpan
        let count = try HostCall.read(pair.second.rawValue, into: &span)
        #expect(Array(buffer.prefix(count)) == bytes, "raw passes every byte")
        // Nothing was echoed.
        #expect(try HostCall.waitReadable([pair.first.rawValue], milliseconds: 0) == nil)
        try HostCall.setTerminalSettings(pair.second.rawValue, cooked)
    }

    @Test func aPipeIsNoTerminal() throws {
        let pair = try HostCall.socketPair()
        #expect(!HostCall.isTerminal(pair.first.rawValue))
        #expect(throws: Errno.ENOTTY) { try HostCall.windowSize(pair.first.rawValue) }
    }
}

@Suite struct HostSignalTests {
    @Test func signalsArriveOnADescriptor() throws {
        let signals = try SignalDescriptor([Int32(45)])
        defer { HostCall.unblockAllSignals() }
        #expect(try HostCall.waitReadable([signals.descriptor.rawValue], milliseconds: 0) == nil)
        let process = HostCall.raw(.getpid)
        let thread = HostCall.raw(.gettid)
        _ = try HostCall.check(HostCall.raw(.tgkill, process, thread, 45))
        #expect(try HostCall.waitReadable([signals.descriptor.rawValue], milliseconds: 1000) == 0)
        #expect(try signals.next() == (45, false))
    }

    @Test func readability() throws {
        let a = try HostCall.socketPair()
        let b = try HostCall.socketPair()
        let word: [UInt8] = [1]
        try HostCall.writeAll(b.first.rawValue, word.span)
        #expect(try HostCall.pollReadable([a.second.rawValue, b.second.rawValue], milliseconds: -1) == [false, true])
        #expect(try HostCall.waitReadable([a.second.rawValue], milliseconds: 1) == nil)
    }

    @Test func childStatus() {
        #expect(ChildStatus(rawValue: 3 << 8).exitCode == 3)
        #expect(ChildStatus(rawValue: 9).signal == 9)
        #expect(ChildStatus(rawValue: 9).exitCode == nil)
        #expect(ChildStatus(rawValue: 9).shellStatus == 137)
        #expect(ChildStatus(rawValue: 0).shellStatus == 0)
    }
}

@Suite struct TemporaryFileSystemTests {
    @Test func holdsItsSizeAndNoMore() throws {
        guard HostCall.raw(.geteuid) == 0 else { return }
        let system = try TemporaryFileSystem(size: 65536, name: "test")
        let file = try system.makeFile(size: 1 << 30)
        let page = [UInt8](repeating: 1, count: 65536)
        try HostCall.writeAll(file.rawValue, page.span)
        #expect(throws: Errno.ENOSPC) { try HostCall.write(file.rawValue, page.span) }
        let path = Array("/proc/self/fd/\(system.root.rawValue)".utf8)
        try TemporaryFileSystem.resize(path: path, size: 131_072)
        #expect(try HostCall.write(file.rawValue, page.span) == 65536)
        #expect(throws: Errno.EINVAL) { try TemporaryFileSystem.resize(path: path, size: 4096) }
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Testing

@testable import SentryFileSystems

@Suite struct TerminalTests {
    private struct NoLoader: ProgramLoader {
        func load(_ request: ProgramRequest, for task: KernelTask) throws(Errno) -> LoadedProgram { throw .ENOEXEC }
    }

    private let context = KernelFileContext.shared
    private let devpts: DevptsFileSystem
    private let namespace: MountNamespace

    init() throws {
        let kernel = Kernel(platform: NullPlatform(), systemCalls: SystemCallTable(families: []), programLoader: NoLoader())
        devpts = DevptsFileSystem(kernel: kernel, device: DeviceNumber.make(major: 0, minor: 99))
        namespace = try MountNamespace(root: devpts, source: Array("devpts".utf8))
    }

    private func open(_ path: String, _ flags: OpenFlags = .O_RDWR) throws -> FileDescription {
        let file = try VFS.open(Array(path.utf8).span, at: namespace.root, flags: flags, context)
        file.retainDescriptor()
        return file
    }
    /// A master with its slave, unlocked.
    private func openPair() throws -> (master: TerminalMasterFile, slave: TerminalFile) {
        let master = try #require(try open("ptmx") as? TerminalMasterFile)
        master.terminal.state.withLock { $0.isLocked = false }
        let slave = try #require(try open(String(master.terminal.index)) as? TerminalFile)
        return (master, slave)
    }
    @discardableResult private func write(_ file: FileDescription, _ text: String) throws -> Int {
        var buffer = IOBuffer.kernel(Array(text.utf8))
        return try file.write(from: &buffer, context)
    }
    private func read(_ file: FileDescription, _ capacity: Int = 4096) throws -> String {
        var buffer = IOBuffer.kernel(capacity: capacity)
        _ = try file.read(into: &buffer, context)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }

    @Test func bytesGoBothWays() throws {
        let (master, slave) = try openPair()
        #expect(throws: Errno.EAGAIN) { try read(slave) }
        try write(master, "ls\r")
        #expect(try read(master) == "ls\r\n")
        #expect(slave.readiness(.readable).contains(.POLLIN))
        #expect(try read(slave) == "ls\n")
        try write(slave, "out\n")
        #expect(try read(master) == "out\r\n")
        #expect(throws: Errno.EAGAIN) { try read(master) }
    }

    @Test func slaveIsLockedAtFirstAndListed() throws {
        let master = try #require(try open("ptmx") as? TerminalMasterFile)
        #expect(throws: Errno.EIO) { try open("0") }
        var names: [String] = []
        try open("/", .O_DIRECTORY).readDirectory(context) { entry in
            names.append(String(decoding: entry.name, as: UTF8.self))
            return true
        }
        #expect(names == [".", "..", "ptmx", "0"])
        let attributes = try VFS.stat(Array("0".utf8).span, at: namespace.root, [], context)
        #expect(attributes.specialDevice == DeviceNumber.make(major: 136, minor: 0))
        #expect(attributes.mode == FileMode.S_IFCHR | 0o620)
        master.releaseDescriptor(context)
        #expect(throws: Errno.ENOENT) { try open("0") }
    }

    @Test func lowestNumberIsUsedAgain() throws {
        let first = try openPair(), second = try openPair()
        #expect(first.master.terminal.index == 0 && second.master.terminal.index == 1)
        first.master.releaseDescriptor(context)
        let third = try openPair()
        #expect(third.master.terminal.index == 0)
    }

    @Test func closingTheMasterHangsUp() throws {
        let (master, slave) = try openPair()
        try write(master, "unread")
        master.releaseDescriptor(context)
        #expect(try read(slave) == "")
        #expect(throws: Errno.EIO) { try write(slave, "x") }
        #expect(slave.readiness([.POLLIN, .POLLOUT]).isSuperset(of: [.POLLIN, .POLLHUP, .POLLERR]))
    }

    @Test func closingTheSlaveEndsTheMaster() throws {
        let (master, slave) = try openPair()
        try write(slave, "bye")
        slave.releaseDescriptor(context)
        #expect(try read(master) == "bye")
        #expect(throws: Errno.EIO) { try read(master) }
        #expect(master.readiness([.POLLIN]).contains(.POLLHUP))
        // Opening it again revives the pair.
        let again = try open(String(master.terminal.index))
        #expect(throws: Errno.EAGAIN) { try read(master) }
        #expect(!master.readiness([.POLLIN]).contains(.POLLHUP))
        _ = again
    }

    @Test func masterBeforeAnySlaveWaits() throws {
        let master = try open("ptmx")
        #expect(throws: Errno.EAGAIN) { try read(master) }
    }

    @Test func writersWaitForTheMaster() throws {
        let (master, slave) = try openPair()
        var total = 0
        let chunk = String(repeating: "x", count: 4096)
        while true {
            do { total += try write(slave, chunk) } catch {
                #expect(error as? Errno == .EAGAIN)
                break
            }
            #expect(total < 1 << 20)
        }
        #expect(!slave.readiness(.writable).contains(.POLLOUT))
        var got = 0
        while got < total { got += try read(master).utf8.count }
        #expect(slave.readiness(.writable).contains(.POLLOUT))
    }

    @Test func typingAheadIsBoundedAndKeepsOrder() throws {
        let (master, slave) = try openPair()
        var termios = LineDiscipline.standardTermios
        termios.c_lflag = 0
        termios.c_iflag = 0
        master.terminal.setTermios(termios, flushing: false)
        var sent: [UInt8] = []
        while true {
            let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: sent.count + $0) }
            var buffer = IOBuffer.kernel(bytes)
            guard let count = try? master.write(from: &buffer, context) else { break }
            sent += bytes.prefix(count)
            #expect(sent.count < 1 << 20)
        }
        #expect(!master.readiness(.writable).contains(.POLLOUT))
        var received: [UInt8] = []
        while received.count < sent.count {
            var buffer = IOBuffer.kernel(capacity: 777)
            _ = try slave.read(into: &buffer, context)
            received += buffer.bytes
        }
        #expect(received == sent)
    }

    @Test func packetMode() throws {
        let (master, slave) = try openPair()
        master.terminal.state.withLock { $0.packetMode = true }
        try write(slave, "x")
        #expect(try read(master) == "\u{0}x")
        try write(master, "\u{13}")
        #expect(try read(master) == String(UnicodeScalar(PacketStatus.TIOCPKT_STOP)))
        try write(master, "\u{11}")
        #expect(try read(master) == String(UnicodeScalar(PacketStatus.TIOCPKT_START)))
        try write(master, "\u{3}")
        let flushed = PacketStatus.TIOCPKT_FLUSHREAD | PacketStatus.TIOCPKT_FLUSHWRITE
        #expect(try read(master) == String(UnicodeScalar(flushed)))
    }

    @Test func echoWaitsWhileOutputIsStopped() throws {
        let (master, slave) = try openPair()
        try write(master, "\u{13}a")
        #expect(throws: Errno.EAGAIN) { try read(master) }
        #expect(throws: Errno.EAGAIN) { try write(slave, "x") }
        try write(master, "\u{11}")
        #expect(try read(master) == "a")
    }

    @Test func rawReadWithoutMinimumReturnsAtOnce() throws {
        let (master, slave) = try openPair()
        var termios = LineDiscipline.standardTermios
        termios.c_lflag &= ~TerminalLocalFlag.ICANON
        termios.c_cc[ControlCharacter.VMIN] = 0
        master.terminal.setTermios(termios, flushing: false)
        #expect(try read(slave) == "")
        termios.c_cc[ControlCharacter.VMIN] = 3
        master.terminal.setTermios(termios, flushing: false)
        try write(master, "ab")
        #expect(throws: Errno.EAGAIN) { try read(slave) }
        // A buffer smaller than VMIN is filled.
        #expect(try read(slave, 2) == "ab")
    }

    @Test func exclusiveTerminalStillOpensForRoot() throws {
        let (master, _) = try openPair()
        master.terminal.state.withLock { $0.isExclusive = true }
        _ = try open(String(master.terminal.index))
    }
}

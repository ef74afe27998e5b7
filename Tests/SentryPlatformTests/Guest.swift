import Host
import LinuxABI
import SentryPlatform
import Synchronization
import Testing

/// Runs `body` on a host thread of its own (a guest task's thread is pinned and traces its stub, so a test must not lend its own).
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
    try Worker(body).wait()
}

/// A thread with a result.
final class Worker<R: Sendable>: Sendable {
    private let result = Mutex<Result<R, any Error>?>(nil)
    private let done: SharedDescriptor

    init(_ body: @escaping @Sendable () throws -> R) throws {
        let pair = try HostCall.socketPair()
        done = SharedDescriptor(pair.first)
        let signal = SharedDescriptor(pair.second)
        try startThread { [self] in
            let value = Result { try body() }
            result.withLock { $0 = value }
            _ = try? HostCall.write(signal.rawValue, [1].span)
        }
    }

    func wait() throws -> R {
        var byte: [UInt8] = [0]
        var span = byte.mutableSpan
        _ = try HostCall.read(done.rawValue, into: &span)
        return try #require(result.withLock { $0 }).get()
    }
}

/// The platforms that one suite runs on.
enum TestPlatform: String, CaseIterable, CustomTestStringConvertible {
    case ptrace, systrap
    var testDescription: String { rawValue }

    /// A platform of its own, with a source of its own, and the source's process.
    func start() throws -> (platform: any Platform, source: Int32) {
        switch self {
        case .ptrace:
            let platform = try PtracePlatform.start()
            return (platform, platform.sourceProcess)
        case .systrap:
            let platform = try SystrapPlatform.start()
            return (platform, platform.sourceProcess)
        }
    }

    private static let ptraceShared = Result { try TestPlatform.ptrace.start().platform }
    private static let systrapShared = Result { try TestPlatform.systrap.start().platform }
    /// The one that most tests share.
    var shared: any Platform {
        get throws { try (self == .ptrace ? Self.ptraceShared : Self.systrapShared).get() }
    }
}

extension Event {
    /// Without the kind of access, where it is reading or writing: not every platform can tell.
    var withoutAccess: Event {
        guard case .fault(var fault) = self else { return self }
        if fault.access != .execute { fault.access = nil }
        return .fault(fault)
    }
}

/// A memory file, an address space with code and data mapped, and a context: what a test of guest code needs. Code at 0x400000 (read, execute),
/// data at 0x500000 (read, write; file offset 0x10000), read-only data at 0x600000 (file offset 0x20000).
final class Guest: Sendable {
    static let code: UInt64 = 0x40_0000
    static let data: UInt64 = 0x50_0000
    static let constant: UInt64 = 0x60_0000

    let memory: SharedDescriptor
    let space: any PlatformAddressSpace
    let context: any ExecutionContext

    init(_ on: TestPlatform, _ code: [UInt8], constants: [UInt8] = []) throws {
        let platform = try on.shared
        memory = SharedDescriptor(try makeMemoryFile(size: 1 << 20))
        _ = try HostCall.write(memory.rawValue, at: 0, code.span)
        if !constants.isEmpty { _ = try HostCall.write(memory.rawValue, at: 0x20000, constants.span) }
        space = try platform.makeAddressSpace(memory: memory)
        try space.apply([
            .map(address: Self.code, length: 0x1000, protection: [.read, .execute], file: .memoryFile, offset: 0),
            .map(address: Self.data, length: 0x4000, protection: [.read, .write], file: .memoryFile, offset: 0x10000),
            .map(address: Self.constant, length: 0x1000, protection: [.read], file: .memoryFile, offset: 0x20000),
        ])
        context = try platform.makeContext()
    }

    func entry(_ change: (inout Registers) -> Void = { _ in }) -> Registers {
        var registers = Registers()
        registers.rip = Self.code
        registers.rsp = Self.data + 0x3ff0
        change(&registers)
        return registers
    }

    /// Runs until the first event, and ends the guest.
    func once(_ change: (inout Registers) -> Void = { _ in }) throws -> (Event, Registers) {
        var registers = entry(change)
        defer {
            context.release()
            space.destroy()
        }
        return (try context.run(&registers, in: space).withoutAccess, registers)
    }

    func readData(_ offset: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        _ = try HostCall.read(memory.rawValue, at: Int64(0x10000 + offset), into: &span)
        return bytes
    }
}

func makeMemoryFile(size: Int) throws -> OwnedDescriptor {
    let file = try HostCall.withPath(Array("test".utf8)) { name throws(Errno) in
        OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.memfd_create, name, 1))))
    }
    _ = try HostCall.check(HostCall.raw(.ftruncate, Int(file.rawValue), size))
    return file
}

func now() -> UInt64 {
    var time: [Int] = [0, 0]
    unsafe time.withUnsafeMutableBufferPointer { p in _ = HostCall.raw(.clock_gettime, 1, Int(bitPattern: p.baseAddress)) }
    return UInt64(time[0]) * 1_000_000_000 + UInt64(time[1])
}

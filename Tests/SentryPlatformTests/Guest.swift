import Host
import LinuxABI
import SentryPlatform
import Testing

/// Runs `body` on a host thread of its own (a guest task's thread is pinned and traces its stub, so a test must not lend its own).
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
    try Worker(body).wait()
}

/// A thread with a result.
final class Worker<R: Sendable>: Sendable {
    private let result = Lock<Result<R, any Error>?>(nil)
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

    /// Whether it ends within so many milliseconds.
    func isDone(within milliseconds: Int32) throws -> Bool {
        try HostCall.waitReadable([done.rawValue], milliseconds: milliseconds) != nil
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

/// The guest's code and trampolines, for the platform to patch: what `AddressSpace` does, on one page of code.
final class TestCode: GuestCode {
    private let memory: SharedDescriptor
    private let space: any PlatformAddressSpace
    private let base: UInt64
    private let trampolines = Lock<[Range<UInt64>]>([])
    /// Where in the memory file the code is, and where the next page for it goes.
    private let place: Lock<(current: UInt64, next: UInt64)>

    /// Where in the memory file trampolines are.
    private static func offset(_ address: UInt64) -> UInt64 { address - 0x500_0000 }

    init(_ memory: SharedDescriptor, _ space: any PlatformAddressSpace, at base: UInt64, offset: UInt64 = 0, next: UInt64 = 0x40000) {
        self.memory = memory
        self.space = space
        self.base = base
        place = Lock((offset, next))
    }

    func constantCode(at address: UInt64, count: Int) -> [UInt8]? {
        // The code begins with its page; zeros stand for what would lie before.
        let missing = address < base ? Int(base - address) : 0
        guard missing < 16, address + UInt64(count) <= base + 0x1000 else { return nil }
        var bytes = [UInt8](repeating: 0, count: count - missing)
        var span = bytes.mutableSpan
        let offset = Int64(offset + address + UInt64(missing) - base)
        guard (try? HostCall.read(memory.rawValue, at: offset, into: &span)) == count - missing else { return nil }
        return [UInt8](repeating: 0, count: missing) + bytes
    }

    func currentCode(at address: UInt64, count: Int) -> [UInt8]? { constantCode(at: address, count: count) }

    var offset: UInt64 { place.withLock { $0.current } }

    func replaceCode(at address: UInt64, with bytes: [UInt8]) throws(Errno) {
        try exchange { $0.replaceSubrange(Int(address - base)..<Int(address - base) + bytes.count, with: bytes) }
    }

    /// Another page in place of the code's, with what `change` makes of its bytes.
    func exchange(_ change: (inout [UInt8]) -> Void) throws(Errno) {
        try place.withLock { place throws(Errno) in
            var page = [UInt8](repeating: 0, count: 0x1000)
            var span = page.mutableSpan
            _ = try HostCall.read(memory.rawValue, at: Int64(place.current), into: &span)
            change(&page)
            _ = try HostCall.write(memory.rawValue, at: Int64(place.next), page.span)
            try space.apply([.map(address: base, length: 0x1000, protection: [.read, .execute], file: .memoryFile, offset: place.next)])
            place = (place.next, place.next + 0x1000)
        }
    }

    func mapTrampolines(at address: UInt64, length: UInt64) throws(Errno) {
        try space.apply([
            .map(address: address, length: length, protection: [.read, .execute], file: .memoryFile, offset: Self.offset(address))
        ])
        trampolines.withLock { $0.append(address..<address + length) }
    }

    func writeTrampolines(at address: UInt64, _ bytes: [UInt8]) throws(Errno) {
        guard trampolines.withLock({ $0.contains { $0.contains(address) } }) else { throw .EFAULT }
        _ = try HostCall.write(memory.rawValue, at: Int64(Self.offset(address)), bytes.span)
    }
}

/// A memory file, an address space with code and data mapped, and a context: what a test of guest code needs. Code at 0x400000 or elsewhere (read, execute),
/// data at 0x500000 (read, write; file offset 0x10000), read-only data at 0x600000 (file offset 0x20000).
final class Guest: Sendable {
    static let code: UInt64 = 0x40_0000
    static let data: UInt64 = 0x50_0000
    static let constant: UInt64 = 0x60_0000
    /// Of the memory file, with the trampolines in it.
    static let memorySize = 32 << 20

    let memory: SharedDescriptor
    let space: any PlatformAddressSpace
    let context: any ExecutionContext
    /// Where the code is.
    let base: UInt64
    /// Held weakly by the platform.
    private let patchable: TestCode

    init(_ on: TestPlatform, _ code: [UInt8], at base: UInt64 = Guest.code, constants: [UInt8] = []) throws {
        let platform = try on.shared
        self.base = base
        memory = SharedDescriptor(try makeMemoryFile(size: Self.memorySize))
        _ = try HostCall.write(memory.rawValue, at: 0, code.span)
        if !constants.isEmpty { _ = try HostCall.write(memory.rawValue, at: 0x20000, constants.span) }
        space = try platform.makeAddressSpace(memory: memory)
        try space.apply([
            .map(address: base, length: 0x1000, protection: [.read, .execute], file: .memoryFile, offset: 0),
            .map(address: Self.data, length: 0x4000, protection: [.read, .write], file: .memoryFile, offset: 0x10000),
            .map(address: Self.constant, length: 0x1000, protection: [.read], file: .memoryFile, offset: 0x20000),
        ])
        context = try platform.makeContext()
        patchable = TestCode(memory, space, at: base)
        space.attach(patchable)
    }

    /// Another address space with the same memory, as the child of a fork has it, and what the platform may change in it.
    func fork() throws -> (space: any PlatformAddressSpace, code: TestCode) {
        let platform = try TestPlatform.systrap.shared
        let space = try platform.makeAddressSpace(memory: memory)
        let offset = patchable.offset
        try space.apply([.map(address: base, length: 0x1000, protection: [.read, .execute], file: .memoryFile, offset: offset)])
        let code = TestCode(memory, space, at: base, offset: offset, next: 0x80000)
        if let area = platform.trampolines { try code.mapTrampolines(at: area.lowerBound, length: UInt64(area.count)) }
        space.attach(code)
        space.inherit(from: self.space)
        return (space, code)
    }

    /// The code as it is now.
    func readCode(_ offset: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        _ = try HostCall.read(memory.rawValue, at: Int64(patchable.offset) + Int64(offset), into: &span)
        return bytes
    }

    /// Maps other code in its place.
    func exchangeCode(_ code: [UInt8]) throws {
        try patchable.exchange { $0 = code + [UInt8](repeating: 0, count: 0x1000 - code.count) }
    }

    func entry(_ change: (inout Registers) -> Void = { _ in }) -> Registers {
        var registers = Registers()
        registers.rip = base
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

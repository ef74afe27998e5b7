import Host
import LinuxABI
import SentryMemory
import SentryPlatform
import Synchronization
import Testing

/// Runs `body` on a host thread of its own, which may be pinned and trace a stub.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
    let result = Lock<Result<R, any Error>?>(nil)
    let pair = try HostCall.socketPair()
    let done = SharedDescriptor(pair.first), signal = SharedDescriptor(pair.second)
    let box = Box(result)
    try startThread {
        let value = Result { try body() }
        box.value.withLock { $0 = value }
        _ = try? HostCall.write(signal.rawValue, [1].span)
    }
    var byte: [UInt8] = [0]
    var span = byte.mutableSpan
    _ = try HostCall.read(done.rawValue, into: &span)
    return try #require(box.value.withLock { $0 }).get()
}

final class Box<T>: Sendable {
    let value: Lock<T>
    init(_ value: consuming sending Lock<T>) { self.value = value }
}

/// A tiny kernel: runs guest code and answers its faults until it makes a system call or gets a signal.
struct Machine {
    static let platform = Result { try PtracePlatform.start() }
    let space: AddressSpace
    let context: any ExecutionContext
    var registers = Registers()
    var faults = 0

    init(_ space: AddressSpace) throws {
        self.space = space
        context = try Self.platform.get().makeContext()
    }

    enum Stop: Equatable { case call(UInt64), signal(Int32, Int32), outOfMemory }

    mutating func run(_ code: UInt64) throws -> Stop {
        registers.rip = code
        while true {
            switch try context.run(&registers, in: space.platformSpace) {
            case .systemCall: return .call(registers.orig_rax)
            case .interrupted: continue
            case .fault(let fault):
                faults += 1
                if faults > 10000 { throw Errno.ELOOP }
                switch space.handleFault(fault) {
                case .resolved: continue
                case .signal(let number, let code): return .signal(number, code)
                case .outOfMemory: return .outOfMemory
                }
            }
        }
    }
}

/// mov (%rdi),%rax ; syscall
let loadCode: [UInt8] = [0x48, 0x8b, 0x07, 0x0f, 0x05]
/// mov %rsi,(%rdi) ; mov %rsi,%rax; syscall
let storeCode: [UInt8] = [0x48, 0x89, 0x37, 0x48, 0x89, 0xf0, 0x0f, 0x05]
/// 1: mov %rdi,(%rdi); add $4096,%rdi; cmp %rsi,%rdi; jb 1b; syscall
let touchCode: [UInt8] = [0x48, 0x89, 0x3f, 0x48, 0x81, 0xc7, 0, 0x10, 0, 0, 0x48, 0x39, 0xf7, 0x72, 0xf1, 0x0f, 0x05]

@Suite(.serialized) struct PtraceMemoryTests {
    static func makeRealSpace(_ memory: MemoryFile? = nil) throws -> (AddressSpace, load: UInt64, store: UInt64, touch: UInt64) {
        let platform = try Machine.platform.get()
        let layout = AddressLayout.standard(maximumAddress: platform.maximumGuestAddress, stackLimit: 8 << 20, random: 0)
        let space = try AddressSpace(platform: platform, memoryFile: try memory ?? MemoryFile.anonymous(), layout: layout)
        let code = try space.map(MapRequest(length: pageSize, protection: rw, flags: anonymous))
        try space.copyOut(loadCode, to: code)
        try space.copyOut(storeCode, to: code + 64)
        try space.copyOut(touchCode, to: code + 128)
        try space.protect(code, length: pageSize, protection: [.read, .execute])
        return (space, code, code + 64, code + 128)
    }

    @Test func guestAndSentrySeeTheSameMemory() throws {
        try onThread {
            let (space, load, store, touch) = try Self.makeRealSpace()
            var machine = try Machine(space)
            let data = try space.map(MapRequest(length: 1 << 20, protection: rw, flags: anonymous))
            try space.store(UInt64(77), to: data + 8)
            machine.registers.rdi = data + 8
            #expect(try machine.run(load) == .call(77))
            machine.registers.rdi = data + 5000
            machine.registers.rsi = 123
            #expect(try machine.run(store) == .call(123))
            #expect(try space.load(data + 5000, as: UInt64.self) == 123)
            // First touches stay in the host.
            machine.registers.rdi = data
            machine.registers.rsi = data + 1 << 20
            machine.registers.rax = 5
            #expect(try machine.run(touch) == .call(5))
            #expect(machine.faults == 0)
            #expect(space.memoryFile.usage >= 1 << 20)
            // Violations.
            machine.registers.rdi = load
            #expect(try machine.run(store) == .signal(11, 2))
            machine.registers.rdi = 0x10
            #expect(try machine.run(load) == .signal(11, 1))
            #expect(try machine.run(data) == .signal(11, 2))
            try space.unmap(data, length: 1 << 20)
            machine.registers.rdi = data
            #expect(try machine.run(load) == .signal(11, 1))
            // A large reservation is backed when touched.
            let large = try space.map(MapRequest(length: 1 << 40, protection: rw, flags: [anonymous, .MAP_NORESERVE]))
            machine.registers.rdi = large + (300 << 30)
            machine.registers.rsi = 9
            #expect(try machine.run(store) == .call(9))
            #expect(try space.load(large + (300 << 30), as: UInt64.self) == 9)
            machine.context.release()
            space.destroy()
        }
    }

    @Test func forkedGuestsDiverge() throws {
        try onThread {
            let (parent, load, store, touch) = try Self.makeRealSpace()
            let data = try parent.map(MapRequest(length: 4 << 20, protection: rw, flags: anonymous))
            var first = try Machine(parent)
            first.registers.rdi = data
            first.registers.rsi = 1
            #expect(try first.run(store) == .call(1))
            let child = try parent.fork(on: try Machine.platform.get())
            var second = try Machine(child)
            second.registers.rdi = data
            #expect(try second.run(load) == .call(1))
            second.registers.rsi = 2
            #expect(try second.run(store) == .call(2))
            #expect(second.faults == 1)
            #expect(try first.run(load) == .call(1))
            first.registers.rdi = data
            first.registers.rsi = data + 4 << 20
            first.registers.rax = 6
            #expect(try first.run(touch) == .call(6))
            // 64 KiB, 128 KiB, ... 1 MiB pieces, not a fault per page.
            #expect(first.faults < 20)
            second.registers.rdi = data + 8
            #expect(try second.run(load) == .call(0))
            second.context.release()
            child.destroy()
            first.context.release()
            parent.destroy()
            #expect(parent.memoryFile.allocated == 0)
        }
    }

    @Test func hostFilesAreMappedAndCopied() throws {
        try onThread {
            let (space, load, store, _) = try Self.makeRealSpace()
            let file = try HostFile([UInt8](repeating: 7, count: 5000))
            var machine = try Machine(space)
            let mine = try space.map(MapRequest(length: 4 * pageSize, protection: rw, flags: .MAP_PRIVATE, object: file))
            machine.registers.rdi = mine + 100
            #expect(try machine.run(load) == .call(0x0707_0707_0707_0707))
            machine.registers.rsi = 5
            #expect(try machine.run(store) == .call(5))
            #expect(machine.faults == 1)
            #expect(try machine.run(load) == .call(5))
            machine.registers.rdi = mine + 5000
            #expect(try machine.run(load) == .call(0))
            machine.registers.rdi = mine + 2 * pageSize
            #expect(try machine.run(load) == .signal(7, 2))
            #expect(try machine.run(store) == .signal(7, 2))
            let ours = try space.map(MapRequest(length: pageSize, protection: .read, flags: .MAP_SHARED, object: file))
            try space.protect(ours, length: pageSize, protection: rw)
            machine.registers.rdi = ours + 8
            machine.registers.rsi = 0x4242
            #expect(try machine.run(store) == .call(0x4242))
            #expect(try space.load(mine + 8, as: UInt64.self) == 0x0707_0707_0707_0707)
            machine.context.release()
            space.destroy()
        }
    }

    @Test func theMemoryLimitIsReported() throws {
        try onThread {
            // A tmpfs of 1 MiB, attached nowhere, as the Supervisor makes it.
            guard let descriptor = limitedFile(size: 1 << 20) else { return }
            let memory = try MemoryFile(descriptor, limit: 1 << 20)
            let reports = Atomic<Int>(0)
            let counter = Counter(reports)
            memory.setOutOfMemoryHandler { counter.value.add(1, ordering: .relaxed) }
            let (space, _, _, touch) = try Self.makeRealSpace(memory)
            var machine = try Machine(space)
            let data = try space.map(MapRequest(length: 2 << 20, protection: rw, flags: anonymous))
            machine.registers.rdi = data
            machine.registers.rsi = data + 2 << 20
            #expect(try machine.run(touch) == .outOfMemory)
            #expect(throws: Errno.EFAULT) { try space.zero(data, count: 2 << 20) }
            #expect(counter.value.load(ordering: .relaxed) == 1)
            machine.context.release()
            space.destroy()
            #expect(memory.usage == 0)
        }
    }

    @Test func forkWaitCost() throws {
        try onThread {
            let (parent, load, _, _) = try Self.makeRealSpace()
            for _ in 0..<20 { _ = try parent.map(MapRequest(length: 64 << 10, protection: rw, flags: anonymous)) }
            let platform = try Machine.platform.get()
            let start = now()
            for _ in 0..<100 {
                let child = try parent.fork(on: platform)
                var machine = try Machine(child)
                machine.registers.rdi = load
                _ = try machine.run(load)
                machine.context.release()
                child.destroy()
            }
            print("memory: fork, one call, exit: \((now() - start) / 100_000) us")
            let mapStart = now()
            for _ in 0..<1000 {
                let address = try parent.map(MapRequest(length: pageSize, protection: rw, flags: anonymous))
                try parent.unmap(address, length: pageSize)
            }
            print("memory: mmap and munmap of a page: \((now() - mapStart) / 1_000_000) us")
            let copyStart = now()
            for _ in 0..<10000 { _ = try parent.copyIn(from: load, count: 64) }
            print("memory: copyIn of 64 bytes: \((now() - copyStart) / 10000) ns")
            parent.destroy()
        }
    }
}

final class Counter: Sendable {
    let value: Atomic<Int>
    init(_ value: consuming Atomic<Int>) { self.value = value }
}

/// A file on a tmpfs of `size` bytes; nil when the host does not let us make one.
func limitedFile(size: Int) -> OwnedDescriptor? {
    func string(_ text: String, _ body: (Int) -> Int) -> Int {
        (try? HostCall.withPath(Array(text.utf8)) { p throws(Errno) in body(p) }) ?? -1
    }
    let context = string("tmpfs") { HostCall.raw(.fsopen, $0, 1) }
    guard context >= 0 else { return nil }
    let owner = OwnedDescriptor(adopting: Int32(context))
    let set = string("size") { key in string("\(size)") { HostCall.raw(.fsconfig, Int(owner.rawValue), 1, key, $0, 0) } }
    guard set == 0, HostCall.raw(.fsconfig, Int(owner.rawValue), 6, 0, 0, 0) == 0 else { return nil }
    let mount = HostCall.raw(.fsmount, Int(owner.rawValue), 1, 0)
    guard mount >= 0 else { return nil }
    let root = OwnedDescriptor(adopting: Int32(mount))
    return try? HostCall.open(Array("memory".utf8), flags: 0o102, mode: 0o600, at: root.rawValue)
}

func now() -> UInt64 {
    var time: [Int] = [0, 0]
    unsafe time.withUnsafeMutableBufferPointer { p in _ = HostCall.raw(.clock_gettime, 1, Int(bitPattern: p.baseAddress)) }
    return UInt64(time[0]) * 1_000_000_000 + UInt64(time[1])
}

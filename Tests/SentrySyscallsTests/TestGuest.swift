import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Testing

@testable import SentrySyscalls

/// What a guest program of a test does: step N stands at address `base + 2 * N`; a system call's step is "two bytes long", so that a restart comes
/// back to it. A step returns nil to go on without an event, and may set `rip` to jump.
typealias GuestStep = @Sendable (inout Registers) -> Event?

/// A program for `NullPlatform`.
struct GuestProgram: Sendable {
    static let base: UInt64 = 0x40_0000
    /// Readable and writable memory of every test program: 64 KiB.
    static let memory: UInt64 = 0x10_0000
    var steps: [GuestStep]

    static func address(_ step: Int) -> UInt64 { base + 2 * UInt64(step) }

    func run(_ registers: inout Registers) -> Event {
        while true {
            let index = Int((registers.rip &- Self.base) / 2)
            guard steps.indices.contains(index) else { return call(.exit_group, 250)(&registers) ?? .interrupted }
            registers.rip += 2
            if let event = steps[index](&registers) { return event }
        }
    }
}

/// A step that makes a system call.
func call(_ number: SystemCallNumber, _ arguments: UInt64...) -> GuestStep {
    { registers in
        registers.orig_rax = number.rawValue
        registers.rax = UInt64(bitPattern: -38)
        let a = arguments + [UInt64](repeating: 0, count: 6)
        (registers.rdi, registers.rsi, registers.rdx) = (a[0], a[1], a[2])
        (registers.r10, registers.r8, registers.r9) = (a[3], a[4], a[5])
        return .systemCall
    }
}

/// A step without event.
func note(_ body: @escaping @Sendable (inout Registers) -> Void) -> GuestStep {
    { registers in
        body(&registers)
        return nil
    }
}

/// Loads nothing: memory with one mapping, and the registers at the program's start.
private struct TestLoader: ProgramLoader {
    func load(_ request: ProgramRequest, for task: KernelTask) throws(Errno) -> LoadedProgram {
        let layout = AddressLayout.standard(maximumAddress: task.kernel.platform.maximumGuestAddress, stackLimit: 8 << 20, random: 0)
        let space = try AddressSpace(platform: task.kernel.platform, memoryFile: task.container.memoryFile, layout: layout)
        _ = try space.map(
            MapRequest(
                address: GuestProgram.memory, length: 0x1_0000, protection: [.read, .write],
                flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED]))
        var registers = Registers()
        registers.rip = GuestProgram.base
        registers.rsp = GuestProgram.memory + 0x1_0000
        return LoadedProgram(
            memory: ProcessMemory(space, layout: ProcessMemory.Layout()), registers: registers, name: Array("test".utf8),
            execution: ExecutionCredentials(credentials: task.credentials, isSecure: false))
    }
}

/// A kernel with one container that runs one program to its end.
final class TestGuest: Sendable {
    let kernel: Kernel
    let container: Container
    private let notes = Lock<[String: UInt64]>([:])
    private let box: Box

    init(_ program: @escaping @Sendable (TestGuest) -> [GuestStep]) throws {
        let box = Box(GuestProgram(steps: []))
        self.box = box
        let platform = NullPlatform { registers, _ in box.program.withLock { $0 }.run(&registers) }
        kernel = Kernel(platform: platform, systemCalls: .standard(), programLoader: TestLoader())
        container = try kernel.makeContainer(ContainerConfiguration(identifier: "test", memoryFile: MemoryFile.anonymous(limit: 64 << 20)))
        let steps = program(self)
        box.program.withLock { $0 = GuestProgram(steps: steps) }
    }

    private final class Box: Sendable {
        let program: Lock<GuestProgram>
        init(_ program: GuestProgram) { self.program = Lock(program) }
    }

    /// Remembers a value under a name, for the test to look at.
    func remember(_ name: String, _ value: UInt64) { notes.withLock { $0[name] = value } }
    /// A step that remembers the last result.
    func result(_ name: String) -> GuestStep { note { self.remember(name, $0.rax) } }
    subscript(_ name: String) -> Int { Int(truncatingIfNeeded: notes.withLock { $0[name] ?? 0xdead_beef }) }

    /// Runs to the end of the container.
    func run(prepare: (KernelTask) throws -> Void = { _ in }) throws -> ExitReport {
        let file = FileDescription(path: AnonymousFileSystem.place(kind: "[test]"), flags: [])
        let context = FileSystemContext(root: file.path, workingDirectory: file.path)
        let configuration = ProcessConfiguration(
            request: ProgramRequest(file: file, path: Array("/test".utf8), arguments: [], environment: []), credentials: .root,
            fileSystemContext: context, files: DescriptorTable())
        let task = try container.prepare(configuration)
        try prepare(task)
        try container.start(task)
        // The steps hold this object, which holds them.
        defer {
            box.program.withLock { $0 = GuestProgram(steps: []) }
            kernel.removeContainer("test")
        }
        return container.waitForExit()
    }
}

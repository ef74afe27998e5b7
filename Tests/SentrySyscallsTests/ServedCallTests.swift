import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Testing

@testable import SentrySyscalls

/// A file whose reads and writes come out as a test says: a count, or an error.
private final class ScriptedFile: FileDescription, @unchecked Sendable {  // What changes is behind locks.
    private let outcomes: Lock<[Result<Int, Errno>]>
    let waiters = Lock<[Waiter]>([])

    init(_ outcomes: [Result<Int, Errno>]) {
        self.outcomes = Lock(outcomes)
        super.init(path: AnonymousFileSystem.place(kind: "[scripted]"), flags: .O_RDWR)
    }
    private func next() throws(Errno) -> Int { try outcomes.withLock { $0.isEmpty ? .failure(Errno.EIO) : $0.removeFirst() }.get() }
    override var isPrompt: Bool { true }
    override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { try next() }
    override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int { try next() }
    override func add(_ waiter: Waiter) { waiters.withLock { $0.append(waiter) } }
    override func remove(_ waiter: Waiter) { waiters.withLock { waiters in waiters.removeAll { $0 === waiter } } }
}

/// Calls that another thread makes for a task that is in guest code.
@Suite struct ServedCallTests {
    /// Has a task's calls served while it runs guest code. Descriptors 0 and up are `files`.
    private func whileInGuest(_ files: [ScriptedFile], _ body: @escaping @Sendable (KernelTask) -> Void) throws {
        let tasks = Lock<KernelTask?>(nil)
        let guest = try TestGuest { _ in [note { _ in tasks.withLock { $0 }.map(body) }, call(.exit_group, 0)] }
        _ = try guest.run { task in
            for file in files { _ = try task.files.install(file, closeOnExec: false, limit: 100) }
            tasks.withLock { $0 = task }
        }
        tasks.withLock { $0 = nil }
    }

    private static func serve(_ task: KernelTask, _ number: SystemCallNumber, _ file: UInt64, count: UInt64 = 8) -> (ServedCall, Int64) {
        var registers = Registers()
        registers.orig_rax = number.rawValue
        registers.rax = UInt64(bitPattern: -38)
        (registers.rdi, registers.rsi, registers.rdx) = (file, GuestProgram.memory, count)
        let result = task.serve(&registers)
        return (result, Int64(bitPattern: registers.rax))
    }

    @Test func waitUntilThereIsSomething() throws {
        let file = ScriptedFile([.failure(.EAGAIN), .failure(.EAGAIN), .failure(.EAGAIN), .failure(.contended), .success(5)])
        try whileInGuest([file]) { task in
            #expect(Self.serve(task, .read, 0) == (.waiting, -38))
            #expect(file.waiters.withLock { $0.count } == 1)
            #expect(task.state == .sleeping)
            // As in Linux, a call that waits goes on waiting.
            file.setStatusFlags([.O_RDWR, .O_NONBLOCK])
            #expect(Self.serve(task, .read, 0) == (.waiting, -38))
            #expect(Self.serve(task, .read, 0) == (.busy, -38))
            #expect(file.waiters.withLock { $0.count } == 1)
            #expect(Self.serve(task, .read, 0) == (.answered, 5))
            #expect(file.waiters.withLock { $0.isEmpty })
            #expect(task.state == .running)
        }
    }

    @Test(arguments: [(Errno.contended, ServedCall.busy), (.notAtHand, .refused), (.EFAULT, .refused)])
    func leaveNoWaitWhenTheSecondLookFails(_ error: Errno, _ result: ServedCall) throws {
        let file = ScriptedFile([.failure(.EAGAIN), .failure(error)]), other = ScriptedFile([.success(3)])
        try whileInGuest([file, other]) { task in
            #expect(Self.serve(task, .read, 0) == (result, -38))
            #expect(file.waiters.withLock { $0.isEmpty })
            #expect(task.state == .running)
            #expect(Self.serve(task, .read, 1) == (.answered, 3))
        }
    }

    @Test func forgetTheWaitWhenTheOwnThreadGoesOn() throws {
        let file = ScriptedFile([.failure(.EAGAIN), .failure(.EAGAIN)])
        try whileInGuest([file]) { task in
            #expect(Self.serve(task, .read, 0) == (.waiting, -38))
            task.stopServing()
            #expect(file.waiters.withLock { $0.isEmpty })
            #expect(task.state == .running)
        }
    }

    @Test func areRefusedUnlessTheyAreShortAndSucceed() throws {
        let file = ScriptedFile([.success(8), .failure(.EPIPE), .failure(.EAGAIN)])
        try whileInGuest([file]) { task in
            #expect(Self.serve(task, .write, 0) == (.answered, 8))
            #expect(Self.serve(task, .write, 0) == (.refused, -38))
            #expect(Self.serve(task, .write, 0) == (.refused, -38))
            #expect(Self.serve(task, .write, 7) == (.refused, -38))
            #expect(Self.serve(task, .write, 0, count: 4097) == (.refused, -38))
            #expect(Self.serve(task, .close, 0) == (.refused, -38))
        }
    }

    @Test func waitForNobodyWhoMayNotWait() throws {
        let file = ScriptedFile([.failure(.EAGAIN), .failure(.EAGAIN)])
        file.setStatusFlags([.O_RDWR, .O_NONBLOCK])
        try whileInGuest([file]) { task in
            for number in [SystemCallNumber.read, .write] { #expect(Self.serve(task, number, 0) == (.answered, -11)) }
        }
    }
}

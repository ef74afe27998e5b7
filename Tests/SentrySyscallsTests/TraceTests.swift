import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Testing

@testable import SentrySyscalls

/// ptrace(2) between scripted guests: process 1 traces a child.
@Suite(.serialized) struct TraceTests {
    private static let memory = GuestProgram.memory
    private typealias R = TraceRequest

    private static func request(_ request: Int64, _ process: UInt64 = 2, _ address: UInt64 = 0, _ data: UInt64 = 0) -> GuestStep {
        call(.ptrace, UInt64(bitPattern: request), process, address, data)
    }
    private static let wait = call(.wait4, .max, memory, 0x4000_0000, 0)

    /// A guest's memory, for steps to read.
    private final class Box: Sendable {
        let space = Lock<AddressSpace?>(nil)
        func word(_ address: UInt64) -> UInt64 {
            do { return try space.withLock { try $0?.load(address) ?? 0 } } catch { return 0xbad }
        }
    }

    /// Runs a tracer (from step 2 on) and a tracee (from `child` on, which begins with PTRACE_TRACEME and stops itself).
    private func run(
        tracer: @escaping @Sendable (TestGuest, Box) -> [GuestStep], tracee: @escaping @Sendable (TestGuest) -> [GuestStep]
    ) throws -> (TestGuest, ExitReport) {
        let box = Box()
        let guest = try TestGuest { guest in
            let parent = tracer(guest, box) + [call(.exit_group, 0)]
            let start = 2 + parent.count
            return [call(.fork), note { if $0.rax == 0 { $0.rip = GuestProgram.address(start) } }] + parent
                + [Self.request(R.PTRACE_TRACEME, 0), call(.kill, 2, UInt64(Signal.SIGSTOP))] + tracee(guest) + [call(.exit_group, 9)]
        }
        let report = try guest.run { task in box.space.withLock { $0 = task.addressSpace } }
        box.space.withLock { $0 = nil }
        return (guest, report)
    }

    private static func status(_ guest: TestGuest, _ box: Box, _ name: String) -> GuestStep {
        note { _ in guest.remember(name, box.word(memory) & 0xffff_ffff) }
    }

    @Test func signalsStopAndAreDropped() throws {
        let (guest, report) = try run(
            tracer: { guest, box in
                [
                    Self.wait, guest.result("first"), Self.status(guest, box, "stop"),
                    Self.request(R.PTRACE_CONT), guest.result("continued"),
                    // SIGTERM would kill; the tracer drops it.
                    Self.wait, Self.status(guest, box, "term"), Self.request(R.PTRACE_CONT),
                    Self.wait, Self.status(guest, box, "end"),
                    Self.request(R.PTRACE_CONT), guest.result("gone"), Self.wait, guest.result("nobody"),
                ]
            }, tracee: { _ in [call(.kill, 2, UInt64(Signal.SIGTERM))] })
        #expect(guest["first"] == 2 && guest["stop"] == 0x137f && guest["continued"] == 0)
        #expect(guest["term"] == 0x0f7f && guest["end"] == 0x900)
        #expect(guest["gone"] == -3 && guest["nobody"] == -10)
        #expect(report.exitCode == 0 && guest.container.liveTasks == 0)
    }

    @Test func systemCallsStopTwiceAndCanBeChanged() throws {
        let (guest, _) = try run(
            tracer: { guest, box in
                [
                    Self.wait, Self.request(R.PTRACE_SETOPTIONS, 2, 0, 1), guest.result("options"),
                    Self.request(R.PTRACE_SYSCALL), Self.wait, Self.status(guest, box, "entry"),
                    Self.request(R.PTRACE_PEEKUSR, 2, 15 * 8, Self.memory + 64),
                    note { _ in guest.remember("call", box.word(Self.memory + 64)) },
                    // getpid becomes getppid, and its result 77.
                    Self.request(R.PTRACE_POKEUSR, 2, 15 * 8, SystemCallNumber.getppid.rawValue),
                    Self.request(R.PTRACE_SYSCALL), Self.wait, Self.status(guest, box, "exit"),
                    Self.request(R.PTRACE_PEEKUSR, 2, 10 * 8, Self.memory + 64),
                    note { _ in guest.remember("result", box.word(Self.memory + 64)) },
                    Self.request(R.PTRACE_POKEUSR, 2, 10 * 8, 77), Self.request(R.PTRACE_CONT), Self.wait,
                ]
            }, tracee: { guest in [call(.getpid), guest.result("seen")] })
        #expect(guest["options"] == 0)
        #expect(guest["entry"] == 0x857f && guest["exit"] == 0x857f)
        #expect(guest["call"] == Int(SystemCallNumber.getpid.rawValue) && guest["result"] == 1)
        #expect(guest["seen"] == 77)
    }

    @Test func steppingSetsTheTrapFlagAndHidesIt() throws {
        let (guest, _) = try run(
            tracer: { guest, box in
                [
                    Self.wait, Self.request(R.PTRACE_SINGLESTEP), Self.wait, Self.status(guest, box, "step"),
                    Self.request(R.PTRACE_PEEKUSR, 2, 18 * 8, Self.memory + 64),
                    note { _ in guest.remember("flags", box.word(Self.memory + 64)) },
                    Self.request(R.PTRACE_CONT), Self.wait, Self.status(guest, box, "end"),
                ]
            },
            tracee: { guest in
                [
                    { registers in
                        guest.remember("trap", registers.eflags & 0x100)
                        return .fault(FaultInfo(signal: Signal.SIGTRAP, code: SignalCode.TRAP_TRACE, address: 0, access: nil))
                    },
                    note { registers in guest.remember("later", registers.eflags & 0x100) },
                ]
            })
        #expect(guest["trap"] == 0x100 && guest["later"] == 0)
        #expect(guest["step"] == 0x057f && guest["flags"] & 0x100 == 0 && guest["end"] == 0x900)
    }

    /// Whoever traces each other and waits in the stop of its exit must not outlive process 1.
    @Test func mutualTracersEndWithTheContainer() throws {
        let options = TraceOptions.PTRACE_O_TRACEEXIT.rawValue
        let guest = try TestGuest { guest in
            [
                call(.fork), note { if $0.rax == 0 { $0.rip = GuestProgram.address(10) } },
                call(.fork), note { if $0.rax == 0 { $0.rip = GuestProgram.address(14) } },
                // Until both have seized each other: each tells by a signal that process 1 waits for.
                call(.rt_sigtimedwait, Self.memory, 0, 0, 8), call(.rt_sigtimedwait, Self.memory, 0, 0, 8),
                call(.exit_group, 5), call(.exit_group, 6), call(.exit_group, 6), call(.exit_group, 6),
                Self.request(R.PTRACE_SEIZE, 3, 0, options), guest.result("seized"), call(.kill, 1, 34), call(.exit_group, 1),
                Self.request(R.PTRACE_SEIZE, 2, 0, options), guest.result("seized too"), call(.kill, 1, 35), call(.exit_group, 1),
            ]
        }
        let report = try guest.run { task in
            guard let space = task.addressSpace else { return }
            let set: UInt64 = 1 << 33 | 1 << 34
            try space.store(set, to: Self.memory)
            task.setSignalMask(SignalSet(rawValue: set))
        }
        #expect(report.exitCode == 5)
        #expect(guest.container.liveTasks == 0)
    }

    @Test func undumpableAndForeignProcessesAreRefused() throws {
        let guest = try TestGuest { guest in
            [
                Self.request(R.PTRACE_ATTACH, 1), guest.result("itself"), Self.request(R.PTRACE_ATTACH, 99), guest.result("nobody"),
                Self.request(R.PTRACE_TRACEME, 0), guest.result("no parent"), Self.request(R.PTRACE_CONT, 1), guest.result("not traced"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["itself"] == -1 && guest["nobody"] == -3 && guest["no parent"] == -1 && guest["not traced"] == -3)
    }
}

import Diagnostics
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import Testing

@testable import SentrySyscalls

// One at a time: every memory file takes a large part of the address range.
@Suite(.serialized) struct SignalTests {
    private let memory = GuestProgram.memory

    /// Writes a struct sigaction at `address`.
    private func action(
        _ space: AddressSpace?, at address: UInt64, handler: UInt64, flags: UInt64 = 0, mask: UInt64 = 0, restorer: UInt64 = 0
    ) throws {
        guard let space else { return }
        try space.store(handler, to: address)
        try space.store(flags | SignalActionFlag.SA_RESTORER, to: address + 8)
        try space.store(restorer, to: address + 16)
        try space.store(mask, to: address + 24)
    }

    /// `ret` of a handler: takes the return address, which is the next step.
    private static let ret = note { $0.rsp += 8 }

    @Test func handlerRunsAndReturns() throws {
        let guest = try TestGuest { guest in
            [
                call(.rt_sigaction, 10, GuestProgram.memory, 0, 8),
                note { $0.rbx = 77 },
                call(.kill, 1, 10), guest.result("kill"),
                note { guest.remember("rbx", $0.rbx) },
                call(.exit_group, 0),
                // handler
                note { registers in
                    guest.remember("signal", registers.rdi)
                    guest.remember("alignment", registers.rsp % 16)
                    registers.rbx = 1
                },
                SignalTests.ret,
                call(.rt_sigreturn),
            ]
        }
        _ = try guest.run { try action($0.addressSpace, at: memory, handler: GuestProgram.address(6), restorer: GuestProgram.address(8)) }
        #expect(guest["signal"] == 10)
        #expect(guest["alignment"] == 8)
        #expect(guest["kill"] == 0)
        #expect(guest["rbx"] == 77)
    }

    @Test func suspendIsInterruptedAndRestoresTheMask() throws {
        let guest = try TestGuest { guest in
            let memory = GuestProgram.memory
            return [
                call(.rt_sigaction, 10, memory, 0, 8),
                // Block SIGUSR1 (the set is at memory + 64), send it, and let it in.
                call(.rt_sigprocmask, 0, memory + 64, 0, 8),
                call(.kill, 1, 10), guest.result("kill"),
                note { _ in guest.remember("before", 1) },
                call(.rt_sigsuspend, memory + 72, 8), guest.result("suspend"),
                // The mask is back: SIGUSR1 stays pending now.
                call(.kill, 1, 10),
                call(.rt_sigpending, memory + 80, 8),
                call(.futex, memory + 80, 0, 1 << 9, memory + 96), guest.result("pending"),
                call(.exit_group, 0),
                note { registers in guest.remember("signal", registers.rdi) },
                SignalTests.ret,
                call(.rt_sigreturn),
            ]
        }
        _ = try guest.run { task in
            try action(task.addressSpace, at: memory, handler: GuestProgram.address(12), restorer: GuestProgram.address(14))
            try task.addressSpace?.store(UInt64(1 << 9), to: memory + 64)
        }
        #expect(guest["suspend"] == -4)
        #expect(guest["signal"] == 10)
        // ETIMEDOUT: the word was what we expected.
        #expect(guest["pending"] == -110)
    }

    @Test func interruptedWaitRestarts() throws {
        let guest = try TestGuest { guest in
            let memory = GuestProgram.memory
            return [
                call(.rt_sigaction, 10, memory, 0, 8),
                // A child that shares the memory (CLONE_VM | SIGCHLD).
                call(.clone, 0x100 | 17, memory + 0x8000),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(6) } },
                call(.wait4, .max, 0, 0, 0), guest.result("wait"),
                call(.exit_group, 0),
                // child: signal the parent, and stay until its handler has run
                call(.kill, 1, 10),
                call(.futex, memory + 128, 0, 0, 0),
                call(.exit, 0),
                // handler
                call(.time, memory + 128),
                call(.futex, memory + 128, 1, 10),
                SignalTests.ret,
                call(.rt_sigreturn),
            ]
        }
        _ = try guest.run {
            try action(
                $0.addressSpace, at: memory, handler: GuestProgram.address(9), flags: SignalActionFlag.SA_RESTART,
                restorer: GuestProgram.address(12))
        }
        #expect(guest["wait"] == 2)
    }

    @Test func timedWaitTakesPendingSignalsInOrder() throws {
        let guest = try TestGuest { guest in
            let memory = GuestProgram.memory
            return [
                call(.rt_sigprocmask, 0, memory + 64, 0, 8),
                call(.kill, 1, 40), call(.kill, 1, 10), call(.kill, 1, 10),
                call(.rt_sigtimedwait, memory + 64, 0, memory + 96, 8), guest.result("first"),
                call(.rt_sigtimedwait, memory + 64, 0, memory + 96, 8), guest.result("second"),
                call(.rt_sigtimedwait, memory + 64, 0, memory + 96, 8), guest.result("third"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in try task.addressSpace?.store(UInt64(1 << 9 | 1 << 39), to: memory + 64) }
        #expect(guest["first"] == 10 && guest["second"] == 40 && guest["third"] == -11)
    }

    @Test func stopAndContinueAreTold() throws {
        let guest = try TestGuest { guest in
            let memory = GuestProgram.memory
            func status(_ value: UInt64) -> GuestStep { call(.futex, memory, 0, value, memory + 96) }
            return [
                call(.fork),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(17) } },
                call(.wait4, 2, memory, 2, 0), guest.result("stopped"), status(0x137f), guest.result("stop status"),
                call(.wait4, 2, memory, 3, 0), guest.result("nothing"),
                call(.kill, 2, 18),
                call(.wait4, 2, memory, 8, 0), guest.result("continued"), status(0xffff), guest.result("continue status"),
                call(.kill, 2, 9),
                call(.wait4, 2, memory, 0, 0), guest.result("killed"),
                call(.exit_group, 0),
                // child
                call(.kill, 2, 19),
                call(.pause),
            ]
        }
        _ = try guest.run()
        #expect(guest["stopped"] == 2 && guest["stop status"] == -110)
        #expect(guest["nothing"] == 0)
        #expect(guest["continued"] == 2 && guest["continue status"] == -110)
        #expect(guest["killed"] == 2)
    }

    @Test func initIsImmuneToWhatItDoesNotHandle() throws {
        let guest = try TestGuest { guest in
            [call(.kill, 1, 15), guest.result("term"), call(.kill, 1, 9), guest.result("kill"), call(.exit_group, 0)]
        }
        let report = try guest.run()
        #expect(guest["term"] == 0 && guest["kill"] == 0 && report.exitCode == 0)
    }

    @Test func faultKillsEvenInit() throws {
        let guest = try TestGuest { _ in
            [{ _ in .fault(FaultInfo(signal: 11, code: 1, address: 8, access: .read)) }, call(.exit_group, 0)]
        }
        let report = try guest.run()
        #expect(report.status & 0x7f == Signal.SIGSEGV)
        #expect(report.reason == .signaled)
    }

    @Test func faultHandlerSeesTheAddress() throws {
        let guest = try TestGuest { guest in
            [
                call(.rt_sigaction, 11, GuestProgram.memory, 0, 8),
                { _ in .fault(FaultInfo(signal: 11, code: 1, address: 0x1234, access: .write)) },
                call(.exit_group, 1),
                note { registers in guest.remember("signal", registers.rdi) },
                call(.exit_group, 42),
            ]
        }
        let report = try guest.run {
            try action($0.addressSpace, at: memory, handler: GuestProgram.address(3), restorer: GuestProgram.address(4))
        }
        #expect(guest["signal"] == 11 && report.exitCode == 42)
    }

    @Test func alternateStackIsUsed() throws {
        let guest = try TestGuest { guest in
            [
                call(.sigaltstack, GuestProgram.memory + 256, 0), guest.result("set"),
                call(.rt_sigaction, 10, GuestProgram.memory, 0, 8),
                call(.kill, 1, 10),
                call(.exit_group, 0),
                note { guest.remember("rsp", $0.rsp) },
                // Changing it while on it is refused.
                call(.sigaltstack, GuestProgram.memory + 256, 0), guest.result("change"),
                SignalTests.ret,
                call(.rt_sigreturn),
            ]
        }
        _ = try guest.run { task in
            try action(
                task.addressSpace, at: memory, handler: GuestProgram.address(5), flags: SignalActionFlag.SA_ONSTACK,
                restorer: GuestProgram.address(9))
            try task.addressSpace?.store(memory + 0x2000, to: memory + 256)
            try task.addressSpace?.store(UInt64(0x4000), to: memory + 272)
        }
        #expect(guest["set"] == 0 && guest["change"] == -1)
        #expect(guest["rsp"] > Int(memory + 0x2000) && guest["rsp"] < Int(memory + 0x6000))
    }

    @Test func intervalTimerInterrupts() throws {
        let guest = try TestGuest { guest in
            [
                call(.rt_sigaction, 14, GuestProgram.memory, 0, 8),
                // SIGALRM is let in only while suspended, so that it cannot come too early.
                call(.rt_sigprocmask, 0, GuestProgram.memory + 128, 0, 8),
                call(.setitimer, 0, GuestProgram.memory + 64, 0), guest.result("set"),
                call(.rt_sigsuspend, GuestProgram.memory + 136, 8), guest.result("suspend"),
                call(.exit_group, 0),
                note { guest.remember("signal", $0.rdi) },
                SignalTests.ret,
                call(.rt_sigreturn),
            ]
        }
        _ = try guest.run { task in
            try action(task.addressSpace, at: memory, handler: GuestProgram.address(7), restorer: GuestProgram.address(9))
            // In 1 ms, once.
            try task.addressSpace?.store(UInt64(1000), to: memory + 64 + 24)
            try task.addressSpace?.store(UInt64(1 << 13), to: memory + 128)
        }
        #expect(guest["set"] == 0 && guest["suspend"] == -4 && guest["signal"] == 14)
    }

    @Test func posixTimerQueuesItsValue() throws {
        let guest = try TestGuest { guest in
            let memory = GuestProgram.memory
            return [
                call(.rt_sigprocmask, 0, memory + 64, 0, 8),
                call(.timer_create, 1, memory + 128, memory + 256), guest.result("create"),
                call(.timer_settime, 0, 0, memory + 320, 0), guest.result("set"),
                call(.rt_sigtimedwait, memory + 64, memory + 512, 0, 8), guest.result("signal"),
                // si_value at offset 24 of the siginfo
                call(.futex, memory + 512 + 24, 0, 4711, memory + 96), guest.result("value"),
                call(.timer_delete, 0), guest.result("delete"), call(.timer_delete, 0), guest.result("again"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in
            let space = task.addressSpace
            try space?.store(UInt64(1 << 9), to: memory + 64)
            try space?.store(UInt64(4711), to: memory + 128)
            try space?.store(UInt32(10), to: memory + 136)
            // it_value: 1 ms
            try space?.store(UInt64(1_000_000), to: memory + 320 + 24)
        }
        #expect(guest["create"] == 0 && guest["set"] == 0 && guest["signal"] == 10 && guest["value"] == -110)
        #expect(guest["delete"] == 0 && guest["again"] == -22)
    }
}

import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import Testing

@testable import SentrySyscalls

/// System V objects where a real program would need too much or too long; the rest is compared with Linux by the integration tests.
@Suite(.serialized) struct SystemVIPCTests {
    private static let memory = GuestProgram.memory

    @Test func placesComeBackWithOtherIdentifiers() throws {
        let guest = try TestGuest { guest in
            [
                call(.msgget, 0, 0o600), guest.result("first"), call(.msgget, 0, 0o600), guest.result("second"),
                call(.msgctl, 0, 0, 0), call(.msgget, 0, 0o600), guest.result("third"), call(.msgctl, 0, 2, Self.memory),
                guest.result("old"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["first"] == 0 && guest["second"] == 1 && guest["third"] == 32768 && guest["old"] == -22)
    }

    /// Queues that are filled one after the other end with ENOMEM, not with the Sentry's memory.
    @Test func messagesAreBounded() throws {
        let guest = try TestGuest { guest in
            [
                call(.msgget, 0, 0o600),
                note { registers in
                    guest.remember("queue", registers.rax)
                    if Int64(bitPattern: registers.rax) < 0 { registers.rip = GuestProgram.address(7) }
                },
                { registers in call(.msgsnd, UInt64(bitPattern: Int64(guest["queue"])), Self.memory, 8192, 0o4000)(&registers) },
                { registers in
                    if Int64(bitPattern: registers.rax) < 0 { registers.rip = GuestProgram.address(5) }
                    return registers.rax == 0
                        ? call(.msgsnd, UInt64(bitPattern: Int64(guest["queue"])), Self.memory, 8192, 0o4000)(&registers) : nil
                },
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(0) } },
                guest.result("end"), note { $0.rip = GuestProgram.address(8) },
                guest.result("end"), call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in try task.addressSpace?.store(UInt64(1), to: Self.memory) }
        #expect(guest["end"] == -12)
        #expect((3000...4200).contains(guest["queue"] % 32768))
        #expect(guest.kernel.containers.isEmpty)
    }

    @Test func undoneByTheLastThreadThatShares() throws {
        let sysvsem = CloneFlags.CLONE_SYSVSEM.rawValue | UInt64(Signal.SIGCHLD)
        let guest = try TestGuest { guest in
            [
                call(.semget, 0, 1, 0o600),
                // +5 with undo; a child that shares the adjustments ends, and they stay.
                call(.semop, 0, Self.memory, 1), guest.result("added"),
                call(.clone, sysvsem, 0), note { if $0.rax == 0 { $0.rip = GuestProgram.address(14) } },
                call(.wait4, .max, 0, 0, 0), call(.semctl, 0, 0, 12), guest.result("shared"),
                // A child of its own adds, and its addition goes with it.
                call(.fork), note { if $0.rax == 0 { $0.rip = GuestProgram.address(13) } },
                call(.wait4, .max, 0, 0, 0), call(.semctl, 0, 0, 12),
                note { registers in
                    guest.remember("own", registers.rax)
                    registers.rip = GuestProgram.address(14)
                },
                call(.semop, 0, Self.memory, 1), call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in
            let operation: UInt64 = 0 | 5 << 16 | 0x1000 << 32
            try task.addressSpace?.store(operation, to: Self.memory)
        }
        #expect(guest["added"] == 0 && guest["shared"] == 5 && guest["own"] == 5)
    }
}

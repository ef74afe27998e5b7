import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import Testing

@testable import SentrySyscalls

// One at a time: every memory file takes a large part of the address range.
@Suite(.serialized) struct FutexTests {
    /// CLONE_VM | FS | FILES | SIGHAND | THREAD
    private static let thread: UInt64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000
    /// With CLONE_CHILD_CLEARTID: `join` waits for the thread's end at `done`.
    private static let joinable = thread | 0x200000
    private static let done = GuestProgram.memory + 24
    private static let join = call(.futex, done, 0, 2, 0)
    private static func prepareJoin(_ task: KernelTask) throws { try task.addressSpace?.store(UInt32(2), to: done) }
    private static let word = GuestProgram.memory + 8
    private static let other = GuestProgram.memory + 16

    /// Goes back `steps` steps unless the result was `wanted`.
    private static func repeatUnless(_ wanted: UInt64, back steps: UInt64) -> GuestStep {
        note { if $0.rax != wanted { $0.rip -= 2 * (steps + 1) } }
    }

    @Test func valueMismatchAndTimeout() throws {
        let guest = try TestGuest { guest in
            [
                call(.futex, Self.word, 128, 1, 0), guest.result("mismatch"),
                call(.futex, Self.word, 128, 0, GuestProgram.memory + 64), guest.result("timeout"),
                call(.futex, Self.word + 1, 128, 0, 0), guest.result("misaligned"),
                call(.futex, 0x99, 1, 0, 0), guest.result("odd"),
                call(.futex, 0x1000, 0, 0, 0), guest.result("unmapped"),
                call(.futex, Self.word, 77, 0, 0), guest.result("unknown"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["mismatch"] == -11 && guest["timeout"] == -110 && guest["misaligned"] == -22)
        #expect(guest["odd"] == -22 && guest["unmapped"] == -14 && guest["unknown"] == -38)
    }

    @Test func wakeAndRequeue() throws {
        let guest = try TestGuest { guest in
            [
                call(.clone, Self.joinable, GuestProgram.memory + 0x8000, 0, Self.done),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(11) } },
                // Move the waiter, once it waits, to the other word.
                call(.sched_yield),
                call(.futex, Self.word, 128 | 4, 0, 1, Self.other, 0),
                Self.repeatUnless(1, back: 2),
                call(.futex, Self.word, 128 | 1, 1), guest.result("old"),
                call(.futex, Self.other, 128 | 1, 1), guest.result("new"),
                Self.join, call(.exit_group, 0),
                call(.futex, Self.word, 128, 0, 0), guest.result("wait"),
                call(.exit, 0),
            ]
        }
        let report = try guest.run(prepare: Self.prepareJoin)
        #expect(guest["old"] == 0)
        #expect(guest["new"] == 1)
        #expect(guest["wait"] == 0)
        #expect(report.exitCode == 0)
    }

    @Test func bitsets() throws {
        let guest = try TestGuest { guest in
            [
                call(.clone, Self.joinable, GuestProgram.memory + 0x8000, 0, Self.done),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(11) } },
                call(.futex, Self.word, 128 | 10, 10, 0, 0, 2), guest.result("other bit"),
                call(.sched_yield),
                call(.futex, Self.word, 128 | 10, 10, 0, 0, 5),
                Self.repeatUnless(1, back: 2),
                call(.futex, Self.word, 128 | 10, 1, 0, 0, 0), guest.result("no bit"),
                Self.join, call(.exit_group, 0),
                call(.futex, Self.word, 128 | 9, 0, 0, 0, 4),
                call(.exit, 0),
            ]
        }
        _ = try guest.run(prepare: Self.prepareJoin)
        #expect(guest["other bit"] == 0 && guest["no bit"] == -22)
    }

    @Test func wakeOperation() throws {
        // other += 1; old == 0: wake there too
        let operation: UInt64 = 1 << 28 | 0 << 24 | 1 << 12 | 0
        let guest = try TestGuest { guest in
            [
                call(.futex, Self.word, 128 | 5, 1, 1, Self.other, operation), guest.result("woken"),
                call(.futex, Self.other, 128, 1, GuestProgram.memory + 64), guest.result("value"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run()
        #expect(guest["woken"] == 0 && guest["value"] == -110)
    }

    @Test func priorityLock() throws {
        let guest = try TestGuest { guest in
            [
                call(.futex, Self.word, 128 | 6, 0, 0), guest.result("lock"),
                call(.futex, Self.word, 128 | 6, 0, 0), guest.result("again"),
                call(.clone, Self.joinable, GuestProgram.memory + 0x8000, 0, Self.done),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(13) } },
                // Until the thread waits: its mark is in the word (1 is our id).
                call(.sched_yield),
                call(.futex, Self.word, 128, 0x8000_0001, GuestProgram.memory + 64),
                Self.repeatUnless(UInt64(bitPattern: -110), back: 2),
                call(.futex, Self.word, 128 | 7), guest.result("unlock"),
                Self.join, call(.exit_group, 0),
                call(.futex, Self.word, 128 | 6, 0, 0), guest.result("second"),
                call(.futex, Self.word, 128 | 7), guest.result("second unlock"),
                call(.futex, Self.word, 128 | 7), guest.result("not owner"),
                call(.exit, 0),
            ]
        }
        _ = try guest.run(prepare: Self.prepareJoin)
        #expect(guest["lock"] == 0 && guest["again"] == -35 && guest["unlock"] == 0)
        #expect(guest["second"] == 0 && guest["second unlock"] == 0 && guest["not owner"] == -1)
    }

    @Test func robustListMarksTheDead() throws {
        // Head at memory + 256: next -> entry at memory + 512, offset 8, no pending. The lock word is at memory + 520.
        let memory = GuestProgram.memory
        let guest = try TestGuest { guest in
            [
                call(.clone, Self.thread | 0x200000, memory + 0x8000, 0, Self.word),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(6) } },
                call(.futex, Self.word, 0, 2, 0),
                call(.futex, memory + 520, 0, 0x4000_0000, memory + 64), guest.result("word"),
                call(.exit_group, 0),
                call(.set_robust_list, memory + 256, 24), guest.result("set"),
                call(.exit, 0),
            ]
        }
        _ = try guest.run { task in
            let space = task.addressSpace
            try space?.store(memory + 512, to: memory + 256)
            try space?.store(UInt64(8), to: memory + 264)
            try space?.store(memory + 256, to: memory + 512)
            try space?.store(UInt32(2), to: memory + 520)
            try space?.store(UInt32(2), to: Self.word)
        }
        #expect(guest["set"] == 0 && guest["word"] == -110)
    }

    @Test func waitOnSeveral() throws {
        let memory = GuestProgram.memory
        let guest = try TestGuest { guest in
            [
                call(.clone, Self.thread, memory + 0x8000),
                note { if $0.rax == 0 { $0.rip = GuestProgram.address(6) } },
                call(.sched_yield),
                call(.futex, Self.other, 128 | 1, 1),
                Self.repeatUnless(1, back: 2),
                call(.pause),
                call(.futex_waitv, memory + 256, 2, 0, 0, 1), guest.result("index"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in
            let space = task.addressSpace
            for (index, address) in [Self.word, Self.other].enumerated() {
                try space?.store(address, to: memory + 256 + UInt64(index) * 24 + 8)
                try space?.store(UInt32(2 | 128), to: memory + 256 + UInt64(index) * 24 + 16)
            }
        }
        #expect(guest["index"] == 1)
    }
}

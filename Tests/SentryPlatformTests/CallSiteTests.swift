import Host
import LinuxABI
@_spi(Testing) import SentryPlatform
import Synchronization
import Testing

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// 1: mov $39,%eax; syscall; jmp 1b
private let moveLoop: [UInt8] = [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]
/// 1: mov %rdi,%rax; syscall; cmp $-4095,%rax; jae 2f; jmp 1b; 2: mov $1,%rsi (a different call); jmp 1b
private let compareLoop: [UInt8] = [
    0x48, 0x89, 0xf8, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x73, 0x02, 0xeb, 0xf1, 0xbe, 1, 0, 0, 0, 0xeb, 0xea,
]

/// Patched call sites of systrap.
@Suite(.serialized) struct CallSiteTests {
    /// Runs until the site has been patched, checking every call.
    private static func warm(_ guest: Guest, _ registers: inout Registers, number: UInt64, behind: UInt64) throws {
        for call in 0..<400 as Range<UInt64> {
            let rbx = registers.rbx
            guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
            #expect(registers.orig_rax == number)
            #expect(registers.rip == behind)
            #expect(registers.rax == UInt64(bitPattern: -38))
            #expect(registers.rbx == rbx)
            registers.rax = call
            registers.rbx = call &* 0x1_0001
        }
    }

    @Test func aLoadedNumberIsPatched() throws {
        try onThread {
            let guest = try Guest(.systrap, moveLoop)
            var registers = guest.entry {
                $0.eflags = 0x202 | 0x8d5
                $0.fs_base = 0x7000_0000
            }
            try Self.warm(guest, &registers, number: 39, behind: Guest.code + 7)
            #expect(try guest.readCode(0, 3) == [0xff, 0x24, 0x25])
            #expect(try guest.readCode(5, 2) == [0x0f, 0x05])
            // All registers go both ways, flags and segment bases included.
            registers.rax = 1
            registers.rcx = 2
            registers.rdx = 3
            registers.rsi = 4
            registers.rdi = 5
            registers.rbp = 6
            registers.r8 = 7
            registers.r9 = 8
            registers.r10 = 9
            registers.r11 = 10
            registers.r12 = 11
            registers.r13 = 12
            registers.r14 = 13
            registers.r15 = 14
            let before = registers
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            var after = registers
            after.rax = before.rax
            after.orig_rax = before.orig_rax
            after.rcx = before.rcx
            after.r11 = before.r11
            #expect(after == before)
            // A restarted call stands on the `syscall` that is still there.
            registers.rip = Guest.code + 5
            registers.rax = 77
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.orig_rax == 77)
            #expect(registers.rip == Guest.code + 7)
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test func aComparedResultIsPatched() throws {
        try onThread {
            let guest = try Guest(.systrap, compareLoop)
            var registers = guest.entry { $0.rdi = 39 }
            try Self.warm(guest, &registers, number: 39, behind: Guest.code + 5)
            #expect(try guest.readCode(3, 3) == [0xff, 0x24, 0xe5])
            // The comparison still happens: an error takes the other branch.
            registers.rax = UInt64(bitPattern: -2)
            registers.rsi = 0
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.rsi == 1)
            registers.rsi = 0
            registers.rax = 5
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.rsi == 0)
            // Another thread that was in the call while it was patched comes back to the place behind it.
            let platform = try TestPlatform.systrap.shared
            for (result, branch) in [(UInt64(bitPattern: -2), 1), (5, 0)] as [(UInt64, UInt64)] {
                let rsi = try Worker {
                    let context = try platform.makeContext()
                    var registers = guest.entry {
                        $0.rip = Guest.code + 5
                        $0.rax = result
                        $0.rdi = 39
                    }
                    guard try context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
                    context.release()
                    return registers.rsi
                }.wait()
                #expect(rsi == branch)
            }
            // So does a signal handler's frame in this thread.
            registers.rip = Guest.code + 5
            registers.rax = UInt64(bitPattern: -1)
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.rsi == 1)
            guest.context.release()
            guest.space.destroy()
        }
    }

    /// The `syscall` that stays in its place is not taken for a site of its own, however often threads come to it.
    @Test func aPatchedSiteIsNotPatchedAgain() throws {
        try onThread {
            // 1: mov $39,%eax; syscall; cmp $-4095,%eax; jmp 1b
            let code: [UInt8] = [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0xeb, 0xf2]
            let guest = try Guest(.systrap, code)
            var registers = guest.entry()
            try Self.warm(guest, &registers, number: 39, behind: Guest.code + 7)
            let patched = try guest.readCode(0, code.count)
            #expect(patched[0...1] == [0xff, 0x24])
            // A child of fork counts anew.
            let child = try guest.fork()
            let context = try TestPlatform.systrap.shared.makeContext()
            for _ in 0..<300 {
                registers.rip = Guest.code + 5
                registers.rax = 39
                #expect(try context.run(&registers, in: child.space) == .systemCall)
            }
            #expect(try guest.readCode(0, code.count) == patched)
            context.release()
            child.space.destroy()
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test func interruptsAreNeverLostInTrampolines() throws {
        try onThread {
            let guest = try Guest(.systrap, moveLoop)
            var registers = guest.entry()
            try Self.warm(guest, &registers, number: 39, behind: Guest.code + 7)
            let context = guest.context
            var calls: UInt64 = 0
            for _ in 0..<300 {
                let other = try Worker { context.interrupt() }
                while true {
                    registers.r12 = calls
                    registers.rax = 0
                    let event = try context.run(&registers, in: guest.space)
                    #expect(registers.r12 == calls)
                    if event == .interrupted { break }
                    guard event == .systemCall, registers.orig_rax == 39 else { throw Errno.EINVAL }
                    calls += 1
                }
                try other.wait()
            }
            context.release()
            guest.space.destroy()
        }
    }

    @Test func floatingPointStateIsKept() throws {
        try onThread {
            // 1: mov $39,%eax; syscall; movq %xmm5,%rbx; jmp 1b
            let guest = try Guest(.systrap, [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xeb, 0xeb, 0xf2])
            var registers = guest.entry()
            for _ in 0..<300 { _ = try guest.context.run(&registers, in: guest.space) }
            #expect(try guest.readCode(0, 3) == [0xff, 0x24, 0x25])
            for value in [0x1234, 0xdead_beef] as [UInt64] {
                var image = try guest.context.readFloatingPoint()
                for index in 0..<8 { image[240 + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
                image[512] |= 2
                try guest.context.writeFloatingPoint(image.span)
                for _ in 0..<3 {
                    #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                    #expect(registers.rbx == value)
                }
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    /// 1: mov $39,%eax; syscall; movq %xmm5,%rbx; jmp 1b
    private static let vectorLoop: [UInt8] = [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xeb, 0xeb, 0xf2]

    @Test func allFloatingPointStateIsKept() throws {
        try onThread {
            let guest = try Guest(.systrap, Self.vectorLoop)
            var registers = guest.entry()
            // The first image is of a frame, the second of a thread that has none.
            _ = try guest.context.run(&registers, in: guest.space)
            let framed = try guest.context.readFloatingPoint()
            for _ in 0..<300 { _ = try guest.context.run(&registers, in: guest.space) }
            #expect(try guest.readCode(0, 3) == [0xff, 0x24, 0x25])
            var image = try guest.context.readFloatingPoint()
            #expect(image.count == framed.count)
            #expect(image[464..<512] == framed[464..<512])
            // The upper halves of the AVX registers, where there are any.
            if image.count >= 832 {
                for index in 576..<832 { image[index] = UInt8(truncatingIfNeeded: index) }
                image[512] |= 4
            }
            try guest.context.writeFloatingPoint(image.span)
            #expect(try guest.context.readFloatingPoint() == image)
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(try guest.context.readFloatingPoint()[576...] == image[576...])
            try guest.context.resetFloatingPoint()
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(try guest.context.readFloatingPoint()[576...].allSatisfy { $0 == 0 })
            // What a frame alone can express takes the state along.
            try guest.context.writeFloatingPoint(image.span)
            registers.eflags |= 0x100
            guard case .fault = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
            #expect(try guest.context.readFloatingPoint()[576...] == image[576...])
            var bad = image
            for index in 520..<576 { bad[index] = 0xff }
            #expect(throws: PlatformError.self) { try guest.context.writeFloatingPoint(bad.span) }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test func interruptsLoseNoFloatingPointState() throws {
        try onThread {
            let guest = try Guest(.systrap, Self.vectorLoop)
            var registers = guest.entry()
            for _ in 0..<300 { _ = try guest.context.run(&registers, in: guest.space) }
            let context = guest.context
            let isOver = Flag()
            let other = try Worker { while !isOver.isSet { context.interrupt() } }
            var image = try context.readFloatingPoint()
            image[512] |= 2
            for value in 0..<3000 as Range<UInt64> {
                for index in 0..<8 { image[240 + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
                try context.writeFloatingPoint(image.span)
                while try context.run(&registers, in: guest.space) == .interrupted {}
                guard registers.rbx == value else {
                    Issue.record("\(registers.rbx) in place of \(value)")
                    break
                }
                guard try context.readFloatingPoint()[240..<248] == image[240..<248] else {
                    Issue.record("another image than \(value)")
                    break
                }
            }
            isOver.set()
            try other.wait()
            context.release()
            guest.space.destroy()
        }
    }

    @Test func aSpoiltStateIsAFaultOfTheGuest() throws {
        try onThread {
            // Behind the loop: mov %rax,(%rdi); syscall
            let guest = try Guest(.systrap, Self.vectorLoop + [0x48, 0x89, 0x07, 0x0f, 0x05])
            var registers = guest.entry()
            for _ in 0..<300 { _ = try guest.context.run(&registers, in: guest.space) }
            let image = try guest.context.readFloatingPoint()
            try guest.context.writeFloatingPoint(image.span)
            // A sibling sets a reserved bit of the image's header.
            let platform = try TestPlatform.systrap.shared
            try Worker {
                let context = try platform.makeContext()
                var registers = guest.entry {
                    $0.rip = Guest.code + UInt64(Self.vectorLoop.count)
                    $0.rax = .max
                    $0.rdi = SystrapPlatform.slots.lowerBound + SystrapPlatform.stateOffset + 520
                }
                guard try context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
                context.release()
            }.wait()
            guard case .fault(let fault) = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
            #expect(fault.signal == 11)
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test func aGuestWithItsOwnGSGoesOn() throws {
        try onThread {
            let guest = try Guest(.systrap, moveLoop)
            var registers = guest.entry()
            try Self.warm(guest, &registers, number: 39, behind: Guest.code + 7)
            registers.gs_base = Guest.data
            for _ in 0..<10 {
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                #expect(registers.orig_rax == 39)
                #expect(registers.gs_base == Guest.data)
                #expect(registers.rip == Guest.code + 7)
            }
            guest.context.release()
            guest.space.destroy()
        }
    }

    @Test func aDebuggerSeesTheOriginalCode() throws {
        try onThread {
            for (code, site) in [(moveLoop, 0), (compareLoop, 3)] {
                let guest = try Guest(.systrap, code)
                var registers = guest.entry { $0.rdi = 39 }
                for _ in 0..<300 { _ = try guest.context.run(&registers, in: guest.space) }
                #expect(try guest.readCode(site, 2) == [0xff, 0x24])
                guest.space.restoreCode()
                #expect(try guest.readCode(0, code.count) == code)
                for _ in 0..<300 { #expect(try guest.context.run(&registers, in: guest.space) == .systemCall) }
                #expect(try guest.readCode(0, code.count) == code)
                guest.context.release()
                guest.space.destroy()
            }
        }
    }

    @Test func singleStepsWorkBehindPatchedCalls() throws {
        try onThread {
            let guest = try Guest(.systrap, moveLoop)
            var registers = guest.entry()
            try Self.warm(guest, &registers, number: 39, behind: Guest.code + 7)
            registers.eflags |= 0x100
            guard case .fault(let fault) = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
            #expect(fault.signal == 5)
            #expect(registers.rip == Guest.code)
            guard case .fault(let next) = try guest.context.run(&registers, in: guest.space) else { throw Errno.EINVAL }
            #expect(next.signal == 5)
            #expect(registers.rip == Guest.code + 5)
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.rip == Guest.code + 7)
            guest.context.release()
            guest.space.destroy()
        }
    }
}

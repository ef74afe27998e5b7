import Host
import LinuxABI
import SentryPlatform
import Testing

@testable import SentryKernel

@Suite struct SignalFrameTests {
    private func contents() -> SignalFrame.Contents {
        var registers = Registers()
        registers.r8 = 8
        registers.rsp = 0x7fff_0000
        registers.rip = 0x40_1000
        registers.rax = 77
        registers.eflags = 0x246
        var info = SignalInfo(signal: Signal.SIGUSR1, code: SignalCode.SI_TKILL)
        info.si_pid = 12
        info.si_uid = 1000
        var stack = AlternateStack()
        stack.address = 0x1000
        stack.size = 8192
        stack.flags = 0
        return SignalFrame.Contents(
            registers: registers, restorer: 0xdead, info: info, mask: SignalSet(Signal.SIGHUP), stack: stack, faultAddress: 0xcafe)
    }

    /// Offsets from sizeof and offsetof of the C structures on x86-64.
    @Test func layout() {
        let frame = StructureBytes([UInt8](copying: SignalFrame.bytes(contents(), floatingPoint: 0x7ffe_0000).span))
        #expect(frame.bytes.count == 440)
        #expect(frame.get(0, as: UInt64.self) == 0xdead)
        #expect(frame.get(8, as: UInt64.self) == 7)
        #expect(frame.get(24, as: UInt64.self) == 0x1000)
        #expect(frame.get(32, as: UInt32.self) == 0)
        #expect(frame.get(40, as: UInt64.self) == 8192)
        #expect(frame.get(48, as: UInt64.self) == 8)
        // ax, sp, ip, flags: words 13, 15, 16, 17 of the sigcontext at 48
        #expect(frame.get(48 + 13 * 8, as: UInt64.self) == 77)
        #expect(frame.get(48 + 15 * 8, as: UInt64.self) == 0x7fff_0000)
        #expect(frame.get(48 + 16 * 8, as: UInt64.self) == 0x40_1000)
        #expect(frame.get(48 + 17 * 8, as: UInt64.self) == 0x246)
        #expect(frame.get(48 + 144, as: UInt16.self) == 0x33)
        #expect(frame.get(48 + 150, as: UInt16.self) == 0x2b)
        #expect(frame.get(48 + 176, as: UInt64.self) == 0xcafe)
        #expect(frame.get(48 + 184, as: UInt64.self) == 0x7ffe_0000)
        #expect(frame.get(304, as: UInt64.self) == 1)
        #expect(frame.get(312, as: Int32.self) == Signal.SIGUSR1)
        #expect(frame.get(312 + 8, as: Int32.self) == SignalCode.SI_TKILL)
        #expect(frame.get(312 + 16, as: Int32.self) == 12)
        #expect(frame.get(312 + 20, as: UInt32.self) == 1000)
    }

    @Test func alignment() {
        for pointer: UInt64 in [0x7fff_1000, 0x7fff_1008, 0x7fff_0fff, 0x7fff_0001] {
            let place = SignalFrame.place(below: pointer, floatingPointSize: 2696)
            #expect(place.floatingPoint % 64 == 0)
            // As after a call: the return address makes the stack pointer 8 modulo 16.
            #expect(place.frame % 16 == 8)
            #expect(place.frame + 440 <= place.floatingPoint)
            #expect(place.floatingPoint + 2696 + 4 <= pointer)
        }
    }

    @Test func registersRoundTrip() {
        var original = contents()
        original.registers.r15 = 15
        original.registers.fs_base = 99
        var current = Registers()
        current.fs_base = 99
        var restored = SignalFrame.registers(SignalFrame.bytes(original, floatingPoint: 0), current: current)
        #expect(restored.orig_rax == .max)
        restored.orig_rax = original.registers.orig_rax
        #expect(restored == original.registers)
    }

    @Test func hostileFlagsAndSegmentsAreNotTaken() {
        var hostile = contents()
        hostile.registers.eflags = .max
        hostile.registers.cs = 0x10
        hostile.registers.ss = 0x18
        let restored = SignalFrame.registers(SignalFrame.bytes(hostile, floatingPoint: 0), current: Registers())
        #expect(restored.cs == 0x33 && restored.ss == 0x2b)
        // IOPL and interrupt flag stay the host's.
        #expect(restored.eflags & 0x3000 == 0 && restored.eflags & 0x200 == 0x200)
    }

    @Test func floatingPointIsDescribed() {
        var image = [UInt8](repeating: 0, count: 832)
        image[464] = 7
        image[512] = 3
        #expect(SignalFrame.describe(&image))
        let bytes = StructureBytes(image)
        #expect(bytes.bytes.count == 832)
        #expect(bytes.get(464, as: UInt32.self) == 0x4650_5853)
        #expect(bytes.get(468, as: UInt32.self) == 836)
        #expect(bytes.get(472, as: UInt64.self) == 7)
        #expect(bytes.get(480, as: UInt32.self) == 832)
        var short = [UInt8](repeating: 0, count: 512)
        #expect(!SignalFrame.describe(&short))
    }

    @Test func alternateStack() {
        var stack = AlternateStack()
        #expect(stack.reportedFlags(0) == AlternateStackFlag.SS_DISABLE)
        stack.address = 0x1000
        stack.size = 0x1000
        stack.flags = 0
        #expect(!stack.holds(0x1000) && stack.holds(0x1001) && stack.holds(0x2000) && !stack.holds(0x2001))
        stack.flags = AlternateStackFlag.SS_AUTODISARM
        #expect(!stack.holds(0x1800))
    }
}

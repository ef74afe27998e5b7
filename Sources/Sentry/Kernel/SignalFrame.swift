import Host
public import LinuxABI
import SentryMemory
import SentryPlatform

/// sigaltstack(2) of one task.
public struct AlternateStack: Sendable, Hashable {
    public var address: UInt64 = 0
    public var size: UInt64 = 0
    /// SS_DISABLE, or 0; with SS_AUTODISARM.
    public var flags: UInt32 = AlternateStackFlag.SS_DISABLE
    public init() {}

    /// Whether a stack pointer lies on it. An auto-disarming stack never counts as in use.
    public func holds(_ stackPointer: UInt64) -> Bool {
        if flags & AlternateStackFlag.SS_AUTODISARM != 0 { return false }
        return stackPointer > address && stackPointer &- address <= size
    }
    /// ss_flags as sigaltstack(2) reports them.
    public func reportedFlags(_ stackPointer: UInt64) -> UInt32 {
        let mode = size == 0 ? AlternateStackFlag.SS_DISABLE : holds(stackPointer) ? AlternateStackFlag.SS_ONSTACK : 0
        return mode | flags & AlternateStackFlag.SS_AUTODISARM
    }
}

/// struct rt_sigframe of x86-64 (arch/x86/include/asm/sigframe.h): return address, ucontext, siginfo; 440 bytes, followed by the
/// XSAVE image at a 64-byte boundary above it.
public enum SignalFrame {
    static let size = 440
    typealias Bytes = InlineArray<440, UInt8>
    static let contextOffset = 8
    static let registersOffset = contextOffset + 40
    static let maskOffset = contextOffset + 296
    static let infoOffset = contextOffset + 304
    /// Bytes below the stack pointer that a leaf function may use.
    static let redZone: UInt64 = 128

    static let UC_FP_XSTATE: UInt64 = 1
    static let UC_SIGCONTEXT_SS: UInt64 = 2
    static let UC_STRICT_RESTORE_SS: UInt64 = 4

    static let FP_XSTATE_MAGIC1: UInt32 = 0x4650_5853
    static let FP_XSTATE_MAGIC2: UInt32 = 0x4650_5845
    /// Where in the legacy area the kernel describes the image (struct _fpx_sw_bytes).
    static let softwareBytes = 464
    /// The FXSAVE area, and the smallest XSAVE image (with its header).
    static let legacySize = 512
    static let minimumExtendedSize = 576

    /// Everything that goes into one frame.
    struct Contents {
        var registers: Registers
        var restorer: UInt64
        var info: SignalInfo
        var mask: SignalSet
        var stack: AlternateStack
        var faultAddress: UInt64
    }

    /// Where the frame and the XSAVE image go, below `stackPointer`.
    static func place(below stackPointer: UInt64, floatingPointSize: Int) -> (frame: UInt64, floatingPoint: UInt64) {
        let floatingPoint = (stackPointer &- UInt64(floatingPointSize + 4)) & ~63
        // As if the handler had been called: the stack is 16-byte aligned before the return address was pushed.
        let frame = ((floatingPoint &- UInt64(size)) & ~15) &- 8
        return (frame, floatingPoint)
    }

    /// The 440 bytes.
    static func bytes(_ contents: Contents, floatingPoint: UInt64) -> Bytes {
        var frame = Bytes(repeating: 0)
        frame.store(contents.restorer, at: 0)
        frame.store(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, at: contextOffset)
        frame.store(contents.stack.address, at: contextOffset + 16)
        frame.store(contents.stack.reportedFlags(contents.registers.rsp), at: contextOffset + 24)
        frame.store(contents.stack.size, at: contextOffset + 32)
        let r = contents.registers
        let words: InlineArray<18, UInt64> = [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags,
        ]
        for index in words.indices { frame.store(words[index], at: registersOffset + 8 * index) }
        frame.store(UInt16(truncatingIfNeeded: r.cs), at: registersOffset + 144)
        frame.store(UInt16(truncatingIfNeeded: r.ss), at: registersOffset + 150)
        frame.store(contents.mask.rawValue, at: registersOffset + 168)
        frame.store(contents.faultAddress, at: registersOffset + 176)
        frame.store(floatingPoint, at: registersOffset + 184)
        frame.store(contents.mask.rawValue, at: maskOffset)
        let info = contents.info
        frame.store(info.si_signo, at: infoOffset)
        frame.store(info.si_errno, at: infoOffset + 4)
        frame.store(info.si_code, at: infoOffset + 8)
        frame.store(info.word0, at: infoOffset + 16)
        frame.store(info.word1, at: infoOffset + 24)
        frame.store(info.word2, at: infoOffset + 32)
        frame.store(info.word3, at: infoOffset + 40)
        return frame
    }

    /// Describes an XSAVE image in its software bytes, as it lies in a frame; the second magic number follows it there. False: it is no such image.
    static func describe(_ image: inout [UInt8]) -> Bool {
        guard image.count >= minimumExtendedSize else { return false }
        // ptrace gives the enabled features in the software bytes; the header's bits name those in use.
        let enabled: UInt64 = image.load(softwareBytes)
        let features = enabled != 0 ? enabled : image.load(legacySize) | 3
        for offset in stride(from: softwareBytes, to: legacySize, by: 8) { image.store(UInt64(0), at: offset) }
        image.store(FP_XSTATE_MAGIC1, at: softwareBytes)
        image.store(UInt32(image.count + 4), at: softwareBytes + 4)
        image.store(features, at: softwareBytes + 8)
        image.store(UInt32(image.count), at: softwareBytes + 16)
        return true
    }

    /// The registers of a frame that rt_sigreturn takes over, on top of `current`.
    static func registers(_ frame: borrowing Bytes, current: Registers) -> Registers {
        var r = current
        func word(_ index: Int) -> UInt64 { frame.load(registersOffset + 8 * index) }
        r.r8 = word(0)
        r.r9 = word(1)
        r.r10 = word(2)
        r.r11 = word(3)
        r.r12 = word(4)
        r.r13 = word(5)
        r.r14 = word(6)
        r.r15 = word(7)
        r.rdi = word(8)
        r.rsi = word(9)
        r.rbp = word(10)
        r.rbx = word(11)
        r.rdx = word(12)
        r.rax = word(13)
        r.rcx = word(14)
        r.rsp = word(15)
        r.rip = word(16)
        r.eflags = current.eflags & ~Registers.userFlags | word(17) & Registers.userFlags
        // Only 64-bit user code runs here, whatever a frame says.
        r.cs = Registers.userCodeSegment
        r.ss = Registers.userStackSegment
        r.orig_rax = .max
        return r
    }
}

extension KernelTask {
    /// Pushes the frame of `signal` and points the registers at its handler. A stack that cannot take it is a SIGSEGV. Own thread.
    func deliver(_ signal: PendingSignal, _ action: SignalAction) {
        let number = signal.info.si_signo
        guard abortSequenceForSignal(), let space = memory?.space else { return }
        let old = savedMask ?? signalMask
        savedMask = nil
        do throws(Errno) {
            // Without SA_RESTORER there is nowhere to return to: x86-64 has no other way.
            guard action.sa_flags & SignalActionFlag.SA_RESTORER != 0 else { throw .EFAULT }
            do { try context.readFloatingPoint(into: &signalImage) } catch { throw .EFAULT }
            let wasOnStack = alternateStack.holds(registers.rsp)
            var top = registers.rsp &- SignalFrame.redZone
            var isOnStack = wasOnStack
            if action.sa_flags & SignalActionFlag.SA_ONSTACK != 0, alternateStack.size != 0, !wasOnStack {
                top = alternateStack.address &+ alternateStack.size
                isOnStack = true
            }
            let place = SignalFrame.place(below: top, floatingPointSize: signalImage.count)
            // An overflow of the alternate stack must not go unnoticed.
            if isOnStack, alternateStack.size != 0, place.frame < alternateStack.address || place.frame > top { throw .EFAULT }
            let contents = SignalFrame.Contents(
                registers: registers, restorer: action.sa_restorer, info: signal.info, mask: old, stack: alternateStack,
                faultAddress: faultAddress)
            let isExtended = SignalFrame.describe(&signalImage)
            try space.copyOut(signalImage, to: place.floatingPoint)
            if isExtended { try space.store(SignalFrame.FP_XSTATE_MAGIC2, to: place.floatingPoint &+ UInt64(signalImage.count)) }
            let frame = SignalFrame.bytes(contents, floatingPoint: place.floatingPoint)
            try space.copyOut(frame.span, to: place.frame)
            if alternateStack.flags & AlternateStackFlag.SS_AUTODISARM != 0 { alternateStack = AlternateStack() }

            registers.rdi = UInt64(number)
            registers.rsi = place.frame &+ UInt64(SignalFrame.infoOffset)
            registers.rdx = place.frame &+ UInt64(SignalFrame.contextOffset)
            registers.rax = 0
            registers.rsp = place.frame
            registers.rip = action.sa_handler
            registers.cs = Registers.userCodeSegment
            registers.ss = Registers.userStackSegment
            registers.orig_rax = .max
            // Direction, resume and trap flags do not reach the handler.
            registers.eflags &= ~(0x400 | 0x1_0000 | 0x100)
            do { try context.resetFloatingPoint() } catch { throw .EFAULT }
        } catch {
            // A SIGSEGV that cannot be delivered kills; any other failed delivery is a SIGSEGV.
            if number == Signal.SIGSEGV {
                threadGroup.actions.set(Signal.SIGSEGV, SignalAction())
            }
            forceSignal(.kernel(Signal.SIGSEGV))
            return
        }
        var mask = old.union(action.sa_mask)
        if action.sa_flags & SignalActionFlag.SA_NODEFER == 0 { mask.insert(SignalSet(number)) }
        setSignalMask(mask)
    }

    /// rt_sigreturn(2): goes back to where the frame at the stack pointer says. A bad frame is a SIGSEGV. Own thread.
    public func returnFromSignal() {
        keepRegisters = true
        pendingRestart = nil
        guard let space = memory?.space else { return }
        do throws(Errno) {
            // The handler's `ret` took the return address.
            let address = registers.rsp &- 8
            var frame = SignalFrame.Bytes(repeating: 0)
            var span = frame.mutableSpan
            try space.copyIn(from: address, into: &span)
            let floatingPoint: UInt64 = frame.load(SignalFrame.registersOffset + 184)
            if floatingPoint != 0 {
                try restoreFloatingPoint(floatingPoint)
            } else {
                do { try context.resetFloatingPoint() } catch { throw .EFAULT }
            }
            registers = SignalFrame.registers(frame, current: registers)
            var stack = AlternateStack()
            stack.address = frame.load(SignalFrame.contextOffset + 16)
            stack.flags = frame.load(SignalFrame.contextOffset + 24)
            stack.size = frame.load(SignalFrame.contextOffset + 32)
            // A frame's stack that is not acceptable is left as it is, as Linux does.
            try? setAlternateStack(stack, stackPointer: registers.rsp)
            setSignalMask(SignalSet(rawValue: frame.load(SignalFrame.maskOffset)))
        } catch {
            forceSignal(.kernel(Signal.SIGSEGV))
        }
    }

    private func restoreFloatingPoint(_ address: UInt64) throws(Errno) {
        guard let space = memory?.space else { throw .EFAULT }
        do {
            var image: [UInt8] = []
            swap(&image, &signalImage)
            defer { swap(&image, &signalImage) }
            // Only its size matters; all of it is overwritten.
            if image.isEmpty { try context.readFloatingPoint(into: &image) }
            let count = image.count, legacy = SignalFrame.legacySize
            try Self.copyIn(space, address, 0..<min(legacy, count), &image)
            // What the frame says of its image.
            let size = count < legacy ? 0 : Int(image.load(SignalFrame.softwareBytes + 16, as: UInt32.self))
            if size >= SignalFrame.minimumExtendedSize, size <= count,
                image.load(SignalFrame.softwareBytes, as: UInt32.self) == SignalFrame.FP_XSTATE_MAGIC1,
                image.load(SignalFrame.softwareBytes + 4, as: UInt32.self) >= UInt32(size),
                let magic: UInt32 = try? space.load(address &+ UInt64(size)), magic == SignalFrame.FP_XSTATE_MAGIC2
            {
                try Self.copyIn(space, address, legacy..<size, &image)
                for index in size..<count { image[index] = 0 }
            } else if count >= SignalFrame.minimumExtendedSize {
                // Only the FXSAVE area: x87 and SSE from there, everything else as at the start.
                for index in legacy..<count { image[index] = 0 }
                image[legacy] = 3
            }
            try context.writeFloatingPoint(image.span)
        } catch {
            throw .EFAULT
        }
    }

    /// Fills a part of an image from the one at `address`.
    private static func copyIn(_ space: AddressSpace, _ address: UInt64, _ range: Range<Int>, _ image: inout [UInt8]) throws(Errno) {
        var whole = image.mutableSpan
        var part = whole.extracting(range)
        try space.copyIn(from: address &+ UInt64(range.lowerBound), into: &part)
    }

    /// sigaltstack(2) after decoding: EPERM while on the stack, EINVAL for bad flags, ENOMEM for a small one.
    public func setAlternateStack(_ new: AlternateStack, stackPointer: UInt64) throws(Errno) {
        if alternateStack.size != 0, alternateStack.holds(stackPointer) { throw .EPERM }
        let mode = new.flags & ~AlternateStackFlag.SS_AUTODISARM
        guard mode == AlternateStackFlag.SS_DISABLE || mode == AlternateStackFlag.SS_ONSTACK || mode == 0 else { throw .EINVAL }
        var stack = new
        if mode == AlternateStackFlag.SS_DISABLE {
            stack.address = 0
            stack.size = 0
        } else if stack.size < AlternateStackFlag.MINSIGSTKSZ {
            throw .ENOMEM
        }
        alternateStack = stack
    }
    /// The alternate stack, for sigaltstack(2) to report.
    public var currentAlternateStack: AlternateStack { alternateStack }
}

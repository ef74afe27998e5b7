import CPlatform
import Diagnostics
import Host
import LinuxABI
import Synchronization

/// One guest task's stub thread. Everything but `interrupt` runs on the task's own host thread, the tracer.
final class PtraceContext: ExecutionContext, @unchecked Sendable {
    private let placement: Placement
    let seat: Placement.Seat
    private var space: StubAddressSpace?
    private var thread: Int32 = 0
    /// An image to load before guest code runs, from before the stub thread existed.
    private var pendingFloatingPoint: [UInt8]?

    /// Process and thread number while guest code may be running, or 0.
    private let running = Atomic<UInt64>(0)
    private let isInterruptPending = Atomic<Bool>(false)

    init(placement: Placement) {
        self.placement = placement
        seat = Placement.Seat()
    }

    deinit { assert(thread == 0, "a context must be released by its task") }

    // MARK: running

    func run(_ registers: inout Registers, in space: any PlatformAddressSpace) throws(PlatformError) -> Event {
        if self.space !== space { try enter(space) }
        guard let space = self.space else { throw .host(.EINVAL) }
        placement.activate(seat)
        running.store(
            UInt64(UInt32(bitPattern: space.process)) << 32 | UInt64(UInt32(bitPattern: thread)), ordering: .sequentiallyConsistent)
        defer { running.store(0, ordering: .releasing) }
        if isInterruptPending.load(ordering: .sequentiallyConsistent) {
            isInterruptPending.store(false, ordering: .relaxed)
            return .interrupted
        }
        var stop = cplatform_stop()
        // SAFETY: Registers has the layout of struct user_regs_struct.
        unsafe cplatform_resume(thread, &registers, &stop)
        while true {
            switch Int(stop.kind) {
            case CPLATFORM_STOP_SYSCALL:
                if registers.rcx == registers.rip { return .systemCall }
                // Not the `syscall` instruction: `int $0x80`, which a kernel without 32-bit emulation answers with a general protection fault.
                registers.rax = registers.orig_rax
                registers.rip &-= 2
                return .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil))
            case CPLATFORM_STOP_INTERRUPT:
                if isInterruptPending.exchange(false, ordering: .sequentiallyConsistent) { return .interrupted }
            case CPLATFORM_STOP_SIGNAL:
                if let event = event(for: stop, &registers) { return event }
            case CPLATFORM_STOP_GROUP:
                space.resumeStopped()
                unsafe cplatform_continue_waiting(thread, &registers, &stop)
                continue
            case CPLATFORM_STOP_EXITED:
                throw lost(.exited(status: stop.code))
            case CPLATFORM_STOP_KILLED:
                throw lost(.killed(signal: stop.signal))
            default:
                // EIO: register contents that the processor would refuse (a non-canonical segment base, a system segment).
                if stop.code == 5 { return .fault(FaultInfo(signal: 11, code: 0x80, address: 0, access: nil)) }
                throw lost(.misbehaved("ptrace failed: \(Errno(rawValue: stop.code))"))
            }
            unsafe cplatform_resume(thread, &registers, &stop)
        }
    }

    /// The event for a signal that stopped the stub; nil when somebody outside sent it, which means nothing to the guest.
    private func event(for stop: cplatform_stop, _ registers: inout Registers) -> Event? {
        guard stop.code > 0 else { return nil }
        switch stop.signal {
        case 11, 7:  // SIGSEGV, SIGBUS
            let access: AccessKind? = stop.address == registers.rip ? .execute : nil
            return .fault(FaultInfo(signal: stop.signal, code: stop.code, address: stop.code == 0x80 ? 0 : stop.address, access: access))
        case 4, 8, 5:  // SIGILL, SIGFPE, SIGTRAP
            return .fault(FaultInfo(signal: stop.signal, code: stop.code, address: stop.address, access: nil))
        case 31 where stop.address >> 12 == 0xffff_ffff_ff60_0:
            // SIGSYS from the host's vsyscall page, which has already done its return: the call itself is still to be served.
            registers.orig_rax = UInt64(UInt32(bitPattern: stop.syscall_number))
            registers.rax = UInt64(bitPattern: -38)
            return .systemCall
        default:
            return nil
        }
    }

    /// The stub thread is gone for good.
    private func lost(_ reason: StubDeath) -> PlatformError {
        thread = 0
        placement.seatStub(seat, 0)
        space?.fail(reason)
        let reported = space?.deathReason ?? reason
        space = nil
        return .stubDied(reported)
    }

    /// Runs guest code with its system calls let through to the host, to prove that the seccomp filter stops them: the signal that ends it.
    func runWithoutInterception(_ registers: inout Registers, in space: any PlatformAddressSpace) throws(PlatformError) -> Int32 {
        if self.space !== space { try enter(space) }
        var stop = cplatform_stop()
        // SAFETY: Registers has the layout of struct user_regs_struct.
        unsafe cplatform_resume_plain(thread, &registers, &stop)
        if Int(stop.kind) == CPLATFORM_STOP_EXITED || Int(stop.kind) == CPLATFORM_STOP_KILLED { throw lost(.killed(signal: stop.signal)) }
        return stop.signal
    }

    // MARK: moving

    private func enter(_ target: any PlatformAddressSpace) throws(PlatformError) {
        leave()
        guard let target = target as? StubAddressSpace else { throw .host(.EINVAL) }
        do {
            placement.settle(seat)
            thread = try target.startTracedThread()
        } catch {
            if let death = target.deathReason { throw .stubDied(death) }
            throw .host(error)
        }
        space = target
        placement.seatStub(seat, thread)
        Timeline.startup.complete("guest code")
        if let image = pendingFloatingPoint {
            pendingFloatingPoint = nil
            try writeFloatingPoint(image.span)
        }
    }

    private func leave() {
        guard thread != 0 else { return }
        // A stub that cannot be told to exit is being killed: its thread must be waited for, or it stays a zombie of this host thread.
        if cplatform_detach_exit(thread) < 0 { _ = cplatform_reap(thread) }
        placement.seatStub(seat, 0)
        thread = 0
        space = nil
    }

    func wasWoken(from number: Int32) { placement.attract(seat, to: number) }

    func suspend() { placement.deactivate(seat) }

    func release() {
        leave()
        placement.vacate(seat)
    }

    // MARK: interrupts

    func interrupt() {
        isInterruptPending.store(true, ordering: .sequentiallyConsistent)
        let running = running.load(ordering: .sequentiallyConsistent)
        // A number that has meanwhile ended and come back belongs to a stub, where this signal does nothing.
        if running != 0 {
            _ = cplatform_interrupt(Int32(truncatingIfNeeded: running >> 32), Int32(truncatingIfNeeded: running))
        }
    }

    func clearInterrupt() { isInterruptPending.store(false, ordering: .sequentiallyConsistent) }

    // MARK: floating point

    /// More than any processor's XSAVE area, and the size of this one's once it is known.
    private static let maximumImage = 16384
    private static let imageSize = Atomic<Int>(0)

    func readFloatingPoint(into image: inout [UInt8]) throws(PlatformError) {
        if thread == 0 { return image = pendingFloatingPoint ?? initialImage }
        let known = Self.imageSize.load(ordering: .relaxed)
        // SAFETY: the call writes at most the bytes it is told of and says how many it wrote.
        let count = unsafe fill(&image, known > 0 ? known : Self.maximumImage) { buffer in
            unsafe cplatform_get_xstate(thread, buffer.baseAddress, buffer.count)
        }
        if count < 0 { throw failed(count) }
        if known == 0 { Self.imageSize.store(image.count, ordering: .relaxed) }
    }

    func writeFloatingPoint(_ image: Span<UInt8>) throws(PlatformError) {
        if thread == 0 {
            var copy: [UInt8] = []
            copy.reserveCapacity(image.count)
            for index in image.indices { copy.append(image[index]) }
            pendingFloatingPoint = copy
            return
        }
        if Self.imageSize.load(ordering: .relaxed) == 0 { _ = try readFloatingPoint() }
        let size = Self.imageSize.load(ordering: .relaxed)
        let result: Int
        if image.count == size {
            // SAFETY: the pointer is to `size` bytes and is used by this call only.
            result = unsafe image.withUnsafeBufferPointer { p in unsafe cplatform_set_xstate(thread, p.baseAddress, p.count) }
        } else {
            // The host takes whole images only; what the caller's lacks is in its initial state.
            var whole = [UInt8](repeating: 0, count: size)
            for index in 0..<min(size, image.count) { whole[index] = image[index] }
            result = unsafe cplatform_set_xstate(thread, whole, whole.count)
        }
        if result < 0 { throw failed(result) }
    }

    func resetFloatingPoint() throws(PlatformError) {
        if thread == 0 {
            pendingFloatingPoint = nil
            return
        }
        let image = initialImage
        do { try writeFloatingPoint(image.span) } catch {
            // execve(2): the old address space, and the stub with it, may be gone already. The thread in the new one starts with this image.
            pendingFloatingPoint = image
        }
    }

    func copyFloatingPoint(from parent: any ExecutionContext) throws(PlatformError) {
        pendingFloatingPoint = try parent.readFloatingPoint()
    }

    private func failed(_ result: Int) -> PlatformError {
        if result == -3, let death = space?.deathReason { return .stubDied(death) }
        return .host(Errno(rawValue: Int32(truncatingIfNeeded: -result)))
    }
}

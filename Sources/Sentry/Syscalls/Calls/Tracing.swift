import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS

/// ptrace(2).
enum TraceCalls {
    static let calls: [SystemCall] = [
        SystemCall(
            .ptrace, ptrace,
            .partial("debug registers watch writes and code, not reads; no PTRACE_O_SUSPEND_SECCOMP, no reading of seccomp filters"))
    ]

    private typealias R = TraceRequest

    private static func ptrace(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let request = arguments.int64(0), address = arguments[2], data = arguments[3]
        switch request {
        case R.PTRACE_TRACEME: try task.traceMe()
        case R.PTRACE_ATTACH: try task.attach(to: task.findTask(arguments.int32(1)), seize: nil)
        case R.PTRACE_SEIZE:
            let target = try task.findTask(arguments.int32(1))
            guard address == 0, data & ~TraceOptions.all.rawValue == 0 else { throw .EIO }
            try task.attach(to: target, seize: options(task, data))
        default:
            let inAnyState = request == R.PTRACE_KILL || request == R.PTRACE_INTERRUPT
            let target = try task.tracee(arguments.int32(1), inAnyState: inAnyState)
            if try goOn(task, target, request, data) { return 0 }
            if try inspect(task, target, request, address, data) { return 0 }
            return try tell(task, target, request, address, data)
        }
        return 0
    }

    /// Options after the checks of PTRACE_SETOPTIONS.
    private static func options(_ task: KernelTask, _ data: UInt64) throws(Errno) -> TraceOptions {
        let options = TraceOptions(rawValue: data)
        guard options.subtracting(.all).isEmpty else { throw .EINVAL }
        if options.contains(.PTRACE_O_SUSPEND_SECCOMP) {
            guard task.credentials.has(.CAP_SYS_ADMIN) else { throw .EPERM }
            task.kernel.unsupported(.ptrace, "PTRACE_O_SUSPEND_SECCOMP")
            throw .EINVAL
        }
        return options
    }

    // MARK: going on

    /// Requests that let the tracee go on, or end it. False for others.
    private static func goOn(_ task: KernelTask, _ target: KernelTask, _ request: Int64, _ data: UInt64) throws(Errno) -> Bool {
        switch request {
        case R.PTRACE_CONT: try target.resumeTraced(signal: data)
        case R.PTRACE_SYSCALL: try target.resumeToCall(signal: data)
        case R.PTRACE_SINGLESTEP: try target.stepTraced(signal: data)
        case R.PTRACE_SYSEMU: try target.emulateTraced(signal: data, steps: false)
        case R.PTRACE_SYSEMU_SINGLESTEP: try target.emulateTraced(signal: data, steps: true)
        case R.PTRACE_DETACH: try task.detach(from: target, signal: data)
        case R.PTRACE_KILL: target.killTraced()
        case R.PTRACE_INTERRUPT: try target.interruptTraced()
        case R.PTRACE_LISTEN: try target.listenToTraced()
        default: return false
        }
        return true
    }

    // MARK: memory and registers

    /// Requests about the tracee's memory and registers. False for others.
    private static func inspect(_ task: KernelTask, _ target: KernelTask, _ request: Int64, _ address: UInt64, _ data: UInt64) throws(Errno)
        -> Bool
    {
        switch request {
        case R.PTRACE_PEEKTEXT, R.PTRACE_PEEKDATA: try task.space().store(peek(target, address), to: data)
        case R.PTRACE_POKETEXT, R.PTRACE_POKEDATA: try poke(target, address, data)
        case R.PTRACE_PEEKUSR: try task.space().store(peekUser(target, address), to: data)
        case R.PTRACE_POKEUSR: try pokeUser(target, address, data)
        case R.PTRACE_GETREGS: try task.space().copyOut(generalRegisters(target, size: TracedRegisters.count * 8), to: data)
        case R.PTRACE_SETREGS:
            let bytes = try task.space().copyIn(from: data, count: TracedRegisters.count * 8)
            try target.withTracedRegisters(isChange: true) { registers throws(Errno) in try TracedRegisters.set(bytes, &registers) }
        case R.PTRACE_GETFPREGS: try task.space().copyOut(legacyArea(task, target), to: data)
        case R.PTRACE_SETFPREGS:
            try setLegacyArea(task, target, task.space().copyIn(from: data, count: UserArea.floatingPointSize))
        case R.PTRACE_GETREGSET: try getRegisterSet(task, target, address, vector: data)
        case R.PTRACE_SETREGSET: try setRegisterSet(task, target, address, vector: data)
        case R.PTRACE_ARCH_PRCTL: try segmentBase(task, target, address: address, operation: data)
        default: return false
        }
        return true
    }

    private static func peek(_ target: KernelTask, _ address: UInt64) throws(Errno) -> UInt64 {
        guard let space = target.addressSpace else { throw .EIO }
        var bytes = [UInt8](repeating: 0, count: 8)
        var span = bytes.mutableSpan
        guard try space.forceCopyIn(from: address, into: &span) == 8 else { throw .EIO }
        return StructureBytes(bytes).get(0)
    }

    private static func poke(_ target: KernelTask, _ address: UInt64, _ value: UInt64) throws(Errno) {
        guard let space = target.addressSpace else { throw .EIO }
        var structure = StructureBytes(size: 8)
        structure.put(value, at: 0)
        guard try space.forceCopyOut(structure.bytes.span, to: address) == 8 else { throw .EIO }
    }

    private static func generalRegisters(_ target: KernelTask, size: Int) throws(Errno) -> [UInt8] {
        TracedRegisters.bytes(try target.withTracedRegisters { registers in registers }, size: size)
    }

    private static func peekUser(_ target: KernelTask, _ address: UInt64) throws(Errno) -> UInt64 {
        guard address & 7 == 0, address < UserArea.size else { throw .EIO }
        if address < UserArea.registerSize {
            return try target.withTracedRegisters { registers in TracedRegisters.get(Int(address / 8), registers) }
        }
        if address >= UserArea.debugRegisters { return try target.tracedDebugRegister(Int((address - UserArea.debugRegisters) / 8)) }
        // All else of struct user reads as zero in Linux too.
        return 0
    }

    private static func pokeUser(_ target: KernelTask, _ address: UInt64, _ value: UInt64) throws(Errno) {
        guard address & 7 == 0, address < UserArea.size else { throw .EIO }
        if address < UserArea.registerSize {
            try target.withTracedRegisters(isChange: true) { registers throws(Errno) in
                try TracedRegisters.set(Int(address / 8), value, &registers)
            }
            return
        }
        guard address >= UserArea.debugRegisters else { throw .EIO }
        try target.setTracedDebugRegister(Int((address - UserArea.debugRegisters) / 8), value)
    }

    /// PTRACE_ARCH_PRCTL: arch_prctl(2) on the tracee; the base to set is `address`, or where to store it.
    private static func segmentBase(_ task: KernelTask, _ target: KernelTask, address: UInt64, operation: UInt64) throws(Errno) {
        let isFS: Bool
        switch Int32(truncatingIfNeeded: operation) {
        case ArchitectureControl.ARCH_GET_FS, ArchitectureControl.ARCH_SET_FS: isFS = true
        case ArchitectureControl.ARCH_GET_GS, ArchitectureControl.ARCH_SET_GS: isFS = false
        default: throw .EINVAL
        }
        let index = isFS ? TracedRegisters.fsBase : TracedRegisters.gsBase
        if [ArchitectureControl.ARCH_GET_FS, ArchitectureControl.ARCH_GET_GS].contains(Int32(truncatingIfNeeded: operation)) {
            try task.space().store(target.withTracedRegisters { registers in TracedRegisters.get(index, registers) }, to: address)
        } else {
            try target.withTracedRegisters(isChange: true) { registers throws(Errno) in
                do { try TracedRegisters.set(index, address, &registers) } catch { throw .EPERM }
            }
        }
    }

    // MARK: floating point and register sets

    private static func legacyArea(_ task: KernelTask, _ target: KernelTask) throws(Errno) -> [UInt8] {
        var area = Array(try task.tracedFloatingPoint(target).prefix(UserArea.floatingPointSize))
        // What the kernel notes about the extended state there is not the FXSAVE area's.
        for index in 464..<min(512, area.count) { area[index] = 0 }
        return area
    }

    private static func setLegacyArea(_ task: KernelTask, _ target: KernelTask, _ area: [UInt8]) throws(Errno) {
        var image = try task.tracedFloatingPoint(target)
        guard image.count >= UserArea.floatingPointSize + 64 else { throw .EIO }
        image.replaceSubrange(0..<min(464, area.count), with: area.prefix(464))
        // x87 and SSE are in use now.
        image[UserArea.floatingPointSize] |= 3
        try task.setTracedFloatingPoint(target, image)
    }

    private static func getRegisterSet(_ task: KernelTask, _ target: KernelTask, _ type: UInt64, vector: UInt64) throws(Errno) {
        let structure = try task.readStructure(vector, size: 16)
        let base: UInt64 = structure.get(0), length: UInt64 = structure.get(8)
        let contents: [UInt8]
        switch type & 0xffff_ffff {
        case RegisterSet.NT_PRSTATUS: contents = try generalRegisters(target, size: TracedRegisters.count * 8)
        case RegisterSet.NT_PRFPREG: contents = try legacyArea(task, target)
        case RegisterSet.NT_X86_XSTATE: contents = try task.tracedFloatingPoint(target)
        default: throw .EINVAL
        }
        guard length % 8 == 0 else { throw .EINVAL }
        let count = min(UInt64(contents.count), length)
        try task.space().copyOut(Array(contents.prefix(Int(count))), to: base)
        try task.space().store(count, to: vector &+ 8)
    }

    private static func setRegisterSet(_ task: KernelTask, _ target: KernelTask, _ type: UInt64, vector: UInt64) throws(Errno) {
        let structure = try task.readStructure(vector, size: 16)
        let base: UInt64 = structure.get(0), length: UInt64 = structure.get(8)
        let limit: UInt64
        switch type & 0xffff_ffff {
        case RegisterSet.NT_PRSTATUS: limit = UInt64(TracedRegisters.count * 8)
        case RegisterSet.NT_PRFPREG: limit = UInt64(UserArea.floatingPointSize)
        case RegisterSet.NT_X86_XSTATE: limit = UInt64(try task.tracedFloatingPoint(target).count)
        default: throw .EINVAL
        }
        guard length % 8 == 0 else { throw .EINVAL }
        let count = min(limit, length)
        let bytes = try task.space().copyIn(from: base, count: Int(count))
        switch type & 0xffff_ffff {
        case RegisterSet.NT_PRSTATUS:
            try target.withTracedRegisters(isChange: true) { registers throws(Errno) in try TracedRegisters.set(bytes, &registers) }
        case RegisterSet.NT_PRFPREG: try setLegacyArea(task, target, bytes)
        default:
            // The whole state or nothing.
            if count < limit { throw .EFAULT }
            try task.setTracedFloatingPoint(target, bytes)
        }
        try task.space().store(count, to: vector &+ 8)
    }

    // MARK: signals and events

    private static func tell(_ task: KernelTask, _ target: KernelTask, _ request: Int64, _ address: UInt64, _ data: UInt64) throws(Errno)
        -> Int
    {
        switch request {
        case R.PTRACE_SETOPTIONS, R.PTRACE_OLDSETOPTIONS: target.setTraceOptions(try options(task, data))
        case R.PTRACE_GETEVENTMSG: try task.space().store(target.traceMessage, to: data)
        case R.PTRACE_GETSIGINFO: try write(task, target.tracedSignalInfo(), to: data)
        case R.PTRACE_SETSIGINFO: try target.setTracedSignalInfo(task.readStructure(data, size: 128).getSignalInfo(0))
        case R.PTRACE_PEEKSIGINFO: return try peekSignals(task, target, arguments: address, data)
        case R.PTRACE_GETSIGMASK:
            guard address == 8 else { throw .EINVAL }
            try task.space().store(target.tracedSignalMask(nil).rawValue, to: data)
        case R.PTRACE_SETSIGMASK:
            guard address == 8 else { throw .EINVAL }
            _ = try target.tracedSignalMask(SignalSet(rawValue: task.space().load(data)))
        case R.PTRACE_GET_SYSCALL_INFO: return try callInformation(task, target, size: address, data)
        case R.PTRACE_GET_RSEQ_CONFIGURATION: return try sequences(task, target, size: address, data)
        case R.PTRACE_SECCOMP_GET_FILTER, R.PTRACE_SECCOMP_GET_METADATA:
            guard task.credentials.has(.CAP_SYS_ADMIN), task.seccompMode == 0 else { throw .EACCES }
            task.kernel.unsupported(.ptrace, "PTRACE_SECCOMP_GET_FILTER")
            throw .EINVAL
        default: throw .EIO
        }
        return 0
    }

    private static func write(_ task: KernelTask, _ info: SignalInfo, to address: UInt64) throws(Errno) {
        var structure = StructureBytes(size: 128)
        structure.put(info, at: 0)
        try task.write(structure, to: address)
    }

    /// How many of the wanted signals were copied; an error only when none was.
    private static func peekSignals(_ task: KernelTask, _ target: KernelTask, arguments: UInt64, _ data: UInt64) throws(Errno) -> Int {
        let structure = try task.readStructure(arguments, size: PeekSignalInfo.size)
        let flags: UInt32 = structure.get(8), count: Int32 = structure.get(12)
        guard flags & ~PeekSignalInfo.PTRACE_PEEKSIGINFO_SHARED == 0, count >= 0 else { throw .EINVAL }
        let found = target.pendingInfo(
            from: structure.get(0), count: Int(count), shared: flags & PeekSignalInfo.PTRACE_PEEKSIGINFO_SHARED != 0)
        for (index, info) in found.enumerated() {
            do { try write(task, info, to: data &+ UInt64(index) * 128) } catch {
                if index == 0 { throw error }
                return index
            }
        }
        return found.count
    }

    /// The size of what there is to tell, whatever fits into `size`.
    private static func callInformation(_ task: KernelTask, _ target: KernelTask, size: UInt64, _ data: UInt64) throws(Errno) -> Int {
        let registers = try target.withTracedRegisters { registers in registers }
        let message = target.traceMessage
        let code = (try? target.tracedSignalInfo())?.si_code ?? 0
        var kind = SyscallInfo.PTRACE_SYSCALL_INFO_NONE
        if code == Signal.SIGTRAP | 0x80 {
            if message == TraceEvent.PTRACE_EVENTMSG_SYSCALL_ENTRY { kind = SyscallInfo.PTRACE_SYSCALL_INFO_ENTRY }
            if message == TraceEvent.PTRACE_EVENTMSG_SYSCALL_EXIT { kind = SyscallInfo.PTRACE_SYSCALL_INFO_EXIT }
        } else if code == Signal.SIGTRAP | TraceEvent.PTRACE_EVENT_SECCOMP << 8 {
            kind = SyscallInfo.PTRACE_SYSCALL_INFO_SECCOMP
        }
        var structure = StructureBytes(size: 88)
        structure.put(kind, at: 0)
        structure.put(SeccompAction.AUDIT_ARCH_X86_64, at: 4)
        structure.put(registers.rip, at: 8)
        structure.put(registers.rsp, at: 16)
        if kind == SyscallInfo.PTRACE_SYSCALL_INFO_EXIT {
            let result = Int64(bitPattern: registers.rax)
            structure.put(result, at: 24)
            structure.put(UInt8(result < 0 && result >= -4095 ? 1 : 0), at: 32)
        } else if kind != SyscallInfo.PTRACE_SYSCALL_INFO_NONE {
            let words = [registers.orig_rax, registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9]
            for (index, word) in words.enumerated() { structure.put(word, at: 24 + index * 8) }
            if kind == SyscallInfo.PTRACE_SYSCALL_INFO_SECCOMP { structure.put(UInt32(truncatingIfNeeded: message), at: 80) }
        }
        let actual = SyscallInfo.sizes[Int(kind)]
        try task.space().copyOut(Array(structure.bytes.prefix(Int(min(UInt64(actual), size)))), to: data)
        return actual
    }

    /// struct ptrace_rseq_configuration.
    private static func sequences(_ task: KernelTask, _ target: KernelTask, size: UInt64, _ data: UInt64) throws(Errno) -> Int {
        let area = try target.withTracedRegisters { _ in target.sequenceConfiguration }
        var structure = StructureBytes(size: 24)
        structure.put(area.address, at: 0)
        structure.put(area.length, at: 8)
        structure.put(area.signature, at: 12)
        try task.space().copyOut(Array(structure.bytes.prefix(Int(min(24, size)))), to: data)
        return 24
    }
}

import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

/// prctl(2), arch_prctl(2), personality(2), seccomp(2).
enum ProcessControlCalls {
    static let calls: [SystemCall] = [
        SystemCall(.prctl, prctl, .partial("PR_SET_MM, PR_SET_TSC, PR_SCHED_CORE and the speculation controls are refused")),
        SystemCall(.arch_prctl, archPrctl, .partial("FS and GS only")),
        SystemCall(.personality, personality, .partial("ADDR_NO_RANDOMIZE and its kin are kept, PER_LINUX only")),
        SystemCall(.seccomp, seccomp, .partial("no user notification")),
    ]

    private static func prctl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let option = arguments.int32(0), value = arguments[1]
        switch option {
        case ProcessControl.PR_SET_PDEATHSIG:
            guard value <= UInt64(Signal.SIGRTMAX) else { throw .EINVAL }
            task.parentDeathSignalNumber = Int32(value)
            return 0
        case ProcessControl.PR_GET_PDEATHSIG:
            try task.space().store(task.parentDeathSignalNumber, to: value)
            return 0
        case ProcessControl.PR_GET_DUMPABLE: return Int(task.memory?.dumpable.load(ordering: .relaxed) ?? 0)
        case ProcessControl.PR_SET_DUMPABLE:
            guard value <= 1 else { throw .EINVAL }
            task.memory?.dumpable.store(Int32(value), ordering: .relaxed)
            return 0
        case ProcessControl.PR_GET_KEEPCAPS: return task.credentials.secureBits & SecureBit.SECBIT_KEEP_CAPS != 0 ? 1 : 0
        case ProcessControl.PR_SET_KEEPCAPS:
            guard value <= 1 else { throw .EINVAL }
            if task.credentials.secureBits & SecureBit.SECBIT_KEEP_CAPS_LOCKED != 0 { throw .EPERM }
            task.changeCredentials { change in
                if value == 1 { change.secureBits |= SecureBit.SECBIT_KEEP_CAPS } else { change.secureBits &= ~SecureBit.SECBIT_KEEP_CAPS }
            }
            return 0
        case ProcessControl.PR_GET_TIMING: return 0
        case ProcessControl.PR_SET_TIMING:
            if value != 0 { throw .EINVAL }
            return 0
        case ProcessControl.PR_SET_NAME:
            // Longer names are cut, not refused; the string may end right after 15 bytes.
            let bytes = try task.space().copyInCut(at: value, max: 15)
            task.setName(bytes)
            return 0
        case ProcessControl.PR_GET_NAME:
            var name = task.name
            name += [UInt8](repeating: 0, count: max(0, 16 - name.count))
            try task.space().copyOut(name, to: value)
            return 0
        case ProcessControl.PR_GET_SECCOMP: return task.seccompMode
        case ProcessControl.PR_SET_SECCOMP:
            switch value {
            case 1: try task.setStrictSeccomp()
            case 2: try task.addSeccompFilter(programAt: arguments[2], flags: 0)
            default: throw .EINVAL
            }
            return 0
        case ProcessControl.PR_CAPBSET_READ:
            guard value <= 40 else { throw .EINVAL }
            return task.credentials.bounding.contains(Capabilities(rawValue: 1 << value)) ? 1 : 0
        case ProcessControl.PR_CAPBSET_DROP:
            guard task.credentials.has(.CAP_SETPCAP) else { throw .EPERM }
            guard value <= 40 else { throw .EINVAL }
            task.changeCredentials { $0.bounding.remove(Capabilities(rawValue: 1 << value)) }
            return 0
        case ProcessControl.PR_GET_TSC:
            try task.space().store(Int32(1), to: value)
            return 0
        case ProcessControl.PR_SET_TSC:
            if value == 1 { return 0 }
            task.kernel.unsupported(.prctl, "PR_SET_TSC")
            throw .EINVAL
        case ProcessControl.PR_GET_SECUREBITS: return Int(task.credentials.secureBits)
        case ProcessControl.PR_SET_SECUREBITS: return try setSecureBits(task, value)
        case ProcessControl.PR_SET_TIMERSLACK:
            task.timerSlack = value == 0 || value > UInt64(Int64.max) ? 50_000 : value
            return 0
        case ProcessControl.PR_GET_TIMERSLACK: return Int(clamping: task.timerSlack)
        case ProcessControl.PR_SET_CHILD_SUBREAPER:
            task.threadGroup.isSubreaper = value != 0
            return 0
        case ProcessControl.PR_GET_CHILD_SUBREAPER:
            try task.space().store(Int32(task.threadGroup.isSubreaper ? 1 : 0), to: value)
            return 0
        case ProcessControl.PR_SET_NO_NEW_PRIVS:
            guard value == 1, arguments[2] == 0, arguments[3] == 0, arguments[4] == 0 else { throw .EINVAL }
            task.changeCredentials { $0.noNewPrivileges = true }
            return 0
        case ProcessControl.PR_GET_NO_NEW_PRIVS:
            guard value == 0, arguments[2] == 0, arguments[3] == 0, arguments[4] == 0 else { throw .EINVAL }
            return task.hasNoNewPrivileges ? 1 : 0
        case ProcessControl.PR_GET_TID_ADDRESS:
            try task.space().store(task.clearThreadID, to: value)
            return 0
        case ProcessControl.PR_SET_THP_DISABLE, ProcessControl.PR_GET_THP_DISABLE:
            // There are no transparent huge pages to disable; asking is answered truly, setting has no effect to have.
            guard arguments[2] == 0, arguments[3] == 0, arguments[4] == 0 else { throw .EINVAL }
            return option == ProcessControl.PR_GET_THP_DISABLE ? 1 : 0
        case ProcessControl.PR_CAP_AMBIENT: return try ambient(task, value, arguments[2], rest: arguments[3] | arguments[4])
        case ProcessControl.PR_SET_VMA:
            guard value == ProcessControl.PR_SET_VMA_ANON_NAME else { throw .EINVAL }
            let name = arguments[4] == 0 ? nil : try task.space().copyInString(at: arguments[4], max: 80)
            if let name, name.contains(where: { $0 < 0x20 || $0 > 0x7e || "\\`$[]".utf8.contains($0) }) { throw .EINVAL }
            try task.space().setName(arguments[2], length: arguments[3], name: name)
            return 0
        default:
            task.kernel.unsupported(.prctl, "operation \(option)")
            throw .EINVAL
        }
    }

    private static func setSecureBits(_ task: KernelTask, _ value: UInt64) throws(Errno) -> Int {
        guard value <= UInt64(SecureBit.all) else { throw .EINVAL }
        let new = UInt32(value), old = task.credentials.secureBits
        guard task.credentials.has(.CAP_SETPCAP) else { throw .EPERM }
        // Locks stay, and what is locked does not change. Bits 1, 3, 5, 7 lock the bits below them.
        let locks = old & 0xaa
        if new & locks != locks || (new ^ old) & (locks >> 1) != 0 { throw .EPERM }
        task.changeCredentials { $0.secureBits = new }
        return 0
    }

    private static func ambient(_ task: KernelTask, _ operation: UInt64, _ capability: UInt64, rest: UInt64) throws(Errno) -> Int {
        if operation == ProcessControl.PR_CAP_AMBIENT_CLEAR_ALL {
            if capability != 0 || rest != 0 { throw .EINVAL }
            task.changeCredentials { $0.ambient = [] }
            return 0
        }
        guard rest == 0, capability <= 40 else { throw .EINVAL }
        let set = Capabilities(rawValue: 1 << capability)
        let credentials = task.credentials
        switch operation {
        case ProcessControl.PR_CAP_AMBIENT_IS_SET: return credentials.ambient.contains(set) ? 1 : 0
        case ProcessControl.PR_CAP_AMBIENT_RAISE:
            guard credentials.permitted.contains(set), credentials.inheritable.contains(set),
                credentials.secureBits & SecureBit.SECBIT_NO_CAP_AMBIENT_RAISE == 0
            else { throw .EPERM }
            task.changeCredentials { $0.ambient.formUnion(set) }
            return 0
        case ProcessControl.PR_CAP_AMBIENT_LOWER:
            task.changeCredentials { $0.ambient.subtract(set) }
            return 0
        default: throw .EINVAL
        }
    }

    private static func archPrctl(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        // Kernel addresses (above the canonical lower half) cannot be a base.
        let isAddress = arguments[1] < 0x7fff_ffff_f000
        switch arguments.int32(0) {
        case ArchitectureControl.ARCH_SET_FS:
            guard isAddress else { throw .EPERM }
            task.registers.fs_base = arguments[1]
        case ArchitectureControl.ARCH_SET_GS:
            guard isAddress else { throw .EPERM }
            task.registers.gs_base = arguments[1]
        case ArchitectureControl.ARCH_GET_FS: try task.space().store(task.registers.fs_base, to: arguments[1])
        case ArchitectureControl.ARCH_GET_GS: try task.space().store(task.registers.gs_base, to: arguments[1])
        // Shadow stacks, CPUID faulting and the rest: as on a processor without them. Programs probe, so it is not worth a log line.
        default: throw .EINVAL
        }
        return 0
    }

    private static func personality(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let old = task.personality, new = arguments.uint32(0)
        if new == UInt32.max { return Int(old) }
        // PER_LINUX with modifiers; ADDR_NO_RANDOMIZE is honoured by the loader.
        if new & 0xff != 0 {
            task.kernel.unsupported(.personality, "other than PER_LINUX")
            throw .EINVAL
        }
        task.personality = new
        return Int(old)
    }

    private static func seccomp(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let flags = arguments.uint32(1)
        switch arguments.uint32(0) {
        case SeccompOperation.SECCOMP_SET_MODE_STRICT:
            guard flags == 0, arguments[2] == 0 else { throw .EINVAL }
            try task.setStrictSeccomp()
        case SeccompOperation.SECCOMP_SET_MODE_FILTER:
            try task.addSeccompFilter(programAt: arguments[2], flags: flags)
        case SeccompOperation.SECCOMP_GET_ACTION_AVAIL:
            guard flags == 0 else { throw .EINVAL }
            let action: UInt32 = try task.space().load(arguments[2])
            guard SeccompAction.available.contains(action) else { throw .EOPNOTSUPP }
        default: throw .EINVAL
        }
        return 0
    }
}

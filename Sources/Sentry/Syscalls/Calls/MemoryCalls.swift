import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Synchronization

/// Memory: mmap(2) and family, and access to other processes' memory.
enum MemoryCalls {
    static let calls: [SystemCall] = [
        SystemCall(.mmap, mmap, .partial("no huge pages")),
        SystemCall(.munmap) { task, arguments throws(Errno) in
            try task.space().unmap(arguments[0], length: arguments[1])
            return 0
        },
        SystemCall(.mprotect, mprotect),
        SystemCall(.mremap) { task, arguments throws(Errno) in
            let address = try task.space().remap(
                arguments[0], oldLength: arguments[1], newLength: arguments[2], flags: RemapFlags(rawValue: arguments.uint32(3)),
                newAddress: arguments[4])
            return Int(bitPattern: UInt(address))
        },
        SystemCall(.brk) { task, arguments throws(Errno) in Int(bitPattern: UInt(try task.space().brk(arguments[0]))) },
        SystemCall(.madvise) { task, arguments throws(Errno) in
            try task.space().advise(arguments[0], length: arguments[1], advice: arguments.int32(2))
            return 0
        },
        SystemCall(.process_madvise, processMadvise),
        SystemCall(.msync) { task, arguments throws(Errno) in
            try task.space().sync(arguments[0], length: arguments[1], flags: SyncFlags(rawValue: arguments.uint32(2)))
            return 0
        },
        SystemCall(.mincore) { task, arguments throws(Errno) in
            let space = try task.space()
            // Bounded: a vector of at most 1 MiB (4 GiB of memory) at a time.
            let chunk: UInt64 = 4 << 30
            var done: UInt64 = 0
            guard arguments[0] % pageSize == 0 else { throw .EINVAL }
            while done < arguments[1] {
                let (address, overflow) = arguments[0].addingReportingOverflow(done)
                if overflow { throw .ENOMEM }
                let residency = try space.mincore(address, length: min(chunk, arguments[1] - done))
                try space.copyOut(residency, to: arguments[2] &+ done / pageSize)
                done += chunk
            }
            return 0
        },
        SystemCall(.mlock) { task, arguments throws(Errno) in
            try checkMayLock(task)
            try task.space().lock(arguments[0], length: arguments[1], lock: true)
            return 0
        },
        SystemCall(.mlock2) { task, arguments throws(Errno) in
            if arguments.uint32(2) & ~MemoryLockFlags.MLOCK_ONFAULT != 0 { throw .EINVAL }
            try checkMayLock(task)
            try task.space().lock(arguments[0], length: arguments[1], lock: true, onFault: arguments.uint32(2) != 0)
            return 0
        },
        SystemCall(.munlock) { task, arguments throws(Errno) in
            try task.space().lock(arguments[0], length: arguments[1], lock: false)
            return 0
        },
        SystemCall(.mlockall) { task, arguments throws(Errno) in
            let flags = arguments.uint32(0)
            let known = MemoryLockFlags.MCL_CURRENT | MemoryLockFlags.MCL_FUTURE | MemoryLockFlags.MCL_ONFAULT
            if flags == 0 || flags & ~known != 0 || flags == MemoryLockFlags.MCL_ONFAULT { throw .EINVAL }
            try checkMayLock(task)
            try task.space().lockAll(flags)
            return 0
        },
        SystemCall(.munlockall) { task, _ throws(Errno) in
            try task.space().lockAll(0)
            return 0
        },
        SystemCall(.process_vm_readv) { task, arguments throws(Errno) in try transfer(task, arguments, write: false) },
        SystemCall(.process_vm_writev) { task, arguments throws(Errno) in try transfer(task, arguments, write: true) },
        SystemCall(.membarrier, membarrier, .partial("no per-CPU and rseq commands")),
        SystemCall(.get_mempolicy, getMempolicy, .partial("one node")),
        SystemCall(.set_mempolicy) { task, arguments throws(Errno) in
            // One node: every valid policy has the same effect, none.
            if arguments.int32(0) & 0xfff > 7 || arguments.int32(0) < 0 { throw .EINVAL }
            return 0
        },
        SystemCall(.mbind) { task, arguments throws(Errno) in
            if arguments.int32(2) & 0xfff > 7 || arguments.int32(2) < 0 || arguments[0] % pageSize != 0 { throw .EINVAL }
            return 0
        },
        .refused(.remap_file_pages, .ENOSYS, "superseded by mmap"),
        .refused(.pkey_alloc, .ENOSPC, "no protection keys"),
        .refused(.pkey_free, .EINVAL, "no protection keys"),
        SystemCall(.pkey_mprotect) { task, arguments throws(Errno) in
            // Key -1 means mprotect(2); there are no others.
            if arguments.int32(3) != -1 { throw .EINVAL }
            return try mprotect(task, arguments)
        },
        .refused(.mseal, .ENOSYS, "not built in"),
        .refused(.map_shadow_stack, .ENOSYS, "no shadow stacks"),
        .refused(.userfaultfd, .ENOSYS, "not built in"),
        .refused(.migrate_pages, .ENOSYS, "one node"),
        .refused(.move_pages, .ENOSYS, "one node"),
        .refused(.swapon, .EPERM, "no swapping"),
        .refused(.swapoff, .EPERM, "no swapping"),
        .refused(.process_mrelease, .ENOSYS, "not built in"),
        .refused(.memfd_secret, .ENOSYS, "not built in"),
        .refused(.modify_ldt, .ENOSYS, "no 16-bit code"),
    ]

    // MARK: mapping

    private static func mmap(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let space = try task.space()
        let flags = MapFlags(rawValue: arguments.uint32(3))
        let protection = Protection(rawValue: UInt8(truncatingIfNeeded: arguments.uint32(2) & 7))
        let offset = arguments[5]
        if offset % pageSize != 0 { throw .EINVAL }
        if arguments[1] == 0 { throw .EINVAL }
        if flags.contains(.MAP_HUGETLB) {
            task.kernel.unsupported(.mmap, "MAP_HUGETLB")
            throw .ENOMEM
        }
        var request = MapRequest(address: arguments[0], length: arguments[1], protection: protection, flags: flags, offset: offset)
        if !flags.contains(.MAP_ANONYMOUS) {
            let file = try task.files.get(arguments.int32(4))
            let mode = file.flags
            if mode.contains(.O_PATH) { throw .EBADF }
            // A mapping reads the file, whatever it is for; a shared one that may be written writes it.
            guard mode.isReadable else { throw .EACCES }
            let isShared = flags.intersection(.MAP_TYPE) == .MAP_SHARED || flags.intersection(.MAP_TYPE) == .MAP_SHARED_VALIDATE
            if isShared {
                if protection.contains(.write), !mode.isWritable { throw .EACCES }
                if !mode.isWritable { request.maximumProtection = [.read, .execute] }
            }
            if file.path.mount.flags.contains(.noExecute) {
                if protection.contains(.execute) { throw .EPERM }
                request.maximumProtection.remove(.execute)
            }
            request.object = try file.mappable(task)
        }
        if flags.contains(.MAP_LOCKED), !mayLock(task) { throw .EPERM }
        let address = try space.map(request)
        if request.object != nil, protection.contains(.execute) { task.examineCode(from: address, to: address &+ arguments[1]) }
        return Int(bitPattern: UInt(address))
    }

    private static func mprotect(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let bits = arguments.uint32(2)
        let grows = bits & (MemoryProtectionBits.PROT_GROWSDOWN | MemoryProtectionBits.PROT_GROWSUP)
        if grows == MemoryProtectionBits.PROT_GROWSDOWN | MemoryProtectionBits.PROT_GROWSUP { throw .EINVAL }
        if bits & ~(0xf | grows) != 0 { throw .EINVAL }
        if grows & MemoryProtectionBits.PROT_GROWSUP != 0 { throw .EINVAL }
        try task.space().protect(
            arguments[0], length: arguments[1], protection: Protection(rawValue: UInt8(truncatingIfNeeded: bits & 7)), growsDown: grows != 0
        )
        if bits & 4 != 0 { task.examineCode(from: arguments[0], to: arguments[0] &+ arguments[1]) }
        return 0
    }

    private static func mayLock(_ task: KernelTask) -> Bool {
        task.credentials.hasGlobally(.CAP_IPC_LOCK) || task.threadGroup.limits.current(Resource.RLIMIT_MEMLOCK) != 0
    }
    private static func checkMayLock(_ task: KernelTask) throws(Errno) { if !mayLock(task) { throw .EPERM } }

    private static func processMadvise(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        if arguments.uint32(4) != 0 { throw .EINVAL }
        let target = try task.findProcess(descriptor: arguments.int32(0)).group
        guard let leader = target.leader, let space = leader.addressSpace else { throw .ESRCH }
        try task.checkMayInspect(leader)
        switch arguments.int32(3) {
        case MemoryAdvice.MADV_COLD, MemoryAdvice.MADV_PAGEOUT, MemoryAdvice.MADV_WILLNEED, MemoryAdvice.MADV_COLLAPSE: break
        default: throw .EINVAL
        }
        var done = 0
        for (address, length) in try vectors(task, arguments[1], arguments[2]) {
            do { try space.advise(address, length: length, advice: arguments.int32(3)) } catch {
                if done == 0 { throw error }
                return done
            }
            done += Int(clamping: length)
        }
        return done
    }

    // MARK: other processes

    /// An iovec array: at most 1024 entries, together at most SSIZE_MAX.
    private static func vectors(_ task: KernelTask, _ address: UInt64, _ count: UInt64) throws(Errno) -> [(UInt64, UInt64)] {
        if count > 1024 { throw .EINVAL }
        if count == 0 { return [] }
        let structure = try task.readStructure(address, size: Int(count) * 16)
        var result: [(UInt64, UInt64)] = []
        var total: UInt64 = 0
        for index in 0..<Int(count) {
            let length: UInt64 = structure.get(index * 16 + 8)
            let (sum, overflow) = total.addingReportingOverflow(length)
            if overflow || sum > UInt64(Int64.max) { throw .EINVAL }
            total = sum
            result.append((structure.get(index * 16), length))
        }
        return result
    }

    /// process_vm_readv(2), process_vm_writev(2): what could be moved before the first bad address.
    private static func transfer(_ task: KernelTask, _ arguments: borrowing SyscallArguments, write: Bool) throws(Errno) -> Int {
        if arguments[5] != 0 { throw .EINVAL }
        var local = IOBuffer(try task.space(), address: 0, count: 0)
        _ = try vectors(task, arguments[1], arguments[2])
        local = try IOBuffer(task.space(), vectors: arguments[1], count: arguments[2])
        let remote = try vectors(task, arguments[3], arguments[4])
        let target = try task.findTask(arguments.int32(0))
        try task.checkMayInspect(target)
        guard let space = target.addressSpace else { throw .ESRCH }
        var done = 0
        for (address, length) in remote {
            var offset: UInt64 = 0
            while offset < length, local.remaining > 0 {
                let chunk = min(65536, min(length - offset, UInt64(local.remaining)))
                var other = IOBuffer(space, address: address &+ offset, count: chunk)
                do throws(Errno) {
                    let count: Int
                    if write {
                        let bytes = try local.copyIn(limit: Int(chunk))
                        count = try other.copyOut(bytes)
                    } else {
                        let bytes = try other.copyIn(limit: Int(chunk))
                        count = try local.copyOut(bytes)
                    }
                    done += count
                    offset += UInt64(count)
                    if UInt64(count) < chunk { return done }
                } catch {
                    if done == 0 { throw error }
                    return done
                }
            }
        }
        return done
    }

    // MARK: membarrier

    private static func membarrier(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let GLOBAL: Int32 = 1, GLOBAL_EXPEDITED: Int32 = 2, REGISTER_GLOBAL: Int32 = 4, PRIVATE: Int32 = 8, REGISTER_PRIVATE: Int32 = 16
        let SYNC_CORE: Int32 = 32, REGISTER_SYNC_CORE: Int32 = 64, GET_REGISTRATIONS: Int32 = 512
        let command = arguments.int32(0)
        if arguments.uint32(1) != 0 { throw .EINVAL }
        guard let memory = task.memory else { throw .ESRCH }
        switch command {
        case 0:
            return Int(
                GLOBAL | GLOBAL_EXPEDITED | REGISTER_GLOBAL | PRIVATE | REGISTER_PRIVATE | SYNC_CORE | REGISTER_SYNC_CORE
                    | GET_REGISTRATIONS)
        case REGISTER_GLOBAL, REGISTER_PRIVATE, REGISTER_SYNC_CORE:
            memory.membarrierRegistrations.bitwiseOr(UInt32(command), ordering: .relaxed)
            return 0
        case GET_REGISTRATIONS: return Int(memory.membarrierRegistrations.load(ordering: .relaxed))
        case PRIVATE, SYNC_CORE:
            let needed = command == PRIVATE ? REGISTER_PRIVATE : REGISTER_SYNC_CORE
            guard memory.membarrierRegistrations.load(ordering: .relaxed) & UInt32(needed) != 0 else { throw .EPERM }
            try task.kernel.memoryBarrier()
            return 0
        case GLOBAL, GLOBAL_EXPEDITED:
            try task.kernel.memoryBarrier()
            return 0
        default: throw .EINVAL
        }
    }

    private static func getMempolicy(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let MPOL_F_NODE: UInt64 = 1, MPOL_F_ADDR: UInt64 = 2, MPOL_F_MEMS_ALLOWED: UInt64 = 4
        let flags = arguments[4]
        if flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED) != 0 { throw .EINVAL }
        // MPOL_DEFAULT, or node 0.
        if arguments[0] != 0 { try task.space().store(Int32(0), to: arguments[0]) }
        if arguments[1] != 0 {
            if arguments[2] < 1 { throw .EINVAL }
            let size = Int(min((arguments[2] + 63) / 64 * 8, 128))
            var mask = StructureBytes(size: size)
            if flags & MPOL_F_MEMS_ALLOWED != 0 { mask.put(UInt64(1), at: 0) }
            try task.write(mask, to: arguments[1])
        }
        return 0
    }
}

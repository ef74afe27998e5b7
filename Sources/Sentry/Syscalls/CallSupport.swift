import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// What handlers of every family use to reach the guest's memory. Own thread of the task.
extension KernelTask {
    /// The caller's memory; ESRCH once it is gone.
    func space() throws(Errno) -> AddressSpace {
        guard let space = addressSpace else { throw .ESRCH }
        return space
    }

    /// A structure of `size` bytes.
    func readStructure(_ address: UInt64, size: Int) throws(Errno) -> StructureBytes {
        StructureBytes(try space().copyIn(from: address, count: size))
    }
    func write(_ structure: StructureBytes, to address: UInt64) throws(Errno) { try space().copyOut(structure.bytes, to: address) }

    /// struct timespec. EINVAL is the caller's to decide (`nanoseconds`).
    func readTimespec(_ address: UInt64) throws(Errno) -> Timespec { try readStructure(address, size: 16).getTimespec(0) }
    func write(_ time: Timespec, to address: UInt64) throws(Errno) {
        var structure = StructureBytes(size: 16)
        structure.put(time, at: 0)
        try write(structure, to: address)
    }

    /// A timeout in nanoseconds from a struct timespec; nil for a null pointer. EINVAL for fields out of range.
    func readTimeout(_ address: UInt64) throws(Errno) -> UInt64? {
        if address == 0 { return nil }
        guard let nanoseconds = try readTimespec(address).nanoseconds else { throw .EINVAL }
        return nanoseconds
    }

    /// A signal set; EINVAL unless `size` is the kernel's 8 bytes.
    func readSignalSet(_ address: UInt64, size: UInt64) throws(Errno) -> SignalSet {
        guard size == 8 else { throw .EINVAL }
        return SignalSet(rawValue: try space().load(address))
    }

    /// The thread with that id in the caller's namespace, or ESRCH.
    func findTask(_ identifier: Int32) throws(Errno) -> KernelTask {
        guard let task = kernel.tree.withLock({ namespace.task(identifier, $0) }) else { throw .ESRCH }
        return task
    }
    /// The process with that id (zombies included), or ESRCH.
    func findProcess(_ identifier: Int32) throws(Errno) -> ThreadGroup {
        guard let group = kernel.tree.withLock({ namespace.threadGroup(identifier, $0) }) else { throw .ESRCH }
        return group
    }
    /// The process behind a pidfd: EBADF for another kind of file.
    func findProcess(descriptor: Int32) throws(Errno) -> (group: ThreadGroup, file: PIDFile) {
        guard let file = try files.get(descriptor) as? PIDFile else { throw .EBADF }
        return (file.threadGroup, file)
    }
}

extension AddressSpace {
    /// A string of at most `max` bytes: cut there when no NUL stands before.
    func copyInCut(at address: UInt64, max: Int) throws(Errno) -> [UInt8] {
        do { return try copyInString(at: address, max: max + 1) } catch {
            if error != .ENAMETOOLONG { throw error }
            return try copyIn(from: address, count: max)
        }
    }
}

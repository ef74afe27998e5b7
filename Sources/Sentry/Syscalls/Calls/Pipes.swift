import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryVFS

/// pipe(2).
enum PipeCalls {
    static let calls: [SystemCall] = [SystemCall(.pipe, pipe), SystemCall(.pipe2, pipe2)]

    static func pipe(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try make(task, arguments[0], flags: [])
    }

    static func pipe2(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try make(task, arguments[0], flags: OpenFlags(rawValue: arguments.uint32(1)))
    }

    private static func make(_ task: KernelTask, _ address: UInt64, flags: OpenFlags) throws(Errno) -> Int {
        guard flags.isSubset(of: [.O_CLOEXEC, .O_NONBLOCK, .O_DIRECT]) else { throw .EINVAL }
        let memory = try task.guestMemory()
        let (reader, writer) = PipeFile.makePair(flags: flags.subtracting(.O_CLOEXEC), task)
        let closeOnExec = flags.contains(.O_CLOEXEC)
        let first: Int
        do throws(Errno) { first = try task.install(reader, closeOnExec: closeOnExec) } catch {
            writer.retainDescriptor()
            writer.releaseDescriptor(task)
            throw error
        }
        do throws(Errno) {
            let second = try task.install(writer, closeOnExec: closeOnExec)
            do throws(Errno) {
                try memory.store(Int32(first), to: address)
                try memory.store(Int32(second), to: address &+ 4)
            } catch {
                try task.files.remove(Int32(second)).releaseDescriptor(task)
                throw error
            }
        } catch {
            try task.files.remove(Int32(first)).releaseDescriptor(task)
            throw error
        }
        return 0
    }
}

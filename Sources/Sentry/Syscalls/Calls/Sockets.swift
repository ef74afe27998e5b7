internal import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryNetwork
import SentryVFS

/// Sockets: making, naming and connecting them. Messages are in SocketMessages.swift.
enum SocketCalls {
    static let calls: [SystemCall] =
        [
            SystemCall(.socket, socket, .partial("AF_UNIX; other families need a network mode, and there is none yet")),
            SystemCall(.socketpair, socketpair),
            SystemCall(.bind, bind),
            SystemCall(.listen, listen),
            SystemCall(.accept, accept),
            SystemCall(.accept4, accept4),
            SystemCall(.connect, connect),
            SystemCall(.shutdown, shutdown),
            SystemCall(.getsockname, getsockname),
            SystemCall(.getpeername, getpeername),
            SystemCall(.getsockopt, getsockopt),
            SystemCall(.setsockopt, setsockopt),
        ] + SocketMessageCalls.calls

    // MARK: Helpers

    /// The socket behind a descriptor: EBADF, or ENOTSOCK.
    static func get(_ task: KernelTask, _ descriptor: Int32) throws(Errno) -> Socket {
        let file = try task.files.get(descriptor)
        if file.isPathOnly { throw .EBADF }
        guard let socket = file as? Socket else { throw .ENOTSOCK }
        return socket
    }

    /// The guest's memory; every task that makes a call has some.
    static func memory(_ task: KernelTask) throws(Errno) -> AddressSpace {
        guard let space = task.addressSpace else { throw .EFAULT }
        return space
    }

    /// Gives a new file a descriptor, or releases it.
    static func install(_ file: FileDescription, closeOnExec: Bool, _ task: KernelTask) throws(Errno) -> Int32 {
        do throws(Errno) {
            let limit = task.threadGroup.limits.current(Resource.RLIMIT_NOFILE)
            return try task.files.install(file, closeOnExec: closeOnExec, limit: limit)
        } catch {
            file.retainDescriptor()
            file.releaseDescriptor(task)
            throw error
        }
    }

    /// A socket address argument.
    static func copyInAddress(_ task: KernelTask, _ address: UInt64, _ length: Int32) throws(Errno) -> [UInt8] {
        guard length >= 0, Int(length) <= SocketOption.ADDRESS_MAX else { throw .EINVAL }
        return try memory(task).copyIn(from: address, count: Int(length))
    }

    /// An address result: cut to the guest's buffer, with its true length stored back.
    static func copyOutAddress(_ task: KernelTask, _ bytes: [UInt8], _ address: UInt64, _ lengthAddress: UInt64) throws(Errno) {
        let space = try memory(task)
        let room = try space.load(lengthAddress, as: Int32.self)
        guard room >= 0 else { throw .EINVAL }
        let count = min(Int(room), bytes.count)
        if count > 0 { try space.copyOut(bytes.span.extracting(0..<count), to: address) }
        try space.store(Int32(bytes.count), to: lengthAddress)
    }

    /// Waits as a blocking socket call does: at most `timeout` nanoseconds, after which EAGAIN stands. With a time-out the call is not restarted after a
    /// signal (signal(7)).
    static func wait<R>(
        _ task: KernelTask, _ socket: Socket, _ events: PollEvents, timeout: UInt64?, nonblocking: Bool, _ attempt: () throws(Errno) -> R
    ) throws(Errno) -> R {
        do throws(Errno) {
            let deadline = timeout.map { HostClock.monotonic.addingReportingOverflow($0) }.map {
                $0.overflow ? UInt64.max : $0.partialValue
            }
            return try task.waitFor(socket, events, deadline: deadline, nonblocking: nonblocking ? true : nil, attempt)
        } catch {
            throw error == .ERESTARTSYS && timeout != nil ? .EINTR : error
        }
    }

    // MARK: Calls

    private static func socket(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let type = arguments.int32(1)
        let socket = try SocketFamilies.make(arguments.int32(0), type, arguments.int32(2), task)
        return Int(try install(socket, closeOnExec: type & SocketType.SOCK_CLOEXEC != 0, task))
    }

    private static func socketpair(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let type = arguments.int32(1)
        let closeOnExec = type & SocketType.SOCK_CLOEXEC != 0
        let (first, second) = try SocketFamilies.makePair(arguments.int32(0), type, arguments.int32(2), task)
        let numbers: (Int32, Int32)
        do throws(Errno) {
            numbers.0 = try install(first, closeOnExec: closeOnExec, task)
        } catch {
            second.retainDescriptor()
            second.releaseDescriptor(task)
            throw error
        }
        do throws(Errno) {
            numbers.1 = try install(second, closeOnExec: closeOnExec, task)
        } catch {
            close(numbers.0, task)
            throw error
        }
        do throws(Errno) {
            let space = try memory(task)
            try space.store(numbers.0, to: arguments[3])
            try space.store(numbers.1, to: arguments[3] &+ 4)
        } catch {
            close(numbers.0, task)
            close(numbers.1, task)
            throw error
        }
        return 0
    }

    /// Takes back a descriptor that the guest was never told.
    static func close(_ number: Int32, _ task: KernelTask) {
        guard let file = try? task.files.remove(number) else { return }
        file.releaseDescriptor(task)
    }

    private static func bind(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try get(task, arguments.int32(0))
        try socket.bind(try copyInAddress(task, arguments[1], arguments.int32(2)), task)
        return 0
    }

    private static func listen(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try get(task, arguments.int32(0)).listen(backlog: arguments.int32(1), task)
        return 0
    }

    private static func accept(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try accept(task, arguments.int32(0), arguments[1], arguments[2], flags: 0)
    }

    private static func accept4(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try accept(task, arguments.int32(0), arguments[1], arguments[2], flags: arguments.int32(3))
    }

    private static func accept(_ task: KernelTask, _ descriptor: Int32, _ address: UInt64, _ length: UInt64, flags: Int32) throws(Errno)
        -> Int
    {
        guard flags & ~(SocketType.SOCK_NONBLOCK | SocketType.SOCK_CLOEXEC) == 0 else { throw .EINVAL }
        let listener = try get(task, descriptor)
        let socket = try wait(task, listener, .readable, timeout: listener.readTimeout, nonblocking: false) { () throws(Errno) in
            try listener.accept(task)
        }
        if flags & SocketType.SOCK_NONBLOCK != 0 { socket.setStatusFlags(.O_NONBLOCK) }
        let number = try install(socket, closeOnExec: flags & SocketType.SOCK_CLOEXEC != 0, task)
        guard address != 0 else { return Int(number) }
        do throws(Errno) {
            let peer = (try? socket.peerAddress()) ?? [UInt8(truncatingIfNeeded: socket.family), 0]
            try copyOutAddress(task, peer, address, length)
        } catch {
            close(number, task)
            throw error
        }
        return Int(number)
    }

    private static func connect(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try get(task, arguments.int32(0))
        let address = try copyInAddress(task, arguments[1], arguments.int32(2))
        try wait(task, socket, .writable, timeout: socket.writeTimeout, nonblocking: false) { () throws(Errno) in
            try socket.connect(address, task)
        }
        return 0
    }

    private static func shutdown(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try get(task, arguments.int32(0)).shutdown(arguments.int32(1), task)
        return 0
    }

    private static func getsockname(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try copyOutAddress(task, try get(task, arguments.int32(0)).localAddress(), arguments[1], arguments[2])
        return 0
    }

    private static func getpeername(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        try copyOutAddress(task, try get(task, arguments.int32(0)).peerAddress(), arguments[1], arguments[2])
        return 0
    }

    private static func getsockopt(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try get(task, arguments.int32(0))
        let space = try memory(task)
        let room = try space.load(arguments[4], as: Int32.self)
        guard room >= 0 else { throw .EINVAL }
        let level = arguments.int32(1), name = arguments.int32(2)
        let value: [UInt8]
        do throws(Errno) { value = try socket.getOption(level: level, name: name, task) } catch {
            if error == .ENOPROTOOPT { task.kernel.unsupported(.getsockopt, "level \(level), option \(name)") }
            throw error
        }
        if name == SocketOption.SO_PEERGROUPS, level == SocketOption.SOL_SOCKET, Int(room) < value.count {
            try space.store(Int32(clamping: value.count), to: arguments[4])
            throw .ERANGE
        }
        let count = min(Int(room), value.count)
        if count > 0 { try space.copyOut(Array(value.prefix(count)), to: arguments[3]) }
        try space.store(Int32(count), to: arguments[4])
        return 0
    }

    private static func setsockopt(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try get(task, arguments.int32(0))
        let length = arguments.int32(4)
        guard length >= 0 else { throw .EINVAL }
        // No option here takes more than 16 bytes.
        let value = try memory(task).copyIn(from: arguments[3], count: min(Int(length), 64))
        let level = arguments.int32(1), name = arguments.int32(2)
        do throws(Errno) { try socket.changeOption(level: level, name: name, value, task) } catch {
            if error == .ENOPROTOOPT { task.kernel.unsupported(.setsockopt, "level \(level), option \(name)") }
            throw error
        }
        return 0
    }
}

internal import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryNetwork
import SentryVFS

/// Sending and receiving on sockets: send(2), recv(2), and their relatives with message headers.
enum SocketMessageCalls {
    static let calls: [SystemCall] = [
        SystemCall(.sendto, sendto),
        SystemCall(.recvfrom, recvfrom),
        SystemCall(.sendmsg, sendmsg),
        SystemCall(.recvmsg, recvmsg),
        SystemCall(.sendmmsg, sendmmsg),
        SystemCall(.recvmmsg, recvmmsg),
    ]

    // MARK: struct msghdr

    /// struct msghdr as the guest gave it; 56 bytes in memory.
    private struct Header {
        static let size: UInt64 = 56
        let place: UInt64
        var name: UInt64
        var nameLength: Int32
        var vectors: UInt64
        var vectorCount: UInt64
        var control: UInt64
        var controlLength: UInt64

        init(_ space: AddressSpace, _ place: UInt64) throws(Errno) {
            let bytes = try space.copyIn(from: place, count: Int(Header.size))
            self.place = place
            name = Header.word(bytes, 0)
            nameLength = Int32(truncatingIfNeeded: Header.word(bytes, 8) & 0xffff_ffff)
            vectors = Header.word(bytes, 16)
            vectorCount = Header.word(bytes, 24)
            control = Header.word(bytes, 32)
            controlLength = Header.word(bytes, 40)
            if nameLength < 0 { throw .EINVAL }
            if name == 0 { nameLength = 0 }
            guard vectorCount <= UInt64(SocketOption.UIO_MAXIOV) else { throw .EMSGSIZE }
        }

        static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
            var value: UInt64 = 0
            for i in 0..<8 where offset + i < bytes.count { value |= UInt64(bytes[offset + i]) << (UInt64(i) * 8) }
            return value
        }
    }

    // MARK: Ancillary data

    /// Largest control buffer that sendmsg takes, in bytes (net.core.optmem_max).
    private static let maximumControl: UInt64 = 131_072
    private static let controlHeader = 16

    /// Reads the control messages of sendmsg (cmsg(3)) into `message`.
    private static func readControl(_ task: KernelTask, _ header: Header, _ message: inout OutgoingMessage) throws(Errno) {
        if header.control == 0 || header.controlLength == 0 { return }
        guard header.controlLength <= maximumControl else { throw .ENOBUFS }
        let bytes = try SocketCalls.memory(task).copyIn(from: header.control, count: Int(header.controlLength))
        var offset = 0
        while offset + controlHeader <= bytes.count {
            let length = Header.word(bytes, offset)
            guard length >= UInt64(controlHeader), length <= UInt64(bytes.count - offset) else { throw .EINVAL }
            let kind = Header.word(bytes, offset + 8)
            let level = Int32(truncatingIfNeeded: kind & 0xffff_ffff), type = Int32(truncatingIfNeeded: kind >> 32)
            let data = Array(bytes[offset + controlHeader..<offset + Int(length)])
            if level == SocketOption.SOL_SOCKET { try readControl(task, type, data, &message) }
            // Linux ignores other levels in unix sockets.
            offset += (Int(length) + 7) & ~7
        }
    }

    private static func readControl(_ task: KernelTask, _ type: Int32, _ data: [UInt8], _ message: inout OutgoingMessage) throws(Errno) {
        switch type {
        case SocketOption.SCM_RIGHTS:
            let count = data.count / 4
            guard message.rights.count + count <= SocketOption.SCM_MAX_FD else { throw .EINVAL }
            for index in 0..<count {
                let number = Int32(truncatingIfNeeded: Header.word(Array(data[index * 4..<index * 4 + 4]), 0))
                let file = try task.files.get(number)
                message.rights.append(file)
            }
        case SocketOption.SCM_CREDENTIALS:
            guard data.count == SocketCredentials.size else { throw .EINVAL }
            let first = Header.word(data, 0)
            let claimed = SocketCredentials(
                pid: Int32(truncatingIfNeeded: first & 0xffff_ffff), uid: UInt32(truncatingIfNeeded: first >> 32),
                gid: UInt32(truncatingIfNeeded: Header.word(data, 8) & 0xffff_ffff))
            try check(claimed, task)
            message.credentials = claimed
        default: throw .EINVAL
        }
    }

    /// Whether the sender may claim these credentials (unix(7)).
    private static func check(_ claimed: SocketCredentials, _ task: KernelTask) throws(Errno) {
        let mine = task.credentials
        guard claimed.pid == task.processID || mine.has(.CAP_SYS_ADMIN) else { throw .EPERM }
        guard [mine.user.real, mine.user.effective, mine.user.saved].contains(claimed.uid) || mine.has(.CAP_SETUID) else { throw .EPERM }
        guard [mine.group.real, mine.group.effective, mine.group.saved].contains(claimed.gid) || mine.has(.CAP_SETGID) else { throw .EPERM }
        if claimed.pid != task.processID {
            let exists = task.kernel.tree.withLock { proof in task.namespace.threadGroup(claimed.pid, proof) != nil }
            if !exists { throw .ESRCH }
        }
    }

    /// Writes control messages of recvmsg, installing descriptors; what does not fit is dropped with MSG_CTRUNC. The bytes used.
    private static func writeControl(
        _ task: KernelTask, _ header: Header, _ received: inout IncomingMessage, closeOnExec: Bool
    ) throws(Errno) -> UInt64 {
        let room = header.control == 0 ? 0 : Int(min(header.controlLength, maximumControl))
        var output: [UInt8] = []
        if let credentials = received.credentials {
            var data: [UInt8] = []
            append(UInt64(UInt32(bitPattern: credentials.pid)) | UInt64(credentials.uid) << 32, 8, &data)
            append(UInt64(credentials.gid), 4, &data)
            if !appendMessage(SocketOption.SCM_CREDENTIALS, data, room, &output) { received.flags.insert(.MSG_CTRUNC) }
        }
        if !received.rights.isEmpty {
            let fitting = max(0, (room - output.count - controlHeader) / 4)
            var numbers: [UInt8] = []
            var installed = 0
            for file in received.rights.prefix(fitting) {
                let limit = task.threadGroup.limits.current(Resource.RLIMIT_NOFILE)
                guard let number = try? task.files.install(file, closeOnExec: closeOnExec, limit: limit) else { break }
                append(UInt64(UInt32(bitPattern: number)), 4, &numbers)
                installed += 1
            }
            if installed < received.rights.count { received.flags.insert(.MSG_CTRUNC) }
            // The table has references of its own now; those of the message go.
            received.discardRights(task)
            received.rights = []
            if installed > 0 { _ = appendMessage(SocketOption.SCM_RIGHTS, numbers, room, &output) }
        }
        if !output.isEmpty { try SocketCalls.memory(task).copyOut(output, to: header.control) }
        return UInt64(output.count)
    }

    private static func append(_ value: UInt64, _ count: Int, _ bytes: inout [UInt8]) {
        for i in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (UInt64(i) * 8))) }
    }

    /// Appends one control message, padded as far as there is room; false when it was cut.
    private static func appendMessage(_ type: Int32, _ data: [UInt8], _ room: Int, _ output: inout [UInt8]) -> Bool {
        let left = room - output.count
        guard left >= controlHeader else { return false }
        let length = min(left, controlHeader + data.count)
        append(UInt64(length), 8, &output)
        append(UInt64(SocketOption.SOL_SOCKET), 4, &output)
        append(UInt64(UInt32(bitPattern: type)), 4, &output)
        output += data.prefix(length - controlHeader)
        while output.count % 8 != 0, output.count < room { output.append(0) }
        return length == controlHeader + data.count
    }

    // MARK: Sending

    /// Sends until everything went (streams), waiting as the socket and the flags say. Raises SIGPIPE.
    private static func send(_ task: KernelTask, _ socket: Socket, _ message: inout OutgoingMessage) throws(Errno) -> Int {
        let nonblocking = message.flags.contains(.MSG_DONTWAIT)
        var total = 0
        do throws(Errno) {
            var pending = message
            repeat {
                let count = try SocketCalls.wait(task, socket, .writable, timeout: socket.writeTimeout, nonblocking: nonblocking) {
                    () throws(Errno) in
                    try socket.send(&pending, task)
                }
                total += count
                // The descriptors went with the first bytes.
                if count > 0 { pending.rights = [] }
                if count == 0 { break }
            } while socket.isStream && pending.buffer.remaining > 0
            message = pending
        } catch {
            if total > 0 { return total }
            if error == .EPIPE, socket.type != SocketType.SOCK_DGRAM, !message.flags.contains(.MSG_NOSIGNAL) {
                task.send(.user(Signal.SIGPIPE, from: task))
            }
            throw error
        }
        return total
    }

    private static func sendto(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try SocketCalls.get(task, arguments.int32(0))
        var message = OutgoingMessage(IOBuffer(try SocketCalls.memory(task), address: arguments[1], count: arguments[2]))
        message.flags = MessageFlags(rawValue: arguments.uint32(3))
        if arguments[4] != 0 { message.address = try SocketCalls.copyInAddress(task, arguments[4], arguments.int32(5)) }
        return try send(task, socket, &message)
    }

    private static func sendmsg(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try SocketCalls.get(task, arguments.int32(0))
        return try sendmsg(task, socket, arguments[1], MessageFlags(rawValue: arguments.uint32(2)))
    }

    private static func sendmsg(_ task: KernelTask, _ socket: Socket, _ place: UInt64, _ flags: MessageFlags) throws(Errno) -> Int {
        let space = try SocketCalls.memory(task)
        let header = try Header(space, place)
        var message = OutgoingMessage(try IOBuffer(space, vectors: header.vectors, count: header.vectorCount))
        message.flags = flags
        if header.nameLength > 0 {
            message.address = try space.copyIn(from: header.name, count: min(Int(header.nameLength), SocketOption.ADDRESS_MAX))
        }
        try readControl(task, header, &message)
        return try send(task, socket, &message)
    }

    private static func sendmmsg(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try SocketCalls.get(task, arguments.int32(0))
        let space = try SocketCalls.memory(task)
        let flags = MessageFlags(rawValue: arguments.uint32(3))
        let count = min(Int(arguments.uint32(2)), SocketOption.UIO_MAXIOV)
        var done = 0
        while done < count {
            let place = arguments[1] &+ UInt64(done) &* 64
            do throws(Errno) {
                let sent = try sendmsg(task, socket, place, flags)
                try space.store(UInt32(truncatingIfNeeded: sent), to: place &+ 56)
            } catch {
                if done > 0 { return done }
                throw error
            }
            done += 1
        }
        return done
    }

    // MARK: Receiving

    /// Receives once, or with MSG_WAITALL on a stream until the buffer is full.
    private static func receive(
        _ task: KernelTask, _ socket: Socket, _ buffer: inout IOBuffer, _ flags: MessageFlags
    ) throws(Errno) -> IncomingMessage {
        let nonblocking = flags.contains(.MSG_DONTWAIT)
        var received: IncomingMessage
        do {
            var target = buffer
            received = try SocketCalls.wait(task, socket, .readable, timeout: socket.readTimeout, nonblocking: nonblocking) {
                () throws(Errno) in
                try socket.receive(into: &target, flags: flags, task)
            }
            buffer = target
        }
        guard flags.contains(.MSG_WAITALL), !flags.contains(.MSG_PEEK), socket.isStream else { return received }
        while buffer.remaining > 0, received.count > 0, received.rights.isEmpty {
            var target = buffer
            guard
                let more = try? SocketCalls.wait(
                    task, socket, .readable, timeout: socket.readTimeout, nonblocking: nonblocking,
                    { () throws(Errno) in try socket.receive(into: &target, flags: flags, task) }), more.count > 0
            else { break }
            buffer = target
            received.count += more.count
            received.rights = more.rights
        }
        return received
    }

    private static func recvfrom(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try SocketCalls.get(task, arguments.int32(0))
        var buffer = IOBuffer(try SocketCalls.memory(task), address: arguments[1], count: arguments[2])
        let received = try receive(task, socket, &buffer, MessageFlags(rawValue: arguments.uint32(3)))
        received.discardRights(task)
        if arguments[4] != 0 { try SocketCalls.copyOutAddress(task, received.address, arguments[4], arguments[5]) }
        return received.count
    }

    private static func recvmsg(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try SocketCalls.get(task, arguments.int32(0))
        return try recvmsg(task, socket, arguments[1], MessageFlags(rawValue: arguments.uint32(2)))
    }

    private static func recvmsg(_ task: KernelTask, _ socket: Socket, _ place: UInt64, _ flags: MessageFlags) throws(Errno) -> Int {
        let space = try SocketCalls.memory(task)
        let header = try Header(space, place)
        var buffer = try IOBuffer(space, vectors: header.vectors, count: header.vectorCount)
        var received = try receive(task, socket, &buffer, flags)
        do throws(Errno) {
            if header.name != 0 {
                let count = min(Int(header.nameLength), received.address.count)
                if count > 0 { try space.copyOut(Array(received.address.prefix(count)), to: header.name) }
                try space.store(Int32(received.address.count), to: place &+ 8)
            }
            let closeOnExec = flags.contains(.MSG_CMSG_CLOEXEC)
            let used = try writeControl(task, header, &received, closeOnExec: closeOnExec)
            if closeOnExec { received.flags.insert(.MSG_CMSG_CLOEXEC) }
            try space.store(received.flags.rawValue, to: place &+ 48)
            try space.store(used, to: place &+ 40)
        } catch {
            received.discardRights(task)
            throw error
        }
        return received.count
    }

    private static func recvmmsg(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let socket = try SocketCalls.get(task, arguments.int32(0))
        let space = try SocketCalls.memory(task)
        var flags = MessageFlags(rawValue: arguments.uint32(3))
        let count = min(Int(arguments.uint32(2)), SocketOption.UIO_MAXIOV)
        var deadline: UInt64?
        if arguments[4] != 0 {
            let time = Timespec(
                tv_sec: try space.load(arguments[4], as: Int64.self), tv_nsec: try space.load(arguments[4] &+ 8, as: Int64.self))
            guard let nanoseconds = time.nanoseconds else { throw .EINVAL }
            deadline = HostClock.monotonic.addingReportingOverflow(nanoseconds).partialValue
        }
        var done = 0
        while done < count {
            let place = arguments[1] &+ UInt64(done) &* 64
            do throws(Errno) {
                let length = try recvmsg(task, socket, place, flags.subtracting(.MSG_WAITFORONE))
                try space.store(UInt32(truncatingIfNeeded: length), to: place &+ 56)
            } catch {
                if done > 0 { return done }
                throw error
            }
            done += 1
            if flags.contains(.MSG_WAITFORONE) { flags.insert(.MSG_DONTWAIT) }
            // As in Linux the time-out is looked at only between messages.
            if let deadline, HostClock.monotonic >= deadline { break }
        }
        return done
    }
}

import DequeModule
import Host
import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization

extension UnixSocket {
    /// Bytes of a stream that become one message, as Linux cuts them for its buffers.
    private static let streamChunk = 32_768
    /// Small stream writes are joined up to this many bytes.
    private static let joinLimit = 4096

    // MARK: Sending

    func transmit(_ message: inout OutgoingMessage, _ context: any FileContext) throws(Errno) -> Int {
        if message.flags.contains(.MSG_OOB) { throw .EOPNOTSUPP }
        let credentials = message.credentials ?? SocketIdentity.of(context)
        let rights = try message.rights.isEmpty ? nil : UnixRights.take(message.rights, context)
        do throws(Errno) {
            switch type {
            case SocketType.SOCK_STREAM: return try sendStream(&message, credentials, rights, context)
            case SocketType.SOCK_SEQPACKET:
                if let error = takePendingError() { throw error }
                guard let peer = state.withLock({ $0.phase == .connected ? $0.peer : nil }) else { throw Errno.ENOTCONN }
                return try sendPacket(&message, to: peer, credentials, rights)
            default: return try sendDatagram(&message, credentials, rights, context)
            }
        } catch {
            if let rights { UnixRights.drop([rights], context) }
            throw error
        }
    }

    /// Whether the charge of what this socket sent leaves room; Linux's sock_alloc_send_pskb.
    private func room() -> Int { options.withLock { $0.sendBuffer } - account.outstanding }

    private func sendStream(
        _ message: inout OutgoingMessage, _ credentials: SocketCredentials, _ rights: Rights?, _ context: any FileContext
    ) throws(Errno) -> Int {
        let (phase, peer, isShut) = state.withLock { ($0.phase, $0.peer, $0.sendIsShut) }
        if message.address != nil { throw phase == .connected ? .EISCONN : .EOPNOTSUPP }
        guard phase == .connected, let peer else { throw .ENOTCONN }
        if isShut { throw .EPIPE }
        var rights = rights
        var total = 0
        // An empty write on a stream sends nothing, not even the descriptors.
        while message.buffer.remaining > 0 {
            let room = room()
            guard room > 0 else {
                if total > 0 { break }
                throw .EAGAIN
            }
            let bytes: [UInt8]
            do {
                bytes = try message.buffer.copyIn(limit: min(Self.streamChunk, room, message.buffer.remaining))
            } catch {
                if total > 0 { break }
                throw error
            }
            let count = bytes.count
            if count == 0 { break }
            let isDelivered = peer.state.withLock { state -> Bool in
                if state.isDead || state.receiveIsShut { return false }
                Self.appendStream(&state.queue, bytes, credentials, rights, account: account, source: self)
                return true
            }
            guard isDelivered else {
                if total > 0 { break }
                throw .EPIPE
            }
            rights = nil
            total += count
            peer.waiters.notify(.readable)
        }
        if total == 0, let rights { UnixRights.drop([rights], context) }
        return total
    }

    private static func appendStream(
        _ queue: inout ReceiveQueue, _ bytes: [UInt8], _ credentials: SocketCredentials, _ rights: Rights?, account: SendAccount,
        source: UnixSocket
    ) {
        if rights == nil, let last = queue.messages.indices.last {
            // Joining keeps a flood of one-byte writes from becoming a flood of messages.
            let tail = queue.messages[last]
            if tail.rights == nil, tail.account === account, tail.credentials == credentials, tail.bytes.count + bytes.count <= joinLimit {
                queue.messages[last].bytes += bytes
                queue.messages[last].charge += bytes.count
                queue.byteCount += bytes.count
                account.charge(bytes.count)
                return
            }
        }
        let charge = bytes.count + UnixMessage.overhead
        account.charge(charge)
        queue.append(
            UnixMessage(
                bytes: bytes, credentials: credentials, rights: rights, source: source.addressForMessages, account: account, charge: charge)
        )
    }

    /// The address that receivers are told. Not locked together with a queue: names never change once set.
    var addressForMessages: UnixAddress { boundAddress }

    private func sendDatagram(
        _ message: inout OutgoingMessage, _ credentials: SocketCredentials, _ rights: Rights?, _ context: any FileContext
    ) throws(Errno) -> Int {
        if options.withLock({ $0.passesCredentials }) { try autobind() }
        if let raw = message.address {
            let target = try resolve(UnixAddress(raw), context)
            guard target.type == type else { throw .EPROTOTYPE }
            return try sendPacket(&message, to: target, credentials, rights)
        }
        guard let peer = state.withLock({ $0.peer }) else { throw .ENOTCONN }
        return try sendPacket(&message, to: peer, credentials, rights)
    }

    /// One message with its boundary: a datagram or a sequenced packet.
    private func sendPacket(
        _ message: inout OutgoingMessage, to target: UnixSocket, _ credentials: SocketCredentials, _ rights: Rights?
    ) throws(Errno) -> Int {
        if state.withLock({ $0.sendIsShut }) { throw .EPIPE }
        let count = message.buffer.remaining
        let limit = options.withLock { $0.sendBuffer }
        guard count <= limit - 32 else { throw .EMSGSIZE }
        let charge = count + UnixMessage.overhead
        let outstanding = account.outstanding
        if outstanding > 0, outstanding + charge > limit {
            try checkAlive(target)
            throw .EAGAIN
        }
        // The peer is looked at before the bytes are taken, so that a full queue costs nothing.
        let maximum = namespace.maximumDatagrams.load(ordering: .relaxed)
        try checkAlive(target)
        guard isConnectionOriented || target === self || target.admits(self) else { throw .EPERM }
        try target.state.withLock { state throws(Errno) in
            if target !== self, state.peer !== self, state.queue.messages.count > maximum {
                Self.block(account, on: &state)
                throw .EAGAIN
            }
        }
        let bytes = try message.buffer.copyIn(limit: count)
        guard bytes.count == count else { throw .EFAULT }
        let source = addressForMessages
        account.charge(charge)
        let isDelivered = target.state.withLock { state -> Bool in
            if state.isDead || state.receiveIsShut { return false }
            state.queue.append(
                UnixMessage(bytes: bytes, credentials: credentials, rights: rights, source: source, account: account, charge: charge))
            return true
        }
        guard isDelivered else {
            account.uncharge(charge)
            try checkAlive(target)
            throw .EPIPE
        }
        target.waiters.notify(.readable)
        return count
    }

    /// ECONNREFUSED (and the end of the association) for a datagram peer that is gone; EPIPE for a connection, or a receiver that was shut.
    private func checkAlive(_ target: UnixSocket) throws(Errno) {
        let (isDead, isShut) = target.state.withLock { ($0.isDead, $0.receiveIsShut) }
        if isDead, !isConnectionOriented {
            state.withLock { state in
                guard state.peer === target else { return }
                state.peer = nil
                state.phase = .idle
            }
            throw .ECONNREFUSED
        }
        if isDead || isShut { throw .EPIPE }
    }

    func takePendingError() -> Errno? {
        state.withLock { state in
            defer { state.error = nil }
            return state.error
        }
    }

    // MARK: Receiving

    func take(
        into buffer: inout IOBuffer, flags: MessageFlags, _ context: any FileContext
    ) throws(Errno) -> IncomingMessage {
        if flags.contains(.MSG_OOB) { throw .EOPNOTSUPP }
        if flags.contains(.MSG_ERRQUEUE) { throw .EAGAIN }
        if isStream { return try receiveStream(into: &buffer, flags: flags) }
        return try receivePacket(into: &buffer, flags: flags)
    }

    /// What an empty queue means.
    private static func whenEmpty(_ state: inout State, isConnectionOriented: Bool) throws(Errno) {
        if let error = state.error {
            state.error = nil
            throw error
        }
        if state.receiveIsShut { return }
        if isConnectionOriented, state.phase != .connected { throw state.phase == .listening ? .EINVAL : .ENOTCONN }
        throw .EAGAIN
    }

    private func receiveStream(into buffer: inout IOBuffer, flags: MessageFlags) throws(Errno) -> IncomingMessage {
        let isPeek = flags.contains(.MSG_PEEK)
        let passesCredentials = options.withLock { $0.passesCredentials }
        var message = IncomingMessage()
        var first: SocketCredentials?
        var freed: [(account: SendAccount, charge: Int)] = []
        defer { for entry in freed { entry.account.uncharge(entry.charge) } }
        let blocked = try state.withLock { state throws(Errno) -> [WeakWaiters] in
            guard state.phase == .connected else { throw .EINVAL }
            if state.queue.messages.isEmpty {
                try Self.whenEmpty(&state, isConnectionOriented: true)
                return []
            }
            var index = state.queue.messages.startIndex
            var skip = isPeek && state.peekOffset >= 0 ? Int(state.peekOffset) : 0
            while index < state.queue.messages.endIndex, buffer.remaining > 0 {
                let entry = state.queue.messages[index]
                if skip >= entry.unread, skip > 0 {
                    skip -= entry.unread
                    index += 1
                    continue
                }
                if passesCredentials {
                    if let first, first != entry.credentials { break }
                    first = entry.credentials
                    message.credentials = entry.credentials
                }
                let start = entry.consumed + skip
                let count = min(entry.bytes.count - start, buffer.remaining)
                let done: Int
                do throws(Errno) {
                    done = try buffer.copyOut(entry.bytes.span.extracting(start..<start + count))
                } catch {
                    if message.count > 0 { break }
                    throw error
                }
                skip = 0
                message.count += done
                message.address = entry.source == .unnamed ? [] : entry.source.raw
                if isPeek {
                    if let rights = entry.rights {
                        for file in rights.files { file.retainDescriptor() }
                        message.rights = rights.files
                        break
                    }
                    index += 1
                    continue
                }
                if state.peekOffset > 0 { state.peekOffset = max(0, state.peekOffset - Int32(clamping: done)) }
                if let rights = entry.rights {
                    // The descriptors come with the first byte that is read.
                    message.rights = UnixRights.received(rights)
                    state.queue.messages[index].rights = nil
                }
                state.queue.messages[index].consumed += done
                state.queue.byteCount -= done
                if state.queue.messages[index].unread > 0 { break }
                if let whole = state.queue.popFirst() { freed.append((whole.account, whole.charge)) }
                index = state.queue.messages.startIndex
                if !message.rights.isEmpty { break }
            }
            if isPeek, state.peekOffset >= 0 {
                state.peekOffset = state.peekOffset.addingReportingOverflow(Int32(clamping: message.count)).partialValue
            }
            return []
        }
        Self.wake(blocked)
        return message
    }

    private func receivePacket(into buffer: inout IOBuffer, flags: MessageFlags) throws(Errno) -> IncomingMessage {
        let isPeek = flags.contains(.MSG_PEEK)
        let passesCredentials = options.withLock { $0.passesCredentials }
        var message = IncomingMessage()
        let taken = try state.withLock { state throws(Errno) -> (entry: UnixMessage, blocked: [WeakWaiters])? in
            if type == SocketType.SOCK_SEQPACKET, state.phase != .connected { throw .ENOTCONN }
            guard let entry = state.queue.messages.first else {
                try Self.whenEmpty(&state, isConnectionOriented: isConnectionOriented)
                return nil
            }
            if isPeek {
                if let rights = entry.rights { for file in rights.files { file.retainDescriptor() } }
                return (entry, [])
            }
            _ = state.queue.popFirst()
            return (entry, Self.takeBlocked(&state))
        }
        guard let (entry, blocked) = taken else { return message }
        if !isPeek { entry.account.uncharge(entry.charge) }
        Self.wake(blocked)
        if let rights = entry.rights { message.rights = isPeek ? rights.files : UnixRights.received(rights) }
        if passesCredentials { message.credentials = entry.credentials }
        if entry.source != .unnamed, !isConnectionOriented { message.address = entry.source.raw }
        let wanted = min(entry.bytes.count, buffer.remaining)
        do {
            message.count = try buffer.copyOut(entry.bytes.span.extracting(0..<wanted))
        } catch {
            // As in Linux the datagram is lost when the buffer turns out bad.
            message.discardRights(KernelFileContext.shared)
            throw error
        }
        if wanted < entry.bytes.count {
            message.flags.insert(.MSG_TRUNC)
            if flags.contains(.MSG_TRUNC) { message.count = entry.bytes.count }
        }
        return message
    }

    // MARK: Readiness

    func currentReadiness(_ mask: PollEvents) -> PollEvents {
        var events: PollEvents = []
        let (peer, checksPeer) = state.withLock { state -> (UnixSocket?, Bool) in
            if state.error != nil { events.insert(.POLLERR) }
            if state.receiveIsShut {
                events.formUnion([.POLLRDHUP, .POLLIN, .POLLRDNORM])
                if state.sendIsShut { events.insert(.POLLHUP) }
            }
            if !state.queue.messages.isEmpty || !state.pending.isEmpty { events.formUnion(.readable) }
            if isConnectionOriented, state.phase == .idle { events.insert(.POLLHUP) }
            if state.phase == .listening { return (nil, false) }
            return (state.peer, true)
        }
        if checksPeer, account.outstanding <= options.withLock({ $0.sendBuffer }) / 4 {
            var isWritable = true
            if !isConnectionOriented, let peer, peer !== self,
                mask.contains(.POLLOUT) || mask.contains(.POLLWRNORM)
            {
                let maximum = namespace.maximumDatagrams.load(ordering: .relaxed)
                isWritable = peer.state.withLock { state in
                    guard !state.isDead, state.queue.messages.count > maximum, state.peer !== self else { return true }
                    Self.block(account, on: &state)
                    return false
                }
            }
            if isWritable { events.formUnion([.POLLOUT, .POLLWRNORM, .POLLWRBAND]) }
        }
        return events.intersection(mask.union([.POLLERR, .POLLHUP]))
    }

    // MARK: ioctl, options

    func control(_ request: UInt32, _ argument: UInt64, _ context: any FileContext) throws(Errno) -> Int {
        let value: Int
        switch request {
        case TerminalRequest.TIOCINQ:  // SIOCINQ
            value = try state.withLock { state throws(Errno) in
                if state.phase == .listening { throw .EINVAL }
                return isConnectionOriented ? state.queue.byteCount : state.queue.messages.first?.bytes.count ?? 0
            }
        case TerminalRequest.TIOCOUTQ:  // SIOCOUTQ
            if state.withLock({ $0.phase }) == .listening { throw .EINVAL }
            value = account.outstanding
        default: throw .ENOTTY
        }
        guard let space = context.addressSpace else { throw .EFAULT }
        try space.store(Int32(clamping: value), to: argument)
        return 0
    }

    func familyOption(level: Int32, name: Int32, _ context: any FileContext) throws(Errno) -> [UInt8]? {
        guard level == SocketOption.SOL_SOCKET else { throw .EOPNOTSUPP }
        switch name {
        case SocketOption.SO_PEERCRED:
            let credentials = state.withLock { $0.peerCredentials } ?? SocketCredentials(pid: 0, uid: .max, gid: .max)
            return SocketBytes.encode(credentials)
        case SocketOption.SO_PEERGROUPS:
            let groups = try state.withLock { state throws(Errno) -> [UInt32] in
                if state.peerCredentials == nil { throw .ENODATA }
                return state.peerGroups
            }
            return groups.flatMap { SocketBytes.encode($0) }
        case SocketOption.SO_ACCEPTCONN: return SocketBytes.encode(UInt32(state.withLock { $0.phase == .listening } ? 1 : 0))
        case SocketOption.SO_PEEK_OFF: return SocketBytes.encode(UInt32(bitPattern: state.withLock { $0.peekOffset }))
        default: return nil
        }
    }

    func setFamilyOption(level: Int32, name: Int32, _ value: [UInt8], _ context: any FileContext) throws(Errno) -> Bool {
        guard level == SocketOption.SOL_SOCKET else { throw .EOPNOTSUPP }
        guard name == SocketOption.SO_PEEK_OFF else { return false }
        let offset = try SocketBytes.int32(value)
        state.withLock { $0.peekOffset = offset }
        return true
    }

    /// One line of /proc/net/unix.
    func tableLine() -> [UInt8] {
        let (phase, address) = state.withLock { ($0.phase, $0.address) }
        // Flags: __SO_ACCEPTCON; state: SS_UNCONNECTED 1, SS_CONNECTED 3.
        let flags = phase == .listening ? "00010000" : "00000000"
        let status = phase == .connected ? "03" : "01"
        let references = phase == .connected ? "00000003" : "00000002"
        let type = String(type, radix: 16)
        let number = String(inodeNumber)
        let padding = String(repeating: " ", count: max(0, 5 - number.count))
        var line = Array(
            "0000000000000000: \(references) 00000000 \(flags) \(String(repeating: "0", count: 4 - type.count))\(type) \(status) \(padding)\(number)"
                .utf8)
        let display = address.display
        if !display.isEmpty { line += [0x20] + display }
        return line + [0x0a]
    }
}

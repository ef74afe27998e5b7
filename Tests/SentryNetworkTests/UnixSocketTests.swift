import LinuxABI
import SentryMemory
import SentryVFS
import Synchronization
import Testing

@testable import SentryNetwork

@Suite struct UnixSocketTests {
    private let namespace = UnixNamespace()
    private let context = KernelFileContext.shared

    private func make(_ type: Int32) throws -> UnixSocket {
        let socket = try UnixSocket(type: type, flags: [], namespace: namespace, context)
        socket.retainDescriptor()
        return socket
    }
    private func pair(_ type: Int32 = SocketType.SOCK_STREAM) throws -> (UnixSocket, UnixSocket) {
        let pair = try UnixSocket.pair(type: type, flags: [], namespace: namespace, context)
        pair.0.retainDescriptor()
        pair.1.retainDescriptor()
        return pair
    }
    private func abstract(_ name: String) -> [UInt8] { UnixAddress.abstract(Array(name.utf8)).raw }

    @discardableResult
    private func send(_ socket: UnixSocket, _ text: String, to address: [UInt8]? = nil, rights: [FileDescription] = []) throws -> Int {
        var message = OutgoingMessage(.kernel(Array(text.utf8)))
        message.address = address
        message.rights = rights
        return try socket.send(&message, context)
    }
    private func receive(_ socket: UnixSocket, _ capacity: Int = 100, _ flags: MessageFlags = []) throws -> (String, IncomingMessage) {
        var buffer = IOBuffer.kernel(capacity: capacity)
        let message = try socket.receive(into: &buffer, flags: flags, context)
        return (String(decoding: buffer.bytes, as: UTF8.self), message)
    }
    private func close(_ socket: FileDescription) { socket.releaseDescriptor(context) }

    @Test func streamCarriesBytesWithoutBoundaries() throws {
        let (a, b) = try pair()
        try send(a, "hello ")
        try send(a, "world")
        #expect(try receive(b, 8).0 == "hello wo")
        #expect(try receive(b).0 == "rld")
        #expect(throws: Errno.EAGAIN) { try receive(b) }
    }

    @Test func streamEndsAndBreaks() throws {
        let (a, b) = try pair()
        try send(a, "last")
        close(a)
        #expect(b.readiness([.POLLIN, .POLLRDHUP]).isSuperset(of: [.POLLIN, .POLLHUP, .POLLRDHUP]))
        #expect(try receive(b).0 == "last")
        #expect(try receive(b).1.count == 0)
        #expect(throws: Errno.EPIPE) { try send(b, "x") }
    }

    @Test func unreadDataMakesAReset() throws {
        let (a, b) = try pair()
        try send(a, "never read")
        close(b)
        #expect(throws: Errno.ECONNRESET) { try receive(a) }
        #expect(try receive(a).1.count == 0)
    }

    @Test func halfClose() throws {
        let (a, b) = try pair()
        try a.shutdown(ShutdownMode.SHUT_WR, context)
        #expect(try receive(b).1.count == 0)
        #expect(throws: Errno.EPIPE) { try send(a, "x") }
        try send(b, "still")
        #expect(try receive(a).0 == "still")
        #expect(!a.readiness([.POLLIN]).contains(.POLLHUP))
    }

    @Test func fullStreamBlocksAndPollsSo() throws {
        let (a, b) = try pair()
        let chunk = String(repeating: "x", count: 65_536)
        var sent = 0
        while true {
            do { sent += try send(a, chunk) } catch {
                #expect(error as? Errno == .EAGAIN)
                break
            }
            #expect(sent < 4 << 20)
        }
        #expect(!a.readiness(.writable).contains(.POLLOUT))
        var read = 0
        while read < sent { read += try receive(b, 65_536).1.count }
        #expect(read == sent)
        #expect(a.readiness(.writable).contains(.POLLOUT))
    }

    @Test func datagramsKeepBoundariesAndSources() throws {
        let server = try make(SocketType.SOCK_DGRAM), client = try make(SocketType.SOCK_DGRAM)
        try server.bind(abstract("server"), context)
        try client.bind(abstract("client"), context)
        try send(client, "one", to: abstract("server"))
        try send(client, "", to: abstract("server"))
        try send(client, "three", to: abstract("server"))
        let (text, message) = try receive(server)
        #expect(text == "one" && message.address == abstract("client"))
        #expect(try receive(server).1.count == 0)
        let cut = try receive(server, 2, .MSG_TRUNC)
        #expect(cut.0 == "th" && cut.1.count == 5 && cut.1.flags == .MSG_TRUNC)
        #expect(throws: Errno.ECONNREFUSED) { try send(client, "x", to: abstract("nobody")) }
        close(server)
        #expect(throws: Errno.ECONNREFUSED) { try send(client, "x", to: abstract("server")) }
    }

    @Test func connectedDatagramsHearOnlyTheirPeer() throws {
        let a = try make(SocketType.SOCK_DGRAM), b = try make(SocketType.SOCK_DGRAM), c = try make(SocketType.SOCK_DGRAM)
        try a.bind(abstract("a"), context)
        try b.bind(abstract("b"), context)
        try a.connect(abstract("b"), context)
        #expect(throws: Errno.EPERM) { try send(c, "x", to: abstract("a")) }
        try send(a, "hi")
        #expect(try receive(b).0 == "hi")
        close(b)
        #expect(throws: Errno.ECONNREFUSED) { try send(a, "x") }
        #expect(throws: Errno.ENOTCONN) { try send(a, "x") }
    }

    @Test func datagramQueueIsBounded() throws {
        let server = try make(SocketType.SOCK_DGRAM), client = try make(SocketType.SOCK_DGRAM)
        try server.bind(abstract("bounded"), context)
        try client.connect(abstract("bounded"), context)
        namespace.maximumDatagrams.store(3, ordering: .relaxed)
        for _ in 0..<4 { try send(client, "x") }
        #expect(throws: Errno.EAGAIN) { try send(client, "x") }
        #expect(!client.readiness(.writable).contains(.POLLOUT))
        _ = try receive(server)
        #expect(client.readiness(.writable).contains(.POLLOUT))
    }

    @Test func sequencedPackets() throws {
        let (a, b) = try pair(SocketType.SOCK_SEQPACKET)
        try send(a, "first")
        try send(a, "second")
        #expect(try receive(b, 3).0 == "fir")
        #expect(try receive(b).0 == "second")
        close(a)
        #expect(try receive(b).1.count == 0)
        #expect(throws: Errno.EPIPE) { try send(b, "x") }
        let big = String(repeating: "x", count: 300_000)
        let (c, _) = try pair(SocketType.SOCK_SEQPACKET)
        #expect(throws: Errno.EMSGSIZE) { try send(c, big) }
    }

    @Test func listenAcceptConnect() throws {
        let listener = try make(SocketType.SOCK_STREAM), client = try make(SocketType.SOCK_STREAM)
        #expect(throws: Errno.EINVAL) { try listener.listen(backlog: 1, context) }
        try listener.bind(abstract("l"), context)
        #expect(throws: Errno.ECONNREFUSED) { try client.connect(abstract("l"), context) }
        try listener.listen(backlog: 1, context)
        #expect(throws: Errno.EAGAIN) { try listener.accept(context) }
        try client.connect(abstract("l"), context)
        #expect(throws: Errno.EISCONN) { try client.connect(abstract("l"), context) }
        #expect(listener.readiness([.POLLIN]) == .POLLIN)
        let server = try #require(try listener.accept(context) as? UnixSocket)
        server.retainDescriptor()
        #expect(try server.localAddress() == abstract("l"))
        #expect(try client.peerAddress() == abstract("l"))
        #expect(try server.peerAddress() == UnixAddress.unnamed.raw)
        try send(client, "hello")
        #expect(try receive(server).0 == "hello")
        // Wrong kinds.
        #expect(throws: Errno.EPROTOTYPE) { try make(SocketType.SOCK_DGRAM).connect(abstract("l"), context) }
        #expect(throws: Errno.EADDRINUSE) { try make(SocketType.SOCK_STREAM).bind(abstract("l"), context) }
        #expect(throws: Errno.EINVAL) { try listener.bind(abstract("m"), context) }
    }

    @Test func backlogFills() throws {
        let listener = try make(SocketType.SOCK_STREAM)
        try listener.bind(abstract("backlog"), context)
        try listener.listen(backlog: 1, context)
        var clients: [UnixSocket] = []
        for _ in 0..<2 {
            let client = try make(SocketType.SOCK_STREAM)
            try client.connect(abstract("backlog"), context)
            clients.append(client)
        }
        let late = try make(SocketType.SOCK_STREAM)
        #expect(throws: Errno.EAGAIN) { try late.connect(abstract("backlog"), context) }
        _ = try listener.accept(context)
        try late.connect(abstract("backlog"), context)
        // Those that nobody accepted are reset when the listener goes.
        close(listener)
        #expect(throws: Errno.ECONNRESET) { try receive(late) }
    }

    @Test func freshStreamSocketHangsUp() throws {
        let socket = try make(SocketType.SOCK_STREAM)
        #expect(socket.readiness([.POLLIN, .POLLOUT]) == [.POLLOUT, .POLLHUP])
        #expect(throws: Errno.ENOTCONN) { try send(socket, "x") }
        #expect(throws: Errno.ENOTCONN) { try socket.peerAddress() }
    }

    @Test func peeking() throws {
        let (a, b) = try pair()
        try send(a, "look")
        #expect(try receive(b, 2, .MSG_PEEK).0 == "lo")
        #expect(try receive(b).0 == "look")
    }

    @Test func descriptorsTravel() throws {
        let (a, b) = try pair()
        let (c, d) = try pair()
        try send(a, "plain")
        try send(a, "with", rights: [c])
        try send(a, "after")
        close(c)
        // Plain bytes before the descriptors may come with them; what follows them does not.
        let (text, message) = try receive(b)
        #expect(text == "plainwith")
        #expect(message.rights.count == 1 && message.rights[0] === c)
        #expect(try receive(b).0 == "after")
        // The receiver's reference keeps it open.
        try send(d, "x")
        message.discardRights(context)
        #expect(throws: Errno.EPIPE) { try send(d, "x") }
    }

    @Test func descriptorsInADroppedMessageAreClosed() throws {
        let (a, b) = try pair()
        let (c, d) = try pair()
        try send(a, "x", rights: [c])
        close(c)
        try send(d, "still open")
        close(b)
        #expect(throws: Errno.EPIPE) { try send(d, "closed") }
    }

    @Test func unreachableRingIsCollected() throws {
        let (a, b) = try pair()
        let (witness, end) = try pair()
        // a and b each wait in the other's queue, with a witness; then nobody has a descriptor.
        try send(a, "1", rights: [a, witness])
        try send(b, "2", rights: [b])
        close(witness)
        try send(end, "open")
        close(a)
        close(b)
        UnixRights.collect(context)
        #expect(throws: Errno.EPIPE) { try send(end, "collected") }
    }

    @Test func reachableSocketsAreNotCollected() throws {
        let (a, b) = try pair()
        let (c, d) = try pair()
        try send(c, "inside", rights: [])
        try send(a, "carrier", rights: [d])
        close(d)
        UnixRights.collect(context)
        let (_, message) = try receive(b)
        let received = try #require(message.rights.first as? UnixSocket)
        #expect(try receive(received).0 == "inside")
    }

    @Test func longChainOfMessagesIsClosedWithoutRecursion() throws {
        // Each socket waits in a message of the next: closing the last closes them all, one after the other.
        var previous: UnixSocket?
        for _ in 0..<5_000 {
            let (a, b) = try pair()
            try send(a, "x", rights: previous.map { [$0] } ?? [])
            close(a)
            if let previous { close(previous) }
            previous = b
        }
        if let previous { close(previous) }
    }

    @Test func credentialsArePassedWhenAsked() throws {
        let (a, b) = try pair()
        try send(a, "without")
        #expect(try receive(b).1.credentials == nil)
        try b.changeOption(level: SocketOption.SOL_SOCKET, name: SocketOption.SO_PASSCRED, [1, 0, 0, 0], context)
        try send(a, "with")
        #expect(try receive(b).1.credentials == SocketCredentials(pid: 0, uid: 0, gid: 0))
        var message = OutgoingMessage(.kernel(Array("other".utf8)))
        message.credentials = SocketCredentials(pid: 7, uid: 8, gid: 9)
        try send(a, "mine")
        _ = try a.send(&message, context)
        // Different senders do not mix in one read.
        #expect(try receive(b).0 == "mine")
        #expect(try receive(b).1.credentials?.pid == 7)
    }

    @Test func options() throws {
        let (a, _) = try pair(SocketType.SOCK_SEQPACKET)
        func get(_ name: Int32) throws -> [UInt8] { try a.getOption(level: SocketOption.SOL_SOCKET, name: name, context) }
        func set(_ name: Int32, _ value: [UInt8]) throws { try a.changeOption(level: SocketOption.SOL_SOCKET, name: name, value, context) }
        #expect(try get(SocketOption.SO_TYPE) == [5, 0, 0, 0])
        #expect(try get(SocketOption.SO_DOMAIN) == [1, 0, 0, 0])
        try set(SocketOption.SO_SNDBUF, [0, 16, 0, 0])
        #expect(try get(SocketOption.SO_SNDBUF) == SocketBytes.encode(UInt32(8192)))
        try set(SocketOption.SO_SNDBUF, [1, 0, 0, 0])
        #expect(try get(SocketOption.SO_SNDBUF) == SocketBytes.encode(UInt32(4608)))
        #expect(try get(SocketOption.SO_PEERCRED) == [UInt8](repeating: 0, count: 12))
        try set(SocketOption.SO_RCVTIMEO, SocketBytes.encode(UInt64(2)) + SocketBytes.encode(UInt64(500_000)))
        #expect(a.readTimeout == 2_500_000_000)
        #expect(throws: Errno.EDOM) {
            try set(SocketOption.SO_RCVTIMEO, SocketBytes.encode(UInt64(0)) + SocketBytes.encode(UInt64(1_000_000)))
        }
        #expect(throws: Errno.EINVAL) { try set(SocketOption.SO_PASSCRED, [1]) }
        #expect(throws: Errno.ENOPROTOOPT) { try get(9999) }
    }

    @Test func addresses() throws {
        #expect(try UnixAddress([1, 0]) == .unnamed)
        #expect(try UnixAddress([1, 0, 0, 0x61]) == .abstract([0x61]))
        #expect(try UnixAddress([1, 0, 0x2f, 0x61, 0, 0x62]) == .path([0x2f, 0x61]))
        #expect(UnixAddress.path([0x2f]).raw == [1, 0, 0x2f, 0])
        #expect(throws: Errno.EINVAL) { try UnixAddress([1]) }
        #expect(throws: Errno.EINVAL) { try UnixAddress([2, 0, 0x2f]) }
        #expect(throws: Errno.EINVAL) { try UnixAddress([1, 0] + [UInt8](repeating: 0x61, count: 109)) }
    }

    @Test func autobindGivesFiveDigits() throws {
        let socket = try make(SocketType.SOCK_DGRAM)
        try socket.bind([1, 0], context)
        #expect(try socket.localAddress().count == 8)
        let table = String(decoding: namespace.table(), as: UTF8.self)
        #expect(table.hasPrefix("Num       RefCount Protocol Flags    Type St Inode Path\n"))
        #expect(table.contains(" @00000\n"))
    }
}

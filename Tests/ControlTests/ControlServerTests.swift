import Control
import Diagnostics
import Host
import LinuxABI
import Synchronization
import Testing
import Wire

/// A server on a socket of its own, served by a thread, with a few handlers that use every feature.
private final class TestServer: Sendable {
    let path: [UInt8]
    private let finisher: Lock<(@Sendable (Int32) -> Void)?> = Lock(nil)
    private let ended = Parker()
    let status = Atomic<Int32>(-1)
    /// Replies that handlers keep for later.
    let kept = Lock<[ControlReply]>([])
    private let keptOne = Parker()

    init() throws {
        path = Array("/tmp/nestbox-control-\(UInt64.random(in: 0 ... .max)).sock".utf8)
        let listening = try HostCall.listenUnix(path).release()
        let started = Parker()
        try startThread { [self] in
            do {
                var version = VersionReport()
                version.component = "test"
                let server = try ControlServer(listening: OwnedDescriptor(adopting: listening), version: version, allowFaults: false)
                server.command("/v1/start", ContainerReference.self) { message, _, reply throws(SandboxError) in
                    if message.container == "absent" { throw SandboxError(.notFound, "no container 'absent'", hint: "create it") }
                    reply.succeed(TaskReference(container: message.container, pid: 1))
                }
                server.on(.post, "/v1/echo") { request, reply in reply.succeed(text: "\(request.body.count)") }
                server.on(.post, "/v1/descriptors") { request, reply throws(SandboxError) in
                    // Writes its number into each descriptor.
                    for index in 0..<request.descriptors.count {
                        guard let descriptor = request.descriptors.take(index) else { continue }
                        _ = try? HostCall.write(descriptor.rawValue, Array("\(index)".utf8).span)
                    }
                    reply.succeed()
                }
                server.on(.post, "/v1/later") { [self] _, reply in
                    kept.withLock { $0.append(reply) }
                    keptOne.unpark()
                }
                server.on(.get, "/v1/events") { [self] _, reply in
                    reply.beginStream()
                    kept.withLock { $0.append(reply) }
                    keptOne.unpark()
                }
                server.on(.post, "/v1/dropped") { _, _ in }
                finisher.withLock { $0 = server.finisher }
                started.unpark()
                status.store(try server.run(), ordering: .releasing)
            } catch {
                Issue.record("server: \(error)")
            }
            ended.unpark()
        }
        _ = started.park()
    }

    func client() throws -> ControlClient { try ControlClient(path: path, peer: "the test server") }
    func waitForKeptReply() -> ControlReply? {
        _ = keptOne.park()
        return kept.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }
    func finish(_ value: Int32) -> Int32 {
        finisher.withLock { $0 }?(value)
        _ = ended.park()
        _ = try? HostCall.withPath(path) { p throws(Errno) in HostCall.raw(.unlink, p) }
        return status.load(ordering: .acquiring)
    }
}

@Suite(.serialized) struct ControlServerTests {
    @Test func messagesAndErrors() throws {
        let server = try TestServer()
        let client = try server.client()
        #expect(try client.get("/v1/version", returning: VersionReport.self).component == "test")
        #expect(
            try client.call("/v1/start", ContainerReference("a"), returning: TaskReference.self) == TaskReference(container: "a", pid: 1))
        let error = #expect(throws: SandboxError.self) {
            try client.call("/v1/start", ContainerReference("absent"), returning: TaskReference.self)
        }
        #expect(error?.code == .notFound)
        #expect(error?.hint == "create it")
        #expect(throws: SandboxError.self) { try client.raw(.get, "/v2/version") }
        let unknown = #expect(throws: SandboxError.self) { try client.get("/v1/nothing", returning: VersionReport.self) }
        #expect(unknown?.hint.contains("/v1/version") == true)
        let dropped = #expect(throws: SandboxError.self) { try client.call("/v1/dropped", ContainerReference("a")) }
        #expect(dropped != nil)
        let metrics = try client.raw(.get, "/v1/metrics")
        #expect(String(decoding: metrics, as: UTF8.self).contains("nestbox_control_requests_total"))
        #expect(server.finish(7) == 7)
    }

    @Test func largeBodies() throws {
        let server = try TestServer()
        let client = try server.client()
        let body = [UInt8](repeating: 0x61, count: 3 << 20)
        #expect(try client.raw(.post, "/v1/echo", body) == Array("\(3 << 20)".utf8))
        // Too large a body costs the call, not the connection.
        #expect(throws: SandboxError.self) { try client.raw(.post, "/v1/echo", [UInt8](repeating: 0, count: 17 << 20)) }
        #expect(try client.raw(.post, "/v1/echo", [1]) == Array("1".utf8))
        _ = server.finish(0)
    }

    @Test func manyCallsAreInFlight() throws {
        let server = try TestServer()
        let client = try server.client()
        let waiting = try client.begin(.post, "/v1/later")
        #expect(try client.call("/v1/start", ContainerReference("b"), returning: TaskReference.self).pid == 1)
        let reply = try #require(server.waitForKeptReply())
        try startThread {
            var report = ExitReport()
            report.status = 3
            reply.succeed(report)
        }
        let response = try client.wait(waiting, timeout: 5_000_000_000)
        #expect(try ExitReport(decoding: response.body).status == 3)
        _ = server.finish(0)
    }

    @Test func descriptorsRideAlong() throws {
        let server = try TestServer()
        let client = try server.client()
        for round in 1...5 {
            let pairs = try (0..<round).map { _ in
                let pair = try HostCall.socketPair()
                return (SharedDescriptor(try pair.first.duplicate()), SharedDescriptor(try pair.second.duplicate()))
            }
            // Two requests at once: the descriptors must find theirs.
            let first = try client.begin(.post, "/v1/descriptors", descriptors: pairs.map { $0.1.rawValue })
            let second = try client.begin(.post, "/v1/descriptors", [1, 2, 3], descriptors: [pairs[0].1.rawValue])
            _ = try client.wait(first)
            _ = try client.wait(second)
            for (index, pair) in pairs.enumerated() {
                var buffer = [UInt8](repeating: 0, count: 8)
                var span = buffer.mutableSpan
                let count = try HostCall.read(pair.0.rawValue, into: &span)
                #expect(buffer.prefix(count) == Array((index == 0 ? "00" : "\(index)").utf8).prefix(count))
            }
        }
        _ = server.finish(0)
    }

    @Test func surplusAndMissingDescriptorsEndTheConnection() throws {
        let server = try TestServer()
        for wrong in [true, false] {
            let socket = try HostCall.connectUnix(server.path)
            let sent: [Int32] = wrong ? [socket.rawValue] : []
            // The preface and an empty SETTINGS frame.
            let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
            _ = try HostCall.send(socket.rawValue, preface.span, descriptors: sent)
            if !wrong { continue }
            var closed = false
            while !closed {
                var buffer = [UInt8](repeating: 0, count: 4096)
                var span = buffer.mutableSpan
                closed = (try? HostCall.read(socket.rawValue, into: &span)) ?? 0 == 0
            }
        }
        #expect(try server.client().get("/v1/version", returning: VersionReport.self).component == "test")
        _ = server.finish(0)
    }

    @Test func streamsOfRecords() throws {
        let server = try TestServer()
        let client = try server.client()
        let call = try client.begin(.get, "/v1/events")
        let reply = try #require(server.waitForKeptReply())
        try startThread {
            for pid in 1...3 {
                var record = EventRecord()
                record.pid = Int32(pid)
                reply.send(record)
            }
            reply.endStream()
        }
        var seen: [Int32] = []
        while let records = try client.takeRecords(call, of: EventRecord.self) {
            seen += records.map(\.pid)
            if records.isEmpty { try client.pump(timeout: 5_000_000_000) }
        }
        #expect(seen == [1, 2, 3])
        _ = server.finish(0)
    }

    /// What people will type: answered by the real curl, where there is one.
    @Test(.enabled(if: (try? HostCall.open(Array("/usr/bin/curl".utf8), flags: 0)) != nil)) func curlIsUnderstood() throws {
        let server = try TestServer()
        let output = try HostCall.socketPair()
        let curl = try HostCall.open(Array("/usr/bin/curl".utf8), flags: 0)
        var request = SpawnRequest(executable: curl.rawValue)
        request.arguments = [
            "curl", "-s", "--http2-prior-knowledge", "--unix-socket", String(decoding: server.path, as: UTF8.self),
            "http://localhost/v1/version",
        ].map { Array($0.utf8) }
        request.descriptors = [-1, output.second.rawValue, 2]
        let child = try HostSpawn.start(request)
        try child.proceed()
        var buffer = [UInt8](repeating: 0, count: 4096)
        var span = buffer.mutableSpan
        let count = try HostCall.read(output.first.rawValue, into: &span)
        #expect(String(decoding: buffer.prefix(count), as: UTF8.self).hasPrefix("{\"component\":\"test\""))
        _ = server.finish(0)
    }

    @Test func garbageNeverHurtsTheServer() throws {
        let server = try TestServer()
        for round in 0..<200 {
            let socket = try HostCall.connectUnix(server.path)
            var bytes = round % 2 == 0 ? Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0] : []
            for _ in 0..<(round * 3) { bytes.append(UInt8.random(in: 0...(round % 3 == 0 ? 9 : 255))) }
            _ = try? HostCall.writeAll(socket.rawValue, bytes.span)
        }
        #expect(try server.client().get("/v1/version", returning: VersionReport.self).component == "test")
        _ = server.finish(0)
    }
}

import Host
import LinuxABI
import Testing

@testable import SentryPlatform

/// Calls that a service makes for tasks whose own threads wait in `run`.
@Suite(.serialized) struct CallServiceTests {
    /// 1: mov $0,%eax; syscall; add %rax,%r12; inc %r13; jmp 1b
    private static let loop: [UInt8] = [0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x49, 0x01, 0xc4, 0x49, 0xff, 0xc5, 0xeb, 0xf1]

    /// Makes the loop's calls.
    private final class Server: CallServer {
        struct State {
            /// How many have been answered, each with its number, and how many are to be.
            var answered: UInt64 = 0
            var limit: UInt64
            /// Whether they may be, and whether somebody waits for that.
            var isOpen: Bool
            var stops = 0
        }
        let state: Lock<State>
        /// Told of each call that waits.
        let asked = Parker()

        init(limit: UInt64, isOpen: Bool = true) { state = Lock(State(limit: limit, isOpen: isOpen)) }

        func serves(_ registers: Registers) -> Bool { true }
        func serve(_ registers: inout Registers) -> ServedCall {
            let result = state.withLock { state -> ServedCall in
                if state.answered == state.limit { return .refused }
                if !state.isOpen { return .waiting }
                state.answered += 1
                registers.rax = state.answered
                return .answered
            }
            if case .waiting = result { asked.unpark() }
            return result
        }
        func stopServing() { state.withLock { $0.stops += 1 } }
    }

    /// A guest in the loop whose call site is patched and that leaves its calls to a service at once, and its registers after a call of its own.
    private static func prepare(_ server: any CallServer) throws -> (guest: Guest, registers: Registers) {
        let guest = try Guest(.systrap, loop)
        var registers = guest.entry()
        for _ in 0..<400 {
            guard try guest.context.run(&registers, in: guest.space) == .systemCall else { throw Errno.EINVAL }
            registers.rax = 0
        }
        guest.context.setServer(server)
        try letServe(guest)
        registers.r13 = 0
        return (guest, registers)
    }

    /// The guest needs no crowd to leave its calls to a service: until that has enough of it.
    private static func letServe(_ guest: Guest) throws {
        try #require(guest.context as? SystrapContext).served.policy = ServicePolicy(proof: 0)
    }

    private static func end(_ guest: Guest) {
        guest.context.release()
        guest.space.destroy()
    }

    /// Runs a guest until its service has a call that waits, then `disturb`, and the guest further: what comes of it.
    private static func whileCallWaits(
        _ server: Server, _ disturb: (Guest) throws -> Void, _ then: @escaping @Sendable (Guest, inout Registers) throws -> Void
    ) throws {
        let mayBegin = Parker()
        let guests = Lock<Guest?>(nil)
        let worker = try Worker {
            var (guest, registers) = try Self.prepare(server)
            guests.withLock { $0 = guest }
            mayBegin.unpark()
            try then(guest, &registers)
            Self.end(guest)
        }
        _ = mayBegin.park()
        _ = server.asked.park()
        try disturb(try #require(guests.withLock { $0 }))
        try worker.wait()
    }

    @Test func makesCallsUntilOneIsRefused() throws {
        try onThread {
            let limit: UInt64 = 3000
            let server = Server(limit: limit)
            var (guest, registers) = try Self.prepare(server)
            // A service leaves a task alone that has been its only one for a while.
            var own: UInt64 = 0
            while server.state.withLock({ $0.answered }) < limit, own < 1000 {
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                #expect(registers.orig_rax == 0)
                #expect(Int64(bitPattern: registers.rax) == -38)
                registers.rax = 0
                own += 1
                try Self.letServe(guest)
            }
            #expect(own < limit / 10)
            #expect(registers.r13 == limit + own)
            #expect(registers.r12 == limit * (limit + 1) / 2)
            Self.end(guest)
        }
    }

    @Test func triesAgainWhatWaits() throws {
        let server = Server(limit: 10, isOpen: false)
        try Self.whileCallWaits(server) { guest in
            // In vain the first time.
            guest.context.retryCall()?.ring()
            _ = server.asked.park()
            server.state.withLock { $0.isOpen = true }
            guest.context.retryCall()?.ring()
        } _: { guest, registers throws in
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.r13 == 11)
            #expect(registers.r12 == 55)
        }
    }

    @Test func givesWhatWaitsBackForAnInterrupt() throws {
        let server = Server(limit: 10, isOpen: false)
        try Self.whileCallWaits(server) { guest in
            guest.context.interrupt()
        } _: { guest, registers throws in
            // The own thread makes the call, and learns of the interrupt after that.
            #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
            #expect(registers.orig_rax == 0)
            #expect(registers.r13 == 1)
            #expect(server.state.withLock { $0.stops } == 1)
            registers.rax = 3
            #expect(try guest.context.run(&registers, in: guest.space) == .interrupted)
            server.state.withLock { $0.isOpen = true }
            // A thread that the interrupt found in its handler makes one more call itself.
            repeat {
                #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                registers.rax = 0
                try Self.letServe(guest)
            } while server.state.withLock { $0.answered } < 10 && registers.r13 < 100
            #expect(registers.r12 == 58)
        }
    }

    @Test func seesTheEndOfAStubThatWaits() throws {
        let server = Server(limit: 10, isOpen: false)
        try Self.whileCallWaits(server) { guest in
            _ = try HostCall.check(HostCall.raw(.kill, Int(try #require(guest.space.hostProcess)), 9))
        } _: { guest, registers throws in
            #expect(throws: PlatformError.stubDied(.killed(signal: 9))) { try guest.context.run(&registers, in: guest.space) }
            #expect(server.state.withLock { $0.stops } == 1)
        }
    }

    /// Two tasks that pass tokens to each other.
    private final class Player: CallServer {
        struct Peer { weak var player: Player? }
        let state: Lock<(calls: Int, tokens: Int)>
        let limit: Int
        let peer = Lock(Peer())
        let context = Lock<(any ExecutionContext)?>(nil)
        /// Of tokens, for the own thread.
        let news = Parker()

        init(calls: Int, limit: Int) {
            state = Lock((calls, 0))
            self.limit = limit
        }

        func serves(_ registers: Registers) -> Bool { true }
        func serve(_ registers: inout Registers) -> ServedCall {
            let calls = state.withLock { $0.calls }
            if calls >= limit { return .refused }
            if calls % 2 == 0 {
                guard let other = peer.withLock({ $0.player }) else { return .refused }
                other.state.withLock { $0.tokens += 1 }
                other.news.unpark()
                other.context.withLock { $0 }?.retryCall()?.ring()
            } else {
                let hasToken = state.withLock { state in
                    if state.tokens == 0 { return false }
                    state.tokens -= 1
                    return true
                }
                if !hasToken { return .waiting }
            }
            state.withLock { $0.calls += 1 }
            registers.rax = 1
            return .answered
        }
        func stopServing() {}
    }

    @Test func servesManyThatWakeEachOther() throws {
        let pairs = 8, limit = 2000
        let players = (0..<2 * pairs).map { Player(calls: $0 % 2, limit: limit + $0 % 2) }
        for (index, player) in players.enumerated() { player.peer.withLock { $0.player = players[index ^ 1] } }
        let workers = try players.map { player in
            try Worker {
                var (guest, registers) = try Self.prepare(player)
                player.context.withLock { $0 = guest.context }
                registers.r12 = 0
                while player.state.withLock({ $0.calls }) < player.limit {
                    #expect(try guest.context.run(&registers, in: guest.space) == .systemCall)
                    // A call that the service gave back when the task changed CPUs is made here.
                    var call = registers
                    var result = player.serve(&call)
                    while case .waiting = result {
                        _ = player.news.park()
                        result = player.serve(&call)
                    }
                    registers.rax = call.rax == 1 ? 1 : 0
                    try Self.letServe(guest)
                }
                player.context.withLock { $0 = nil }
                Self.end(guest)
                return registers.r12 + registers.rax
            }
        }
        for (index, worker) in workers.enumerated() { #expect(try worker.wait() == UInt64(limit), "player \(index)") }
    }
}

import DequeModule
import Host
import LinuxABI
import SentryVFS

/// Descriptors in flight (SCM_RIGHTS): how many each user has, and the collection of sockets that only messages still hold.
///
/// A socket can sit in a message in its own queue, or in a ring of such; no descriptor then leads to it, and nobody can ever receive it.
/// `collect` finds these: sockets all of whose descriptor references are in flight, and that cannot be reached through the queue of a socket for which
/// that is not so (Linux: net/unix/garbage.c).
enum UnixRights {
    private struct InFlight {
        let socket: UnixSocket
        var count: Int
    }
    private struct State {
        /// Descriptors in flight by the user who sent them.
        var users: [UInt32: Int] = [:]
        var total = 0
        var sockets: [ObjectIdentifier: InFlight] = [:]
        /// Sockets closed since garbage was last looked for.
        var closes = 0
        /// Rights whose files are to be released. Releasing may drop further rights; a list instead of recursion, because a guest can build a chain of
        /// any length.
        var dropped: [Rights] = []
        var isDropping = false
    }
    private static let state = Lock(State())
    /// One collection at a time; taken before `state` and the sockets' own locks, one after the other.
    private static let collector = Lock<Void>(())
    /// With so few sockets in flight every close looks for garbage; with more, one close in as many as there are, so that the cost of a close stays
    /// the same.
    private static let fewSockets = 64
    /// Descriptors in flight above which senders look for garbage too, as often as closers do.
    private static let collectThreshold = 16_000
    /// What a user without privilege may have in flight when the limit of the sender is not known: RLIMIT_NOFILE's usual value.
    private static let defaultLimit = 1024
    /// For everybody together, privileged or not.
    private static let absoluteLimit = 262_144

    /// Takes a reference to each file for a message. ETOOMANYREFS when the user has too many in flight, EINVAL for more than SCM_MAX_FD.
    static func take(_ files: [FileDescription], _ context: any FileContext) throws(Errno) -> Rights {
        guard files.count <= SocketOption.SCM_MAX_FD else { throw .EINVAL }
        if state.withLock({ $0.total }) > collectThreshold { socketClosed(context) }
        let credentials = context.credentials
        let user = credentials.user.real
        let limit =
            credentials.hasGlobally(.CAP_SYS_RESOURCE) || credentials.hasGlobally(.CAP_SYS_ADMIN)
            ? absoluteLimit : SocketIdentity.descriptorLimit(context) ?? defaultLimit
        try state.withLock { state throws(Errno) in
            guard state.users[user, default: 0] <= limit, state.total + files.count <= absoluteLimit else { throw .ETOOMANYREFS }
            state.users[user, default: 0] += files.count
            state.total += files.count
            for file in files {
                file.retainDescriptor()
                guard let socket = file as? UnixSocket else { continue }
                state.sockets[ObjectIdentifier(socket), default: InFlight(socket: socket, count: 0)].count += 1
            }
        }
        return Rights(files, user: user)
    }

    /// The rights leave their message and become the receiver's: the references are handed over.
    static func received(_ rights: Rights) -> [FileDescription] {
        land(rights)
        return rights.files
    }

    private static func land(_ rights: Rights) {
        state.withLock { state in
            let left = state.users[rights.user, default: 0] - rights.files.count
            state.users[rights.user] = left > 0 ? left : nil
            state.total -= rights.files.count
            for file in rights.files {
                guard let socket = file as? UnixSocket else { continue }
                let key = ObjectIdentifier(socket)
                guard let entry = state.sockets[key] else { continue }
                state.sockets[key] = entry.count > 1 ? InFlight(socket: socket, count: entry.count - 1) : nil
            }
        }
    }

    /// Drops messages that nobody received: their files are released.
    static func drop(_ list: [Rights], _ context: any FileContext) {
        if list.isEmpty { return }
        for rights in list { land(rights) }
        let isMine = state.withLock { state -> Bool in
            state.dropped += list
            defer { state.isDropping = true }
            return !state.isDropping
        }
        // Another call up the stack, or another thread, is at it and will take these too.
        guard isMine else { return }
        while true {
            let next = state.withLock { state -> [Rights] in
                if state.dropped.isEmpty { state.isDropping = false }
                defer { state.dropped = [] }
                return state.dropped
            }
            if next.isEmpty { return }
            for rights in next {
                for file in rights.files { file.releaseDescriptor(context) }
            }
        }
    }

    /// A socket was closed: it may have left garbage behind.
    static func socketClosed(_ context: any FileContext) {
        let isDue = state.withLock { state -> Bool in
            if state.sockets.isEmpty { return false }
            state.closes += 1
            return state.sockets.count <= fewSockets || state.closes >= state.sockets.count
        }
        if isDue { collect(context) }
    }

    /// Empties the queues of sockets that nobody can reach any more.
    static func collect(_ context: any FileContext) {
        drop(collector.withLock { _ in findGarbage() }, context)
    }

    private static func findGarbage() -> [Rights] {
        let candidates = state.withLock { state -> [ObjectIdentifier: InFlight] in
            state.closes = 0
            return state.sockets
        }
        if candidates.isEmpty { return [] }
        // Only sockets without a descriptor in any table can be garbage.
        var outside: [ObjectIdentifier: Int] = [:]
        for (key, entry) in candidates where entry.socket.descriptorReferences == entry.count { outside[key] = entry.count }
        if outside.isEmpty { return [] }
        var children: [ObjectIdentifier: [ObjectIdentifier]] = [:]
        for key in outside.keys {
            guard let socket = candidates[key]?.socket else { continue }
            children[key] = socket.socketsInFlight().map { ObjectIdentifier($0) }.filter { outside[$0] != nil }
        }
        for list in children.values { for child in list { outside[child, default: 0] -= 1 } }
        // References from outside the candidates remain: those sockets, and all that can be received through them, live.
        var alive = Set<ObjectIdentifier>()
        var pending = outside.filter { $0.value > 0 }.map(\.key)
        while let key = pending.popLast() {
            if alive.insert(key).inserted { pending += children[key] ?? [] }
        }
        var garbage: [Rights] = []
        for key in outside.keys where !alive.contains(key) { garbage += candidates[key]?.socket.takeRights() ?? [] }
        return garbage
    }

    /// Descriptors in flight now; for tests and metrics.
    static var inFlight: Int { state.withLock { $0.total } }
}

extension UnixSocket {
    /// Unix sockets in messages that wait here, or at connections that were not accepted yet.
    func socketsInFlight() -> [UnixSocket] {
        let (own, pending) = state.withLock { state in
            (state.queue.messages.compactMap(\.rights), Array(state.pending))
        }
        var rights = own
        for socket in pending { rights += socket.state.withLock { state in state.queue.messages.compactMap(\.rights) } }
        return rights.flatMap { $0.files.compactMap { $0 as? UnixSocket } }
    }

    /// Takes the descriptors out of all waiting messages.
    func takeRights() -> [Rights] {
        let (own, pending) = state.withLock { state -> ([Rights], [UnixSocket]) in
            var taken: [Rights] = []
            for index in state.queue.messages.indices {
                guard let rights = state.queue.messages[index].rights else { continue }
                taken.append(rights)
                state.queue.messages[index].rights = nil
            }
            return (taken, Array(state.pending))
        }
        return pending.reduce(own) { $0 + $1.takeRights() }
    }
}

import Host
import LinuxABI

/// Notices the death of stubs: a thread that sleeps until a stub's process descriptor becomes readable. What a stub shares with the Sentry is kept from
/// other stubs until then.
final class StubMonitor: Sendable {
    private struct Entry {
        let processDescriptor: SharedDescriptor
        let share: StubShare
        let slots: SlotTable?
        let ending: StubEnding
        weak var stub: Stub?
    }
    private struct State {
        var entries: [UInt64: Entry] = [:]
        var nextToken: UInt64 = 0
        var isStarted = false
    }
    private let epoll: SharedDescriptor
    private let state = Lock(State())

    init() throws(Errno) {
        // EPOLL_CLOEXEC
        epoll = SharedDescriptor(OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.epoll_create1, 0x80000)))))
    }

    func watch(_ stub: Stub) throws(Errno) {
        try state.withLock { state throws(Errno) in
            if !state.isStarted {
                try startThread(stackSize: 128 << 10) { [self] in run() }
                state.isStarted = true
            }
            let token = state.nextToken
            state.nextToken += 1
            // EPOLLIN
            try control(1, stub.processDescriptor.rawValue, events: 1, token)
            state.entries[token] = Entry(
                processDescriptor: stub.processDescriptor, share: stub.share, slots: stub.slots, ending: stub.ending, stub: stub)
        }
    }

    /// epoll_ctl(2) with a packed struct epoll_event.
    private func control(_ operation: Int, _ descriptor: Int32, events: UInt32, _ token: UInt64) throws(Errno) {
        var event = [UInt32](repeating: 0, count: 3)
        event[0] = events
        event[1] = UInt32(truncatingIfNeeded: token)
        event[2] = UInt32(truncatingIfNeeded: token >> 32)
        // SAFETY: the pointer is to twelve bytes and is used by this call only.
        let result = unsafe event.withUnsafeMutableBufferPointer { p in
            HostCall.raw(.epoll_ctl, Int(epoll.rawValue), operation, Int(descriptor), Int(bitPattern: p.baseAddress))
        }
        _ = try HostCall.check(result)
    }

    private func run() {
        let capacity = 64
        var events = [UInt32](repeating: 0, count: 3 * capacity)
        while true {
            // SAFETY: the call writes at most `capacity` events of twelve bytes.
            let count = unsafe events.withUnsafeMutableBufferPointer { p in
                HostCall.raw(.epoll_wait, Int(epoll.rawValue), Int(bitPattern: p.baseAddress), capacity, -1)
            }
            guard count > 0 else { continue }  // EINTR
            for index in 0..<min(count, capacity) {
                ended(UInt64(events[3 * index + 1]) | UInt64(events[3 * index + 2]) << 32)
            }
        }
    }

    private func ended(_ token: UInt64) {
        let entry = state.withLock { $0.entries.removeValue(forKey: token) }
        guard let entry else { return }
        // EPOLL_CTL_DEL: the descriptor may live on in the address space.
        try? control(2, entry.processDescriptor.rawValue, events: 0, 0)
        let diedByItself = entry.stub?.claim(.killed(signal: 9)) ?? false
        entry.slots?.bury()
        entry.ending.happened()
        if diedByItself, let space = entry.stub?.owner { StubDeaths.shared.report(space) }
    }
}

import Host
public import LinuxABI
import Synchronization

/// Notices stubs that die from outside while no thread runs guest code in them: every task of theirs may be asleep in a call, and nobody would ask.
public final class StubDeaths: Sendable {
    public static let shared = StubDeaths()

    private struct Entry {
        weak var space: (any PlatformAddressSpace)?
    }
    /// By number of the listener of the stub's filter.
    private let entries = Lock<[UInt64: Entry]>([:])
    private let handler = Lock<(@Sendable (any PlatformAddressSpace) -> Void)?>(nil)
    private let isStarted = Atomic<Bool>(false)
    private let epoll: HostEpoll?

    private init() { epoll = try? HostEpoll() }

    /// Calls `body` with every address space whose stub has died by itself, on a thread of its own.
    public func start(_ body: @escaping @Sendable (any PlatformAddressSpace) -> Void) throws(Errno) {
        guard epoll != nil else { throw .EMFILE }
        handler.withLock { $0 = body }
    }

    /// `space` is known to have died by itself.
    func report(_ space: any PlatformAddressSpace) { handler.withLock { $0 }?(space) }

    private func run() {
        while let events = try? epoll?.wait() {
            for (token, _) in events {
                if let space = entries.withLock({ $0.removeValue(forKey: token)?.space }) { report(space) }
            }
        }
    }

    /// Watches a stub until `forget`, which must come before `listener` is closed: the listener of its filter hangs up when the last thread under the
    /// filter has ended. A pidfd would not do: it waits until the tracers, which sleep, have reaped the threads. (Linux before 6.11 waits with the
    /// listener too: there the end is noticed when a task returns from its call.)
    func watch(_ listener: Int32, of space: any PlatformAddressSpace) {
        entries.withLock { $0[UInt64(listener)] = Entry(space: space) }
        try? epoll?.add(listener, token: UInt64(listener), onlyEnd: true)
        // The first address space comes when the process is confined.
        if !isStarted.exchange(true, ordering: .relaxed) { try? startThread(stackSize: 128 << 10) { self.run() } }
    }

    func forget(_ listener: Int32) {
        guard entries.withLock({ $0.removeValue(forKey: UInt64(listener)) }) != nil else { return }
        epoll?.remove(listener)
    }
}

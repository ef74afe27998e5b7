import Host
import LinuxABI

/// Address spaces made ahead, so that a fork finds its stub ready: with the container's memory, and on systrap with its first guest thread. A thread of its own
/// makes them while the process that took the last one goes on. There are as many as the container has shown to need, none before its first
/// fork, and nothing wakes while no process comes or goes.
final class StubPool: Sendable {
    /// The address spaces of one container.
    private struct Container {
        let memory: SharedDescriptor
        var ready: [StubAddressSpace] = []
        /// Handed out and alive.
        var used = 0
        var hasForked = false
        /// A program that forks once will again; one with more processes may fork in several at once.
        var wanted: Int { hasForked ? min(max(1, used - 1), StubPool.maximumReady) : 0 }
    }
    private struct State {
        /// By the memory's identity.
        var containers: [ObjectIdentifier: Container] = [:]
        var isStarted = false
    }
    private static let maximumReady = 2

    private let make: @Sendable (SharedDescriptor) throws(Errno) -> StubAddressSpace
    private let state = Lock(State())
    private let parker = Parker()

    /// `make` takes a stub from the source, for good.
    init(make: @escaping @Sendable (SharedDescriptor) throws(Errno) -> StubAddressSpace) { self.make = make }

    func take(_ memory: SharedDescriptor) throws(Errno) -> StubAddressSpace {
        let key = ObjectIdentifier(memory)
        let ready = state.withLock { state -> StubAddressSpace? in
            var container = state.containers[key] ?? Container(memory: memory)
            container.used += 1
            if container.used > 1 { container.hasForked = true }
            var ready = container.ready.popLast()
            while let dead = ready, dead.deathReason != nil { ready = container.ready.popLast() }
            state.containers[key] = container
            if container.ready.count < container.wanted {
                if state.isStarted {
                    parker.unpark()
                } else {
                    state.isStarted = (try? startThread(stackSize: 128 << 10) { self.run() }) != nil
                }
            }
            return ready
        }
        do throws(Errno) {
            let space = if let ready { ready } else { try make(memory) }
            space.stub.ending.afterwards { [weak self] in self?.ended(key) }
            return space
        } catch {
            ended(key)
            throw error
        }
    }

    /// One that was handed out is no more. With the last one of a container goes what was ready for it.
    private func ended(_ key: ObjectIdentifier) {
        let left = state.withLock { state -> [StubAddressSpace] in
            guard var container = state.containers[key] else { return [] }
            container.used -= 1
            state.containers[key] = container.used == 0 ? nil : container
            return container.used == 0 ? container.ready : []
        }
        for space in left { space.destroy {} }
    }

    private func run() {
        while true {
            let next = state.withLock { $0.containers.values.first { $0.ready.count < $0.wanted }?.memory }
            // On an error whoever needs a stub tries for himself, and hears of it.
            guard let next, let space = try? make(next), (try? space.stub.prepareThread()) != nil else {
                _ = parker.park()
                continue
            }
            let isWanted = state.withLock { state -> Bool in
                guard let container = state.containers[ObjectIdentifier(next)], container.ready.count < container.wanted else {
                    return false
                }
                state.containers[ObjectIdentifier(next)]?.ready.append(space)
                return true
            }
            if !isWanted { space.destroy {} }
        }
    }
}

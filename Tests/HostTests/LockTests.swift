import Foundation
import Host
import LinuxABI
import Synchronization
import Testing

@Suite struct LockTests {
    @Test func excludes() throws {
        final class Shared: Sendable {
            let total = Lock(0)
            let inside = Atomic<Int>(0)
            let overlaps = Atomic<Int>(0)
            let running = Atomic<Int>(4)
            let done = Parker()
        }
        let shared = Shared()
        for _ in 0..<4 {
            try startThread {
                for _ in 0..<20_000 {
                    shared.total.withLock { total in
                        if shared.inside.add(1, ordering: .relaxed).newValue != 1 { shared.overlaps.add(1, ordering: .relaxed) }
                        total += 1
                        shared.inside.subtract(1, ordering: .relaxed)
                    }
                }
                if shared.running.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { shared.done.unpark() }
            }
        }
        _ = shared.done.park()
        #expect(shared.total.withLock { $0 } == 80_000)
        #expect(shared.overlaps.load(ordering: .relaxed) == 0)
    }

    /// A thread that finds the lock held for long sleeps, and is woken by whoever lets go.
    @Test func wakesASleeper() throws {
        final class Shared: Sendable {
            let value = Lock(0)
            let thread = Atomic<Int32>(0)
            let done = Parker()
        }
        let shared = Shared()
        try shared.value.withLock { value in
            try startThread {
                shared.thread.store(Int32(HostCall.raw(.gettid)), ordering: .releasing)
                shared.value.withLock { $0 += 1 }
                shared.done.unpark()
            }
            // The kernel tells when it is asleep.
            while true {
                let thread = shared.thread.load(ordering: .acquiring)
                guard thread != 0, let state = try? String(contentsOfFile: "/proc/self/task/\(thread)/stat", encoding: .utf8) else {
                    continue
                }
                if state.contains(") S ") { break }
            }
            value = 41
        }
        _ = shared.done.park()
        #expect(shared.value.withLock { $0 } == 42)
    }

    @Test func isUnavailableWhileHeld() {
        let lock = Lock(7)
        let inner = lock.withLock { _ in lock.withLockIfAvailable { $0 } }
        #expect(inner == nil)
        #expect(lock.withLockIfAvailable { $0 } == 7)
    }

    @Test func isFreeAfterAnError() {
        struct Failure: Error {}
        let lock = Lock(1)
        #expect(throws: Failure.self) { try lock.withLock { _ throws(Failure) in throw Failure() } }
        #expect(lock.withLockIfAvailable { $0 } == 1)
    }
}

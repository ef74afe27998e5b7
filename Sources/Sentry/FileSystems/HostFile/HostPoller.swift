import Diagnostics
import Host
import LinuxABI
import SentryVFS

/// Tells host files of edges of their readiness: one thread that sleeps in epoll_wait, made when the first guest task waits for a host file.
final class HostPoller: Sendable {
    static let shared = HostPoller()

    private struct State {
        var files: [UInt64: HostInode] = [:]
        var lastToken: UInt64 = 0
        var hasThread = false
    }
    private let state = Lock(State())
    private let epoll: HostEpoll?

    private init() { epoll = try? HostEpoll() }

    /// Starts watching; nil when the host cannot watch such a file.
    func add(_ file: HostInode) -> UInt64? {
        let token = state.withLock { state in
            state.lastToken += 1
            state.files[state.lastToken] = file
            return state.lastToken
        }
        do throws(Errno) { try epoll?.add(file.descriptor.rawValue, token: token) } catch {
            state.withLock { _ = $0.files.removeValue(forKey: token) }
            return nil
        }
        startIfNeeded()
        return token
    }

    func remove(_ file: HostInode, token: UInt64) {
        epoll?.remove(file.descriptor.rawValue)
        state.withLock { _ = $0.files.removeValue(forKey: token) }
    }

    private func startIfNeeded() {
        let needsThread = state.withLock { state in
            defer { state.hasThread = true }
            return !state.hasThread
        }
        guard needsThread else { return }
        do throws(Errno) { try startThread(stackSize: 128 << 10) { self.serve() } } catch {
            state.withLock { $0.hasThread = false }
            Log.error("cannot start the host poller: errno \(error.rawValue)")
        }
    }

    private func serve() {
        while let events = try? epoll?.wait() {
            for (token, happened) in events {
                let file = state.withLock { $0.files[token] }
                var happened = happened
                if happened.contains(.POLLIN) { happened.formUnion(.readable) }
                if happened.contains(.POLLOUT) { happened.formUnion(.writable) }
                // A hang-up ends waits for input and output alike.
                if !happened.isDisjoint(with: [.POLLHUP, .POLLERR]) { happened.formUnion([.POLLIN, .POLLOUT]) }
                file?.queue.notify(happened)
            }
        }
        Log.error("the host poller has ended")
    }
}

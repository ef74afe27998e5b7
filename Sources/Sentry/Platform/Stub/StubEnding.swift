import Host

/// The end of a stub process, and what waits for it.
final class StubEnding: Sendable {
    private struct State {
        var hasEnded = false
        var actions: [@Sendable () -> Void] = []
    }
    private let state = Lock(State())

    /// Calls `action` when the process has ended, at once when it has already.
    func afterwards(_ action: @escaping @Sendable () -> Void) {
        let hasEnded = state.withLock { state -> Bool in
            if !state.hasEnded { state.actions.append(action) }
            return state.hasEnded
        }
        if hasEnded { action() }
    }

    /// No thread of the process runs any more.
    func happened() {
        let actions = state.withLock { state -> [@Sendable () -> Void] in
            state.hasEnded = true
            defer { state.actions = [] }
            return state.actions
        }
        for action in actions { action() }
    }
}

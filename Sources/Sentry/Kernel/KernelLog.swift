import Host

/// The kernel's message buffer (syslog(2), dmesg(1)).
public final class KernelLog: Sendable {
    public struct Entry: Sendable {
        /// Nanoseconds since boot.
        public var time: UInt64
        public var text: [UInt8]
    }
    private struct State {
        var entries: [Entry] = []
        /// Entries before this index were cleared (SYSLOG_ACTION_CLEAR).
        var cleared = 0
    }
    private let state = Lock(State())
    private static let maximum = 512

    public init() {}

    /// Adds a line, the oldest going when there are too many. `time`: nanoseconds since boot.
    public func append(_ text: String, time: UInt64) {
        state.withLock { state in
            if state.entries.count >= Self.maximum {
                state.entries.removeFirst()
                state.cleared = max(0, state.cleared - 1)
            }
            state.entries.append(Entry(time: time, text: Array(text.utf8)))
        }
    }

    /// Lines as dmesg reads them: `<6>[    1.234567] text`. `sinceClear`: without what was cleared.
    public func text(sinceClear: Bool) -> [UInt8] {
        state.withLock { state in
            var bytes: [UInt8] = []
            for entry in state.entries.dropFirst(sinceClear ? state.cleared : 0) {
                let micro = entry.time / 1000
                let seconds = String(micro / 1_000_000), fraction = String(micro % 1_000_000)
                let left = String(repeating: " ", count: max(0, 5 - seconds.count)) + seconds
                let right = String(repeating: "0", count: 6 - fraction.count) + fraction
                bytes += Array("<6>[\(left).\(right)] ".utf8)
                bytes += entry.text
                bytes.append(0x0a)
            }
            return bytes
        }
    }

    public func clear() { state.withLock { $0.cleared = $0.entries.count } }
}

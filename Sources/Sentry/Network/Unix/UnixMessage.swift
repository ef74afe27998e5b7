import DequeModule
import LinuxABI
import SentryVFS
import Synchronization

/// What the sender of a message is charged for it: bytes that were sent and not yet received.
final class SendAccount: Sendable {
    private let bytes = Atomic<Int>(0)
    /// Somebody to be told when there is room again.
    let waiters: WaitQueue
    init(waiters: WaitQueue) { self.waiters = waiters }

    var outstanding: Int { bytes.load(ordering: .acquiring) }
    func charge(_ count: Int) { bytes.add(count, ordering: .acquiringAndReleasing) }
    func uncharge(_ count: Int) {
        bytes.subtract(count, ordering: .acquiringAndReleasing)
        waiters.notify(.writable)
    }
}

/// Descriptors in flight (SCM_RIGHTS): one descriptor reference per file until they are taken out or dropped.
final class Rights: Sendable {
    let files: [FileDescription]
    /// Who is charged for them (RLIMIT_NOFILE of that user).
    let user: UInt32
    init(_ files: [FileDescription], user: UInt32) {
        self.files = files
        self.user = user
    }
}

/// One message in a receive queue: a datagram, or a run of a stream's bytes.
struct UnixMessage {
    var bytes: [UInt8]
    /// How much of `bytes` was read already (streams).
    var consumed = 0
    var credentials: SocketCredentials
    var rights: Rights?
    /// The sender's address when it was sent.
    var source: UnixAddress
    let account: SendAccount
    /// What the sender is charged, in bytes: the data and an overhead as Linux's skb has.
    var charge: Int

    /// Fixed cost of a message, so that empty datagrams are bounded too.
    static let overhead = 256

    var unread: Int { bytes.count - consumed }
}

/// The received messages of one socket.
struct ReceiveQueue {
    var messages: Deque<UnixMessage> = []
    /// Unread bytes of all messages.
    var byteCount = 0

    mutating func append(_ message: UnixMessage) {
        byteCount += message.unread
        messages.append(message)
    }

    mutating func popFirst() -> UnixMessage? {
        guard let message = messages.popFirst() else { return nil }
        byteCount -= message.unread
        return message
    }
}

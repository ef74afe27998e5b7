public import LinuxABI
public import SentryVFS

/// What pidfd_open(2) gives: refers to a process, readable once it has ended.
public final class PIDFile: FileDescription, @unchecked Sendable {  // Immutable.
    public let threadGroup: ThreadGroup

    public init(_ threadGroup: ThreadGroup, flags: OpenFlags = .O_RDWR) {
        self.threadGroup = threadGroup
        super.init(path: AnonymousFileSystem.place(kind: "[pidfd]"), flags: flags)
    }

    public override func readiness(_ mask: PollEvents) -> PollEvents {
        threadGroup.isZombie ? mask.intersection([.POLLIN, .POLLRDNORM]) : []
    }
    public override func add(_ waiter: Waiter) { threadGroup.exitEvents.add(waiter) }
    public override func remove(_ waiter: Waiter) { threadGroup.exitEvents.remove(waiter) }
}

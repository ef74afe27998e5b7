public import LinuxABI
public import Synchronization

/// Where fault plans reach the host-call layer. Diagnostics sets it; nothing else does.
public enum HostFaults {
    /// Whether `intercept` is asked. One load and a branch for every host call.
    @usableFromInline static let isArmed = Atomic<Bool>(false)
    private static let hook = Lock<(@Sendable (SystemCallNumber) -> Int?)?>(nil)

    /// From now on every call through `HostCall.raw` is shown to `body`, which answers in the host's place (a result or a negated errno) or
    /// returns nil. nil ends it.
    public static func set(_ body: (@Sendable (SystemCallNumber) -> Int?)?) {
        hook.withLock { $0 = body }
        isArmed.store(body != nil, ordering: .relaxed)
    }

    @inline(never) static func intercept(_ number: SystemCallNumber) -> Int? {
        // The hook's own lock must not be taken while asking about the lock's call.
        if number == .futex { return nil }
        let body = hook.withLock { $0 }
        return body?(number)
    }
}

internal import CHost
public import LinuxABI

/// A host file descriptor with exactly one owner. Closed when it goes out of scope.
@frozen public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, valid while this value lives. Borrow it; do not keep it.
    public let rawValue: Int32

    /// Takes over a descriptor that nobody else will close.
    public init(adopting descriptor: Int32) { rawValue = descriptor }

    deinit { _ = chost_syscall(3, Int(rawValue), 0, 0, 0, 0, 0) }

    /// Gives the descriptor up; the caller must close it.
    public consuming func release() -> Int32 {
        let descriptor = rawValue
        discard self
        return descriptor
    }

    /// A second descriptor of the same open file (F_DUPFD_CLOEXEC).
    public borrowing func duplicate() throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.fcntl, Int(rawValue), 1030, 3))))
    }
}

/// A descriptor shared by reference; closed when the last holder lets go.
public final class SharedDescriptor: Sendable {
    private let descriptor: OwnedDescriptor
    /// The number, valid while this object lives.
    public var rawValue: Int32 { descriptor.rawValue }
    /// Takes over a descriptor that nobody else will close.
    public init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
}

public import LinuxABI

/// The six argument registers of a system call, as the guest left them.
@frozen public struct SyscallArguments: Sendable {
    public var words: InlineArray<6, UInt64>
    @inlinable public init(_ words: InlineArray<6, UInt64>) { self.words = words }
    @inlinable public subscript(_ index: Int) -> UInt64 { words[index] }
    /// The low 32 bits as a signed number: int arguments, descriptors.
    @inlinable public func int32(_ index: Int) -> Int32 { Int32(truncatingIfNeeded: words[index]) }
    /// The low 32 bits: flags, modes.
    @inlinable public func uint32(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: words[index]) }
    /// A signed 64-bit argument: offsets.
    @inlinable public func int64(_ index: Int) -> Int64 { Int64(bitPattern: words[index]) }
}

/// How much of a system call is there; the compatibility document is made from it.
public enum SupportLevel: Sendable, Equatable {
    case full
    /// Works but for what the note says.
    case partial(String)
    /// Always refused, as on a kernel built without it or for a caller without the privilege: the errno and why.
    case refused(Errno, String)
}

/// The function that serves one system call: its result, or the errno.
public typealias SyscallHandler = @Sendable (KernelTask, borrowing SyscallArguments) throws(Errno) -> Int

/// One row of the table.
public struct SystemCall: Sendable {
    public let number: SystemCallNumber
    public let support: SupportLevel
    public let handler: SyscallHandler

    public init(_ number: SystemCallNumber, _ handler: @escaping SyscallHandler, _ support: SupportLevel = .full) {
        self.number = number
        self.support = support
        self.handler = handler
    }

    /// A call that is always refused; every use is counted, the first is logged.
    public static func refused(_ number: SystemCallNumber, _ errno: Errno, _ why: String) -> SystemCall {
        SystemCall(
            number,
            { task, _ throws(Errno) in
                task.kernel.unsupported(number, "")
                throw errno
            }, .refused(errno, why))
    }
}

/// All calls by number. Made once at boot from the families in SentrySyscalls; the kernel only looks up.
public final class SystemCallTable: Sendable {
    public let entries: [SystemCall?]
    /// The functions of `entries` by themselves, for the task loop.
    let handlers: [Handler?]
    /// As a field a function is stored as it is called; in an optional by itself it would come with a thunk.
    struct Handler: Sendable {
        let call: SyscallHandler
    }
    /// Precondition: no number twice (a programming error, caught by a test and at boot).
    public init(families: [[SystemCall]]) {
        var entries = [SystemCall?](repeating: nil, count: 512)
        for family in families {
            for call in family {
                precondition(entries[Int(call.number.rawValue)] == nil, "system call \(call.number) is in the table twice")
                entries[Int(call.number.rawValue)] = call
            }
        }
        self.entries = entries
        handlers = entries.map { $0.map { Handler(call: $0.handler) } }
    }
}

/// Results that only the task loop sees: it restarts the call or turns them into EINTR (linux/errno.h, signal(7)).
extension Errno {
    /// Restart when the handler has SA_RESTART, else EINTR.
    @inlinable public static var ERESTARTSYS: Errno { Errno(rawValue: 512) }
    /// Always restart.
    @inlinable public static var ERESTARTNOINTR: Errno { Errno(rawValue: 513) }
    /// Restart only when no handler runs.
    @inlinable public static var ERESTARTNOHAND: Errno { Errno(rawValue: 514) }
    /// Restart through restart_syscall(2) with the task's restart block, when no handler runs.
    @inlinable public static var ERESTART_RESTARTBLOCK: Errno { Errno(rawValue: 516) }
}

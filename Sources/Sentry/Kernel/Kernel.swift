public import LinuxABI
import Synchronization

/// The application kernel: what all containers of one sandbox share.
public final class Kernel: Sendable {
    public let systemCalls: SystemCallTable
    public init(systemCalls: SystemCallTable) { self.systemCalls = systemCalls }

    /// Notes the use of something that is not supported: logged the first time, counted always.
    public func unsupported(_ call: SystemCallNumber, _ what: String) {}
}

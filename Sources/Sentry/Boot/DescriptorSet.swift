import Control
import Diagnostics
import Host

/// The descriptors of one request by what they are for. What nobody takes is closed with the request.
struct DescriptorSet {
    private let received: ReceivedDescriptors
    private var roles: [(role: DescriptorRole, number: UInt32)]

    /// Matches what arrived with what the message says of it. A difference in number is an error.
    init(_ assignments: [DescriptorAssignment], _ received: ReceivedDescriptors) throws(SandboxError) {
        guard received.count == assignments.count else {
            throw SandboxError(
                .invalidArgument, "the request names \(assignments.count) descriptors and \(received.count) came with it")
        }
        var numbers: Set<UInt32> = []
        for assignment in assignments {
            switch assignment.role {
            case .guest:
                guard assignment.number < 1024, numbers.insert(assignment.number).inserted else {
                    throw SandboxError(.invalidArgument, "guest descriptor \(assignment.number) is out of range or named twice")
                }
            case .console, .gofer, .memory, .memoryFileSystem, .exitReport: break
            case .overlay, .notification:
                throw SandboxError(.unsupported, "descriptors of role \(assignment.role) are not taken yet")
            }
        }
        self.received = received
        roles = assignments.map { ($0.role, $0.number) }
    }

    /// The first descriptor of `role` that nobody has taken.
    func take(_ role: DescriptorRole) -> OwnedDescriptor? {
        for (index, entry) in roles.enumerated() where entry.role == role {
            if let descriptor = received.take(index) { return descriptor }
        }
        return nil
    }

    /// The same, to be shared.
    func takeShared(_ role: DescriptorRole) -> SharedDescriptor? {
        guard let descriptor = take(role) else { return nil }
        return SharedDescriptor(descriptor)
    }

    /// Gives `body` the guest's standard streams and preserved descriptors, one by one.
    func takeGuests<E: Error>(_ body: (_ number: Int32, _ descriptor: consuming OwnedDescriptor) throws(E) -> Void) throws(E) {
        for (index, entry) in roles.enumerated() where entry.role == .guest {
            guard let descriptor = received.take(index) else { continue }
            try body(Int32(entry.number), descriptor)
        }
    }
}

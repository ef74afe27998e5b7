public import Host

/// The user namespace of a container (user_namespaces(7)). All ids in the Sentry are the container's own; which of the host's they stand for is
/// the Gofer's business. Here it says which ids there are, and whether root is root of more than the container.
public final class UserNamespace: Sendable {
    public let users, groups: IdentityMap

    public init(users: IdentityMap, groups: IdentityMap) {
        self.users = users
        self.groups = groups
    }

    /// The one of containers without mappings: ids are the host's.
    public static let initial = UserNamespace(users: .identity, groups: .identity)
    @inlinable public var isInitial: Bool { users.isIdentity && groups.isIdentity }
}

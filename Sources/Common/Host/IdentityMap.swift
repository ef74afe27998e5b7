/// The user or group ids of a container and the host's ids that they stand for: uid_map or gid_map of user_namespaces(7).
public struct IdentityMap: Hashable, Sendable {
    /// `count` ids of the container from `container` on, and of the host from `host` on.
    public struct Extent: Hashable, Sendable {
        public var container: UInt32
        public var host: UInt32
        public var count: UInt32
        public init(container: UInt32, host: UInt32, count: UInt32) {
            self.container = container
            self.host = host
            self.count = count
        }
    }

    /// None: every id stands for itself.
    public let extents: [Extent]
    /// Every id stands for itself.
    public static let identity = IdentityMap([])
    /// What an id without one in the container is shown as (/proc/sys/kernel/overflowuid).
    public static let overflow: UInt32 = 65534

    public init(_ extents: [Extent]) { self.extents = extents }

    @inlinable public var isIdentity: Bool { extents.isEmpty }

    /// The host's id of one of the container's; nil for what the container does not have.
    public func host(_ id: UInt32) -> UInt32? {
        if isIdentity { return id == .max ? nil : id }
        for extent in extents where id >= extent.container && id - extent.container < extent.count {
            return extent.host &+ (id - extent.container)
        }
        return nil
    }

    /// The container's id of one of the host's; nil for what the container does not have.
    public func container(_ id: UInt32) -> UInt32? {
        if isIdentity { return id == .max ? nil : id }
        for extent in extents where id >= extent.host && id - extent.host < extent.count {
            return extent.container &+ (id - extent.host)
        }
        return nil
    }

    /// Whether the container has the id.
    public func contains(_ id: UInt32) -> Bool { host(id) != nil }

    /// The text of /proc/PID/uid_map and gid_map.
    public var text: String {
        func column(_ value: UInt32) -> String {
            let digits = String(value)
            return String(repeating: " ", count: max(0, 10 - digits.utf8.count)) + digits
        }
        let shown = isIdentity ? [Extent(container: 0, host: 0, count: .max)] : extents
        return shown.map { "\(column($0.container)) \(column($0.host)) \(column($0.count))\n" }.joined()
    }
}

import FileProtocol
public import Host
import LinuxABI

/// Between the ids of the container, which the protocol speaks, and those of the host. A client whose container has a user namespace cannot make
/// anything that belongs to somebody outside it, whatever it asks.
public struct Identities: Sendable {
    public var users, groups: IdentityMap
    public static let same = Identities(users: .identity, groups: .identity)

    public init(users: IdentityMap, groups: IdentityMap) {
        self.users = users
        self.groups = groups
    }

    var isSame: Bool { users.isIdentity && groups.isIdentity }

    /// What the client is told of a file. An owner that the container does not have is UInt32.max, which is nobody's id.
    func attributes(_ status: Statx) -> NodeAttributes {
        var attributes = NodeAttributes(status)
        if !users.isIdentity { attributes.user = users.container(attributes.user) ?? .max }
        if !groups.isIdentity { attributes.group = groups.container(attributes.group) ?? .max }
        return attributes
    }

    /// The host's id of an owner that the client wants.
    func hostUser(_ id: UInt32) throws(Errno) -> UInt32 {
        guard let host = users.host(id) else { throw .EINVAL }
        return host
    }

    /// The same for a group. UInt32.max: the group of the directory, which gives it to what is made in it, though the container does not have it.
    func hostGroup(_ id: UInt32, in directory: SharedDescriptor? = nil) throws(Errno) -> UInt32 {
        if let host = groups.host(id) { return host }
        guard id == .max, !groups.isIdentity, let directory else { throw .EINVAL }
        let status = try HostCall.statx(at: directory.rawValue)
        guard UInt32(status.stx_mode) & FileMode.S_ISGID != 0, groups.container(status.stx_gid) == nil else { throw .EINVAL }
        return status.stx_gid
    }

    // MARK: Extended attributes with ids in them

    private static let capability = Array("security.capability".utf8), accessList = Array("system.posix_acl_".utf8)

    /// The value that the host is to keep. EINVAL for ids that the container does not have, and for what is malformed.
    func hostValue(_ name: [UInt8], _ value: [UInt8]) throws(Errno) -> [UInt8] {
        if isSame { return value }
        if name == Self.capability { return try hostCapability(value) }
        if name.starts(with: Self.accessList) {
            return try mapAccessList(value) { (id, isGroup) throws(Errno) in
                guard let host = (isGroup ? groups : users).host(id) else { throw .EINVAL }
                return host
            }
        }
        return value
    }

    /// The value that the container sees.
    func containerValue(_ name: [UInt8], _ value: [UInt8]) throws(Errno) -> [UInt8] {
        if isSame { return value }
        if name == Self.capability { return try containerCapability(value) }
        if name.starts(with: Self.accessList) {
            return try mapAccessList(value) { (id, isGroup) throws(Errno) in (isGroup ? groups : users).container(id) ?? .max }
        }
        return value
    }

    /// struct vfs_cap_data of linux/capability.h: revision 2 is for the host's root, revision 3 names the root of a user namespace. A
    /// container's revision 2 is for its own root, as in capabilities(7), "Namespaced file capabilities".
    private static let revisionMask: UInt32 = 0xff00_0000, revision2: UInt32 = 0x0200_0000, revision3: UInt32 = 0x0300_0000

    private func hostCapability(_ value: [UInt8]) throws(Errno) -> [UInt8] {
        guard let magic = Self.word(value, 0) else { throw .EINVAL }
        var root: UInt32 = 0
        switch magic & Self.revisionMask {
        case Self.revision2: guard value.count == 20 else { throw .EINVAL }
        case Self.revision3:
            guard value.count == 24, let id = Self.word(value, 20) else { throw .EINVAL }
            root = id
        default: throw .EINVAL
        }
        guard let host = users.host(root) else { throw .EINVAL }
        return Self.bytes(magic & ~Self.revisionMask | Self.revision3) + value[4..<20] + Self.bytes(host)
    }

    private func containerCapability(_ value: [UInt8]) throws(Errno) -> [UInt8] {
        guard let magic = Self.word(value, 0), value.count >= 20 else { throw .EINVAL }
        let host = magic & Self.revisionMask == Self.revision3 ? Self.word(value, 20) ?? 0 : 0
        // Capabilities of another root are nothing to this container.
        guard let root = users.container(host) else { throw .EOVERFLOW }
        if root == 0 { return Self.bytes(magic & ~Self.revisionMask | Self.revision2) + value[4..<20] }
        return Self.bytes(magic & ~Self.revisionMask | Self.revision3) + value[4..<20] + Self.bytes(root)
    }

    /// struct posix_acl_xattr_header and its entries (linux/posix_acl_xattr.h): tag, permissions, id.
    private func mapAccessList(_ value: [UInt8], _ map: (UInt32, _ isGroup: Bool) throws(Errno) -> UInt32) throws(Errno) -> [UInt8] {
        let header = 4, entry = 8
        guard value.count >= header, (value.count - header) % entry == 0, Self.word(value, 0) == 2 else { throw .EINVAL }
        var result = value
        for start in stride(from: header, to: value.count, by: entry) {
            let tag = UInt32(value[start]) | UInt32(value[start + 1]) << 8
            guard tag == 0x02 /* ACL_USER */ || tag == 0x08 /* ACL_GROUP */, let id = Self.word(value, start + 4) else { continue }
            result.replaceSubrange(start + 4..<start + 8, with: Self.bytes(try map(id, tag == 0x08)))
        }
        return result
    }

    /// A little-endian word; nil beyond the end.
    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32? {
        guard bytes.count >= offset + 4 else { return nil }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    private static func bytes(_ word: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) } }
}

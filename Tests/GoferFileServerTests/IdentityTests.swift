import FileProtocol
import Host
import LinuxABI
import Testing

@testable import GoferFileServer

/// A container with a user namespace: the client speaks of the container's ids, the host has others.
@Suite(.serialized) struct IdentityTests {
    private static let map = IdentityMap([.init(container: 0, host: 100_000, count: 1000)])
    private func makePair() throws -> Pair { try Pair(identities: Identities(users: Self.map, groups: Self.map)) }

    private func owner(_ name: String, _ pair: Pair) throws -> [UInt32] {
        let status = try HostCall.statx(at: pair.directory.descriptor.rawValue, Array(name.utf8), flags: AtFlag.AT_SYMLINK_NOFOLLOW)
        return [status.stx_uid, status.stx_gid]
    }
    private func give(_ name: String, _ user: UInt32, _ group: UInt32, _ pair: Pair) throws {
        try HostCall.changeOwner(
            at: pair.directory.descriptor.rawValue, Array(name.utf8), user: user, group: group, flags: AtFlag.AT_SYMLINK_NOFOLLOW)
    }

    @Test func whatIsMadeBelongsToMappedIDs() throws {
        let pair = try makePair()
        let (file, _) = try pair.client.open(
            CreateRequest(directory: pair.root, name: Array("f".utf8), mode: 0o644, user: 5, group: 6))
        #expect(file.node.attributes.user == 5 && file.node.attributes.group == 6)
        _ = try pair.client.call(MakeDirectoryRequest(directory: pair.root, name: Array("d".utf8), mode: 0o755, user: 0, group: 0))
        _ = try pair.client.call(SymlinkRequest(directory: pair.root, name: Array("l".utf8), target: [0x78], user: 1, group: 999))
        _ = try pair.client.call(
            MakeNodeRequest(
                directory: pair.root, name: Array("p".utf8), mode: FileMode.S_IFIFO | 0o600, device: 0, user: 7, group: 8))
        let (unnamed, _) = try pair.client.open(CreateUnnamedRequest(directory: pair.root, mode: 0o600, user: 3, group: 4))
        #expect(unnamed.node.attributes.user == 3 && unnamed.node.attributes.group == 4)
        #expect(try owner("f", pair) == [100_005, 100_006] && owner("d", pair) == [100_000, 100_000])
        #expect(try owner("l", pair) == [100_001, 100_999] && owner("p", pair) == [100_007, 100_008])
    }

    @Test func nothingIsMadeForAnIDThatIsNotMapped() throws {
        let pair = try makePair()
        for (user, group) in [(1000, 0), (0, 1000), (.max, 0), (0, .max), (100_000, 0)] as [(UInt32, UInt32)] {
            #expect(throws: Errno.EINVAL) {
                try pair.client.open(CreateRequest(directory: pair.root, name: [0x66], mode: 0o644, user: user, group: group))
            }
            #expect(throws: Errno.EINVAL) {
                try pair.client.open(CreateUnnamedRequest(directory: pair.root, mode: 0o644, user: user, group: group))
            }
            #expect(throws: Errno.EINVAL) {
                try pair.client.call(MakeDirectoryRequest(directory: pair.root, name: [0x64], mode: 0o755, user: user, group: group))
            }
            #expect(throws: Errno.EINVAL) {
                try pair.client.call(SymlinkRequest(directory: pair.root, name: [0x6c], target: [0x78], user: user, group: group))
            }
            #expect(throws: Errno.EINVAL) {
                try pair.client.call(
                    MakeNodeRequest(
                        directory: pair.root, name: [0x70], mode: FileMode.S_IFIFO | 0o600, device: 0, user: user, group: group))
            }
        }
        #expect(try pair.client.call(ReadDirectoryRequest(directory: pair.root, position: 0)).entries.isEmpty)
    }

    @Test func ownersAreTranslated() throws {
        let pair = try makePair()
        for name in ["mine", "root's", "half"] { try pair.directory.makeFile(name) }
        try give("mine", 100_010, 100_020, pair)
        try give("half", 100_010, 50, pair)
        func attributes(_ name: String) throws -> NodeAttributes { try #require(try pair.walk(name).nodes.last).attributes }
        #expect(try attributes("mine").user == 10 && attributes("mine").group == 20)
        #expect(try attributes("root's").user == .max && attributes("root's").group == .max)
        #expect(try attributes("half").user == 10 && attributes("half").group == .max)
        let listed = try pair.client.call(ReadDirectoryRequest(directory: pair.root, position: 0, withAttributes: true))
        #expect(listed.entries.first { $0.name == Array("mine".utf8) }?.node?.attributes.user == 10)
        var request = SetStatRequest(handle: try pair.handle("mine"))
        request.valid = [.user, .group]
        (request.user, request.group) = (30, 40)
        #expect(try pair.client.call(request).attributes.user == 30)
        #expect(try owner("mine", pair) == [100_030, 100_040])
        for (user, group) in [(1000, 0), (0, 100_000), (.max, 0), (0, .max)] as [(UInt32, UInt32)] {
            (request.user, request.group) = (user, group)
            #expect(throws: Errno.EINVAL) { try pair.client.call(request) }
        }
        #expect(try owner("mine", pair) == [100_030, 100_040])
    }

    @Test func setGroupIDDirectoriesKeepAGroupThatIsNotMapped() throws {
        let pair = try makePair()
        try pair.directory.makeDirectory("d")
        try give("d", 100_000, 50, pair)
        let opened = try HostCall.open(Array("d".utf8), flags: OpenFlag.O_RDONLY, at: pair.directory.descriptor.rawValue)
        try HostCall.changeMode(opened.rawValue, to: 0o2775)
        let directory = try pair.handle("d")
        _ = try pair.client.call(MakeDirectoryRequest(directory: directory, name: [0x64], mode: 0o2755, user: 0, group: .max))
        #expect(try owner("d/d", pair) == [100_000, 50])
    }

    /// Revision 2 of the container is revision 3 of the host, with the id of the container's root.
    @Test func fileCapabilitiesAreThoseOfTheContainersRoot() throws {
        let pair = try makePair()
        try pair.directory.makeFile("f")
        try pair.directory.makeFile("root's")
        let handle = try pair.handle("f"), name = Array("security.capability".utf8)
        let ours: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0] + [UInt8](repeating: 0, count: 12)
        _ = try pair.client.call(SetExtendedAttributeRequest(handle: handle, name: name, value: ours, flags: 0))
        #expect(try pair.client.call(GetExtendedAttributeRequest(handle: handle, name: name)).value == ours)
        func open(_ name: String) throws -> OwnedDescriptor {
            try HostCall.open(Array(name.utf8), flags: OpenFlag.O_RDONLY, at: pair.directory.descriptor.rawValue)
        }
        let file = try open("f"), other = try open("root's")
        let kept = try HostCall.extendedAttribute(file.rawValue, name, path: nil)
        #expect(kept == [1, 0, 0, 3] + ours[4...] + [0xa0, 0x86, 0x01, 0x00])
        // Capabilities for the host's root are none here.
        try HostCall.setExtendedAttribute(other.rawValue, name, to: ours, flags: 0, path: nil)
        #expect(throws: Errno.EOVERFLOW) {
            try pair.client.call(GetExtendedAttributeRequest(handle: try pair.handle("root's"), name: name))
        }
        for malformed in [[], [1, 0, 0, 2], ours + [0], [1, 0, 0, 1] + ours[4...], [1, 0, 0, 3] + ours[4...] + [0xe8, 3, 0, 0]] as [[UInt8]]
        {
            #expect(throws: Errno.EINVAL) {
                try pair.client.call(SetExtendedAttributeRequest(handle: handle, name: name, value: malformed, flags: 0))
            }
        }
    }

    @Test func accessListsAreTranslated() throws {
        let identities = Identities(users: Self.map, groups: Self.map), name = Array("system.posix_acl_access".utf8)
        func entry(_ tag: UInt8, _ id: [UInt8]) -> [UInt8] { [tag, 0, 4, 0] + id }
        let none: [UInt8] = [255, 255, 255, 255]
        let ours: [UInt8] = [2, 0, 0, 0] + entry(1, none) + entry(2, [5, 0, 0, 0]) + entry(8, [0, 0, 0, 0]) + entry(32, none)
        let hosts: [UInt8] =
            [2, 0, 0, 0] + entry(1, none) + entry(2, [0xa5, 0x86, 1, 0]) + entry(8, [0xa0, 0x86, 1, 0]) + entry(32, none)
        #expect(try identities.hostValue(name, ours) == hosts && identities.containerValue(name, hosts) == ours)
        // Who is not mapped is nobody's id for the container, and cannot be given anything by it.
        let foreign: [UInt8] = [2, 0, 0, 0] + entry(2, [0, 4, 0, 0])
        #expect(throws: Errno.EINVAL) { try identities.hostValue(name, foreign) }
        #expect(try identities.containerValue(name, foreign) == [2, 0, 0, 0] + entry(2, none))
        for malformed in [[], [2, 0, 0], [1, 0, 0, 0], ours + [1]] as [[UInt8]] {
            #expect(throws: Errno.EINVAL) { try identities.hostValue(name, malformed) }
        }
        #expect(try Identities.same.hostValue(name, [1]) == [1])
    }
}

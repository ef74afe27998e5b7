import LinuxABI
import SentryVFS

/// One question of the host's kernel (struct fuse_in_header and what follows). A field that is not there is EIO.
struct FuseRequest {
    private let bytes: [UInt8]
    private var position = FuseConstant.requestHeaderSize
    let operation: UInt32
    /// Names the question in the answer.
    let identifier: UInt64
    /// The file it is about.
    let node: UInt64

    /// nil: shorter than a header, or not as long as it says.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= FuseConstant.requestHeaderSize else { return nil }
        self.bytes = bytes
        operation = UInt32(truncatingIfNeeded: Self.number(bytes, 4, 4))
        identifier = Self.number(bytes, 8, 8)
        node = Self.number(bytes, 16, 8)
        if Self.number(bytes, 0, 4) != UInt64(bytes.count) { return nil }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        return value
    }

    private mutating func number(_ count: Int) throws(Errno) -> UInt64 {
        guard bytes.count - position >= count else { throw .EIO }
        defer { position += count }
        return Self.number(bytes, position, count)
    }

    mutating func word32() throws(Errno) -> UInt32 { UInt32(truncatingIfNeeded: try number(4)) }
    mutating func word64() throws(Errno) -> UInt64 { try number(8) }
    mutating func skip(_ count: Int) throws(Errno) {
        guard bytes.count - position >= count else { throw .EIO }
        position += count
    }

    /// Text up to a NUL.
    mutating func text() throws(Errno) -> [UInt8] {
        guard let end = bytes[position...].firstIndex(of: 0) else { throw .EIO }
        defer { position = end + 1 }
        return Array(bytes[position..<end])
    }

    /// One component of a path.
    mutating func name() throws(Errno) -> [UInt8] {
        let name = try text()
        guard !name.isEmpty, !name.contains(UInt8(ascii: "/")), name != [0x2e], name != [0x2e, 0x2e] else { throw .EINVAL }
        if name.count > 255 { throw .ENAMETOOLONG }
        return name
    }

    /// `count` bytes.
    mutating func data(_ count: UInt32) throws(Errno) -> [UInt8] {
        guard bytes.count - position >= Int(count) else { throw .EIO }
        defer { position += Int(count) }
        return Array(bytes[position..<position + Int(count)])
    }
}

/// The body of an answer.
struct FuseReply {
    var bytes: [UInt8] = []

    mutating func add(_ value: UInt32) { add(UInt64(value), 4) }
    mutating func add(_ value: UInt64) { add(value, 8) }
    mutating func add16(_ value: UInt16) { add(UInt64(value), 2) }
    private mutating func add(_ value: UInt64, _ count: Int) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }

    /// struct fuse_attr.
    mutating func add(_ attributes: FileAttributes) {
        add(attributes.inode)
        add(UInt64(bitPattern: attributes.size))
        add(attributes.blocks)
        for time in [attributes.accessTime, attributes.modificationTime, attributes.changeTime] { add(UInt64(bitPattern: time.tv_sec)) }
        for time in [attributes.accessTime, attributes.modificationTime, attributes.changeTime] {
            add(UInt32(truncatingIfNeeded: time.tv_nsec))
        }
        add(attributes.mode)
        add(attributes.links)
        add(attributes.user)
        add(attributes.group)
        add(UInt32(truncatingIfNeeded: attributes.specialDevice))
        add(attributes.blockSize)
        add(UInt32(0))
    }

    /// struct fuse_attr_out: true for no time at all, since the guest changes its files without asking.
    static func attributes(_ attributes: FileAttributes) -> FuseReply {
        var reply = FuseReply()
        reply.add(UInt64(0))
        reply.add(UInt64(0))
        reply.add(attributes)
        return reply
    }

    /// struct fuse_entry_out.
    static func entry(_ node: UInt64, _ attributes: FileAttributes) -> FuseReply {
        var reply = FuseReply()
        reply.add(node)
        for _ in 0..<4 { reply.add(UInt64(0)) }
        reply.add(attributes)
        return reply
    }

    /// struct fuse_open_out. The host's page cache stays out of it: files of proc have no size, others change behind its back.
    mutating func addOpened(_ handle: UInt64) {
        add(handle)
        add(FuseConstant.FOPEN_DIRECT_IO)
        add(UInt32(0))
    }
}

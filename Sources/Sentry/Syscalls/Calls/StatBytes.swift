import LinuxABI
import SentryVFS

extension InlineArray where Element == UInt8 {
    /// Stores a number at a constant place of a structure.
    @inline(__always) mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        var rest = UInt64(truncatingIfNeeded: value)
        for index in 0..<(T.bitWidth / 8) {
            self[offset &+ index] = UInt8(truncatingIfNeeded: rest)
            rest >>= 8
        }
    }
}

extension [UInt8] {
    /// Appends a number, little-endian.
    @inline(__always) mutating func append<T: FixedWidthInteger>(integer value: T) {
        var rest = UInt64(truncatingIfNeeded: value)
        for _ in 0..<(T.bitWidth / 8) {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}

extension FileAttributes {
    /// struct stat of x86-64.
    var statBytes: InlineArray<144, UInt8> {
        var bytes = InlineArray<144, UInt8>(repeating: 0)
        bytes.put(device, at: 0)
        bytes.put(inode, at: 8)
        bytes.put(UInt64(links), at: 16)
        bytes.put(mode, at: 24)
        bytes.put(user, at: 28)
        bytes.put(group, at: 32)
        bytes.put(specialDevice, at: 40)
        bytes.put(size, at: 48)
        bytes.put(Int64(blockSize), at: 56)
        bytes.put(blocks, at: 64)
        bytes.put(accessTime.tv_sec, at: 72)
        bytes.put(accessTime.tv_nsec, at: 80)
        bytes.put(modificationTime.tv_sec, at: 88)
        bytes.put(modificationTime.tv_nsec, at: 96)
        bytes.put(changeTime.tv_sec, at: 104)
        bytes.put(changeTime.tv_nsec, at: 112)
        return bytes
    }

    /// struct statx.
    func statxBytes(mount: UInt32, isMountRoot: Bool) -> InlineArray<256, UInt8> {
        var bytes = InlineArray<256, UInt8>(repeating: 0)
        var mask = StatxMask.STATX_BASIC_STATS | StatxMask.STATX_MNT_ID
        if birthTime != nil { mask |= StatxMask.STATX_BTIME }
        bytes.put(mask, at: 0)
        bytes.put(blockSize, at: 4)
        bytes.put(isMountRoot ? StatxAttribute.STATX_ATTR_MOUNT_ROOT : 0, at: 8)
        bytes.put(links, at: 16)
        bytes.put(user, at: 20)
        bytes.put(group, at: 24)
        bytes.put(UInt16(truncatingIfNeeded: mode), at: 28)
        bytes.put(inode, at: 32)
        bytes.put(size, at: 40)
        bytes.put(blocks, at: 48)
        bytes.put(StatxAttribute.STATX_ATTR_MOUNT_ROOT, at: 56)
        put(accessTime, &bytes, at: 64)
        if let birthTime { put(birthTime, &bytes, at: 80) }
        put(changeTime, &bytes, at: 96)
        put(modificationTime, &bytes, at: 112)
        bytes.put(DeviceNumber.major(specialDevice), at: 128)
        bytes.put(DeviceNumber.minor(specialDevice), at: 132)
        bytes.put(DeviceNumber.major(device), at: 136)
        bytes.put(DeviceNumber.minor(device), at: 140)
        bytes.put(UInt64(mount), at: 144)
        return bytes
    }

    private func put(_ time: Timespec, _ bytes: inout InlineArray<256, UInt8>, at offset: Int) {
        bytes.put(time.tv_sec, at: offset)
        bytes.put(UInt32(truncatingIfNeeded: time.tv_nsec), at: offset + 8)
    }
}

extension FileSystemStatistics {
    /// struct statfs of x86-64.
    func statfsBytes(_ mount: MountFlags) -> [UInt8] {
        var flags = self.flags | StatfsFlag.ST_VALID
        if mount.contains(.readOnly) { flags |= StatfsFlag.ST_RDONLY }
        if mount.contains(.noSetUserID) { flags |= StatfsFlag.ST_NOSUID }
        if mount.contains(.noDevices) { flags |= StatfsFlag.ST_NODEV }
        if mount.contains(.noExecute) { flags |= StatfsFlag.ST_NOEXEC }
        if mount.contains(.noAccessTime) { flags |= StatfsFlag.ST_NOATIME }
        if mount.contains(.noDirectoryAccessTime) { flags |= StatfsFlag.ST_NODIRATIME }
        if mount.isDisjoint(with: [.noAccessTime, .strictAccessTime]) { flags |= StatfsFlag.ST_RELATIME }
        if mount.contains(.noSymlinkFollow) { flags |= StatfsFlag.ST_NOSYMFOLLOW }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Statfs.size)
        for word in [magic, blockSize, blocks, freeBlocks, availableBlocks, files, freeFiles, identifier, maximumName, blockSize, flags] {
            bytes.append(integer: word)
        }
        bytes.append(contentsOf: repeatElement(0, count: Statfs.size - bytes.count))
        return bytes
    }
}

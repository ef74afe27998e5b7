import Host
import LinuxABI
import SentryVFS

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
        bytes.store(device, at: 0)
        bytes.store(inode, at: 8)
        bytes.store(UInt64(links), at: 16)
        bytes.store(mode, at: 24)
        bytes.store(user, at: 28)
        bytes.store(group, at: 32)
        bytes.store(specialDevice, at: 40)
        bytes.store(size, at: 48)
        bytes.store(Int64(blockSize), at: 56)
        bytes.store(blocks, at: 64)
        bytes.store(accessTime.tv_sec, at: 72)
        bytes.store(accessTime.tv_nsec, at: 80)
        bytes.store(modificationTime.tv_sec, at: 88)
        bytes.store(modificationTime.tv_nsec, at: 96)
        bytes.store(changeTime.tv_sec, at: 104)
        bytes.store(changeTime.tv_nsec, at: 112)
        return bytes
    }

    /// struct statx.
    func statxBytes(mount: UInt32, isMountRoot: Bool) -> InlineArray<256, UInt8> {
        var bytes = InlineArray<256, UInt8>(repeating: 0)
        var mask = StatxMask.STATX_BASIC_STATS | StatxMask.STATX_MNT_ID
        if birthTime != nil { mask |= StatxMask.STATX_BTIME }
        bytes.store(mask, at: 0)
        bytes.store(blockSize, at: 4)
        bytes.store(isMountRoot ? StatxAttribute.STATX_ATTR_MOUNT_ROOT : 0, at: 8)
        bytes.store(links, at: 16)
        bytes.store(user, at: 20)
        bytes.store(group, at: 24)
        bytes.store(UInt16(truncatingIfNeeded: mode), at: 28)
        bytes.store(inode, at: 32)
        bytes.store(size, at: 40)
        bytes.store(blocks, at: 48)
        bytes.store(StatxAttribute.STATX_ATTR_MOUNT_ROOT, at: 56)
        put(accessTime, &bytes, at: 64)
        if let birthTime { put(birthTime, &bytes, at: 80) }
        put(changeTime, &bytes, at: 96)
        put(modificationTime, &bytes, at: 112)
        bytes.store(DeviceNumber.major(specialDevice), at: 128)
        bytes.store(DeviceNumber.minor(specialDevice), at: 132)
        bytes.store(DeviceNumber.major(device), at: 136)
        bytes.store(DeviceNumber.minor(device), at: 140)
        bytes.store(UInt64(mount), at: 144)
        return bytes
    }

    private func put(_ time: Timespec, _ bytes: inout InlineArray<256, UInt8>, at offset: Int) {
        bytes.store(time.tv_sec, at: offset)
        bytes.store(UInt32(truncatingIfNeeded: time.tv_nsec), at: offset + 8)
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

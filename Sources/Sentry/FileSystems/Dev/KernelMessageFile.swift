internal import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// /dev/kmsg: the kernel's log, one record per read (Documentation/ABI/testing/dev-kmsg). Writing adds a record.
final class KernelMessageFile: FileDescription, @unchecked Sendable {
    private let kernel: Kernel
    /// The index of the next record.
    private let next = Lock<Int>(0)
    /// Longest record a writer may add, in bytes (LOG_LINE_MAX).
    private static let maximumLine = 1024 - 48

    init(_ kernel: Kernel, path: Path, flags: OpenFlags) {
        self.kernel = kernel
        super.init(path: path, flags: flags)
    }

    /// The log's lines as records: `priority,sequence,microseconds,-;text`.
    static func records(_ text: [UInt8]) -> [[UInt8]] {
        text.split(separator: 0x0a).enumerated().map { index, line in
            // `<6>[    1.234567] text`
            var priority = ArraySlice<UInt8>("6".utf8), rest = line
            if line.first == UInt8(ascii: "<"), let end = line.firstIndex(of: UInt8(ascii: ">")) {
                priority = line[line.startIndex + 1..<end]
                rest = line[(end + 1)...]
            }
            var microseconds: UInt64 = 0
            if rest.first == UInt8(ascii: "["), let end = rest.firstIndex(of: UInt8(ascii: "]")) {
                for digit in rest[rest.startIndex..<end] where digit >= 0x30 && digit <= 0x39 {
                    microseconds = microseconds &* 10 &+ UInt64(digit - 0x30)
                }
                rest = rest[(end + 1)...].drop { $0 == 0x20 }
            }
            return Array(priority) + Array(",\(index),\(microseconds),-;".utf8) + rest + [0x0a]
        }
    }

    override func read(into buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        let records = Self.records(kernel.log.text(sinceClear: false))
        return try next.withLock { next throws(Errno) in
            // As in Linux: EAGAIN, or waiting for the next message.
            guard next < records.count else { throw .EAGAIN }
            guard records[next].count <= buffer.remaining else { throw .EINVAL }
            let count = try buffer.copyOut(records[next])
            next += 1
            return count
        }
    }

    override func write(from buffer: inout IOBuffer, _ context: any FileContext) throws(Errno) -> Int {
        guard buffer.remaining <= Self.maximumLine else { throw .EINVAL }
        let bytes = try buffer.copyIn(limit: Self.maximumLine)
        var text = bytes[...]
        if text.first == UInt8(ascii: "<"), let end = text.prefix(8).firstIndex(of: UInt8(ascii: ">")) { text = text[(end + 1)...] }
        for line in text.split(separator: 0x0a) {
            kernel.log.append(String(decoding: line, as: UTF8.self), time: HostClock.monotonic &- kernel.bootTime)
        }
        return bytes.count
    }

    override func seek(_ distance: Int64, whence: Int32, _ context: any FileContext) throws(Errno) -> Int64 {
        guard distance == 0 else { throw .ESPIPE }
        switch whence {
        case SeekOrigin.SEEK_SET, SeekOrigin.SEEK_DATA: next.withLock { $0 = 0 }
        case SeekOrigin.SEEK_END:
            let count = Self.records(kernel.log.text(sinceClear: false)).count
            next.withLock { $0 = count }
        default: throw .EINVAL
        }
        return 0
    }

    override func readiness(_ mask: PollEvents) -> PollEvents {
        let count = Self.records(kernel.log.text(sinceClear: false)).count
        let events = next.withLock { $0 < count } ? PollEvents.readable : []
        return events.intersection(mask)
    }
}

import Host
import LinuxABI

/// Settings of a test run.
enum HostEnvironmentForTests {
    /// NESTBOX_LONG=1 asks for the long variants.
    static let isLong: Bool = {
        guard
            let file = try? HostCall.withPath(
                Array("/proc/self/environ".utf8),
                { name throws(Errno) in
                    OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.openat, -100, name, 0))))
                })
        else { return false }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var span = bytes.mutableSpan
        guard let count = try? HostCall.read(file.rawValue, into: &span) else { return false }
        return String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\0").contains("NESTBOX_LONG=1")
    }()
}

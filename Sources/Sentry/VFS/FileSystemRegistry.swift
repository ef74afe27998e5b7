import Host
public import LinuxABI

/// The file system types that mount(2) knows and /proc/filesystems lists; registered by the layers above at boot.
public final class FileSystemRegistry: Sendable {
    /// Makes an instance for mount(2). `data`: the mount options.
    public typealias Maker = @Sendable (_ source: [UInt8], _ data: [UInt8], _ context: any FileContext) throws(Errno) -> FileSystem

    public static let shared = FileSystemRegistry()

    private let makers = Lock<[(name: String, maker: Maker?)]>([])

    init() {}

    /// Registers a type. Without a maker it is listed, but mount(2) refuses it with EPERM.
    public func register(_ name: String, _ maker: Maker?) {
        makers.withLock { list in
            list.removeAll { $0.name == name }
            list.append((name, maker))
        }
    }

    /// ENODEV for an unknown type.
    public func make(_ name: [UInt8], source: [UInt8], data: [UInt8], _ context: any FileContext) throws(Errno) -> FileSystem {
        let name = String(decoding: name, as: UTF8.self)
        guard let entry = makers.withLock({ list in list.first { $0.name == name } }) else { throw .ENODEV }
        guard let maker = entry.maker else { throw .EPERM }
        return try maker(source, data, context)
    }

    public var names: [String] { makers.withLock { $0.map(\.name) } }
}

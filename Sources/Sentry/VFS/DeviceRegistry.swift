import Host
public import LinuxABI

/// What stands behind device nodes: a driver for each device number, registered by the file systems layer at boot. Nodes of every file system (tmpfs,
/// gofer, overlay) open through it.
public final class DeviceRegistry: Sendable {
    /// Opens a device node. `path` is how it was reached.
    public typealias Opener =
        @Sendable (_ path: Path, _ inode: Inode, _ flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription

    public static let shared = DeviceRegistry()

    private struct Driver {
        let type: FileType
        let major: UInt32
        let minors: ClosedRange<UInt32>
        let opener: Opener
    }
    private struct State {
        var drivers: [Driver] = []
        var pipe: Opener?
    }
    private let state = Lock(State())

    init() {}

    /// Registers the driver of some minors of a major number; the latest registration wins.
    public func register(
        type: FileType = .character, major: UInt32, minors: ClosedRange<UInt32> = 0...UInt32.max, _ opener: @escaping Opener
    ) {
        state.withLock { $0.drivers.insert(Driver(type: type, major: major, minors: minors, opener: opener), at: 0) }
    }

    /// Registers what opens FIFOs.
    public func registerPipe(_ opener: @escaping Opener) { state.withLock { $0.pipe = opener } }

    /// Opens the device that `inode` names; ENXIO when there is no driver.
    public func open(_ path: Path, _ inode: Inode, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        let device = try inode.attributes(context).specialDevice
        let major = DeviceNumber.major(device), minor = DeviceNumber.minor(device)
        let driver = state.withLock { state in
            state.drivers.first { $0.type == inode.type && $0.major == major && $0.minors.contains(minor) }
        }
        guard let driver else { throw .ENXIO }
        return try driver.opener(path, inode, flags, context)
    }

    func openPipe(_ path: Path, _ inode: Inode, flags: OpenFlags, _ context: any FileContext) throws(Errno) -> FileDescription {
        guard let opener = state.withLock({ $0.pipe }) else { throw .ENXIO }
        return try opener(path, inode, flags, context)
    }
}

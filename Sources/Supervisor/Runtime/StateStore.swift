public import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI

/// The directory that holds one directory for each container (`--root`).
public struct StateStore: Sendable {
    public let root: String

    /// `root` need not exist yet.
    public init(root: String) {
        var root = root
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        self.root = root
    }

    /// `/run/nestbox` for root; the user's own runtime directory otherwise.
    public static func defaultRoot(userID: UInt32, environment: [String: String]) -> String {
        if userID != 0, let directory = environment["XDG_RUNTIME_DIR"], directory.hasPrefix("/") { return directory + "/nestbox" }
        return "/run/nestbox"
    }

    func directory(_ identifier: String) -> String { root + "/" + identifier }

    /// The names of all containers, sorted. A root that does not exist has none.
    func identifiers() -> [String] {
        ((try? HostFile.names(root)) ?? []).filter { HostFile.isDirectory(directory($0)) }
    }

    /// Makes the directory of a new container. An existing one is an error: its name is taken.
    func create(_ identifier: String) throws(SandboxError) {
        do throws(Errno) {
            try HostFile.makeDirectories(root, mode: 0o711)
            try HostCall.makeDirectory(Array(directory(identifier).utf8), mode: 0o700, at: AtFlag.AT_FDCWD)
        } catch {
            if error == .EEXIST {
                throw SandboxError(
                    .alreadyExists, "container with given ID already exists: \"\(identifier)\"",
                    hint: "choose another id, or nestbox delete \(identifier)")
            }
            throw SandboxError(
                error, "make the state directory \(directory(identifier))", hint: "choose a writable directory with --root")
        }
    }

    /// Removes the directory with all that Nestbox puts there.
    func remove(_ identifier: String) {
        let path = directory(identifier)
        for name in (try? HostFile.names(path)) ?? [] { HostFile.remove(path + "/" + name) }
        try? HostFile.removeDirectory(path)
    }

    /// Takes the container's lock; it is held until the value is dropped. Waits for another `nestbox` that works on the container.
    func lock(_ identifier: String) throws(SandboxError) -> OwnedDescriptor {
        do throws(Errno) {
            let file = try HostCall.open(
                Array((directory(identifier) + "/lock").utf8), flags: OpenFlag.O_RDWR | OpenFlag.O_CREAT, mode: 0o600)
            _ = try HostCall.retrying { HostCall.raw(.flock, Int(file.rawValue), Int(FlockOperation.LOCK_EX)) }
            return file
        } catch {
            if error == .ENOENT { throw Self.missing(identifier) }
            throw SandboxError(error, "lock container \"\(identifier)\"")
        }
    }

    static func missing(_ identifier: String) -> SandboxError {
        SandboxError(
            .notFound, "container \"\(identifier)\" does not exist", hint: "nestbox list shows all containers; is --root the same?")
    }

    /// Reads a container's record.
    func load(_ identifier: String) throws(SandboxError) -> ContainerRecord {
        try ContainerIdentifier.check(identifier)
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try HostFile.read(directory(identifier) + "/state.json", maximum: 16 << 20)
        } catch {
            if error == .ENOENT || error == .ENOTDIR { throw Self.missing(identifier) }
            throw SandboxError(error, "read the state of container \"\(identifier)\"")
        }
        return try ContainerRecord(parsing: bytes, identifier: identifier)
    }

    /// Writes a container's record, atomically.
    func save(_ record: ContainerRecord) throws(SandboxError) {
        do throws(Errno) {
            try HostFile.replace(directory(record.identifier) + "/state.json", Array(record.json.text(indented: true).utf8))
        } catch {
            throw SandboxError(error, "write the state of container \"\(record.identifier)\"")
        }
    }
}

public import LinuxABI
public import SentryPlatform
public import SentryVFS

/// A program to be loaded by execve(2).
public struct ProgramRequest: Sendable {
    /// The open file; execute permission and noexec have been checked for it (and must be for interpreters).
    public var file: FileDescription
    /// The name as given to execve: AT_EXECFN and the script's name for an interpreter. For execveat with a descriptor `/dev/fd/N/...`.
    public var path: [UInt8]
    public var arguments: [[UInt8]]
    public var environment: [[UInt8]]
    /// The descriptor is close-on-exec, so that an interpreter could not open `path` (execveat(2): ENOENT for scripts).
    public var isPathInaccessible: Bool
    public init(file: FileDescription, path: [UInt8], arguments: [[UInt8]], environment: [[UInt8]], isPathInaccessible: Bool = false) {
        self.file = file
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.isPathInaccessible = isPathInaccessible
    }
}

/// A program ready to run in memory of its own.
public struct LoadedProgram: Sendable {
    /// The address space with the program, its interpreter, stack and vDSO.
    public var memory: ProcessMemory
    /// All registers of the first instruction.
    public var registers: Registers
    /// comm: the last component of the path, at most 15 bytes.
    public var name: [UInt8]
    /// From `KernelTask.executionCredentials(of:)` of the final program file (not of a script).
    public var execution: ExecutionCredentials
    public init(memory: ProcessMemory, registers: Registers, name: [UInt8], execution: ExecutionCredentials) {
        self.memory = memory
        self.registers = registers
        self.name = name
        self.execution = execution
    }
}

/// The identity that a program runs with.
public struct ExecutionCredentials: Sendable {
    public var credentials: Credentials
    /// AT_SECURE: the program gained rights, so that the C library must distrust its environment.
    public var isSecure: Bool
    /// The file cannot be read by the caller, so that the process is not dumpable.
    public var isUnreadable: Bool
    public init(credentials: Credentials, isSecure: Bool, isUnreadable: Bool = false) {
        self.credentials = credentials
        self.isSecure = isSecure
        self.isUnreadable = isUnreadable
    }
}

/// Loads programs (ELF, scripts). The layer above implements it.
public protocol ProgramLoader: Sendable {
    /// Loads `request` into a new address space on behalf of `task`, which goes on unchanged when this throws (ENOEXEC, EACCES, ENOENT, E2BIG...).
    /// RLIMIT_STACK and the other limits are those of `task`.
    func load(_ request: ProgramRequest, for task: KernelTask) throws(Errno) -> LoadedProgram
}

extension KernelTask {
    /// Opens a file to be executed, whether or not it may be read. EACCES for what is not a regular file, not executable or on a noexec mount.
    public func openProgram(_ place: Path) throws(Errno) -> FileDescription {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        guard inode.type == .regular, !place.mount.flags.contains(.noExecute) else { throw .EACCES }
        try inode.checkAccess(.execute, self)
        return try inode.open(place, flags: [], self)
    }

    /// The same by path, from the working directory (interpreters).
    public func openProgram(path: [UInt8]) throws(Errno) -> FileDescription {
        guard let context = fileSystemContext else { throw .ESRCH }
        return try openProgram(VFS.resolve(path.span, at: context.workingDirectory, .follow, self))
    }
}

import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// How handlers reach guest memory and paths.
extension KernelTask {
    /// The guest's memory. EFAULT for a task that has none any more.
    @inline(__always) func guestMemory() throws(Errno) -> AddressSpace {
        guard let space = addressSpace else { throw .EFAULT }
        return space
    }

    /// The path at `address`: ENOENT rules for empty ones are the resolver's; ENAMETOOLONG from PATH_MAX on.
    @inline(__always) func path(at address: UInt64) throws(Errno) -> [UInt8] {
        try guestMemory().copyInString(at: address, max: PathLimit.PATH_MAX)
    }

    /// The same for the calls that are made most, whose paths are mostly short: `body` gets it without an array being made.
    @inline(__always) func withPath<R>(at address: UInt64, _ body: (borrowing Span<UInt8>) throws(Errno) -> R) throws(Errno) -> R {
        let memory = try guestMemory()
        var buffer = InlineArray<256, UInt8>(repeating: 0)
        let length = try Self.copyShortString(memory, at: address, &buffer)
        if length >= 0 { return try body(buffer.span.extracting(0..<length)) }
        let whole = try memory.copyInString(at: address, max: PathLimit.PATH_MAX)
        return try body(whole.span)
    }

    /// The length of the string at `address`, or -1 when `buffer` does not hold it.
    private static func copyShortString(_ memory: AddressSpace, at address: UInt64, _ buffer: inout InlineArray<256, UInt8>) throws(Errno)
        -> Int
    {
        var span = buffer.mutableSpan
        return try memory.copyInString(at: address, into: &span) ?? -1
    }

    /// Root, working directory and umask.
    @inline(__always) func fileSystem() throws(Errno) -> FileSystemContext {
        guard let context = fileSystemContext else { throw .ENOENT }
        return context
    }

    /// Where a path that came with a directory descriptor starts: EBADF when it is relative and the descriptor is not open. ENOTDIR is the resolver's.
    @inline(__always) func start(_ descriptor: Int32, _ path: [UInt8]) throws(Errno) -> Path { try start(descriptor, path.span) }

    @inline(__always) func start(_ descriptor: Int32, _ path: borrowing Span<UInt8>) throws(Errno) -> Path {
        if descriptor == AtFlag.AT_FDCWD || !path.isEmpty && path[0] == UInt8(ascii: "/") { return try fileSystem().workingDirectory }
        return try files.get(descriptor).path
    }

    /// Resolves a path argument pair, as the *at calls take it. `flags`: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH are looked at.
    func resolve(_ descriptor: Int32, _ address: UInt64, flags: Int32) throws(Errno) -> Path {
        let path = try optionalPath(at: address, flags)
        return try VFS.resolve(path.span, at: start(descriptor, path), Self.options(flags), self)
    }

    /// A path argument that may be null with AT_EMPTY_PATH.
    func optionalPath(at address: UInt64, _ flags: Int32) throws(Errno) -> [UInt8] {
        if address == 0, flags & AtFlag.AT_EMPTY_PATH != 0 { return [] }
        return try path(at: address)
    }

    static func options(_ flags: Int32) -> ResolveOptions {
        var options: ResolveOptions = flags & AtFlag.AT_SYMLINK_NOFOLLOW != 0 ? [] : .follow
        if flags & AtFlag.AT_EMPTY_PATH != 0 { options.insert(.emptyPath) }
        return options
    }

    /// RLIMIT_NOFILE.
    var descriptorLimit: UInt64 { threadGroup.limits.current(Resource.RLIMIT_NOFILE) }

    /// Puts a new file into the descriptor table, or closes it again.
    func install(_ file: FileDescription, closeOnExec: Bool) throws(Errno) -> Int {
        do {
            return Int(try files.install(file, closeOnExec: closeOnExec, limit: descriptorLimit))
        } catch {
            // The reference that is counted is the one given back.
            file.retainDescriptor()
            file.releaseDescriptor(self)
            throw error
        }
    }

    /// The file behind a descriptor, O_PATH ones refused.
    @inline(__always) func file(_ descriptor: Int32) throws(Errno) -> FileDescription {
        let file = try files.get(descriptor)
        if file.isPathOnly { throw .EBADF }
        return file
    }
}

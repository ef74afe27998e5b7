public import Host

/// Root directory, working directory and umask of a task (Linux: struct fs_struct); shared by CLONE_FS.
public final class FileSystemContext: Sendable {
    public struct State: Sendable {
        public var root: Path
        public var workingDirectory: Path
        public var umask: UInt32
    }
    public let state: Lock<State>
    public init(root: Path, workingDirectory: Path, umask: UInt32 = 0o022) {
        state = Lock(State(root: root, workingDirectory: workingDirectory, umask: umask))
    }
    public var root: Path { state.withLock { $0.root } }
    public var workingDirectory: Path { state.withLock { $0.workingDirectory } }
    public var umask: UInt32 { state.withLock { $0.umask } }
    /// A copy for a child without CLONE_FS.
    public func copy() -> FileSystemContext {
        let s = state.withLock { $0 }
        return FileSystemContext(root: s.root, workingDirectory: s.workingDirectory, umask: s.umask)
    }
}

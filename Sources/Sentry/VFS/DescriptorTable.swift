public import LinuxABI
import Synchronization

/// The descriptors of a process (Linux: struct files_struct): a dense array indexed by number, shared by CLONE_FILES.
public final class DescriptorTable: Sendable {
    private struct Entry {
        var file: FileDescription
        var closeOnExec: Bool
    }
    private struct State {
        var entries: [Entry?] = []
        /// No free number lies below this one.
        var firstFree = 0
    }
    private let state = Mutex(State())
    /// How many KernelTasks share the table; the last one to leave closes everything.
    private let users = Atomic<Int>(1)
    /// Linux's default of fs.nr_open.
    public static let hardLimit = 1_048_576

    public init() {}

    /// The file behind a number, or EBADF.
    public func get(_ number: Int32) throws(Errno) -> FileDescription {
        let file = state.withLock { state -> FileDescription? in
            let index = Int(number)
            guard index >= 0, index < state.entries.count else { return nil }
            return state.entries[index]?.file
        }
        guard let file else { throw .EBADF }
        return file
    }

    /// Whether the descriptor closes on exec, or EBADF.
    public func closeOnExec(_ number: Int32) throws(Errno) -> Bool {
        try state.withLock { state throws(Errno) in
            guard number >= 0, Int(number) < state.entries.count, let entry = state.entries[Int(number)] else { throw .EBADF }
            return entry.closeOnExec
        }
    }

    public func setCloseOnExec(_ number: Int32, _ value: Bool) throws(Errno) {
        try state.withLock { state throws(Errno) in
            guard number >= 0, Int(number) < state.entries.count, state.entries[Int(number)] != nil else { throw .EBADF }
            state.entries[Int(number)]?.closeOnExec = value
        }
    }

    /// Installs `file` at the lowest free number that is at least `minimum`; EMFILE at `limit` (RLIMIT_NOFILE).
    public func install(_ file: FileDescription, closeOnExec: Bool, minimum: Int32 = 0, limit: UInt64) throws(Errno) -> Int32 {
        try state.withLock { state throws(Errno) in
            var index = max(Int(minimum), state.firstFree)
            while index < state.entries.count, state.entries[index] != nil { index += 1 }
            guard UInt64(index) < min(limit, UInt64(Self.hardLimit)) else { throw .EMFILE }
            while state.entries.count <= index { state.entries.append(nil) }
            file.retainDescriptor()
            state.entries[index] = Entry(file: file, closeOnExec: closeOnExec)
            if Int(minimum) <= state.firstFree { state.firstFree = index + 1 }
            return Int32(index)
        }
    }

    /// Installs `file` at `number` exactly (dup2), handing back what was there, which the caller must release.
    public func replace(_ number: Int32, with file: FileDescription, closeOnExec: Bool, limit: UInt64) throws(Errno) -> FileDescription? {
        guard number >= 0, UInt64(number) < min(limit, UInt64(Self.hardLimit)) else { throw .EBADF }
        return state.withLock { state in
            let index = Int(number)
            while state.entries.count <= index { state.entries.append(nil) }
            let old = state.entries[index]?.file
            file.retainDescriptor()
            state.entries[index] = Entry(file: file, closeOnExec: closeOnExec)
            return old
        }
    }

    /// Takes a descriptor out; the caller must flush and release the file. EBADF when there is none.
    public func remove(_ number: Int32) throws(Errno) -> FileDescription {
        try state.withLock { state throws(Errno) in
            guard number >= 0, Int(number) < state.entries.count, let entry = state.entries[Int(number)] else { throw .EBADF }
            state.entries[Int(number)] = nil
            state.firstFree = min(state.firstFree, Int(number))
            return entry.file
        }
    }

    /// Every open number in order, with its file and flag.
    public func all() -> [(number: Int32, file: FileDescription, closeOnExec: Bool)] {
        state.withLock { state in
            state.entries.enumerated().compactMap { index, entry in entry.map { (Int32(index), $0.file, $0.closeOnExec) } }
        }
    }

    /// The next open number at or above `start` (for /proc/PID/fd), or nil.
    public func next(from start: Int32) -> Int32? {
        state.withLock { state in
            var index = Int(max(0, start))
            while index < state.entries.count {
                if state.entries[index] != nil { return Int32(index) }
                index += 1
            }
            return nil
        }
    }

    /// A copy for a child without CLONE_FILES.
    public func copy() -> DescriptorTable {
        let table = DescriptorTable()
        let (entries, firstFree) = state.withLock { state in
            for entry in state.entries { entry?.file.retainDescriptor() }
            return (state.entries, state.firstFree)
        }
        table.state.withLock { state in
            state.entries = entries
            state.firstFree = firstFree
        }
        return table
    }

    /// Takes out the close-on-exec descriptors; the caller releases them.
    public func removeCloseOnExec() -> [FileDescription] {
        state.withLock { state in
            var removed: [FileDescription] = []
            for index in state.entries.indices {
                guard let entry = state.entries[index], entry.closeOnExec else { continue }
                removed.append(entry.file)
                state.entries[index] = nil
                state.firstFree = min(state.firstFree, index)
            }
            return removed
        }
    }

    /// Another task shares the table from now on.
    public func share() { users.add(1, ordering: .relaxed) }
    /// A task leaves the table. The last one gets every file, to be released.
    public func leave() -> [FileDescription] {
        guard users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return [] }
        return state.withLock { state in
            let files = state.entries.compactMap { $0?.file }
            state.entries = []
            state.firstFree = 0
            return files
        }
    }
    /// Whether another task shares it.
    public var isShared: Bool { users.load(ordering: .acquiring) > 1 }
}

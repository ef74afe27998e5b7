import Host
public import LinuxABI
import SentryMemory
import Synchronization

/// The descriptors of a process (Linux: struct files_struct): a dense array indexed by number, shared by CLONE_FILES. Taking a descriptor out drops
/// the process's record locks on the file, as close(2) does.
public final class DescriptorTable: Sendable {
    private struct Entry {
        var file: FileDescription
        var closeOnExec: Bool
    }
    private struct State {
        var entries: [Entry?] = []
        /// Which numbers are in use, 64 to a word, and which of those words are full: the lowest free number is found in two steps.
        var used: [UInt64] = []
        var full: [UInt64] = []
        var count = 0

        mutating func grow(to index: Int) {
            guard index >= entries.count else { return }
            // Doubling, so that a table costs what its highest number is.
            let size = max(64, (index / 64 + 1) * 64, min(entries.count * 2, DescriptorTable.hardLimit))
            entries.append(contentsOf: repeatElement(nil, count: size - entries.count))
            used.append(contentsOf: repeatElement(0, count: size / 64 - used.count))
            full.append(contentsOf: repeatElement(0, count: (used.count + 63) / 64 - full.count))
        }

        mutating func set(_ index: Int, _ entry: Entry) {
            grow(to: index)
            if entries[index] == nil { count += 1 }
            entries[index] = entry
            used[index / 64] |= 1 << UInt64(index % 64)
            if used[index / 64] == .max { full[index / 4096] |= 1 << UInt64(index / 64 % 64) }
        }

        mutating func clear(_ index: Int) {
            if entries[index] != nil { count -= 1 }
            entries[index] = nil
            used[index / 64] &= ~(1 << UInt64(index % 64))
            full[index / 4096] &= ~(1 << UInt64(index / 64 % 64))
        }

        /// The lowest free number at or above `minimum`.
        func firstFree(from minimum: Int) -> Int {
            var word = minimum / 64
            guard word < used.count else { return minimum }
            let rest = ~used[word] & (.max << UInt64(minimum % 64))
            if rest != 0 { return word * 64 + rest.trailingZeroBitCount }
            word += 1
            while word < used.count {
                let open = ~full[word / 64] & (.max << UInt64(word % 64))
                if open == 0 {
                    word = (word / 64 + 1) * 64
                    continue
                }
                word = word / 64 * 64 + open.trailingZeroBitCount
                guard word < used.count else { break }
                return word * 64 + (~used[word]).trailingZeroBitCount
            }
            return used.count * 64
        }

        @inline(__always) func entry(_ number: Int32) -> Entry? {
            let index = Int(number)
            guard index >= 0, index < entries.count else { return nil }
            return entries[index]
        }
    }
    private let state = Lock(State())
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

    /// The same without waiting: `contended` while another thread is at the table.
    public func getPromptly(_ number: Int32) throws(Errno) -> FileDescription {
        let found = state.withLockIfAvailable { state -> FileDescription? in
            let index = Int(number)
            return index >= 0 && index < state.entries.count ? state.entries[index]?.file : nil
        }
        guard let found else { throw .contended }
        guard let file = found else { throw .EBADF }
        return file
    }

    /// Whether the descriptor closes on exec, or EBADF.
    public func closeOnExec(_ number: Int32) throws(Errno) -> Bool {
        guard let entry = state.withLock({ $0.entry(number)?.closeOnExec }) else { throw .EBADF }
        return entry
    }

    public func setCloseOnExec(_ number: Int32, _ value: Bool) throws(Errno) {
        let isOpen = state.withLock { state in
            guard state.entry(number) != nil else { return false }
            state.entries[Int(number)]?.closeOnExec = value
            return true
        }
        if !isOpen { throw .EBADF }
    }

    /// One past the highest number that the table has room for now: select(2) looks no further.
    public var capacity: Int { state.withLock { max(64, $0.entries.count) } }

    /// How many descriptors are open.
    public var count: Int { state.withLock { $0.count } }

    /// Throws EMFILE when no number below `limit` is free: a call that has effects checks before it has them.
    public func checkRoom(limit: UInt64) throws(Errno) {
        let index = state.withLock { $0.firstFree(from: 0) }
        guard UInt64(index) < min(limit, UInt64(Self.hardLimit)) else { throw .EMFILE }
    }

    /// Installs `file` at the lowest free number that is at least `minimum`; EMFILE at `limit` (RLIMIT_NOFILE).
    public func install(_ file: FileDescription, closeOnExec: Bool, minimum: Int32 = 0, limit: UInt64) throws(Errno) -> Int32 {
        try state.withLock { state throws(Errno) in
            let index = state.firstFree(from: max(0, Int(minimum)))
            guard UInt64(index) < min(limit, UInt64(Self.hardLimit)) else { throw .EMFILE }
            file.retainDescriptor()
            state.set(index, Entry(file: file, closeOnExec: closeOnExec))
            return Int32(index)
        }
    }

    /// Installs `file` at `number` exactly (dup2), handing back what was there, which the caller must release.
    public func replace(_ number: Int32, with file: FileDescription, closeOnExec: Bool, limit: UInt64) throws(Errno) -> FileDescription? {
        guard number >= 0, UInt64(number) < min(limit, UInt64(Self.hardLimit)) else { throw .EBADF }
        let old = state.withLock { state in
            let old = state.entry(number)?.file
            file.retainDescriptor()
            state.set(Int(number), Entry(file: file, closeOnExec: closeOnExec))
            return old
        }
        if let old { dropRecordLocks(old) }
        return old
    }

    /// Takes a descriptor out; the caller must flush and release the file. EBADF when there is none.
    public func remove(_ number: Int32) throws(Errno) -> FileDescription {
        let file = try state.withLock { state throws(Errno) in
            guard let entry = state.entry(number) else { throw .EBADF }
            state.clear(Int(number))
            return entry.file
        }
        dropRecordLocks(file)
        return file
    }

    /// Takes out every descriptor of a range (close_range(2)); the caller releases them.
    public func remove(in range: ClosedRange<UInt32>) -> [FileDescription] {
        let files = state.withLock { state in
            var removed: [FileDescription] = []
            var index = Int(range.lowerBound)
            while index < state.entries.count, index <= Int(range.upperBound) {
                if let entry = state.entries[index] {
                    removed.append(entry.file)
                    state.clear(index)
                }
                index += 1
            }
            return removed
        }
        for file in files { dropRecordLocks(file) }
        return files
    }

    /// Marks every descriptor of a range to close on exec.
    public func setCloseOnExec(in range: ClosedRange<UInt32>) {
        state.withLock { state in
            var index = Int(range.lowerBound)
            while index < state.entries.count, index <= Int(range.upperBound) {
                state.entries[index]?.closeOnExec = true
                index += 1
            }
        }
    }

    /// What identifies the owner of the process's record locks.
    public var lockOwner: ObjectIdentifier { ObjectIdentifier(self) }

    /// Closing any descriptor of a file drops all of the process's record locks on it (fcntl(2)).
    private func dropRecordLocks(_ file: FileDescription) {
        file.inode?.existingLocks?.unlock(.process(table: lockOwner, process: 0), start: 0, end: .max)
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
        let copied = state.withLock { state in
            for entry in state.entries { entry?.file.retainDescriptor() }
            return state
        }
        table.state.withLock { $0 = copied }
        return table
    }

    /// Takes out the close-on-exec descriptors; the caller releases them.
    public func removeCloseOnExec() -> [FileDescription] {
        let files = state.withLock { state in
            var removed: [FileDescription] = []
            for index in state.entries.indices {
                guard let entry = state.entries[index], entry.closeOnExec else { continue }
                removed.append(entry.file)
                state.clear(index)
            }
            return removed
        }
        for file in files { dropRecordLocks(file) }
        return files
    }

    /// Another task shares the table from now on.
    public func share() { users.add(1, ordering: .relaxed) }
    /// A task leaves the table. The last one gets every file, to be released.
    public func leave() -> [FileDescription] {
        guard users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return [] }
        let files = state.withLock { state in
            defer { state = State() }
            return state.entries.compactMap { $0?.file }
        }
        for file in files { dropRecordLocks(file) }
        return files
    }
    /// Whether another task shares it.
    public var isShared: Bool { users.load(ordering: .acquiring) > 1 }
}

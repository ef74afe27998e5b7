import LinuxABI
import SentryVFS
import Testing

/// A file description that does nothing.
private final class NullFile: FileDescription, @unchecked Sendable {
    init() { super.init(path: AnonymousFileSystem.place(kind: "[test]"), flags: .O_RDWR) }
}

private func errno(_ body: () throws(Errno) -> Void) -> Errno? {
    do { try body() } catch { return error }
    return nil
}

@Suite struct FileLockTests {
    private let locks = FileLocks()
    private let one = NullFile(), two = NullFile()
    private func owner(_ file: FileDescription) -> LockOwner { .process(table: ObjectIdentifier(file), process: 1) }
    private func lock(_ file: FileDescription, _ range: Range<UInt64>, exclusive: Bool = true) -> RecordLock {
        RecordLock(owner: owner(file), isExclusive: exclusive, start: range.lowerBound, end: range.upperBound)
    }

    @Test func splitAndMerge() throws {
        try locks.set(lock(one, 0..<100))
        try locks.set(lock(one, 40..<60, exclusive: false))
        #expect(locks.all.records.map { "\($0.start)-\($0.end)\($0.isExclusive ? "w" : "r")" } == ["0-40w", "40-60r", "60-100w"])
        try locks.set(lock(one, 30..<70))
        #expect(locks.all.records.count == 1)
        locks.unlock(owner(one), start: 10, end: 20)
        #expect(locks.all.records.map(\.start) == [0, 20])
    }

    @Test func conflicts() throws {
        try locks.set(lock(one, 0..<10, exclusive: false))
        try locks.set(lock(two, 5..<15, exclusive: false))
        #expect(errno { () throws(Errno) in try locks.set(lock(two, 0..<6)) } == .EAGAIN)
        #expect(locks.conflict(with: lock(two, 0..<3))?.owner == owner(one))
        locks.releaseAll(owner(one))
        try locks.set(lock(two, 0..<6))
    }

    @Test func deadlocks() throws {
        let other = FileLocks()
        try locks.set(lock(one, 0..<1))
        try other.set(lock(two, 0..<1))
        try LockDeadlocks.begin(lock(one, 0..<1), on: other)
        #expect(errno { () throws(Errno) in try LockDeadlocks.begin(lock(two, 0..<1), on: locks) } == .EDEADLK)
        LockDeadlocks.end(lock(one, 0..<1))
        try LockDeadlocks.begin(lock(two, 0..<1), on: locks)
        LockDeadlocks.end(lock(two, 0..<1))
    }

    @Test func wholeFiles() throws {
        try locks.lockWhole(owner(one), exclusive: false)
        try locks.lockWhole(owner(two), exclusive: false)
        #expect(errno { () throws(Errno) in try locks.lockWhole(owner(one), exclusive: true) } == .EAGAIN)
        // The failed conversion lost the shared lock.
        try locks.lockWhole(owner(two), exclusive: true)
        locks.unlockWhole(owner(two))
        try locks.lockWhole(owner(one), exclusive: true)
    }
}

@Suite struct DescriptorTableTests {
    private let table = DescriptorTable()

    @Test func lowestFreeNumber() throws {
        for number in 0..<5000 { #expect(try table.install(NullFile(), closeOnExec: false, limit: 10_000) == Int32(number)) }
        for number in [4999, 70, 64, 3] as [Int32] { _ = try table.remove(number) }
        for number in [3, 64, 70, 4999, 5000] as [Int32] {
            #expect(try table.install(NullFile(), closeOnExec: false, limit: 10_000) == number)
        }
        #expect(try table.install(NullFile(), closeOnExec: false, minimum: 8000, limit: 10_000) == 8000)
        #expect(errno { () throws(Errno) in _ = try table.install(NullFile(), closeOnExec: false, limit: 5001) } == .EMFILE)
        #expect(errno { () throws(Errno) in _ = try table.get(-1) } == .EBADF)
        #expect(errno { () throws(Errno) in _ = try table.get(9999) } == .EBADF)
        #expect(table.count == 5002)
    }

    @Test func rangesAndExec() throws {
        for number in 0..<10 { _ = try table.install(NullFile(), closeOnExec: number % 2 == 0, limit: 100) }
        #expect(table.removeCloseOnExec().count == 5)
        #expect(table.all().map(\.number) == [1, 3, 5, 7, 9])
        #expect(table.remove(in: 4...(.max)).count == 3)
        #expect(table.next(from: 2) == 3)
        let copy = table.copy()
        #expect(copy.count == 2)
        #expect(table.leave().count == 2)
    }
}

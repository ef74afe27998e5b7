import LinuxABI
import SentryKernel
import Testing

@testable import SentrySyscalls

@Suite struct TableTests {
    /// Making the table checks that no call is in it twice.
    @Test func everyCallOnce() {
        let table = SystemCallTable.standard()
        #expect(table.entries[Int(SystemCallNumber.read.rawValue)] != nil)
        #expect(table.entries[Int(SystemCallNumber.futex.rawValue)] != nil)
    }

    /// What Linux 6.12 has and this table says nothing about.
    @Test func everyCallOfLinuxIsDecided() {
        let table = SystemCallTable.standard()
        let missing = SystemCallNumber.all.filter { $0.number < 512 && table.entries[Int($0.number)] == nil }.map { $0.name }
        #expect(missing == [], "calls without a row: \(missing)")
    }
}

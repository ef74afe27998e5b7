import Diagnostics
import Host
import LinuxABI
import Testing

@Suite(.serialized) struct FaultTests {
    private static let point = FaultPoint("test.point", "for this test")

    /// What `count` hits bring under `plan`.
    private func hits(_ plan: String, _ count: Int) throws -> [FaultAction?] {
        Faults.arm(try FaultPlan(parsing: plan))
        defer { disarm() }
        return (0..<count).map { _ in Self.point.hit() }
    }
    private func disarm() {
        if let none = try? FaultPlan(parsing: "") { Faults.arm(none) }
    }

    @Test func occasions() throws {
        #expect(try hits("test.point@3:error=EIO", 4) == [nil, nil, .error(.EIO), nil])
        #expect(try hits("test.point@2+:drop", 3) == [nil, .drop, .drop])
        #expect(try hits("test.point:truncate=5", 2) == [.truncate(5), .truncate(5)])
        #expect(try hits("other:kill", 2) == [nil, nil])
        #expect(Self.point.hit() == nil)
    }

    @Test func theSameSeedGivesTheSameFaults() throws {
        let first = try hits("seed=7\ntest.point%0.3:flip=2", 200)
        #expect(try hits("seed=7; test.point%0.3:flip=2; other:close", 200) == first)
        #expect(try hits("seed=8; test.point%0.3:flip=2", 200) != first)
        let made = first.count { $0 != nil }
        #expect((30...90).contains(made))
    }

    @Test func hostCallsFail() throws {
        Faults.arm(try FaultPlan(parsing: "host.getpid@2:error=ENOSPC"))
        defer { disarm() }
        #expect(HostCall.raw(.getpid) > 0)
        #expect(HostCall.raw(.getpid) == -28)
        #expect(HostCall.raw(.getpid) > 0)
        #expect(Faults.report.contains("hits 3, made 1"))
    }

    @Test(arguments: ["x", "x@0:drop", "x:error=EWHAT", "x%2:drop", "x:delay=5", "x:flip=0", ":drop", "seed=a", "x:explode"])
    func nonsenseIsRefused(plan: String) {
        #expect(throws: SandboxError.self) { try FaultPlan(parsing: plan) }
    }
}

import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS
import Testing

@testable import SentrySyscalls

/// rseq(2) with guests that are interrupted at chosen places.
@Suite(.serialized) struct SequenceTests {
    private static let area = GuestProgram.memory + 0x1000
    private static let section = GuestProgram.memory + 0x2000
    private static let signature: UInt64 = 0x5305_3053

    /// A guest's memory, for its steps to write.
    private final class Box: Sendable {
        let space = Lock<AddressSpace?>(nil)
        func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, _ address: UInt64) {
            do { try space.withLock { try $0?.store(value, to: address) } } catch { Issue.record("store: \(error)") }
        }
        func load(_ address: UInt64) -> UInt64 {
            do { return try space.withLock { try $0?.load(address) ?? 0 } } catch { return 0xbad }
        }
    }

    /// Registers, enters a section that spans the next three steps, runs `event` in its middle, and then goes on. The abort address is outside the
    /// program, where a last step says so.
    private func run(
        signature: UInt32 = 0x5305_3053, version: UInt32 = 0, flags: UInt32 = 0, start: UInt64 = GuestProgram.address(3),
        event: @escaping GuestStep
    ) throws -> (guest: TestGuest, report: ExitReport) {
        let box = Box()
        let guest = try TestGuest { guest in
            [
                call(.rseq, Self.area, 32, 0, Self.signature), guest.result("registered"),
                note { _ in
                    box.store(version, Self.section)
                    box.store(flags, Self.section + 4)
                    box.store(start, Self.section + 8)
                    box.store(UInt64(6), Self.section + 16)
                    box.store(GuestProgram.address(10), Self.section + 24)
                    box.store(Self.section, Self.area + 8)
                },
                note { _ in },
                event,
                note { _ in guest.remember("went on", 1) },
                note { _ in guest.remember("pointer", box.load(Self.area + 8)) },
                note { _ in guest.remember("numbers", box.load(Self.area)) },
                call(.exit_group, 1), call(.exit_group, 2),
                // Step 10.
                note { _ in guest.remember("aborted", 1) },
                note { $0.rip = GuestProgram.address(6) },
            ]
        }
        let report = try guest.run { task in
            box.space.withLock { $0 = task.addressSpace }
            // The signature stands before the abort address, in what a real program has as code.
            guard let space = task.addressSpace else { return }
            _ = try space.map(
                MapRequest(
                    address: GuestProgram.base, length: 0x1000, protection: [.read, .write],
                    flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED]))
            try space.store(signature, to: GuestProgram.address(10) - 4)
        }
        box.space.withLock { $0 = nil }
        return (guest, report)
    }

    @Test func interruptionInsideAborts() throws {
        let (guest, report) = try run { _ in .interrupted }
        #expect(guest["registered"] == 0)
        #expect(guest["aborted"] == 1)
        #expect(guest["went on"] == 0xdead_beef)
        #expect(guest["pointer"] == 0)
        #expect(report.exitCode == 1)
    }

    @Test func ownSystemCallDoesNotAbort() throws {
        let (guest, _) = try run(event: call(.getpid))
        #expect(guest["went on"] == 1)
        #expect(guest["aborted"] == 0xdead_beef)
        #expect(guest["pointer"] == Int(Self.section))
    }

    @Test func interruptionOutsideClearsThePointer() throws {
        let (guest, _) = try run(start: GuestProgram.address(40)) { _ in .interrupted }
        #expect(guest["aborted"] == 0xdead_beef)
        #expect(guest["went on"] == 1)
        #expect(guest["pointer"] == 0)
    }

    @Test(arguments: [(UInt32(1), UInt32(0), UInt32(0)), (0x5305_3053, 1, 0), (0x5305_3053, 0, 1)])
    func badSectionsAreSegmentationFaults(_ fields: (signature: UInt32, version: UInt32, flags: UInt32)) throws {
        // Process 1 has no default actions but for what its own instructions raise, as here.
        let (guest, report) = try run(signature: fields.signature, version: fields.version, flags: fields.flags) { _ in .interrupted }
        #expect(guest["aborted"] == 0xdead_beef)
        #expect(report.status == Signal.SIGSEGV)
    }

    @Test func unregisteringTakesTheNumberBack() throws {
        let box = Box()
        let guest = try TestGuest { guest in
            [
                call(.rseq, Self.area, 32, 0, Self.signature), guest.result("registered"),
                note { _ in guest.remember("numbers", box.load(Self.area)) },
                call(.rseq, Self.area, 32, 1, Self.signature), guest.result("unregistered"),
                note { _ in guest.remember("numbers then", box.load(Self.area)) },
                call(.rseq, Self.area, 32, 1, Self.signature), guest.result("again"),
                call(.exit_group, 0),
            ]
        }
        _ = try guest.run { task in box.space.withLock { $0 = task.addressSpace } }
        box.space.withLock { $0 = nil }
        #expect(guest["registered"] == 0 && guest["unregistered"] == 0 && guest["again"] == -22)
        #expect(guest["numbers"] == 0)
        #expect(guest["numbers then"] == Int(bitPattern: 0xffff_ffff_0000_0000))
    }
}

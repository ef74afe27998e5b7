import LinuxABI
import SentryMemory
import SentryPlatform
import Testing

@testable import SentryFileSystems

@Suite struct ProcFormatTests {
    private func text(_ body: (inout ProcText) -> Void) -> String {
        var text = ProcText()
        body(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test func numbers() {
        #expect(text { $0.add(7, width: 5) } == "    7")
        #expect(text { $0.addHex(0x7f_abcd, width: 8) } == "007fabcd")
        #expect(text { $0.addHex(0) } == "0")
        #expect(text { $0.addKilobytes("MemTotal:", 16 << 30, labelWidth: 16) } == "MemTotal:       16777216 kB\n")
        #expect(text { $0.addKilobytes("VmRSS:\t", 4096) } == "VmRSS:\t       4 kB\n")
    }

    @Test func namesAreEscaped() {
        #expect(ProcText.escape(Array("a\nb\\c".utf8)) == Array("a\\nb\\\\c".utf8))
    }

    @Test func processorLists() {
        #expect(TaskStatusFiles.processorList([0b1011]) == "0-1,3")
        #expect(TaskStatusFiles.processorList([1]) == "0")
        #expect(TaskStatusFiles.processorList([.max]) == "0-63")
        #expect(TaskStatusFiles.processorList([1 << 63, 1]) == "63-64")
    }

    @Test func integersThatAreWritten() throws {
        #expect(try SettingText.integer(Array(" -1000\n".utf8)) == -1000)
        #expect(try SettingText.integer(Array("0x10".utf8)) == 16)
        #expect(try SettingText.integer(Array("010".utf8)) == 8)
        for bad in ["", "x", "1 2", "--1", "+1", "99999999999999999999999"] {
            #expect(throws: Errno.EINVAL) { try SettingText.integer(Array(bad.utf8)) }
        }
    }

    @Test func sysctlValues() throws {
        #expect(try Sysctls.check(Array("32768 60999\n".utf8), .numbers(1...65535, count: 2)) == "32768\t60999")
        #expect(throws: Errno.EINVAL) { try Sysctls.check(Array("0 60999".utf8), .numbers(1...65535, count: 2)) }
        #expect(throws: Errno.EINVAL) { try Sysctls.check(Array("1".utf8), .numbers(1...65535, count: 2)) }
        #expect(try Sysctls.check(Array("18446744073692774399".utf8), .numbers(0...Int64.max, count: 1)) == "18446744073692774399")
        #expect(try Sysctls.check(Array("name\nrest".utf8), .text(maximum: 64)) == "name")
    }

    @Test func uuidsAreOfVersion4() {
        let uuid = Array(Sysctls.uuid())
        #expect(uuid.count == 36)
        #expect(uuid[14] == "4")
        #expect(uuid[8] == "-" && uuid[13] == "-" && uuid[18] == "-" && uuid[23] == "-")
        #expect(Sysctls.uuid() != Sysctls.uuid())
    }

    @Test func hostFactsKeepOneProcessor() {
        let information = """
            processor\t: 0
            vendor_id\t: GenuineIntel
            model name\t: A: B
            core id\t\t: 0
            power management:

            processor\t: 1
            vendor_id\t: Other

            """
        let lines = HostFacts.parse(cpuInformation: Array(information.utf8))
        #expect(lines.map(\.name) == ["vendor_id", "model name", "power management"])
        #expect(lines[1].value == "A: B")
        #expect(HostFacts.totalMemory(Array("MemTotal:       2048 kB\nMemFree: 1 kB\n".utf8)) == 2 << 20)
    }

    @Test func kernelMessages() {
        let records = KernelMessageFile.records(Array("<6>[    1.234567] Ready!\n<4>[   12.000001] x\n".utf8))
        #expect(records.map { String(decoding: $0, as: UTF8.self) } == ["6,0,1234567,-;Ready!\n", "4,1,12000001,-;x\n"])
    }

    @Test func decimalNames() {
        #expect(DecimalName.parse(Array("0".utf8)) == 0)
        #expect(DecimalName.parse(Array("4294967295".utf8)) == .max)
        for bad in ["", "01", "-1", "1a", "4294967296", "99999999999"] { #expect(DecimalName.parse(Array(bad.utf8)) == nil) }
    }
}

internal import Host
import LinuxABI

/// What the guest may know of the machine: gathered once, before the Sentry is confined.
public struct HostFacts: Sendable {
    /// Physical memory in bytes; what MemTotal shows for a container without a limit.
    public var totalMemory: UInt64 = 4 << 30
    /// Lines `name: value` of one processor in /proc/cpuinfo, without the numbers that count processors.
    public var processor: [(name: String, value: String)] = HostFacts.genericProcessor

    public init() {}

    private static let genericProcessor: [(name: String, value: String)] = [
        ("vendor_id", "GenuineIntel"), ("cpu family", "6"), ("model", "0"), ("model name", "Virtual CPU"), ("stepping", "0"),
        ("cpu MHz", "2000.000"), ("cache size", "1024 KB"), ("fpu", "yes"), ("fpu_exception", "yes"), ("cpuid level", "13"), ("wp", "yes"),
        ("flags", "fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx lm constant_tsc rep_good nopl cx16"), ("bugs", ""),
        ("bogomips", "4000.00"), ("clflush size", "64"), ("cache_alignment", "64"), ("address sizes", "46 bits physical, 48 bits virtual"),
        ("power management", ""),
    ]

    /// Reads the host's /proc/cpuinfo and /proc/meminfo. What cannot be read keeps a modest default.
    public static func gather() -> HostFacts {
        var facts = HostFacts()
        if let bytes = read("/proc/cpuinfo") {
            let lines = parse(cpuInformation: bytes)
            if !lines.isEmpty { facts.processor = lines }
        }
        if let bytes = read("/proc/meminfo"), let total = totalMemory(bytes) { facts.totalMemory = total }
        return facts
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let descriptor = try? HostCall.open(Array(path.utf8), flags: 0) else { return nil }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        // One processor's block is enough.
        while bytes.count < 32_768 {
            var span = buffer.mutableSpan
            guard let count = try? HostCall.read(descriptor.rawValue, into: &span), count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return bytes
    }

    /// The first processor's lines, without those that say which of how many it is.
    static func parse(cpuInformation bytes: [UInt8]) -> [(name: String, value: String)] {
        let counting = ["processor", "physical id", "siblings", "core id", "cpu cores", "apicid", "initial apicid"]
        var result: [(name: String, value: String)] = []
        for line in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
            if line.isEmpty { break }
            let parts = line.split(separator: 0x3a, maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            let name = trimmed(parts[0]), value = trimmed(parts[1])
            if !counting.contains(name) { result.append((name, value)) }
        }
        return result
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        func isBlank(_ b: UInt8) -> Bool { b == 0x20 || b == 0x09 }
        let front = bytes.drop(while: isBlank)
        let end = front.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? front.startIndex
        return String(decoding: front[front.startIndex..<end], as: UTF8.self)
    }

    static func totalMemory(_ bytes: [UInt8]) -> UInt64? {
        guard let line = bytes.split(separator: 0x0a).first(where: { $0.starts(with: "MemTotal:".utf8) }) else { return nil }
        let digits = line.filter { $0 >= 0x30 && $0 <= 0x39 }
        return UInt64(String(decoding: digits, as: UTF8.self)).map { $0 * 1024 }
    }
}

internal import Host
internal import Synchronization

/// A number that only grows. Adding to it is one atomic add.
public final class Counter: Sendable {
    /// Full name with labels, as Prometheus prints it: `nestbox_x_total{call="openat"}`.
    public let name: String
    let family: String
    let help: String
    let kind: String
    private let storage = Atomic<UInt64>(0)

    fileprivate init(family: String, labels: String, help: String, kind: String) {
        self.family = family
        self.help = help
        self.kind = kind
        name = labels.isEmpty ? family : "\(family){\(labels)}"
    }

    /// Adds `amount`; wraps after 2^64.
    @inline(__always) public func add(_ amount: UInt64 = 1) { storage.wrappingAdd(amount, ordering: .relaxed) }
    /// Subtracts; for gauges.
    @inline(__always) public func subtract(_ amount: UInt64 = 1) { storage.wrappingSubtract(amount, ordering: .relaxed) }
    /// Sets; for gauges.
    public func set(_ value: UInt64) { storage.store(value, ordering: .relaxed) }
    public var value: UInt64 { storage.load(ordering: .relaxed) }
}

/// The process's counters and gauges. Make them once, as `static let`, and keep them.
public enum Metrics {
    private static let all = Lock<[Counter]>([])
    /// Values that are computed when they are read.
    private static let sampled = Lock<[(family: String, help: String, read: @Sendable () -> UInt64)]>([])
    /// More than this many are not registered: a label made of guest data must not grow the process.
    public static let maximum = 4096

    /// A counter of that name and labels (`call="openat"`); by convention the name ends in `_total`.
    public static func counter(_ family: String, labels: String = "", help: String) -> Counter {
        register(family, labels, help, "counter")
    }

    /// A gauge: a number that goes up and down.
    public static func gauge(_ family: String, labels: String = "", help: String) -> Counter {
        register(family, labels, help, "gauge")
    }

    /// A gauge whose value `read` computes on demand.
    public static func sampledGauge(_ family: String, help: String, read: @escaping @Sendable () -> UInt64) {
        sampled.withLock { if $0.count < maximum { $0.append((family: family, help: help, read: read)) } }
    }

    private static func register(_ family: String, _ labels: String, _ help: String, _ kind: String) -> Counter {
        let counter = Counter(family: family, labels: labels, help: help, kind: kind)
        return all.withLock { all in
            if let existing = all.first(where: { $0.name == counter.name }) { return existing }
            if all.count < maximum { all.append(counter) }
            return counter
        }
    }

    /// Everything in the Prometheus text format, sorted by name.
    public static var prometheusText: String {
        var text = ""
        var last = ""
        for counter in all.withLock({ $0 }).sorted(by: { ($0.family, $0.name) < ($1.family, $1.name) }) {
            if counter.family != last {
                text += "# HELP \(counter.family) \(counter.help)\n# TYPE \(counter.family) \(counter.kind)\n"
                last = counter.family
            }
            text += "\(counter.name) \(counter.value)\n"
        }
        for gauge in sampled.withLock({ $0 }).sorted(by: { $0.family < $1.family }) {
            text += "# HELP \(gauge.family) \(gauge.help)\n# TYPE \(gauge.family) gauge\n\(gauge.family) \(gauge.read())\n"
        }
        return text
    }
}

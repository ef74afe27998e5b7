internal import Host
public import LinuxABI

/// What an armed fault point does.
public enum FaultAction: Sendable, Equatable {
    /// The operation fails with this errno.
    case error(Errno)
    /// The operation takes so much longer; done by the point itself.
    case delay(nanoseconds: UInt64)
    /// The operation is skipped as if it had been done.
    case drop
    /// The operation is done twice.
    case duplicate
    /// Only so many bytes of it are done.
    case truncate(Int)
    /// So many bits of its bytes are flipped.
    case flip(Int)
    /// The connection or descriptor is closed.
    case close
    /// The process ends at once with status 137; done by the point itself.
    case kill
    /// The thread stops for ever; done by the point itself.
    case stop
}

/// One line of a plan: at which hits of which point, what.
struct FaultRule: Sendable {
    enum Occasion: Sendable {
        case always
        /// The n-th hit, counting from 1.
        case hit(UInt64)
        /// From the n-th hit on.
        case from(UInt64)
        /// Each hit with this probability.
        case probability(Double)
    }
    let point: String
    let occasion: Occasion
    let action: FaultAction
    /// As it was written.
    let text: String
}

/// A seeded plan of faults, written as rules separated by newlines or semicolons:
///
///     seed=42; files.send@3:error=EIO; control.receive%0.1:delay=50ms; host.pread64@100+:error=ENOSPC; files.receive@9:kill
///
/// A rule is POINT, an occasion (`@N` the n-th hit, `@N+` from it on, `%P` with probability P, nothing: always), `:` and an action:
/// error=NAME, delay=TIME (us, ms, s), drop, duplicate, truncate=BYTES, flip=BITS, close, kill, stop. The same seed and the same hits
/// give the same faults.
public struct FaultPlan: Sendable {
    let seed: UInt64
    let rules: [FaultRule]
    /// As it was written, one rule a line.
    public var text: String { (["seed=\(seed)"] + rules.map(\.text)).joined(separator: "\n") }
    public var isEmpty: Bool { rules.isEmpty }

    /// Reads a plan.
    public init(parsing text: String) throws(SandboxError) {
        var seed: UInt64 = 0
        var rules: [FaultRule] = []
        for line in text.split(whereSeparator: { $0 == ";" || $0.isNewline }) {
            let line = line.filter { !$0.isWhitespace }
            if line.isEmpty { continue }
            if line.hasPrefix("seed=") {
                guard let value = UInt64(line.dropFirst(5)) else { throw Self.wrong(line, "the seed is a number") }
                seed = value
                continue
            }
            rules.append(try Self.rule(line))
            if rules.count > 256 { throw SandboxError(.invalidArgument, "a fault plan has at most 256 rules") }
        }
        self.seed = seed
        self.rules = rules
    }

    private static func wrong(_ line: String, _ what: String) -> SandboxError {
        SandboxError(.invalidArgument, "fault rule '\(line)': \(what)", hint: "POINT[@N|@N+|%P]:ACTION, for example files.send@3:error=EIO")
    }

    private static func rule(_ line: String) throws(SandboxError) -> FaultRule {
        guard let colon = line.firstIndex(of: ":") else { throw wrong(line, "no ':' before the action") }
        let head = line[..<colon]
        var point = String(head)
        var occasion = FaultRule.Occasion.always
        if let at = head.firstIndex(of: "@") {
            point = String(head[..<at])
            var count = head[head.index(after: at)...]
            let isFrom = count.hasSuffix("+")
            if isFrom { count = count.dropLast() }
            guard let value = UInt64(count), value > 0 else { throw wrong(line, "hits count from 1") }
            occasion = isFrom ? .from(value) : .hit(value)
        } else if let percent = head.firstIndex(of: "%") {
            point = String(head[..<percent])
            guard let value = Double(head[head.index(after: percent)...]), (0...1).contains(value) else {
                throw wrong(line, "a probability is from 0 to 1")
            }
            occasion = .probability(value)
        }
        if point.isEmpty { throw wrong(line, "no point") }
        return FaultRule(point: point, occasion: occasion, action: try action(String(line[line.index(after: colon)...]), line), text: line)
    }

    private static func action(_ text: String, _ line: String) throws(SandboxError) -> FaultAction {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        let value = parts.count > 1 ? parts[1] : ""
        switch parts.first {
        case "error":
            guard let errno = (1..<134).lazy.map({ Errno(rawValue: $0) }).first(where: { "\($0)" == value }) else {
                throw wrong(line, "unknown errno '\(value)'")
            }
            return .error(errno)
        case "delay":
            let units: [(String, UInt64)] = [("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000)]
            for (suffix, factor) in units where value.hasSuffix(suffix) {
                guard let count = UInt64(value.dropLast(suffix.count)), count <= 3600 * 1_000_000 else { continue }
                return .delay(nanoseconds: count.multipliedReportingOverflow(by: factor).partialValue)
            }
            throw wrong(line, "a delay is a number of us, ms or s")
        case "drop": return .drop
        case "duplicate": return .duplicate
        case "truncate":
            guard let count = Int(value), count >= 0 else { throw wrong(line, "truncate=BYTES") }
            return .truncate(count)
        case "flip":
            guard let count = Int(value), (1...1_000_000).contains(count) else { throw wrong(line, "flip=BITS") }
            return .flip(count)
        case "close": return .close
        case "kill": return .kill
        case "stop": return .stop
        default: throw wrong(line, "unknown action '\(text)'")
        }
    }
}

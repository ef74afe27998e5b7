internal import Host
internal import LinuxABI
internal import Synchronization

/// A place in the code where a fault can be made on purpose. Make it once, as `static let`.
///
///     private static let sending = FaultPoint("files.send", "before a frame is sent")
///     ...
///     if let fault = Self.sending.hit() { ... }
///
/// When nothing is armed a point costs one load and a branch. Delay, kill and stop are done by the point; the rest is for the caller,
/// who handles what makes sense there and ignores the others.
public struct FaultPoint: Sendable {
    public let name: String

    /// Registers the point under `name` ("component.place").
    public init(_ name: String, _ meaning: String) {
        self.name = name
        Faults.register(name, meaning)
    }

    /// Counts a hit; what the armed plan wants done here, if anything.
    @inline(__always) public func hit() -> FaultAction? {
        Faults.isArmed ? Faults.evaluate(name) : nil
    }
}

/// The fault plan of this process.
public enum Faults {
    private struct State {
        var plan: FaultPlan?
        /// Hits of each point since the plan was armed.
        var hits: [String: UInt64] = [:]
        /// One generator for each rule, so that other points' hits do not change what this one does.
        var generators: [SplitMix] = []
        /// Faults made, by rule.
        var made: [UInt64] = []
    }

    private static let armed = Atomic<Bool>(false)
    private static let state = Lock(State())
    private static let points = Lock<[String: String]>([:])

    @inline(__always) static var isArmed: Bool { armed.load(ordering: .relaxed) }

    static func register(_ name: String, _ meaning: String) {
        points.withLock { $0[name] = meaning }
    }

    /// Arms `plan` in place of the one before; an empty plan disarms.
    public static func arm(_ plan: FaultPlan) {
        state.withLock { state in
            state = State()
            guard !plan.isEmpty else { return }
            state.plan = plan
            for (index, rule) in plan.rules.enumerated() {
                let mixed = rule.point.utf8.reduce(plan.seed ^ UInt64(index) &* 0x9e37_79b9_7f4a_7c15) {
                    ($0 ^ UInt64($1)) &* 0x100_0000_01b3
                }
                state.generators.append(SplitMix(state: mixed))
                state.made.append(0)
            }
        }
        let hostCalls = Set(plan.rules.map(\.point).filter { $0.hasPrefix("host.") })
        if hostCalls.isEmpty {
            HostFaults.set(nil)
        } else {
            HostFaults.set { number in
                let name = "host.\(number)"
                guard hostCalls.contains(name), case .error(let errno)? = evaluate(name) else { return nil }
                return -Int(errno.rawValue)
            }
        }
        armed.store(!plan.isEmpty, ordering: .releasing)
        Log.warning(plan.isEmpty ? "faults are disarmed" : "faults are armed: \(plan.text)")
    }

    /// The armed plan with what it did so far, and all points, as text.
    public static var report: String {
        var text = state.withLock { state -> String in
            guard let plan = state.plan else { return "# no plan is armed\n" }
            var text = "seed=\(plan.seed)\n"
            for (index, rule) in plan.rules.enumerated() {
                text += "\(rule.text)\t# hits \(state.hits[rule.point] ?? 0), made \(state.made[index])\n"
            }
            return text
        }
        text += "# points (and host.CALL for any call through the host layer):\n"
        for (name, meaning) in points.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { text += "#   \(name): \(meaning)\n" }
        return text
    }

    @inline(never) static func evaluate(_ name: String) -> FaultAction? {
        let action = state.withLock { state -> FaultAction? in
            guard let plan = state.plan else { return nil }
            let hit = (state.hits[name] ?? 0) &+ 1
            state.hits[name] = hit
            for (index, rule) in plan.rules.enumerated() where rule.point == name {
                let applies: Bool
                switch rule.occasion {
                case .always: applies = true
                case .hit(let number): applies = hit == number
                case .from(let number): applies = hit >= number
                case .probability(let probability): applies = state.generators[index].nextFraction() < probability
                }
                if applies {
                    state.made[index] += 1
                    return rule.action
                }
            }
            return nil
        }
        guard let action else { return nil }
        switch action {
        case .delay(let nanoseconds):
            pause(nanoseconds)
            return nil
        case .kill: exitProcess(137)
        case .stop: while true { pause(3600 * 1_000_000_000) }
        default: return action
        }
    }

    private static func pause(_ nanoseconds: UInt64) {
        // A parker that nobody wakes: the host call itself may be under a plan.
        _ = Parker().park(deadline: HostClock.monotonic &+ nanoseconds)
    }

    /// Flips `count` bits of `bytes` at places that the armed plan's seed decides.
    public static func flip(_ count: Int, in bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        var generator = SplitMix(state: state.withLock { $0.plan?.seed ?? 0 } ^ UInt64(bytes.count))
        for _ in 0..<count {
            let value = generator.next()
            bytes[Int(value % UInt64(bytes.count))] ^= 1 << UInt8(value >> 61)
        }
    }
}

/// Sebastiano Vigna's SplitMix64: small, seedable, the same everywhere.
struct SplitMix: Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// From 0 up to, not including, 1.
    mutating func nextFraction() -> Double { Double(next() >> 11) / Double(UInt64(1) << 53) }
}

import Host

/// The load averages of /proc/loadavg, from processor time.
///
/// Linux looks every five seconds how many tasks are runnable. Nothing here wakes up for that: when somebody asks, the processor time used since
/// the last time tells how many tasks ran on average, and the averages decay for as many steps of five seconds as have passed. A task that waits
/// for a processor does not count as one that runs.
public final class LoadAverage: Sendable {
    private struct State {
        var time: UInt64
        var used: UInt64 = 0
        /// With 11 binary digits after the point, as Linux keeps them.
        var averages: InlineArray<3, UInt64> = [0, 0, 0]
    }
    private let state: Lock<State>
    /// 1.0
    private static let one: UInt64 = 2048
    /// What is left of an average of 1, 5 and 15 minutes after one step: 2048 / exp(5 s / the time).
    private static let decays: InlineArray<3, UInt64> = [1884, 2014, 2037]
    private static let step: UInt64 = 5_000_000_000

    /// `start`: CLOCK_MONOTONIC, in nanoseconds.
    public init(start: UInt64) { state = Lock(State(time: start)) }

    /// The averages in hundredths at `now`, when `used` nanoseconds of processor time have been used since the start.
    public func averages(now: UInt64, used: UInt64) -> InlineArray<3, UInt64> {
        state.withLock { state in
            let steps = now > state.time ? (now - state.time) / Self.step : 0
            if steps > 0 {
                let interval = steps &* Self.step
                let ran = used > state.used ? used - state.used : 0
                let (high, low) = min(ran, interval &* 4096).multipliedFullWidth(by: Self.one)
                let active = interval.dividingFullWidth((high, low)).quotient
                for index in 0..<3 {
                    let left = Self.power(Self.decays[index], steps)
                    state.averages[index] = (state.averages[index] &* left &+ active &* (Self.one - left)) / Self.one
                }
                state.time &+= interval
                state.used = max(used, state.used)
            }
            var hundredths: InlineArray<3, UInt64> = [0, 0, 0]
            for index in 0..<3 { hundredths[index] = (state.averages[index] &* 100 &+ Self.one / 2) / Self.one }
            return hundredths
        }
    }

    /// `base` (below 1.0) to the power of `exponent`.
    private static func power(_ base: UInt64, _ exponent: UInt64) -> UInt64 {
        var result = one, factor = base, rest = exponent
        while rest > 0, result > 0 {
            if rest & 1 != 0 { result = result &* factor / one }
            factor = factor &* factor / one
            rest >>= 1
        }
        return result
    }
}

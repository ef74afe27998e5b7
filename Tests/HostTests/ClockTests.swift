import Testing

@testable import Host

@Suite struct ClockTests {
    @Test func ticksHaveTheLengthThatTheClockTells() {
        HostClock.startTicks()
        let time = HostClock.monotonic, ticks = HostClock.ticks
        while HostClock.monotonic < time + 2_000_000 {}
        let passed = HostClock.nanoseconds(ofTicks: HostClock.ticks - ticks), real = HostClock.monotonic - time
        // The thread may lose its processor between two looks.
        #expect(passed >= 1_900_000)
        #expect(passed <= real + real / 10)
        #expect(HostClock.nanoseconds(ofTicks: 0) == 0)
        #expect(HostClock.nanoseconds(ofTicks: .max) > real)
    }
}

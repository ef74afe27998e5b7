import Diagnostics
import Synchronization
import Testing

@Suite struct TimelineTests {
    @Test func keepsStepsUntilItIsComplete() {
        let timeline = Timeline()
        let told = Counter()
        timeline.mark("first")
        timeline.whenComplete { told.value.wrappingAdd(1, ordering: .relaxed) }
        #expect(told.value.load(ordering: .relaxed) == 0)
        timeline.complete("second")
        timeline.mark("of something else")
        timeline.complete("of something else")
        #expect(timeline.marks.map(\.step) == ["first", "second"])
        #expect(timeline.marks[0].time <= timeline.marks[1].time)
        #expect(told.value.load(ordering: .relaxed) == 1)
        timeline.whenComplete { told.value.wrappingAdd(1, ordering: .relaxed) }
        #expect(told.value.load(ordering: .relaxed) == 2)
    }

    @Test func isBounded() {
        let timeline = Timeline()
        for number in 0..<1000 { timeline.mark("\(number)") }
        #expect(timeline.marks.count == Timeline.maximum)
    }

    private final class Counter: Sendable { let value = Atomic<Int>(0) }
}

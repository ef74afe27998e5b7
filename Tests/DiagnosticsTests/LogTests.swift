import Testing

@testable import Diagnostics

@Suite struct LogTests {
    @Test func textLinesCannotBeForged() {
        let line = Log.render(
            .text, .warning, "name \n2026 error: forged", [(name: "path", value: "a\nb")], component: "sentry", sandbox: "c1",
            nanoseconds: 1_790_000_000_123_456_789)
        #expect(
            String(decoding: line, as: UTF8.self)
                == "2026-09-21T14:13:20.123456Z warning sentry[c1]: name ?2026 error: forged path=\"a\\nb\"\n")
    }

    @Test func jsonHasTheNamesThatEnginesRead() {
        let line = Log.render(.json, .error, "it \"broke\"", [], component: "nestbox", sandbox: "", nanoseconds: 0)
        #expect(
            String(decoding: line, as: UTF8.self)
                == "{\"level\":\"error\",\"msg\":\"it \\\"broke\\\"\",\"time\":\"1970-01-01T00:00:00.000000Z\",\"component\":\"nestbox\"}\n"
        )
    }

    @Test func metricsArePrometheusText() {
        let counter = Metrics.counter("test_things_total", labels: "kind=\"a\"", help: "Things.")
        counter.add(3)
        #expect(Metrics.counter("test_things_total", labels: "kind=\"a\"", help: "Things.") === counter)
        #expect(
            Metrics.prometheusText.contains(
                "# HELP test_things_total Things.\n# TYPE test_things_total counter\ntest_things_total{kind=\"a\"} 3\n"))
    }
}

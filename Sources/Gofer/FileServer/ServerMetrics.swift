internal import Diagnostics

/// What `/v1/metrics` and `/v1/descriptors` tell of the file server.
enum ServerMetrics {
    static let handles = Metrics.gauge("nestbox_gofer_handles", help: "Files that clients hold.")
    static let descriptors = Metrics.gauge("nestbox_gofer_descriptors", help: "Descriptors that are open for them.")
    static let opened = Metrics.counter(
        "nestbox_gofer_opened_total", help: "Descriptors that were opened because a request needed one that was not held.")
}

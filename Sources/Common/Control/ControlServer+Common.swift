internal import Diagnostics

/// The endpoints that every component has.
extension ControlServer {
    func registerCommon(_ version: VersionReport, allowFaults: Bool) {
        report("/v1/version") { version }
        report("/v1/timeline") { TimelineReport(component: version.component) }
        on(.get, "/v1/metrics") { _, reply in
            reply.succeed(text: Metrics.prometheusText, type: "text/plain; version=0.0.4; charset=utf-8")
        }
        on(.get, "/v1/faults") { _, reply in reply.succeed(text: Faults.report) }
        on(.post, "/v1/faults") { request, reply throws(SandboxError) in
            guard allowFaults else {
                throw SandboxError(.permissionDenied, "faults are not allowed here", hint: "start the sandbox with --allow-faults")
            }
            Faults.arm(try FaultPlan(parsing: request.text))
            reply.succeed(text: Faults.report)
        }
        on(.post, "/v1/log") { request, reply throws(SandboxError) in
            let word = request.text.filter { !$0.isWhitespace }
            guard let level = Log.Level(name: word) else {
                throw SandboxError(.invalidArgument, "unknown log level '\(word)'", hint: "trace, debug, info, warning, error, none")
            }
            Log.level = level
            reply.succeed()
        }
    }
}

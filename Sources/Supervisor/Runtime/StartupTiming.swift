internal import Control
internal import Diagnostics
internal import Host
internal import Wire

/// `--timing`: where the time of a start-up went, in this process, the Gofer and the Sentry, told on standard error once everything else is done.
struct StartupTiming {
    private var gofer = TimelineReport()
    private let sentry: ControlClient
    private let call: ControlClient.Call

    /// Nanoseconds that an answer may take.
    private static let patience: UInt64 = 5_000_000_000

    /// Asks both components of the container whose state directory is `directory`; before its program starts, which may be over in a millisecond.
    /// `starts`: the Sentry answers once the program runs, otherwise at once.
    init(directory: String, starts: Bool) throws(SandboxError) {
        gofer = try ComponentClient(directory: directory, .gofer).client.get("/v1/timeline", timeout: Self.patience)
        sentry = try ComponentClient(directory: directory, .sentry).client
        call = try sentry.begin(.get, starts ? "/v1/timeline/complete" : "/v1/timeline")
        Timeline.startup.mark("ask for the timelines")
    }

    /// Waits for the Sentry's answer, and prints. Its failure is told and fails nothing else.
    consuming func print(_ format: Log.Format) {
        var reports = [TimelineReport(component: "supervisor"), gofer]
        do throws(SandboxError) {
            let response = try sentry.wait(call, timeout: Self.patience)
            do { reports.append(try TimelineReport(decoding: response.body)) } catch {
                throw SandboxError(.protocolViolation, "the sentry's timeline is malformed: \(error)")
            }
        } catch {
            Log.warning("no timeline of the sentry: \(error)")
        }
        let rows = TimelineRow.merge(reports)
        let text = format == .json ? TimelineRow.json(rows) : TimelineRow.text(rows)
        _ = try? HostCall.writeAll(2, Array(text.utf8).span)
    }
}

/// One step of the start-up of one component.
struct TimelineRow: Equatable {
    var component: String
    var step: String
    /// Its end, in nanoseconds since the first mark of the Supervisor.
    var end: Int64
    /// Nanoseconds since the component's step before; for a component's first, since the Supervisor has started it.
    var duration: Int64

    /// The steps of all components in the order of their ends; the first report is the Supervisor's.
    static func merge(_ reports: [TimelineReport]) -> [TimelineRow] {
        guard let supervisor = reports.first, let begin = supervisor.steps.first?.time else { return [] }
        var rows: [TimelineRow] = []
        for report in reports {
            let execution = supervisor.steps.first { $0.step == "start the \(report.component)" }
            var previous = execution?.time ?? report.steps.first?.time ?? begin
            for step in report.steps {
                rows.append(
                    TimelineRow(
                        component: report.component, step: step.step, end: Int64(clamping: step.time) &- Int64(clamping: begin),
                        // A process may be in its main before its parent has run again.
                        duration: max(0, Int64(clamping: step.time) &- Int64(clamping: previous))))
                previous = step.time
            }
        }
        // Stable for equal times: the order of the reports.
        return rows.enumerated().sorted { ($0.element.end, $0.offset) < ($1.element.end, $1.offset) }.map(\.element)
    }

    static func text(_ rows: [TimelineRow]) -> String {
        func milliseconds(_ nanoseconds: Int64) -> String {
            let hundredths = (nanoseconds + 5000) / 10_000
            let fraction = String(abs(hundredths) % 100)
            let text = "\(hundredths / 100).\(fraction.utf8.count < 2 ? "0" : "")\(fraction)"
            return String(repeating: " ", count: max(0, 8 - text.utf8.count)) + text
        }
        var text = "start-up in milliseconds: when each step ended, and how long it took\n"
        for row in rows {
            let pad = String(repeating: " ", count: max(1, 12 - row.component.utf8.count))
            text += "\(milliseconds(row.end)) \(milliseconds(row.duration))  \(row.component)\(pad)\(row.step)\n"
        }
        return text
    }

    /// One line: `{"timeline":[{"component":...,"step":...,"end":ns,"duration":ns},...]}`.
    static func json(_ rows: [TimelineRow]) -> String {
        let entries = rows.map { row in
            "{\"component\":\(JSONText.quoted(row.component)),\"step\":\(JSONText.quoted(row.step)),"
                + "\"end\":\(row.end),\"duration\":\(row.duration)}"
        }
        return "{\"timeline\":[" + entries.joined(separator: ",") + "]}\n"
    }
}

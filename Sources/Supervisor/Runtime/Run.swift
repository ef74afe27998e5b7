internal import Control
public import Diagnostics
internal import Host
internal import LinuxABI
public import SupervisorOCI

extension ContainerRuntime {
    /// `run`: create, start, wait, delete. The result is the program's status.
    public func run(_ request: CreateRequestOptions, detach: Bool, keep: Bool) throws(SandboxError) -> Int32 {
        try requireRoot()
        var plan = try plan(request)
        try chooseTerminal(&plan, detached: detach)
        if detach {
            let record = try make(plan)
            let timing: StartupTiming?
            do throws(SandboxError) {
                timing = try self.timing(plan, starts: true)
                try start(record.identifier)
            } catch {
                try? delete(record.identifier, force: true)
                throw error
            }
            timing?.print(settings.logFormat)
            return 0
        }
        return try runInForeground(plan, keep: keep)
    }

    /// Makes, starts and waits, with this process's terminal and signals passed on.
    func runInForeground(_ plan: CreationPlan, keep: Bool) throws(SandboxError) -> Int32 {
        let foreground = try Foreground()
        let terminal = plan.terminal == .own ? (Int32(0)...2).first { HostCall.isTerminal($0) } : nil
        let console = TerminalGuard(terminal)
        let record = try make(plan)
        let status: Int32
        let timing: StartupTiming?
        do throws(SandboxError) {
            if foreground.isInterrupted { throw SandboxError(.unavailable, "interrupted by a signal") }
            let process = try hostCall("watch the sentry") { () throws(Errno) in try HostCall.openProcess(record.sentry.processID) }
            timing = try self.timing(plan, starts: true)
            console.makeRaw()
            try start(record.identifier)
            Timeline.startup.mark("start")
            // Process 1 ends with this process, however that ends, if nobody else could know of it.
            let carrier = plan.endsWithCreator ? try ComponentClient(directory: store.directory(record.identifier), .sentry).client : nil
            _ = try carrier?.begin("/v1/wait", TaskReference(container: record.identifier, pid: 1))
            defer { withExtendedLifetime(carrier) {} }
            foreground.wait(
                for: process.rawValue, container: record.identifier, pid: 0, terminal: terminal,
                directory: store.directory(record.identifier))
            let ended = try hostCall("wait for the sentry") { () throws(Errno) in try HostCall.waitForChild(record.sentry.processID) }
            Timeline.startup.mark("program and sentry ended")
            console.restore()
            status = conclude(record, ended)
        } catch {
            console.restore()
            try? delete(record.identifier, force: true)
            throw error
        }
        if !keep {
            try delete(record.identifier, force: true)
            Timeline.startup.mark("deleted")
        }
        timing?.print(settings.logFormat)
        return status
    }

    /// The program's status. When the sandbox itself broke, says so.
    private func conclude(_ record: ContainerRecord, _ ended: ChildStatus) -> Int32 {
        var exit = ExitRecord.read(record, store: store)
        if exit.reason == .sentryDied { exit.reason = ended.exitCode == nil ? ExitRecord.reason(for: ended) : .exited }
        switch exit.reason {
        case .exited, .signaled, .killRequested: break
        default:
            Log.error("container \(record.identifier): \(exit.summary.reason)")
            if settings.logPath == nil, settings.logLevel > .debug, let text = HostFile.text(store.directory(record.identifier) + "/log"),
                !text.isEmpty
            {
                let tail = text.split(separator: "\n").suffix(20).joined(separator: "\n") + "\n"
                _ = try? HostCall.writeAll(2, Array(tail.utf8).span)
            }
        }
        return ended.shellStatus
    }
}

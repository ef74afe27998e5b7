internal import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI

/// Runs the programs that a configuration wants run at points of a container's life.
enum Hooks {
    /// Runs `hooks` one after the other, each with the container's state on standard input. The first that fails ends it.
    static func run(_ hooks: [HookSpec], kind: String, state: StateDocument, networkNamespace: Int32? = nil) throws(SandboxError) {
        if hooks.isEmpty { return }
        let document = Array(state.json.text().utf8)
        for (index, hook) in hooks.enumerated() {
            try run(hook, name: "\(kind) hook #\(index) (\(hook.path))", document: document, networkNamespace: networkNamespace)
        }
    }

    private static func run(_ hook: HookSpec, name: String, document: [UInt8], networkNamespace: Int32?) throws(SandboxError) {
        guard let (status, output) = try execute(hook, name: name, document: document, networkNamespace: networkNamespace) else {
            throw SandboxError(.hostFailure, "error running \(name): hook ran past specified timeout of \(hook.timeout ?? 0)s")
        }
        if status.exitCode == 0 { return }
        let what = status.exitCode.map { "exit status \($0)" } ?? "signal \(status.signal ?? 0)"
        let text = String(decoding: output, as: UTF8.self).split(separator: "\n").joined(separator: "; ")
        throw SandboxError(.hostFailure, "error running \(name): \(what), output: \(text)")
    }

    private static func descriptor<Value: ~Copyable>(
        _ name: String, _ path: String, _ body: () throws(Errno) -> Value
    ) throws(SandboxError) -> Value {
        do throws(Errno) { return try body() } catch {
            throw SandboxError(
                .hostFailure, "error running \(name): fork/exec \(path): \(error.text)", hint: "the path of a hook is a program on the host"
            )
        }
    }

    /// Starts the hook, feeds it, reads what it prints (the first 8 KiB are kept), and waits. Nil when it ran past its time and was killed.
    private static func execute(
        _ hook: HookSpec, name: String, document: [UInt8], networkNamespace: Int32?
    ) throws(SandboxError) -> (ChildStatus, [UInt8])? {
        let program = try descriptor(name, hook.path) { () throws(Errno) in
            try HostCall.open(Array(hook.path.utf8), flags: OpenFlag.O_PATH)
        }
        let input = try descriptor(name, hook.path) { () throws(Errno) in try HostCall.socketPair() }
        let output = try descriptor(name, hook.path) { () throws(Errno) in try HostCall.socketPair() }
        var request = SpawnRequest(executable: program.rawValue)
        request.arguments = (hook.arguments.isEmpty ? [hook.path] : hook.arguments).map { Array($0.utf8) }
        request.environment = hook.environment.map { Array($0.utf8) }
        request.descriptors = [input.second.rawValue, output.second.rawValue, output.second.rawValue]
        request.networkNamespace = networkNamespace
        var pid: Int32 = 0
        do throws(SpawnError) {
            let child = try HostSpawn.start(request)
            pid = child.pid
            try child.proceed()
        } catch {
            throw SandboxError(.hostFailure, "error running \(name): \(error.step): \(error.errno.text)")
        }
        let process = (try? HostCall.openProcess(pid).release()).map { SharedDescriptor(OwnedDescriptor(adopting: $0)) }
        // The pair's far ends belong to the child alone now, so that its end is seen.
        let feed = input.takeFirst()
        let drain = output.takeFirst()
        // A hook that does not read its input is no error; the document fits the socket's buffer, or the rest is dropped.
        _ = try? HostCall.send(feed.rawValue, document.span, flags: 0x40 /* MSG_DONTWAIT */)
        _ = HostCall.raw(.shutdown, Int(feed.rawValue), 1 /* SHUT_WR */)
        var kept: [UInt8] = []
        let start = HostClock.monotonic
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            var left: Int32 = -1
            if let timeout = hook.timeout {
                let elapsed = Int((HostClock.monotonic &- start) / 1_000_000)
                let (milliseconds, overflow) = timeout.multipliedReportingOverflow(by: 1000)
                left = overflow ? -1 : Int32(clamping: max(0, milliseconds - elapsed))
            }
            let ready = (try? HostCall.pollReadable([drain.rawValue, process?.rawValue ?? -1], milliseconds: left)) ?? [false, true]
            if ready[0] {
                var span = buffer.mutableSpan
                let count = (try? HostCall.read(drain.rawValue, into: &span)) ?? 0
                if kept.count < 8192 { kept += buffer.prefix(count) }
                if count > 0 { continue }
            }
            if ready[0] || ready[1] { break }
            if process == nil { break }
            try? HostCall.kill(pid, 9)
            _ = try? HostCall.waitForChild(pid)
            return nil
        }
        guard let status = try? HostCall.waitForChild(pid) else { return nil }
        return (status, kept)
    }
}

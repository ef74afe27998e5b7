internal import Control
internal import Diagnostics
internal import Host
internal import LinuxABI
internal import SupervisorOCI
internal import Wire

extension ContainerRuntime {
    /// Runs the startContainer hooks: programs of the container's own file system, inside the sandbox, before the container's program.
    func runGuestHooks(_ record: ContainerRecord) throws(SandboxError) {
        if record.startContainer.isEmpty { return }
        var state = StateDocument(
            identifier: record.identifier, status: .created, processID: 1, bundle: record.bundle, annotations: record.annotations)
        state.rootfs = ""
        let document = Array(state.json.text().utf8)
        for (index, hook) in record.startContainer.enumerated() {
            try run(hook, name: "startContainer hook #\(index) (\(hook.path))", document: document, record: record)
        }
    }

    private func run(_ hook: HookSpec, name: String, document: [UInt8], record: ContainerRecord) throws(SandboxError) {
        var process = ProcessSpec()
        // The program is the path; what it is told its name is comes from args, as far as the Sentry's exec can tell them apart.
        process.arguments = [hook.path] + hook.arguments.dropFirst()
        process.environment = hook.environment
        process.capabilities = record.process.capabilities
        var notes: [String] = []
        var specification = ExecSpecification()
        specification.container = record.identifier
        specification.process = try Translation.process(process, seccomp: nil, notes: &notes)
        let input = try hostCall("make a socket pair") { () throws(Errno) in try HostCall.socketPair() }
        let null = try hostCall("open /dev/null") { () throws(Errno) in try HostCall.open(Array("/dev/null".utf8), flags: OpenFlag.O_RDWR) }
        _ = try? HostCall.send(input.first.rawValue, document.span, flags: 0x40 /* MSG_DONTWAIT */)
        _ = HostCall.raw(.shutdown, Int(input.first.rawValue), 1 /* SHUT_WR */)
        specification.descriptors = [
            DescriptorAssignment(.guest, number: 0), DescriptorAssignment(.guest, number: 1), DescriptorAssignment(.guest, number: 2),
        ]
        let client = try ComponentClient(directory: store.directory(record.identifier), .sentry)
        let report: ExitReport
        do throws(SandboxError) {
            let task: TaskReference = try client.post(
                "/v1/exec", specification, descriptors: [input.second.rawValue, null.rawValue, null.rawValue])
            let call = try client.client.begin("/v1/wait", task)
            let timeout = hook.timeout.map { UInt64($0).multipliedReportingOverflow(by: 1_000_000_000) }.flatMap {
                $0.overflow ? nil : $0.partialValue
            }
            let response = try client.client.wait(call, timeout: timeout)
            do { report = try ExitReport(decoding: response.body) } catch {
                throw SandboxError(.protocolViolation, "the sentry answered /v1/wait with what is no report: \(error)")
            }
        } catch {
            throw SandboxError(error.code, "error running \(name): \(error.message)", hint: error.hint)
        }
        if report.status != 0 { throw SandboxError(.hostFailure, "error running \(name): exit status \(report.status)") }
    }
}

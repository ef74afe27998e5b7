internal import Control
public import Diagnostics
internal import Host
internal import LinuxABI
public import SupervisorOCI

/// The verbs that act on a container which exists.
extension ContainerRuntime {
    private func client(_ identifier: String) throws(SandboxError) -> ComponentClient {
        try ComponentClient(directory: store.directory(identifier), .sentry)
    }

    /// `start`: lets the program run.
    public func start(_ identifier: String) throws(SandboxError) {
        try requireRoot()
        _ = try store.load(identifier)
        let lock = try store.lock(identifier)
        defer { _ = lock.rawValue }
        var observed = try observe(identifier)
        try Lifecycle.require(.start, of: identifier, in: observed.status)
        do throws(SandboxError) {
            try runGuestHooks(observed.record)
        } catch {
            // The specification: an error, and the container is stopped.
            HostProcess.killAndWait(observed.record.sentry)
            throw error
        }
        let client = try client(identifier)
        let _: TaskReference = try client.post("/v1/start", ContainerReference(identifier))
        observed.record.phase = .started
        try store.save(observed.record)
        do throws(SandboxError) {
            var state = document(observed)
            state.status = .running
            try Hooks.run(observed.record.poststart, kind: "poststart", state: state)
        } catch {
            HostProcess.killAndWait(observed.record.sentry)
            throw error
        }
    }

    /// `kill`: sends a signal to the first process, or to all.
    public func kill(_ identifier: String, signal: Int32, all: Bool) throws(SandboxError) {
        let observed = try observe(identifier)
        // A container that a pod's engine cleans up with --all has often ended by itself.
        try Lifecycle.require(.kill, of: identifier, in: observed.status)
        do throws(SandboxError) {
            try client(identifier).post(
                "/v1/signal", SignalRequest(container: identifier, target: all ? .all : .process, signal: UInt32(signal)))
        } catch {
            // It may have ended meanwhile; a Sentry that does not answer still obeys the host's SIGKILL.
            if !HostProcess.isAlive(observed.record.sentry) { throw SandboxError(.wrongState, "container not running") }
            if signal == 9, error.code == .unavailable {
                Log.warning("the sentry of container \(identifier) does not answer (\(error)): killing it")
                HostProcess.killAndWait(observed.record.sentry)
                return
            }
            if error.code == .notFound || error.code == .wrongState { throw SandboxError(.wrongState, "container not running") }
            throw error
        }
    }

    /// `delete`: removes everything. With `force` it always ends with nothing left, whatever the state, and a missing container is no error.
    public func delete(_ identifier: String, force: Bool) throws(SandboxError) {
        try requireRoot()
        let observed: Observed
        do throws(SandboxError) {
            observed = try observe(identifier)
        } catch {
            if !force { throw error }
            if error.code == .invalidArgument { throw error }
            // Nothing readable is left to follow: the directory goes, and with it whatever a broken creation has left there.
            if error.code != .notFound { Log.warning("deleting container \(identifier): \(error)") }
            if HostFile.exists(store.directory(identifier)) { store.remove(identifier) }
            return
        }
        if !force { try Lifecycle.require(.delete, of: identifier, in: observed.status) }
        let lock = try? store.lock(identifier).release()
        defer { if let lock { _ = OwnedDescriptor(adopting: lock) } }
        tearDown(observed.record)
        do throws(SandboxError) {
            var state = document(observed)
            state.status = .stopped
            state.processID = 0
            try Hooks.run(observed.record.poststop, kind: "poststop", state: state)
        } catch {
            // The specification: log it, and go on as if the hook had succeeded.
            Log.warning("\(error)")
        }
        store.remove(identifier)
    }

    /// Ends the processes and removes the cgroups. The Gofer leaves by itself when the Sentry has gone; it is waited for, then killed.
    func tearDown(_ record: ContainerRecord) {
        HostProcess.killAndWait(record.sentry)
        if let gofer = HostProcess.open(record.gofer) {
            let gone = ((try? HostCall.waitReadable([gofer.rawValue], milliseconds: 1000)) ?? nil) != nil
            if !gone { HostProcess.killAndWait(record.gofer) }
        }
        let cgroup = Cgroup(
            directories: record.cgroupDirectories.map { .init(path: $0.path, controllers: $0.controllers, isUnified: $0.isUnified) })
        cgroup.remove(made: record.cgroupMade)
    }

    /// `pause`: stops all tasks of the container, in the Sentry.
    public func pause(_ identifier: String) throws(SandboxError) { try change(identifier, .pause, "/v1/pause", .paused) }

    /// `resume`.
    public func resume(_ identifier: String) throws(SandboxError) { try change(identifier, .resume, "/v1/resume", .started) }

    private func change(_ identifier: String, _ operation: LifecycleOperation, _ path: String, _ phase: ContainerRecord.Phase)
        throws(SandboxError)
    {
        _ = try store.load(identifier)
        let lock = try store.lock(identifier)
        defer { _ = lock.rawValue }
        var observed = try observe(identifier)
        try Lifecycle.require(operation, of: identifier, in: observed.status)
        try client(identifier).post(path, ContainerReference(identifier))
        observed.record.phase = phase
        try store.save(observed.record)
    }

    /// `update`: changes limits, in the cgroups, the memory file system and the Sentry.
    public func update(_ identifier: String, _ change: ResourcesSpec) throws(SandboxError) {
        try requireRoot()
        _ = try store.load(identifier)
        let lock = try store.lock(identifier)
        defer { _ = lock.rawValue }
        var observed = try observe(identifier)
        try Lifecycle.require(.update, of: identifier, in: observed.status)
        let record = observed.record
        let cgroup = Cgroup(
            directories: record.cgroupDirectories.map { .init(path: $0.path, controllers: $0.controllers, isUnified: $0.isUnified) })
        var request = UpdateRequest()
        request.container = identifier
        request.resources = Translation.resources(change, hostMemory: RuntimeEnvironment.host().memory)
        if let limit = change.memory.limit, limit != 0 {
            let memory = RuntimeEnvironment.host().memory
            try resizeMemory(record, limit > 0 ? min(UInt64(limit), memory) : memory)
            if limit < 0 { request.resources.memoryLimit = .max }
        }
        if let limit = change.pidsLimit, limit < 0 { request.resources.pidsLimit = .max }
        try cgroup.apply(change)
        try client(identifier).post("/v1/update", request)
        observed.record.resources.merge(change)
        try store.save(observed.record)
    }

    /// Finds the memory file system among the Sentry's descriptors, and changes its size.
    private func resizeMemory(_ record: ContainerRecord, _ size: UInt64) throws(SandboxError) {
        guard let root = record.memoryRoot else { return }
        let directory = "/proc/\(record.sentry.processID)/fd"
        for name in (try? HostFile.names(directory)) ?? [] {
            let path = Array("\(directory)/\(name)".utf8)
            guard let file = try? HostCall.statx(at: AtFlag.AT_FDCWD, path, flags: 0), file.stx_ino == root.inode,
                UInt64(file.stx_dev_major) << 32 | UInt64(file.stx_dev_minor) == root.device
            else { continue }
            do throws(Errno) {
                try TemporaryFileSystem.resize(path: path, size: size)
                return
            } catch {
                if error == .EINVAL {
                    throw SandboxError(
                        .invalidArgument, "the container uses more memory than the new limit of \(size) bytes",
                        hint: "free memory in it first")
                }
                throw SandboxError(.hostFailure, "resize the memory of container \(record.identifier): \(error.text)")
            }
        }
        throw SandboxError(
            .unavailable,
            "the memory limit of container \(record.identifier) cannot be changed: its sentry does not hold the memory file system")
    }

    /// `wait`: returns the exit status once the container has stopped.
    public func wait(_ identifier: String) throws(SandboxError) -> Int32 {
        let observed = try observe(identifier)
        if let process = HostProcess.open(observed.record.sentry) {
            _ = try? HostCall.waitReadable([process.rawValue])
        }
        return ExitRecord.read(observed.record, store: store).status
    }

    // MARK: - Looking

    /// The host's processes of the container.
    public func hostProcesses(_ identifier: String) throws(SandboxError) -> [Int32] {
        let observed = try observe(identifier)
        if observed.status == .stopped { return [] }
        let cgroup = Cgroup(
            directories: observed.record.cgroupDirectories.map {
                .init(path: $0.path, controllers: $0.controllers, isUnified: $0.isUnified)
            })
        let inside = cgroup.processes()
        return inside.isEmpty ? [observed.record.sentry.processID] : inside
    }

    /// One process as the guest sees it.
    public struct GuestProcess: Sendable {
        public var userID: UInt32
        public var processID: Int32
        public var parent: Int32
        public var group: Int32
        public var session: Int32
        public var state: String
        public var terminal: String
        /// CPU time, hours:minutes:seconds.
        public var time: String
        public var residentKilobytes: UInt64
        public var command: String
    }

    /// The guest's processes, by number. Threads are left out.
    public func guestProcesses(_ identifier: String) throws(SandboxError) -> [GuestProcess] {
        let observed = try observe(identifier)
        if observed.status == .stopped { throw SandboxError(.wrongState, "container not running") }
        let list = try client(identifier).client.get("/v1/tasks", returning: TaskList.self, timeout: ComponentClient.patience)
        return list.tasks.filter { $0.container == identifier && $0.pid == $0.tid }.sorted { $0.pid < $1.pid }.map { task in
            let seconds = task.cpuTime / 1_000_000_000
            func pad(_ value: UInt64) -> String { value < 10 ? "0\(value)" : String(value) }
            return GuestProcess(
                userID: task.uid, processID: task.pid, parent: task.parent, group: task.group, session: task.session,
                state: String(Character(Unicode.Scalar(task.state))), terminal: String(decoding: task.terminal, as: UTF8.self),
                time: "\(pad(seconds / 3600)):\(pad(seconds / 60 % 60)):\(pad(seconds % 60))", residentKilobytes: task.residentSize >> 10,
                command: String(decoding: task.command.isEmpty ? task.name : task.command, as: UTF8.self))
        }
    }

    /// `events --stats`: one record in runc's form.
    public func statistics(_ identifier: String) throws(SandboxError) -> JSON {
        let observed = try observe(identifier)
        if observed.status == .stopped { throw SandboxError(.wrongState, "container not running") }
        let list = try client(identifier).client.get("/v1/containers", returning: ContainerList.self, timeout: ComponentClient.patience)
        guard let entry = list.containers.first(where: { $0.id == identifier }) else {
            throw SandboxError(.wrongState, "container not running")
        }
        let limit = observed.record.resources.memory.limit ?? 0
        return .object([
            .init("type", .string("stats")),
            .init("id", .string(identifier)),
            .init(
                "data",
                .object([
                    .init("cpu", .object([.init("usage", .object([.init("total", .integer(entry.cpuTime))]))])),
                    .init(
                        "memory",
                        .object([
                            .init(
                                "usage",
                                .object([
                                    .init("limit", .integer(limit > 0 ? UInt64(limit) : RuntimeEnvironment.host().memory)),
                                    .init("usage", .integer(entry.memory)), .init("max", .integer(entry.memoryPeak)),
                                    .init("failcnt", .integer(entry.outOfMemoryKills)),
                                ]))
                        ])),
                    .init(
                        "pids",
                        .object([
                            .init("current", .integer(entry.tasks)), .init("limit", .integer(observed.record.resources.pidsLimit ?? 0)),
                        ])),
                ])),
        ])
    }

    /// `events`: calls `line` with one JSON object an event until the container has ended.
    public func events(_ identifier: String, _ line: (String) -> Void) throws(SandboxError) {
        let observed = try observe(identifier)
        if observed.status == .stopped { throw SandboxError(.wrongState, "container not running") }
        let client = try client(identifier).client
        let call = try client.begin(.get, "/v1/events")
        while true {
            guard let records = try client.takeRecords(call, of: EventRecord.self) else { return }
            for record in records where record.container == identifier {
                var members: [JSON.Member] = [
                    .init("type", .string(String(describing: record.kind))), .init("id", .string(record.container)),
                    .init("time", .string(Timestamps.rfc3339(record.time))), .init("pid", .integer(record.pid)),
                ]
                if let exit = record.exit {
                    members.append(.init("status", .integer(exit.status)))
                    members.append(.init("reason", .string(exit.reason.explanation)))
                }
                line(JSON.object(members).text())
            }
            if records.isEmpty {
                do throws(SandboxError) { try client.pump(timeout: nil) } catch {
                    if !HostProcess.isAlive(observed.record.sentry) { return }
                    throw error
                }
            }
        }
    }

    // MARK: - Debugging

    /// The text that a component answers to a GET.
    public func debugText(_ identifier: String, _ path: String, gofer: Bool = false) throws(SandboxError) -> String {
        _ = try store.load(identifier)
        let client = try ComponentClient(directory: store.directory(identifier), gofer ? .gofer : .sentry)
        return String(decoding: try client.client.raw(.get, path, timeout: ComponentClient.patience), as: UTF8.self)
    }

    /// Arms a plan of faults in a component; the text is what it says of it then.
    public func armFaults(_ identifier: String, _ plan: String, gofer: Bool) throws(SandboxError) -> String {
        _ = try store.load(identifier)
        let client = try ComponentClient(directory: store.directory(identifier), gofer ? .gofer : .sentry)
        return String(
            decoding: try client.client.raw(.post, "/v1/faults", Array(plan.utf8), timeout: ComponentClient.patience), as: UTF8.self)
    }

    /// Changes how much Sentry and Gofer log.
    public func setLogLevel(_ identifier: String, _ level: String) throws(SandboxError) {
        _ = try store.load(identifier)
        for kind in [ComponentClient.Kind.sentry, .gofer] {
            let client = try ComponentClient(directory: store.directory(identifier), kind)
            _ = try client.client.raw(.post, "/v1/log", Array(level.utf8), timeout: ComponentClient.patience)
        }
    }
}

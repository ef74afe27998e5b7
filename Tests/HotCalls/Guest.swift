import CHotCalls
import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryPlatform
import SentrySyscalls
import SentryVFS

/// A kernel with one task that makes the calls of a list.
final class Guest: Sendable {
    private let script: Script
    private let kernel: Kernel
    private let task: KernelTask
    private let container: Container

    init(_ calls: [HotCall], profiled: String?) throws {
        let script = Script(calls, profiled: profiled)
        self.script = script
        kernel = Kernel(
            platform: NullPlatform { registers, _ in script.next(&registers) }, systemCalls: .standard(), programLoader: Loader())
        DeviceDrivers.register(kernel)
        let memory = try MemoryFile.anonymous(limit: 64 << 20)
        container = try kernel.makeContainer(ContainerConfiguration(identifier: "hot", memoryFile: memory))
        let namespace = try MountNamespace(root: TmpfsFileSystem(memory: memory, options: TmpfsFileSystem.Options()), source: [])
        let file = FileDescription(path: namespace.root, flags: [])
        task = try container.prepare(
            ProcessConfiguration(
                request: ProgramRequest(file: file, path: Array("/hot".utf8), arguments: [], environment: []), credentials: .root,
                fileSystemContext: FileSystemContext(root: namespace.root, workingDirectory: namespace.root), files: DescriptorTable()))
        for (address, text) in HotCall.texts { try task.addressSpace?.copyOut(Array(text.utf8) + [0], to: address) }
        for (address, word) in HotCall.words { try task.addressSpace?.store(word, to: address) }
    }

    /// Makes all calls.
    func run() throws {
        try container.start(task)
        _ = container.waitForExit()
    }

    var report: String { script.report }
    /// Whether every call gave what it must.
    var isRight: Bool { script.isRight }

    /// What the guest does. The task's thread alone calls `next`.
    private final class Script: Sendable {
        private struct State {
            var position = 0
            var isAttached = false
            var counts: [String: chotcalls_counts] = [:]
            var failures: [String] = []
        }
        private let state = Lock(State())
        private let calls: [HotCall]
        private let profiled: String?

        init(_ calls: [HotCall], profiled: String?) {
            self.calls = calls
            self.profiled = profiled
        }

        func next(_ registers: inout Registers) -> Event {
            chotcalls_end()
            let result = Int(bitPattern: UInt(registers.rax))
            let isCounted = state.withLock { state in
                settle(&state, result)
                return load(state, &registers)
            }
            if isCounted { chotcalls_begin() }
            return .systemCall
        }

        /// What came of the call before.
        private func settle(_ state: inout State, _ result: Int) {
            if !state.isAttached {
                state.isAttached = true
                if chotcalls_attach() != 0 { state.failures.append("ptrace is refused") }
                return
            }
            let call = calls[state.position]
            state.position += 1
            if let wanted = call.result, wanted != result {
                state.failures.append("\(call.name ?? "preparation \(state.position)") gave \(result), not \(wanted)")
            }
            guard let name = call.name else { return }
            let counts = chotcalls_result()
            // An interrupt may make the code of the clock go round once more.
            if let old = state.counts[name], old.instructions <= counts.instructions { return }
            state.counts[name] = counts
        }

        /// Puts the next call into the registers; whether it is counted.
        private func load(_ state: State, _ registers: inout Registers) -> Bool {
            guard state.position < calls.count, state.failures.isEmpty else {
                registers.orig_rax = SystemCallNumber.exit_group.rawValue
                registers.rdi = 0
                return false
            }
            let call = calls[state.position]
            if call.leavesHandler { registers.rsp += 8 }
            registers.orig_rax = call.number.rawValue
            registers.rax = UInt64(bitPattern: -38)
            let a = call.arguments + [UInt64](repeating: 0, count: 6)
            (registers.rdi, registers.rsi, registers.rdx) = (a[0], a[1], a[2])
            (registers.r10, registers.r8, registers.r9) = (a[3], a[4], a[5])
            guard let name = call.name, profiled == nil || profiled == name else { return false }
            chotcalls_profile(profiled == nil ? 0 : 1)
            return true
        }

        var isRight: Bool { state.withLock { $0.failures.isEmpty && $0.position >= calls.count } }

        var report: String {
            state.withLock { state in
                var lines = state.failures
                for call in HotCall.round {
                    guard let name = call.name, let c = state.counts[name] else { continue }
                    lines.append("\(name) \(c.instructions) \(c.atomics) \(c.allocations) \(c.references) \(c.host_calls)")
                }
                return lines.joined(separator: "\n") + "\n"
            }
        }
    }

    /// Loads nothing: memory with one mapping, and the registers at the program's start.
    private struct Loader: ProgramLoader {
        func load(_ request: ProgramRequest, for task: KernelTask) throws(Errno) -> LoadedProgram {
            let layout = AddressLayout.standard(maximumAddress: task.kernel.platform.maximumGuestAddress, stackLimit: 8 << 20, random: 0)
            let space = try AddressSpace(platform: task.kernel.platform, memoryFile: task.container.memoryFile, layout: layout)
            _ = try space.map(
                MapRequest(
                    address: HotCall.memory, length: HotCall.size, protection: [.read, .write],
                    flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED]))
            var registers = Registers()
            registers.rip = HotCall.code
            registers.rsp = HotCall.memory + HotCall.size
            return LoadedProgram(
                memory: ProcessMemory(space, layout: ProcessMemory.Layout()), registers: registers, name: Array("hot".utf8),
                execution: ExecutionCredentials(credentials: task.credentials, isSecure: false))
        }
    }
}

internal import ArgumentParser
internal import Diagnostics
internal import SupervisorOCI
internal import SupervisorRuntime

struct UpdateCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Change the limits of a container.",
        discussion: """
            Limits come from options, or as JSON (linux.resources of a configuration) from a file or, with -, from standard input.

            Examples:
                nestbox update --memory 268435456 --pids-limit 100 web
                echo '{"memory":{"limit":268435456}}' | nestbox update --resources - web
            """)

    @ParentCommand var nestbox: Nestbox
    @Option(name: .shortAndLong, parsing: .unconditional, help: ArgumentHelp("File with JSON, or - for standard input.", valueName: "path"))
    var resources: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Memory, bytes; -1 for no limit.", valueName: "n")) var memory: Int64?
    @Option(name: .customLong("memory-reservation"), parsing: .unconditional, help: ArgumentHelp("Soft limit, bytes.", valueName: "n"))
    var memoryReservation: Int64?
    @Option(
        name: .customLong("memory-swap"), parsing: .unconditional, help: ArgumentHelp("Memory and swap together, bytes.", valueName: "n"))
    var memorySwap: Int64?
    @Option(name: .customLong("cpu-shares"), help: ArgumentHelp("Relative CPU weight, 2 to 262144.", valueName: "n")) var cpuShares: UInt64?
    @Option(
        name: .customLong("cpu-quota"), parsing: .unconditional,
        help: ArgumentHelp("CPU time in each period, microseconds.", valueName: "n"))
    var cpuQuota: Int64?
    @Option(name: .customLong("cpu-period"), help: ArgumentHelp("The period, microseconds.", valueName: "n")) var cpuPeriod: UInt64?
    @Option(name: .customLong("cpuset-cpus"), help: ArgumentHelp("CPUs to use.", valueName: "list")) var cpus: String?
    @Option(name: .customLong("cpuset-mems"), help: ArgumentHelp("Memory nodes to use.", valueName: "list")) var mems: String?
    @Option(name: .customLong("pids-limit"), parsing: .unconditional, help: ArgumentHelp("The largest number of tasks.", valueName: "n"))
    var pidsLimit: Int64?
    @Option(name: .customLong("blkio-weight"), help: .hidden) var blockIOWeight: UInt16?
    @Option(name: .customLong("kernel-memory"), parsing: .unconditional, help: .hidden) var kernelMemory: Int64?
    @Option(name: .customLong("kernel-memory-tcp"), parsing: .unconditional, help: .hidden) var kernelMemoryTCP: Int64?
    @Option(name: .customLong("cpu-rt-period"), help: .hidden) var realtimePeriod: UInt64?
    @Option(name: .customLong("cpu-rt-runtime"), parsing: .unconditional, help: .hidden) var realtimeRuntime: Int64?
    @Argument(help: "The container.") var id: String

    func perform(_ runtime: ContainerRuntime) throws(SandboxError) -> Int32 {
        var change = ResourcesSpec()
        if let resources {
            do throws(ConfigurationError) {
                let bytes = try ResourcesInput.read(resources)
                change = try ResourcesSpec(reading: FieldReader(JSON(document: bytes)))
            } catch {
                throw SandboxError(.invalidArgument, "--resources \(resources): \(error)")
            }
        } else {
            change.memory.limit = memory
            change.memory.reservation = memoryReservation
            change.memory.swap = memorySwap
            change.cpu.shares = cpuShares
            change.cpu.quota = cpuQuota
            change.cpu.period = cpuPeriod
            change.cpu.cpus = cpus
            change.cpu.mems = mems
            change.pidsLimit = pidsLimit
            change.blockIOWeight = blockIOWeight
        }
        try runtime.update(id, change)
        return 0
    }
}

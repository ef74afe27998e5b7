import Confinement
public import Control
import Diagnostics
import FileProtocol
import Host
import LinuxABI
import SentryFileSystems
import SentryKernel
import SentryNetwork
import SentryPlatform
import SentrySyscalls

/// The Sentry's life, in the order of Control/README.md: options, log, platform, confinement, control server, ready; ends with the first
/// container's status. Single-threaded until confined.
public func runSentry(_ options: SentryOptions) -> Never {
    Timeline.startup.mark("main")
    options.common.configureLog(component: "sentry")
    limitHeaps(4)
    FileProtocolFaults.register()
    do throws(SandboxError) {
        let windowSignals = try? WindowSignals()
        let platform = try makePlatform(options.platform)
        Timeline.startup.mark("source of stubs")
        let server = try options.common.makeControlServer(
            component: "sentry", fileProtocol: (FileProtocolVersion.major, FileProtocolVersion.minor))
        let processors = options.cpuCount > 0 ? Int(options.cpuCount) : HostProcessor.count
        let facts = HostFacts.gather()
        Timeline.startup.mark("control server, facts")
        try Confinement.apply(
            .sentry, mode: options.common.confinement, covering: options.viewMountDescriptor, logDescriptor: options.common.logDescriptor)
        Timeline.startup.mark("confinement")
        if let mount = options.viewMountDescriptor { _ = OwnedDescriptor(adopting: mount) }

        let kernel = Kernel(platform: platform, systemCalls: SystemCallTable.standard(), programLoader: ELFLoader())
        kernel.isTracing = options.strace
        DeviceDrivers.register(kernel)
        let sandbox = Sandbox(
            kernel: kernel, processorCount: processors, facts: facts, windowSignals: windowSignals,
            view: options.viewDescriptor.map { SharedDescriptor(OwnedDescriptor(adopting: $0)) }, server: server)
        SentryEndpoints.register(on: server, sandbox)
        try sandbox.watchStubs()
        server.onRest = {
            kernel.releaseIdle()
            HostCall.releaseMemory()
        }
        // Started by a Supervisor: one that dies before there is a container must not leave this process behind.
        if options.common.readyDescriptor != nil {
            let finish = server.finisher
            server.onLastDisconnect = { if sandbox.all.isEmpty { finish(1) } }
        }
        Timeline.startup.mark("kernel")
        options.common.announceReady()
        exitProcess(try server.run())
    } catch {
        options.common.fail(error)
    }
}

/// The platform called `name`, with its source stub running. `auto`: systrap where the host can have it, otherwise ptrace.
private func makePlatform(_ name: String) throws(SandboxError) -> any Platform {
    switch name {
    case "ptrace":
        do { return try PtracePlatform.start() } catch { throw SandboxError(error, "start the ptrace platform") }
    case "systrap":
        if let obstacle = SystrapPlatform.obstacle {
            throw SandboxError(.unsupported, "the systrap platform cannot run here: \(obstacle)", hint: "use --platform ptrace")
        }
        do { return try SystrapPlatform.start() } catch { throw SandboxError(error, "start the systrap platform") }
    case "auto":
        if let obstacle = SystrapPlatform.obstacle {
            Log.warning("guest code runs on the ptrace platform: systrap cannot run here: \(obstacle)")
            return try makePlatform("ptrace")
        }
        return try makePlatform("systrap")
    default:
        throw SandboxError(.unsupported, "platform \(name) is not there yet", hint: "use --platform systrap or ptrace")
    }
}

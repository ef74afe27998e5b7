public import Diagnostics
internal import Host
internal import LinuxABI

extension CommonOptions {
    /// The control server that these options ask for. Call before confinement when `controlPath` is used: it binds a socket.
    /// Without either option the server listens nowhere that anyone can reach. Arms the fault plan of the command line.
    public func makeControlServer(component: String, fileProtocol: (major: UInt16, minor: UInt16)) throws(SandboxError) -> ControlServer {
        if let faultPlan {
            guard allowFaults else {
                throw SandboxError(.invalidArgument, "--fault-plan needs --allow-faults", hint: "faults are for tests only")
            }
            Faults.arm(try FaultPlan(parsing: faultPlan))
        }
        var version = VersionReport()
        version.component = component
        version.version = ProtocolVersion.release
        version.controlMajor = ProtocolVersion.controlMajor
        version.controlMinor = ProtocolVersion.controlMinor
        version.fileMajor = fileProtocol.major
        version.fileMinor = fileProtocol.minor
        version.pid = Int32(HostCall.raw(.getpid))
        let listening: OwnedDescriptor
        if let controlDescriptor {
            listening = OwnedDescriptor(adopting: controlDescriptor)
        } else if let controlPath {
            do { listening = try HostCall.listenUnix(Array(controlPath.utf8)) } catch {
                throw SandboxError(error, "bind the control socket at \(controlPath)")
            }
        } else {
            // Never readable: the writing end stays open with the process.
            do { listening = try HostCall.eventDescriptor() } catch { throw SandboxError(error, "make an eventfd") }
        }
        return try ControlServer(listening: listening, version: version, allowFaults: allowFaults)
    }
}

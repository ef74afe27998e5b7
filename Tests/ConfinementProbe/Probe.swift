// A process that confines itself like the Sentry or the Gofer and then tries one forbidden thing: the breach matrix.
//
//     ConfinementProbe sentry|gofer full|trap ATTEMPT
//     ConfinementProbe list
//
// Writes "confined\n" to descriptor 1 once it is confined, then the result of the attempt: "0" or a negated errno.
// The expected end of most is death by SIGSYS before that.
import CProbe
import Confinement
import Diagnostics
import Host
import LinuxABI

@main struct Probe {
    static func main() {
        let arguments = CommandLine.arguments
        if arguments.dropFirst() == ["list"] {
            for attempt in Attempt.all { say(attempt.line + "\n") }
            exitProcess(0)
        }
        guard arguments.count == 4, let mode = ConfinementMode(rawValue: arguments[2]) else { exitProcess(2) }
        do throws(SandboxError) {
            try Confinement.apply(arguments[1] == "sentry" ? .sentry : .gofer(makeNodes: false), mode: mode, logDescriptor: 2)
        } catch {
            say("\(error)\n")
            exitProcess(1)
        }
        say("confined\n")
        say("\(perform(arguments[3]))\n")
        exitProcess(0)
    }

    static func say(_ text: String) { _ = try? HostCall.writeAll(1, Array(text.utf8).span) }

    /// Makes one attempt; what the host said.
    static func perform(_ name: String) -> Int {
        switch name {
        case "nothing": return 0
        case "wait": return HostCall.raw(.read, 0, 0, 0)
        // The entry for 32-bit programs: 20 is its getpid, 5 its open, 11 its execve.
        case "int80-getpid": return cprobe_int80(20, 0, 0, 0)
        case "int80-open": return cprobe_int80(5, 0, 0, 0)
        case "int80-execve": return cprobe_int80(11, 0, 0, 0)
        case "code-in-a-memory-file":
            // A file of its own may be made; but not mapped as code.
            guard let file = try? HostCall.withPath(Array("x".utf8), { (p: Int) throws(Errno) in HostCall.raw(.memfd_create, p, 0) }),
                file >= 0
            else {
                return -38
            }
            return HostCall.raw(.mmap, 0, 4096, 5, 1, file, 0)
        case "program-in-a-memory-file":
            guard let file = try? HostCall.withPath(Array("x".utf8), { (p: Int) throws(Errno) in HostCall.raw(.memfd_create, p, 0) }),
                file >= 0
            else {
                return -38
            }
            return (try? HostCall.withPath([]) { (p: Int) throws(Errno) in HostCall.raw(.execveat, file, p, 0, 0, 0x1000) }) ?? -38
        // Nothing is looked up where there is nothing to copy: these need addresses.
        case "process_vm_readv": return cprobe_process_vm(Int(SystemCallNumber.process_vm_readv.rawValue), 2)
        case "process_vm_writev": return cprobe_process_vm(Int(SystemCallNumber.process_vm_writev.rawValue), 2)
        default:
            guard let attempt = Attempt.all.first(where: { $0.name == name }) else { return -22 }
            return perform(attempt, [])
        }
    }

    /// Resolves the arguments from the left, then calls.
    private static func perform(_ attempt: Attempt, _ ready: [Int]) -> Int {
        if ready.count == attempt.arguments.count {
            let all = ready + [Int](repeating: 0, count: 6 - ready.count)
            return HostCall.raw(attempt.call, all[0], all[1], all[2], all[3], all[4], all[5])
        }
        switch attempt.arguments[ready.count] {
        case .number(let value): return perform(attempt, ready + [value])
        case .text(let text):
            return (try? HostCall.withPath(Array(text.utf8)) { (p: Int) throws(Errno) in perform(attempt, ready + [p]) }) ?? -22
        }
    }
}

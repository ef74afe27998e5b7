// A process that confines itself like the Sentry or the Gofer and then tries one forbidden thing: the first rows of the breach matrix.
//
//     ConfinementProbe sentry|gofer full|trap ATTEMPT
//
// Writes "confined\n" to descriptor 1 once it is confined, then the result of the attempt: "0" or a negated errno.
// The expected end is death by SIGSYS before that.
import Confinement
import Diagnostics
import Host
import LinuxABI
import Synchronization

@main struct Probe {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let mode = ConfinementMode(rawValue: arguments[2]) else { exitProcess(2) }
        do throws(SandboxError) {
            try Confinement.apply(arguments[1] == "sentry" ? .sentry : .gofer(makeNodes: false), mode: mode, logDescriptor: 2)
        } catch {
            say("\(error)\n")
            exitProcess(1)
        }
        say("confined\n")
        say("\(attempt(arguments[3]))\n")
        exitProcess(0)
    }

    static func say(_ text: String) { _ = try? HostCall.writeAll(1, Array(text.utf8).span) }

    /// Makes one attempt; what the host said.
    static func attempt(_ name: String) -> Int {
        let path = Array("/etc/passwd".utf8)
        func with(_ path: [UInt8], _ body: (Int) -> Int) -> Int {
            (try? HostCall.withPath(path) { (p: Int) throws(Errno) in body(p) }) ?? -1
        }
        return switch name {
        case "nothing": 0
        case "wait": HostCall.raw(.read, 0, 0, 0)
        case "open": with(path) { HostCall.raw(.openat, -100, $0, 0, 0) }
        case "open-as-malloc": with(path) { HostCall.raw(.openat, -100, $0, 0x80000, 0) }
        case "old-open": with(path) { HostCall.raw(.open, $0, 0, 0) }
        case "socket": HostCall.raw(.socket, 2, 1, 0)
        case "unix-socket": HostCall.raw(.socket, 1, 1, 0)
        case "exec": with(path) { HostCall.raw(.execve, $0, 0, 0) }
        case "fork": HostCall.raw(.fork)
        case "clone-process": HostCall.raw(.clone, 17, 0, 0, 0, 0)
        case "clone-namespace": HostCall.raw(.clone, 0x1000_0000 | 0x10f00, 0, 0, 0, 0)
        case "clone3": HostCall.raw(.clone3, 0, 0)
        case "executable-memory": HostCall.raw(.mmap, 0, 4096, 7, 0x22, -1, 0)
        case "make-executable": HostCall.raw(.mprotect, 0, 4096, 5)
        case "mount": HostCall.raw(.mount, 0, 0, 0, 0, 0)
        case "chroot": with(path) { HostCall.raw(.chroot, $0) }
        case "unshare": HostCall.raw(.unshare, 0x1000_0000)
        case "setns": HostCall.raw(.setns, 0, 0)
        case "module": HostCall.raw(.init_module, 0, 0, 0)
        case "bpf": HostCall.raw(.bpf, 0, 0, 0)
        case "io_uring": HostCall.raw(.io_uring_setup, 1, 0)
        case "userfaultfd": HostCall.raw(.userfaultfd, 0)
        case "keyctl": HostCall.raw(.keyctl, 0, 0, 0)
        case "perf": HostCall.raw(.perf_event_open, 0, 0, 0, 0, 0)
        case "kill-stranger": HostCall.raw(.kill, -1, 9)
        case "ptrace-stranger": HostCall.raw(.ptrace, 16, 1, 0, 0)
        case "seize-stranger": HostCall.raw(.ptrace, 0x4206, 1, 0, 0)
        case "setuid": HostCall.raw(.setuid, 0)
        case "terminal-input": HostCall.raw(.ioctl, 0, 0x5412, 0)
        case "int80":
            -38
        default: -22
        }
    }
}

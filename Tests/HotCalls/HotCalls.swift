// Counts instructions and allocations of the system calls that programs make most, without a guest: the task, the table of calls, the files and
// the memory are the Sentry's own, the platform is the one of the unit tests.
//
//     HotCalls                  a line for each call: its name, instructions, atomic ones, allocations, references counted, host calls
//     HotCalls --profile NAME   the addresses that one call ran through, on standard error
import CHotCalls
import Host
import SentryFileSystems
import SentryKernel
import SentryMemory
import SentryPlatform
import SentrySyscalls
import SentryVFS

@main struct HotCalls {
    static func main() {
        let arguments = CommandLine.arguments
        chotcalls_supervise()
        let profiled = arguments.count == 3 && arguments[1] == "--profile" ? arguments[2] : nil
        guard arguments.count == 1 || profiled != nil else { exitProcess(2) }
        do {
            let guest = try Guest(HotCall.all, profiled: profiled)
            try guest.run()
            say(guest.report)
            exitProcess(guest.isRight ? 0 : 1)
        } catch {
            say("\(error)\n")
            exitProcess(1)
        }
    }

    static func say(_ text: String) { _ = try? HostCall.writeAll(1, Array(text.utf8).span) }
}

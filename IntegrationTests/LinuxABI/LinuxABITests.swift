import Testing

extension IntegrationTests {
    /// The same program on Linux and in a sandbox: each line that it prints is an answer of the kernel.
    @Suite struct LinuxABI {
        static let programs = [
            "files", "processes", "signals", "threads", "memory", "pipes", "crowd", "sockets", "timers", "credentials", "jobs", "limits",
            "proc",
            "rseq", "ptrace", "accounting", "sysvipc", "families",
        ]

        @Test(arguments: programs)
        func answersAsLinuxDoes(_ program: String) throws {
            try expecting("LinuxABI/" + program) {
                let spec = ContainerSpec(program: ["/programs/" + program])
                let native = try native(spec)
                try #require(!native.timedOut && native.status == 0, native.report)
                expectSame("LinuxABI/" + program, native, try sandboxed(spec))
            }
        }

        @Test(arguments: [("clib.musl", 11), ("sites.musl", 23)] as [(String, Int32)])
        func servesAnotherCLibrary(_ program: String, _ status: Int32) throws {
            try expecting("LinuxABI/" + program) {
                let spec = ContainerSpec(program: ["/programs/" + program])
                let native = try native(spec)
                try #require(native.status == status, native.report)
                expectSame("LinuxABI/" + program, native, try sandboxed(spec))
            }
        }
    }
}

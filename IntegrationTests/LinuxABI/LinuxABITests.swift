import Testing

extension IntegrationTests {
    /// The same program on Linux and in a sandbox: each line that it prints is an answer of the kernel.
    @Suite struct LinuxABI {
        static let programs = [
            "files", "processes", "signals", "threads", "memory", "pipes", "sockets", "timers", "credentials", "jobs", "limits", "proc",
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

        @Test func servesAnotherCLibrary() throws {
            try expecting("LinuxABI/clib.musl") {
                let spec = ContainerSpec(program: ["/programs/clib.musl"])
                let native = try native(spec)
                try #require(native.status == 11, native.report)
                expectSame("LinuxABI/clib.musl", native, try sandboxed(spec))
            }
        }
    }
}

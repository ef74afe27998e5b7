import Testing

extension IntegrationTests {
    /// `linux.seccomp` acts on calls as libseccomp's filter does under runc. All but the words of refusals holds for runc too
    /// (NESTBOX_RUNTIME).
    @Suite struct Seccomp {
        /// Prints the results of calls: each argument is a line of numbers, the call's first.
        private static let probe = """
            $| = 1; $SIG{SYS} = sub { print "trapped\\n" };
            for (@ARGV) { my @call = map { /^0x/ ? hex($_) : $_ + 0 } split; $! = 0; my $result = syscall($call[0], @call[1 .. $#call]);
            print $call[0], $result == -1 ? " error " . ($! + 0) : " passed", "\\n" if $call[0] != 172 }
            """

        private static func perl(_ calls: [String]) -> [String] { ["/usr/bin/perl", "-e", probe] + calls }

        private func run(_ profile: JSON, _ calls: [String], isFirst: Bool = false) throws -> Outcome {
            // Process 1 of a namespace is spared by its own signals; its child is not.
            var spec = ContainerSpec(
                isFirst ? Self.perl(calls) : ["/bin/sh", "-c", "\"$@\"; echo status $?", "sh"] + Self.perl(calls))
            spec.edit = { $0["linux"]["seccomp"] = profile }
            return try sandboxed(spec)
        }

        private static func rule(_ name: String, _ action: String, errno: Int? = nil, _ conditions: JSON = []) -> JSON {
            var rule: JSON = ["names": [.text(name)], "action": .text("SCMP_ACT_" + action), "args": conditions]
            if let errno { rule["errnoRet"] = .number(errno) }
            return rule
        }

        private static func condition(_ index: Int, _ comparison: String, _ value: Int, _ second: Int = 0) -> JSON {
            ["index": .number(index), "op": .text("SCMP_CMP_" + comparison), "value": .number(value), "valueTwo": .number(second)]
        }

        private static func permissive(_ rules: [JSON]) -> JSON {
            ["defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": .list(rules)]
        }

        @Test func comparesArguments() throws {
            let rules = [
                Self.rule("personality", "ERRNO", errno: 95, [Self.condition(0, "EQ", 8)]),
                // All conditions of a rule must hold ...
                Self.rule("getpriority", "ERRNO", errno: 77, [Self.condition(0, "EQ", 0), Self.condition(1, "LT", 2)]),
                // ... unless they are about one argument.
                Self.rule("umask", "ERRNO", errno: 71, [Self.condition(0, "EQ", 1), Self.condition(0, "EQ", 4)]),
                Self.rule("alarm", "ERRNO", errno: 72, [Self.condition(0, "MASKED_EQ", 0xf0, 0x50)]),
                Self.rule("fadvise64", "ERRNO", errno: 73, [Self.condition(1, "GT", 0x1_0000_0005)]),
                Self.rule("getpgid", "ERRNO", [Self.condition(0, "NE", 0)]),
                Self.rule("getsid", "ERRNO", errno: 74, [Self.condition(0, "LE", 0)]),
                Self.rule("dup", "ERRNO", errno: 75, [Self.condition(0, "GE", 500)]),
                // A rule without conditions holds for the whole call.
                Self.rule("getrlimit", "ERRNO", errno: 76, [Self.condition(0, "EQ", 0)]), Self.rule("getrlimit", "ERRNO", errno: 78),
                Self.rule("sched_yield", "LOG"), Self.rule("no_such_call", "KILL_PROCESS"),
            ]
            let calls: [(String, String)] = [
                ("135 8", "error 95"), ("135 0xffffffff", "passed"), ("140 0 1", "error 77"), ("140 0 0", "error 77"),
                ("140 1 99", "error 3"), ("95 1", "error 71"), ("95 4", "error 71"), ("95 2", "passed"), ("37 0x100050", "error 72"),
                ("37 0", "passed"), ("221 99 0x100000005 0 0", "error 9"), ("221 99 0x100000006 0 0", "error 73"),
                ("221 99 0x200000000 0 0", "error 73"), ("221 99 6 0 0", "error 9"), ("121 0", "passed"), ("121 1", "error 1"),
                ("124 0", "error 74"), ("124 1", "passed"), ("32 600", "error 75"), ("32 1", "passed"), ("97 0 0", "error 78"),
                ("97 7 0", "error 78"), ("24", "passed"),
            ]
            // getpriority of a process group that is not there, and fadvise64 of a descriptor that is none, answer for themselves.
            let outcome = try run(Self.permissive(rules), calls.map(\.0))
            let expected = calls.map { $0.0.split(separator: " ")[0] + " " + $0.1 }
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(lines == expected + ["status 0"], outcome.report)
        }

        @Test func kills() throws {
            for (action, status) in [("KILL_PROCESS", 159), ("KILL_THREAD", 159), ("KILL", 159)] {
                let profile = Self.permissive([Self.rule("personality", action, [Self.condition(0, "EQ", 8)])])
                let outcome = try run(profile, ["135 0xffffffff", "135 8", "135 0xffffffff"])
                #expect(outcome.output == "135 passed\nstatus \(status)\n", outcome.report)
            }
            // The handler is asked for TRAP alone, and process 1 is not spared.
            let trapped = try run(Self.permissive([Self.rule("personality", "TRAP")]), ["135 8", "172 0"])
            #expect(trapped.output.hasPrefix("trapped\n") && trapped.output.hasSuffix("status 0\n"), trapped.report)
            let first = try run(Self.permissive([Self.rule("personality", "KILL_PROCESS")]), ["135 0", "24"], isFirst: true)
            #expect(first.status == 159 && first.output.isEmpty, first.report)
        }

        @Test func hidesCallsThatTheProfileDoesNotKnow() throws {
            var profile: JSON = [
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 22, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            ]
            let names = """
                access arch_prctl brk chdir clone clone3 close close_range connect dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait execve
                execveat exit exit_group faccessat faccessat2 fchdir fchown fcntl fstat fstatfs futex getcwd getdents64 getegid geteuid getgid
                getpgrp getpid getppid getrandom gettid getuid ioctl lseek lstat madvise mmap mprotect mremap munmap nanosleep newfstatat open
                openat pipe pipe2 poll ppoll prctl pread64 prlimit64 read readlink rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity
                set_robust_list set_tid_address setgid setgroups setuid sigaltstack socket stat statfs statx sysinfo tgkill uname unlink vfork wait4
                write writev capset capget umask getpgid setsid
                """
            profile["syscalls"] = [
                ["names": .list(names.split(whereSeparator: \.isWhitespace).map { .text(String($0)) }), "action": "SCMP_ACT_ALLOW"]
            ]
            let outcome = try run(profile, ["39", "135 0", "24", "440 0", "0x1000"])
            #expect(outcome.output == "39 passed\n135 error 22\n24 error 22\n440 error 38\n4096 error 38\nstatus 0\n", outcome.report)
        }

        @Test func holdsForExecToo() throws {
            var spec = ContainerSpec(["/bin/sleep", "100"])
            spec.edit = { $0["linux"]["seccomp"] = Self.permissive([Self.rule("personality", "ERRNO", errno: 95)]) }
            try Container.with(spec) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                let exec = try container.nestbox(["exec", container.identifier] + Self.perl(["135 0", "24"]))
                #expect(exec.output == "135 error 95\n24 passed\n", exec.report)
            }
        }

        @Test func refusesWhatItCannotApply() throws {
            for (change, word) in [
                (Self.rule("getpid", "NOTIFY"), "SCMP_ACT_NOTIFY"), (Self.rule("getpid", "DREAM"), "SCMP_ACT_DREAM"),
                (Self.rule("getpid", "ERRNO", [Self.condition(6, "EQ", 0)]), "index"),
                (Self.rule("getpid", "ERRNO", [Self.condition(0, "LIKE", 0)]), "SCMP_CMP_LIKE"),
            ] {
                let outcome = try run(Self.permissive([change]), ["39"])
                #expect(outcome.status != 0 && outcome.output.isEmpty && outcome.errors.contains(word), outcome.report)
            }
        }
    }
}

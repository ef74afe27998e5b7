import Foundation
import Testing

extension IntegrationTests {
    /// What a sandbox costs whose programs wait: nothing but a little memory.
    @Suite struct Idle {
        static let programs = [
            ["/bin/sh", "-c", "mkfifo /tmp/pipe; exec 3<>/tmp/pipe; read line <&3"],
            ["/usr/bin/python3", "-c", "import time; time.sleep(1000)"],
            [
                "/usr/bin/python3", "-c",
                "import select, socket; s = socket.socket(socket.AF_UNIX); s.bind('/tmp/s'); s.listen(); p = select.epoll(); p.register(s); p.poll()",
            ],
        ]

        /// A sandbox, and the machine before it.
        private struct Sandbox {
            let before: MachineState

            /// Its processes now.
            func components() throws -> Components { try #require(Components(since: before), "the sandbox has ended") }

            /// Context switches of all threads of its processes so far.
            private func switches() throws -> Int {
                let components = try components()
                return ([components.sentry, components.gofer] + components.stubs).reduce(0) { $0 + $1.contextSwitches }
            }

            /// Context switches while `seconds` pass. A sandbox that ends is noticed at once.
            func switches(within seconds: Double) throws -> Int {
                let first = try switches()
                try #require(!Wait.end(of: [try components().sentry.identifier], within: seconds), "the sandbox has ended")
                return try switches() - first
            }
        }

        /// Runs `arguments` in a sandbox and hands it to `body` once it rests.
        private func withIdleSandbox(_ arguments: [String], _ body: (Sandbox) throws -> Void) throws {
            let sandbox = Sandbox(before: MachineState.take())
            try Container.with(ContainerSpec(arguments)) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                // Programs start, and what that has left behind is tidied up; then a second passes without a context switch.
                var rests = false
                for _ in 0..<20 where !rests { rests = try sandbox.switches(within: 1) == 0 }
                try #require(rests, "the sandbox does not come to rest")
                try body(sandbox)
            }
        }

        @Test(arguments: Self.programs) func noThreadWakesUp(_ arguments: [String]) throws {
            try withIdleSandbox(arguments) { sandbox in
                let seconds = TestEnvironment.runsLongTests ? 60.0 : 3
                let count = try sandbox.switches(within: seconds)
                #expect(count == 0, "\(count) context switches in \(seconds) s of an idle sandbox")
            }
        }

        @Test func takesLittle() throws {
            try withIdleSandbox(["/bin/sleep", "1000"]) { sandbox in
                let components = try sandbox.components()
                let both = [components.sentry, components.gofer]
                let kilobytes = both.reduce(0) { $0 + $1.privateMemory }
                let threads = both.reduce(0) { $0 + $1.threads.count }
                let descriptors = both.reduce(0) { $0 + $1.descriptors.count }
                print("performance: Sentry and Gofer have \(kilobytes) KiB private, \(threads) threads, \(descriptors) descriptors")
                #expect(kilobytes < 6 * 1024)
                #expect(threads <= 7)
                #expect(descriptors <= 64)
            }
        }

        @Test func givesBackWhatABurstTook() throws {
            let burst = """
                import mmap, os, threading
                threading.stack_size(65536)
                gate = threading.Event()
                threads = [threading.Thread(target=gate.wait) for _ in range(1000)]
                for thread in threads: thread.start()
                gate.set()
                for thread in threads: thread.join()
                files = []
                for number in range(900):
                    file = open(f'/tmp/{number}', 'w')
                    file.write('x' * 1000)
                    files.append(file)
                buffer = bytearray(os.urandom(4096) * 16384)
                """
            let line = "python3 -c \"$1\" && rm -f /tmp/* && exec 3<>/dev/null && exec sleep 1000"
            try withIdleSandbox(["/bin/sh", "-ec", line, "sh", burst]) { sandbox in
                let components = try sandbox.components()
                let kilobytes = [components.sentry, components.gofer].reduce(0) { $0 + $1.privateMemory }
                print("performance: after a burst Sentry and Gofer have \(kilobytes) KiB of private memory")
                // The threads of a few tasks and the directories that were looked at stay for the next burst; 64 MiB of buffer must not.
                #expect(kilobytes < 10 * 1024)
            }
        }
    }
}

extension HostProcess {
    fileprivate var threads: [String] { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/task")) ?? [] }

    /// Voluntary and other context switches of all threads so far.
    fileprivate var contextSwitches: Int {
        threads.reduce(0) { sum, thread in
            let text = MachineState.readText("/proc/\(identifier)/task/\(thread)/status") ?? ""
            let lines = text.split(separator: "\n").filter { $0.contains("voluntary_ctxt_switches:") }
            return sum + lines.reduce(0) { $0 + (Int($1.split(separator: "\t").last ?? "") ?? 0) }
        }
    }

    /// KiB that no other process shares, of programs' files too.
    fileprivate var privateMemory: Int {
        (MachineState.readText("/proc/\(identifier)/smaps_rollup") ?? "").split(separator: "\n").filter { $0.hasPrefix("Private_") }
            .reduce(0) { $0 + (Int($1.split(separator: " ")[1]) ?? 0) }
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// The promises of docs/specification.md that a busy machine can check: each is the best of several rounds, with room for noise.
    @Suite struct Performance {
        @Test func startsQuickly() throws {
            var best = Double.infinity
            try Container.with(ContainerSpec(["/bin/true"])) { container in
                for _ in 0..<8 {
                    let outcome = try container.run(timeout: 30)
                    try #require(outcome.status == 0, outcome.report)
                    best = min(best, outcome.seconds)
                }
            }
            print("performance: run of /bin/true takes \(Int(best * 1000)) ms at best")
            #expect(best < 0.060 * 3, "promised are 60 ms on a quiet machine")
        }

        @Test func callsAreCheap() throws {
            // 50,000 calls, less the start: what one costs through the whole stack.
            func seconds(_ count: Int) throws -> Double {
                let spec = ContainerSpec(program: ["/programs/calls", "\(count)"])
                let outcome = try sandboxed(spec)
                try #require(outcome.status == 0, outcome.report)
                return try #require(Double(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)), outcome.report)
            }
            let microseconds = try (0..<3).map { _ in try seconds(20_000) }.min() ?? .infinity
            print("performance: a system call takes \(String(format: "%.2f", microseconds)) us at best")
            #expect(microseconds < 15 * 3, "promised are 15 us on the ptrace platform, on a quiet machine")
        }

        @Test func idleSandboxesRest() throws {
            let before = MachineState.take()
            try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                try #require(try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier]).status == 0)
                let components = try #require(Components(since: before))
                func used() -> Int {
                    ([components.sentry, components.gofer] + components.stubs).reduce(0) { total, process in
                        let stat =
                            MachineState.readText("/proc/\(process.identifier)/stat")?.split(separator: ")").last?.split(separator: " ")
                            ?? []
                        return total + (stat.count > 13 ? (Int(stat[11]) ?? 0) + (Int(stat[12]) ?? 0) : 0)
                    }
                }
                func switches() -> Int {
                    ([components.sentry, components.gofer] + components.stubs).reduce(0) { total, process in
                        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.identifier)/task")) ?? []
                        return total
                            + tasks.reduce(0) { sum, task in
                                let text = MachineState.readText("/proc/\(process.identifier)/task/\(task)/status") ?? ""
                                let line = text.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches") }
                                return sum + (line.flatMap { Int($0.split(separator: "\t").last ?? "") } ?? 0)
                            }
                    }
                }
                let all = [components.sentry.identifier, components.gofer.identifier]
                // Start-up has half a second to come to rest; then nothing may happen for three. What ends early is seen at once.
                try #require(!Wait.end(of: [all[0]], within: 0.5))
                let (ticks, wakes) = (used(), switches())
                try #require(!Wait.end(of: [all[1]], within: 3))
                #expect(used() - ticks <= 1, "an idle sandbox used \(used() - ticks) ticks in 3 s")
                #expect(switches() - wakes <= 3, "an idle sandbox woke \(switches() - wakes) times in 3 s")
            }
        }

        @Test func memoryIsModest() throws {
            let before = MachineState.take()
            try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                try #require(try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier]).status == 0)
                let components = try #require(Components(since: before))
                let kilobytes = [components.sentry, components.gofer].reduce(0) { total, process in
                    let text = MachineState.readText("/proc/\(process.identifier)/smaps_rollup") ?? ""
                    return total
                        + text.split(separator: "\n").filter { $0.hasPrefix("Private_") }.reduce(0) { sum, line in
                            sum + (Int(line.split(separator: " ")[1]) ?? 0)
                        }
                }
                print("performance: Sentry and Gofer have \(kilobytes) KiB of private memory")
                #expect(kilobytes < 24 * 1024)
            }
        }
    }
}

import Foundation
import Testing

extension IntegrationTests {
    /// The table of docs/isolation.md, read off the live processes of a sandbox.
    @Suite struct Posture {
        static let namespaces = ["ipc", "mnt", "net", "pid", "uts"]

        private func withSandbox(_ body: (Container, Components) throws -> Void) throws {
            let before = MachineState.take()
            try Container.with(ContainerSpec(["/bin/sleep", "1000"])) { container in
                let run = try container.nestbox(["run", "--detach", "--bundle", container.bundle, container.identifier])
                try #require(run.status == 0, run.report)
                let components = try #require(Components(since: before), "no Sentry or Gofer found")
                try body(container, components)
            }
        }

        private func host() throws -> HostProcess { try #require(HostProcess(getpid())) }

        @Test func sentry() throws {
            try withSandbox { container, components in
                let (sentry, host) = (components.sentry, try host())
                for kind in Self.namespaces + ["user"] {
                    #expect(sentry.namespace(kind) != host.namespace(kind), "the Sentry shares the host's \(kind) namespace")
                }
                #expect(sentry.rootEntries?.isEmpty == true, "its root has \(sentry.rootEntries ?? [])")
                #expect(sentry.status("Seccomp") == "2")
                #expect(sentry.status("NoNewPrivs") == "1")
                let allowed: UInt64 = 1 << 19  // CAP_SYS_PTRACE
                for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
                    let value = try #require(UInt64(sentry.status(set), radix: 16))
                    #expect(value & ~allowed == 0, "\(set) \(String(value, radix: 16))")
                }
                #expect(sentry.writableCode.isEmpty, "\(sentry.writableCode)")
                // Files that the Gofer donated are named as they are in the container's tree; "/" is the root of the memory file's own tmpfs.
                let paths = sentry.descriptors.filter { $0.hasPrefix("/") && !$0.hasPrefix("/memfd:") && !$0.hasPrefix("/dev/null") }
                let strangers = paths.filter { path in
                    !(path == "/" || path == "/dev/fuse" || path.contains("deleted") || path.hasPrefix(container.bundle)
                        || path.hasPrefix("/var/tmp/nbt")
                        || FileManager.default.fileExists(atPath: TestEnvironment.rootFileSystem + path))
                }
                #expect(strangers.isEmpty, "paths of the host: \(strangers)")
                for uid in sentry.status("Uid").split(separator: "\t") { #expect(uid != "0", "the Sentry runs as root on the host") }
            }
        }

        @Test func gofer() throws {
            try withSandbox { _, components in
                let (gofer, host) = (components.gofer, try host())
                for kind in Self.namespaces {
                    #expect(gofer.namespace(kind) != host.namespace(kind), "the Gofer shares the host's \(kind) namespace")
                }
                #expect(gofer.namespace("net") != components.sentry.namespace("net") || gofer.namespace("net") != host.namespace("net"))
                #expect(gofer.status("Seccomp") == "2")
                #expect(gofer.status("NoNewPrivs") == "1")
                // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, MKNOD, SETFCAP
                let allowed: UInt64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 27 | 1 << 31
                for set in ["CapEff", "CapPrm", "CapBnd"] {
                    let value = try #require(UInt64(gofer.status(set), radix: 16))
                    #expect(value & ~allowed == 0, "\(set) \(String(value, radix: 16))")
                }
                #expect(gofer.writableCode.isEmpty)
            }
        }

        @Test func stubs() throws {
            try withSandbox { container, components in
                let host = try host()
                // A file that is being mapped is there for a moment: not before the program has started.
                let isAsleep = "until grep -q '^1 (sleep) S' /proc/1/stat; do :; done"
                let wait = try container.nestbox(["exec", container.identifier, "/bin/sh", "-c", isAsleep])
                try #require(wait.status == 0, wait.report)
                // Guest code runs where the container's memory file is. The source, process 1 of the stubs' namespace, only forks them; one that was made
                // ahead still has the descriptors of its hand-over, which go before guest code comes.
                let stubs = components.stubs.filter(\.holdsGuestMemory)
                try #require(!stubs.isEmpty, "no stub found")
                for stub in stubs {
                    for kind in Self.namespaces + ["user"] {
                        #expect(stub.namespace(kind) != host.namespace(kind), "stub \(stub.identifier) shares the host's \(kind) namespace")
                    }
                    #expect(stub.namespace("user") != components.sentry.namespace("user"), "stubs share the Sentry's user namespace")
                    #expect(stub.rootEntries?.isEmpty == true, "its root has \(stub.rootEntries ?? [])")
                    #expect(stub.status("Seccomp") == "2", "stub \(stub.identifier) has no filter")
                    #expect(stub.status("NoNewPrivs") == "1")
                    #expect(UInt64(stub.status("CapEff"), radix: 16) == 0, "CapEff \(stub.status("CapEff"))")
                    let foreign = stub.descriptors.filter {
                        !$0.contains("memory") && !$0.contains("memfd") && !$0.contains("deleted") && !$0.hasPrefix("/#")
                    }
                    #expect(foreign.isEmpty, "descriptors: \(foreign)")
                }
            }
        }

        /// The source of the stubs only forks: it has the walls of a stub, and no guest memory.
        @Test func source() throws {
            try withSandbox { _, components in
                let (source, host) = (try #require(components.stubs.first { $0.name == "nestbox-source" }, "no source found"), try host())
                for kind in Self.namespaces + ["user"] {
                    #expect(source.namespace(kind) != host.namespace(kind), "the source shares the host's \(kind) namespace")
                }
                for kind in ["user", "pid", "mnt"] {
                    #expect(source.namespace(kind) != components.sentry.namespace(kind), "the source shares the Sentry's \(kind) namespace")
                }
                #expect(source.rootEntries?.isEmpty == true, "its root has \(source.rootEntries ?? [])")
                #expect(source.status("Seccomp") == "2", "the source has no filter")
                #expect(source.status("NoNewPrivs") == "1")
                for set in ["CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"] {
                    #expect(UInt64(source.status(set), radix: 16) == 0, "\(set) \(source.status(set))")
                }
                #expect(source.writableCode.isEmpty, "\(source.writableCode)")
                let sockets = source.descriptors.filter { $0.hasPrefix("socket:") }
                let others = source.descriptors.filter {
                    !$0.hasPrefix("socket:") && !$0.contains("nestbox-ring") && !$0.contains("nestbox-slots")
                }
                #expect(sockets.count == 1 && others.isEmpty, "descriptors: \(source.descriptors)")
            }
        }

        @Test func guestsSeeNoHost() throws {
            // What a container must not find, whatever it tries with all the capabilities that it has.
            let outcome = try sandboxed(
                ContainerSpec(
                    shell: """
                        ls /proc | grep -cE '^[0-9]+$'
                        mount -t ext4 /dev/vda /mnt 2>/dev/null && echo mounted
                        mknod /tmp/disk b 254 0 2>/dev/null && head -c 1 /tmp/disk 2>/dev/null | wc -c | grep -q 1 && echo read a disk
                        cat /proc/kcore 2>/dev/null | head -c 1
                        ls /sys/firmware /sys/kernel/debug 2>/dev/null
                        cat /proc/self/root/proc/1/root/etc/hostname
                        [ -e /dev/kvm ] && echo kvm
                        dmesg | grep -c 'Linux version 6' | grep -v 0
                        exit 0
                        """))
            #expect(outcome.status == 0, outcome.report)
            for forbidden in ["mounted", "read a disk", "kvm"] { #expect(!outcome.output.contains(forbidden), outcome.report) }
            #expect(outcome.output.contains("nestbox\n"), outcome.report)
        }
    }
}

import LinuxABI

@testable import Confinement

/// `docs/isolation.md`: the walls, and every rule of the filters with its reason.
enum IsolationDocument {
    static var text: String {
        """
        # Isolation

        Generated from `Sources/Common/Confinement` by `make docs`; do not edit. The suite `Posture` of the integration tests reads the live processes of a
        sandbox and compares them with this page; `Tests/ConfinementTests` tries from inside what must not work.

        | process | namespaces | root | capabilities | system calls | descriptors |
        |---|---|---|---|---|---|
        | stub (guest code) | user (below the Sentry's), PID, network, IPC, UTS, mount: new and empty | empty | none | trapped; the stub's own few, by address | its container's memory file; mapped files only for the length of a batch; shared: its ring (read-only) and its threads' slots |
        | source of stubs | as a stub's | empty | none | the list in `stub.c`: receiving orders and forking | its command socket, the command rings, the slots of guest threads |
        | Sentry | user (nobody), PID, network, IPC, UTS, mount: new | empty, read-only | \(capabilities(.sentry)), in its own user namespace only | the list below | the ones it was given |
        | Gofer | mount, PID, network (empty), IPC, UTS: new | empty, read-only; its trees are detached mounts that only its descriptors reach | \(capabilities(.gofer(makeNodes: true))) (MKNOD only where the configuration allows device nodes) | the list below | tree roots and sockets |
        | Supervisor | the host's | the host's | what create needs | - | - |

        Over the Sentry's empty root, where it cannot reach it itself, lies a mount that shows the container's files to whoever joins the Sentry's mount
        namespace: this is how engines copy files into and out of a running container and list its processes. The Sentry answers its questions (FUSE) over
        one of its descriptors. Only root of the host's own user namespace may use it, and nothing in it is a device, a program or set-ID for the host.

        Besides: `no_new_privs`, no core dumps, not dumpable (stubs are, so that the Sentry may trace them), an environment of `SWIFT_ROOT=/` only. A call that is not
        in a list kills its process.

        \(table("Sentry", .sentry))
        \(table("Gofer", .gofer(makeNodes: true)))
        """
    }

    private static func table(_ title: String, _ role: Confinement.Role) -> String {
        var text = "## \(title): what it may ask of the host\n\nMost frequent first.\n\n| call | when | why |\n|---|---|---|\n"
        for rule in role.filter.rules {
            var conditions = rule.checks.map(\.text).joined(separator: ", ")
            if case .fail(let errno) = rule.outcome { conditions = "fails with \(errno)" }
            text += "| `\(rule.call)` | \(conditions) | \(rule.reason) |\n"
        }
        return text
    }

    private static func capabilities(_ role: Confinement.Role) -> String {
        let names: [(UInt64, String)] = [
            (HostCapability.CAP_CHOWN, "CHOWN"), (HostCapability.CAP_DAC_OVERRIDE, "DAC_OVERRIDE"),
            (HostCapability.CAP_DAC_READ_SEARCH, "DAC_READ_SEARCH"), (HostCapability.CAP_FOWNER, "FOWNER"),
            (HostCapability.CAP_FSETID, "FSETID"), (HostCapability.CAP_SETFCAP, "SETFCAP"), (HostCapability.CAP_MKNOD, "MKNOD"),
            (HostCapability.CAP_SYS_PTRACE, "SYS_PTRACE"),
        ]
        var rest = role.capabilities
        var found: [String] = []
        for (bit, name) in names where rest & bit != 0 {
            found.append(name)
            rest &= ~bit
        }
        if rest != 0 { found.append("0x" + String(rest, radix: 16)) }
        return found.isEmpty ? "none" : found.joined(separator: ", ")
    }
}

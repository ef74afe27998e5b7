extension RuntimeSpec {
    /// The configuration that `nestbox spec` writes: a shell in `rootfs`, with the mounts and limits that engines use.
    public static func template() -> JSON {
        func object(_ pairs: KeyValuePairs<String, JSON>) -> JSON { .object(pairs.map { JSON.Member($0.key, $0.value) }) }
        func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) -> JSON {
            object(["destination": .string(destination), "type": .string(type), "source": .string(source), "options": .strings(options)])
        }
        let capabilities = JSON.strings(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"])
        return object([
            "ociVersion": .string(implementedVersion),
            "process": object([
                "terminal": .bool(true),
                "user": object(["uid": .integer(0), "gid": .integer(0)]),
                "args": .strings(["sh"]),
                "env": .strings(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
                "cwd": .string("/"),
                "capabilities": object(["bounding": capabilities, "effective": capabilities, "permitted": capabilities]),
                "rlimits": .array([object(["type": .string("RLIMIT_NOFILE"), "hard": .integer(1024), "soft": .integer(1024)])]),
                "noNewPrivileges": .bool(true),
            ]),
            "root": object(["path": .string("rootfs"), "readonly": .bool(true)]),
            "hostname": .string("nestbox"),
            "mounts": .array([
                mount("/proc", "proc", "proc", []),
                mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
                mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
                mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
                mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
                mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
                mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
            ]),
            "linux": object([
                "resources": object([:]),
                "namespaces": .array(["pid", "network", "ipc", "uts", "mount", "cgroup"].map { object(["type": .string($0)]) }),
                "maskedPaths": .strings([
                    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                    "/proc/timer_stats",
                    "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
                ]),
                "readonlyPaths": .strings(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
            ]),
        ])
    }

    /// What `nestbox features` prints.
    /// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/features.md
    public static func features(version: String) -> JSON {
        func object(_ pairs: KeyValuePairs<String, JSON>) -> JSON { .object(pairs.map { JSON.Member($0.key, $0.value) }) }
        return object([
            "ociVersionMin": .string("1.0.0"),
            "ociVersionMax": .string(implementedVersion),
            "hooks": .strings(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]),
            "mountOptions": .strings(MountOptions.names),
            "linux": object([
                "namespaces": .strings(["cgroup", "ipc", "mount", "network", "pid", "user", "uts"]),
                "capabilities": .strings(CapabilityName.all),
                "cgroup": object([
                    "v1": .bool(true), "v2": .bool(true), "systemd": .bool(false), "systemdUser": .bool(false), "rdma": .bool(false),
                ]),
                "seccomp": object([
                    "enabled": .bool(true),
                    "actions": .strings(SeccompSpec.Action.allCases.filter { $0 != .notify }.map(\.rawValue)),
                    "operators": .strings(SeccompSpec.Comparison.allCases.map(\.rawValue)),
                    "archs": .strings(["SCMP_ARCH_X86_64"]),
                ]),
                "apparmor": object(["enabled": .bool(false)]),
                "selinux": object(["enabled": .bool(false)]),
                "intelRdt": object(["enabled": .bool(false)]),
                "mountExtensions": object(["idmap": object(["enabled": .bool(false)])]),
            ]),
            "annotations": object(["dev.nestbox.version": .string(version)]),
            "potentiallyUnsafeConfigAnnotations": .strings([]),
        ])
    }
}

internal import Host
public import LinuxABI
public import SentryKernel
import SentryVFS

/// /proc/sys: the settings of a container's kernel (proc_sys(5), Documentation/admin-guide/sysctl). Values that engines set through the OCI
/// configuration are written here too.
///
/// Settings that govern something are read where it happens. Others are kept and given back (limits of parts that do not exist yet, networks): those can be
/// written only where programs and engines are known to do it; the rest is read-only.
public final class Sysctls: Sendable {
    /// One setting: numbers in a range, or text.
    struct Setting: Sendable {
        enum Kind: Sendable {
            case numbers(ClosedRange<Int64>, count: Int)
            case text(maximum: Int)
        }
        var kind: Kind
        var isWritable: Bool
        var read: @Sendable () -> String
        /// Takes a checked value.
        var write: @Sendable (String) throws(Errno) -> Void
    }

    private struct Values {
        var stored: [String: String] = [:]
    }
    private let values = Lock(Values())
    private let container: Container
    private let bootIdentifier: String
    let settings: Lock<[String: Setting]>

    public init(_ container: Container) {
        self.container = container
        bootIdentifier = Self.uuid()
        settings = Lock([:])
        addKernel()
        addMemoryAndFiles()
        addNetwork()
    }

    /// A random UUID of version 4, with its newline elsewhere.
    static func uuid() -> String {
        var bytes = (try? HostCall.randomBytes(16)) ?? [UInt8](repeating: 0, count: 16)
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        var text = ProcText()
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.add("-") }
            text.addHex(UInt64(byte), width: 2)
        }
        return String(decoding: text.bytes, as: UTF8.self)
    }

    // MARK: Definitions

    private func add(_ name: String, _ setting: Setting) { settings.withLock { $0[name] = setting } }

    private func fixed(_ name: String, _ value: String) {
        add(name, Setting(kind: .text(maximum: 0), isWritable: false, read: { value }, write: { _ throws(Errno) in throw .EACCES }))
    }

    /// A number (or several, separated by tabs) that is kept.
    private func number(_ name: String, _ value: String, _ range: ClosedRange<Int64> = 0...Int64.max, count: Int = 1) {
        add(
            name,
            Setting(
                kind: .numbers(range, count: count), isWritable: true, read: { [weak self] in self?.stored(name) ?? value },
                write: { [weak self] new throws(Errno) in self?.store(name, new) }))
    }

    private func text(_ name: String, _ value: String, maximum: Int = 128) {
        add(
            name,
            Setting(
                kind: .text(maximum: maximum), isWritable: true, read: { [weak self] in self?.stored(name) ?? value },
                write: { [weak self] new throws(Errno) in self?.store(name, new) }))
    }

    private func stored(_ name: String) -> String? { values.withLock { $0.stored[name] } }
    private func store(_ name: String, _ value: String) { values.withLock { $0.stored[name] = value } }

    private func addKernel() {
        let container = container
        add(
            "kernel/hostname",
            Setting(
                kind: .text(maximum: 64), isWritable: true,
                read: { String(decoding: container.state.withLock { $0.hostName }, as: UTF8.self) },
                write: { new throws(Errno) in container.state.withLock { $0.hostName = Array(new.utf8) } }))
        add(
            "kernel/domainname",
            Setting(
                kind: .text(maximum: 64), isWritable: true,
                read: { String(decoding: container.state.withLock { $0.domainName }, as: UTF8.self) },
                write: { new throws(Errno) in container.state.withLock { $0.domainName = Array(new.utf8) } }))
        fixed("kernel/ostype", KernelRelease.name)
        fixed("kernel/osrelease", KernelRelease.release)
        fixed("kernel/version", KernelRelease.version)
        fixed("kernel/arch", KernelRelease.machine)
        fixed("kernel/pid_max", String(PIDNamespace.maximum))
        add(
            "kernel/threads-max",
            Setting(
                kind: .text(maximum: 0), isWritable: false,
                read: { String(container.state.withLock { $0.tasksLimit } ?? 62_000) }, write: { _ throws(Errno) in throw .EACCES }))
        let boot = bootIdentifier
        fixed("kernel/random/boot_id", boot)
        add(
            "kernel/random/uuid",
            Setting(kind: .text(maximum: 0), isWritable: false, read: { Self.uuid() }, write: { _ throws(Errno) in throw .EACCES }))
        for (name, value) in [
            ("kernel/random/entropy_avail", "256"), ("kernel/random/poolsize", "256"), ("kernel/random/urandom_min_reseed_secs", "60"),
            ("kernel/random/write_wakeup_threshold", "256"), ("kernel/cap_last_cap", "40"), ("kernel/ngroups_max", "65536"),
            ("kernel/tainted", "0"), ("kernel/randomize_va_space", "2"), ("kernel/kptr_restrict", "2"), ("kernel/dmesg_restrict", "0"),
            ("kernel/perf_event_paranoid", "4"), ("kernel/unprivileged_bpf_disabled", "2"), ("kernel/modules_disabled", "1"),
            ("kernel/sysrq", "0"), ("kernel/panic", "0"), ("kernel/panic_on_oops", "0"), ("kernel/hung_task_timeout_secs", "0"),
            ("kernel/io_uring_disabled", "2"), ("kernel/nmi_watchdog", "0"), ("kernel/numa_balancing", "0"), ("kernel/ctrl-alt-del", "0"),
            ("kernel/sched_child_runs_first", "0"), ("kernel/sched_rt_period_us", "1000000"), ("kernel/sched_rt_runtime_us", "950000"),
            ("kernel/sched_autogroup_enabled", "0"), ("kernel/sched_rr_timeslice_ms", "100"), ("kernel/printk", "4\t4\t1\t7"),
            ("kernel/printk_ratelimit", "5"), ("kernel/print-fatal-signals", "0"), ("kernel/pty/max", "4096"), ("kernel/pty/nr", "0"),
            ("kernel/seccomp/actions_avail", "kill_process kill_thread trap errno user_notif trace log allow"),
            ("kernel/seccomp/actions_logged", "kill_process kill_thread trap errno user_notif trace log"), ("kernel/keys/maxkeys", "200"),
            ("kernel/keys/maxbytes", "20000"), ("kernel/keys/root_maxkeys", "1000000"), ("kernel/keys/root_maxbytes", "25000000"),
            ("kernel/unprivileged_userns_clone", "0"), ("kernel/yama/ptrace_scope", "0"), ("user/max_user_namespaces", "0"),
            ("user/max_pid_namespaces", "0"), ("user/max_net_namespaces", "0"), ("user/max_mnt_namespaces", "1000"),
            ("user/max_uts_namespaces", "0"), ("user/max_ipc_namespaces", "0"), ("user/max_cgroup_namespaces", "0"),
            ("user/max_inotify_instances", "128"), ("user/max_inotify_watches", "65536"), ("kernel/overflowuid", "65534"),
            ("kernel/overflowgid", "65534"), ("dev/tty/legacy_tiocsti", "0"), ("dev/tty/ldisc_autoload", "0"), ("abi/vsyscall32", "1"),
        ] { fixed(name, value) }
        text("kernel/core_pattern", "core")
        number("kernel/core_uses_pid", "1", 0...1)
        // System V and POSIX inter-process communication: engines set these in the OCI configuration.
        for (name, value) in [
            ("kernel/shmmax", "18446744073692774399"), ("kernel/shmall", "18446744073692774399"), ("kernel/shmmni", "4096"),
            ("kernel/shm_rmid_forced", "0"), ("kernel/msgmax", "8192"), ("kernel/msgmnb", "16384"), ("kernel/msgmni", "32000"),
            ("kernel/auto_msgmni", "0"), ("kernel/msg_next_id", "-1"), ("kernel/sem_next_id", "-1"), ("kernel/shm_next_id", "-1"),
        ] { number(name, value, -1...Int64.max) }
        number("kernel/sem", "32000\t1024000000\t500\t32000", count: 4)
    }

    private func addMemoryAndFiles() {
        for (name, value) in [
            ("vm/overcommit_memory", "0"), ("vm/overcommit_ratio", "50"), ("vm/overcommit_kbytes", "0"), ("vm/max_map_count", "65530"),
            ("vm/swappiness", "60"), ("vm/mmap_min_addr", "65536"), ("vm/mmap_rnd_bits", "28"), ("vm/nr_hugepages", "0"),
            ("vm/dirty_ratio", "20"), ("vm/dirty_background_ratio", "10"), ("vm/dirty_expire_centisecs", "3000"),
            ("vm/dirty_writeback_centisecs", "500"), ("vm/min_free_kbytes", "67584"), ("vm/oom_kill_allocating_task", "0"),
            ("vm/panic_on_oom", "0"), ("vm/vfs_cache_pressure", "100"), ("vm/legacy_va_layout", "0"), ("vm/page-cluster", "3"),
            ("vm/zone_reclaim_mode", "0"), ("vm/admin_reserve_kbytes", "8192"), ("vm/user_reserve_kbytes", "131072"),
            ("vm/unprivileged_userfaultfd", "0"), ("vm/memfd_noexec", "0"), ("fs/file-max", "9223372036854775807"),
            ("fs/file-nr", "0\t0\t9223372036854775807"), ("fs/nr_open", "1048576"), ("fs/inode-nr", "0\t0"),
            ("fs/inode-state", "0\t0\t0\t0\t0\t0\t0"),
            ("fs/dentry-state", "0\t0\t45\t0\t0\t0"), ("fs/pipe-max-size", "1048576"), ("fs/pipe-user-pages-soft", "16384"),
            ("fs/pipe-user-pages-hard", "0"), ("fs/inotify/max_user_instances", "128"), ("fs/inotify/max_user_watches", "65536"),
            ("fs/inotify/max_queued_events", "16384"), ("fs/epoll/max_user_watches", "1048576"), ("fs/protected_hardlinks", "1"),
            ("fs/protected_symlinks", "1"), ("fs/protected_fifos", "1"), ("fs/protected_regular", "2"), ("fs/suid_dumpable", "0"),
            ("fs/mount-max", "100000"), ("fs/aio-max-nr", "65536"), ("fs/aio-nr", "0"), ("fs/leases-enable", "1"),
            ("fs/lease-break-time", "45"),
            ("fs/overflowuid", "65534"), ("fs/overflowgid", "65534"),
        ] { fixed(name, value) }
        for (name, value) in [
            ("fs/mqueue/msg_default", "10"), ("fs/mqueue/msg_max", "10"), ("fs/mqueue/msgsize_default", "8192"),
            ("fs/mqueue/msgsize_max", "8192"), ("fs/mqueue/queues_max", "256"),
        ] { number(name, value) }
    }

    private func addNetwork() {
        for (name, value) in [
            ("net/core/somaxconn", "4096"), ("net/core/rmem_default", "212992"), ("net/core/rmem_max", "212992"),
            ("net/core/wmem_default", "212992"), ("net/core/wmem_max", "212992"), ("net/core/netdev_max_backlog", "1000"),
            ("net/core/optmem_max", "131072"), ("net/unix/max_dgram_qlen", "512"), ("net/ipv4/ip_forward", "0"),
            ("net/ipv4/ip_default_ttl", "64"),
            ("net/ipv4/ip_unprivileged_port_start", "1024"), ("net/ipv4/ip_nonlocal_bind", "0"), ("net/ipv4/tcp_syncookies", "1"),
            ("net/ipv4/tcp_timestamps", "1"), ("net/ipv4/tcp_sack", "1"), ("net/ipv4/tcp_window_scaling", "1"),
            ("net/ipv4/tcp_fin_timeout", "60"),
            ("net/ipv4/tcp_keepalive_time", "7200"), ("net/ipv4/tcp_keepalive_intvl", "75"), ("net/ipv4/tcp_keepalive_probes", "9"),
            ("net/ipv4/tcp_max_syn_backlog", "1024"), ("net/ipv4/tcp_tw_reuse", "2"), ("net/ipv4/tcp_retries2", "15"),
            ("net/ipv4/tcp_ecn", "2"),
            ("net/ipv4/tcp_fastopen", "1"), ("net/ipv4/tcp_syn_retries", "6"), ("net/ipv6/conf/all/disable_ipv6", "1"),
            ("net/ipv6/conf/default/disable_ipv6", "1"), ("net/ipv6/conf/lo/disable_ipv6", "1"), ("net/ipv6/conf/all/forwarding", "0"),
            ("net/ipv4/conf/all/forwarding", "0"), ("net/ipv4/conf/all/rp_filter", "0"), ("net/ipv4/conf/default/rp_filter", "0"),
            ("net/ipv4/conf/all/arp_notify", "0"), ("net/ipv4/conf/default/arp_notify", "0"), ("net/ipv4/conf/all/route_localnet", "0"),
        ] { number(name, value, -1...Int64.max) }
        number("net/ipv4/ip_local_port_range", "32768\t60999", 1...65535, count: 2)
        number("net/ipv4/ping_group_range", "1\t0", 0...Int64(UInt32.max), count: 2)
        number("net/ipv4/tcp_rmem", "4096\t131072\t6291456", count: 3)
        number("net/ipv4/tcp_wmem", "4096\t16384\t4194304", count: 3)
        text("net/ipv4/tcp_congestion_control", "cubic", maximum: 16)
        fixed("net/ipv4/tcp_available_congestion_control", "reno cubic")
    }

    // MARK: Use

    /// A setting by name, dots or slashes between its parts. ENOENT; EACCES when it cannot be set; EINVAL for a bad value.
    public func set(_ name: String, _ value: String) throws(Errno) {
        let key = name.contains("/") ? name : name.split(separator: ".").joined(separator: "/")
        guard let setting = settings.withLock({ $0[key] }) else { throw .ENOENT }
        guard setting.isWritable else { throw .EACCES }
        try setting.write(try Self.check(Array(value.utf8), setting.kind))
    }

    /// The present value, without a newline.
    public func value(_ name: String) -> String? {
        let key = name.contains("/") ? name : name.split(separator: ".").joined(separator: "/")
        return settings.withLock { $0[key] }?.read()
    }

    /// Called with every new value of `name`; for those who act on a setting. Once per setting, at boot.
    public func observe(_ name: String, _ body: @escaping @Sendable (String) -> Void) {
        let key = name.split(separator: ".").joined(separator: "/")
        settings.withLock { settings in
            guard let old = settings[key] else { return }
            settings[key]?.write = { value throws(Errno) in
                try old.write(value)
                body(value)
            }
        }
    }

    /// The canonical form of what was written, or EINVAL.
    static func check(_ bytes: [UInt8], _ kind: Setting.Kind) throws(Errno) -> String {
        switch kind {
        case .text(let maximum):
            let line = bytes.prefix(while: { $0 != 0 && $0 != 0x0a })
            guard line.count <= maximum else { throw .EINVAL }
            return String(decoding: line, as: UTF8.self)
        case .numbers(let range, let count):
            let words = SettingText.words(bytes)
            guard !words.isEmpty, words.count <= count else { throw .EINVAL }
            var result: [String] = []
            for word in words {
                guard let value = SettingText.parse(word), range.contains(value) else { throw .EINVAL }
                // Numbers of 64 bits without sign keep what they say.
                result.append(value == .max ? word : String(value))
            }
            guard result.count == count else { throw .EINVAL }
            return result.joined(separator: "\t")
        }
    }

    /// Makes the tree below /proc/sys.
    func fill(_ directory: StaticDirectory, _ proc: ProcFileSystem) {
        for (name, setting) in settings.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            var parts = name.split(separator: "/").map(String.init)
            let last = parts.removeLast()
            let parent = directory.directory(parts.joined(separator: "/"))
            var store: SyntheticFile.Store?
            if setting.isWritable {
                store = { [weak self] bytes, _ throws(Errno) in
                    guard let self, let setting = self.settings.withLock({ $0[name] }) else { throw .EIO }
                    try setting.write(try Self.check(bytes, setting.kind))
                }
            }
            parent.add(
                last,
                SyntheticFile(
                    proc, permissions: setting.isWritable ? 0o644 : 0o444, access: .strict, store: store,
                    content: { [weak self] _ throws(Errno) in
                        guard let self, let setting = self.settings.withLock({ $0[name] }) else { throw .EIO }
                        return Array((setting.read() + "\n").utf8)
                    }))
        }
        directory.directory("debug")
    }
}

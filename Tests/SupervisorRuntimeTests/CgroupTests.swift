import SupervisorOCI
import Testing

@testable import SupervisorRuntime

@Suite struct CgroupTests {
    static let hybridMounts = """
        24 1 0:22 / /proc rw - proc proc rw
        30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
        31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
        32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
        34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
        """
    static let hybridOwn = "9:name=systemd:/user.slice\n4:memory:/outer/inner\n2:cpu,cpuacct:/\n0::/x\n"

    @Test func hybrid() {
        let layout = CgroupLayout(mountInfo: Self.hybridMounts, ownCgroups: Self.hybridOwn)
        #expect(layout.kind == .hybrid)
        #expect(layout.hierarchies.map(\.mountPoint) == ["cpu,cpuacct", "memory", "systemd", "unified"].map { "/sys/fs/cgroup/" + $0 })
        #expect(layout.hierarchies.map(\.controllers) == [["cpu", "cpuacct"], ["memory"], ["name=systemd"], []])
        #expect(layout.hierarchies.map(\.ownPath) == ["/", "/outer/inner", "/user.slice", "/x"])
    }

    @Test func otherKinds() {
        #expect(CgroupLayout(mountInfo: "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", ownCgroups: "0::/\n").kind == .v2)
        #expect(CgroupLayout(mountInfo: "32 30 0:28 / /c/memory rw - cgroup cgroup rw,memory", ownCgroups: "4:memory:/\n").kind == .v1)
        #expect(CgroupLayout(mountInfo: "24 1 0:22 / /proc rw - proc proc rw", ownCgroups: "").kind == .none)
        #expect(CgroupLayout(mountInfo: "nonsense\n- - -\n\n", ownCgroups: "::\nx").kind == .none)
    }

    @Test(arguments: [
        ("/docker/abc", "/", "/", "/m/docker/abc"),
        ("docker/abc", "/", "/", "/m/docker/abc"),
        ("abc", "/outer/inner", "/", "/m/outer/inner/abc"),
        ("abc", "/docker/x/inner", "/docker/x", "/m/inner/abc"),
        ("abc", "/../other", "/", "/m/abc"),
        ("/../../etc", "/", "/", "/m/etc"),
        ("/a//b/./c", "/", "/", "/m/a/b/c"),
    ])
    func directory(path: String, own: String, root: String, expected: String) {
        let hierarchy = CgroupLayout.Hierarchy(controllers: ["memory"], isUnified: false, mountPoint: "/m", mountRoot: root, ownPath: own)
        #expect(CgroupLayout.directory(path, in: hierarchy) == expected)
    }

    @Test func escapedMountPoint() {
        let layout = CgroupLayout(mountInfo: "32 30 0:28 / /c\\040d rw - cgroup cgroup rw,memory", ownCgroups: "4:memory:/\n")
        #expect(layout.hierarchies.first?.mountPoint == "/c d")
    }

    private func resources() -> ResourcesSpec {
        var resources = ResourcesSpec()
        resources.memory.limit = 100 << 20
        resources.memory.swap = 150 << 20
        resources.cpu.shares = 1024
        resources.cpu.quota = 50000
        resources.cpu.period = 100_000
        resources.pidsLimit = 10
        return resources
    }

    @Test func legacySettings() {
        let settings = Cgroup.settings(
            resources(), for: .init(path: "/m", controllers: ["memory", "cpu", "pids"], isUnified: false))
        #expect(
            settings.map { "\($0.file)=\($0.value)" } == [
                "memory.limit_in_bytes=\(196 << 20)", "cpu.shares=1024", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000",
                "pids.max=296",
            ])
    }

    @Test func unifiedSettings() {
        let settings = Cgroup.unifiedSettings(resources(), controllers: ["memory", "cpu", "pids"])
        #expect(
            settings.map { "\($0.file)=\($0.value)" } == [
                "memory.max=\(196 << 20)", "memory.swap.max=\(50 << 20)", "cpu.weight=39", "cpu.max=50000 100000", "pids.max=296",
            ])
        #expect(Cgroup.unifiedSettings(resources(), controllers: []).isEmpty)
    }

    @Test func unlimited() {
        var resources = ResourcesSpec()
        resources.memory.limit = -1
        resources.pidsLimit = -1
        let legacy = Cgroup.settings(resources, for: .init(path: "/m", controllers: ["memory", "pids"], isUnified: false))
        #expect(legacy.map(\.value) == ["-1", "max"])
        #expect(Cgroup.unifiedSettings(resources, controllers: ["memory", "pids"]).map(\.value) == ["max", "max"])
    }
}

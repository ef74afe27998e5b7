internal import Control
internal import Diagnostics
internal import LinuxABI
internal import SupervisorOCI

/// A configuration in the words of the Sentry and the Gofer.
struct Translation {
    var container = ContainerSpecification()
    var gofer = GoferConfiguration()
    /// Things that were asked for and are left out, one sentence each.
    var notes: [String] = []

    /// `rootfs` and the sources of bind mounts are resolved against `bundle`.
    init(_ spec: RuntimeSpec, identifier: String, bundle: String, rootfs: String, environment: RuntimeEnvironment) throws(SandboxError) {
        gofer.id = identifier
        gofer.trees.append(Self.tree(rootfs, readOnly: spec.root.isReadOnly, flags: 0, recursive: false))
        container.id = identifier
        container.rootTree = 0
        container.rootReadOnly = spec.root.isReadOnly
        container.hostname = Array(spec.hostname.utf8)
        container.domainname = Array(spec.domainname.utf8)
        container.process = try Self.process(spec.process, seccomp: spec.linux.seccomp, notes: &notes)
        for (name, value) in spec.linux.sysctl.sorted(by: { $0.key < $1.key }) {
            container.sysctls.append(NamedValue(name: Array(name.utf8), value: Array(value.utf8)))
        }
        for mount in spec.mounts { try add(mount, bundle: bundle) }
        // The working directory is made too, unless it lies in a mount.
        gofer.trees[0].mountPoints.append(MountPointSpecification(path: Array(spec.process.workingDirectory.utf8)))
        container.maskedPaths = spec.linux.maskedPaths.map { Array($0.utf8) }
        container.readOnlyPaths = spec.linux.readonlyPaths.map { Array($0.utf8) }
        for device in spec.linux.devices { add(device) }
        container.resources = Self.resources(spec.linux.resources, hostMemory: environment.memory)
        container.uidMappings = spec.linux.userMappings.map(Self.mapping)
        container.gidMappings = spec.linux.groupMappings.map(Self.mapping)
        gofer.uidMappings = container.uidMappings
        gofer.gidMappings = container.gidMappings
        for (name, value) in spec.annotations.sorted(by: { $0.key < $1.key }) {
            container.annotations.append(NamedValue(name: Array(name.utf8), value: Array(value.utf8)))
        }
    }

    private static func mapping(_ mapping: LinuxSpec.IDMapping) -> IdentityMapping {
        IdentityMapping(containerID: mapping.containerID, hostID: mapping.hostID, count: mapping.size)
    }

    static func tree(_ source: String, readOnly: Bool, flags: UInt64, recursive: Bool) -> TreeSpecification {
        var tree = TreeSpecification()
        tree.source = Array(source.utf8)
        tree.readOnly = readOnly
        tree.recursive = recursive
        // The guest's own flags are the Sentry's to keep; on the host nothing of a container is ever a device or gains privileges.
        tree.mountFlags = MountFlag.MS_NODEV | MountFlag.MS_NOSUID | flags
        return tree
    }

    private mutating func add(_ mount: MountSpec, bundle: String) throws(SandboxError) {
        let options = MountOptions(mount.options)
        var entry = Control.MountSpecification()
        entry.destination = Array(mount.destination.utf8)
        entry.source = Array(mount.source.utf8)
        entry.flags = options.flags & ~(MountFlag.MS_BIND | MountFlag.MS_REC)
        entry.data = Array(options.data.joined(separator: ",").utf8)
        if mount.isBind {
            let source = HostPath.absolute(mount.source, from: bundle)
            guard HostFile.exists(source) else {
                throw SandboxError(
                    .notFound, "mount \(mount.destination): \(source): no such file or directory",
                    hint: "the source of a bind mount must exist on the host")
            }
            entry.kind = .bind
            entry.isFile = !HostFile.isDirectory(source)
            entry.shared = true
            entry.tree = UInt32(gofer.trees.count)
            var tree = Self.tree(
                HostPath.resolved(source) ?? source, readOnly: mount.isReadOnly, flags: 0, recursive: mount.isRecursive)
            tree.isFile = entry.isFile
            tree.allowSockets = true
            gofer.trees.append(tree)
        } else {
            switch mount.type {
            case "tmpfs", "ramfs": entry.kind = .tmpfs
            case "proc": entry.kind = .proc
            case "sysfs": entry.kind = .sysfs
            case "devtmpfs": entry.kind = .devtmpfs
            case "devpts": entry.kind = .devpts
            case "mqueue": entry.kind = .mqueue
            case "cgroup", "cgroup2": entry.kind = .cgroup
            default:
                throw SandboxError(
                    .unsupported, "mount \(mount.destination): file system type \"\(mount.type)\" is not served",
                    hint: "bind, tmpfs, proc, sysfs, devtmpfs, devpts, mqueue and cgroup are; mount others on the host and bind them")
            }
        }
        gofer.trees[0].mountPoints.append(MountPointSpecification(path: entry.destination, isFile: entry.isFile))
        container.mounts.append(entry)
    }

    private mutating func add(_ device: LinuxSpec.Device) {
        var entry = DeviceSpecification()
        entry.path = Array(device.path.utf8)
        switch device.type {
        case "b": entry.kind = .block
        case "p": entry.kind = .fifo
        default: entry.kind = .character
        }
        entry.major = UInt32(clamping: device.major)
        entry.minor = UInt32(clamping: device.minor)
        entry.mode = (device.fileMode ?? 0o666) & 0o7777
        entry.uid = device.userID
        entry.gid = device.groupID
        container.devices.append(entry)
    }

    /// The limits that the Sentry keeps.
    static func resources(_ resources: ResourcesSpec, hostMemory: UInt64) -> ResourceSpecification {
        var result = ResourceSpecification()
        if let limit = resources.memory.limit, limit > 0 { result.memoryLimit = min(UInt64(limit), hostMemory) }
        if let limit = resources.pidsLimit, limit > 0 { result.pidsLimit = UInt64(limit) }
        result.cpuShares = resources.cpu.shares ?? 0
        result.cpuQuota = resources.cpu.quota ?? 0
        result.cpuPeriod = resources.cpu.period ?? 0
        if let quota = resources.cpu.quota, quota > 0 {
            let period = Int64(clamping: resources.cpu.period ?? 100_000)
            if period > 0 { result.cpuCount = UInt32(clamping: max(1, (quota - 1) / period + 1)) }
        }
        return result
    }

    /// A process; `seccomp` is the container's filter, which holds for `exec` too.
    static func process(_ process: ProcessSpec, seccomp: SeccompSpec?, notes: inout [String]) throws(SandboxError) -> ProcessSpecification {
        var result = ProcessSpecification()
        result.arguments = process.arguments.map { Array($0.utf8) }
        result.environment = process.environment.map { Array($0.utf8) }
        result.workingDirectory = Array(process.workingDirectory.utf8)
        result.uid = process.user.userID
        result.gid = process.user.groupID
        result.additionalGids = process.user.additionalGroupIDs
        result.umask = process.user.umask ?? 0o022
        if let capabilities = process.capabilities {
            func mask(_ names: [String]) -> UInt64 {
                let (mask, unknown) = CapabilityName.mask(names)
                for name in unknown { notes.append("capability \(name) is not known and left out") }
                return mask
            }
            result.capabilities.effective = mask(capabilities.effective)
            result.capabilities.permitted = mask(capabilities.permitted)
            result.capabilities.inheritable = mask(capabilities.inheritable)
            result.capabilities.bounding = mask(capabilities.bounding)
            result.capabilities.ambient = mask(capabilities.ambient)
        }
        for limit in process.resourceLimits {
            if let number = limit.number {
                result.rlimits.append(Control.ResourceLimit(resource: UInt32(number), soft: limit.soft, hard: limit.hard))
            }
        }
        result.noNewPrivileges = process.noNewPrivileges
        result.terminal = process.terminal
        if process.terminal, let size = process.consoleSize {
            result.consoleWidth = size.width
            result.consoleHeight = size.height
        }
        result.oomScoreAdj = process.oomScoreAdjustment ?? 0
        if !process.apparmorProfile.isEmpty, process.apparmorProfile != "unconfined" {
            notes.append("AppArmor profile \(process.apparmorProfile) is left out: the guest has no host kernel to apply it")
        }
        if !process.selinuxLabel.isEmpty {
            notes.append("SELinux label \(process.selinuxLabel) is left out: the guest has no host kernel to apply it")
        }
        if let seccomp { result.seccomp = try Self.seccomp(seccomp, notes: &notes) }
        return result
    }

    private static func seccomp(_ spec: SeccompSpec, notes: inout [String]) throws(SandboxError) -> SeccompProgram {
        func action(_ action: SeccompSpec.Action, _ errno: UInt32?) -> Control.SeccompAction {
            let value = UInt16(truncatingIfNeeded: errno ?? UInt32(Errno.EPERM.rawValue))
            return switch action {
            case .kill, .killThread: Control.SeccompAction(.killThread)
            case .killProcess: Control.SeccompAction(.killProcess)
            case .trap: Control.SeccompAction(.trap)
            case .error: Control.SeccompAction(.errno, value: value)
            case .trace: Control.SeccompAction(.trace, value: value)
            case .allow: Control.SeccompAction(.allow)
            case .log: Control.SeccompAction(.log)
            case .notify: Control.SeccompAction(.notify)
            }
        }
        let numbers = SystemCallNames.numbers
        var program = SeccompProgram()
        program.defaultAction = action(spec.defaultAction, spec.defaultErrno)
        // The Sentry serves one architecture; of the others, only calls with the x32 bit reach a filter.
        program.architectures = [0xC000_003E]
        if spec.architectures.contains("SCMP_ARCH_X32") { program.architectures.append(SeccompProgram.x32) }
        for flag in spec.flags {
            switch flag {
            case "SECCOMP_FILTER_FLAG_LOG": program.flags |= 2
            case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": program.flags |= 4
            case "SECCOMP_FILTER_FLAG_TSYNC": program.flags |= 1
            default: throw SandboxError(.unsupported, "linux.seccomp.flags: \"\(flag)\" is not served")
            }
        }
        for rule in spec.rules {
            var entry = SeccompRule(calls: [], action: action(rule.action, rule.errno))
            entry.calls = rule.names.compactMap { numbers[$0] }
            entry.arguments = rule.arguments.map { argument in
                let comparison: SeccompOperator =
                    switch argument.comparison {
                    case .notEqual: .notEqual
                    case .lessThan: .lessThan
                    case .lessOrEqual: .lessOrEqual
                    case .equal: .equal
                    case .greaterOrEqual: .greaterOrEqual
                    case .greaterThan: .greaterThan
                    case .maskedEqual: .maskedEqual
                    }
                return SeccompArgument(
                    index: UInt8(argument.index), comparison: comparison, value: argument.value, valueTwo: argument.valueTwo)
            }
            if !entry.calls.isEmpty { program.rules.append(entry) }
        }
        return program
    }
}

/// Facts about the host that a translation needs.
struct RuntimeEnvironment: Sendable {
    /// Bytes.
    var memory: UInt64

    /// Of this host.
    static func host() -> RuntimeEnvironment {
        var memory: UInt64 = 1 << 34
        if let text = HostFile.text("/proc/meminfo") {
            for line in text.split(separator: "\n") where line.hasPrefix("MemTotal:") {
                let fields = line.split(separator: " ")
                if fields.count > 1, let kilobytes = UInt64(fields[1]) { memory = kilobytes << 10 }
            }
        }
        return RuntimeEnvironment(memory: memory)
    }
}

/// The numbers of system calls by name.
enum SystemCallNames {
    static let numbers: [String: UInt32] = {
        var numbers: [String: UInt32] = [:]
        for entry in SystemCallNumber.all { numbers[entry.name] = UInt32(entry.number) }
        return numbers
    }()
}

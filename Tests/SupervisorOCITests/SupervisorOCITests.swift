import SupervisorOCI
import Testing

@Suite struct RuntimeSpecTests {
    /// The template with one field replaced; `value` nil removes it.
    private func template(_ path: [String], _ value: JSON?) -> JSON {
        func replace(_ json: JSON, _ path: ArraySlice<String>) -> JSON {
            guard let key = path.first else { return value ?? .null }
            guard case .object(var members) = json else { return json }
            let changed = path.count == 1 ? value : replace(json[key] ?? .object([]), path.dropFirst())
            members.removeAll { $0.key == key }
            if let changed { members.append(JSON.Member(key, changed)) }
            return .object(members)
        }
        return replace(RuntimeSpec.template(), path[...])
    }

    private func parse(_ json: JSON) throws(ConfigurationError) -> RuntimeSpec {
        try RuntimeSpec(parsing: Array(json.text(indented: true).utf8))
    }

    @Test func templateIsValid() throws {
        let spec = try parse(RuntimeSpec.template())
        #expect(spec.process.arguments == ["sh"])
        #expect(spec.process.terminal)
        #expect(spec.root == RuntimeSpec.Root(path: "rootfs", isReadOnly: true))
        #expect(spec.mounts.count == 7)
        #expect(spec.linux.namespace(.pid) != nil)
        #expect(spec.linux.namespace(.user) == nil)
        #expect(spec.linux.maskedPaths.count == 10)
    }

    @Test(arguments: [
        (["process"], JSON.null, "process: process property must not be empty"),
        (["process", "args"], .array([]), "process.args: args must not be empty"),
        (["process", "args"], .string("sh"), "process.args: expected an array, found a string"),
        (["process", "args"], .array([.string("sh"), .integer(1)]), "process.args[1]: expected a string, found a number"),
        (["process", "args"], .array([.string("a\u{0}b")]), "process.args[0]: contains a NUL byte"),
        (["process", "cwd"], .string(""), "process.cwd: Cwd property must not be empty"),
        (["process", "cwd"], .string("tmp"), "process.cwd: Cwd must be an absolute path"),
        (["process", "env"], .array([.string("X")]), "process.env[0]: \"X\" is not of the form NAME=VALUE"),
        (["process", "user", "uid"], .integer(-1), "process.user.uid: -1 is not a whole number between 0 and 4294967295"),
        (["process", "oomScoreAdj"], .integer(1001), "process.oomScoreAdj: 1001 is not between -1000 and 1000"),
        (
            ["process", "rlimits"], .array([.object([.init("type", .string("RLIMIT_X"))])]),
            "process.rlimits[0].type: invalid rlimit type: \"RLIMIT_X\""
        ),
        (["root", "path"], .string(""), "root.path: root.path must not be empty"),
        (["ociVersion"], .string("2.0.0"), "ociVersion: \"2.0.0\" is not a version this runtime knows"),
        (
            ["linux", "namespaces"], .array([.object([.init("type", .string("foo"))])]),
            "linux.namespaces[0].type: namespace \"foo\" does not exist"
        ),
        (["linux", "rootfsPropagation"], .string("wild"), "linux.rootfsPropagation: rootfsPropagation=wild is not supported"),
        (
            ["linux", "sysctl"], .strings(["vm.swappiness": "1"]),
            "linux.sysctl: sysctl \"vm.swappiness\" is not in a separate kernel namespace"
        ),
        (["linux", "cgroupsPath"], .string("/a/../../b"), "linux.cgroupsPath: \"/a/../../b\" contains \"..\""),
        (["mounts"], .array([.object([.init("type", .string("bind"))])]), "mounts[0].destination: a mount must have a destination"),
        (
            ["mounts"], .array([.object([.init("destination", .string("/a")), .init("type", .string("bind"))])]),
            "mounts[0].source: a bind mount must have a source"
        ),
        (
            ["hooks"], .object([.init("prestart", .array([.object([.init("path", .string("x"))])]))]),
            "hooks.prestart[0].path: hook path \"x\" is not absolute"
        ),
        (
            ["linux", "seccomp"], .object([.init("defaultAction", .string("NO"))]),
            "linux.seccomp.defaultAction: string \"NO\" is not a valid action for seccomp"
        ),
        (
            ["linux", "resources", "memory"], .object([.init("limit", .number("1.5"))]),
            "linux.resources.memory.limit: 1.5 is not a whole number"
        ),
    ])
    func wrongField(path: [String], value: JSON, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try parse(template(path, value)) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "no error")")
    }

    @Test func brokenDocument() {
        let error = #expect(throws: ConfigurationError.self) { try RuntimeSpec(parsing: Array("{\n \"process\": }".utf8)) }
        #expect(error?.description == "line 2, column 13: invalid character '}' looking for a value")
    }

    @Test func tooLargeDocument() {
        #expect(throws: ConfigurationError.self) { try RuntimeSpec(parsing: [UInt8](repeating: 0x20, count: 5 << 20)) }
    }

    @Test func nullIsAbsent() throws {
        let spec = try parse(template(["hooks"], .null))
        #expect(spec.hooks == HooksSpec())
    }

    @Test func duplicatedNamespace() {
        let pid = JSON.object([.init("type", .string("pid"))])
        #expect(throws: ConfigurationError.self) { try parse(template(["linux", "namespaces"], .array([pid, pid]))) }
    }

    @Test func overlappingMappings() {
        func mapping(_ a: Int, _ b: Int, _ n: Int) -> JSON {
            .object([.init("containerID", .integer(a)), .init("hostID", .integer(b)), .init("size", .integer(n))])
        }
        let user = JSON.array([.object([.init("type", .string("user"))])])
        func parse(_ mappings: [JSON]) throws -> RuntimeSpec {
            var json = template(["linux", "namespaces"], user)
            guard case .object(var members) = json, case .object(var linux) = json["linux"] else { return try self.parse(json) }
            linux.append(.init("uidMappings", .array(mappings)))
            linux.append(.init("gidMappings", .array([mapping(0, 0, 1)])))
            members.removeAll { $0.key == "linux" || $0.key == "hostname" }
            members.append(.init("linux", .object(linux)))
            json = .object(members)
            return try self.parse(json)
        }
        #expect(throws: Never.self) { try parse([mapping(0, 1000, 10), mapping(10, 2000, 10)]) }
        #expect(throws: ConfigurationError.self) { try parse([mapping(0, 1000, 10), mapping(9, 2000, 10)]) }
        #expect(throws: ConfigurationError.self) { try parse([mapping(0, 1000, 10), mapping(10, 1009, 10)]) }
        #expect(throws: ConfigurationError.self) { try parse([mapping(4_294_967_295, 0, 2)]) }
    }

    /// The texts are those that runc prints.
    @Test func userNamespaces() throws {
        func mapping(_ a: Int, _ b: Int, _ n: Int) -> JSON {
            .object([.init("containerID", .integer(a)), .init("hostID", .integer(b)), .init("size", .integer(n))])
        }
        func text(
            users: [JSON] = [mapping(0, 100_000, 10)], groups: [JSON] = [mapping(0, 100_000, 10)], path: String = "",
            user: (Int, Int) = (0, 0),
            others: [Int] = [], mount: [JSON.Member] = []
        ) -> String {
            let json = JSON.object([
                .init("ociVersion", .string("1.0.2")), .init("root", .object([.init("path", .string("r"))])),
                .init(
                    "process",
                    .object([
                        .init("cwd", .string("/")), .init("args", .strings(["x"])),
                        .init(
                            "user",
                            .object([
                                .init("uid", .integer(user.0)), .init("gid", .integer(user.1)),
                                .init("additionalGids", .array(others.map { JSON.integer($0) })),
                            ])),
                    ])),
                .init(
                    "mounts",
                    .array([
                        .object(
                            [.init("destination", .string("/m")), .init("type", .string("bind")), .init("source", .string("/"))] + mount)
                    ])),
                .init(
                    "linux",
                    .object([
                        .init(
                            "namespaces",
                            .array([.object([.init("type", .string("user"))] + (path.isEmpty ? [] : [.init("path", .string(path))]))])),
                        .init("uidMappings", .array(users)), .init("gidMappings", .array(groups)),
                    ])),
            ])
            do throws(ConfigurationError) {
                _ = try RuntimeSpec(reading: FieldReader(json))
                return ""
            } catch { return error.description }
        }
        #expect(text().isEmpty)
        #expect(text(users: []).contains("User namespaces enabled, but no uid mappings found"))
        #expect(text(groups: []).contains("User namespaces enabled, but no gid mappings found"))
        #expect(text(users: [mapping(1, 100_000, 10)]).contains("User namespaces enabled, but no user mapping found"))
        #expect(text(groups: [mapping(1, 100_000, 10)]).contains("User namespaces enabled, but no group mapping found"))
        #expect(text(users: [mapping(0, 100_000, 0)]).contains("linux.uidMappings[0]"))
        #expect(text(groups: [mapping(0, 1, 5), mapping(4, 100, 5)]).contains("linux.gidMappings[1]: overlaps linux.gidMappings[0]"))
        #expect(text(users: (0..<340).map { mapping($0, 2 * $0, 1) }).isEmpty)
        #expect(text(users: (0..<341).map { mapping($0, 2 * $0, 1) }).contains("uidMappings"))
        #expect(text(user: (10, 0)).contains("cannot set uid to unmapped user in user namespace"))
        #expect(text(user: (0, 10)).contains("cannot set gid to unmapped user in user namespace"))
        #expect(text(others: [3, 10]).contains("setgroups: invalid argument") && text(others: [9]).isEmpty)
        #expect(text(path: "/proc/7/ns/user").contains("/proc/7/ns/user"))
        #expect(text(mount: [.init("uidMappings", .array([mapping(0, 1, 1)]))]).contains("id-mapped mounts are not served (/m)"))
        #expect(text(mount: [.init("uidMappings", .array([]))]).isEmpty)
        for option in ["idmap", "ridmap"] {
            #expect(text(mount: [.init("options", .strings(["bind", option]))]).contains("id-mapped mounts"))
        }
    }

    @Test func mountOptions() {
        let options = MountOptions(["nosuid", "ro", "rw", "size=64k", "rprivate", "rnoexec", "tmpcopyup", "ro"])
        #expect(options.flags == 1 | 2 | 8)
        #expect(options.recursiveFlags == 8)
        #expect(options.data == ["size=64k"])
        #expect(options.propagation == 1 << 18 | 16384)
        #expect(options.copiesUp)
    }

    @Test func resourcesMergeAndRoundTrip() throws {
        var resources = ResourcesSpec()
        resources.memory.limit = 1 << 20
        resources.cpu.shares = 512
        var other = ResourcesSpec()
        other.memory.limit = 2 << 20
        other.pidsLimit = 7
        other.cpu.shares = 0
        resources.merge(other)
        #expect(resources.memory.limit == 2 << 20)
        #expect(resources.cpu.shares == 512)
        #expect(try ResourcesSpec(reading: FieldReader(resources.json)) == resources)
    }

    @Test func capabilities() {
        #expect(CapabilityName.mask(["CAP_CHOWN", "cap_kill", "SETFCAP", "CAP_FOO"]) == (1 | 1 << 5 | 1 << 31, ["CAP_FOO"]))
        #expect(CapabilityName.everything == 0x1FF_FFFF_FFFF)
    }

    @Test func stateDocument() {
        var state = StateDocument(identifier: "a", status: .stopped, processID: 0, bundle: "/b", annotations: ["k": "v"])
        state.exit = ("exited", 3)
        #expect(
            state.json.text()
                == #"{"ociVersion":"1.2.0","id":"a","pid":0,"status":"stopped","bundle":"/b","annotations":{"dev.nestbox.exit.reason":"exited","dev.nestbox.exit.status":"3","k":"v"}}"#
        )
    }
}

import Foundation
import Testing

/// A configuration that is wrong, and what the error must say.
struct WrongConfiguration: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let says: [String]
    let edit: @Sendable (inout JSON) -> Void

    static let all: [WrongConfiguration] = [
        WrongConfiguration(testDescription: "no program", says: ["args"]) { $0["process"]["args"] = [] },
        WrongConfiguration(testDescription: "missing program", says: ["no such file or directory", "/no/such/program"]) {
            $0["process"]["args"] = ["/no/such/program"]
        },
        WrongConfiguration(testDescription: "program not in PATH", says: ["nosuchprogram"]) { $0["process"]["args"] = ["nosuchprogram"] },
        WrongConfiguration(testDescription: "not executable", says: ["permission denied"]) { $0["process"]["args"] = ["/etc/passwd"] },
        WrongConfiguration(testDescription: "a directory", says: ["permission denied"]) { $0["process"]["args"] = ["/etc"] },
        WrongConfiguration(testDescription: "missing root", says: ["no such file or directory", "/no/such/root"]) {
            $0["root"]["path"] = "/no/such/root"
        },
        WrongConfiguration(testDescription: "relative working directory", says: ["cwd"]) { $0["process"]["cwd"] = "relative" },
        WrongConfiguration(testDescription: "missing bind source", says: ["no such file or directory"]) {
            $0["mounts"].append(["destination": "/mnt", "type": "bind", "source": "/no/such/source", "options": ["bind"]])
        },
        WrongConfiguration(testDescription: "unknown namespace", says: ["namespace"]) {
            $0["linux"]["namespaces"].append(["type": "moon"])
        },
        WrongConfiguration(testDescription: "wrong type", says: ["args"]) { $0["process"]["args"] = "text" },
        WrongConfiguration(testDescription: "future version", says: ["version"]) { $0["ociVersion"] = "9.0.0" },
        WrongConfiguration(testDescription: "unknown rlimit", says: ["rlimit"]) {
            $0["process"]["rlimits"] = [["type": "RLIMIT_MOON", "soft": 1, "hard": 1]]
        },
        WrongConfiguration(testDescription: "failing hook", says: ["hook"]) {
            $0["hooks"] = ["createRuntime": [["path": "/bin/false"]]]
        },
    ]
}

extension IntegrationTests {
    /// Wrong input of every kind gives an error as runc words it, and leaves nothing behind.
    @Suite struct Errors {
        @Test(arguments: WrongConfiguration.all)
        func refuses(_ wrong: WrongConfiguration) throws {
            var spec = ContainerSpec(shell: "true")
            spec.edit = wrong.edit
            try Container.with(spec) { container in
                let outcome = try container.nestbox(["--log-format", "json", "create", "--bundle", container.bundle, container.identifier])
                #expect(outcome.status == 1, outcome.report)
                for text in wrong.says { #expect(outcome.errors.lowercased().contains(text.lowercased()), outcome.report) }
                let log = (MachineState.readText(container.log) ?? "").split(separator: "\n")
                let last = try #require(log.last { $0.contains("\"error\"") }, "no error in the log")
                let entry = try JSON(parsing: [UInt8](last.utf8))
                #expect(entry["level"] == "error" && entry["msg"].string?.isEmpty == false, "the log says \(last)")
                #expect(try container.nestbox(["state", container.identifier]).status != 0)
                let left = (try? FileManager.default.contentsOfDirectory(atPath: container.state)) ?? []
                #expect(left.isEmpty, "left in the state directory: \(left)")
            }
        }

        @Test(arguments: ["{", "", "[]", "{\"ociVersion\":1}", "\u{0}\u{1}", String(repeating: "[", count: 100_000)])
        func refusesBrokenDocuments(_ text: String) throws {
            try Container.with(ContainerSpec(shell: "true")) { container in
                _ = FileManager.default.createFile(atPath: container.bundle + "/config.json", contents: Data(text.utf8))
                let outcome = try container.run(timeout: 20)
                #expect(outcome.status == 1 && !outcome.errors.isEmpty, outcome.report)
            }
        }

        @Test func refusesAMissingBundle() throws {
            try Container.with(ContainerSpec(shell: "true")) { container in
                try FileManager.default.removeItem(atPath: container.bundle + "/config.json")
                let outcome = try container.run(timeout: 20)
                #expect(outcome.status == 1 && outcome.errors.contains("config.json"), outcome.report)
            }
        }

        @Test(arguments: ["", "../up", "a/b", "with space", ".", String(repeating: "x", count: 2000)])
        func refusesBadNames(_ name: String) throws {
            try Container.with(ContainerSpec(shell: "true")) { container in
                let outcome = try container.nestbox(["create", "--bundle", container.bundle, name])
                #expect(outcome.status == 1, outcome.report)
            }
        }

        @Test func refusesADuplicate() throws {
            try Container.with(ContainerSpec(shell: "sleep 100")) { container in
                try #require(try container.nestbox(["create", "--bundle", container.bundle, container.identifier]).status == 0)
                let second = try container.nestbox(["create", "--bundle", container.bundle, container.identifier])
                #expect(second.status == 1 && second.errors.contains("already exists"), second.report)
                #expect(try container.status() == "created", "the first one suffered")
            }
        }

        @Test(arguments: [
            ["start"], ["kill"], ["delete"], ["state"], ["exec", "true"], ["pause"], ["resume"], ["ps"], ["events", "--stats"],
        ])
        func refusesUnknownContainers(_ words: [String]) throws {
            try Container.with(ContainerSpec(shell: "true")) { container in
                var command = words
                command.insert("no-such-container", at: words.first == "exec" ? 1 : words.count)
                let outcome = try container.nestbox(command)
                #expect(outcome.status == (words.first == "exec" ? 255 : 1), outcome.report)
                #expect(outcome.errors.contains("does not exist"), outcome.report)
            }
        }

        @Test func refusesUnknownCommandsAndFlags() throws {
            #expect(try execute([TestEnvironment.nestbox, "fly"]).status == 1)
            #expect(try execute([TestEnvironment.nestbox, "--wings", "list"]).status == 1)
            #expect(try execute([TestEnvironment.nestbox, "create"]).status == 1)
        }

        @Test func saysThatItNeedsRoot() throws {
            let outcome = try execute([
                "setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", TestEnvironment.nestbox, "--root", "/tmp/none", "run",
                "x",
            ])
            #expect(outcome.status == 1 && outcome.errors.contains("root"), outcome.report)
        }

        @Test func namesTheMissingNetworkMode() throws {
            let outcome = try sandboxed(ContainerSpec(["/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_INET)"]))
            #expect(
                outcome.status == 1 && outcome.errors.contains("EAFNOSUPPORT") || outcome.errors.contains("Address family not supported"),
                outcome.report)
        }
    }
}

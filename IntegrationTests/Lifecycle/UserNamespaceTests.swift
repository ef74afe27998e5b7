import Foundation
import Testing

extension IntegrationTests {
    /// `linux.uidMappings` and `gidMappings`: the container's ids inside, the host's on its files. All of it holds for runc too.
    @Suite struct UserNamespaces {
        private static func mapping(_ container: Int, _ host: Int, _ size: Int) -> JSON {
            ["containerID": .number(container), "hostID": .number(host), "size": .number(size)]
        }
        private static let usual: JSON = [mapping(0, 100_000, 2000), mapping(65534, 300_000, 1)]

        private func spec(_ line: String, _ folder: String, users: JSON = usual, groups: JSON = usual) -> ContainerSpec {
            var spec = ContainerSpec(shell: line)
            spec.binds = [(folder, "/mnt", ["rbind"])]
            spec.edit = {
                $0["linux"]["namespaces"] = .list($0["linux"]["namespaces"].elements + [["type": "user"]])
                $0["linux"]["uidMappings"] = users
                $0["linux"]["gidMappings"] = groups
            }
            return spec
        }

        /// A folder of the host that belongs to the container's root, with files of several owners.
        private func withFolder<R>(_ body: (String) throws -> R) throws -> R {
            let folder = try Workspace.makeFolder("userns")
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let made = try execute(
                [
                    "sh", "-ec",
                    """
                    cd "$1"; chmod 755 . ..; for f in foreign secret mine odd; do echo text >$f; done; chmod 600 secret; chmod 640 mine
                    chown 100005:100006 mine; chown 100007:0 odd; chmod 604 odd; mkdir shared; chown 100000:55 shared; chmod 2775 shared; chown 100000:100000 .
                    """, "sh", folder,
                ])
            guard made.status == 0 else { throw HarnessError(made.errors) }
            return try body(folder)
        }

        private func owner(_ path: String) throws -> [Int] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return [attributes[.ownerAccountID] as? Int ?? -1, attributes[.groupOwnerAccountID] as? Int ?? -1]
        }

        @Test func idsAreTheContainersInsideAndTheHostsOutside() throws {
            try withFolder { folder in
                let script = """
                    cd /mnt; why() { "$@" 2>&1 >/dev/null | sed 's/.*: //'; }
                    id -u; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
                    stat -c '%n %u %g' foreign mine odd shared; cat mine; why cat secret
                    why chown 5 foreign; why chmod 666 foreign; why chown 5:5 odd; why touch foreign; why chown 3000 mine; why chgrp 3000 mine
                    chown 7:8 mine; touch made; mkdir folder; ln -s x link; mkfifo pipe; touch shared/inherits; stat -c '%n %u %g' shared/inherits
                    why mknod device c 1 3; rm -f foreign && ls foreign 2>/dev/null; why mv secret away; cp mine copy; stat -c '%u %g' copy
                    /usr/bin/setpriv --reuid 1500 --regid 1600 --clear-groups sh -c 'id -u; touch /tmp/x; stat -c "%u %g" /tmp/x'
                    why /usr/bin/setpriv --reuid 3000 true; why /usr/bin/setpriv --regid 3000 --clear-groups true; why /usr/bin/setpriv --groups 3000 true
                    /usr/bin/setpriv --reuid 65534 --clear-groups sh -c 'cat secret 2>/dev/null || echo not mine'
                    """
                let outcome = try sandboxed(spec(script, folder))
                #expect(
                    outcome.output == """
                        0
                                 0     100000       2000
                             65534     300000          1
                                 0     100000       2000
                             65534     300000          1
                        allow
                        foreign 65534 65534
                        mine 5 6
                        odd 7 65534
                        shared 0 65534
                        text
                        Permission denied
                        Operation not permitted
                        Operation not permitted
                        Operation not permitted
                        Permission denied
                        Invalid argument
                        Invalid argument
                        shared/inherits 0 65534
                        Operation not permitted
                        0 0
                        1500
                        1500 1600
                        Invalid argument
                        Invalid argument
                        Invalid argument
                        not mine

                        """, outcome.report)
                #expect(try owner(folder + "/mine") == [100_007, 100_008])
                for name in ["made", "folder", "link", "pipe", "copy"] {
                    #expect(try owner(folder + "/" + name) == [100_000, 100_000], "\(name)")
                }
                #expect(try owner(folder + "/shared/inherits") == [100_000, 55])
                #expect(
                    !FileManager.default.fileExists(atPath: folder + "/foreign") && FileManager.default.fileExists(atPath: folder + "/away")
                )
            }
        }

        @Test func processesStartAsMappedUsers() throws {
            try withFolder { folder in
                try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder)
                var spec = spec("id -u; id -g; id -G; touch /mnt/made; sleep 100", folder)
                (spec.user, spec.group) = (1000, 1001)
                let edit = spec.edit
                spec.edit = {
                    edit(&$0)
                    $0["process"]["user"]["additionalGids"] = [10]
                }
                try Container.with(spec) { container in
                    let running = try container.starting()
                    #expect(try Wait.changes(in: [folder], within: 10) { FileManager.default.fileExists(atPath: folder + "/made") })
                    #expect(try owner(folder + "/made") == [101_000, 101_001])
                    #expect(running.outputSoFar == "1000\n1001\n1001 10\n")
                    let exec = try container.nestbox(["exec", "--user", "5:6", container.identifier, "sh", "-c", "id -u; touch /mnt/other"])
                    #expect(exec.output == "5\n", exec.report)
                    #expect(try owner(folder + "/other") == [100_005, 100_006])
                    let refused = try container.nestbox(["exec", "--user", "3000", container.identifier, "true"])
                    #expect(
                        refused.status != 0 && refused.errors.contains("cannot set uid to unmapped user in user namespace"), refused.report)
                    _ = try container.nestbox(["kill", container.identifier, "KILL"])
                    _ = running.wait(timeout: 10)
                }
            }
        }

        /// Mount points that are made in the root belong to the container's root.
        @Test func mountPointsBelongToTheContainersRoot() throws {
            try Workspace.withWritableRoot { root in
                let made = try execute(["chown", "-h", "100000:100000", root])
                #expect(made.status == 0, made.report)
                try withFolder { folder in
                    var spec = spec("cat /new/place/mine", folder)
                    spec.root = root
                    spec.binds.append((folder, "/new/place", ["rbind", "ro"]))
                    let outcome = try sandboxed(spec)
                    #expect(outcome.output == "text\n", outcome.report)
                    #expect(try owner(root + "/new/place") == [100_000, 100_000])
                }
            }
        }

        @Test func refusesMappingsThatCannotBe() throws {
            let good: JSON = [Self.mapping(0, 100_000, 100)]
            for (users, groups, word) in [
                ([Self.mapping(0, 100_000, 10), Self.mapping(5, 200_000, 10)], good, "overlaps"),
                (good, [Self.mapping(0, 100_000, 10), Self.mapping(20, 100_005, 10)], "overlaps"),
                ([Self.mapping(0, 100_000, 0)], good, "maps no ids"), ([Self.mapping(1, 100_000, 10)], good, "no user mapping found"),
                (good, [Self.mapping(1, 100_000, 10)], "no group mapping found"), ([], good, "no uid mappings found"),
                (good, [], "no gid mappings found"), (.list((0..<341).map { Self.mapping($0, 100_000 + 2 * $0, 1) }), good, "uidMappings"),
            ] as [(JSON, JSON, String)] {
                let outcome = try sandboxed(spec("echo ran", "/tmp", users: users, groups: groups))
                #expect(outcome.status != 0 && outcome.output.isEmpty, outcome.report)
                // runc leaves the finding of overlaps and of too many lines to the kernel, which says EINVAL.
                if TestEnvironment.nestbox.hasSuffix("nestbox") { #expect(outcome.errors.contains(word), outcome.report) }
            }
        }
    }
}

import Foundation
import Testing

/// Programs as they come from Debian, with the same output and exit status as natively.
struct ProgramCase: Sendable, CustomTestStringConvertible {
    let name: String
    let command: [String]
    var status: Int32 = 0
    var writable = false
    var timeout: Double = 60
    var testDescription: String { name }

    static func shell(_ name: String, _ line: String, status: Int32 = 0, writable: Bool = false, timeout: Double = 60) -> ProgramCase {
        ProgramCase(
            name: name, command: ["/bin/bash", "-c", "set -euo pipefail; cd /tmp; " + line], status: status, writable: writable,
            timeout: timeout)
    }

    static let all: [ProgramCase] = [
        ProgramCase(name: "true", command: ["/bin/true"]),
        ProgramCase(name: "false", command: ["/bin/false"], status: 1),
        ProgramCase(
            name: "busybox",
            command: ["/bin/busybox", "sh", "-c", "echo one | busybox sed s/one/two/; busybox ls /etc/debian_version; exit 4"], status: 4),
        ProgramCase(name: "shell-script", command: ["/bin/sh", "/programs/shell.sh"], status: 17),
        ProgramCase(name: "bash-script", command: ["/bin/bash", "--posix", "/programs/shell.sh"], status: 17),
        .shell(
            "coreutils",
            "seq 1 5 | tac | nl | expand | fold -w 20; factor 1234567890; echo abc | md5sum; ls -la /etc/apt; id; whoami; basename /a/b; date -u -d @0; uname -s"
        ),
        .shell(
            "find",
            "find / -xdev -not -path '/proc*' -not -path '/tmp*' -not -path '/programs*' | LC_ALL=C sort | md5sum; find /usr/lib -name '*.so*' | wc -l"
        ),
        .shell(
            "grep",
            "grep -r GNU /usr/share/common-licenses | LC_ALL=C sort | md5sum; grep -rlE '^#!' /usr/bin | LC_ALL=C sort | md5sum; rg -l --sort path GNU /usr/share/common-licenses"
        ),
        .shell(
            "sed",
            "sed -n '1~3p;$=' /usr/share/common-licenses/GPL-3 | md5sum; cp /usr/share/common-licenses/GPL-3 g; sed -i 's/GNU/gnu/g' g; grep -c gnu g",
            writable: false),
        .shell(
            "awk",
            "gawk '{ n[length($0)]++ } END { for (k in n) print k, n[k] }' /usr/share/common-licenses/* | sort -n | md5sum; mawk 'BEGIN { while ((\"echo a b c\" | getline line) > 0) print line }'"
        ),
        .shell(
            "tar",
            "tar -C /usr -czf share.tgz share; mkdir out; tar -C out -xzf share.tgz; diff -r --no-dereference /usr/share out/share; (cd out && find . | LC_ALL=C sort | md5sum); gzip -t share.tgz; xz -k -0 -T2 share.tgz; xz -t share.tgz.xz",
            timeout: 180),
        .shell(
            "sort",
            "seq 1 1000000 | awk 'BEGIN { srand(7) } { printf \"%d %d\\n\", (NR * 7919) % 1000003, NR }' >n; sort --parallel=4 -S 20M -n n | md5sum; wc -l <n",
            timeout: 120),
        ProgramCase(name: "python", command: ["/usr/bin/python3", "/programs/python.py"], status: 21, timeout: 120),
        ProgramCase(name: "perl", command: ["/usr/bin/perl", "/programs/perl.pl"], status: 13),
        .shell(
            "gcc", "cp /programs/compiled.c .; gcc -O2 -pthread -o compiled compiled.c -lm; file compiled | cut -d, -f1-3; ./compiled",
            status: 19, timeout: 120),
        .shell("make", "printf 'all: a b\\n\\tcat $^\\na b:\\n\\techo $@ >$@\\n' >Makefile; make -j4 2>&1 | sort"),
        .shell(
            "git",
            """
            export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
            git init -q repo; cd repo; for i in $(seq 1 200); do echo $i >file$i; done
            git add .; git commit -qm 'Add files'; echo more >>file1; git commit -qam 'Change one'; git log --format='%h %s'
            cd ..; git clone -q repo clone 2>&1; git clone -q file:///tmp/repo other 2>&1; cd other; git status --short; git log -1 --format=%H; git gc -q; git fsck; ls | wc -l
            git checkout -q -b branch HEAD~1; git diff --stat main; git merge -q main; git rev-parse HEAD; git grep -c more
            """, timeout: 120),
        .shell(
            "dpkg",
            """
            mkdir -p p/DEBIAN p/usr/share/nest; echo content >p/usr/share/nest/file
            printf 'Package: nest\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: Nest <nest@example.org>\\nDescription: test\\n' >p/DEBIAN/control
            printf '#!/bin/sh\\necho configured\\n' >p/DEBIAN/postinst; chmod 755 p/DEBIAN/postinst
            dpkg-deb --root-owner-group -b p nest.deb; dpkg -i nest.deb; dpkg -s nest | grep Status; cat /usr/share/nest/file; dpkg -L nest; dpkg -V nest
            apt-get -qq -o APT::Sandbox::User=root remove -y nest 2>&1 | tail -1; dpkg -r nest 2>/dev/null || :; ls /usr/share/nest 2>&1 || :
            """, writable: true, timeout: 120),
        ProgramCase(name: "go", command: ["/programs/goroutines"], status: 7),
        ProgramCase(name: "musl", command: ["/programs/clib.musl"], status: 11),
        .shell(
            "rust",
            "rg -c 'the' /usr/share/common-licenses | sort | md5sum; rg --files /usr/share/doc | wc -l; { yes needle || :; } | head -100000 >hay; rg -c needle hay"
        ),
        .shell(
            "sqlite",
            "sqlite3 t.db \"create table t(a); begin; insert into t select value from generate_series(1,20000); commit; select sum(a) from t;\"; sqlite3 t.db 'pragma integrity_check'"
        ),
        .shell("strace", "strace -f -e trace=write -o out sh -c 'echo traced' ; grep -c traced out"),
        .shell(
            "jq",
            "echo '{\"a\":[1,2,{\"b\":3}]}' | jq -c '.a | map(numbers) | add, length'; less --version | head -1; patch --version | head -1"),
        .shell(
            "users",
            "su nest -s /bin/sh -c 'id; cd; pwd; touch /etc/x 2>&1 || echo refused; umask'; getent passwd nest; setpriv --reuid 1000 --regid 1000 --clear-groups id -u"
        ),
        .shell(
            "processes",
            "sleep 100 & ps -o pid= -p $! | wc -l; pgrep -c sleep; pkill sleep; wait $! || echo $?; time true; timeout 1 cat </dev/zero >/dev/null || echo $?; nice -n 5 nice; nproc >/dev/null; (ulimit -n 50; ulimit -n)"
        ),
        .shell(
            "script", "script -qec 'tty; stty -a | head -1; echo in a terminal' /dev/null </dev/null | tr -d '\\r' | grep -v '^/dev/pts'"),
    ]
}

extension IntegrationTests {
    @Suite struct Programs {
        @Test(arguments: ProgramCase.all)
        func runsAsNatively(_ program: ProgramCase) throws {
            try expecting("Programs/" + program.name) {
                let native = try outcome(of: program) { try runNatively($0, $1) }
                try #require(!native.timedOut && native.status == program.status, native.report)
                expectSame("Programs/" + program.name, native, try outcome(of: program) { try sandboxed($0, timeout: $1) })
            }
        }

        private func runNatively(_ spec: ContainerSpec, _ timeout: Double) throws -> Outcome { try native(spec, timeout: timeout) }

        private func outcome(of program: ProgramCase, _ body: (ContainerSpec, Double) throws -> Outcome) throws -> Outcome {
            var spec = ContainerSpec(program: program.command)
            spec.readOnlyRoot = !program.writable
            guard program.writable else { return try body(spec, program.timeout) }
            return try Workspace.withWritableRoot { root in
                spec.root = root
                return try body(spec, program.timeout)
            }
        }
    }
}

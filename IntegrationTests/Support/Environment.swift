import Foundation

/// Where the tests find what they run. `scripts/integration` sets it all; a test run from an editor gets the same by default.
enum TestEnvironment {
    static let variables = ProcessInfo.processInfo.environment

    /// The root of this repository.
    static let tree = variables["NESTBOX_TREE"] ?? FileManager.default.currentDirectoryPath

    /// The directory of the release executables.
    static let executables = variables["NESTBOX_BIN"] ?? tree + "/.build/release"

    /// The runtime under test. Another OCI runtime here checks the tests themselves.
    static let nestbox = variables["NESTBOX_RUNTIME"] ?? executables + "/nestbox"

    /// A Debian tree that no test may change.
    static let rootFileSystem = variables["NESTBOX_ROOTFS"] ?? ""

    /// The compiled programs and scripts that are run natively and sandboxed.
    static let programs = variables["NESTBOX_PROGRAMS"] ?? tree + "/.cache/programs"

    /// Whether tests of more than half a minute run.
    static let runsLongTests = variables["NESTBOX_LONG"] == "1"

    /// Whether the sandboxed half of each comparison runs natively too: a check of the tests themselves.
    static let runsNativelyOnly = variables["NESTBOX_NATIVE_ONLY"] == "1"

    /// Extra global flags of `nestbox`, as in NESTBOX_FLAGS="--platform ptrace --debug".
    static let flags = (variables["NESTBOX_FLAGS"] ?? "").split(separator: " ").map(String.init)

    /// Whether there is a stack to test at all.
    static let isComplete = FileManager.default.isExecutableFile(atPath: runsNativelyOnly ? "/bin/sh" : nestbox) && !rootFileSystem.isEmpty

    /// Every name that the tests give to something outside their working folder begins so.
    static let prefix = "nbt"
}

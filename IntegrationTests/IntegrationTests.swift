import Testing

/// Whole sandboxes, started from the release executables. Every suite is nested here so that one test runs at a time: most of them look for
/// what a sandbox leaves behind on the machine, and a machine of two cores measures nothing when two of them run.
@Suite(.serialized, .leavesNothingBehind)
enum IntegrationTests {}

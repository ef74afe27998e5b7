// swift-tools-version: 6.2
import PackageDescription

// Every Swift target is compiled alike: an unsafe construct that is not marked `unsafe` is an error. `make check`
// rejects the mark itself outside Host, Memory, Platform and the wrappers of C libraries.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]

/// A library target at `Sources/<path>`. Dependencies name only layers further down this file.
func library(_ name: String, _ path: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/" + path, exclude: exclude, swiftSettings: settings)
}

/// An executable target whose sources are a thin `main` over a library.
func executable(_ name: String, _ path: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: "Sources/" + path, swiftSettings: settings)
}

/// A test target at `Tests/<name>`.
func unitTests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/" + name, exclude: exclude, swiftSettings: settings)
}

let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "nestbox",
    products: [
        .executable(name: "nestbox", targets: ["nestbox"]),
        .executable(name: "nestbox-sentry", targets: ["nestbox-sentry"]),
        .executable(name: "nestbox-gofer", targets: ["nestbox-gofer"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // Supervisor, top layer first.
        executable("nestbox", "Supervisor/Main", ["SupervisorCommandLine"]),
        library("SupervisorCommandLine", "Supervisor/CommandLine",
            ["SupervisorRuntime", "SupervisorOCI", "Control", "FileProtocol", "Wire", "Host", "Diagnostics", "LinuxABI", argumentParser]),
        library("SupervisorRuntime", "Supervisor/Runtime",
            ["SupervisorOCI", "Control", "FileProtocol", "Confinement", "Wire", "Host", "Diagnostics", "LinuxABI"]),
        library("SupervisorOCI", "Supervisor/OCI", ["Host", "Diagnostics", "LinuxABI"]),

        // Sentry, top layer first.
        executable("nestbox-sentry", "Sentry/Main", ["SentryBoot", "Control"]),
        library("SentryBoot", "Sentry/Boot",
            ["SentrySyscalls", "SentryFileSystems", "SentryNetwork", "SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform",
             "Control", "FileProtocol", "Confinement", "Wire", "Host", "Diagnostics", "LinuxABI"]),
        library("SentrySyscalls", "Sentry/Syscalls",
            ["SentryFileSystems", "SentryNetwork", "SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform",
             "Host", "Diagnostics", "LinuxABI"]),
        library("SentryFileSystems", "Sentry/FileSystems",
            ["SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform", "FileProtocol", "Wire", "Host", "Diagnostics", "LinuxABI", deque]),
        library("SentryNetwork", "Sentry/Network",
            ["SentryKernel", "SentryVFS", "SentryMemory", "Host", "Diagnostics", "LinuxABI", deque]),
        library("SentryKernel", "Sentry/Kernel",
            ["SentryVFS", "SentryMemory", "SentryPlatform", "Host", "Diagnostics", "LinuxABI", deque]),
        library("SentryVFS", "Sentry/VFS", ["SentryMemory", "Host", "Diagnostics", "LinuxABI", deque]),
        library("SentryMemory", "Sentry/Memory", ["SentryPlatform", "CPlatform", "Host", "Diagnostics", "LinuxABI"]),
        library("SentryPlatform", "Sentry/Platform", ["CPlatform", "Host", "Diagnostics", "LinuxABI"]),
        .target(name: "CPlatform", path: "Sources/Sentry/CPlatform"),

        // Gofer.
        executable("nestbox-gofer", "Gofer/Main", ["GoferFileServer", "Control"]),
        library("GoferFileServer", "Gofer/FileServer",
            ["Control", "FileProtocol", "Confinement", "Wire", "Host", "Diagnostics", "LinuxABI"]),

        // Common, top layer first.
        library("Control", "Common/Control", ["Wire", "Host", "Diagnostics", "LinuxABI", "CNghttp2"], exclude: ["README.md"]),
        library("FileProtocol", "Common/FileProtocol", ["Wire", "Host", "Diagnostics", "LinuxABI"]),
        library("Confinement", "Common/Confinement", ["Host", "Diagnostics", "LinuxABI", "CSeccomp"]),
        library("Wire", "Common/Wire", ["Host", "Diagnostics", "LinuxABI"]),
        library("Diagnostics", "Common/Diagnostics", ["Host", "LinuxABI"]),
        library("Host", "Common/Host", ["CHost", "LinuxABI"]),
        .target(name: "CHost", path: "Sources/Common/CHost"),
        library("LinuxABI", "Common/LinuxABI", []),
        .systemLibrary(name: "CSeccomp", path: "Sources/Common/CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CNghttp2", path: "Sources/Common/CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),

        // Unit tests mirror Sources.
        unitTests("LinuxABITests", ["LinuxABI"]),
        unitTests("HostTests", ["Host", "LinuxABI"]),
        unitTests("DiagnosticsTests", ["Diagnostics", "Host", "LinuxABI"]),
        unitTests("WireTests", ["Wire", "Host", "LinuxABI"]),
        unitTests("FileProtocolTests", ["FileProtocol", "Wire", "Host", "LinuxABI"]),
        unitTests("ControlTests", ["Control", "Wire", "Host", "Diagnostics", "LinuxABI"], exclude: ["golden-vectors.txt"]),
        unitTests("ConfinementTests", ["Confinement", "ConfinementProbe", "Host", "Diagnostics", "LinuxABI"]),
        // Confines itself like the Sentry or the Gofer, then tries what must not work.
        .executableTarget(name: "ConfinementProbe", dependencies: ["CProbe", "Confinement", "Host", "Diagnostics", "LinuxABI"],
            path: "Tests/ConfinementProbe", swiftSettings: settings),
        .target(name: "CProbe", path: "Tests/CProbe"),
        // Counts instructions and allocations of hot system calls, for a test that holds them.
        .executableTarget(name: "HotCalls",
            dependencies: ["CHotCalls", "SentrySyscalls", "SentryFileSystems", "SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform",
                           "Host", "LinuxABI"],
            path: "Tests/HotCalls", swiftSettings: settings),
        .target(name: "CHotCalls", path: "Tests/CHotCalls"),
        unitTests("GoferFileServerTests", ["GoferFileServer", "Control", "FileProtocol", "Wire", "Host", "LinuxABI"]),
        unitTests("SentryPlatformTests", ["SentryPlatform", "Host", "LinuxABI"]),
        unitTests("SentryMemoryTests", ["SentryMemory", "SentryPlatform", "Host", "LinuxABI"]),
        unitTests("SentryVFSTests", ["SentryVFS", "SentryMemory", "Host", "LinuxABI"]),
        unitTests("SentryKernelTests", ["SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform", "Host", "LinuxABI"]),
        unitTests("SentryFileSystemsTests",
            ["SentryFileSystems", "SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform", "GoferFileServer", "FileProtocol", "Host", "LinuxABI"]),
        unitTests("SentryNetworkTests", ["SentryNetwork", "SentryKernel", "SentryVFS", "SentryMemory", "Host", "LinuxABI"]),
        unitTests("SentrySyscallsTests",
            ["SentrySyscalls", "SentryKernel", "SentryVFS", "SentryMemory", "SentryPlatform", "Host", "Diagnostics", "LinuxABI"]),
        unitTests("SentryBootTests", ["SentryBoot", "SentryKernel", "SentryMemory", "SentryPlatform", "LinuxABI"]),
        unitTests("SupervisorOCITests", ["SupervisorOCI", "LinuxABI"]),
        unitTests("SupervisorRuntimeTests", ["SupervisorRuntime", "SupervisorOCI", "Control", "Wire", "Host", "Diagnostics", "LinuxABI"]),
        unitTests("SupervisorCommandLineTests", ["SupervisorCommandLine", "SupervisorRuntime", "Diagnostics", argumentParser]),
        unitTests("DocumentTests", ["SentrySyscalls", "SentryKernel", "Control", "Confinement", "FileProtocol", "Wire", "LinuxABI"]),

        // Whole sandboxes, started from .build/release.
        .testTarget(name: "IntegrationTests", dependencies: ["Host", "LinuxABI"], path: "IntegrationTests",
            exclude: ["Isolation/programs", "LinuxABI/programs", "Programs/files", "Support/native.sh", "Support/console.py", "expectations"], swiftSettings: settings),
    ]
)

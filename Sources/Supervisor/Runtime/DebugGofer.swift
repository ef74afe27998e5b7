internal import Confinement
internal import Control
public import Diagnostics
internal import FileProtocol
internal import Host
internal import LinuxABI
internal import Wire

extension ContainerRuntime {
    /// `debug gofer`: starts a Gofer on `directory` and does one thing with it, in the words of the file protocol.
    public func debugGofer(_ directory: String, verb: String, path: String) throws(SandboxError) -> Int32 {
        try requireRoot()
        guard let source = HostPath.resolved(directory) else {
            throw SandboxError(.notFound, "\(directory): no such file or directory")
        }
        let identifier = "debug-gofer-\(HostProcess.own)"
        try store.create(identifier)
        let store = store
        defer { store.remove(identifier) }
        let control = try hostCall("bind a control socket") { () throws(Errno) in
            try HostCall.listenUnix(Array((store.directory(identifier) + "/gofer.sock").utf8))
        }
        let files = try hostCall("make a socket pair") { () throws(Errno) in try HostCall.socketPair() }
        var configuration = GoferConfiguration()
        configuration.id = identifier
        configuration.trees = [Translation.tree(source, readOnly: true, flags: 0, recursive: true)]
        let gofer = try Launcher(settings: settings, identifier: identifier, log: logDescriptor).startGofer(
            configuration, control: control.rawValue, files: files.second.rawValue, cgroup: nil)
        let socket = files.takeFirst()
        let identity = gofer.identity
        defer { Component.abandon(identity) }
        try Launcher.awaitReady(gofer)
        let client: FileClient
        do { client = try FileClient(socket) } catch { throw SandboxError(.protocolViolation, "the gofer's greeting failed: \(error)") }
        do throws(Errno) {
            try inspect(FileInspector(client), verb: verb, path: path)
        } catch {
            if error == .ENOSYS {
                throw SandboxError(.invalidArgument, "debug gofer: \"\(verb)\" is not known", hint: "ls, stat or cat")
            }
            throw SandboxError(.hostFailure, "\(verb) \(path): \(error.text)")
        }
        return 0
    }

    private func inspect(_ inspector: FileInspector, verb: String, path: String) throws(Errno) {
        let path = Array(path.utf8)
        switch verb {
        case "ls":
            var lines: [(name: [UInt8], text: String)] = []
            try inspector.list(path) { entry throws(Errno) in
                let name = String(decoding: entry.name, as: UTF8.self)
                lines.append((entry.name, (entry.node.map { Self.describe($0.attributes) + " " } ?? "") + name))
            }
            for line in lines.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) { try Self.say(line.text) }
        case "stat": try Self.say(Self.describe(inspector.attributes(path)) + " inode \(inspector.attributes(path).inode)")
        case "cat": try inspector.read(path) { bytes throws(Errno) in try HostCall.writeAll(1, bytes) }
        default: throw .ENOSYS
        }
    }

    private static func describe(_ attributes: NodeAttributes) -> String {
        let types: [UInt32: Character] = [
            FileMode.S_IFDIR: "d", FileMode.S_IFLNK: "l", FileMode.S_IFCHR: "c", FileMode.S_IFBLK: "b", FileMode.S_IFIFO: "p",
            FileMode.S_IFSOCK: "s",
        ]
        let mode = String(attributes.mode & 0o7777, radix: 8)
        let padded = String(repeating: "0", count: max(0, 4 - mode.count)) + mode
        return "\(types[attributes.type] ?? "-")\(padded) \(attributes.links) \(attributes.user):\(attributes.group) \(attributes.size)"
    }

    private static func say(_ line: String) throws(Errno) { try HostCall.writeAll(1, Array((line + "\n").utf8).span) }
}

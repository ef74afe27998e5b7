import Control
import Diagnostics
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Makes the kernel's idea of a process from what the Supervisor asks for.
struct ProcessBuilder {
    let specification: ProcessSpecification
    let tools: PathTools
    let userNamespace: UserNamespace

    /// The credentials that the program starts with.
    func credentials() -> Credentials {
        let sets = specification.capabilities
        let known = Capabilities.all
        return Credentials(
            user: .init(specification.uid), group: .init(specification.gid), groups: specification.additionalGids,
            permitted: Capabilities(rawValue: sets.permitted).intersection(known),
            effective: Capabilities(rawValue: sets.effective).intersection(known),
            inheritable: Capabilities(rawValue: sets.inheritable).intersection(known),
            bounding: Capabilities(rawValue: sets.bounding).intersection(known),
            ambient: Capabilities(rawValue: sets.ambient).intersection(known), noNewPrivileges: specification.noNewPrivileges,
            userNamespace: userNamespace)
    }

    func limits() -> [SentryKernel.ResourceLimit] {
        var limits = ResourceLimits.defaults
        for limit in specification.rlimits where Int(limit.resource) < limits.count {
            limits[Int(limit.resource)] = .init(limit.soft, limit.hard)
        }
        return limits
    }

    /// The environment, with HOME from /etc/passwd when it has none.
    func environment() -> [[UInt8]] {
        let environment = specification.environment
        let prefix = Array("HOME=".utf8)
        if environment.contains(where: { $0.starts(with: prefix) }) { return environment }
        let passwd = tools.read(Array("/etc/passwd".utf8), limit: 1 << 20) ?? []
        return environment + [prefix + (AccountFile.home(of: specification.uid, in: passwd) ?? Array("/".utf8))]
    }

    /// The working directory, made when it does not exist.
    func workingDirectory() throws(SandboxError) -> Path {
        let path = specification.workingDirectory.isEmpty ? Array("/".utf8) : specification.workingDirectory
        let shown = String(decoding: path, as: UTF8.self)
        do throws(Errno) {
            if tools.existing(path) == nil { try? tools.makeDirectories(path) }
            return try tools.resolve(path, [.follow, .directory])
        } catch {
            throw SandboxError(
                error == .EACCES ? .permissionDenied : .invalidArgument,
                "chdir to cwd (\"\(shown)\") set in config.json failed: \(error.message)")
        }
    }

    /// The program file and its path. The texts are those of runc, which engines turn into exit statuses 126 and 127.
    func program(from workingDirectory: Path, _ context: any FileContext) throws(SandboxError) -> (file: FileDescription, path: [UInt8]) {
        guard let name = specification.arguments.first, !name.isEmpty else {
            throw SandboxError(.invalidArgument, "process.args is empty", hint: "name the program to run")
        }
        let shown = String(decoding: name, as: UTF8.self)
        if name.contains(UInt8(ascii: "/")) {
            do throws(Errno) {
                let place = try VFS.resolve(name.span, at: workingDirectory, .follow, context)
                return (try VFS.openExecutable(place, context), name)
            } catch {
                let verb = error == .ENOENT || error == .ENOTDIR ? "stat \(shown): " : ""
                throw SandboxError(error == .ENOENT ? .notFound : .permissionDenied, "exec: \"\(shown)\": \(verb)\(error.message)")
            }
        }
        let pathPrefix = Array("PATH=".utf8)
        let search = specification.environment.last { $0.starts(with: pathPrefix) }?.dropFirst(pathPrefix.count)
        var denied = false
        for directory in (search ?? []).split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
            let path = (directory.isEmpty ? [UInt8(ascii: ".")] : Array(directory)) + [UInt8(ascii: "/")] + name
            do throws(Errno) {
                let place = try VFS.resolve(path.span, at: workingDirectory, .follow, context)
                return (try VFS.openExecutable(place, context), path)
            } catch {
                if error == .EACCES { denied = true }
            }
        }
        if denied { throw SandboxError(.permissionDenied, "exec: \"\(shown)\": permission denied") }
        throw SandboxError(.notFound, "exec: \"\(shown)\": executable file not found in $PATH")
    }

    /// Everything together. `files` holds the standard streams.
    func build(files: DescriptorTable) throws(SandboxError) -> ProcessConfiguration {
        let credentials = credentials()
        let directory = try workingDirectory()
        let fileSystemContext = FileSystemContext(root: tools.root, workingDirectory: directory, umask: specification.umask)
        let caller = ProcessFileContext(credentials: credentials, fileSystemContext: fileSystemContext)
        let (file, path) = try program(from: directory, caller)
        let request = ProgramRequest(file: file, path: path, arguments: specification.arguments, environment: environment())
        var configuration = ProcessConfiguration(
            request: request, credentials: credentials, fileSystemContext: fileSystemContext, files: files)
        configuration.limits = limits()
        return configuration
    }
}

/// A process that is being made, as the VFS sees it: its identity, root and working directory.
final class ProcessFileContext: FileContext {
    let credentials: Credentials
    let fileSystemContext: FileSystemContext?
    init(credentials: Credentials, fileSystemContext: FileSystemContext) {
        self.credentials = credentials
        self.fileSystemContext = fileSystemContext
    }
    var addressSpace: AddressSpace? { nil }
    var fileSizeLimit: UInt64 { .max }
    func fileSizeExceeded() {}
}

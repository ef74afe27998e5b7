import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryPlatform
import SentryVFS

/// execve(2)'s loader: ELF programs with or without an interpreter, and `#!` scripts.
struct ELFLoader: ProgramLoader {
    /// BINPRM_BUF_SIZE: what of a file decides its format.
    private static let startSize = 256
    /// How often a script's interpreter may be a script (fs/exec.c).
    private static let maximumDepth = 5
    /// Room below the initial vectors that is mapped at once; the stack grows below it.
    private static let initialStackRoom: UInt64 = 128 << 10

    func load(_ request: ProgramRequest, for task: KernelTask) throws(Errno) -> LoadedProgram {
        var request = request
        // A program must have a name (Linux 5.18).
        if request.arguments.isEmpty { request.arguments = [[]] }
        var start = try ImageMapper.read(request.file, at: 0, count: Self.startSize, task)
        let name = request.path
        var depth = 0
        while let script = try ScriptHeader.parse(start.span) {
            depth += 1
            if depth > Self.maximumDepth { throw .ELOOP }
            if request.isPathInaccessible { throw .ENOENT }
            let tail = [request.path] + request.arguments.dropFirst()
            request.arguments = [script.interpreter] + (script.argument.map { [$0] } ?? []) + tail
            request.path = script.interpreter
            request.file = try open(script.interpreter, for: task)
            start = try ImageMapper.read(request.file, at: 0, count: Self.startSize, task)
        }
        return try loadImage(request, start: start, name: name, for: task)
    }

    private func open(_ path: [UInt8], for task: KernelTask) throws(Errno) -> FileDescription {
        guard let place = task.fileSystemContext?.workingDirectory else { throw .ENOENT }
        return try VFS.openExecutable(path.span, at: place, .follow, task)
    }

    private func loadImage(_ request: ProgramRequest, start: [UInt8], name: [UInt8], for task: KernelTask) throws(Errno) -> LoadedProgram {
        let platform = task.kernel.platform
        let stackLimit = task.threadGroup.limits.current(Resource.RLIMIT_STACK)
        let size = InitialStack.size(request.arguments, request.environment)
        // ARG_MAX: a quarter of the stack, between 128 KiB and 6 MiB.
        if UInt64(size) > min(max(stackLimit / 4, 128 << 10), 6 << 20) { throw .E2BIG }

        var random = [UInt8](repeating: 0, count: 40)
        var span = random.mutableSpan
        try HostCall.random(into: &span)
        // 1.: everything that can fail without an address space.
        let probe = try ELFImage.parseHeader(start.span)
        let layout = AddressLayout.standard(
            maximumAddress: platform.maximumGuestAddress, stackLimit: stackLimit, random: random.span.little64(16))
        let execution = try task.executionCredentials(of: request.file)
        // 2.: the new address space; on an error it goes with its last reference, and the caller's stays as it is.
        let space = try AddressSpace(
            platform: platform, memoryFile: task.container.memoryFile, layout: layout,
            limits: task.threadGroup.limits.memoryLimits(mayLock: execution.credentials.hasGlobally(.CAP_IPC_LOCK)),
            predecessor: task.replaceableMemory(for: execution))
        do throws(Errno) {
            return try fill(
                space, probe, request, start: start, name: name, execution: execution, random: random, stackLimit: stackLimit, for: task)
        } catch {
            space.destroy()
            throw error
        }
    }

    private func fill(
        _ space: AddressSpace, _ header: ELFImage.Header, _ request: ProgramRequest, start: [UInt8], name: [UInt8],
        execution: ExecutionCredentials, random: [UInt8], stackLimit: UInt64, for task: KernelTask
    ) throws(Errno) -> LoadedProgram {
        let mapper = ImageMapper(space: space, context: task, maximumAddress: space.layout.maximumAddress)
        let image = try mapper.image(of: request.file, start: start)
        var interpreter: (file: FileDescription, image: ELFImage)?
        if let place = image.interpreter {
            var path = try ImageMapper.read(request.file, at: place.lowerBound, count: Int(place.upperBound - place.lowerBound), task)
            guard path.last == 0 else { throw .ENOEXEC }
            path = Array(path.prefix { $0 != 0 })
            let file = try open(path, for: task)
            let start = try ImageMapper.read(file, at: 0, count: Self.startSize, task)
            do throws(Errno) { interpreter = (file, try mapper.image(of: file, start: start)) } catch {
                throw error == .ENOEXEC ? .ELIBBAD : error
            }
        }

        // Where Linux puts position-independent programs: two thirds up, plus 28 random bits of pages.
        let programBase = (space.layout.maximumAddress / 3 &* 2 &+ (random.span.little64(24) & 0xfff_ffff) << 12) & ~(pageSize - 1)
        let program = try mapper.map(image, of: request.file, base: image.isRelocatable ? programBase : nil)
        var entry = program.entry
        var base: UInt64 = 0
        if let interpreter {
            let placement = try mapper.map(interpreter.image, of: interpreter.file, base: nil)
            entry = placement.entry
            base = placement.base
        }
        // The heap begins up to 32 MiB after the program.
        space.setInitialBreak(program.end &+ (random.span.little64(32) & 0x1fff) << 12)

        let identity = execution.credentials
        var auxiliary: [(key: UInt64, value: UInt64)] = [
            (AuxiliaryKey.AT_MINSIGSTKSZ, HostProcessor.minimumSignalStack),
            (AuxiliaryKey.AT_HWCAP, HostProcessor.capabilities),
            (AuxiliaryKey.AT_PAGESZ, pageSize),
            (AuxiliaryKey.AT_CLKTCK, 100),
            (AuxiliaryKey.AT_PHDR, program.programHeaders),
            (AuxiliaryKey.AT_PHENT, UInt64(ELF.programHeaderSize)),
            (AuxiliaryKey.AT_PHNUM, UInt64(image.programHeaderCount)),
            (AuxiliaryKey.AT_BASE, base),
            (AuxiliaryKey.AT_FLAGS, 0),
            (AuxiliaryKey.AT_ENTRY, program.entry),
            (AuxiliaryKey.AT_UID, UInt64(identity.user.real)),
            (AuxiliaryKey.AT_EUID, UInt64(identity.user.effective)),
            (AuxiliaryKey.AT_GID, UInt64(identity.group.real)),
            (AuxiliaryKey.AT_EGID, UInt64(identity.group.effective)),
            (AuxiliaryKey.AT_SECURE, execution.isSecure ? 1 : 0),
            // FSGSBASE is not told: the platform keeps GS for itself.
            (AuxiliaryKey.AT_HWCAP2, 0),
            (AuxiliaryKey.AT_RSEQ_FEATURE_SIZE, UInt64(RestartableSequences.featureSize)),
            (AuxiliaryKey.AT_RSEQ_ALIGN, RestartableSequences.alignment),
        ]
        if let vdso = task.kernel.platform.vdsoAddress { auxiliary.insert((AuxiliaryKey.AT_SYSINFO_EHDR, vdso), at: 0) }
        let stack = InitialStack(
            arguments: request.arguments, environment: request.environment, executableName: name, random: Array(random[0..<16]),
            auxiliary: auxiliary)
        let top = space.layout.stackTop & ~(pageSize - 1)
        let built = stack.build(top: top)
        let stackStart = (built.pointer &- min(Self.initialStackRoom, stackLimit / 2)) & ~(pageSize - 1)
        var protection: Protection = [.read, .write]
        if image.wantsExecutableStack { protection.insert(.execute) }
        _ = try space.map(
            MapRequest(
                address: stackStart, length: top - stackStart, protection: protection,
                flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED, .MAP_GROWSDOWN], name: Array("[stack]".utf8)))
        try space.copyOut(built.bytes, to: built.pointer)

        var layout = ProcessMemory.Layout()
        layout.executable = request.file.path
        layout.arguments = built.argumentStart..<built.argumentEnd
        layout.environment = built.environmentStart..<built.environmentEnd
        for (key, value) in built.auxiliary {
            for word in [key, value] {
                for shift in stride(from: UInt64(0), to: 64, by: 8) {
                    layout.auxiliaryVector.append(UInt8(truncatingIfNeeded: word >> shift))
                }
            }
        }
        if let text = image.segments.first(where: { $0.protection.contains(.execute) }) {
            layout.startCode = text.address &+ program.bias
            layout.endCode = layout.startCode &+ text.fileSize
        }
        layout.startStack = built.pointer

        var registers = Registers()
        registers.rip = entry
        registers.rsp = built.pointer
        let isPrivate = execution.isSecure || execution.isUnreadable
        let last = name.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? name
        return LoadedProgram(
            memory: ProcessMemory(space, layout: layout, dumpable: isPrivate ? 0 : 1), registers: registers, name: Array(last.prefix(15)),
            execution: execution)
    }
}

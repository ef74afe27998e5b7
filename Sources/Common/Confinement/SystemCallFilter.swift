internal import CSeccomp
internal import Diagnostics
internal import Host
internal import LinuxABI

/// Compiles a filter description with libseccomp and installs it.
enum SystemCallFilter {
    /// What happens to a call that no rule names.
    enum Otherwise: UInt32 {
        /// SECCOMP_RET_KILL_PROCESS
        case kill = 0x8000_0000
        /// SECCOMP_RET_TRAP
        case trap = 0x0003_0000
    }
    private static let allow: UInt32 = 0x7fff_0000
    private static let fail: UInt32 = 0x0005_0000

    /// Installs `description` for the calling thread and all that it starts. Sets no_new_privs. Cannot be undone.
    static func install(_ description: FilterDescription, otherwise: Otherwise) throws(SandboxError) {
        if otherwise == .kill, let compiled = description.compiled { return try compiled.install(description.name) }
        // SAFETY: the context is made, used and released inside.
        try unsafe withContext(description, otherwise) { context throws(SandboxError) in
            try check(unsafe seccomp_load(context), "load", description)
        }
    }

    /// The filter that `install` would have the kernel run.
    static func compile(_ description: FilterDescription) throws(SandboxError) -> CompiledFilter {
        let file: OwnedDescriptor
        do {
            file = try HostCall.withPath(Array("filter".utf8)) { name throws(Errno) in
                OwnedDescriptor(adopting: Int32(try HostCall.check(HostCall.raw(.memfd_create, name, 1))))
            }
        } catch { throw SandboxError(error, "make a memory file") }
        let descriptor = file.rawValue
        // SAFETY: as above.
        try unsafe withContext(description, .kill) { context throws(SandboxError) in
            try check(unsafe seccomp_export_bpf(context, descriptor), "export", description)
        }
        var bytes = [UInt8](repeating: 0, count: 8 * 4096)
        var span = bytes.mutableSpan
        let count: Int
        do { count = try HostCall.read(descriptor, at: 0, into: &span) } catch { throw SandboxError(error, "read the compiled filter") }
        let instructions = stride(from: 0, to: count - count % 8, by: 8).map { start in
            (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
        }
        return CompiledFilter(fingerprint: description.fingerprint, instructions: instructions)
    }

    private static func withContext(
        _ description: FilterDescription, _ otherwise: Otherwise, _ body: (scmp_filter_ctx) throws(SandboxError) -> Void
    ) throws(SandboxError) {
        // SAFETY: the context is made, used and released here; libseccomp copies the conditions.
        guard let context = unsafe seccomp_init(otherwise.rawValue) else {
            throw SandboxError(.exhausted, "no memory for the \(description.name)'s filter")
        }
        defer { unsafe seccomp_release(context) }
        // Another architecture's entry (int 0x80) is as foreign as an unknown call.
        try check(unsafe seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, 0x8000_0000), "bad architecture", description)
        try check(unsafe seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 1), "no_new_privs", description)
        var priority: UInt8 = 255
        var ranked: Set<Int32> = []
        for rule in description.rules {
            let action: UInt32
            switch rule.outcome {
            case .allow: action = allow
            case .fail(let errno): action = fail | UInt32(truncatingIfNeeded: errno.rawValue)
            }
            let conditions = rule.checks.map { check in
                switch check.comparison {
                case .masked(let mask, let value):
                    scmp_arg_cmp(arg: UInt32(check.index), op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: value)
                case .atMost(let value): scmp_arg_cmp(arg: UInt32(check.index), op: SCMP_CMP_LE, datum_a: value, datum_b: 0)
                }
            }
            let number = Int32(truncatingIfNeeded: rule.call.rawValue)
            let result = unsafe conditions.withUnsafeBufferPointer {
                unsafe seccomp_rule_add_array(context, action, number, UInt32($0.count), $0.baseAddress)
            }
            try check(result, "\(rule.call)", description)
            // Listed first, asked first.
            if priority > 0, ranked.insert(number).inserted {
                _ = unsafe seccomp_syscall_priority(context, number, priority)
                priority -= 1
            }
        }
        try unsafe body(context)
    }

    private static func check(_ result: Int32, _ what: String, _ description: FilterDescription) throws(SandboxError) {
        if result < 0 { throw SandboxError(Errno(rawValue: -result), "build the \(description.name)'s system-call filter (\(what))") }
    }
}

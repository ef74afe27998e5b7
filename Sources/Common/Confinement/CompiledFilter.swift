internal import CSeccomp
internal import Diagnostics
internal import Host
internal import LinuxABI

/// A filter as the kernel takes it: struct sock_filter, eight bytes each, as integers. Compiling one takes libseccomp the better part of a
/// millisecond, so the two that every sandbox needs are kept compiled in `CompiledFilters.swift`; a test compares them with the rules.
struct CompiledFilter: Sendable {
    /// `FilterDescription.fingerprint` of the rules it was made from. A filter whose rules have changed since is not used.
    let fingerprint: UInt64
    let instructions: [UInt64]

    /// Installs it for the calling thread and all that it starts; no_new_privs must be set.
    func install(_ name: String) throws(SandboxError) {
        // SAFETY: struct sock_fprog is a u16 count, padding, and the address; the kernel copies the instructions during the call.
        let result = unsafe instructions.withUnsafeBufferPointer { p in
            let program: [2 of UInt] = [UInt(p.count), UInt(bitPattern: p.baseAddress)]
            return unsafe withUnsafePointer(to: program) {
                HostCall.raw(.seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, Int(bitPattern: $0))
            }
        }
        if result < 0 { throw SandboxError(Errno(rawValue: Int32(-result)), "install the \(name)'s system-call filter") }
    }
}

extension FilterDescription {
    /// Changes whenever a rule does: FNV-1a over all that decides.
    var fingerprint: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ value: UInt64) {
            for shift in stride(from: UInt64(0), to: 64, by: 8) { hash = (hash ^ (value >> shift & 0xff)) &* 0x100_0000_01b3 }
        }
        for rule in rules {
            add(rule.call.rawValue)
            if case .fail(let errno) = rule.outcome { add(1000 + UInt64(UInt32(bitPattern: errno.rawValue))) }
            for check in rule.checks {
                add(2000 + UInt64(check.index))
                switch check.comparison {
                case .masked(let mask, let value):
                    add(mask)
                    add(value)
                case .atMost(let value): add(value)
                }
            }
            add(3000)
        }
        return hash
    }

    /// The filter compiled in advance, unless the rules have changed since.
    var compiled: CompiledFilter? {
        let all: [String: CompiledFilter] = ["sentry": CompiledFilters.sentry, "gofer": CompiledFilters.gofer]
        guard let compiled = all[name], compiled.fingerprint == fingerprint else { return nil }
        return compiled
    }
}

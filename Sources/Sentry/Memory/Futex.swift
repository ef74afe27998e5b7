import CPlatform
import Host
public import LinuxABI
import SentryPlatform
import Synchronization

/// The operations of FUTEX_WAKE_OP and robust lists.
@frozen public enum AtomicOperation: Sendable {
    case exchange, add, or, and, xor
}

/// Futex words: identity and atomic access. Words are four bytes, aligned, so they never cross a page.
extension AddressSpace {
    // SAFETY: in this file the only addresses are those that `access` hands out: four bytes of a window of the Sentry, valid while `state` is locked; the
    // operations of CPlatform survive a fault there and say so. The pointers are to locals.

    /// EFAULT for unmapped memory, EINVAL for a misaligned address. `shared`: without FUTEX_PRIVATE_FLAG.
    public func futexKey(address: UInt64, shared: Bool) throws(Errno) -> FutexKey {
        if address % 4 != 0 { throw .EINVAL }
        if address >= layout.maximumAddress { throw .EFAULT }
        if !shared { return .private(space: ObjectIdentifier(self), address: address) }
        return try state.withLock { state throws(Errno) -> FutexKey in
            guard let index = state.regions.index(containing: address) else { throw .EFAULT }
            let region = state.regions[index]
            if region.value.protection.isEmpty { throw .EFAULT }
            if region.value.isShared, let object = region.value.object {
                return .object(object.mappingIdentity, offset: region.value.offset &+ (address - region.start))
            }
            return .private(space: ObjectIdentifier(self), address: address)
        }
    }

    private func withWord(_ address: UInt64, _ kind: GuestAccess, _ body: (UInt) -> Int32) throws(Errno) {
        if address % 4 != 0 { throw .EINVAL }
        let done = state.withLock { state in
            access(&state, address, 4, kind) { place, length in length == 4 && body(place) == 0 ? 0 : length }
        }
        if done != 4 { throw .EFAULT }
    }

    public func atomicLoad(_ address: UInt64) throws(Errno) -> UInt32 {
        var value: UInt32 = 0
        try withWord(address, .read) { place in unsafe cplatform_load32(place, &value) }
        return value
    }

    /// Stores `desired` when the word is `expected`; the word found. EFAULT, or EINVAL when misaligned.
    public func atomicCompareExchange(_ address: UInt64, expected: UInt32, desired: UInt32) throws(Errno) -> UInt32 {
        var value = expected
        try withWord(address, .write) { place in unsafe cplatform_compare_exchange32(place, &value, desired) }
        return value
    }

    /// Applies `operation` atomically; the word found before.
    public func atomicUpdate(_ address: UInt64, _ operation: AtomicOperation, _ operand: UInt32) throws(Errno) -> UInt32 {
        var old: UInt32 = 0
        try withWord(address, .write) { place in
            switch operation {
            case .exchange: return unsafe cplatform_exchange32(place, operand, &old)
            case .add: return unsafe cplatform_add32(place, operand, &old)
            case .or, .and, .xor:
                if unsafe cplatform_load32(place, &old) != 0 { return -1 }
                while true {
                    let new = operation == .or ? old | operand : operation == .and ? old & operand : old ^ operand
                    let expected = old
                    if unsafe cplatform_compare_exchange32(place, &old, new) != 0 { return -1 }
                    if old == expected { return 0 }
                }
            }
        }
        return old
    }
}

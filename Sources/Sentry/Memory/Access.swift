import CPlatform
import Host
public import LinuxABI
import SentryPlatform

/// The fault-safe copy of CPlatform: the number of bytes not copied. Addresses are the Sentry's.
@inline(__always) func copyBytes(_ destination: UInt, _ source: UInt, _ count: Int) -> Int {
    cplatform_copy(destination, source, count)
}

/// How the Sentry touches guest memory.
enum GuestAccess {
    case read, write
    /// Without regard to the region's protection (ptrace(2), /proc/PID/mem).
    case forcedRead, forcedWrite
    var isWrite: Bool { self == .write || self == .forcedWrite }
}

/// Access of the Sentry to guest memory. Nothing here can crash the Sentry: bad addresses, files cut short and a full memory file end as EFAULT.
extension AddressSpace {
    /// Calls `body(address in the Sentry, count)` for one stretch of guest memory after the other; it returns how many bytes it did not do, which ends
    /// the access. The sum of what was done, `count` when all went well. `stopsEarly`: a body that does less has not met a fault.
    func access(
        _ state: inout SpaceState, _ address: UInt64, _ count: Int, _ kind: GuestAccess, stopsEarly: Bool = false,
        _ body: (UInt, Int) -> Int
    ) -> Int {
        var done = 0
        while done < count {
            let (cursor, overflow) = address.addingReportingOverflow(UInt64(done))
            if overflow { break }
            guard let (index, runIndex) = locate(&state, cursor, kind, wanted: count - done) else { break }
            let available = min(state.regions[index].end, state.runs[runIndex].end) - cursor
            let length = Int(min(available, UInt64(count - done)))
            let offset = state.runs[runIndex].value.offset &+ (cursor - state.runs[runIndex].start)
            if case .host(let window) = state.runs[runIndex].value.source {
                var rest = 0
                let part = window.withAddress(offset) { place, inPiece -> Int in
                    let wanted = min(inPiece, length)
                    rest = body(place, wanted)
                    return wanted - rest
                }
                guard let part else { break }
                done += part
                if rest != 0 { break }
            } else {
                let rest = body(memoryFile.address(offset), length)
                done += length - rest
                if rest != 0 {
                    if !stopsEarly {
                        if memoryFile.awaitReleases() { continue }
                        memoryFile.reportOutOfMemory()
                    }
                    break
                }
            }
        }
        return done
    }

    /// The region and run that hold `address`, made ready for the access; nil when the guest may not do it.
    private func locate(_ state: inout SpaceState, _ address: UInt64, _ kind: GuestAccess, wanted: Int) -> (Int, Int)? {
        guard let index = state.regions.index(containing: address) ?? growStack(&state, address) else { return nil }
        let protection = state.regions[index].value.protection
        switch kind {
        case .read: if protection.isEmpty { return nil }
        case .write: if !protection.contains(.write) { return nil }
        case .forcedRead: break
        case .forcedWrite: if state.regions[index].value.isShared, !protection.contains(.write) { return nil }
        }
        var found = state.runs.index(containing: address)
        if found == nil {
            var operations: [MappingOperation] = []
            let start = state.regions[index].start, end = state.regions[index].end
            guard (try? backMissing(&state, region: index, start, end, around: address, &operations)) != nil,
                (try? apply(&state, operations)) != nil
            else { return nil }
            found = state.runs.index(containing: address)
        }
        guard var runIndex = found else { return nil }
        if kind.isWrite, state.runs[runIndex].value.isCopyOnWrite || !state.runs[runIndex].value.isWritable {
            guard case .success = makeWritable(&state, region: index, address & ~(pageSize - 1)) else { return nil }
            guard let again = state.runs.index(containing: address), !state.runs[again].value.isCopyOnWrite else { return nil }
            runIndex = again
        }
        return (index, runIndex)
    }

    // MARK: copying in

    private func copyIn(_ address: UInt64, _ buffer: inout MutableSpan<UInt8>, _ kind: GuestAccess) -> Int {
        let count = buffer.count
        if count == 0 { return 0 }
        // SAFETY: the pointer is used inside the closure only, for `count` bytes.
        return unsafe buffer.withUnsafeMutableBufferPointer { p in
            var destination = UInt(bitPattern: p.baseAddress)
            return state.withLock { state in
                access(&state, address, count, kind) { source, length in
                    let rest = copyBytes(destination, source, length)
                    destination &+= UInt(length - rest)
                    return rest
                }
            }
        }
    }

    /// Copies guest memory into `buffer`, all of it. EFAULT otherwise (what was copied before stays).
    public func copyIn(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) {
        let wanted = buffer.count
        if copyIn(address, &buffer, .read) != wanted { throw .EFAULT }
    }

    /// As many bytes as can be read: at least one, or EFAULT (0 for an empty buffer).
    public func copyInPartial(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int {
        let wanted = buffer.count
        let done = copyIn(address, &buffer, .read)
        if done == 0, wanted > 0 { throw .EFAULT }
        return done
    }

    /// `count` bytes. The caller bounds the count.
    public func copyIn(from address: UInt64, count: Int) throws(Errno) -> [UInt8] {
        if count <= 0 { return [] }
        var done = 0
        // SAFETY: all `count` bytes are initialised by the copy, or the array is emptied.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var span = unsafe MutableSpan(_unsafeElements: buffer)
            done = copyIn(address, &span, .read)
            initialized = done
        }
        if done != count { throw .EFAULT }
        return bytes
    }

    /// A structure of fixed size.
    public func copyIn<let count: Int>(
        from address: UInt64, as type: InlineArray<count, UInt8>.Type = InlineArray<count, UInt8>.self
    ) throws(Errno) -> InlineArray<count, UInt8> {
        var result = InlineArray<count, UInt8>(repeating: 0)
        var span = result.mutableSpan
        try copyIn(from: address, into: &span)
        return result
    }

    /// Reading that ignores the regions' protection (ptrace(2), /proc/PID/mem): the count done; EIO when none.
    public func forceCopyIn(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int {
        let wanted = buffer.count
        let done = copyIn(address, &buffer, .forcedRead)
        if done == 0, wanted > 0 { throw .EIO }
        return done
    }

    /// A NUL-terminated string without its NUL. EFAULT; ENAMETOOLONG when no NUL stands within `max` bytes (`max` counts the NUL: PATH_MAX 4096).
    public func copyInString(at address: UInt64, max: Int) throws(Errno) -> [UInt8] {
        if max <= 0 { throw .ENAMETOOLONG }
        var isComplete = false
        var done = 0
        // Most strings are short: a small buffer first, so that a path does not cost a page.
        var capacity = min(max, 256)
        var bytes: [UInt8] = []
        while true {
            // SAFETY: `initialized` counts exactly the bytes that the copy wrote.
            bytes = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
                var destination = UInt(bitPattern: buffer.baseAddress)
                done = state.withLock { state in
                    access(&state, address, capacity, .read, stopsEarly: true) { source, length in
                        var found: Int32 = 0
                        let rest = unsafe cplatform_copy_string(destination, source, length, &found)
                        destination &+= UInt(length - rest)
                        if found != 0 { isComplete = true }
                        return found != 0 ? Swift.max(rest, 1) : rest
                    }
                }
                initialized = Int(destination &- UInt(bitPattern: buffer.baseAddress))
            }
            if isComplete {
                bytes.removeLast()
                return bytes
            }
            if done < capacity { throw .EFAULT }
            if capacity == max { throw .ENAMETOOLONG }
            capacity = max
        }
    }

    /// The same into `buffer`: the string's length, or nil when no NUL stands within the size of the buffer.
    public func copyInString(at address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Int? {
        let capacity = buffer.count
        var length: Int?
        // SAFETY: the pointer is used inside the closure only, for `capacity` bytes.
        let done = unsafe buffer.withUnsafeMutableBufferPointer { p in
            let start = UInt(bitPattern: p.baseAddress)
            var destination = start
            return state.withLock { state in
                access(&state, address, capacity, .read, stopsEarly: true) { source, count in
                    var found: Int32 = 0
                    let rest = unsafe cplatform_copy_string(destination, source, count, &found)
                    destination &+= UInt(count - rest)
                    if found != 0 { length = Int(destination - start) - 1 }
                    return found != 0 ? Swift.max(rest, 1) : rest
                }
            }
        }
        if length == nil, done < capacity { throw .EFAULT }
        return length
    }

    // MARK: copying out

    private func copyOut(_ bytes: Span<UInt8>, _ address: UInt64, _ kind: GuestAccess) -> Int {
        let count = bytes.count
        if count == 0 { return 0 }
        // SAFETY: the pointer is used inside the closure only, for `count` bytes.
        return unsafe bytes.withUnsafeBufferPointer { p in
            var source = UInt(bitPattern: p.baseAddress)
            return state.withLock { state in
                access(&state, address, count, kind) { destination, length in
                    let rest = copyBytes(destination, source, length)
                    source &+= UInt(length - rest)
                    return rest
                }
            }
        }
    }

    /// Copies `bytes` into guest memory, all of it. EFAULT otherwise.
    public func copyOut(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) {
        if copyOut(bytes, address, .write) != bytes.count { throw .EFAULT }
    }

    public func copyOut(_ bytes: [UInt8], to address: UInt64) throws(Errno) { try copyOut(bytes.span, to: address) }

    /// As many bytes as can be written: at least one, or EFAULT.
    public func copyOutPartial(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) -> Int {
        let done = copyOut(bytes, address, .write)
        if done == 0, bytes.count > 0 { throw .EFAULT }
        return done
    }

    /// Writing that ignores the regions' protection: private read-only pages are copied, shared ones are not written. The count done; EIO when none.
    public func forceCopyOut(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) -> Int {
        let done = copyOut(bytes, address, .forcedWrite)
        if done == 0, bytes.count > 0 { throw .EIO }
        return done
    }

    /// Zeroes guest memory.
    public func zero(_ address: UInt64, count: UInt64) throws(Errno) {
        guard let count = Int(exactly: count), zeroPartial(address, count) == count else { throw .EFAULT }
    }

    func zeroPartial(_ address: UInt64, _ count: Int) -> Int {
        state.withLock { state in access(&state, address, count, .write) { place, length in cplatform_zero(place, length) } }
    }

    // MARK: without waiting

    /// Whether all of `count` bytes can be accessed as they are: mapped, permitted, with pages of the memory file that no fork shares when they are written.
    private func isAtHand(_ state: borrowing SpaceState, _ address: UInt64, _ count: Int, _ kind: GuestAccess) -> Bool {
        let (end, overflow) = address.addingReportingOverflow(UInt64(count))
        if overflow { return false }
        var cursor = address
        while cursor < end {
            guard let region = state.regions.index(containing: cursor), let run = state.runs.index(containing: cursor) else { return false }
            let protection = state.regions[region].value.protection, value = state.runs[run].value
            if case .host = value.source, kind.isWrite { return false }
            if kind.isWrite ? !protection.contains(.write) || value.isCopyOnWrite || !value.isWritable : protection.isEmpty { return false }
            cursor = min(state.regions[region].end, state.runs[run].end)
        }
        return true
    }

    /// Copies all of `bytes` to guest memory that can be had at once: without waiting for a stub, the Gofer or memory (`notAtHand` otherwise), nor for another
    /// thread (`contended`).
    func copyOutPromptly(_ bytes: Span<UInt8>, to address: UInt64) throws(Errno) {
        // SAFETY: the pointer is used inside the closure only, for `count` bytes.
        try unsafe bytes.withUnsafeBufferPointer { p throws(Errno) in
            try promptly(address, p.count, .write, UInt(bitPattern: p.baseAddress)) { source, place, length in
                copyBytes(place, source, length)
            }
        }
    }

    /// The same from guest memory into `buffer`.
    func copyInPromptly(from address: UInt64, into buffer: inout MutableSpan<UInt8>) throws(Errno) {
        // SAFETY: as above.
        try unsafe buffer.withUnsafeMutableBufferPointer { p throws(Errno) in
            try promptly(address, p.count, .read, UInt(bitPattern: p.baseAddress)) { destination, place, length in
                copyBytes(destination, place, length)
            }
        }
    }

    /// Calls `body(address of ours, address of the guest's in the Sentry, count)` for each stretch, which returns how many bytes it did not do.
    private func promptly(_ address: UInt64, _ count: Int, _ kind: GuestAccess, _ buffer: UInt, _ body: (UInt, UInt, Int) -> Int)
        throws(Errno)
    {
        let error = state.withLockIfAvailable { state -> Errno? in
            guard isAtHand(state, address, count, kind) else { return .notAtHand }
            var done = 0
            while done < count {
                let cursor = address &+ UInt64(done)
                guard let index = state.runs.index(containing: cursor) else { return .notAtHand }
                let run = state.runs[index], offset = run.value.offset &+ (cursor - run.start)
                let length = Int(min(run.end - cursor, UInt64(count - done))), ours = buffer &+ UInt(done)
                let rest: Int
                if case .host(let window) = run.value.source {
                    guard let result = window.withPromptAddress(offset, length, { body(ours, $0, length) }) else { return .contended }
                    rest = result
                } else {
                    rest = body(ours, memoryFile.address(offset), length)
                }
                if rest != 0 { return .notAtHand }
                done += length
            }
            return nil
        }
        guard let error else { throw .contended }
        if let error { throw error }
    }

    // MARK: numbers

    public func load<T: FixedWidthInteger & BitwiseCopyable>(_ address: UInt64, as type: T.Type = T.self) throws(Errno) -> T {
        var value = T.zero
        let size = MemoryLayout<T>.size
        // SAFETY: `value` has `size` bytes, of which any contents are a value.
        let done = unsafe withUnsafeMutableBytes(of: &value) { p in
            var destination = UInt(bitPattern: p.baseAddress)
            return state.withLock { state in
                access(&state, address, size, .read) { source, length in
                    let rest = copyBytes(destination, source, length)
                    destination &+= UInt(length - rest)
                    return rest
                }
            }
        }
        if done != size { throw .EFAULT }
        return value
    }

    public func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, to address: UInt64) throws(Errno) {
        let size = MemoryLayout<T>.size
        let done = unsafe withUnsafeBytes(of: value) { p in
            var source = UInt(bitPattern: p.baseAddress)
            return state.withLock { state in
                access(&state, address, size, .write) { destination, length in
                    let rest = copyBytes(destination, source, length)
                    source &+= UInt(length - rest)
                    return rest
                }
            }
        }
        if done != size { throw .EFAULT }
    }
}

extension AddressSpace {
    /// Whether the byte at `address` may be accessed.
    func canAccess(_ address: UInt64, write: Bool) -> Bool {
        state.withLock { state in access(&state, address, 1, write ? .write : .read) { _, _ in 0 } } == 1
    }
}

import Host
public import LinuxABI
public import SentryPlatform

/// mprotect(2), mremap(2), mlock(2), msync(2).
extension AddressSpace {
    /// mprotect(2). `growsDown`: PROT_GROWSDOWN.
    public func protect(_ address: UInt64, length: UInt64, protection: Protection, growsDown: Bool = false) throws(Errno) {
        guard address % pageSize == 0 else { throw .EINVAL }
        if length == 0 { return }
        guard let end = rangeEnd(address, length, limit: layout.maximumAddress) else { throw .ENOMEM }
        try state.withLock { state throws(Errno) in
            guard let first = state.regions.index(containing: address) else { throw .ENOMEM }
            var start = address
            if growsDown {
                guard state.regions[first].value.flags.contains(.growsDown) else { throw .EINVAL }
                start = state.regions[first].start
            }
            // The part up to the first hole or refusal is changed, as Linux does it.
            var stop = start
            var failure: Errno?
            var newData: UInt64 = 0
            var index = first
            while stop < end {
                guard index < state.regions.count, state.regions[index].start <= stop else {
                    failure = .ENOMEM
                    break
                }
                let region = state.regions[index]
                guard region.value.maximumProtection.isSuperset(of: protection) else {
                    failure = .EACCES
                    break
                }
                if !region.value.isData, protection.contains(.write), region.value.flags.isDisjoint(with: [.shared, .growsDown]) {
                    newData &+= min(region.end, end) - stop
                }
                stop = min(region.end, end)
                index += 1
            }
            if stop > start {
                if newData > 0, state.limits.data != .max, state.sum(where: { $0.isData }) &+ newData > state.limits.data { throw .ENOMEM }
                // The range has two ends at which regions may be cut.
                if state.regions.count &+ 2 > state.limits.mapCount { throw .ENOMEM }
                try protectLocked(&state, start, stop, protection)
            }
            if let failure { throw failure }
        }
    }

    private func protectLocked(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64, _ protection: Protection) throws(Errno) {
        var operations: [MappingOperation] = []
        var shared: [(index: Int, page: UInt64)] = []
        var pendingStart: UInt64 = 0, pendingEnd: UInt64 = 0
        var pendingProtection = Protection.none
        func flush(_ operations: inout [MappingOperation]) {
            if pendingEnd > pendingStart {
                operations.append(.protect(address: pendingStart, length: pendingEnd - pendingStart, protection: pendingProtection))
            }
        }
        for index in state.regions.isolate(start, end) {
            let before = state.regions[index].value.protection
            state.regions[index].value.protection = protection
            let region = state.regions[index]
            if before != protection {
                var run = state.runs.index(endingAbove: region.start)
                while run < state.runs.count, state.runs[run].start < region.end {
                    let entry = state.runs[run]
                    let effective = entry.value.effective(protection)
                    if entry.value.effective(before) != effective {
                        let low = max(entry.start, region.start), high = min(entry.end, region.end)
                        if low == pendingEnd, effective == pendingProtection {
                            pendingEnd = high
                        } else {
                            flush(&operations)
                            (pendingStart, pendingEnd, pendingProtection) = (low, high, effective)
                        }
                    }
                    // A shared mapping that may now store needs backing that can be written.
                    if region.value.isShared, protection.contains(.write), !entry.value.isWritable {
                        shared.append((index, max(entry.start, region.start)))
                    }
                    run += 1
                }
            }
        }
        flush(&operations)
        operations.removeAll { operation in
            guard case .protect(let address, let length, let effective) = operation else { return false }
            return state.postponed.protect(address, address &+ length, effective)
        }
        // Reserved memory that becomes usable is mapped as a whole, so that its first touches stay in the host.
        var mappings: [MappingOperation] = []
        if !protection.isEmpty {
            var index = state.regions.index(endingAbove: start)
            while index < state.regions.count, state.regions[index].start < end {
                let region = state.regions[index]
                if region.value.isAnonymous, min(region.end, end) - max(region.start, start) <= Self.eagerLimit {
                    try? backMissing(&state, region: index, start, end, &mappings)
                }
                index += 1
            }
        }
        defer { state.regions.coalesce(start, end) }
        do {
            if operations.isEmpty { try applyLater(&state, mappings) } else { try apply(&state, operations + mappings) }
        } catch {
            // The host could not cut its mappings further: what the stub may do now is unknown.
            platformSpace.destroy()
            throw error
        }
        for item in shared {
            if case .failure(let error) = makeWritable(&state, region: item.index, item.page), error != .ENXIO { throw error }
        }
    }

    // MARK: mremap(2)

    /// mremap(2): the new address.
    public func remap(_ address: UInt64, oldLength: UInt64, newLength: UInt64, flags: RemapFlags, newAddress: UInt64) throws(Errno)
        -> UInt64
    {
        let known: RemapFlags = [.MREMAP_MAYMOVE, .MREMAP_FIXED, .MREMAP_DONTUNMAP]
        guard known.isSuperset(of: flags), address % pageSize == 0, newLength > 0 else { throw .EINVAL }
        if flags.contains(.MREMAP_FIXED) || flags.contains(.MREMAP_DONTUNMAP), !flags.contains(.MREMAP_MAYMOVE) { throw .EINVAL }
        guard let old = roundUpToPage(oldLength), let new = roundUpToPage(newLength), new <= layout.maximumAddress else { throw .EINVAL }
        if flags.contains(.MREMAP_DONTUNMAP), old != new { throw .EINVAL }
        return try state.withLock { state throws(Errno) in
            try remapLocked(&state, address, old: old, new: new, flags: flags, newAddress: newAddress)
        }
    }

    private func remapLocked(
        _ state: inout SpaceState, _ address: UInt64, old: UInt64, new: UInt64, flags: RemapFlags, newAddress: UInt64
    ) throws(Errno) -> UInt64 {
        guard let index = state.regions.index(containing: address) else { throw .EFAULT }
        let region = state.regions[index]
        let offset = address - region.start
        let isMove = flags.contains(.MREMAP_FIXED) || flags.contains(.MREMAP_DONTUNMAP)
        if flags.contains(.MREMAP_FIXED) {
            guard newAddress % pageSize == 0, let newEnd = rangeEnd(newAddress, new, limit: layout.maximumAddress),
                newEnd <= address || newAddress >= address &+ old
            else { throw .EINVAL }
            if newAddress < minimumAddress { throw .EPERM }
        }
        if !isMove, new <= old {
            if new < old { try unmapLocked(&state, address + new, address + old) }
            return address
        }
        if old == 0 {
            // A second mapping of the same shared pages.
            guard region.value.isShared, flags.contains(.MREMAP_MAYMOVE) else { throw .EINVAL }
        }
        // Growing and moving work within one region.
        guard old <= region.end - address else { throw .EFAULT }
        if flags.contains(.MREMAP_DONTUNMAP), region.value.isShared || !region.value.isAnonymous { throw .EINVAL }
        var value = region.value.advanced(by: offset)
        if new > old {
            let growth = region.value
            try checkLimits(state, address &+ old, address &+ old, growth)
            if state.limits.addressSpace != .max, state.total &+ (new - old) > state.limits.addressSpace { throw .ENOMEM }
            if state.limits.data != .max, growth.isData, state.sum(where: { $0.isData }) &+ (new - old) > state.limits.data {
                throw .ENOMEM
            }
            // In place?
            if !isMove, old > 0, address + old == region.end, let end = rangeEnd(address, new, limit: layout.maximumAddress),
                state.regions.isEmpty(region.end, end)
            {
                var operations: [MappingOperation] = []
                let added = value.advanced(by: old)
                noteAdded(region.end, end, added)
                state.addRegion(region.end, end, added)
                if let grown = state.regions.index(containing: region.end), !value.protection.isEmpty {
                    try? backMissing(&state, region: grown, region.end, end, &operations)
                }
                try apply(&state, operations)
                return address
            }
            guard flags.contains(.MREMAP_MAYMOVE) else { throw .ENOMEM }
        }
        let target: UInt64
        if flags.contains(.MREMAP_FIXED) {
            target = newAddress
            try unmapLocked(&state, target, target + new)
        } else {
            target = try place(state, hint: 0, length: new, flags: [])
        }
        // Room in the stub first: the old place is untouched until the new one stands.
        let moved = min(old, new)
        let runs = old == 0 ? [] : pieces(state, address, address + moved)
        var operations: [MappingOperation] = []
        var placed: [RunEntry] = []
        for run in runs {
            let entry = RunEntry(start: target + (run.start - address), end: target + (run.end - address), value: run.value)
            placed.append(entry)
            operations.append(mapOperation(entry, value.protection))
        }
        if old > 0 { operations.append(.unmap(address: address, length: old)) }
        try applyOrDie(&state, operations)
        if old > 0 {
            _ = state.runs.remove(address, address + moved)
            if flags.contains(.MREMAP_DONTUNMAP) {
                value.flags.remove(.locked)
            } else {
                discard(remove(&state, address, address + old))
            }
        }
        noteAdded(target, target + new, value)
        state.addRegion(target, target + new, value)
        for run in placed { state.runs.insert(run.start, run.end, run.value) }
        if !value.protection.isEmpty, let index = state.regions.index(containing: target) {
            var more: [MappingOperation] = []
            try? backMissing(&state, region: index, target, target + new, &more)
            try apply(&state, more)
        }
        return target
    }

    /// The runs of [start, end), cut at its ends.
    func pieces(_ state: borrowing SpaceState, _ start: UInt64, _ end: UInt64) -> [RunEntry] {
        var result: [RunEntry] = []
        var index = state.runs.index(endingAbove: start)
        while index < state.runs.count, state.runs[index].start < end {
            let run = state.runs[index]
            let low = max(run.start, start), high = min(run.end, end)
            result.append(RunEntry(start: low, end: high, value: run.value.advanced(by: low - run.start)))
            index += 1
        }
        return result
    }

    // MARK: mlock(2), msync(2)

    /// mlock(2), mlock2(2), munlock(2). ENOMEM for a range with holes or over RLIMIT_MEMLOCK (EPERM when that is 0).
    public func lock(_ address: UInt64, length: UInt64, lock: Bool, onFault: Bool = false) throws(Errno) {
        let start = address & ~(pageSize - 1)
        let (sum, overflow) = length.addingReportingOverflow(address - start)
        guard !overflow, let end = rangeEnd(start, sum, limit: .max) else { throw .EINVAL }
        if start == end { return }
        try state.withLock { state throws(Errno) in
            guard end <= layout.maximumAddress, isMapped(state, start, end) else { throw .ENOMEM }
            if lock, state.limits.locked != .max {
                if state.limits.locked == 0 { throw .EPERM }
                if state.sum(where: { $0.flags.contains(.locked) }) &+ (end - start) > state.limits.locked { throw .ENOMEM }
            }
            for index in state.regions.isolate(start, end) {
                state.regions[index].value.flags.subtract([.locked, .lockedOnFault])
                if lock { state.regions[index].value.flags.insert(onFault ? [.locked, .lockedOnFault] : .locked) }
            }
            state.regions.coalesce(start, end)
            if lock, !onFault { try? populateRegions(&state, start, end) }
        }
    }

    /// mlockall(2) (MCL_ flags), munlockall(2) (0).
    public func lockAll(_ flags: UInt32) throws(Errno) {
        let future = flags & MemoryLockFlags.MCL_FUTURE != 0, current = flags & MemoryLockFlags.MCL_CURRENT != 0
        let onFault = flags & MemoryLockFlags.MCL_ONFAULT != 0
        let mark: RegionFlags = onFault ? [.locked, .lockedOnFault] : .locked
        try state.withLock { state throws(Errno) in
            if current, state.limits.locked != .max {
                if state.limits.locked == 0 { throw .EPERM }
                if state.total > state.limits.locked { throw .ENOMEM }
            }
            state.futureLock = future ? mark : []
            if current || flags == 0 {
                for index in 0..<state.regions.count {
                    state.regions[index].value.flags.subtract([.locked, .lockedOnFault])
                    if current { state.regions[index].value.flags.insert(mark) }
                }
                state.regions.coalesce(0, layout.maximumAddress)
            }
            if current, !onFault { try? populateRegions(&state, 0, layout.maximumAddress) }
        }
    }

    /// Whether [start, end) has no holes.
    func isMapped(_ state: borrowing SpaceState, _ start: UInt64, _ end: UInt64) -> Bool {
        var cursor = start
        var index = state.regions.index(endingAbove: start)
        while cursor < end {
            guard index < state.regions.count, state.regions[index].start <= cursor else { return false }
            cursor = state.regions[index].end
            index += 1
        }
        return true
    }

    /// msync(2).
    public func sync(_ address: UInt64, length: UInt64, flags: SyncFlags) throws(Errno) {
        let known: SyncFlags = [.MS_ASYNC, .MS_INVALIDATE, .MS_SYNC]
        guard known.isSuperset(of: flags), address % pageSize == 0, !flags.isSuperset(of: [.MS_ASYNC, .MS_SYNC]) else { throw .EINVAL }
        guard let end = rangeEnd(address, length, limit: layout.maximumAddress) else { throw .ENOMEM }
        if address == end { return }
        // The object writes out after the lock has been dropped: that may take long.
        let (parts, complete) = try state.withLock { state throws(Errno) -> ([(any MappableObject, UInt64, UInt64)], Bool) in
            var parts: [(any MappableObject, UInt64, UInt64)] = []
            var index = state.regions.index(endingAbove: address)
            while index < state.regions.count, state.regions[index].start < end {
                let region = state.regions[index]
                if flags.contains(.MS_INVALIDATE), region.value.flags.contains(.locked) { throw .EBUSY }
                if let object = region.value.object, region.value.isShared {
                    let low = max(region.start, address), high = min(region.end, end)
                    parts.append((object, region.value.offset &+ (low - region.start), high - low))
                }
                index += 1
            }
            return (parts, isMapped(state, address, end))
        }
        if flags.contains(.MS_SYNC) {
            for (object, offset, length) in parts { try object.syncMapping(offset: offset, length: length) }
        }
        if !complete { throw .ENOMEM }
    }
}

import Host
public import LinuxABI
import SentryPlatform

/// mmap(2), munmap(2), brk(2).
extension AddressSpace {
    /// mmap(2): the address chosen.
    public func map(_ request: MapRequest) throws(Errno) -> UInt64 {
        let address = try state.withLock { state throws(Errno) in try mapLocked(&state, request) }
        if request.flags.contains(.MAP_POPULATE) && !request.flags.contains(.MAP_NONBLOCK) {
            // Failure to populate is not failure to map (mmap(2)).
            let write = request.protection.contains(.write) && request.flags.contains(.MAP_PRIVATE)
            try? state.withLock { state throws(Errno) in try populate(&state, address, address &+ request.length, write: write) }
        }
        return address
    }

    /// `isUrgent`: what is mapped will be used at once.
    func mapLocked(_ state: inout SpaceState, _ request: MapRequest, isUrgent: Bool = false) throws(Errno) -> UInt64 {
        if state.isDestroyed { throw .ESRCH }
        let flags = request.flags
        guard request.length > 0 else { throw .EINVAL }
        guard let length = roundUpToPage(request.length), length <= layout.maximumAddress else { throw .ENOMEM }
        guard request.offset % pageSize == 0 else { throw .EINVAL }
        if request.offset.addingReportingOverflow(length).overflow { throw .EOVERFLOW }
        let type = flags.intersection(.MAP_TYPE)
        guard type == .MAP_PRIVATE || type == .MAP_SHARED || type == .MAP_SHARED_VALIDATE else { throw .EINVAL }
        let isShared = type != .MAP_PRIVATE
        if flags.contains(.MAP_HUGETLB) { throw .ENOMEM }  // no huge page is ever free here
        if flags.contains(.MAP_SYNC), type == .MAP_SHARED_VALIDATE { throw .EOPNOTSUPP }
        let anonymous = flags.contains(.MAP_ANONYMOUS) || request.object == nil
        if flags.contains(.MAP_GROWSDOWN), !anonymous || isShared { throw .EINVAL }
        if !anonymous, !request.maximumProtection.isSuperset(of: request.protection) { throw .EACCES }

        let fixed = flags.contains(.MAP_FIXED) || flags.contains(.MAP_FIXED_NOREPLACE)
        let address: UInt64
        if fixed {
            address = request.address
            guard address % pageSize == 0 else { throw .EINVAL }
            guard rangeEnd(address, length, limit: layout.maximumAddress) != nil else { throw .ENOMEM }
            if address < minimumAddress { throw .EPERM }
            if flags.contains(.MAP_FIXED_NOREPLACE), !state.regions.isEmpty(address, address + length) { throw .EEXIST }
        } else {
            address = try place(state, hint: request.address, length: length, flags: flags)
        }
        let end = address + length

        var value = RegionValue(
            protection: request.protection, maximumProtection: anonymous ? .all : request.maximumProtection, flags: state.futureLock,
            object: anonymous ? nil : request.object, offset: anonymous ? 0 : request.offset, name: request.name.map { RegionName($0) })
        if isShared { value.flags.insert(.shared) }
        // The loaders' way to tell.
        if flags.contains(.MAP_DENYWRITE), !anonymous, !isShared { value.flags.insert(.image) }
        if flags.contains(.MAP_GROWSDOWN) { value.flags.insert(.growsDown) }
        if flags.contains(.MAP_NORESERVE) { value.flags.insert(.noReserve) }
        if flags.contains(.MAP_LOCKED) { value.flags.insert(.locked) }
        try checkLimits(state, address, end, value)
        if anonymous, isShared { value.object = try AnonymousObject(memoryFile: memoryFile, length: length) }

        // The new backing is found before the old mapping goes, so that a refusal changes nothing.
        var runs: [RunEntry] = []
        let isEager = value.object != nil || (length <= Self.eagerLimit && !value.protection.isEmpty)
        if isEager {
            do {
                runs = try makeRuns(state, address, end, value)
            } catch .ENOMEM where value.object == nil {
                // Linux overcommits: the memory is missed when it is touched.
            }
        }
        let removed = fixed ? remove(&state, address, end) : Removed()
        var operations: [MappingOperation] = []
        let mayWait = !isShown(removed, address, end, &state) && !isUrgent && flags.isDisjoint(with: [.MAP_POPULATE, .MAP_LOCKED])
        if !mayWait, !removed.runs.isEmpty { operations.append(.unmap(address: address, length: length)) }
        for run in runs { operations.append(mapOperation(run, value.protection)) }
        do {
            if mayWait { try applyLater(&state, operations) } else { try apply(&state, operations) }
        } catch {
            // Nothing of the new mapping may stay in the stub, and nothing of the old.
            try? applyOrDie(&state, [.unmap(address: address, length: length)])
            discard(removed)
            discard(Removed(runs: runs))
            throw error
        }
        discard(removed)
        noteAdded(address, end, value)
        state.addRegion(address, end, value)
        for run in runs { state.runs.insert(run.start, run.end, run.value) }
        if value.flags.contains(.locked), !value.flags.contains(.lockedOnFault) {
            try? populate(&state, address, end, write: value.protection.contains(.write) && !value.isShared)
        }
        return address
    }

    /// RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK and vm.max_map_count for a region that replaces what is in its place.
    func checkLimits(_ state: borrowing SpaceState, _ start: UInt64, _ end: UInt64, _ value: RegionValue) throws(Errno) {
        if state.regions.count >= state.limits.mapCount { throw .ENOMEM }
        let length = end - start
        if state.limits.addressSpace != .max {
            var replaced: UInt64 = 0
            var index = state.regions.index(endingAbove: start)
            while index < state.regions.count, state.regions[index].start < end {
                replaced &+= min(end, state.regions[index].end) - max(start, state.regions[index].start)
                index += 1
            }
            if state.total &- replaced &+ length > state.limits.addressSpace { throw .ENOMEM }
        }
        if state.limits.data != .max, value.isData, state.sum(where: { $0.isData }) &+ length > state.limits.data { throw .ENOMEM }
        if value.flags.contains(.locked), state.limits.locked != .max,
            state.sum(where: { $0.flags.contains(.locked) }) &+ length > state.limits.locked
        {
            throw .EAGAIN
        }
    }

    /// A free place: the hint when it is free, else the highest one below the mmap base.
    func place(_ state: borrowing SpaceState, hint: UInt64, length: UInt64, flags: MapFlags) throws(Errno) -> UInt64 {
        if flags.contains(.MAP_32BIT) {
            guard let found = findFree(state, length, from: 0x4000_0000, to: 0x8000_0000) else { throw .ENOMEM }
            return found
        }
        let rounded = hint & ~(pageSize - 1)
        if rounded >= layout.minimumAddress, let end = rangeEnd(rounded, length, limit: layout.maximumAddress),
            state.regions.isEmpty(rounded, end), !isInGuardGap(state, end)
        {
            return rounded
        }
        if let found = findFree(state, length, from: layout.minimumAddress, to: layout.mmapBase) { return found }
        guard let found = findFree(state, length, from: layout.minimumAddress, to: layout.maximumAddress) else { throw .ENOMEM }
        return found
    }

    private func isInGuardGap(_ state: borrowing SpaceState, _ end: UInt64) -> Bool {
        let next = state.regions.index(endingAbove: end)
        guard next < state.regions.count, state.regions[next].value.flags.contains(.growsDown) else { return false }
        return state.regions[next].start &- end < Self.stackGuardGap && state.regions[next].start >= end
    }

    /// The highest free range of `length` bytes in [from, to).
    func findFree(_ state: borrowing SpaceState, _ length: UInt64, from floor: UInt64, to ceiling: UInt64) -> UInt64? {
        var top = ceiling
        var index = state.regions.index(startingAtOrAbove: ceiling)
        while true {
            // The region below the gap that ends at `top`.
            let bottom = index > 0 ? max(floor, state.regions[index - 1].end) : floor
            if top >= bottom, top - bottom >= length { return top - length }
            guard index > 0 else { return nil }
            index -= 1
            let region = state.regions[index]
            var start = region.start
            if region.value.flags.contains(.growsDown) { start = start > Self.stackGuardGap ? start - Self.stackGuardGap : 0 }
            top = min(top, start)
            if top < floor { return nil }
        }
    }

    /// munmap(2).
    public func unmap(_ address: UInt64, length: UInt64) throws(Errno) {
        guard address % pageSize == 0, length > 0, let end = rangeEnd(address, length, limit: layout.maximumAddress) else { throw .EINVAL }
        try state.withLock { state throws(Errno) in try unmapLocked(&state, address, end) }
    }

    func unmapLocked(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64) throws(Errno) {
        // A hole in the middle of a region makes two of it.
        if let index = state.regions.index(containing: start), state.regions[index].start < start, state.regions[index].end > end,
            state.regions.count >= state.limits.mapCount
        {
            throw .ENOMEM
        }
        let removed = remove(&state, start, end)
        defer { discard(removed) }
        if isShown(removed, start, end, &state) { try applyOrDie(&state, [.unmap(address: start, length: end - start)]) }
    }

    /// Where brk(2)'s heap begins; set once by the loader. The heap of a program at low addresses begins above what the platform may put there, as far as it
    /// would have begun above the program.
    public func setInitialBreak(_ address: UInt64) {
        var address = address
        if let trampolines, address <= trampolines.upperBound { address = trampolines.upperBound + (address & 0x1ff_ffff) }
        state.withLock { state in
            state.breakStart = roundUpToPage(address) ?? 0
            state.breakEnd = state.breakStart
        }
    }

    /// brk(2): the new break, or the old one when it cannot be.
    public func brk(_ address: UInt64) -> UInt64 {
        state.withLock { state in
            guard address >= state.breakStart, state.breakStart > 0, let new = roundUpToPage(address), new <= layout.maximumAddress,
                let old = roundUpToPage(state.breakEnd)
            else { return state.breakEnd }
            if new < old {
                if (try? unmapLocked(&state, new, old)) == nil { return state.breakEnd }
            } else if new > old {
                // Linux keeps a page between the heap and what follows, and the guard gap of a stack.
                guard state.regions.isEmpty(old, min(new + pageSize, layout.maximumAddress)), !isInGuardGap(state, new),
                    new - state.breakStart <= state.limits.data
                else { return state.breakEnd }
                let request = MapRequest(
                    address: old, length: new - old, protection: [.read, .write], flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED])
                if (try? mapLocked(&state, request, isUrgent: true)) == nil { return state.breakEnd }
            }
            state.breakEnd = address
            return address
        }
    }
}

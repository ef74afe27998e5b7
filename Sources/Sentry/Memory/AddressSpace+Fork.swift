import Host
public import LinuxABI
public import SentryPlatform

/// fork(2) and what changes mappings from outside.
extension AddressSpace {
    /// A copy-on-write copy on `platform`. The parent's writable private pages are write-protected in one batch, the child's mappings are made in one.
    public func fork(on platform: any Platform) throws(Errno) -> AddressSpace {
        let child = try AddressSpace(platform: platform, memoryFile: memoryFile, layout: layout)
        do {
            try state.withLock { state throws(Errno) in
                if state.isDestroyed { throw .ESRCH }
                try copy(&state, to: child)
                child.platformSpace.inherit(from: platformSpace)
            }
        } catch {
            child.destroy()
            throw error
        }
        return child
    }

    private func copy(_ state: inout SpaceState, to child: AddressSpace) throws(Errno) {
        var copy = SpaceState(limits: state.limits)
        copy.breakStart = state.breakStart
        copy.breakEnd = state.breakEnd
        var protections: [MappingOperation] = []
        var mappings: [MappingOperation] = []
        var retained: [Range<UInt64>] = []
        var marked: [Range<UInt64>] = []
        for region in state.regions.entries where !region.value.flags.contains(.dontFork) {
            var value = region.value
            value.flags.subtract([.locked, .lockedOnFault])
            copy.regions.append(region.start, region.end, value)
            copy.total &+= region.length
            if value.flags.contains(.wipeOnFork) { continue }
            for piece in pieces(state, region.start, region.end) {
                var run = piece
                if run.value.isOwned {
                    retained.append(run.value.offset..<run.value.offset &+ run.length)
                    if !run.value.isCopyOnWrite {
                        run.value.isCopyOnWrite = true
                        append(run.start..<run.end, to: &marked)
                        if value.protection.contains(.write) { protect(run, value.protection.subtracting(.write), &protections) }
                    }
                }
                copy.runs.append(run.start, run.end, run.value)
                mappings.append(mapOperation(run, value.protection))
            }
        }
        copy.peakTotal = copy.total
        try applyOrDie(protections)
        for range in marked {
            for index in state.runs.isolate(range.lowerBound, range.upperBound) { state.runs[index].value.isCopyOnWrite = true }
            state.runs.coalesce(range.lowerBound, range.upperBound)
        }
        memoryFile.retain(retained)
        let regions = copy.regions.entries
        child.adopt(copy)
        for region in regions { child.noteAdded(region.start, region.end, region.value) }
        // From here on the child's `destroy` gives everything back.
        if !mappings.isEmpty { try child.platformSpace.apply(merged(mappings)) }
    }

    private func adopt(_ copy: SpaceState) { state.withLock { $0.replace(with: copy) } }

    private func append(_ range: Range<UInt64>, to ranges: inout [Range<UInt64>]) {
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
            ranges.append(range)
        }
    }

    /// One host call per stretch of equal protection.
    private func protect(_ run: RunEntry, _ protection: Protection, _ operations: inout [MappingOperation]) {
        if case .protect(let address, let length, let before) = operations.last, before == protection, address &+ length == run.start {
            operations[operations.count - 1] = .protect(address: address, length: length &+ run.length, protection: protection)
        } else {
            operations.append(.protect(address: run.start, length: run.length, protection: protection))
        }
    }

    /// Joins mappings of the memory file that continue each other.
    private func merged(_ operations: [MappingOperation]) -> [MappingOperation] {
        var result: [MappingOperation] = []
        result.reserveCapacity(operations.count)
        for operation in operations {
            if case .map(let address, let length, let protection, .memoryFile, let offset, false) = operation,
                case .map(let lastAddress, let lastLength, let lastProtection, .memoryFile, let lastOffset, false) = result.last,
                lastAddress &+ lastLength == address, lastOffset &+ lastLength == offset, lastProtection == protection
            {
                result[result.count - 1] = .map(
                    address: lastAddress, length: lastLength &+ length, protection: protection, file: .memoryFile, offset: lastOffset)
            } else {
                result.append(operation)
            }
        }
        return result
    }

    /// `object`'s bytes in `range` (offsets into it) are gone (truncate) or have moved: touching them asks the object again. Copies that private
    /// mappings have made of them go too, as Linux does it. Called without the object's locks.
    public func invalidate(_ object: any MappableObject, _ range: Range<UInt64>) {
        let first = range.lowerBound & ~(pageSize - 1)
        let last = roundUpToPage(range.upperBound) ?? .max
        state.withLock { state in
            var operations: [MappingOperation] = []
            var removed = Removed()
            for region in state.regions.entries where region.value.object === object {
                let (objectEnd, overflow) = region.value.offset.addingReportingOverflow(region.length)
                guard !overflow, region.value.offset < last, objectEnd > first else { continue }
                let low = region.start &+ (max(first, region.value.offset) - region.value.offset)
                let high = region.start &+ (min(last, objectEnd) - region.value.offset)
                let runs = state.runs.remove(low, high)
                if runs.isEmpty { continue }
                removed.runs += runs
                operations.append(.unmap(address: low, length: high - low))
            }
            try? applyOrDie(operations)
            discard(removed)
        }
    }

    /// prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME): shown as `[anon:NAME]`. EBADF for file mappings.
    public func setName(_ address: UInt64, length: UInt64, name: [UInt8]?) throws(Errno) {
        guard address % pageSize == 0, let end = rangeEnd(address, length, limit: layout.maximumAddress) else { throw .EINVAL }
        if address == end { return }
        try state.withLock { state throws(Errno) in
            let complete = isMapped(state, address, end)
            let label = name.map { RegionName(Array("[anon:".utf8) + $0 + Array("]".utf8)) }
            for index in state.regions.isolate(address, end) {
                guard state.regions[index].value.isAnonymous else { throw .EBADF }
                state.regions[index].value.name = label
            }
            state.regions.coalesce(address, end)
            if !complete { throw .ENOMEM }
        }
    }
}
